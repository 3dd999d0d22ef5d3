"""`latentface stream`, and `latentface animate --engine vid2vid`, with a tiny network and made-up faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.faces import alignment
from latentface.io.video import read_clip, write_clip
from tests.helpers.cli_desk import Desk
from tests.helpers.motion_models import Wander, best_skin
from tests.helpers.talking_heads import write_talking_head


@pytest.fixture
def studio(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with a network, a clip of four frames, and a photo."""
    monkeypatch.setattr(alignment, "best_score", best_skin)
    write_talking_head(desk.folder / "model.safetensors")
    write_clip(desk.folder / "call.mp4", Wander(4).clip())
    desk.photo("anna.png")
    return desk


def stream(desk: Desk, *words: object) -> object:
    return desk.run("stream", *words, "--network", desk.folder / "model.safetensors", "--device", "cpu", "--json")


def shown(path: str | Path) -> list[np.ndarray]:
    return [frame.pixels for frame in read_clip(path)]


def test_a_clip_is_packed_and_unpacked(studio: Desk) -> None:
    packed = stream(studio, "pack", studio.folder / "call.mp4")
    assert packed.code == 0, packed.err
    assert (packed.json["output"], packed.json["frames"], packed.json["rate"]) == ("call.heads", 4, "25")
    assert packed.json["bytes"] == Path("call.heads").stat().st_size
    assert packed.json["bits_per_frame"] == pytest.approx(8 * packed.json["payload"] / 4, abs=0.01)
    plain = stream(studio, "unpack", "call.heads")
    assert plain.code == 0, plain.err
    assert (plain.json["output"], plain.json["frames"]) == ("call.mp4", 4)
    turned = stream(studio, "unpack", "call.heads", "--yaw", "40", "-o", "turned.mp4")
    assert turned.code == 0, turned.err
    assert np.abs(shown("turned.mp4")[0].astype(int) - shown("call.mp4")[0]).mean() > 1
    other = stream(studio, "unpack", "call.heads", "--source", studio.folder / "anna.png", "-o", "anna.mp4")
    assert other.code == 0, other.err
    assert shown("anna.mp4")[0].shape != shown("call.mp4")[0].shape
    rough = stream(studio, "pack", studio.folder / "call.mp4", "--precision", "8", "-o", "rough.heads")
    assert rough.json["payload"] <= packed.json["payload"]


def test_bad_streams(studio: Desk) -> None:
    Path("noise.heads").write_bytes(bytes(range(256)))
    outcome = stream(studio, "unpack", "noise.heads")
    assert outcome.code == 3 and "noise.heads: not a keypoint stream" in outcome.err
    assert stream(studio, "unpack", "nothing.heads").code == 3
    assert stream(studio, "pack", studio.folder / "call.mp4", "-o", studio.folder / "call.mp4").code == 2
    assert stream(studio, "unpack", "noise.heads", "--view", "add").code == 2


def test_a_photo_is_animated_and_seen_from_elsewhere(studio: Desk) -> None:
    def animate(*words: object) -> object:
        return studio.run(
            "animate", "--source", studio.folder / "anna.png", "--driving", studio.folder / "call.mp4", "--engine",
            "vid2vid", "--network", studio.folder / "model.safetensors", "--device", "cpu", "--json", *words,
        )  # fmt: skip

    plain = animate("-o", "plain.mp4")
    assert plain.code == 0, plain.err
    assert (plain.json["engine"], plain.json["frames"]) == ("vid2vid", 4)
    turned = animate("-o", "turned.mp4", "--yaw", "-40", "--view", "add")
    assert turned.code == 0, turned.err
    assert np.abs(shown("turned.mp4")[1].astype(int) - shown("plain.mp4")[1]).mean() > 0.5
    refused = studio.run(
        "animate", "--source", studio.folder / "anna.png", "--driving", studio.folder / "call.mp4", "--yaw", "10"
    )
    assert refused.code == 2 and "--engine vid2vid" in refused.err
