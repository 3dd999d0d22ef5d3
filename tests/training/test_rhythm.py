"""The recipe of the rhythm network, for generated stories and for sequences that were read from films."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from latentface import pretrained
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.prediction import MarkovChain, figures, stacked, to_numbers
from latentface.errors import InputError
from latentface.networks.rhythm import NOTHING, RhythmConfig
from latentface.training import rhythm
from latentface.training.loop import Loop, LoopOptions
from latentface.training.rhythm import FEW_OPTIONS, RhythmTask, fit, held_apart
from latentface.training.stories import best_perplexity, stories

HAPPY, SAD, NEUTRAL = Emotion.HAPPINESS, Emotion.SADNESS, Emotion.NEUTRAL
SMALL = RhythmConfig(hidden=8, embedding=4, dropout=0.0)


def sequence(*parts) -> EmotionSequence:
    return EmotionSequence(tuple(EmotionSegment(*part) for part in parts))


@pytest.fixture(scope="module")
def told():
    return stories(40, 5)


class TestRecipe:
    def test_the_built_in_network_beats_the_chain_and_nears_the_limit(self):
        learnt, unseen = stories(300, 77), stories(40, 78)
        emotions, measures = stacked([to_numbers(story) for story in unseen])
        with torch.inference_mode():
            ours = figures(pretrained.load_rhythm().surprise(emotions, measures), emotions)
        chain = figures(MarkovChain([to_numbers(story) for story in learnt]).surprise(emotions, measures), emotions)
        assert best_perplexity(unseen) * 0.98 < ours["perplexity"] < 0.5 * chain["perplexity"]
        assert ours["duration"] < chain["duration"] and ours["strength"] < chain["strength"]

    def test_a_batch_is_made_of_windows(self, told):
        task = RhythmTask([to_numbers(story) for story in told], [to_numbers(told[0])], SMALL, batch=16)
        emotions, measures, _ = task.sample_batch(torch.Generator().manual_seed(0))
        whole = [to_numbers(story)[0].tolist() for story in told]
        for row in emotions.tolist():
            row = [value for value in row if value != NOTHING]
            assert any(row == story[k : k + len(row)] for story in whole for k in range(len(story)))
        assert measures.shape == (16, rhythm.WINDOW + 1, 2)

    def test_the_recipe_runs_at_the_command_line(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(rhythm, "STORIES", 6)
        monkeypatch.setattr(rhythm, "HELD_OUT", 2)
        rhythm.main(["--out", str(tmp_path), "--steps", "2", "--device", "cpu"])
        assert "perplexity" in capsys.readouterr().out
        assert pretrained.load_rhythm(tmp_path / "rhythm.safetensors").config == RhythmConfig()

    def test_a_stopped_run_ends_with_the_same_bytes(self, told, tmp_path):
        numbers = [to_numbers(story) for story in told]
        task = RhythmTask(numbers[5:], numbers[:5], replace(SMALL, dropout=0.2), batch=4)
        options = LoopOptions(steps=6, minutes=None, measure_every=3, bfloat16=False, keep_best="nats")
        whole = Loop(task, tmp_path / "whole", options).run(say=lambda line: None)
        Loop(task, tmp_path / "parts", options).run(stop_after=4, say=lambda line: None)
        parts = Loop(task, tmp_path / "parts", options).run(say=lambda line: None)
        assert whole.read_bytes() == parts.read_bytes()

    def test_the_best_state_is_kept(self, told, tmp_path):
        class Worsening(RhythmTask):
            def measure(self, network):
                self.seen = [*getattr(self, "seen", []), network.head.bias.clone()]
                return {"nats": float(len(self.seen))}

        numbers = [to_numbers(story) for story in told]
        task = Worsening(numbers[5:], numbers[:5], SMALL, batch=4)
        options = LoopOptions(steps=4, minutes=None, measure_every=2, bfloat16=False, average=0.0, keep_best="nats")
        path = Loop(task, tmp_path, options).run(say=lambda line: None)
        kept = pretrained.load_rhythm(path).head.bias
        assert torch.allclose(kept, task.seen[0], atol=1e-3)
        assert not torch.allclose(kept, task.seen[1], atol=1e-5)


class TestFit:
    def test_it_learns_a_memory_that_a_chain_has_not(self, tmp_path):
        """Two emotions before decide: happy, neutral, sad, neutral, happy ..."""
        told = sequence(*[(HAPPY, 1, 2), (NEUTRAL, 1, 1), (SAD, 1, 2), (NEUTRAL, 1, 1)] * 60)
        steps = []
        options = replace(FEW_OPTIONS, steps=120, warm_up=10, learning_rate=0.02)
        fitted = fit([told], tmp_path / "run", options, replace(SMALL, hidden=16, layers=1), steps.append)
        assert (fitted.sequences, fitted.segments, fitted.judged) == (1, 240, 24)
        assert fitted.beats_chain
        assert fitted.figures["perplexity"] < 1.25 < fitted.chain["perplexity"]
        assert steps == list(range(1, 121))

    def test_too_few_say_how_many_are_needed(self, tmp_path):
        with pytest.raises(InputError, match="4 segments in 2 sequences are too few to learn from; give 100 or more"):
            fit([sequence((HAPPY, 1, 1), (SAD, 1, 1))] * 2, tmp_path)

    def test_a_run_on_other_sequences_is_not_gone_on_with(self, tmp_path):
        options = replace(FEW_OPTIONS, steps=2)
        fit(stories(12, 0), tmp_path, options, SMALL)
        with pytest.raises(InputError, match="a run on other sequences or with other options"):
            fit(stories(12, 1), tmp_path, options, SMALL)

    def test_held_apart_never_shares_a_segment(self):
        many = [to_numbers(story) for story in stories(20, 0)]
        learn, choose, held_out = held_apart(many)
        assert [len(part) for part in (learn, choose, held_out)] == [14, 4, 2]
        assert not {id(part[0]) for part in learn} & {id(part[0]) for part in (*choose, *held_out)}
        emotions, measures = torch.arange(101), torch.zeros(101, 2)
        told = [part[0][0][1:].tolist() for part in held_apart([(emotions, measures)])]
        assert list(itertools.chain(*told)) == list(range(1, 101))
        assert [len(part) for part in told] == [70, 20, 10]
