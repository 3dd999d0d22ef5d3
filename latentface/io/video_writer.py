"""Frames -> clip files and folders, one at a time, with sound copied packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from latentface.arrays import Pixels
from latentface.errors import InputError
from latentface.io.clip import Clip, Frame, Sound
from latentface.io.images import write_image
from latentface.io.provenance import SourceType, stamp, tags

_BT709, _LIMITED = 1, 1  # numbers of ITU-T H.273 and of FFmpeg
_FINEST_TICK = Fraction(1, 10_000)


@dataclass(frozen=True)
class Format:
    """How a kind of file is encoded: its container, codec and their options, and the sound it can hold."""

    container: str
    codec: str
    pixels: str
    options: dict[str, str]
    alpha_pixels: str | None = None
    container_options: dict[str, str] | None = None
    copies: tuple[str, ...] = ()
    sound_codec: str | None = None


FORMATS = {
    ".mp4": Format(
        "mp4", "libx264", "yuv420p", {"crf": "17", "preset": "veryfast"}, container_options={"movflags": "+faststart"},
        copies=("aac", "mp3", "ac3", "eac3", "alac"), sound_codec="aac",
    ),
    ".webm": Format(
        "webm", "libvpx-vp9", "yuv420p", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
        alpha_pixels="yuva420p", copies=("opus", "vorbis"), sound_codec="libopus",
    ),
    ".gif": Format("gif", "gif", "pal8", {}, alpha_pixels="pal8", container_options={"loop": "0"}),
    ".webp": Format(
        "webp", "libwebp", "bgra", {"quality": "90"}, alpha_pixels="bgra", container_options={"loop": "0"}
    ),
}  # fmt: skip


class Sink(Protocol):
    """Takes frames [H, W, 3 or 4] until it is closed."""

    sound: str

    def put(self, frame: Frame, duration: Fraction) -> None:
        """Take one frame, shown for `duration` seconds."""

    def close(self) -> None:
        """Finish the file or folder."""

    def abandon(self) -> None:
        """Let go of the file or folder without finishing it."""


class FilmSink:
    """Encodes into one file. `sound` says what became of it: none, copied, re-encoded or left out."""

    def __init__(self, path: Path, clip: Clip, source_type: SourceType | None) -> None:
        self.path, self.source_type = path, source_type
        self.format = FORMATS[path.suffix.lower()]
        self.alpha = clip.alpha and self.format.alpha_pixels is not None
        self.pixels = self.format.alpha_pixels if self.alpha and self.format.alpha_pixels else self.format.pixels
        self.container = av.open(
            str(path), "w", format=self.format.container, container_options=self.format.container_options or {}
        )
        self.container.metadata.update(tags(self.format.container, source_type))
        self.stream = self._video(clip)
        self.track = _Track(self.container, clip.sound, self.format) if clip.sound else None
        self.sound = self.track.state if self.track else "none"
        self.palette: Any = None

    def _video(self, clip: Clip) -> Any:
        stream: Any = self.container.add_stream(self.format.codec, rate=clip.rate, options=dict(self.format.options))
        width, height = clip.size
        if self.format.codec == "libx264":  # 4:2:0 halves both sides, and H.264 cannot crop one pixel of it away
            width, height = width + width % 2, height + height % 2
        stream.width, stream.height, stream.pix_fmt = width, height, self.pixels
        tick = 1 / Fraction(clip.rate.numerator)
        context = stream.codec_context
        context.time_base = tick / -(-tick // _FINEST_TICK)
        context.thread_type = "AUTO"
        if self.pixels.startswith("yuv"):
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
        return stream

    def put(self, frame: Frame, duration: Fraction) -> None:
        """Encode one frame that is shown for that long, and the sound that is heard until then."""
        tick = self.stream.codec_context.time_base
        image = self._image(frame.pixels)
        image.time_base, image.pts, image.duration = tick, round(frame.time / tick), max(1, round(duration / tick))
        for packet in self.stream.encode(image):
            self.container.mux(packet)
        if self.track:
            self.track.play_until(frame.time + duration)

    def _image(self, pixels: Pixels) -> Any:
        if pixels.shape[2] == 4 and not self.alpha:  # straight alpha over black
            pixels = np.rint(pixels[..., :3] * (pixels[..., 3:] / 255.0)).astype(np.uint8)
        down, right = self.stream.height - pixels.shape[0], self.stream.width - pixels.shape[1]
        if down or right:
            pixels = np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="edge")
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba" if self.alpha else "rgb24")
        if self.pixels == "pal8":
            return self._quantise(image)
        if self.pixels == "bgra":
            return image.reformat(format="bgra")
        return image.reformat(format=self.pixels, dst_colorspace=_BT709, dst_color_range=_LIMITED)

    def _quantise(self, image: Any) -> Any:
        """A palette of its own for each frame: one for the whole clip would have to see all frames first."""
        if self.palette is None:
            self.palette = _palette_graph(image)
        self.palette.push(image)
        return self.palette.pull()

    def close(self) -> None:
        """Write what the encoder still holds, then the index and the disclosure."""
        for packet in self.stream.encode(None):
            self.container.mux(packet)
        if self.track:
            self.track.close()
        self.container.close()
        stamp(self.path, self.source_type)

    def abandon(self) -> None:
        """Let go of the file without finishing it."""
        if self.track:
            self.track.abandon()
        self.container.close()


class FolderSink:
    """Writes frame-000000.png, frame-000001.png ... into a folder that exists."""

    def __init__(self, folder: Path, clip: Clip, source_type: SourceType | None) -> None:
        self.folder, self.source_type, self.count = folder, source_type, 0
        self.sound = "left out" if clip.sound else "none"

    def put(self, frame: Frame, duration: Fraction) -> None:
        """Write one frame; a folder keeps no durations."""
        alpha = frame.pixels[..., 3] if frame.pixels.shape[2] == 4 else None
        path = self.folder / f"frame-{self.count:06d}.png"
        write_image(path, frame.pixels[..., :3], alpha=alpha, source_type=self.source_type)
        self.count += 1

    def close(self) -> None:
        """Every frame is written already."""

    abandon = close


class _Track:
    """The sound of a file on its way into another: copied when the container takes its codec, else encoded anew."""

    def __init__(self, container: Any, sound: Sound, format: Format) -> None:
        self.container, self.sound, self.pending = container, sound, None
        self.state = "left out"
        self.source: Any = None
        if format.sound_codec is None:
            return
        self.source = self._open()
        stream = self.source.streams.audio[0]
        if stream.codec_context.name in format.copies:
            self.state, self.stream = "copied", container.add_stream_from_template(stream)
            self.packets = self._copied(stream)
        else:
            rate = 48000 if format.sound_codec == "libopus" else stream.codec_context.sample_rate
            self.state = "re-encoded"
            self.stream = container.add_stream(format.sound_codec, rate=rate, layout=stream.codec_context.layout.name)
            self.packets = self._encoded(stream)

    def _open(self) -> Any:
        try:
            return av.open(str(self.sound.path))
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.sound.path}: the sound cannot be read ({error}); leave it out") from None

    def _copied(self, stream: Any) -> Iterator[Any]:
        """Packets from the clip's start on, by the clip's clock."""
        shift = round(self.sound.start / stream.time_base)
        for packet in self._read(lambda: self.source.demux(stream)):
            if packet.pts is None or 0 < shift >= packet.pts + (packet.duration or 0):
                continue  # from 0 on everything is taken: what lies before is the decoder's run-up
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self.stream
            yield packet

    def _encoded(self, stream: Any) -> Iterator[Any]:
        for frame in self._read(lambda: self.source.decode(stream)):
            time = frame.pts * frame.time_base - self.sound.start
            if time + Fraction(frame.samples, frame.sample_rate) <= 0:
                continue
            frame.pts = round(time / frame.time_base)
            yield from self.stream.encode(frame)
        yield from self.stream.encode(None)

    def _read(self, start: Any) -> Iterator[Any]:
        try:
            yield from start()
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.sound.path}: the sound is damaged ({error}); leave it out") from None

    def play_until(self, time: Fraction) -> None:
        """Pass on every packet that begins before that time of the clip."""
        while self.source is not None:
            packet = self.pending or next(self.packets, None)
            self.pending = None
            if packet is None:
                return self.abandon()
            if packet.pts * packet.time_base >= time:
                self.pending = packet
                return None
            self.container.mux(packet)

    def close(self) -> None:
        """The sound ends with the picture; what an encoder still holds back is dropped with the rest."""
        self.abandon()

    def abandon(self) -> None:
        if self.source is not None:
            self.source.close()
            self.source = None


def _palette_graph(image: Any) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=image.width, height=image.height, format=image.format, time_base=Fraction(1, 100))
    split, palette = graph.add("split"), graph.add("palettegen", "stats_mode=single")
    use, sink = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
