"""A user's own clips for training: all are decoded first, and unusable ones are left out with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentface.arrays import Pixels
from latentface.errors import InputError
from latentface.io.images import PHOTO_SUFFIXES
from latentface.io.kinds import CLIP_SUFFIXES
from latentface.io.video import read_clip
from latentface.training.motion_data import Clips

VIDEO_SUFFIXES = CLIP_SUFFIXES | {".gif", ".webp"}
KEPT = 32  # frames of a clip that are kept for training, evenly spread
_DRM = re.compile(rb"sinf.{0,64}schm|encv|enca", re.DOTALL)  # boxes of common encryption in an MP4 header


@dataclass(frozen=True)
class Checked:
    """A checked clip: its frames, and the reason why it is left out (empty if it is not)."""

    path: Path
    frames: int
    reason: str = ""


def find_clips(roots: Sequence[Path]) -> list[Path]:
    """All videos and folders of frames among the given files and folders, sorted; InputError if there are none."""
    found: set[Path] = set()
    for root in roots:
        if not root.exists():
            raise InputError(f"{root}: no such file or folder; check the path")
        if root.is_file():
            found.add(root)
            continue
        shown = (path for path in root.rglob("*") if not any(part[0] == "." for part in path.relative_to(root).parts))
        for path in shown:  # what is hidden was left by a run that was killed
            suffix = path.suffix.lower()
            if suffix in VIDEO_SUFFIXES:
                found.add(path)
            elif suffix in PHOTO_SUFFIXES:
                found.add(path.parent)
    if not found:
        raise InputError(f"{', '.join(map(str, roots))}: no video and no folder of frames in these")
    return sorted(found)


def person_of(path: Path) -> str:
    """The person in a clip: the part of its name before the first #, as in id10001#video#start#end.mp4."""
    return path.stem.split("#")[0]


def read_frames(path: Path, side: int) -> tuple[NDArray[np.uint8], int]:
    """KEPT frames of a clip, evenly spread, as squares uint8 [F, side, side, 3], and how many frames it has.

    The middle square of each frame is taken. The whole clip is decoded, so that damage anywhere in it is noticed.

    Raises:
        InputError: it cannot be read to its end.
    """
    clip = read_clip(path, rate=25 if path.is_dir() else None)
    kept: list[tuple[int, Pixels]] = []
    stride, count = 1, 0
    for frame in clip:
        if count % stride == 0:
            kept.append((count, _square(frame.pixels[..., :3], side)))
            if len(kept) == 2 * KEPT:  # twice as many as wanted: every second one is enough from here on
                kept, stride = kept[::2], 2 * stride
        count += 1
    chosen = np.linspace(0, len(kept) - 1, min(KEPT, len(kept))).round().astype(int)
    return np.stack([kept[i][1] for i in chosen]), count


def check_clip(path: Path, side: int = 64) -> tuple[Checked, NDArray[np.uint8] | None]:
    """Decode a clip and decide whether it can be learnt from."""
    if path.is_file() and _encrypted(path):
        return Checked(path, 0, "encrypted: it can be played only with its owner's key"), None
    try:
        frames, count = read_frames(path, side)
    except InputError as error:
        return Checked(path, 0, str(error).removeprefix(f"{path}: ")), None
    if count < 2:
        return Checked(path, count, "a single frame: nothing moves"), None
    steps = np.square(np.diff(frames.astype(np.float32), axis=0)).mean((1, 2, 3))
    if not steps.any():
        return Checked(path, count, "all frames are identical (frame-to-frame MSE 0)"), None
    return Checked(path, count), frames


def gather(
    paths: Sequence[Path], side: int, on_clip: Callable[[Checked], None] = lambda checked: None
) -> tuple[Clips, list[Checked]]:
    """Check every clip and keep the frames of those that pass; `on_clip` is called with the result for each."""
    pictures, people, all_checked = [], [], []
    for path in paths:
        checked, frames = check_clip(path, side)
        all_checked.append(checked)
        on_clip(checked)
        if frames is not None:
            pictures.append(frames)
            people.append(person_of(path))
    return Clips(tuple(pictures), tuple(people)), all_checked


def _square(picture: Pixels, side: int) -> Pixels:
    height, width = picture.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    middle = Image.fromarray(np.ascontiguousarray(picture[top : top + edge, left : left + edge]))
    return np.asarray(middle.resize((side, side), Image.Resampling.LANCZOS))


def _encrypted(path: Path) -> bool:
    """Whether an MP4's header announces common encryption (ISO/IEC 23001-7)."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(1 << 20)
        if b"ftyp" not in head[:32]:
            return False
        stream.seek(max(0, size - (1 << 20)))
        tail = stream.read(1 << 20)
    return any(b"moov" in part and _DRM.search(part) is not None for part in (head, tail))
