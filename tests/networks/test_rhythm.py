"""Emotions to come: the network, sequences as numbers, drawing, the Markov chain, the stories and the recipe."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from latentface import api, pretrained
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.prediction import MarkovChain, figures, joined, predict, stacked, to_numbers
from latentface.errors import InputError, UnknownNetwork, UsageError
from latentface.networks.rhythm import BEGIN, EMOTIONS, NOTHING, RhythmConfig, RhythmNet, counted
from latentface.training import rhythm
from latentface.training.loop import Loop, LoopOptions
from latentface.training.rhythm import FEW_OPTIONS, RhythmTask, fit, held_apart
from latentface.training.stories import ARCS, best_perplexity, stories

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


@pytest.fixture(scope="module")
def told():
    return stories(40, 5)


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
