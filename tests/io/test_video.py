"""Clips written and read again: exact times, upright pictures, sound, alpha, damage, and no half-written file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.errors import InputError, OutputError, UsageError
from latentface.io.clip import Clip, Frame, Sound
from latentface.io.images import write_image
from latentface.io.video import read_clip, write_clip
from tests.helpers.films import NTSC, film, moving, number, packets, picture

KINDS = ["clip.mp4", "clip.webm", "clip.gif", "clip.webp", "frames"]


def read_back(path: Path, rate: Fraction | int = 25) -> Clip:
    return read_clip(path, rate if path.is_dir() else None)


@pytest.mark.parametrize("name", KINDS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    written = write_clip(tmp_path / name, moving(8))
    clip = read_back(tmp_path / name)
    frames = list(clip)
    assert (written.frames, written.seconds, written.sound) == (8, Fraction(8, 25), "none")
    assert (clip.rate, clip.size, clip.alpha, clip.sound) == (25, (64, 48), False, None)
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(8)]
    errors = [np.abs(frame.pixels.astype(int) - picture(k)).mean() for k, frame in enumerate(frames)]
    assert max(errors) < (6 if name.endswith("gif") else 2)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif"])
def test_broadcast_rates_stay_exact(name: str, tmp_path: Path) -> None:
    """Matroska counts milliseconds and GIF hundredths, yet the frames come back at k * 1001 / 30000."""
    write_clip(tmp_path / name, moving(20, NTSC))
    frames = list(read_clip(tmp_path / name))
    assert len(frames) == 20
    if name.endswith("gif"):  # its rate can only be measured: the mean of 3, 3 and 4 hundredths
        assert all(abs(frame.time - k / NTSC) < Fraction(1, 100) for k, frame in enumerate(frames))
    else:
        assert [frame.time for frame in frames] == [k / NTSC for k in range(20)]


def test_a_clip_from_a_file_can_be_read_again(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(5))
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.count == 5
    assert [number(f.pixels) for f in clip] == [number(f.pixels) for f in clip] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("name", "size"), [("a.mp4", (64, 46)), ("a.webm", (63, 45)), ("a.gif", (63, 45))])
def test_odd_sizes(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    write_clip(tmp_path / name, moving(2, size=(63, 45)))
    clip = read_clip(tmp_path / name)
    assert clip.size == size
    first = next(iter(clip)).pixels
    assert np.abs(first[:45, :63].astype(int) - picture(0, (63, 45))).mean() < 6


def test_variable_rate_is_kept_and_can_be_made_constant(tmp_path: Path) -> None:
    times = [0, 40, 80, 300, 340, 1000]
    clip = read_clip(film(tmp_path / "a.mp4", times))
    assert [frame.time for frame in clip] == [Fraction(time, 1000) for time in times]
    write_clip(tmp_path / "b.mp4", clip)
    assert [float(f.time) for f in read_clip(tmp_path / "b.mp4")] == pytest.approx([t / 1000 for t in times], abs=1e-3)
    shown = [number(frame.pixels) for frame in clip.resampled(10)]
    assert shown[:11] == [0, 2, 2, 3, 4, 4, 4, 4, 4, 4, 5]


@pytest.mark.parametrize(("rotation", "turned"), [(90, 1), (-90, -1), (180, 2)])
def test_phone_rotation(rotation: int, turned: int, tmp_path: Path) -> None:
    """FFmpeg counts a display rotation anticlockwise, as numpy.rot90 does."""
    clip = read_clip(film(tmp_path / "a.mp4", [0, 40], rotation=rotation))
    expected = np.rot90(picture(0), turned)
    assert clip.size == (expected.shape[1], expected.shape[0])
    assert np.abs(next(iter(clip)).pixels.astype(int) - expected).mean() < 3


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", [0, 40], aspect=Fraction(3, 2)))
    assert clip.size == (96, 48)
    assert next(iter(clip)).pixels.shape == (48, 96, 3)


@pytest.mark.parametrize("name", ["clip.webm", "clip.webp", "clip.gif", "frames"])
def test_alpha_is_kept(name: str, tmp_path: Path) -> None:
    write_clip(tmp_path / name, moving(3, alpha=True))
    clip = read_back(tmp_path / name)
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


# ------------------------------------------------------------------------------------------------------ sound


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


# ------------------------------------------------------------------------------------------------------ bad input


def test_cut_off_film_says_how_far_it_could_be_read(tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.mp4", moving(60))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    shown = []
    with pytest.raises(InputError, match=r"readable up to frame (\d+) \(\d\.\d\d s\)") as caught:
        for frame in read_clip(tmp_path / "cut.mp4"):
            shown.append(number(frame.pixels))
    assert 10 < len(shown) < 60
    assert shown == list(range(len(shown)))
    assert f"frame {len(shown)} " in str(caught.value)


def test_film_with_noise_in_the_middle(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(60))
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    middle = slice(len(data) // 2, len(data) * 2 // 3)
    data[middle] = np.random.default_rng(0).bytes(len(data[middle]))
    (tmp_path / "b.mp4").write_bytes(data)
    shown = []
    with pytest.raises(InputError, match="readable up to frame"):
        for frame in read_clip(tmp_path / "b.mp4"):
            shown.append(number(frame.pixels))
    assert shown == list(range(len(shown)))


def test_cut_off_webm(tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.webm", moving(60))
    data = (tmp_path / "whole.webm").read_bytes()
    (tmp_path / "cut.webm").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="readable up to frame"):
        list(read_clip(tmp_path / "cut.webm"))


@pytest.mark.parametrize("keep", [0, 200])
def test_film_without_its_index(keep: int, tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.mp4", moving(3))
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:keep])
    with pytest.raises(InputError, match="empty" if keep == 0 else "cut off"):
        read_clip(tmp_path / "cut.mp4")


def test_noise_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(InputError, match="not a clip"):
        read_clip(tmp_path / "a.mp4")


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        from tests.helpers.films import tone

        for packet in tone(container.add_stream("aac", rate=48000, layout="mono"), Fraction(1, 4)):
            container.mux(packet)
    with pytest.raises(InputError, match="no video stream"):
        read_clip(tmp_path / "a.mp4")


def test_video_stream_without_frames(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", [0])
    data = (tmp_path / "a.mkv").read_bytes()
    cluster = data.index(bytes.fromhex("1f43b675"))  # Matroska's Cluster, which holds the frames
    (tmp_path / "b.mkv").write_bytes(data[:cluster])
    with pytest.raises(InputError, match=r"no frame|frame 0"):
        read_clip(tmp_path / "b.mkv")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "renamed.mp4"])
def test_a_still_picture_is_no_clip(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "still.png", picture(0))
    if name == "renamed.mp4":
        shutil.copy(tmp_path / "still.png", tmp_path / name)
    else:
        write_image(tmp_path / name, picture(0))
    with pytest.raises(InputError, match="still picture"):
        read_clip(tmp_path / name)


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_clip(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="no photos"):
        read_clip(tmp_path, 25)


def test_rates_go_with_folders_and_only_with_them(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(0))
    with pytest.raises(UsageError, match="no rate of its own"):
        read_clip(tmp_path)
    with pytest.raises(UsageError, match="its own frame rate"):
        read_clip(tmp_path / "a.png", 25)


def test_folder_with_pictures_of_two_sizes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(0))
    write_image(tmp_path / "b.png", picture(1, (32, 32)))
    with pytest.raises(InputError, match=r"b\.png: 32 x 32 pixels, but a\.png has 64 x 48"):
        list(read_clip(tmp_path, 25))


def test_an_empty_clip_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        write_clip(tmp_path / "a.mp4", moving(0))
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size(tmp_path: Path) -> None:
    pictures = [picture(0), picture(1, (32, 32))]
    with pytest.raises(InputError, match=r"\[32, 32, 3\].*\[48, 64, 3\]"):
        write_clip(tmp_path / "a.mp4", Clip.of(pictures, 25, (64, 48)))
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------ output


def breaking(count: int, error: BaseException) -> Clip:
    def frames() -> Iterator[Frame]:
        yield from moving(count)
        raise error

    return Clip(frames(), Fraction(25), (64, 48))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("cut off")])
def test_an_interrupted_clip_leaves_nothing(name: str, error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        write_clip(tmp_path / name, breaking(5, error))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", KINDS)
def test_what_there_is_can_be_kept(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path / name, breaking(5, KeyboardInterrupt()), keep_partial=True)
    assert [number(frame.pixels) for frame in read_back(tmp_path / name)] == [0, 1, 2, 3, 4]


def test_places_and_kinds_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="kind of clip"):
        write_clip(tmp_path / "a.avi", moving(2))
    with pytest.raises(OutputError, match=r"a\.mp4"):
        write_clip(tmp_path / "none" / "a.mp4", moving(2))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="exists already"):
        write_clip(tmp_path / "full", moving(2))
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep me"


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import resource
    import signal

    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(40))
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, old[1]))
        with pytest.raises(OutputError, match=r"a\.mp4"):
            write_clip(tmp_path / "a.mp4", Clip.of(noise, 25, (320, 240)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_on_frame_counts(tmp_path: Path) -> None:
    seen: list[int] = []
    write_clip(tmp_path / "a.mp4", moving(4), on_frame=lambda count, frame: seen.append(count))
    assert seen == [1, 2, 3, 4]


def test_colours_are_tagged_and_survive(tmp_path: Path) -> None:
    red: Pixels = np.full((48, 64, 3), (200, 60, 30), np.uint8)
    write_clip(tmp_path / "a.mp4", Clip.of([red, red], 25, (64, 48)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited
    assert np.abs(next(iter(read_clip(tmp_path / "a.mp4"))).pixels.astype(int) - red).max() <= 3
