"""Train a rhythm network on emotion sequences: `python -m latentface.training.rhythm --out DIR` makes the built-in one.

Without --data it learns the generated stories of `latentface.training.stories`. Loss: negative log-likelihood of each
segment's emotion, log seconds and strength from those before it. The figure of merit is the perplexity of the next
emotion in held-out sequences, beside that of a first-order Markov chain fitted on the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from latentface.emotion import EmotionSequence
from latentface.emotions.prediction import MarkovChain, figures, stacked, to_numbers
from latentface.errors import InputError
from latentface.io.atomic import atomic_path
from latentface.networks.rhythm import BEGIN, NOTHING, RhythmConfig, RhythmNet, counted
from latentface.pretrained import load_rhythm
from latentface.training.loop import Loop, LoopOptions, StepCallback, command_line, loop_options
from latentface.training.stories import stories

Numbers = tuple[Tensor, Tensor]
Batch = tuple[Tensor, Tensor, int]

OPTIONS = LoopOptions(steps=2000, minutes=None, learning_rate=5e-3, weight_decay=1e-2, bfloat16=False)
FEW = RhythmConfig(dropout=0.2)  # for sequences that were read from films
FEW_OPTIONS = replace(OPTIONS, steps=1000, warm_up=50, measure_every=20, average=0.98, keep_best="nats")
STORIES, HELD_OUT, SEED = 6000, 500, 2020
WINDOW = 48  # segments that are learnt at a time
LEAST = 100  # segments, all sequences together
MANY = 10  # sequences, of which some are held out whole; of fewer, the end of each


class RhythmTask:
    """Batches, loss and figures: what `Loop` needs. learn and held_out: `to_numbers` of sequences, or parts of them."""

    kind = "rhythm"

    def __init__(
        self, learn: Sequence[Numbers], held_out: Sequence[Numbers], config: RhythmConfig | None = None, batch: int = 64
    ) -> None:
        self.config, self.batch = config or RhythmConfig(), batch
        lengths = torch.tensor([len(emotions) for emotions, _ in learn])
        self.ends = lengths.cumsum(0)
        self.starts = self.ends - lengths
        self.emotions, self.measures = (torch.cat([part[i] for part in learn]) for i in (0, 1))
        self.held_out, self.chain = stacked(held_out), MarkovChain(learn)

    def build(self) -> RhythmNet:
        """A fresh network, initialised with the mean and deviation of the measures and with the Markov chain."""
        network = RhythmNet(self.config)
        there = counted(self.emotions)[:, 1:] & (self.emotions != BEGIN)[:, None]
        for k in range(there.shape[1]):
            values = self.measures[there[:, k], k]
            network.location[k], network.scale[k] = values.mean(), values.std().clamp(min=0.05)
        network.lean_on(self.chain.log_transition, self.chain.mean, self.chain.deviation)
        return network

    def sample_batch(self, generator: torch.Generator) -> Batch:
        """Windows of sequences, the longer ones likelier: emotions [N, W + 1] and measures [N, W + 1, 2]; a seed."""
        places = torch.randint(len(self.emotions), (self.batch,), generator=generator, device=generator.device).cpu()
        back = torch.randint(WINDOW, (self.batch,), generator=generator, device=generator.device).cpu()
        seed = torch.randint(2**31, (1,), generator=generator, device=generator.device).item()
        owner = torch.searchsorted(self.ends, places, right=True)
        first = torch.maximum(self.starts[owner], places - back)
        index = first[:, None] + torch.arange(WINDOW + 1)
        inside = index < self.ends[owner][:, None]
        index = index.clamp(max=len(self.emotions) - 1)
        emotions = self.emotions[index].where(inside, NOTHING)
        return emotions.to(generator.device), self.measures[index].to(generator.device), int(seed)

    def loss(self, network: RhythmNet, batch: Batch) -> Tensor:
        """Mean nats a segment of its emotion, log seconds and strength together."""
        emotions, measures, seed = batch
        with torch.random.fork_rng():  # what the dropout draws
            torch.manual_seed(seed)
            nats = network.surprise(emotions, measures).sum()
        return nats / counted(emotions[:, 1:])[..., 0].sum().clamp(min=1)

    def measure(self, network: RhythmNet) -> Mapping[str, float]:
        """Figures of the network on what was held out."""
        emotions, measures = (part.to(network.location.device) for part in self.held_out)
        return figures(network.surprise(emotions, measures), emotions)


@dataclass(frozen=True)
class Fitted:
    """What `fit` made.

    Attributes:
        path: the network's file.
        sequences: how many sequences it was given.
        segments: how many segments they hold.
        judged: how many held-out segments it was measured on.
        figures: of the network on these, see `latentface.emotions.prediction.figures`.
        chain: the same figures of a first-order Markov chain.
    """

    path: Path
    sequences: int
    segments: int
    judged: int
    figures: dict[str, float]
    chain: dict[str, float]

    @property
    def beats_chain(self) -> bool:
        """Whether it predicts emotions better than a first-order Markov chain does."""
        return self.figures["perplexity"] < self.chain["perplexity"]


def fit(
    sequences: Sequence[EmotionSequence],
    out: Path,
    options: LoopOptions = FEW_OPTIONS,
    config: RhythmConfig = FEW,
    on_step: StepCallback | None = None,
) -> Fitted:
    """Train a network on sequences that were read from films. A stopped run goes on in `out`.

    The state that predicts one held-out part best is kept, and is measured on another (see `held_apart`).

    Raises:
        InputError: fewer than 100 segments, or `out` holds a run on other sequences.
    """
    numbers = [to_numbers(sequence) for sequence in sequences]
    count = sum(len(emotions) - 1 for emotions, _ in numbers)
    if count < LEAST:
        raise InputError(
            f"{count} segments in {len(sequences)} sequences are too few to learn from; give {LEAST} or more "
            "(a film has about 10 to 20 a minute)"
        )
    learn, choose, held_out = held_apart(numbers)
    _claim(out, hashlib.sha256(repr((sequences, options, config)).encode()).hexdigest())
    task = RhythmTask(learn, choose, config, batch=32)
    path = Loop(task, out, options).run(on_step=on_step, say=lambda line: None)
    emotions, measures = stacked(held_out)
    with torch.inference_mode():
        ours, chain = (
            figures(model.surprise(emotions, measures), emotions) for model in (load_rhythm(path), task.chain)
        )
    return Fitted(path, len(sequences), count, sum(len(part[0]) - 1 for part in held_out), ours, chain)


def _claim(out: Path, digest: str) -> None:
    """Note in the run's folder what it learns from; InputError when that is something else already."""
    out.mkdir(parents=True, exist_ok=True)
    note = out / "data.sha256"
    if note.is_file() and note.read_text(encoding="ascii") != digest:
        raise InputError(
            f"{out} holds a run on other sequences or with other options; delete it, or choose another place"
        )
    with atomic_path(note) as temporary:
        temporary.write_text(digest, encoding="ascii")


def held_apart(numbers: Sequence[Numbers]) -> tuple[list[Numbers], list[Numbers], list[Numbers]]:
    """Split the sequences: those to learn from, those to choose the best state by, those to measure it on.

    Of ten sequences and more, three of every ten are held out, the last of the three for measuring; of fewer, three
    tenths at the end of each.
    """
    if len(numbers) >= MANY:
        learn = [part for k, part in enumerate(numbers) if k % MANY not in (2, 5, 8)]
        return learn, [*numbers[2::MANY], *numbers[5::MANY]], list(numbers[8::MANY])
    parts: tuple[list[Numbers], list[Numbers], list[Numbers]] = ([], [], [])
    for emotions, measures in numbers:
        last = len(emotions)
        cuts = [1, round(0.7 * last), round(0.9 * last), last]
        for part, begin, end in zip(parts, cuts[:-1], cuts[1:], strict=True):
            if end > begin:
                part.append((emotions[begin - 1 : end], measures[begin - 1 : end]))  # from the last one known on
    return parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the built-in network."""
    parser = command_line("latentface.training.rhythm", __doc__, OPTIONS, data=None)
    given = parser.parse_args(arguments)
    learn, held_out = (
        [to_numbers(story) for story in stories(*which)] for which in ((STORIES, SEED), (HELD_OUT, SEED + 1))
    )
    options = replace(loop_options(given, OPTIONS), bfloat16=False)  # so small a network gains nothing from it
    print(Loop(RhythmTask(learn, held_out), given.out, options, given.device).run())


if __name__ == "__main__":
    main()
