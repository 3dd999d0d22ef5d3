"""Reads a camera, a stream, or a file played in real time: always the newest frame, with its time stamp."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from latentface.errors import InputError
from latentface.io.clip import Clip, Frame
from latentface.io.framing import Framing
from latentface.io.paths import is_address
from latentface.io.video import read_clip
from latentface.io.video_reader import decode

_DEVICES = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation"), "win32": ("video={}", "dshow")}
RARE = 10  # frames: once in so many, one that comes while another waits is kept beside it
PATIENCE = 5.0  # seconds without a frame after which a camera counts as gone


class Camera:
    """Reads frames in a thread of its own; a consumer that is slower than the camera misses frames instead of lagging.

    One that is late now and then misses none: two frames may wait, but not often.

    Args:
        source: a device's number or name, a stream's address, or a file, which is played at its own pace.

    Attributes:
        taken: frames so far.
        missed: of these, those that nobody asked for in time.

    Raises:
        InputError: it cannot be opened, or gives no frame within 5 seconds.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.taken = self.missed = 0
        self._waiting: deque[Frame] = deque()
        self._last = Fraction(-1)  # the last frame's time
        self._beside = -RARE  # which one was last kept beside another
        self._error: Exception | None = None
        self._ended = False
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._frames = self._open()
        self.start = time.monotonic()
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def clip(self) -> Clip:
        """The frames from now on; the clip can be iterated over once, and ends with the camera."""
        first = self._await()
        if first is None:
            raise InputError(f"camera {self.source}: it gives no picture; check it in another program")
        size = (first.pixels.shape[1], first.pixels.shape[0])
        return Clip(self._follow(), self.rate, size)

    def age(self, moment: Fraction) -> float:
        """Seconds since the frame with that time stamp was taken."""
        return time.monotonic() - self.start - float(moment)

    def _follow(self) -> Iterator[Frame]:
        while self._await() is not None:
            with self._news:
                frame = self._waiting.popleft()
            yield frame

    def _await(self) -> Frame | None:
        """The first frame that waits, or the next one; None at the end."""
        with self._news:
            arrived = self._news.wait_for(lambda: self._ended or self._waiting, PATIENCE)
            if self._error is not None:
                raise self._error
            if not arrived:
                raise InputError(f"camera {self.source}: no picture for {PATIENCE:g} s; is it still there?")
            return self._waiting[0] if self._waiting else None

    def _add(self, frame: Frame) -> None:
        """Let a frame wait, instead of those that do unless it is one that is rarely late."""
        self.taken += 1
        late = len(self._waiting)
        if late == 1 and self.taken - self._beside >= RARE:
            self._beside = self.taken
        else:
            self.missed += late
            self._waiting.clear()
        self._last = max(frame.time, self._last + Fraction(1, 10**6))  # two frames of one millisecond are two
        self._waiting.append(Frame(frame.pixels, self._last))

    def _open(self) -> Iterator[Frame]:
        path = Path(self.source)
        if path.is_file():
            clip = read_clip(path)
            self.rate = clip.rate
            return self._paced(clip)
        place, kind = self.source, None
        if not is_address(self.source):
            pattern, kind = _DEVICES.get(sys.platform, ("{}", None))
            place = pattern.format(self.source) if self.source.isdigit() or sys.platform != "linux" else self.source
        try:
            container = av.open(place, format=kind, timeout=PATIENCE)
            stream = container.streams.video[0]
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"camera {self.source}: cannot open {place} ({reason})") from error
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25).limit_denominator(1001 * 1000)
        framing = Framing()
        return (Frame(framing.pixels(frame), Fraction(0)) for frame in decode(container))

    def _paced(self, clip: Clip) -> Iterator[Frame]:
        for frame in clip:
            if self._stop.wait(max(0.0, -self.age(frame.time))):
                return
            yield Frame(frame.pixels[..., :3], frame.time)

    def _read(self) -> None:
        try:
            for frame in self._frames:
                moment = Fraction(round((time.monotonic() - self.start) * 1000), 1000)
                with self._news:
                    self._add(Frame(frame.pixels, moment))
                    self._news.notify_all()
                if self._stop.is_set():
                    break
        except Exception as error:  # any error is passed on to the thread that waits for frames
            self._error = error if isinstance(error, InputError) else InputError(f"camera {self.source}: {error}")
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()
