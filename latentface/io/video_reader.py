"""Clip files and folders -> frames, one at a time: rotated upright, at their exact times, damage reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Disposition
from PIL import Image, ImageSequence

from latentface.arrays import Pixels
from latentface.errors import InputError
from latentface.io.clip import Clip, Frame, Sound
from latentface.io.cropping import margins_of
from latentface.io.dynamic_range import note_of
from latentface.io.framing import Framing, Turn
from latentface.io.images import list_photos, read_photo
from latentface.io.kinds import CAN_MOVE, picture_kind_of
from latentface.io.media import open_media
from latentface.io.metadata import BROKEN

Item = TypeVar("Item")
_DEFAULT_DELAY = 100  # milliseconds: what browsers show for a frame without a delay
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own leave the alpha plane aside
_UNTIMED = 300  # frames without a time with which a stream may begin
_BROKEN_END = "its last frame is damaged and left out"
_OTHER_SIZES = "its frames change their size, and are all shown in that of the first"


@dataclass(frozen=True)
class Film:
    """A video file as described by its header and first frame; each iteration decodes it again."""

    path: Path
    rate: Fraction
    start: Fraction  # of the first frame, in the file's own seconds
    expected: int | None  # frames that the file's index promises
    end: Fraction | None  # in the file's own seconds, where there is no such index
    framing: Framing
    notes: list[str]  # of its clip, for what is seen at the end only

    def __iter__(self) -> Iterator[Frame]:
        count, last = 0, Fraction(0)
        try:
            with open_media(self.path) as container:
                for frame, last in increasing(self._timed(container), 1 / self.rate):
                    if (frame.width, frame.height) != self.framing.size:
                        self._note(_OTHER_SIZES)
                    yield Frame(self.framing.pixels(frame), last)
                    count += 1
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self._damage(count, last)} ({_reason(error)})") from None
        lacks = self.expected is not None and count < self.expected - 1
        cut = self.end is not None and self.start + last + 1 / self.rate < self.end - max(2 / self.rate, Fraction(1, 4))
        if lacks or cut:
            promised = f"{self.expected} frames" if lacks else f"{float((self.end or 0) - self.start):.2f} s"
            raise InputError(f"{self._damage(count, last)}, its header promises {promised}")
        if count + 1 == self.expected:
            self._note(_BROKEN_END)

    def _note(self, text: str) -> None:
        note = f"{self.path}: {text}"
        if note not in self.notes:
            self.notes.append(note)

    def _timed(self, container: Any) -> Iterator[tuple[Any, Fraction | None]]:
        for frame in decode(container, partial(self._note, _BROKEN_END)):
            time = _time(frame)
            yield frame, None if time is None else snap(time - self.start, self.rate, frame.time_base)

    def _damage(self, count: int, last: Fraction) -> str:
        seconds = float(last + 1 / self.rate) if count else 0.0
        return f"{self.path}: damaged or cut off; readable up to frame {count} ({seconds:.2f} s)"


def open_film(path: Path) -> Clip:
    """Read the header and the first frame of a video file; raises InputError if it contains no picture."""
    try:
        with open_media(path) as container:
            if container.format.name.endswith("_pipe") or container.format.name == "image2":
                raise still(path)
            stream = film_stream(container)
            if stream is None:
                raise InputError(f"{path}: no video stream in this file (or it is cut off); give a clip with pictures")
            if stream.codec_context is None:
                raise InputError(f"{path}: its video stream is of an unknown kind, or damaged; give a clip that plays")
            frames = _decoded(container)
            frame = next(frames, None)
            if frame is None:
                raise InputError(f"{path}: the video stream holds no frame; give a clip that plays")
            notes = list(_notes(path, frame))
            has_alpha = any(part.is_alpha for part in frame.format.components)
            rate = _rate(stream)
            speaks = any(track.codec_context for track in container.streams.audio[:1])
            promised, start = _promised(stream), _start(chain([frame], frames if speaks else ()), rate)
            end = None if promised is not None else _end(container, stream)
            margins = margins_of(path, stream.id, (frame.width, frame.height))
            aspect, size = Fraction(stream.sample_aspect_ratio or 1), (frame.width, frame.height)
            framing = Framing(has_alpha, aspect, margins, Turn.of(frame), size)
            height, width = framing.pixels(frame).shape[:2]
            heard = Fraction(0) if _is_avi(container) else start  # an AVI's sound does not wait for its decoder
            sound = Sound(path, heard) if speaks else None
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: not a clip that can be played, or cut off ({_reason(error)}); readable up to frame 0; "
            "save or download it again"
        ) from None
    film = Film(path, rate, start, promised, end, framing, notes)
    return Clip(film, rate, (width, height), promised, has_alpha, sound, notes=notes)


def film_stream(container: Any) -> Any:
    """The first video stream of a container that is no cover picture; None without one."""
    films = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next(films, None)


def _notes(path: Path, frame: Any) -> tuple[str, ...]:
    """What is changed about the frames of a clip with such a first one."""
    fields = "an interlaced clip: its fields are made whole frames" if frame.interlaced_frame else None
    return tuple(f"{path}: {text}" for text in (note_of(frame), fields) if text is not None)


def decode(container: Any, on_broken_end: Callable[[], None] | None = None) -> Iterator[Any]:
    """The frames of a container's first video stream; from the first interlaced one on they are made whole.

    on_broken_end: called where the last frame alone is damaged, which then does not come.
    """
    graph: Any = None
    for frame in _decoded(container, on_broken_end):
        if graph is None and frame.interlaced_frame:
            graph = _deinterlacer(frame)
        if graph is None:
            yield frame
        else:
            graph.push(frame)
            yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _deinterlacer(frame: Any) -> Any:
    """A graph with bwdif: a frame for each frame, those that are not interlaced as they are."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    whole, sink = graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    source.link_to(whole)
    whole.link_to(sink)
    graph.configure()
    return graph


def _ready(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _decoded(container: Any, on_broken_end: Callable[[], None] | None = None) -> Iterator[Any]:
    """The frames of a container's first video stream, by a decoder that keeps alpha where there is some.

    Those of an AVI file are shown when they are decoded.
    """
    stream = film_stream(container)
    decoder = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1":
        decoder = av.CodecContext.create(_ALPHA_DECODERS[decoder.name], "r")
    decoder.thread_type = "SLICE"  # with several threads, good frames would be lost together with a damaged one
    decoder.flags |= Flags.unaligned  # what a stream crops is cropped to the pixel
    packets = container.demux(stream)
    for packet in packets:
        try:
            frames = decoder.decode(packet if packet.size else None)
        except av.error.InvalidDataError:
            if on_broken_end is None or not packet.size or next(packets).size:
                raise
            on_broken_end()
            frames = decoder.decode(None)
        for frame in frames:
            frame.time_base = frame.time_base or stream.time_base
            if _is_avi(container):
                frame.pts = frame.dts
            yield frame


def increasing(
    timed: Iterable[tuple[Item, Fraction | None]], step: Fraction, most: int = 8
) -> Iterator[tuple[Item, Fraction]]:
    """Items with increasing times: equal times are spread until the next one; missing times follow by `step`.

    Raw streams have no times, and some AVI files have the same time for two frames. Items are held back, at most `most`
    of them, until the time of the next one is known.
    """
    held: list[Item] = []
    start = Fraction(0)

    def spread(gap: Fraction) -> Iterator[tuple[Item, Fraction]]:
        yield from ((item, start + k * gap) for k, item in enumerate(held))

    try:
        for item, time in timed:
            if not held:
                start = time if time is not None else start
            elif time is not None and time > start:
                yield from spread((time - start) / len(held))
                held, start = [], time
            elif time is None or len(held) == most:
                yield from spread(step)
                held, start = [], start + step * len(held)
            held.append(item)
    except (av.FFmpegError, OSError):
        yield from spread(step)
        raise
    yield from spread(step)


def snap(time: Fraction, rate: Fraction, tick: Fraction) -> Fraction:
    """The multiple of 1 / rate that a time was rounded from by the ticks of the file, or else the time."""
    exact = round(time * rate) / rate
    return exact if abs(exact - time) <= tick else time


@dataclass(frozen=True)
class Animation:
    """An animated GIF, WebP or PNG; delays in milliseconds, one a frame."""

    path: Path
    delays: tuple[int, ...]
    rate: Fraction
    alpha: bool

    def __iter__(self) -> Iterator[Frame]:
        elapsed, tick = 0, Fraction(1, 100)  # GIF counts in hundredths
        for pixels, delay in zip(_pictures(self.path, self.alpha), self.delays, strict=True):
            yield Frame(pixels, snap(Fraction(elapsed, 1000), self.rate, tick))
            elapsed += delay


def open_animation(path: Path) -> Clip:
    """Read the delays of an animated picture; raises InputError for a still or damaged one."""
    delays: list[int] = []
    alpha, size = False, (0, 0)
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                picture = frame.convert("RGBA")  # Pillow learns a WebP frame's delay by decoding it
                delays.append(round(frame.info.get("duration") or _DEFAULT_DELAY))
                size, alpha = picture.size, alpha or bool(np.asarray(picture)[..., 3].min() < 255)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{path}: damaged or cut off; readable up to frame {len(delays)} ({_reason(error)})") from None
    if len(delays) < 2:
        raise still(path)
    rate = Fraction(1000 * len(delays), sum(delays))
    return Clip(Animation(path, tuple(delays), rate, alpha), rate, size, len(delays), alpha)


@dataclass(frozen=True)
class Stills:
    """The pictures of a folder as the frames of a clip."""

    files: tuple[Path, ...]
    rate: Fraction
    alpha: bool
    size: tuple[int, int]

    def __iter__(self) -> Iterator[Frame]:
        for k, path in enumerate(self.files):
            photo = read_photo(path)
            height, width = photo.rgb.shape[:2]
            if (width, height) != self.size:
                first = f"{self.files[0].name} has {self.size[0]} x {self.size[1]}"
                raise InputError(f"{path}: {width} x {height} pixels, but {first}; frames must be of one size")
            yield Frame(_with_alpha(photo.rgb, photo.alpha) if self.alpha else photo.rgb, k / self.rate)


def open_stills(folder: Path, rate: Fraction) -> Clip:
    """The pictures of a folder, in the order of their names, as a clip of that rate."""
    files = tuple(list_photos(folder))
    first = read_photo(files[0])
    height, width = first.rgb.shape[:2]
    alpha = first.alpha is not None
    return Clip(Stills(files, rate, alpha, (width, height)), rate, (width, height), len(files), alpha)


def is_animation(path: Path) -> bool:
    """Whether a file is a picture of several frames; False too for one that cannot be read."""
    if picture_kind_of(path) not in CAN_MOVE:
        return False
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1)) > 1
    except BROKEN:
        return False


def still(path: Path) -> InputError:
    """The error for a picture where a clip was expected."""
    return InputError(f"{path}: a still picture, not a clip; give a video, an animated GIF, or a folder of frames")


def _pictures(path: Path, alpha: bool) -> Iterator[Pixels]:
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            yield np.asarray(frame.convert("RGBA" if alpha else "RGB"))


def _with_alpha(rgb: Pixels, alpha: Pixels | None) -> Pixels:
    opaque = np.full(rgb.shape[:2], 255, np.uint8) if alpha is None else alpha
    return np.dstack([rgb, opaque])


def _is_avi(container: Any) -> bool:
    """Whether a file numbers its frames in the order of decoding alone."""
    return str(container.format.name) == "avi"


def _time(frame: Any) -> Fraction | None:
    """When a frame is shown, in the file's own seconds."""
    return None if frame.pts is None else Fraction(frame.pts) * Fraction(frame.time_base)


def _start(frames: Iterable[Any], rate: Fraction) -> Fraction:
    """When the first frame is shown, in the file's own seconds.

    Streams that were cut without new times begin with frames that have none; those are counted back from the first one
    that has, so that the sound stays with them.
    """
    with suppress(av.FFmpegError, OSError):  # of later frames, which reading them tells in its turn
        for count, frame in enumerate(islice(frames, _UNTIMED)):
            time = _time(frame)
            if time is not None:
                return time - count / rate
    return Fraction(0)


def _rate(stream: Any) -> Fraction:
    """Frames a second as the header tells; 25 where it tells none or a senseless one, since the frames' times count."""
    for told in (stream.guessed_rate, stream.average_rate):
        if told and Fraction(1, 1000) <= told <= 1000:
            return Fraction(told).limit_denominator(1001 * 1000)
    return Fraction(25)


def _promised(stream: Any) -> int | None:
    """Frames in the index of an MP4 or MOV file (what an edit list hides is not counted); None for other kinds."""
    if "mp4" not in stream.container.format.name:
        return None
    return sum(not entry.is_discard for entry in stream.index_entries) or None


def _end(container: Any, stream: Any) -> Fraction | None:
    """Where the video stream ends, as far as the header tells."""
    tick = Fraction(stream.time_base)
    if stream.duration:
        return Fraction((stream.start_time or 0) + stream.duration) * tick
    if container.duration and len(container.streams) == 1:
        return Fraction((container.start_time or 0) + container.duration, av.time_base)
    return None


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
