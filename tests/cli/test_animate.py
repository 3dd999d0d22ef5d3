"""`latentface animate` and `latentface train motion` at the command line, with a tiny model and made-up faces."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from latentface import api, hub
from latentface.cli import memory
from latentface.editor import FaceEditor
from latentface.faces import alignment
from latentface.io.clip import Clip, Sound
from latentface.io.provenance import COMPOSITE
from latentface.io.video import read_clip, write_clip
from latentface.motion import animator, head_engine
from latentface.provenance import credentials
from latentface.provenance.credentials import read_credentials
from tests.head.face_on_model import landmarks_of
from tests.helpers.cli_desk import Desk, draw_photo
from tests.helpers.films import film, moving
from tests.helpers.head_picture import CENTRE, HEIGHT, SCALE, WIDTH, model, picture
from tests.helpers.lookers import ThisProcess
from tests.helpers.marks import mark_of
from tests.helpers.motion_models import CONFIG, Wander, best_skin, write_motion_model


@pytest.fixture
def studio(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with a motion model, a driver of six frames with sound, and a photo."""
    monkeypatch.setattr(alignment, "best_score", best_skin)
    write_motion_model(desk.folder / "model.safetensors")
    spoken = film(desk.folder / "spoken.mkv", [0, 40, 80, 120, 160, 200], sound="flac")
    write_clip(desk.folder / "driver.mp4", Wander(6).clip(Sound(spoken)))
    desk.photo("anna.png")
    return desk


def animate(desk: Desk, *words: object, source: str = "anna.png", driving: object = "driver.mp4") -> Any:
    given = driving if ":" in str(driving) else desk.folder / str(driving)
    return desk.run(
        "animate", "--source", desk.folder / source, "--driving", given, "--engine", "motion",
        "--network", desk.folder / "model.safetensors", "--device", "cpu", *words,
    )  # fmt: skip


def test_a_photo_is_animated(studio: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(memory, "keep_memory", lambda: kept.append(True))
    outcome = animate(studio, "--json")
    assert outcome.code == 0, outcome.err
    assert kept
    result = outcome.json
    assert result["output"] == "anna.animated.mp4"  # in the working folder
    assert (result["frames"], result["rate"], result["missing"]) == (6, "25", 0)
    assert result["sound"] in ("copied", "re-encoded")
    clip = read_clip(result["output"])
    height, width = draw_photo().shape[:2]
    assert clip.size == (width, height)
    assert len(list(clip)) == 6
    with av.open(result["output"]) as container:
        assert container.streams.audio


def test_sound_can_be_left_out_and_other_kinds_written(studio: Desk) -> None:
    outcome = animate(studio, "--no-sound", "-o", studio.folder / "anna.webm")
    assert outcome.code == 0, outcome.err
    assert "6 frames, 1 faces" in outcome.out
    with av.open(str(studio.folder / "anna.webm")) as container:
        assert not container.streams.audio


def test_several_faces_move_or_one_of_them(studio: Desk) -> None:
    studio.photo("two.png", faces=(90, 70))
    both = animate(studio, "--json", "-o", studio.folder / "two.mp4", source="two.png").json
    one = animate(studio, "--json", "--face", 2, "-o", studio.folder / "one.mp4", source="two.png").json
    assert len(both["faces"]) == 2
    assert one["faces"] == [both["faces"][1]]
    wrong = animate(studio, "--face", 3, source="two.png")
    assert (wrong.code, "has 2 faces" in wrong.err) == (3, True)


def test_landmarks_are_those_asked_for(studio: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    predictor = hub.landmark_predictor
    monkeypatch.setattr(api, "landmark_predictor", lambda name="builtin": asked.append(name) or predictor())
    assert animate(studio, "--landmarks", "dlib68").code == 0
    assert len(asked) > 1 and set(asked) == {"dlib68"}


def test_the_driver_and_the_photo_are_never_replaced(studio: Desk) -> None:
    before = (studio.folder / "driver.mp4").read_bytes()
    for words in (("-o", studio.folder / "driver.mp4"), ("-o", studio.folder / "anna.png")):
        outcome = animate(studio, *words)
        assert outcome.code == 2 and "is an input" in outcome.err
    assert (studio.folder / "driver.mp4").read_bytes() == before


def test_frames_without_a_face_are_counted(studio: Desk) -> None:
    write_clip(studio.folder / "gap.mp4", Wander(6, faceless=(3, 4)).clip())
    outcome = animate(studio, "--json", driving="gap.mp4")
    assert outcome.json["missing"] == 2
    assert "no face in 2 of 6 frames; they held still" in outcome.err
    stopped = animate(studio, "--missing", "stop", "-o", studio.folder / "stop.mp4", driving="gap.mp4")
    assert (stopped.code, "no face in frame 3" in stopped.err) == (3, True)
    assert not (studio.folder / "stop.mp4").exists()


def test_a_folder_of_frames_drives(studio: Desk) -> None:
    write_clip(studio.folder / "frames", Wander(4).clip())
    outcome = animate(studio, "--rate", "30000/1001", "--json", driving="frames")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["frames"], outcome.json["rate"]) == (4, "30000/1001")
    assert animate(studio, driving="frames").code == 2


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        ("anna.png", "a still picture, not a clip"),
        ("nothing.mp4", "no such file"),
        ("empty.mp4", "the file is empty"),
        ("noise.mp4", "not a clip"),
        ("cut.mp4", "damaged or cut off"),
        ("sound.mka", "no video stream"),
        ("faceless.mp4", "frames of the driving clip; give one of a head that looks"),
    ],
)
def test_bad_drivers(studio: Desk, driver: str, message: str) -> None:
    good = (studio.folder / "driver.mp4").read_bytes()
    (studio.folder / "empty.mp4").write_bytes(b"")
    (studio.folder / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (studio.folder / "cut.mp4").write_bytes(good[: len(good) * 2 // 3])
    if driver == "sound.mka":
        with av.open(str(studio.folder / "spoken.mkv")) as source, av.open(str(studio.folder / driver), "w") as target:
            stream = source.streams.audio[0]
            track = target.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.size:
                    packet.stream = track
                    target.mux(packet)
    if driver == "faceless.mp4":
        write_clip(studio.folder / driver, Wander(3, faceless=(0, 1, 2)).clip())
    outcome = animate(studio, "-o", studio.folder / "out.mp4", driving=driver)
    assert outcome.code == 3
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (studio.folder / "out.mp4").exists()


def test_a_photo_without_a_face(studio: Desk) -> None:
    Image.fromarray(np.full((90, 90, 3), 100, np.uint8)).save(studio.folder / "wall.png")
    outcome = animate(studio, source="wall.png")
    assert outcome.code == 3
    assert "wall.png: no face found" in outcome.err


def test_the_editor_animates_files(studio: Desk) -> None:
    editor = FaceEditor(studio.network)
    model = studio.folder / "model.safetensors"
    animation = editor.animate(studio.folder / "anna.png", studio.folder / "driver.mp4", network=model)
    assert len(list(animation.clip)) == animation.report.frames == 6
    again = editor.animate(draw_photo(), read_clip(studio.folder / "driver.mp4"), face=1, network=model)
    assert len(again.report.faces) == 1


def test_a_network_of_another_kind(studio: Desk) -> None:
    outcome = studio.run(
        "animate", "--source", studio.folder / "anna.png", "--driving", studio.folder / "driver.mp4",
        "--engine", "motion", "--network", studio.network,
    )  # fmt: skip
    assert outcome.code == 4
    assert "kind 'generator', expected 'motion'" in outcome.err


def test_a_disk_that_fills_up_leaves_no_broken_file(studio: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place, calls = animator.MovingFace.place, []

    def full(self: Any, *given: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        place(self, *given)

    monkeypatch.setattr(animator.MovingFace, "place", full)
    before = sorted(path.name for path in studio.folder.iterdir())
    outcome = animate(studio)
    assert outcome.code == 5
    assert "No space left on device" in outcome.err
    assert sorted(path.name for path in studio.folder.iterdir()) == before


@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_keeps_a_playable_part_only_when_asked(
    studio: Desk, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, calls = animator.MovingFace.place, []

    def interrupted(self: Any, *given: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        place(self, *given)

    monkeypatch.setattr(animator.MovingFace, "place", interrupted)
    outcome = animate(studio, *(["--keep-partial"] if keep else []))
    assert outcome.code == 130
    path = studio.folder / "anna.animated.mp4"
    assert path.exists() == keep
    if keep:
        assert len(list(read_clip(path))) == 3


@pytest.fixture
def heads(studio: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with a photo of a head, and a film whose head opens its mouth from frame to frame."""

    def find(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[80.0, 90, 220, 260]]), np.ones(1)

    def points(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        jaw = {"jawOpen": float(photo[:20].mean()) / 255}
        return np.stack([landmarks_of(model(), jaw, scale=SCALE, middle=CENTRE, definition="annotated")] * len(boxes))

    monkeypatch.setattr(alignment, "detect_faces", find)
    monkeypatch.setattr(alignment, "best_score", lambda picture, least: 1.0)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: points)
    monkeypatch.setattr(head_engine, "SeparateProcess", ThisProcess)
    frames = []
    for k in range(4):
        frame = picture().photo.copy()
        frame[:20] = 40 * k  # says how far the jaw is open
        frames.append(frame)
    Image.fromarray(frames[0]).save(studio.folder / "head.png")
    write_clip(studio.folder / "heads.mp4", Clip.of(frames, 25, (WIDTH, HEIGHT)))
    return studio


def by_head(desk: Desk, *words: object, driving: object = "heads.mp4") -> Any:
    given = driving if ":" in str(driving) else desk.folder / str(driving)
    return desk.run("animate", "--source", desk.folder / "head.png", "--driving", given, *words)


def test_a_photo_is_animated_by_heads_when_nothing_else_is_said(heads: Desk) -> None:
    outcome = by_head(heads, "--no-best-frame", "--json", "-o", heads.folder / "out.mp4")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["engine"], result["network"], result["frames"], result["missing"]) == ("head", None, 4, 0)
    frames = [frame.pixels for frame in read_clip(heads.folder / "out.mp4")]
    mouth = np.s_[205:250, 130:170]
    moved = [np.abs(frame[mouth].astype(int) - frames[0][mouth]).mean() for frame in frames]
    assert moved[3] > 8 and moved[3] > moved[1]


@pytest.mark.parametrize(
    "words",
    [("--network", "fomm-vox"), ("--device", "cpu"), ("--crop", 1.2), ("--still-background",), ("--no-adapt-scale",)],
)
def test_flags_of_the_motion_model_are_errors_with_heads(heads: Desk, words: tuple[object, ...]) -> None:
    outcome = by_head(heads, *words)
    assert outcome.code == 2
    assert f"{words[0]} has no effect with --engine head; it applies with --engine motion" in outcome.err


def test_heads_live(heads: Desk) -> None:
    output, camera = heads.folder / "live.mp4", f"camera:{heads.folder / 'camera.mp4'}"
    frames = [frame.pixels for frame in read_clip(heads.folder / "heads.mp4")]
    write_clip(heads.folder / "camera.mp4", Clip.of(frames * 4, 5, (WIDTH, HEIGHT)))
    outcome = by_head(heads, "--no-preview", "--no-calibrate", "--json", "-o", output, driving=camera)
    assert outcome.code == 0, outcome.err
    assert (outcome.json["engine"], outcome.json["live"]) == ("head", True)
    assert len(list(read_clip(output))) == outcome.json["frames"] > 0


def test_live_from_a_file_played_as_a_camera(studio: Desk, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "is_available", lambda: True)
    write_clip(studio.folder / "camera.mp4", Wander(20, rate=20).clip())
    output = studio.folder / "live.mp4"
    camera = f"camera:{studio.folder / 'camera.mp4'}"
    outcome = animate(studio, "--no-preview", "--no-calibrate", "--json", "-o", output, driving=camera)
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert result["live"]
    assert 1 < result["frames"] <= 20
    assert result["frames"] + result["dropped"] <= 20
    assert 0 < result["latency_mean"] <= result["latency_95"] <= result["latency_max"]
    assert len(list(read_clip(output))) == result["frames"]
    signed = read_credentials(output)
    assert signed is not None and signed.state == "valid" and mark_of(output) == COMPOSITE
    unsigned = animate(studio, "--no-preview", "--no-calibrate", "--no-sign", "--no-mark", "-o", output, driving=camera)
    assert unsigned.code == 0 and read_credentials(output) is None


def test_a_recording_that_cannot_be_written_ends_the_show(studio: Desk) -> None:
    write_clip(studio.folder / "camera.mp4", Wander(20, rate=20).clip())
    camera, output = f"camera:{studio.folder / 'camera.mp4'}", studio.folder / "live.xyz"
    outcome = animate(studio, "--no-preview", "--no-calibrate", "-o", output, driving=camera)
    assert (outcome.code, "cannot write this kind of clip" in outcome.err) == (5, True)


def test_live_waits_until_the_poses_match(studio: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentface.motion import calibration

    views: list[bool] = []

    def compare(driver: Any, source: Any) -> Any:
        view, done = compare_poses(driver, source)
        assert done  # both faces are the same made-up one
        views.append(done)
        return view, done

    compare_poses = calibration.compare_poses
    monkeypatch.setattr(calibration, "compare_poses", compare)
    write_clip(studio.folder / "camera.mp4", Wander(30, rate=10).clip())
    camera = f"camera:{studio.folder / 'camera.mp4'}"
    outcome = animate(studio, "--no-preview", "--seconds", 0.5, "--json", "-o", studio.folder / "l.mp4", driving=camera)
    assert outcome.code == 0, outcome.err
    assert len(views) == 3
    assert outcome.json["calibrated_after"] > 0


def test_live_with_nobody_to_show_it_to(studio: Desk) -> None:
    camera = f"camera:{studio.folder / 'driver.mp4'}"
    outcome = animate(studio, "--no-preview", driving=camera)
    assert (outcome.code, "no window to show the result in" in outcome.err) == (2, True)
    outcome = animate(studio, "--no-mark", driving=camera)
    assert (outcome.code, "--no-mark has no effect with pictures that are only shown" in outcome.err) == (2, True)


def test_a_camera_that_is_not_there(studio: Desk) -> None:
    outcome = animate(studio, "--no-preview", "-o", studio.folder / "l.mp4", driving="camera:97")
    assert (outcome.code, "camera 97: cannot open" in outcome.err) == (3, True)


def test_training_clips_are_checked(desk: Desk) -> None:
    film(desk.folder / "clips.mp4", [0, 40, 80])
    (desk.folder / "empty.mp4").write_bytes(b"")
    outcome = desk.run(
        "train", "motion", desk.folder / "clips.mp4", desk.folder / "empty.mp4", "--check-only", "--json"
    )
    assert outcome.code == 0, outcome.err
    assert (outcome.json["clips"], outcome.json["usable"]) == (2, 1)
    assert outcome.json["left_out"][0]["reason"].startswith("the file is empty")
    nothing = desk.run("train", "motion", desk.folder / "empty.mp4", "--check-only")
    assert nothing.code == 3
    assert desk.run("train", "motion", desk.folder / "clips.mp4").code == 2


def test_a_motion_model_is_trained_on_clips(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentface.pretrained import load_motion
    from latentface.training import motion

    config = replace(CONFIG, resolution=64)
    monkeypatch.setattr(motion, "COMPACT", config)
    monkeypatch.setattr(motion, "perceptual_distance", lambda vgg19: torch.nn.MSELoss())
    write_clip(desk.folder / "a.mp4", moving(4))
    outcome = desk.run(
        "train", "motion", desk.folder / "a.mp4", "-o", desk.folder / "run", "--pairs", 4, "--batch", 2, "--device",
        "cpu", "--adversarial", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert load_motion(outcome.json["network"]).config == config
