"""Frames as files: odd sides, alpha, sound packet by packet, colours, clocks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from scipy.ndimage import gaussian_filter

from latentface.arrays import Pixels
from latentface.errors import InputError, OutputError
from latentface.io.clip import Clip, Sound
from latentface.io.video import read_clip, write_clip
from latentface.io.video_writer import FilmSink, FolderSink
from tests.helpers.films import NTSC, film, moving, packets, picture


@pytest.mark.parametrize(("name", "size"), [("a.mp4", (64, 46)), ("a.webm", (63, 45)), ("a.gif", (63, 45))])
def test_odd_sizes(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    write_clip(tmp_path / name, moving(2, size=(63, 45)))
    clip = read_clip(tmp_path / name)
    assert clip.size == size
    first = next(iter(clip)).pixels
    assert np.abs(first[:45, :63].astype(int) - picture(0, (63, 45))).mean() < 6


@pytest.mark.parametrize("name", ["clip.webm", "clip.webp", "clip.gif", "frames"])
def test_alpha_is_kept(name: str, tmp_path: Path) -> None:
    write_clip(tmp_path / name, moving(3, alpha=True))
    clip = read_clip(tmp_path / name, 25 if name == "frames" else None)
    assert clip.alpha
    for k, frame in enumerate(clip):
        assert frame.pixels.shape == (48, 64, 4)
        assert np.abs(frame.pixels[..., 3].astype(int) - picture(k, alpha=True)[..., 3]).mean() < 4
        assert np.abs(frame.pixels[:, :28, :3].astype(int) - picture(k)[:, :28]).mean() < 6


def test_mp4_lays_alpha_over_black(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(2, alpha=True))
    first = next(iter(read_clip(tmp_path / "a.mp4"))).pixels
    assert first[:, 40:].max() < 12
    assert np.abs(first[:, :28].astype(int) - picture(0)[:, :28]).mean() < 3


def test_sound_is_copied_untouched(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", range(0, 1040, 40), sound="aac")
    written = write_clip(tmp_path / "b.mp4", read_clip(source).map(lambda pixels: 255 - pixels))
    assert written.sound == "copied"
    assert packets(tmp_path / "b.mp4") == packets(source)


def test_sound_is_encoded_anew_where_the_container_asks_for_it(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", range(0, 1040, 40), sound="aac")
    assert write_clip(tmp_path / "b.webm", read_clip(source)).sound == "re-encoded"
    with av.open(str(tmp_path / "b.webm")) as container:
        stream = container.streams.audio[0]
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(stream)])
    assert stream.codec_context.name in ("opus", "libopus")
    assert len(sound) / 48000 == pytest.approx(1.0, abs=0.06)
    assert np.sqrt(np.mean(sound[4800:-9600] ** 2)) == pytest.approx(9000 / 32768 / 2**0.5, rel=0.1)


def test_sound_follows_the_clip_when_it_starts_later(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", range(0, 1040, 40), sound="aac")
    write_clip(tmp_path / "b.mp4", moving(10, sound=Sound(source, Fraction(1, 2))))
    copied, original = packets(tmp_path / "b.mp4"), packets(source)
    first = next(k for k, (_, data) in enumerate(original) if data == copied[0][1])
    assert abs(float(original[first][0]) - 0.5) < 0.03
    assert len(copied) == pytest.approx(0.4 * 48000 / 1024, abs=2)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "frames"])
def test_formats_without_sound_say_so(name: str, tmp_path: Path) -> None:
    source = film(tmp_path / "source.mp4", range(0, 200, 40), sound="aac")
    assert write_clip(tmp_path / name, read_clip(source)).sound == "left out"


def test_colours_are_tagged_and_survive(tmp_path: Path) -> None:
    red: Pixels = np.full((48, 64, 3), (200, 60, 30), np.uint8)
    write_clip(tmp_path / "a.mp4", Clip.of([red, red], 25, (64, 48)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited
    assert np.abs(next(iter(read_clip(tmp_path / "a.mp4"))).pixels.astype(int) - red).max() <= 3


@pytest.mark.parametrize(("rate", "tick"), [(25, Fraction(1, 25)), (NTSC, Fraction(1, 30000)), (1, Fraction(1))])
def test_frames_lie_on_a_clock_of_their_rate(rate: Fraction | int, tick: Fraction, tmp_path: Path) -> None:
    sink = FilmSink(tmp_path / "a.mp4", moving(1, rate), None)
    base = sink.stream.codec_context.time_base
    clock = Fraction(base.numerator, base.denominator)
    sink.abandon()
    assert (1 / Fraction(rate)) % clock == 0 and clock <= max(tick, Fraction(1, 10_000))
    assert clock <= Fraction(1, 10_000) or clock == tick


def test_a_folder_gets_numbered_frames_and_no_sound(tmp_path: Path) -> None:
    clip = moving(2, alpha=True, sound=Sound(tmp_path / "unread.mp4"))
    sink = FolderSink(tmp_path, clip, "trainedAlgorithmicMedia")
    for frame in clip:
        sink.put(frame, Fraction(1, 25))
    sink.close()
    assert sink.sound == "left out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frame-000000.png", "frame-000001.png"]
    with Image.open(tmp_path / "frame-000001.png") as image:
        assert np.array_equal(np.asarray(image), picture(1, alpha=True))


def test_sound_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
    with pytest.raises(InputError, match=r"noise\.mp4: the sound cannot be read .* leave it out"):
        write_clip(tmp_path / "a.mp4", moving(2, sound=Sound(tmp_path / "noise.mp4")))
    assert [path.name for path in tmp_path.iterdir()] == ["noise.mp4"]


@pytest.mark.parametrize("rate", [24, 30, 60, 120])
def test_a_gif_has_no_delays_that_browsers_slow_down(rate: int, tmp_path: Path) -> None:
    written = write_clip(tmp_path / "a.gif", moving(rate, rate=rate, size=(16, 12)))
    with Image.open(tmp_path / "a.gif") as image:
        delays = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert min(delays) >= 20
    assert sum(delays) == pytest.approx(1000, abs=25)
    assert bool(written.notes) == (rate > 50)
    assert all("it has 50" in note for note in written.notes)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.webp"])
def test_the_same_frames_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    clouds = [gaussian_filter(source.uniform(0, 255, (150, 200, 3)), (3, 3, 0)).astype(np.uint8) for _ in range(6)]
    kept, seen = [], set()
    for size in (1, 4_097, 70_001, 30, 150_003, 9, 12_345, 88_888):  # of memory, so that encoders find other places
        write_clip(tmp_path / name, Clip.of(clouds, 25, (200, 150)))
        seen.add((tmp_path / name).read_bytes())
        kept.append(np.full(size, size % 251, np.uint8))
    assert len(seen) == 1


def test_an_encoders_fault_is_not_blamed_on_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FilmSink, frame: object, duration: object) -> None:
        raise av.error.ArgumentError(22, "Invalid argument")

    monkeypatch.setattr(FilmSink, "put", refuse)
    with pytest.raises(OutputError, match=r"a\.mp4: Invalid argument$"):
        write_clip(tmp_path / "a.mp4", moving(2))
    assert not list(tmp_path.iterdir())
