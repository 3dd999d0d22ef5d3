"""Expression videos: which directions a sequence needs, its frames, and what a face shows already."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api
from latentface.editing.expression_video import FULL, load_repertoire, perform, read_own
from latentface.editing.inverted_face import Face
from latentface.editing.placement import synthesise
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.recognition import Recogniser
from latentface.emotions.sequencer import Repertoire
from latentface.errors import UsageError
from latentface.latents.latent import Direction
from latentface.networks.generator import Generator
from latentface.options.clips import SequenceOptions, VideoOptions
from latentface.pretrained.directions import write_directions
from tests.helpers.cli_desk import Desk

NAMES = ("happiness", "fear", "eyes-closed", "yaw", "pitch")
JOY = EmotionSequence((EmotionSegment(Emotion.HAPPINESS, 1.0, 2.0), EmotionSegment(Emotion.NEUTRAL, 1.0, 1.0)))
STILL = SequenceOptions(blinks=False, sway=0.0, rest=False)


def write_named(folder: Path, generator: Generator, names: tuple[str, ...] = NAMES) -> dict[str, Direction]:
    """Random directions of those names where the user's own are kept."""
    source = torch.Generator().manual_seed(0)
    made = {name: Direction(0.1 * torch.randn(6, 8, generator=source), generator.fingerprint, name) for name in names}
    (folder / "cache" / "directions").mkdir(parents=True)
    write_directions(folder / "cache" / "directions" / "made.safetensors", list(made.values()))
    return made


def test_directions_are_scaled_to_full_emotions_shut_eyes_and_degrees(desk: Desk, generator: Generator) -> None:
    made = write_named(desk.folder, generator)
    repertoire = load_repertoire(generator, JOY, SequenceOptions(blinks=True, sway=1.0))
    assert set(repertoire.emotions) == {Emotion.HAPPINESS, Emotion.FEAR}, "all that there are"
    found = {emotion.value: direction for emotion, direction in repertoire.emotions.items()}
    assert repertoire.blink is not None and repertoire.yaw is not None and repertoire.pitch is not None
    found |= {"eyes-closed": repertoire.blink, "yaw": repertoire.yaw, "pitch": repertoire.pitch}
    for name, direction in found.items():
        assert torch.allclose(direction.values, FULL[name] * made[name].values, rtol=2e-3, atol=1e-4)  # kept as float16


def test_what_the_photo_itself_does_is_not_done_by_the_latent(desk: Desk, generator: Generator) -> None:
    write_named(desk.folder, generator, ("happiness",))  # no blinks and no turns, and none are missed
    repertoire = load_repertoire(generator, JOY, SequenceOptions(blinks=True, sway=1.0), expressions_only=True)
    assert (repertoire.blink, repertoire.yaw, repertoire.pitch) == (None, None, None)


def test_a_direction_that_is_missing_is_told_of(desk: Desk, generator: Generator) -> None:
    write_named(desk.folder, generator, ("fear",))
    with pytest.raises(UsageError, match="no direction 'happiness'"):
        load_repertoire(generator, JOY, STILL)


def test_frames_share_the_seconds_and_show_the_sequence(desk: Desk, generator: Generator, face: Face) -> None:
    write_named(desk.folder, generator)
    made = perform(Face(face.latent), JOY, generator, STILL, VideoOptions(fps="5", batch=4))
    assert made.count == 15 and made.rate == 5
    clip = made.clip
    assert (clip.size, clip.rate, clip.count, clip.alpha) == ((16, 16), 5, 15, False)
    frames = list(clip)
    assert [frame.time for frame in frames] == [Fraction(k, 5) for k in range(15)]
    ws = made.sequencer.ws(np.arange(15) * 3.0 / 15)
    wanted = synthesise(generator, face.latent, ws)
    assert np.abs(np.stack([frame.pixels for frame in frames]).astype(int) - wanted).max() <= 1
    assert np.abs(frames[0].pixels.astype(int) - frames[7].pixels).max() > 3


@pytest.mark.parametrize("batch", [1, 2, 15, 64])
def test_the_batch_does_not_show(desk: Desk, generator: Generator, face: Face, batch: int) -> None:
    write_named(desk.folder, generator)
    made = perform(Face(face.latent), JOY, generator, STILL, VideoOptions(fps="2", batch=batch))
    frames = [frame.pixels.astype(int) for frame in made]
    alone = [synthesise(generator, face.latent, made.sequencer.ws([k / 2])[:1])[0] for k in range(6)]
    assert np.abs(np.stack(frames) - np.stack(alone)).max() <= 1
    assert np.array_equal(np.stack([frame.pixels for frame in made]), np.stack(frames)), "and so again"


@pytest.mark.parametrize("place", ["warp", "paste"])
def test_a_photo_keeps_its_size_and_its_alpha(desk: Desk, generator: Generator, face: Face, place: str) -> None:
    write_named(desk.folder, generator)
    assert face.photo is not None
    alpha = np.full(face.photo.rgb.shape[:2], 200, np.uint8)
    object.__setattr__(face.photo, "alpha", alpha)
    made = perform(face, JOY, generator, STILL, VideoOptions(fps="1", place=place))
    height, width = alpha.shape
    assert made.clip.size == (width, height) and made.clip.alpha
    frames = [frame.pixels for frame in made.clip]
    assert len(frames) == 3 and all(np.array_equal(frame[..., 3], alpha) for frame in frames)
    assert all(np.array_equal(frame[:, :8, :3], face.photo.rgb[:, :8]) for frame in frames)


def test_a_clip_without_a_frame_is_refused(desk: Desk, generator: Generator, face: Face) -> None:
    short = EmotionSequence((EmotionSegment(Emotion.NEUTRAL, 1.0, 0.04),))
    with pytest.raises(UsageError, match=r"0\.04 seconds at 10 frames a second have no frame"):
        perform(face, short, generator, STILL, VideoOptions(fps="10"))


def test_emotions_too_strong_for_the_network_are_told_of(desk: Desk, generator: Generator, face: Face) -> None:
    write_named(desk.folder, generator)
    notes: list[str] = []
    perform(Face(face.latent), JOY, generator, STILL, VideoOptions(fps="1"), note=notes.append)
    assert notes == []
    source = torch.Generator().manual_seed(1)
    strong = Direction(50 * torch.randn(1, 8, generator=source).expand(6, 8), generator.fingerprint, "happiness")
    write_directions(desk.folder / "cache" / "directions" / "made.safetensors", [strong])
    perform(Face(face.latent), JOY, generator, STILL, VideoOptions(fps="1"), note=notes.append)
    assert len(notes) == 1 and notes[0].startswith("happiness 1 (") and "images are poor" in notes[0]


def test_a_face_at_rest_shows_no_emotion_of_its_own(
    generator: Generator, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    joy = Direction(torch.ones(6, 8), generator.fingerprint, "happiness")
    repertoire = Repertoire({Emotion.HAPPINESS: joy})
    for seen in (Emotion.NEUTRAL, Emotion.ANGER):  # neutral, and an emotion that the repertoire has not
        chances = np.eye(7)[seen.index]
        monkeypatch.setattr(
            api, "find_recogniser", lambda *given, row=chances: Recogniser(lambda crops: np.tile(row, (len(crops), 1)))
        )
        assert read_own(generator, face.latent, repertoire).tolist() == [0.0] * 7


def test_a_face_s_own_emotion_is_as_strong_as_what_makes_it_neutral(
    generator: Generator, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To this recogniser brightness is happiness, and the face a step of 0.75 back is the most neutral."""
    joy = Direction(torch.randn(6, 8, generator=torch.Generator().manual_seed(2)), generator.fingerprint, "happiness")
    tried = face.latent.ws - torch.linspace(0, 1.5, 7)[:, None, None] * joy.values
    rest = synthesise(generator, face.latent, tried)[3].astype(float)

    def classify(crops: np.ndarray) -> np.ndarray:
        far = np.square(crops - rest).mean((1, 2, 3))
        chances = np.zeros((len(crops), 7))
        chances[:, 0] = 1 / (1 + far)
        chances[:, Emotion.HAPPINESS.index] = 1 - chances[:, 0]
        return chances

    monkeypatch.setattr(api, "find_recogniser", lambda *given: Recogniser(classify))
    own = read_own(generator, face.latent, Repertoire({Emotion.HAPPINESS: joy}))
    assert own[Emotion.HAPPINESS.index] == pytest.approx(0.75)
    assert own.sum() == pytest.approx(0.75)
