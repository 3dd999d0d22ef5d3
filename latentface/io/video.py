"""Clip <-> file: MP4 (H.264), WebM, GIF, animated WebP and folders of PNG frames, streamed both ways.

Reading also takes whatever else FFmpeg plays. Frames are decoded upright (phones write a rotation), with square pixels,
in sRGB as `images` has it; their times are exact fractions, and a variable rate stays what it is until
`Clip.resampled` makes it constant.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from latentface.errors import InputError, OutputError, UsageError
from latentface.io.atomic import atomic_path
from latentface.io.clip import Clip, Frame, as_rate
from latentface.io.kinds import CAN_MOVE, picture_kind_of
from latentface.io.paths import advice, short_stem
from latentface.io.provenance import SourceType
from latentface.io.video_reader import open_animation, open_film, open_stills, still
from latentface.io.video_writer import FORMATS, SHORTEST_DELAY, FilmSink, FolderSink, Sink

FrameCallback = Callable[[int, Frame], None]


@dataclass(frozen=True)
class Written:
    """The result of `write_clip`: frames, seconds, and the sound: none, copied, re-encoded or left out.

    notes: what the file could not store exactly, and what was damaged at the end of the clip, one line each.
    """

    frames: int
    seconds: Fraction
    sound: str
    notes: tuple[str, ...] = ()


def read_clip(path: str | os.PathLike[str], rate: Fraction | int | None = None) -> Clip:
    """Open a video file, an animated GIF, WebP or PNG, or a folder of pictures.

    Only the beginning is read here (an animated picture is read once completely); frames are decoded during each
    iteration over the clip.

    Args:
        path: the file or the folder.
        rate: frames a second for a folder of pictures; a file has its own rate.

    Raises:
        InputError: the file is missing, empty, a still picture, or without a video stream or frames. Iterating over the
            clip also raises it if the file is damaged or truncated, after the last readable frame, and says how far
            that was.
        UsageError: a rate is missing for a folder, or given for a file.
    """
    source = Path(path)
    if source.is_dir():
        if rate is None:
            raise UsageError(f"{source}: a folder of frames has no rate of its own; give one, such as 25")
        return open_stills(source, as_rate(rate))
    if rate is not None:
        raise UsageError(f"{source}: a file has its own frame rate; use Clip.resampled to change it")
    if not source.exists():
        raise InputError(f"{source}: no such file; check the path")
    if source.stat().st_size == 0:
        raise InputError(f"{source}: the file is empty; save or download it again")
    kind = picture_kind_of(source)
    if kind in CAN_MOVE:
        return open_animation(source)
    if kind is not None:
        raise still(source)
    return open_film(source)


def write_clip(
    path: str | os.PathLike[str],
    clip: Clip,
    *,
    source_type: SourceType | None = None,
    keep_partial: bool = False,
    on_frame: FrameCallback | None = None,
) -> Written:
    """Write a clip as .mp4 (H.264), .webm (VP9), .gif or .webp or, for a name without suffix, a folder of PNG frames.

    The file has all frames of the clip at their own times; a GIF has at most 50 a second, since browsers slow down
    faster ones. MP4 allows even sides only, so an odd side gets a copy of its last row or column. Alpha is kept except
    in MP4, where it is composited over black. Sound is copied if the container supports its codec, and re-encoded
    otherwise; it ends with the picture. The file states its origin in XMP or tags (see `latentface.io.provenance`). It
    is written atomically and replaces an existing file, or a folder that contains only frames.

    Args:
        path: the file to write; its suffix decides the format.
        clip: the frames and their sound.
        source_type: the IPTC term for what a network did to the pixels, if the clip has none.
        keep_partial: after an error or an interruption, keep the frames written so far as a playable file; the error is
            still raised.
        on_frame: called as on_frame(count, frame) after every frame.

    Raises:
        InputError: the clip has no frames, frames of different sizes, or sound that cannot be read.
        OutputError: the format is unknown, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix and suffix not in FORMATS:
        kinds = ", ".join(FORMATS)
        raise OutputError(f"{target}: cannot write this kind of clip; end in {kinds}, or in nothing for a folder")
    notes: tuple[str, ...] = ()
    if suffix == ".gif" and clip.rate > 1 / SHORTEST_DELAY:
        notes = (f"{target}: browsers slow down a GIF of {float(clip.rate):g} frames a second; it has 50",)
        clip = clip.resampled(1 / SHORTEST_DELAY)
    known = len(clip.notes)
    place, make = (atomic_path, FilmSink) if suffix else (_atomic_folder, FolderSink)
    with place(target) as temporary:
        try:
            written, stopped = _pour(
                clip, make(temporary, clip, source_type or clip.source_type), keep_partial, on_frame
            )
        except av.FFmpegError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}{advice(error.errno)}") from error
    if stopped is not None:
        raise stopped
    return replace(written, notes=(*notes, *clip.notes[known:]))


def _pour(
    clip: Clip, sink: Sink, keep_partial: bool, on_frame: FrameCallback | None
) -> tuple[Written, BaseException | None]:
    """Put every frame into the sink; with keep_partial, an error is returned instead of raised."""
    count, end, stopped = 0, Fraction(0), None
    closed = False
    try:
        try:
            for frame, duration in _timed(clip):
                sink.put(frame, duration)
                count, end = count + 1, frame.time + duration
                if on_frame:
                    on_frame(count, frame)
        except BaseException as error:
            if not (keep_partial and count):
                raise
            stopped = error
        if not count:
            raise InputError("the clip has no frames; nothing to write")
        sink.close()
        closed = True
    finally:
        if not closed:
            sink.abandon()
    return Written(count, end, sink.sound), stopped


def _timed(clip: Clip) -> Iterator[tuple[Frame, Fraction]]:
    """Each frame with how long it is shown: until the next one; the last for 1 / rate. Sizes are checked."""
    waiting: Frame | None = None
    shape = (clip.size[1], clip.size[0], 4 if clip.alpha else 3)
    try:
        for frame in clip:
            if frame.pixels.shape != shape:
                raise InputError(f"a frame of shape {list(frame.pixels.shape)}: this clip's frames are {list(shape)}")
            if waiting is not None:
                yield waiting, frame.time - waiting.time
            waiting = frame
    except (Exception, KeyboardInterrupt, SystemExit):
        if waiting is not None:
            yield waiting, 1 / clip.rate
        raise
    if waiting is not None:
        yield waiting, 1 / clip.rate


@contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well, and vanishes otherwise.

    A folder that is there is replaced when it holds nothing but frames of an earlier clip.
    """
    if target.exists() and (not target.is_dir() or not all(map(_is_frame, target.iterdir()))):
        raise OutputError(f"{target} holds more than frames of an earlier clip; choose another name for the folder")
    temporary = target.with_name(f".{short_stem(target)}.{secrets.token_hex(4)}.part")
    earlier = temporary.with_suffix(".old")
    try:
        temporary.mkdir()
        yield temporary
        if target.exists():
            os.replace(target, earlier)
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}{advice(error.errno)}") from error
    except OutputError as error:  # of a frame, which is to have another name
        raise OutputError(str(error).replace(os.fspath(temporary), os.fspath(target))) from error
    finally:
        if earlier.exists() and not target.exists():
            os.replace(earlier, target)
        for folder in (temporary, earlier):
            shutil.rmtree(folder, ignore_errors=True)


def _is_frame(path: Path) -> bool:
    """Whether a file is called as `FolderSink` calls its frames."""
    return re.fullmatch(r"frame-\d{6,}\.png", path.name) is not None
