"""Clips of talking heads as keypoint streams."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from latentface import api
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.motion import head_stream
from latentface.motion.head_stream import HeadStream, fingerprint, from_bytes, pack_clip, payload_size, play, to_bytes
from latentface.options.clips import AnimateOptions
from tests.helpers.motion_models import Wander, best_skin, wandering
from tests.helpers.talking_heads import talking_head

MODEL = talking_head()


@pytest.fixture(autouse=True)
def skin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "best_score", best_skin)


def packed(frames: int = 6, precision: float = 0.2) -> HeadStream:
    return pack_clip(Wander(frames).clip(), MODEL, api.landmark_predictor(), precision)


def test_what_is_packed_is_unpacked() -> None:
    stream = packed()
    again = from_bytes(to_bytes(stream, quality=95))
    assert again.states.tolist() == stream.states.tolist()
    assert (again.rate, again.square, again.network, again.precision) == (
        stream.rate, stream.square, stream.network, pytest.approx(stream.precision),
    )  # fmt: skip
    torch.testing.assert_close(again.canonical, stream.canonical, atol=2e-4, rtol=0)
    assert np.abs(again.picture.astype(int) - wandering(0)).mean() < 3
    assert len(again.heads.value) == 6


def test_states_are_within_a_step_of_what_was_read() -> None:
    stream = packed(3)
    driver = head_stream.Driver(
        Wander(3).clip(), MODEL, api.landmark_predictor(), AnimateOptions(engine="vid2vid", best_frame=False),
        np.zeros((68, 2)),
    )  # fmt: skip
    read = [head for _, head in driver if head is not None]
    for k, head in enumerate(read):
        assert (stream.heads.angles[k] - head.angles[0]).abs().max() <= 0.75 * 0.25 * 0.2 + 1e-5
        assert (stream.heads.deformation[k] - head.deformation[0]).abs().max() <= 0.75 / 256 * 0.2 + 1e-6


def test_a_still_head_costs_next_to_nothing() -> None:
    stream = packed(2, precision=1.0)
    states = np.repeat(stream.states[:1], 300, axis=0)
    still = payload_size(to_bytes(replace(stream, states=states)))
    assert 8 * still / 300 < 8
    random = np.random.default_rng(0).integers(-3, 4, states.shape).cumsum(0)
    moving = to_bytes(replace(stream, states=random))
    assert payload_size(moving) > 20 * still
    assert from_bytes(moving).states.tolist() == random.tolist()


def test_a_stream_is_played_and_seen_from_elsewhere() -> None:
    stream = from_bytes(to_bytes(packed(3)))
    clip = play(stream, MODEL)
    frames = list(clip)
    assert [frame.time for frame in frames] == [Fraction(k) / stream.rate for k in range(3)]
    assert (clip.size, clip.count, frames[0].pixels.shape) == ((180, 140), 3, (140, 180, 3))
    assert np.abs(frames[0].pixels.astype(int) - stream.picture).mean() < 2
    turned = next(iter(play(stream, MODEL, AnimateOptions(engine="vid2vid", yaw=40.0)))).pixels
    assert np.abs(turned.astype(int) - frames[0].pixels).mean() > 2
    other = np.full((100, 120, 3), 90, np.uint8)
    moved = list(play(stream, MODEL, photo=(other, stream.square)))
    assert moved[0].pixels.shape == other.shape


def test_streams_of_another_network_are_refused() -> None:
    other = talking_head(1)
    assert fingerprint(other) != fingerprint(MODEL)
    with pytest.raises(UsageError, match="read by network"):
        play(packed(1), other)


def test_damaged_streams_are_refused() -> None:
    content = to_bytes(packed(2))
    with pytest.raises(InputError, match="not a keypoint stream"):
        from_bytes(b"GIF89a" + content)
    with pytest.raises(InputError, match="version 07"):
        from_bytes(content[:4] + b"\x07" + content[5:])
    for damaged in (content[:-9], content[:100] + b"\x55" + content[101:], content[:20]):
        with pytest.raises(InputError, match="damaged"):
            from_bytes(damaged)


def test_no_face_and_no_precision() -> None:
    with pytest.raises(NoFaceFound):
        pack_clip(Wander(2, faceless=(0, 1)).clip(), MODEL, api.landmark_predictor())
    with pytest.raises(UsageError, match="positive precision"):
        packed(1, precision=0.0)
