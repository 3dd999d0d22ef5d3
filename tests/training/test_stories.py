"""The generated stories: their grammar, their seed, and a memory longer than one step."""

from __future__ import annotations

import itertools

import pytest

from latentface.emotion import Emotion
from latentface.emotions.prediction import MarkovChain, figures, stacked, to_numbers
from latentface.training.stories import ARCS, best_perplexity, stories

NEUTRAL = Emotion.NEUTRAL


@pytest.fixture(scope="module")
def told():
    return stories(40, 5)


class TestStories:
    def test_arcs_obey_the_rule_that_no_emotion_follows_itself(self, told):
        for emotions, *followers in ARCS.values():
            assert all(a is not b for a, b in itertools.pairwise(emotions))
            assert NEUTRAL not in (emotions[0], emotions[-1])
            assert set(followers) <= set(ARCS)
        for story in told:
            assert all(a.emotion is not b.emotion for a, b in itertools.pairwise(story.segments))

    def test_a_seed_is_a_corpus(self):
        assert stories(2, 1) == stories(2, 1)
        assert stories(2, 1) != stories(2, 2)

    def test_their_memory_is_longer_than_one_step(self, told):
        chain = MarkovChain([to_numbers(story) for story in told])
        emotions, measures = stacked([to_numbers(story) for story in told])
        assert figures(chain.surprise(emotions, measures), emotions)["perplexity"] > 2 * best_perplexity(told)
