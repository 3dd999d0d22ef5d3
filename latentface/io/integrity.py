"""Checks clips: the header, whether the whole file decodes, and how much consecutive frames differ."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from latentface.arrays import Pixels
from latentface.errors import InputError
from latentface.io.clip import Frame
from latentface.io.media import open_media
from latentface.io.video import read_clip
from latentface.io.video_reader import film_stream

#: What the header of a file may contain.
FACTS = ("container", "bit_rate", "video", "pixels", "audio")


@dataclass(frozen=True)
class Integrity:
    """The result of a check.

    Attributes:
        path: the file.
        problem: what is wrong with it, or None for a clip that decodes to its end.
        facts: entries of its header, by `FACTS`, as far as they can be read.
        width, height: of a frame, in pixels.
        rate: frames a second.
        frames: how many were decoded.
        seconds: when the last of them ends.
        mse_mean, mse_max: mean squared difference of a frame from the one before, in squared levels of 0 ... 255.
        jump: when the largest of them occurs, in seconds.
        repeated: the share of frames that equal the one before.
        notes: what was changed about the frames to read them.
    """

    path: Path
    problem: str | None = None
    facts: dict[str, str | int] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    rate: float = 0.0
    frames: int = 0
    seconds: float = 0.0
    mse_mean: float | None = None
    mse_max: float | None = None
    jump: float | None = None
    repeated: float | None = None
    notes: tuple[str, ...] = ()


def check_clip(path: str | os.PathLike[str]) -> Integrity:
    """Probe and decode a clip; a broken clip is not an error but is described in `problem`."""
    found = Integrity(Path(path))
    differences = _Differences()
    try:
        found = replace(found, facts=_probe(found.path))
        clip = read_clip(found.path)
        found = replace(found, width=clip.size[0], height=clip.size[1], rate=float(clip.rate))
        differences.run(clip)
        found = replace(found, notes=tuple(clip.notes))
    except InputError as error:
        found = replace(found, problem=str(error).removeprefix(f"{found.path}: "))
    seconds = differences.last + 1 / found.rate if differences.count else 0.0
    return replace(found, frames=differences.count, seconds=round(seconds, 3), **differences.figures())


def _probe(path: Path) -> dict[str, str | int]:
    """The entries of a file's header; empty for formats that FFmpeg does not know, such as animated WebP."""
    try:
        with open_media(path) as container:
            facts: dict[str, Any] = {"container": container.format.name, "bit_rate": container.bit_rate}
            for kind, stream in (
                ("video", film_stream(container)),
                ("audio", next(iter(container.streams.audio), None)),
            ):
                if stream is not None:
                    facts[kind] = stream.codec_context.name if stream.codec_context else "unknown"
                    facts["pixels"] = facts.get("pixels") or getattr(stream.codec_context, "pix_fmt", None)
    except (av.FFmpegError, OSError):
        return {}
    return {name: value for name, value in facts.items() if value}


class _Differences:
    """Differences of frames from those before, as far as they can be read."""

    def __init__(self) -> None:
        self.count, self.last = 0, 0.0
        self._found: list[float] = []
        self._times: list[float] = []

    def run(self, frames: Iterable[Frame]) -> None:
        before: Pixels | None = None
        for frame in frames:
            self.count, self.last = self.count + 1, float(frame.time)
            if before is not None:
                self._found.append(float(np.square(frame.pixels.astype(np.int32) - before).mean()))
                self._times.append(self.last)
            before = frame.pixels

    def figures(self) -> dict[str, Any]:
        if not self._found:
            return {}
        found = np.array(self._found)
        return {
            "mse_mean": round(float(found.mean()), 3), "mse_max": round(float(found.max()), 3),
            "jump": round(self._times[int(found.argmax())], 3), "repeated": round(float((found == 0).mean()), 4),
        }  # fmt: skip
