"""Frames -> clip files and folders, one at a time, with their sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from latentface.arrays import Pixels
from latentface.io.clip import Clip, Frame
from latentface.io.images import write_image
from latentface.io.paths import address
from latentface.io.provenance import SourceType, stamp, tags
from latentface.io.sound_track import SoundFormat, SoundTrack
from latentface.io.xmp import merged

_BT709, _LIMITED = 1, 1  # numbers of ITU-T H.273 and of FFmpeg
_LARGE = 6_000_000  # pixels of a frame beyond which x264 may not buffer dozens of frames, at 70 bytes a pixel
#: x264's macroblock tree gives other bytes from run to run where it uses AVX-512; every clip is encoded without it.
_REPEATABLE = "no-mbtree=1"
_FRUGAL = "rc-lookahead=2:sync-lookahead=0:bframes=0:sliced-threads=1"
_FINEST_TICK = Fraction(1, 10_000)
_GIF_TICK = Fraction(1, 100)
#: Browsers show a frame of a GIF with a shorter delay for 100 ms.
SHORTEST_DELAY = Fraction(1, 50)


@dataclass(frozen=True)
class Format:
    """How a kind of file is encoded: its container, codec and their options, and the sound it can hold."""

    container: str
    codec: str
    pixels: str
    options: dict[str, str]
    alpha_pixels: str | None = None
    container_options: dict[str, str] | None = None
    sound: SoundFormat | None = None


FORMATS = {
    ".mp4": Format(
        "mp4", "libx264", "yuv420p", {"crf": "18", "preset": "veryfast", "x264-params": _REPEATABLE},
        sound=SoundFormat(("aac", "mp3", "ac3", "eac3", "alac"), "aac"), container_options={"movflags": "+faststart"},
    ),
    ".webm": Format(
        "webm", "libvpx-vp9", "yuv420p", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
        alpha_pixels="yuva420p", sound=SoundFormat(("opus", "vorbis"), "libopus"),
        container_options={"fflags": "+bitexact"},  # no random numbers for its parts
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
        """Close the file or folder without finishing it."""


class FilmSink:
    """Encodes into one file. `sound` says what became of it: none, copied, re-encoded or left out."""

    def __init__(self, path: Path, clip: Clip, source_type: SourceType | None) -> None:
        self.path, self.packet = path, merged(clip.xmp, source_type)
        self.format = FORMATS[path.suffix.lower()]
        self.alpha = clip.alpha and self.format.alpha_pixels is not None
        self.pixels = self.format.alpha_pixels if self.alpha and self.format.alpha_pixels else self.format.pixels
        self.container = av.open(
            address(path), "w", format=self.format.container, container_options=self.format.container_options or {}
        )
        self.container.metadata.update(tags(self.format.container, source_type, self.packet))
        self.stream = self._video(clip)
        self.track: SoundTrack | None = None
        self.sound = "left out" if clip.sound else "none"
        if clip.sound and self.format.sound:
            self.track = SoundTrack(self.container, clip.sound, self.format.sound)
            self.sound = self.track.state
        self.palette: Any = None
        self.shortest = 1  # ticks from one frame to the next
        if self.format.codec == "gif":
            self.stream.codec_context.time_base, self.shortest = _GIF_TICK, round(SHORTEST_DELAY / _GIF_TICK)
        self.at = -self.shortest

    def _video(self, clip: Clip) -> Any:
        width, height = clip.size
        options = dict(self.format.options)
        if self.format.codec == "libx264" and width * height > _LARGE:
            options["x264-params"] += f":{_FRUGAL}"
        stream: Any = self.container.add_stream(self.format.codec, rate=clip.rate, options=options)
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
        self.at = max(round(frame.time / tick), self.at + self.shortest)  # no two frames at one time
        image.time_base, image.pts, image.duration = tick, self.at, max(self.shortest, round(duration / tick))
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
        """A palette for each frame: a palette for the whole clip would require reading all frames first."""
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
        stamp(self.path, self.packet)

    def abandon(self) -> None:
        """Let go of the file without finishing it."""
        if self.track:
            self.track.close()
        self.container.close()


class FolderSink:
    """Writes frame-000000.png, frame-000001.png ... into a folder that exists."""

    def __init__(self, folder: Path, clip: Clip, source_type: SourceType | None) -> None:
        self.folder, self.source_type, self.xmp, self.count = folder, source_type, clip.xmp, 0
        self.sound = "left out" if clip.sound else "none"

    def put(self, frame: Frame, duration: Fraction) -> None:
        """Write one frame; a folder keeps no durations."""
        alpha = frame.pixels[..., 3] if frame.pixels.shape[2] == 4 else None
        path = self.folder / f"frame-{self.count:06d}.png"
        write_image(path, frame.pixels[..., :3], alpha=alpha, source_type=self.source_type, xmp=self.xmp)
        self.count += 1

    def close(self) -> None:
        """Every frame is written already."""

    abandon = close


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
