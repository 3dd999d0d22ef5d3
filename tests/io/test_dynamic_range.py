"""Clips of HDR, of wide gamuts, of fields, and of no stated matrix: seen as they are meant to be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from latentface.arrays import Float64Array, Pixels
from latentface.io.video import read_clip
from tests.helpers.profiles import to_linear

COLOURS = np.array([[200, 60, 40], [40, 150, 60], [50, 60, 170], [190, 150, 120]], np.uint8)
BT2020 = np.array(((0.627404, 0.329283, 0.043313), (0.069097, 0.919540, 0.011362), (0.016391, 0.088013, 0.895595)))
PQ, HLG, WIDE, BT709 = 16, 18, 9, 1


def pq(nits: Float64Array) -> Float64Array:
    """SMPTE ST 2084."""
    power = (nits / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(light: Float64Array) -> Float64Array:
    """ARIB STD-B67, after the inverse OOTF for 1000 cd/m^2; light: [..., 3] in cd/m^2, BT.2020."""
    shown = light / 1000
    scene = shown * np.maximum(shown @ (0.2627, 0.6780, 0.0593), 1e-9)[..., None] ** (1 / 1.2 - 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def encode(path: Path, values: Float64Array, transfer: int, primaries: int, matrix: int, size: tuple[int, int]) -> Path:
    """A clip of vertical bars of these values, [bars, 3] in 0 ... 1, at 10 bits by the matrix of BT.2020."""
    width, height = size
    red, green, blue = values[np.arange(width) * len(values) // width].T
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    chroma = [(blue - luma) / (2 - 2 * 0.0593), (red - luma) / (2 - 2 * 0.2627)]
    planes = [64 + 876 * luma, *(512 + 896 * each.reshape(-1, 2).mean(1) for each in chroma)]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, 1
        context.color_trc, context.color_primaries = transfer, primaries
        for k in range(2):
            frame: Any = av.VideoFrame(width, height, "yuv420p10le")
            for plane, row in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = np.rint(row)
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def bars(path: Path, count: int) -> Pixels:
    """The colours of the bars as they are read."""
    pixels = next(iter(read_clip(path))).pixels
    return pixels[pixels.shape[0] // 2, (2 * np.arange(count) + 1) * pixels.shape[1] // (2 * count)]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_hdr_clip_shows_faces_as_they_are_and_rolls_off_what_is_brighter(transfer: int, tmp_path: Path) -> None:
    light = np.vstack([to_linear(COLOURS / 255.0), [[0.4] * 3, [1.0] * 3, [2.5] * 3, [4.9] * 3]]) @ BT2020.T * 203
    values = pq(light) if transfer == PQ else hlg(light)
    path = encode(tmp_path / "a.mkv", values, transfer, WIDE, WIDE, (256, 64))
    seen = bars(path, 8).astype(int)
    assert np.abs(seen[:4] - COLOURS).max() <= 6
    greys = seen[4:].mean(1)
    assert np.ptp(seen[4:], axis=1).max() <= 3, "grey stays grey"
    assert abs(greys[0] - 168) <= 3 and (np.diff(greys) > 4).all() and greys[3] >= 250
    (note,) = read_clip(path).notes
    assert "a.mkv: an HDR clip" in note and ("PQ" if transfer == PQ else "HLG") in note


def test_a_clip_of_wide_gamut_is_brought_to_srgb(tmp_path: Path) -> None:
    light = to_linear(COLOURS / 255.0) @ BT2020.T
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    path = encode(tmp_path / "a.mkv", values, 14, WIDE, WIDE, (256, 64))
    assert np.abs(bars(path, 4).astype(int) - COLOURS).max() <= 6
    assert "wide gamut" in read_clip(path).notes[0]


@pytest.mark.parametrize(("size", "matrix"), [((192, 128), 5), ((1280, 720), 1)])
def test_a_clip_without_a_matrix_takes_that_of_its_size(size: tuple[int, int], matrix: int, tmp_path: Path) -> None:
    width, height = size
    picture = COLOURS[np.arange(width) * 4 // width][None].repeat(height, 0)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "5", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=1)))
        container.mux(stream.encode(None))
    assert np.abs(bars(tmp_path / "a.mp4", 4).astype(int) - COLOURS).max() <= 5
    assert not read_clip(tmp_path / "a.mp4").notes


def test_an_interlaced_clip_is_made_whole(tmp_path: Path) -> None:
    """A bar moves 8 pixels a field: woven, its edges are combs."""
    options = {"crf": "5", "x264-params": "tff=1", "flags": "+ildct+ilme"}
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for k in range(8):
            fields = [np.where(np.abs(np.arange(128) - 30 - 16 * k // 2 - 8 * f) < 12, 220, 40) for f in (0, 1)]
            picture = np.stack([fields[row % 2] for row in range(96)]).astype(np.uint8)
            frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[..., None].repeat(3, 2)), "rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = read_clip(tmp_path / "a.mp4")
    frames = list(clip)
    assert len(frames) == 8 and [frame.time for frame in frames] == [Fraction(k, 25) for k in range(8)]
    assert "interlaced" in clip.notes[0]
    with av.open(str(tmp_path / "a.mp4")) as container:
        woven = list(container.decode(video=0))[4].to_ndarray(format="rgb24")
    assert _combs(frames[4].pixels) < 0.2 * _combs(woven)


def _combs(pixels: Pixels) -> float:
    return float(np.abs(np.diff(pixels[24:72, :, 1].astype(int), axis=0)).mean())
