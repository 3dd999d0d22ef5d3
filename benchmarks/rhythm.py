"""Perplexity of the emotions to come: the rhythm network, a first-order Markov chain, and one who knows the grammar.

    python benchmarks/rhythm.py [--model rhythm] [--stories 500]

Gate: the network's perplexity on generated stories that it never saw lies below that of a Markov chain fitted on the
stories it learnt. With its memory cut to the last segments, it shows how far back it looks.
"""

from __future__ import annotations

import argparse
import math
import time

import torch

from latentface import api, pretrained
from latentface.emotion import Emotion
from latentface.emotions.prediction import MarkovChain, figures, stacked, to_numbers
from latentface.networks.rhythm import BEGIN, NOTHING, RhythmNet
from latentface.training.rhythm import SEED, STORIES
from latentface.training.stories import best_perplexity, stories

FROM = 13
UNSEEN = SEED + 100  # neither learnt from nor looked at in training


def short_memory(network: RhythmNet, emotions: torch.Tensor, measures: torch.Tensor, memory: int) -> float:
    """Perplexity, from the `FROM`th segment on, of the network when it is told the last `memory` segments only."""
    nats, count = 0.0, 0
    with torch.inference_mode():
        for k in range(FROM, emotions.shape[1]):
            there = emotions[:, k] != NOTHING
            window = slice(k - memory, k + 1)
            nats += float(network.surprise(emotions[there, window], measures[there, window])[:, -1, 0].sum())
            count += int(there.sum())
    return math.exp(nats / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="rhythm")
    parser.add_argument("--stories", type=int, default=500)
    given = parser.parse_args()
    torch.set_num_threads(1)
    network = pretrained.load_rhythm(given.model)
    told = stories(given.stories, UNSEEN)
    emotions, measures = stacked([to_numbers(story) for story in told])
    chain = MarkovChain([to_numbers(story) for story in stories(STORIES, SEED)])
    with torch.inference_mode():
        ours, theirs = (figures(model.surprise(emotions, measures), emotions) for model in (network, chain))
    segments = int(((emotions != NOTHING) & (emotions != BEGIN)).sum())
    print(f"{len(told)} stories, {segments} segments; perplexity of the next emotion, nats of duration and strength")
    for name, row in (("rhythm network", ours), ("Markov chain, first order", theirs)):
        print(f"  {name:28}{row['perplexity']:7.3f}{row['duration']:8.3f}{row['strength']:8.3f}")
    print(f"  {'one who knows the grammar':28}{best_perplexity(told):7.3f}")
    met = ours["perplexity"] < theirs["perplexity"]
    print(f"gate, below the Markov chain: {'met' if met else 'MISSED'}")
    told_last = "  ".join(f"{n}: {short_memory(network, emotions, measures, n):.3f}" for n in (1, 2, 3, 4, 6, 8, 12))
    print(f"told the last n segments only, from segment {FROM} on:  {told_last}")
    api.predict_emotions(Emotion.HAPPINESS, 20, model=given.model)
    began = time.process_time()
    minute = api.predict_emotions(Emotion.HAPPINESS, 600, model=given.model)
    spent = time.process_time() - began
    print(f"ten minutes drawn: {len(minute.segments)} segments in {1000 * spent:.0f} ms of one core")


if __name__ == "__main__":
    main()
