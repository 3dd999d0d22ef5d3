"""Small clips: moving colours, and files made with PyAV directly, so that the reader is tested on foreign ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from latentface.arrays import Pixels
from latentface.io.clip import Clip, Sound

NTSC = Fraction(30000, 1001)


def picture(k: int, size: tuple[int, int] = (64, 48), alpha: bool = False) -> Pixels:
    """A smooth ramp (which survives lossy codecs) whose brightness tells the number of the frame."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    planes = [40 + 8 * k + 0 * x, 60 + 80 * x / width, 200 - 80 * y / height]
    if alpha:
        planes.append(np.where(x < width // 2, 255, 0))
    return np.stack(planes, axis=-1).astype(np.uint8)


def number(pixels: Pixels) -> int:
    """Which frame a picture is."""
    return round((float(pixels[..., 0].mean()) - 40) / 8)


def moving(
    count: int, rate: Fraction | int = 25, size: tuple[int, int] = (64, 48), alpha: bool = False,
    sound: Sound | None = None,
) -> Clip:  # fmt: skip
    return Clip.of((picture(k, size, alpha) for k in range(count)), rate, size, alpha=alpha, sound=sound)


def film(
    path: Path, times: Sequence[int], tick: Fraction = Fraction(1, 1000), *, rotation: int = 0,
    mirrored: bool = False, aspect: Fraction | None = None, sound: str | None = None,
) -> Path:  # fmt: skip
    """A video file with a frame at each time (in ticks), as other programs write them."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base, stream.options = tick, {"qscale": "2", "flags": "+qscale"}
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        track: Any = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        for k, time in enumerate(times):
            frame: Any = av.VideoFrame.from_ndarray(picture(k), format="rgb24")
            frame.pts, frame.time_base = time, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track:
            for packet in tone(track, times[-1] * tick):
                container.mux(packet)
    return path


def tone(track: Any, seconds: Fraction) -> Iterator[Any]:
    """A tone of that length on an audio stream."""
    count = int(seconds * 48000)
    wave = (np.sin(np.arange(count) * 0.05) * 9000).astype(np.int16)
    for start in range(0, count, 960):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        yield from track.encode(frame)
    yield from track.encode(None)


def packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and content of every sound packet of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]
