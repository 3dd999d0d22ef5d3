"""Emotions to come: sequences as numbers, drawing from a network, and the Markov chain."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from latentface import api
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.prediction import MarkovChain, figures, joined, predict, stacked, to_numbers
from latentface.errors import UnknownNetwork, UsageError
from latentface.networks.rhythm import BEGIN, EMOTIONS, NOTHING, RhythmConfig, RhythmNet
from latentface.training.stories import stories

HAPPY, SAD, NEUTRAL, ANGRY = Emotion.HAPPINESS, Emotion.SADNESS, Emotion.NEUTRAL, Emotion.ANGER
SMALL = RhythmConfig(hidden=8, embedding=4, dropout=0.0)


def sequence(*parts) -> EmotionSequence:
    return EmotionSequence(tuple(EmotionSegment(*part) for part in parts))


def random_net(seed=0, **config) -> RhythmNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = RhythmNet(replace(SMALL, **config))
        torch.nn.init.normal_(network.head.weight, std=0.5)
    return network.eval().requires_grad_(False)


class TestNumbers:
    def test_measures_are_log_seconds_and_the_logit_of_half_the_strength(self):
        emotions, measures = to_numbers(sequence((HAPPY, 1.0, math.e), (NEUTRAL, 1.7, 1.0), (SAD, 0.5, 2.0)))
        assert emotions.tolist() == [BEGIN, HAPPY.index, 0, SAD.index]
        assert torch.allclose(measures, torch.tensor([[0, 0], [1, 0], [0, 0], [math.log(2), math.log(0.25 / 0.75)]]))

    def test_neighbours_of_one_emotion_become_one(self):
        whole = joined(sequence((HAPPY, 1.0, 1.0), (HAPPY, 0.4, 2.0), (SAD, 1, 1), (HAPPY, 1, 1)))
        assert [s.emotion for s in whole.segments] == [HAPPY, SAD, HAPPY]
        assert whole.segments[0].duration == 3.0
        assert whole.segments[0].strength == pytest.approx(0.6)

    def test_the_ends_of_the_strength_stay_finite(self):
        _, measures = to_numbers(sequence((HAPPY, 0.0, 1.0), (SAD, 2.0, 1.0)))
        assert measures.isfinite().all()

    def test_short_sequences_are_filled_up(self):
        emotions, measures = stacked(
            [to_numbers(sequence((HAPPY, 1, 1))), to_numbers(sequence((SAD, 1, 1), (HAPPY, 1, 1)))]
        )
        assert emotions.tolist() == [[BEGIN, HAPPY.index, NOTHING], [BEGIN, SAD.index, HAPPY.index]]
        assert measures.shape == (2, 3, 2)


class TestPredict:
    def test_it_starts_as_told_and_lasts_as_told(self):
        for seconds, start in itertools.product((0.1, 3.0, 20.0), (HAPPY, NEUTRAL)):
            drawn = predict(random_net(), start, seconds, seed=4)
            assert drawn.segments[0].emotion is start
            assert drawn.duration == pytest.approx(seconds, abs=1e-6)
            pairs = itertools.pairwise(drawn.segments)
            assert all(a.emotion is not b.emotion for a, b in pairs)

    def test_a_seed_is_a_sequence_and_the_global_state_stays(self):
        state = torch.random.get_rng_state()
        first, same, other = (predict(random_net(), SAD, 30, seed=seed) for seed in (1, 1, 2))
        assert first == same != other
        assert torch.random.get_rng_state().equal(state)

    def test_temperature_0_takes_the_likeliest_whatever_the_seed(self):
        network = random_net()
        cold = predict(network, SAD, 30, seed=1, temperature=0)
        assert cold == predict(network, SAD, 30, seed=2, temperature=0)
        numbers = to_numbers(cold)
        logits = network(numbers[0][None], numbers[1][None]).logits[0, 1:-1]
        assert logits.argmax(1).tolist() == numbers[0][2:].tolist()

    def test_temperature_widens(self):
        network = random_net()
        network.head.weight *= 0.1

        def spread(temperature):
            drawn = [predict(network, HAPPY, 60, seed=k, temperature=temperature) for k in range(4)]
            seconds = [math.log(s.duration) for d in drawn for s in d.segments[:-1]]
            return torch.tensor(seconds).std()

        assert spread(0.1) < 0.6 * spread(1.0)

    def test_drawn_emotions_follow_the_chances(self):
        """A chain that always goes happy - sad - happy."""
        network = random_net(layers=1)
        network.head.weight.zero_()
        chances = torch.full((EMOTIONS + 1, EMOTIONS), -50.0)
        chances[HAPPY.index, SAD.index] = chances[SAD.index, HAPPY.index] = 0.0
        network.lean_on(chances, torch.zeros(EMOTIONS, 2), torch.full((EMOTIONS, 2), 0.1))
        drawn = predict(network, HAPPY, 10)
        assert [s.emotion for s in drawn.segments[:4]] == [HAPPY, SAD, HAPPY, SAD]
        assert all(0.6 < s.duration < 1.7 for s in drawn.segments[:-1])
        assert all(0.8 < s.strength < 1.2 for s in drawn.segments)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"seconds": 0}, "seconds is 0"), ({"seconds": -1.0}, "seconds is -1"), ({"seconds": math.inf}, "at most"),
            ({"seconds": math.nan}, "seconds is nan"), ({"temperature": -0.1}, "temperature"), ({"seed": -1}, "seed"),
        ],
    )  # fmt: skip
    def test_numbers_out_of_range(self, wrong, message):
        given = {"seconds": 5.0, **wrong}
        with pytest.raises(UsageError, match=message):
            predict(random_net(), HAPPY, given.pop("seconds"), **given)

    def test_the_public_verb(self, tmp_path):
        drawn = api.predict_emotions("happiness", 20.0, seed=1)
        assert drawn == api.predict_emotions(HAPPY, 20, seed=1)
        assert drawn.duration == pytest.approx(20)
        with pytest.raises(UsageError, match="expected one of neutral, happiness"):
            api.predict_emotions("joy", 20)
        with pytest.raises(UnknownNetwork, match="rhythm"):
            api.predict_emotions("fear", 20, model="rythm")


class TestMarkovChain:
    def test_it_counts(self):
        told = sequence(*[(HAPPY, 1.0, 2.0), (SAD, 1.0, 4.0)] * 50)
        chain = MarkovChain([to_numbers(told)])
        assert chain.log_transition.exp().sum(1).tolist() == pytest.approx([1.0] * (EMOTIONS + 1))
        assert chain.log_transition[HAPPY.index].exp()[SAD.index] == pytest.approx(50.5 / 53)
        assert chain.log_transition[BEGIN].exp()[HAPPY.index] == pytest.approx(1.5 / 4.5)
        assert chain.mean[HAPPY.index, 0].exp() == pytest.approx(2.0, rel=0.05)
        assert chain.mean[SAD.index, 0].exp() == pytest.approx(4.0, rel=0.05)

    def test_an_emotion_that_never_came_is_like_all(self):
        chain = MarkovChain([to_numbers(sequence(*[(HAPPY, 1.0, 2.0), (NEUTRAL, 1.0, 4.0)] * 9))])
        assert chain.mean[ANGRY.index, 0] == pytest.approx(1.5 * math.log(2))
        assert chain.deviation[ANGRY.index, 0] == pytest.approx(0.5 * math.log(2))

    def test_perplexity_of_even_chances(self):
        chain = MarkovChain([to_numbers(sequence((HAPPY, 1, 1)))])
        chain.log_transition[:] = -math.log(6)
        emotions, measures = stacked([to_numbers(story) for story in stories(3, 1)])
        assert figures(chain.surprise(emotions, measures), emotions)["perplexity"] == pytest.approx(6.0)
