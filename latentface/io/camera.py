"""Reads a camera, a stream, or a file played in real time: always the newest frame, with its time stamp."""

from __future__ import annotations

import sys
import threading
import time
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
PATIENCE = 5.0  # seconds without a frame after which a camera counts as gone


class Camera:
    """Reads frames in a thread of its own; a consumer that is slower than the camera misses frames instead of lagging.

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
        self._given = Fraction(-1)  # the time of the last frame that was
        self._frame: Frame | None = None
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
        first = self._newest(after=Fraction(-1))
        if first is None:
            raise InputError(f"camera {self.source}: it gives no picture; check it in another program")
        size = (first.pixels.shape[1], first.pixels.shape[0])
        return Clip(self._follow(), self.rate, size)

    def age(self, moment: Fraction) -> float:
        """Seconds since the frame with that time stamp was taken."""
        return time.monotonic() - self.start - float(moment)

    def _follow(self) -> Iterator[Frame]:
        seen = Fraction(-1)
        while (frame := self._newest(after=seen)) is not None:
            seen = frame.time
            yield frame

    def _newest(self, after: Fraction) -> Frame | None:
        """The newest frame if it is newer than `after`, otherwise the next one; None at the end."""
        with self._news:
            arrived = self._news.wait_for(
                lambda: self._ended or (self._frame is not None and self._frame.time > after), PATIENCE
            )
            if self._error is not None:
                raise self._error
            if not arrived:
                raise InputError(f"camera {self.source}: no picture for {PATIENCE:g} s; is it still there?")
            if self._frame is None or self._frame.time <= after:
                return None
            self._given = self._frame.time
            return self._frame

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
                    self.taken += 1
                    if self._frame is not None:  # two frames of one millisecond are two frames
                        self.missed += self._frame.time > self._given
                        moment = max(moment, self._frame.time + Fraction(1, 10**6))
                    self._frame = Frame(frame.pixels, moment)
                    self._news.notify_all()
                if self._stop.is_set():
                    break
        except Exception as error:  # any error is passed on to the thread that waits for frames
            self._error = error if isinstance(error, InputError) else InputError(f"camera {self.source}: {error}")
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()
