"""The rhythm network: its layers, its likelihoods, its memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentface import pretrained
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.prediction import stacked, to_numbers
from latentface.errors import UsageError
from latentface.networks.rhythm import BEGIN, EMOTIONS, RhythmConfig, RhythmNet, counted
from latentface.training.rhythm import RhythmTask
from latentface.training.stories import stories

HAPPY, SAD, NEUTRAL = Emotion.HAPPINESS, Emotion.SADNESS, Emotion.NEUTRAL
SMALL = RhythmConfig(hidden=8, embedding=4, dropout=0.0)


def sequence(*parts) -> EmotionSequence:
    return EmotionSequence(tuple(EmotionSegment(*part) for part in parts))


def random_net(seed=0, **config) -> RhythmNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = RhythmNet(replace(SMALL, **config))
        torch.nn.init.normal_(network.head.weight, std=0.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def told():
    return stories(40, 5)


class TestNetwork:
    def test_it_has_four_layers(self):
        assert RhythmNet().lstm.num_layers == 4
        assert pretrained.load_rhythm().lstm.num_layers == 4

    def test_no_emotion_follows_itself(self):
        logits = random_net()(torch.arange(EMOTIONS + 1)[None], torch.zeros(1, EMOTIONS + 1, 2)).logits[0]
        assert logits[:EMOTIONS].isneginf().equal(torch.eye(EMOTIONS, dtype=torch.bool))
        assert logits[BEGIN].isfinite().all()

    def test_surprise_is_the_density_of_what_came(self):
        """Against torch.distributions, one segment at a time."""
        network = random_net()
        emotions, measures = to_numbers(sequence((HAPPY, 0.7, 2.0), (NEUTRAL, 1, 3.0), (SAD, 1.2, 0.5)))
        outlook = network(emotions[None, :-1], measures[None, :-1])
        found = network.surprise(emotions[None], measures[None])[0]
        for k, index in enumerate(emotions[1:].tolist()):
            expected = [-outlook.logits[0, k].log_softmax(0)[index]]
            normal = torch.distributions.Normal(outlook.mean[0, k, index], outlook.log_deviation[0, k, index].exp())
            expected += (-normal.log_prob(measures[k + 1])).tolist()
            if index == NEUTRAL.index:
                expected[2] = 0.0
            assert found[k].tolist() == pytest.approx([float(value) for value in expected], abs=1e-5)

    def test_what_fills_up_counts_for_nothing(self):
        parts = [to_numbers(story) for story in stories(2, 0)]
        parts[0] = parts[0][0][:9], parts[0][1][:9]
        emotions, measures = stacked(parts)
        both = random_net().surprise(emotions, measures)
        alone = random_net().surprise(parts[0][0][None], parts[0][1][None])
        assert torch.allclose(both[0, :8], alone[0], atol=1e-5)
        assert (both[0, 8:] == 0).all()
        assert not counted(emotions)[0, 9:].any()

    def test_the_past_matters_and_the_future_does_not(self):
        network = random_net()
        emotions, measures = torch.tensor([[BEGIN, 1, 2, 3, 4]]), torch.zeros(1, 5, 2)
        before = network(emotions, measures).logits
        changed = network(torch.tensor([[BEGIN, 5, 2, 3, 1]]), measures).logits
        assert before[0, 0].equal(changed[0, 0])
        assert not torch.allclose(before[0, 3, 0], changed[0, 3, 0])

    def test_states_carry_on(self):
        network = random_net()
        emotions, measures = to_numbers(stories(1, 3)[0])
        whole = network(emotions[None], measures[None])
        first = network(emotions[None, :7], measures[None, :7])
        second = network(emotions[None, 7:], measures[None, 7:], first.state)
        assert torch.allclose(torch.cat([first.mean, second.mean], 1), whole.mean, atol=1e-5)

    def test_untrained_it_is_the_chain(self, told):
        numbers = [to_numbers(story) for story in told]
        task = RhythmTask(numbers, numbers[:3], SMALL)
        batch = stacked(numbers)
        with torch.no_grad():
            assert torch.allclose(task.build().surprise(*batch), task.chain.surprise(*batch), atol=1e-4)

    @pytest.mark.parametrize("wrong", [{"hidden": 0}, {"layers": 0}, {"dropout": 1.0}])
    def test_an_impossible_shape(self, wrong):
        with pytest.raises(UsageError, match="hidden, layers and embedding"):
            RhythmConfig(**wrong)
