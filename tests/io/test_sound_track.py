"""Sound on its way into a clip: whatever its codec, layout, rate and times, it is heard when it should be."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latentface.errors import InputError
from latentface.io.clip import Clip, Frame, Sound
from latentface.io.video import read_clip, write_clip

BANG = 0.6  # seconds into the clip
SECONDS = 1.2


def record(
    path: Path,
    codec: str,
    *,
    rate: int = 44100,
    layout: str = "stereo",
    start: Fraction = Fraction(0),
    video: str = "libx264",
    forwards: int = 0,
) -> Path:
    """A clip of 1.2 s with a bang at .6 s.

    start: the time of its first frame in the file. forwards: frames in a row that refer forwards.
    """
    with av.open(str(path), "w") as container:
        picture = container.add_stream(video, rate=25)
        picture.width, picture.height = 64, 48
        picture.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
        picture.codec_context.max_b_frames = forwards
        sound = container.add_stream(codec, rate=rate, layout=layout)
        sound.bit_rate = 128_000
        for k in range(round(SECONDS * 25)):
            image = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * k, np.uint8), format="rgb24")
            image.time_base, image.pts = Fraction(1, 25), k + round(start * 25)
            container.mux(picture.encode(image))
        container.mux(picture.encode(None))
        wave = np.zeros(round(SECONDS * rate), np.int16)
        first = round(BANG * rate)
        wave[first:] = (12000 * np.sin(np.arange(len(wave) - first) * 2 * np.pi * 900 / rate)).astype(np.int16)
        channels = sound.codec_context.layout.nb_channels
        whole = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
        whole.sample_rate, whole.time_base, whole.pts = rate, Fraction(1, rate), round(start * rate)
        size = sound.codec_context.frame_size or 1024
        parts = av.AudioResampler(sound.codec_context.format, layout, rate, frame_size=size)
        for part in (*parts.resample(whole), *parts.resample(None)):
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def bang(path: Path) -> float:
    """Seconds from the first frame to the bang, as a player hears it."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        begin = float(first.pts * first.time_base)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            level = np.abs(frame.to_ndarray().astype(float)).reshape(-1)
            loud = np.flatnonzero(level > (3000 if frame.format.name.startswith("s16") else 0.09))
            if len(loud):
                channels = 1 if frame.format.is_planar else frame.layout.nb_channels
                return float(frame.pts * frame.time_base) + float(loud[0] // channels) / frame.sample_rate - begin
    raise AssertionError("no bang")


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "video"),
    [
        ("camera.avi", "pcm_s16le", 44100, "stereo", "mjpeg"),  # an AVI does not say which channel is which
        ("recorder.mkv", "pcm_s16le", 48000, "stereo", "libx264"),
        ("odd.mkv", "pcm_s16le", 11026, "mono", "libx264"),
        ("fine.mkv", "pcm_s16le", 192000, "stereo", "libx264"),
        ("seven.mkv", "pcm_s16le", 48000, "6.1", "libx264"),
        ("four.avi", "pcm_s16le", 48000, "4.0", "libx264"),
        ("mp3.avi", "libmp3lame", 44100, "stereo", "libx264"),
        ("a.asf", "wmav2", 44100, "stereo", "wmv2"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_of_every_kind_stays_in_sync(
    name: str, codec: str, rate: int, layout: str, video: str, suffix: str, tmp_path: Path
) -> None:
    source = record(tmp_path / name, codec, rate=rate, layout=layout, video=video)
    written = write_clip(tmp_path / f"out{suffix}", read_clip(source))
    assert written.frames == 30
    assert written.sound in ("copied", "re-encoded")
    assert bang(tmp_path / f"out{suffix}") == pytest.approx(BANG, abs=0.04)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("codec", ["libmp3lame", "pcm_s16le"])
def test_a_clip_that_does_not_begin_at_zero_stays_in_sync(codec: str, suffix: str, tmp_path: Path) -> None:
    source = record(tmp_path / "late.mkv", codec, start=Fraction(2))
    write_clip(tmp_path / f"out{suffix}", read_clip(source))
    assert bang(tmp_path / f"out{suffix}") == pytest.approx(BANG, abs=0.04)


def test_an_avi_with_frames_that_refer_forwards_stays_in_sync(tmp_path: Path) -> None:
    """A decoder gives its first frame two frames late; its sound does not lie behind."""
    source = record(tmp_path / "a.avi", "libmp3lame", forwards=2)
    write_clip(tmp_path / "out.mp4", read_clip(source))
    assert bang(tmp_path / "out.mp4") == pytest.approx(BANG, abs=0.04)


def test_sound_whose_times_stand_still_is_encoded_anew(tmp_path: Path) -> None:
    source, doubled = record(tmp_path / "a.mkv", "libmp3lame"), tmp_path / "b.mkv"
    with av.open(str(source)) as given, av.open(str(doubled), "w") as container:
        streams = [container.add_stream_from_template(stream) for stream in given.streams]
        held = 0
        for packet in given.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    held += 1
                    packet.pts = packet.dts = packet.pts - (packet.duration if held % 2 == 0 and packet.pts > 0 else 0)
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    assert write_clip(tmp_path / "out.mp4", read_clip(doubled)).sound == "re-encoded"
    assert bang(tmp_path / "out.mp4") == pytest.approx(BANG, abs=0.04)
    times = _times(tmp_path / "out.mp4")
    assert all(one < other for one, other in itertools.pairwise(times))


def _times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [packet.pts * packet.time_base for packet in container.demux(stream) if packet.size]


def test_silence_fills_a_gap_in_the_sound(tmp_path: Path) -> None:
    source, torn = record(tmp_path / "a.mkv", "pcm_s16le"), tmp_path / "b.mkv"
    with av.open(str(source)) as given, av.open(str(torn), "w") as container:
        streams = [container.add_stream_from_template(stream) for stream in given.streams]
        for packet in given.demux():
            lost = packet.stream.type == "audio" and packet.size and 0.2 < packet.pts * packet.time_base < 0.4
            if packet.size and not lost:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    write_clip(tmp_path / "out.mp4", read_clip(torn))
    assert bang(tmp_path / "out.mp4") == pytest.approx(BANG, abs=0.04)


def test_channels_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    source = record(tmp_path / "ten.avi", "pcm_s16le", layout="hexadecagonal")
    with pytest.raises(InputError, match=r"ten\.avi: its sound has 16 channels .* leave the sound out"):
        write_clip(tmp_path / "out.mp4", read_clip(source))
    assert not (tmp_path / "out.mp4").exists()


def test_sound_that_is_missing_is_told_by_its_name(tmp_path: Path) -> None:
    clip = Clip([Frame(np.zeros((48, 64, 3), np.uint8), Fraction(0))], Fraction(25), (64, 48))
    silent = Clip(clip.frames, clip.rate, clip.size, sound=Sound(tmp_path / "gone.mp3"))
    with pytest.raises(InputError, match=r"gone\.mp3: the sound cannot be read"):
        write_clip(tmp_path / "out.mp4", silent)


def test_sound_that_cannot_be_copied_is_the_fault_of_its_own_file(tmp_path: Path) -> None:
    source = record(tmp_path / "odd.mp4", "libmp3lame")
    content = bytearray(source.read_bytes())
    content[content.index(b"mp4a") + 13] = 1  # another version of the description, of which the rest makes no sense
    source.write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.mp4: the sound is damaged"):
        write_clip(tmp_path / "out.mp4", read_clip(source))
    assert not (tmp_path / "out.mp4").exists()


CLICKS = (0.5, 59.7, 299.9, 598.2)  # seconds
RATE = 44100


def clicking(path: Path, codec: str, start: Fraction, late: Fraction) -> Path:
    """Ten minutes of one frame a second, with clicks; start: of the first frame; late: of the sound after it."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=1)
        picture.width, picture.height, picture.pix_fmt = 16, 16, "yuv420p"
        picture.codec_context.time_base = Fraction(1, 5)
        sound = container.add_stream(codec, rate=RATE, layout="mono")
        for k in range(600):
            image = av.VideoFrame.from_ndarray(np.full((16, 16, 3), k % 200, np.uint8), format="rgb24")
            image.time_base, image.pts = Fraction(1, 5), 5 * k + round(start * 5)
            container.mux(picture.encode(image))
        container.mux(picture.encode(None))
        wave = np.zeros(600 * RATE, np.int16)
        for click in CLICKS:
            first = round((click - late) * RATE)
            wave[first : first + 400] = (20000 * np.sin(np.arange(400) * 0.3)).astype(np.int16)
        size = sound.codec_context.frame_size or 1024
        resampler = av.AudioResampler(sound.codec_context.format, "mono", RATE, frame_size=size)
        for first in range(0, len(wave), RATE):
            part = av.AudioFrame.from_ndarray(wave[None, first : first + RATE], format="s16", layout="mono")
            part.sample_rate, part.time_base = RATE, Fraction(1, RATE)
            part.pts = first + round((start + late) * RATE)
            for each in resampler.resample(part):
                container.mux(sound.encode(each))
        container.mux(sound.encode(None))
    return path


def clicks(path: Path) -> list[float]:
    """Seconds from the first frame to each click, as a player hears them."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        begin = float(first.pts * first.time_base)
    found: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            level = np.abs(frame.to_ndarray().astype(float)).reshape(-1)
            loud = np.flatnonzero(level > (4000 if frame.format.name.startswith("s16") else 0.12))
            if len(loud):
                time = float(frame.pts * frame.time_base) + float(loud[0]) / frame.sample_rate - begin
                found += [time] if not found or time - found[-1] > 1 else []
    return found


@pytest.mark.parametrize(
    ("name", "codec", "start", "late", "target", "way"),
    [
        ("a.mp4", "aac", Fraction(0), Fraction(0), "out.mp4", "copied"),
        ("a.mkv", "aac", Fraction(7, 5), Fraction(21, 100), "out.mp4", "re-encoded"),
    ],
)
def test_sound_stays_in_sync_over_ten_minutes(
    name: str, codec: str, start: Fraction, late: Fraction, target: str, way: str, tmp_path: Path
) -> None:
    source = clicking(tmp_path / name, codec, start, late)
    written = write_clip(tmp_path / target, read_clip(source))
    assert (written.frames, written.sound) == (600, way)
    heard = clicks(tmp_path / target)
    assert heard == pytest.approx(clicks(source), abs=0.04)
    assert heard == pytest.approx(CLICKS, abs=0.04)
