"""`latentface video` and FaceEditor.video with a tiny network, made-up directions and stand-ins for the judges."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from latentface import api, hub
from latentface.editing import expression_video
from latentface.editor import FaceEditor
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.recognition import Recogniser
from latentface.errors import UsageError
from latentface.io.clip import Clip
from latentface.io.images import read_image
from latentface.io.video import read_clip
from latentface.latents.latent import Direction
from latentface.options.clips import SequenceOptions, VideoOptions
from latentface.options.photos import CompositeOptions
from latentface.pretrained.directions import write_directions
from tests.helpers.cli_desk import Desk, Outcome, draw_photo
from tests.helpers.stand_in_networks import stand_in_networks

NAMES = [*(emotion.value for emotion in Emotion if emotion is not Emotion.NEUTRAL), "eyes-closed", "yaw", "pitch"]


@pytest.fixture
def stage(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with directions for its network, an encoder that gives zeros, and a recogniser that sees no emotion."""
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    monkeypatch.setattr(api, "face_networks", stand_in_networks)
    monkeypatch.setattr(hub, "encoder", lambda generator: lambda crops: torch.zeros(len(crops), 6, 8))
    monkeypatch.setattr(api, "find_recogniser", lambda *given: Recogniser(lambda crops: np.eye(7)[[0] * len(crops)]))
    source = torch.Generator().manual_seed(0)
    fingerprint = api.load_generator(desk.network).fingerprint
    made = [Direction(torch.randn(6, 8, generator=source), fingerprint, name) for name in NAMES]
    (desk.folder / "cache" / "directions").mkdir(parents=True)
    write_directions(desk.folder / "cache" / "directions" / "made.safetensors", made)
    return desk


def video(stage: Desk, *words: object, source: Path | None = None) -> Outcome:
    photo = source or stage.photo("anna.png")
    return stage.run("video", photo, "--network", stage.network, "--device", "cpu", *words)


def pictures(path: Path) -> list[np.ndarray]:
    return [frame.pixels for frame in read_clip(path, 5 if path.is_dir() else None)]


def test_a_photo_goes_through_emotions(stage: Desk) -> None:
    done = video(stage, "--emotions", "happiness,surprise=1.5,neutral", "--seconds", 2, "--fps", "10", "--json")
    assert done.code == 0, done.err
    facts = done.json
    assert facts["output"] == "anna.video.mp4"  # in the working folder
    assert (facts["frames"], facts["rate"], facts["size"]) == (20, "10", [150, 140])
    assert [segment["emotion"] for segment in facts["sequence"]] == ["happiness", "surprise", "neutral"]
    assert [segment["strength"] for segment in facts["sequence"]] == [1.0, 1.5, 1.0]
    clip = read_clip(facts["output"])
    assert (clip.size, clip.rate, len(list(clip))) == ((150, 140), 10, 20)
    with av.open(facts["output"]) as container:
        assert "compositeWithTrainedAlgorithmicMedia" in container.metadata["comment"]


@pytest.mark.parametrize("place", ["warp", "paste"])
def test_only_the_face_changes_and_the_rest_is_bit_identical(stage: Desk, place: str) -> None:
    photo = np.pad(draw_photo(), ((90, 90), (90, 90), (0, 0)), mode="edge")
    photo[::7, ::5] += 9  # texture that would show a flicker
    Image.fromarray(photo).save(stage.folder / "large.png")
    out = stage.folder / "frames"
    done = video(
        stage, "--emotions", "anger,fear", "--seconds", 2, "--fps", 5, "--place", place, "-o", out, "--sway", 3,
        "--steps", 0, "--no-mark",
        source=stage.folder / "large.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    frames = np.stack(pictures(out))
    assert len(frames) == 10
    assert np.array_equal(frames[0], photo)  # it begins with the photo itself
    moved = (frames != photo).any(axis=(0, 3))
    rows, columns = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
    assert moved.any()
    assert (rows[0], columns[0]) > (10, 10)
    assert rows[-1] < photo.shape[0] - 10 and columns[-1] < photo.shape[1] - 10
    assert moved.mean() < 0.7


@pytest.mark.parametrize("warp", ["similarity", "piecewise"])
def test_a_pasted_face_is_placed_by_its_landmarks(stage: Desk, warp: str) -> None:
    words = ("--emotions", "fear", "--fps", "4", "--place", "paste", "--steps", 0)
    frames = []
    for name in ("crop", warp):
        done = video(stage, *words, "--warp", name, "-o", stage.folder / name)
        assert done.code == 0, done.err
        frames.append(pictures(stage.folder / name))
    assert len(frames[0]) == len(frames[1]) == 8
    assert not np.array_equal(frames[0], frames[1])


def test_a_folder_of_frames_is_replaced_and_anything_else_is_not(stage: Desk) -> None:
    words = ("--emotions", "fear", "--seconds", 1, "-o", stage.folder / "frames")
    for fps in (6, 4):
        assert video(stage, *words, "--fps", fps).code == 0
        assert len(pictures(stage.folder / "frames")) == fps
    (stage.folder / "frames" / "diary.txt").write_text("mine")
    done = video(stage, *words, "--fps", 2)
    assert done.code == 5 and "holds more than frames" in done.err
    assert len(list((stage.folder / "frames").iterdir())) == 5
    like = video(stage, "--like", stage.folder / "frames", "--rate", 4, "-o", stage.folder / "frames")
    assert like.code == 2 and "is an input" in like.err


@pytest.mark.parametrize("name", ["a.webm", "a.gif", "a.webp", "frames"])
def test_frames_in_are_frames_out_in_every_kind_of_file(stage: Desk, name: str) -> None:
    done = video(stage, "--emotions", "fear", "--fps", "10", "--seconds", 0.7, "-o", stage.folder / name, "--batch", 3)
    assert done.code == 0, done.err
    assert "7 frames" in done.out
    assert len(pictures(stage.folder / name)) == 7


def test_the_face_alone(stage: Desk) -> None:
    done = video(stage, "--emotions", "fear", "--crop", "--fps", "5", "-o", stage.folder / "a.mp4", "--json")
    assert (done.code, done.json["size"]) == (0, [16, 16]), done.err
    with av.open(str(stage.folder / "a.mp4")) as container:
        assert "DigitalSourceType: trainedAlgorithmicMedia" in container.metadata["comment"]


def test_latents_and_projections(stage: Desk) -> None:
    stage.project(stage.photo("anna.png"))
    latent = stage.folder / "out" / "anna.latent.safetensors"
    words = ("--emotions", "fear", "--fps", "5", "--json")
    alone = video(stage, *words, "-o", stage.folder / "a.mp4", source=latent)
    assert (alone.code, alone.json["size"]) == (0, [16, 16]), alone.err
    searched = video(stage, *words, "--steps", 3, "-o", stage.folder / "b.mp4")
    assert (searched.code, searched.json["size"], searched.json["cached"]) == (0, [150, 140], False), searched.err
    assert video(stage, *words, "--steps", 3, "-o", stage.folder / "b.mp4").json["cached"]


def test_a_sequence_from_a_file_and_its_own_length(stage: Desk) -> None:
    sequence = EmotionSequence((EmotionSegment(Emotion.FEAR, 1.0, 0.5), EmotionSegment(Emotion.NEUTRAL, 1.0, 0.5)))
    sequence.save(stage.folder / "emotions.json")
    words = ("--sequence", stage.folder / "emotions.json", "--fps", "12", "-o", stage.folder / "a.mp4", "--json")
    assert video(stage, *words).json["frames"] == 12
    stretched = video(stage, *words, "--seconds", 2).json
    assert (stretched["frames"], [s["duration"] for s in stretched["sequence"]]) == (24, [1.0, 1.0])


def test_predicted_and_read_sequences(stage: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def predict(start: Emotion, seconds: float, seed: int) -> EmotionSequence:
        asked.append((start, seconds, seed))
        return EmotionSequence((EmotionSegment(Emotion.ANGER, 1.0, seconds),))

    class Reading:
        sequence = EmotionSequence((EmotionSegment(Emotion.SADNESS, 1.0, 1.0),))

    monkeypatch.setattr(api, "predict_emotions", predict)
    monkeypatch.setattr(api, "read_emotions", lambda clip, **more: Reading)
    words = ("--fps", "5", "-o", stage.folder / "film.mp4", "--json")
    done = video(stage, "--predict", "--first", "fear", "--seconds", 2, "--seed", 4, *words)
    assert (done.json["frames"], asked) == (10, [(Emotion.FEAR, 2.0, 4)])
    assert video(stage, "--predict", "--first", "fear", "--seconds", 1, "--fps", "5", "-o", "frames").code == 0
    assert video(stage, "--like", "frames", "--rate", 5, "--fps", "5", "-o", stage.folder / "b.mp4").code == 0
    read = video(stage, "--like", stage.folder / "film.mp4", "--fps", "5", "-o", stage.folder / "b.mp4", "--json")
    assert [segment["emotion"] for segment in read.json["sequence"]] == ["sadness"]
    monkeypatch.setattr(api, "read_emotions", lambda clip, **more: asked.append(clip.rate) or Reading)
    assert video(stage, *words[:2], "--emotions", "fear", "--seconds", 1, "-o", stage.folder / "frames").code == 0
    folder = ("--like", stage.folder / "frames", "-o", stage.folder / "c.mp4")
    assert video(stage, *folder).code == 2
    assert video(stage, *folder, "--rate", "25/2").code == 0
    assert asked[-1] == Fraction(25, 2)


def test_strengths_beyond_the_network_are_warned_of(stage: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expression_video, "FULL", dict.fromkeys(expression_video.FULL, 100.0))
    done = video(stage, "--emotions", "fear=2,neutral", "--place", "warp", "--fps", "2", "-o", stage.folder / "a.mp4")
    assert done.code == 0
    assert "fear 2 (" in done.err and "deviations" in done.err
    monkeypatch.setattr(expression_video, "FULL", dict.fromkeys(expression_video.FULL, 1e-3))
    quiet = video(stage, "--emotions", "fear=2,neutral", "--place", "warp", "--fps", "2", "-o", stage.folder / "a.mp4")
    assert "deviations" not in quiet.err


def test_alpha_is_kept(stage: Desk) -> None:
    photo = draw_photo()
    alpha = np.tile(np.arange(photo.shape[1], dtype=np.uint8), (len(photo), 1))
    Image.fromarray(np.dstack([photo, alpha])).save(stage.folder / "a.png")
    out = stage.folder / "frames"
    assert video(stage, "--emotions", "fear", "--fps", "2", "-o", out, source=stage.folder / "a.png").code == 0
    assert all(np.array_equal(frame[..., 3], alpha) for frame in pictures(out))


def test_what_the_face_shows_already_is_taken_back(stage: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recogniser to which brightness is anger: neutral then is less of it than the start face has."""
    generator = api.load_generator(stage.network)
    start = api.sample_ws(generator, 3)
    latent = api.Latent(start[0], generator.fingerprint)
    anger = api.load_direction("anger", generator)
    brightness = [
        float(expression_video.synthesise(generator, latent, start - s * anger.values).mean()) for s in (0.0, 1.0, 2.0)
    ]
    goal = brightness[1]

    def classify(crops: np.ndarray) -> np.ndarray:
        far = np.abs(crops.mean(axis=(1, 2, 3)) - goal) / abs(brightness[0] - goal)
        chances = np.zeros((len(crops), 7))
        chances[:, 0], chances[:, Emotion.ANGER.index] = 0.9 - 0.8 * far.clip(0, 1), 0.1 + 0.8 * far.clip(0, 1)
        return chances

    monkeypatch.setattr(api, "find_recogniser", lambda *given: Recogniser(classify))
    monkeypatch.setattr(expression_video, "FULL", dict.fromkeys(expression_video.FULL, 1.0))
    face = expression_video.Face(latent)
    rest = EmotionSequence((EmotionSegment(Emotion.NEUTRAL, 1.0, 1.0),))
    shown = expression_video.perform(face, rest, generator).sequencer
    torch.testing.assert_close(shown.ws([0.0, 1.0]), torch.stack([start[0], start[0] - anger.values]))
    kept = expression_video.perform(face, rest, generator, SequenceOptions(rest=False)).sequencer
    torch.testing.assert_close(kept.ws([1.0]), start)


def test_memory_does_not_grow_with_length(stage: Desk) -> None:
    """Frames are drawn as they are asked for: of an hour only the first batches."""
    generator = api.load_generator(stage.network)
    drawn: list[int] = []
    synthesise = expression_video.synthesise
    hour = EmotionSequence((EmotionSegment(Emotion.FEAR, 1.0, 3600.0),))
    face = expression_video.Face(api.Latent(torch.zeros(6, 8), generator.fingerprint))
    clip = expression_video.perform(face, hour, generator, video=VideoOptions(fps="30", batch=4)).clip
    assert clip.count == 108_000
    expression_video.synthesise, frames = lambda *given: drawn.append(len(given[2])) or synthesise(*given), iter(clip)  # type: ignore
    try:
        times = [next(frames).time for _ in range(9)]
        frames.close()  # type: ignore[attr-defined]
    finally:
        expression_video.synthesise = synthesise
    assert times == [Fraction(k, 30) for k in range(9)]
    assert drawn == [4, 4, 4, 4]


# ---------------------------------------------------------------------------------------------- what cannot be done


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--emotions", "joy"), 2, "no emotion 'joy'; expected one of neutral, happiness"),
        (("--emotions", "fear=3"), 2, "from 0 to 2"),
        (("--emotions", "fear=much"), 2, "expected a number after ="),
        ((), 2, "expected one of --emotions, --sequence, --predict, --like; got none"),
        (("--emotions", "fear", "--predict"), 2, "got --emotions and --predict"),
        (("--predict", "--first", "glee"), 2, "no emotion 'glee'"),
        (("--emotions", "fear", "--seconds", 0), 2, "--seconds"),
        (("--emotions", "fear", "--seconds", 0.01), 2, "have no frame"),
        (("--emotions", "fear", "--fps", "0"), 2, "frame rate"),
        (("--emotions", "fear", "--fps", "fast"), 2, "expected a number such as 25"),
        (("--emotions", "fear", "-o", "a.avi"), 5, "end the name in .mp4"),
        (("--sequence", "none.json"), 3, "cannot be read as an emotion sequence"),
        (("--like", "none.mp4"), 3, "no such file"),
        (("--emotions", "fear", "--rate", "5"), 2, "--rate has no effect"),
    ],
)
def test_bad_usage(stage: Desk, words: tuple[object, ...], code: int, message: str) -> None:
    done = video(stage, *words)
    assert (done.code, message in done.err) == (code, True), done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list(stage.folder.glob("*.mp4"))


def test_a_network_without_directions(stage: Desk) -> None:
    done = stage.run(
        "video", stage.photo(), "--network", stage.other_network, "--emotions", "fear", "--place", "warp", "--json"
    )
    assert (done.code, "fear" in done.err) == (2, True)
    assert not (stage.folder / "anna.video.mp4").exists()


def test_no_face(stage: Desk) -> None:
    done = video(stage, "--emotions", "fear", source=stage.photo("wall.png", faces=()))
    assert (done.code, "wall.png" in done.err) == (3, True)


def test_ctrl_c_keeps_a_playable_part_only_when_asked(stage: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place, calls = expression_video.ExpressionMap.place, []

    def interrupted(self: object, *given: object) -> object:
        calls.append(1)
        if len(calls) % 5 == 0:
            raise KeyboardInterrupt
        return place(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(expression_video.ExpressionMap, "place", interrupted)
    out = stage.folder / "a.mp4"
    words = ("--emotions", "fear", "--place", "warp", "--fps", "10", "-o", out)
    assert (video(stage, *words).code, out.exists()) == (130, False)
    assert video(stage, *words, "--keep-partial").code == 130
    assert len(pictures(out)) == 4


# ---------------------------------------------------------------------------------------------- Python


def test_pasting_options_without_pasting(stage: Desk) -> None:
    with pytest.raises(UsageError, match="warp has no effect with place='head'"):
        FaceEditor(stage.network).video(draw_photo(), "fear", composite=CompositeOptions(warp="piecewise"))


def test_the_editor_makes_videos(stage: Desk) -> None:
    editor = FaceEditor(stage.network)
    clip = editor.video(draw_photo(), "happiness,neutral", SequenceOptions(loop=True), VideoOptions(fps="5"))
    assert isinstance(clip, Clip)
    frames = [frame.pixels for frame in clip]
    assert (len(frames), clip.size) == (20, (150, 140))
    assert all(np.array_equal(a, b.pixels) for a, b in zip(frames, clip, strict=True))  # again, and the same
    path = stage.photo("anna.png")
    assert np.array_equal(next(iter(editor.video(path, "fear"))).pixels, read_image(path))


def test_a_face_that_is_pasted_is_searched_for(stage: Desk) -> None:
    photo = stage.photo("anna.png")
    words = ("--emotions", "fear", "--fps", "1", "-o", stage.folder / "a.mp4", "--json")
    assert video(stage, *words, source=photo).json["verdict"] is None  # by the encoder
    assert video(stage, *words, "--place", "paste", source=photo).json["verdict"]
