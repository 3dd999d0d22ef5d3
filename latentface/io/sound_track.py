"""Transfers the sound of one file to another, by copying packets or by decoding and encoding.

Packets are copied where the container takes their codec and their times can be relied on. Everything else is decoded,
its timing is repaired (gaps become silence, overlaps are cut), and it is converted to a sample rate and a channel
layout that the encoder accepts. Times count from the clip's first frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import av

from latentface.errors import InputError
from latentface.io.clip import Sound
from latentface.io.media import open_media

#: The usual layout for a number of channels, for files that do not specify one.
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0(side)", 6: "5.1(side)", 7: "6.1", 8: "7.1"}
_FALLBACKS = ("5.1", "stereo")  # where the encoder does not take the sound's own layout
_PROBED = 200  # packets: about 4 s
_SILENT_GAP = 0.02  # seconds; smaller differences between times and samples are rounding


@dataclass(frozen=True)
class SoundFormat:
    """The sound that a container holds: codecs whose packets it takes, and the encoder for all other sound."""

    copies: tuple[str, ...]
    encoder: str


class SoundTrack:
    """The sound of a clip in the container that is being written; `state` is copied or re-encoded.

    Raises:
        InputError: the sound cannot be read, or not be brought into a form that the encoder takes; the message names
            its file.
    """

    def __init__(self, container: Any, sound: Sound, form: SoundFormat) -> None:
        self.container, self.sound, self.pending = container, sound, None
        copied = self._can_copy(form)
        self.source: Any = self._open()
        stream = self.source.streams.audio[0]
        self.packets: Iterator[Any]
        if copied:
            self.state, self.stream = "copied", container.add_stream_from_template(stream)
            self.packets = self._copied(stream)
        else:
            self.state = "re-encoded"
            self.packets = self._encoded(stream, form.encoder)

    def play_until(self, time: Fraction) -> None:
        """Pass on every packet that begins before that time of the clip."""
        while self.source is not None:
            packet = self.pending or next(self.packets, None)
            self.pending = None
            if packet is None:
                return self.close()
            if packet.pts * packet.time_base >= time:
                self.pending = packet
                return None
            try:
                self.container.mux(packet)
            except av.error.InvalidDataError as error:  # in what was copied, not in the file that is written
                raise self._damaged(error) from None

    def close(self) -> None:
        """End the sound with the picture; anything the encoder still holds back is dropped."""
        if self.source is not None:
            self.source.close()
            self.source = None

    def _open(self) -> Any:
        try:
            return open_media(self.sound.path)
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.sound.path}: the sound cannot be read ({error}); leave it out") from None

    def _can_copy(self, form: SoundFormat) -> bool:
        """Whether the container takes these packets: by their codec, and by the times of the first of them."""
        with self._open() as source:
            stream = next(iter(source.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise InputError(f"{self.sound.path}: no sound that can be decoded; leave it out")
            if stream.codec_context.name.removesuffix("float") not in form.copies:
                return False
            if not stream.codec_context.sample_rate or "channel" in stream.codec_context.layout.name:
                return False
            last: int | None = None
            for packet in islice(self._read(lambda: source.demux(stream)), _PROBED):
                if packet.size == 0:
                    continue
                if packet.pts is None or packet.dts not in (None, packet.pts) or not packet.duration:
                    return False
                if last is not None and packet.pts <= last:
                    return False
                last = packet.pts
            return last is not None

    def _copied(self, stream: Any) -> Iterator[Any]:
        """Packets from the clip's start on, by the clip's clock."""
        shift = round(self.sound.start / stream.time_base)
        last: int | None = None
        for packet in self._read(lambda: self.source.demux(stream)):
            if packet.pts is None or 0 < shift >= packet.pts + (packet.duration or 0):
                continue  # from 0 on everything is taken: earlier packets prime the decoder
            packet.pts -= shift
            if last is not None and packet.pts <= last:
                packet.pts = last + 1  # a muxer refuses times that stand still
            last = packet.dts = packet.pts
            packet.stream = self.stream
            yield packet

    def _encoded(self, stream: Any, encoder: str) -> Iterator[Any]:
        layout = self._layout(stream)
        if layout != stream.codec_context.layout.name:
            stream.codec_context.layout = layout
        rate, chosen = self._output_form(encoder, stream.codec_context.sample_rate, layout)
        self.stream = self.container.add_stream(encoder, rate=rate, layout=chosen)
        return self._recoded(stream, layout, rate, chosen)

    def _recoded(self, stream: Any, layout: str, rate: int, chosen: str) -> Iterator[Any]:
        mended = _Mended(rate, chosen)
        for frame, time in self._timed(stream):
            if time + Fraction(frame.samples, frame.sample_rate) <= 0:
                continue
            for part in mended.take(frame, time):
                yield from self.stream.encode(part)
        for part in mended.rest():
            yield from self.stream.encode(part)
        yield from self.stream.encode(None)

    def _timed(self, stream: Any) -> Iterator[tuple[Any, Fraction]]:
        """Decoded sound with its time in the clip; frames without one follow the one before."""
        follows: Fraction | None = None
        for frame in self._read(lambda: self.source.decode(stream)):
            if frame.pts is not None:
                time = frame.pts * frame.time_base - self.sound.start
            else:
                time = follows if follows is not None else Fraction(0)
            follows = time + Fraction(frame.samples, frame.sample_rate)
            yield frame, time

    def _layout(self, stream: Any) -> str:
        """The sound's layout, or the usual one of so many channels where the file leaves it open."""
        layout = stream.codec_context.layout
        if "channel" not in layout.name:  # FFmpeg calls what is unknown "2 channels"
            return str(layout.name)
        if layout.nb_channels not in LAYOUTS:
            raise InputError(
                f"{self.sound.path}: its sound has {layout.nb_channels} channels and does not specify their layout; "
                f"expected at most {max(LAYOUTS)}; leave the sound out, or mix it down first"
            )
        return LAYOUTS[layout.nb_channels]

    def _output_form(self, encoder: str, rate: int, layout: str) -> tuple[int, str]:
        """The nearest rate and layout that the encoder takes: the next rate upwards, else its highest."""
        rates = sorted(av.codec.Codec(encoder, "w").audio_rates or [rate])
        chosen = next((each for each in rates if each >= rate), rates[-1])
        for each in dict.fromkeys((layout, *_FALLBACKS)):
            context: Any = av.CodecContext.create(encoder, "w")
            try:
                context.sample_rate, context.layout = chosen, each
                context.format = context.codec.audio_formats[0]
                context.time_base = Fraction(1, chosen)
                context.open()
            except (av.FFmpegError, ValueError):
                continue
            return chosen, each
        raise InputError(
            f"{self.sound.path}: {encoder} takes neither {layout} nor stereo sound of {rate} Hz; leave it out"
        )

    def _read(self, start: Any) -> Iterator[Any]:
        try:
            yield from start()
        except (av.FFmpegError, OSError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: av.FFmpegError | OSError) -> InputError:
        return InputError(f"{self.sound.path}: the sound is damaged ({error.strerror or error}); leave it out")


class _Mended:
    """Converts sound to one rate and layout; gaps are filled with silence, and overlaps are cut."""

    def __init__(self, rate: int, layout: str) -> None:
        self.rate, self.layout = rate, layout
        self.form: tuple[int, str, str] | None = None
        self.graph: Any = None

    def take(self, frame: Any, time: Fraction) -> Iterator[Any]:
        """The output that is complete after this frame, which starts at that time in seconds."""
        form = (frame.sample_rate, frame.format.name, frame.layout.name)
        if form != self.form:  # streams may change between two programmes
            yield from self.rest()
            self.form, self.graph = form, self._make(form)
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time * frame.sample_rate)
        self.graph.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[Any]:
        """The remaining output at the end."""
        if self.graph is not None:
            self.graph.push(None)
            yield from self._ready()
            self.graph = None

    def _make(self, form: tuple[int, str, str]) -> Any:
        rate, kind, layout = form
        first = "" if self.graph else ":first_pts=0"
        graph = av.filter.Graph()
        source = graph.add_abuffer(sample_rate=rate, format=kind, layout=layout, time_base=Fraction(1, rate))
        mend = graph.add("aresample", f"{self.rate}:async=1:min_hard_comp={_SILENT_GAP}{first}")
        shape = graph.add("aformat", f"channel_layouts={self.layout}:sample_rates={self.rate}")
        sink = graph.add("abuffersink")
        for one, other in ((source, mend), (mend, shape), (shape, sink)):
            one.link_to(other)
        graph.configure()
        return graph

    def _ready(self) -> Iterator[Any]:
        while True:
            try:
                yield self.graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
