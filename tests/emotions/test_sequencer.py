"""The sequencer against what its parts are by definition, with made-up directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.sequencer import (
    BLINK_SECONDS,
    Blinks,
    Repertoire,
    Sequencer,
    Sway,
    Timeline,
    frame_times,
    idle_motion,
    slerp,
)
from latentface.errors import LatentMismatch, UsageError
from latentface.latents.latent import Direction, Latent
from latentface.options.clips import SequenceOptions

ROWS, WIDTH = 6, 5
EASINGS = ("linear", "cosine", "spline", "slerp")


def values(seed: int) -> torch.Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed))


def direction(seed: int, fingerprint: str = "f") -> Direction:
    return Direction(values(seed), fingerprint)


START = Latent(values(0) + 3, "f", noise=(torch.ones(4, 4),), metadata={"from": "here"})
REPERTOIRE = Repertoire(
    {emotion: direction(k) for k, emotion in enumerate(Emotion) if k}, direction(10), direction(11), direction(12)
)


def script(*names: str, seconds: float = 1.0, strength: float = 1.0) -> EmotionSequence:
    return EmotionSequence(tuple(EmotionSegment(Emotion.of(name), strength, seconds) for name in names))


def sequencer(*names: str, start: Latent = START, seconds: float = 1.0, **options: object) -> Sequencer:
    return Sequencer(
        start, REPERTOIRE, script(*names, seconds=seconds), SequenceOptions(**options), centre=torch.zeros(WIDTH)
    )


@pytest.mark.parametrize("easing", EASINGS)
@pytest.mark.parametrize("hold", [0.0, 0.4])
def test_keyframes_are_the_start_moved_along_directions(easing: str, hold: float) -> None:
    face = sequencer("happiness", "neutral", "fear", seconds=2.0, easing=easing, hold=hold)
    found = face.ws([0.0, 1.0, 3.0, 5.0, 6.0])
    joy, fear = (REPERTOIRE.emotions[e].values for e in (Emotion.HAPPINESS, Emotion.FEAR))
    expected = torch.stack([START.ws, START.ws + joy, START.ws, START.ws + fear, START.ws + fear])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("easing", EASINGS)
def test_what_the_start_shows_already_is_taken_back(easing: str) -> None:
    own = np.zeros(len(Emotion))
    own[Emotion.HAPPINESS.index] = 0.75
    options = SequenceOptions(easing=easing, loop=True)
    face = Sequencer(START, REPERTOIRE, script("neutral", "happiness", "fear"), options, centre=torch.zeros(5), own=own)
    joy, fear = (REPERTOIRE.emotions[e].values for e in (Emotion.HAPPINESS, Emotion.FEAR))
    rest = START.ws - 0.75 * joy
    expected = torch.stack([START.ws, rest, rest + joy, rest + fear, START.ws])
    torch.testing.assert_close(face.ws([0.0, 0.5, 1.5, 2.5, 3.0]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("easing", EASINGS)
@pytest.mark.parametrize("loop", [False, True])
def test_paths_are_continuous_and_hold(easing: str, loop: bool) -> None:
    face = sequencer("happiness", "surprise", "sadness", easing=easing, loop=loop, hold=0.5)
    ws = face.ws(np.linspace(0, face.seconds, 3001))
    steps = (ws[1:] - ws[:-1]).abs().amax(dim=(1, 2))
    assert 1e-4 < float(steps.max()) < 0.05  # a jump from face to face would be 1 and more
    held = face.ws(np.linspace(1.26, 1.74, 50))  # the middle half of the second segment
    torch.testing.assert_close(held, held[:1].expand_as(held), atol=1e-5, rtol=0)
    end = START.ws if loop else START.ws + REPERTOIRE.emotions[Emotion.SADNESS].values
    torch.testing.assert_close(ws[-1], end, atol=1e-5, rtol=0)


def test_smooth_easings_have_no_kinks() -> None:
    def kink(easing: str, hold: float) -> float:
        weights = Timeline(script("happiness", "surprise"), SequenceOptions(easing=easing, hold=hold))
        path = weights.at(np.linspace(0, 2, 4001))
        return float(np.abs(np.diff(path, 2, axis=0)).max() * 2000)  # jump of the speed, in strengths a second

    assert kink("linear", 0.4) > 1
    assert kink("cosine", 0.4) < 0.05
    assert kink("spline", 0.4) < 0.05
    assert kink("spline", 0.0) < 0.05


def test_spline_runs_through_an_emotion_that_is_not_held() -> None:
    times = np.array([1.5 - 1e-4, 1.5 + 1e-4])  # about the middle of surprise
    speeds = {}
    for easing in ("cosine", "spline"):
        weights = Timeline(script("happiness", "surprise", "neutral"), SequenceOptions(easing=easing, hold=0.0))
        speeds[easing] = np.abs(np.diff(weights.at(times), axis=0)).sum() / 2e-4
    assert speeds["cosine"] < 0.01 < 0.5 < speeds["spline"]


@pytest.mark.parametrize("easing", ["linear", "cosine", "spline"])
def test_beyond_its_ends_a_path_stays_where_it_began_and_ended(easing: str) -> None:
    timeline = Timeline(EmotionSequence.of("happiness,fear"), SequenceOptions(easing=easing, loop=False, hold=0.0))
    ends = timeline.at(np.array([0.0, timeline.seconds]))
    beyond = timeline.at(np.array([-1.0, timeline.seconds + 1e-9, timeline.seconds + 5]))
    np.testing.assert_array_equal(beyond, ends[[0, 1, 1]])
    assert ends[1, Emotion.FEAR.index] == 1


def test_slerp_keeps_the_distance_from_the_centre() -> None:
    centre = torch.full((WIDTH,), 2.0)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(3)))[0]
    away = START.ws - centre
    repertoire = Repertoire({Emotion.ANGER: Direction(away @ turn - away, "f")})
    face = Sequencer(START, repertoire, script("anger"), SequenceOptions(easing="slerp", hold=0.0), centre=centre)
    ws = face.ws(np.linspace(0, 0.5, 9))
    lengths = torch.linalg.vector_norm(ws - centre, dim=-1)
    torch.testing.assert_close(lengths, lengths[:1].expand_as(lengths), rtol=1e-4, atol=1e-4)
    straight = Sequencer(START, repertoire, script("anger"), SequenceOptions(hold=0.0)).ws([0.25])
    assert (torch.linalg.vector_norm(straight - centre, dim=-1) < lengths[4] - 1e-3).any()


def test_slerp_agrees_with_a_known_arc_and_with_a_line_for_parallel_vectors() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    middle = slerp(a, b, torch.tensor([[0.5]]))
    torch.testing.assert_close(middle, torch.tensor([[2.0, 2.0]]) / 2**0.5)
    torch.testing.assert_close(slerp(a, 2 * a, torch.tensor([[0.25]])), 1.25 * a)
    assert torch.isfinite(slerp(a, torch.zeros(1, 2), torch.tensor([[0.5]]))).all()


def test_slerp_needs_a_centre() -> None:
    with pytest.raises(UsageError, match="centre"):
        Sequencer(START, REPERTOIRE, script("anger"), SequenceOptions(easing="slerp"))


def test_strength_scales_every_keyframe() -> None:
    joy = REPERTOIRE.emotions[Emotion.HAPPINESS].values
    face = Sequencer(START, REPERTOIRE, script("happiness", strength=1.5), SequenceOptions(strength=0.5))
    torch.testing.assert_close(face.ws([0.5])[0], START.ws + 0.75 * joy)


def test_extremes_are_each_emotion_at_its_strongest_and_the_head_at_each_side() -> None:
    segments = [(Emotion.FEAR, 0.5), (Emotion.NEUTRAL, 2.0), (Emotion.FEAR, 1.5), (Emotion.ANGER, 1.0)]
    sequence = EmotionSequence(tuple(EmotionSegment(emotion, strength, 1.0) for emotion, strength in segments))
    extremes = Sequencer(START, REPERTOIRE, sequence, SequenceOptions(sway=4.0)).extremes()
    assert list(extremes)[:2] == ["anger 1", "fear 1.5"]
    found = torch.stack(list(extremes.values())) - START.ws
    anger, fear = (REPERTOIRE.emotions[e].values for e in (Emotion.ANGER, Emotion.FEAR))
    yaw, pitch = REPERTOIRE.yaw.values, REPERTOIRE.pitch.values
    expected = torch.stack([anger, 1.5 * fear, -4 * yaw, 4 * yaw, -2 * pitch, 2 * pitch])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(Emotion)), st.floats(0, 2), st.floats(0.01, 9)), min_size=1, max_size=8),
       st.floats(0, 0.95), st.booleans(), st.sampled_from(["linear", "cosine"]))  # fmt: skip
def test_strengths_never_leave_those_of_the_keyframes(segments, hold, loop, easing) -> None:
    sequence = EmotionSequence(tuple(EmotionSegment(*each) for each in segments))
    timeline = Timeline(sequence, SequenceOptions(hold=hold, loop=loop, easing=easing))
    assert (np.diff(timeline.times) > 0).all()
    weights = timeline.at(np.linspace(0, sequence.duration, 97))
    assert (weights >= -1e-9).all()
    assert (weights <= timeline.weights.max(0) + 1e-9).all()
    assert not weights[0].any()


def test_one_latent_a_frame_that_keeps_noise_and_metadata() -> None:
    face = sequencer("happiness", loop=True)
    latents = list(face.latents(25))
    assert len(latents) == 25
    assert latents[0] == START
    assert latents[12].metadata == START.metadata
    assert torch.equal(latents[12].noise[0], START.noise[0])
    torch.testing.assert_close(torch.stack([each.ws for each in latents]), face.ws(frame_times(1.0, 25)))


def test_a_loop_closes() -> None:
    face = sequencer("happiness", "fear", loop=True, blinks=30.0, sway=3.0, seconds=3.0)
    times = frame_times(face.seconds, 60)
    ws = face.ws(times)
    steps = torch.linalg.vector_norm(ws - ws.roll(1, 0), dim=(1, 2))
    assert float(steps[0]) < 2 * float(steps.median()) + 1e-6  # from the last frame to the first
    assert torch.equal(ws[0], START.ws)


# ---------------------------------------------------------------------------------------------- blinks and sway


def test_blinks_and_sway_are_the_callers_unless_the_options_say_otherwise() -> None:
    times = np.linspace(0, 20, 501)

    def most(options: SequenceOptions, *usual: float) -> list[float]:
        return [float(np.abs(signal(times)).max()) for signal in idle_motion(20.0, options, *usual)]

    assert most(SequenceOptions()) == [0, 0, 0] == most(SequenceOptions(blinks=0.0, sway=0.0), 15.0, 2.0)
    shut, yaw, pitch = most(SequenceOptions(), 15.0, 2.0)
    assert shut > 0.9 and 0.5 < yaw <= 2 and 0.2 < pitch <= 1
    assert most(SequenceOptions(blinks=15.0, sway=2.0)) == [shut, yaw, pitch]


def test_blinks_are_as_long_and_as_many_as_they_should_be() -> None:
    blinks = Blinks(600.0, 15.0, np.random.default_rng(0))
    assert 120 < len(blinks.spans) < 180
    assert all(BLINK_SECONDS[0] <= length <= BLINK_SECONDS[1] for _, length in blinks.spans)
    begins = np.array([begin for begin, _ in blinks.spans])
    assert np.diff(begins).std() > 1  # no metronome
    assert begins[-1] + blinks.spans[-1][1] <= 600
    for begin, length in blinks.spans[:20]:
        shut = blinks(np.linspace(begin, begin + length, 201))
        assert (shut[0], shut[-1]) == pytest.approx((0, 0), abs=1e-9)
        assert shut.max() == pytest.approx(1)
        assert np.argmax(shut) < 100  # down more quickly than up
    frames = blinks(np.arange(0, 600, 1 / 25))
    assert all(frames[round(b * 25) : round((b + n) * 25) + 1].max() > 0.7 for b, n in blinks.spans)


def test_blinks_move_only_along_their_direction() -> None:
    with_blinks = sequencer("neutral", seconds=8.0, blinks=20.0)
    moved = with_blinks.ws(frame_times(8.0, 200)) - START.ws
    along = REPERTOIRE.blink.values
    amount = (moved * along).sum((1, 2)) / along.square().sum()
    torch.testing.assert_close(moved, amount[:, None, None] * along, atol=1e-5, rtol=0)
    assert float(amount.max()) > 0.8 and float(amount.min()) > -1e-6


@pytest.mark.parametrize("loop", [False, True])
def test_sway_is_smooth_and_stays_within_its_degrees(loop: bool) -> None:
    for seed in range(5):
        sway = Sway(8.0, 4.0, loop, np.random.default_rng(seed))
        path = sway(np.linspace(0, 8, 401))
        assert path[0] == 0
        assert 0.5 < np.abs(path).max() <= 4
        assert np.abs(np.diff(path)).max() < 0.2  # degrees in a fiftieth of a second
        if loop:
            assert path[-1] == pytest.approx(0, abs=1e-9)


def test_blinks_without_a_direction_are_left_to_whoever_shows_the_face() -> None:
    options = SequenceOptions(blinks=20.0)
    bare = Sequencer(START, Repertoire(), script("neutral", seconds=8.0), options)
    assert not bare.yaw(np.array([1.0, 2.0])).any()
    times = frame_times(8.0, 200)
    assert torch.equal(bare.ws(times), START.ws.expand(200, -1, -1))
    assert np.array_equal(bare.shut(times), sequencer("neutral", seconds=8.0, blinks=20.0).shut(times))
    assert bare.shut(times).max() > 0.8
    assert not sequencer("neutral", seconds=8.0).shut(times).any()


def test_seeds_decide() -> None:
    first, same, other = (
        sequencer("neutral", seconds=8.0, blinks=20.0, sway=3.0, seed=seed).ws([1.0, 2.0, 5.0]) for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.allclose(first, other)


# ---------------------------------------------------------------------------------------------- what cannot be done


def test_missing_directions_are_named_only_when_they_are_wanted() -> None:
    bare = Repertoire({Emotion.FEAR: direction(1)})
    Sequencer(START, bare, script("fear", "neutral"))
    for options, names, missing in ((SequenceOptions(), ("happiness",), "happiness"),):
        with pytest.raises(UsageError, match=missing):
            Sequencer(START, bare, script(*names), options)


def test_directions_of_another_network() -> None:
    with pytest.raises(LatentMismatch):
        Sequencer(START, Repertoire({Emotion.FEAR: direction(1, "g")}), script("fear"))
