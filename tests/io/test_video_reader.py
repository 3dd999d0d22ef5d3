"""Films, animations and folders as frames: exact times, upright pictures, square pixels, and damage that is told."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from latentface.errors import InputError
from latentface.io.images import write_image
from latentface.io.video import read_clip, write_clip
from latentface.io.video_reader import _start, open_animation, open_stills, snap
from tests.helpers.films import film, moving, number, picture


def test_variable_rate_is_kept_and_can_be_made_constant(tmp_path: Path) -> None:
    times = [0, 40, 80, 300, 340, 1000]
    clip = read_clip(film(tmp_path / "a.mp4", times))
    assert [frame.time for frame in clip] == [Fraction(time, 1000) for time in times]
    write_clip(tmp_path / "b.mp4", clip)
    assert [float(f.time) for f in read_clip(tmp_path / "b.mp4")] == pytest.approx([t / 1000 for t in times], abs=1e-3)
    shown = [number(frame.pixels) for frame in clip.resampled(10)]
    assert shown[:11] == [0, 2, 2, 3, 4, 4, 4, 4, 4, 4, 5]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("rotation", "turned"), [(0, 0), (90, 1), (-90, -1), (180, 2)])
def test_phones_turn_and_front_cameras_mirror(rotation: int, turned: int, mirrored: bool, tmp_path: Path) -> None:
    """FFmpeg counts a display rotation anticlockwise, as numpy.rot90 does, and mirrors after it."""
    clip = read_clip(film(tmp_path / "a.mp4", [0, 40], rotation=rotation, mirrored=mirrored))
    expected = np.rot90(picture(0), turned)
    expected = expected[:, ::-1] if mirrored else expected
    assert clip.size == (expected.shape[1], expected.shape[0])
    assert np.abs(next(iter(clip)).pixels.astype(int) - expected).mean() < 3


def test_frames_of_other_sizes_are_shown_in_that_of_the_first(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for k, (width, height) in enumerate([(64, 48), (32, 24), (128, 96)]):
            file = BytesIO()
            Image.new("RGB", (width, height), (80 * k, 120, 40)).save(file, "JPEG", quality=95)
            packet = av.Packet(file.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, k, k, Fraction(1, 25)
            packet.is_keyframe = True
            container.mux(packet)
    clip = read_clip(tmp_path / "a.avi")
    frames = [frame.pixels for frame in clip]
    assert clip.size == (64, 48) and [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert [round(float(frame[..., 0].mean()) / 80) for frame in frames] == [0, 1, 2]
    assert write_clip(tmp_path / "b.mp4", clip).frames == 3
    assert [note for note in clip.notes if "change their size" in note]


@pytest.mark.parametrize(
    ("crop", "box"), [("crop_left=10:crop_top=6", (10, 6, 64, 48)), ("crop_right=22", (0, 0, 42, 48))]
)
def test_what_a_stream_crops_is_cropped_to_the_pixel(crop: str, box: tuple[int, int, int, int], tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(3))
    with av.open(str(tmp_path / "a.mp4")) as given, av.open(str(tmp_path / "b.mkv"), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        cut = av.BitStreamFilterContext(f"h264_metadata={crop}", given.streams.video[0], stream)
        for packet in (*given.demux(), None):
            for made in cut.filter(packet):
                if made.size:
                    made.stream = stream
                    container.mux(made)
    left, top, right, bottom = box
    expected = picture(0)[top:bottom, left:right]
    pixels = next(iter(read_clip(tmp_path / "b.mkv"))).pixels
    assert pixels.shape == expected.shape and np.abs(pixels.astype(int) - expected).mean() < 3


def test_what_an_edit_list_hides_is_not_shown(tmp_path: Path) -> None:
    """A clip cut without encoding begins at a key frame before the cut, with a list that says what is shown."""
    write_clip(tmp_path / "a.mp4", moving(24))
    with av.open(str(tmp_path / "a.mp4")) as given, av.open(str(tmp_path / "b.mp4"), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux():
            if packet.size:
                packet.pts, packet.dts = packet.pts - 4000, packet.dts - 4000
                packet.stream = stream
                container.mux(packet)
    clip = read_clip(tmp_path / "b.mp4")
    assert [number(frame.pixels) for frame in clip] == list(range(10, 24)) and clip.count == 14
    assert next(iter(clip)).time == 0


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_broken_last_frame_costs_only_itself(name: str, tmp_path: Path) -> None:
    write_clip(tmp_path / name, moving(23))  # the last packet of so many is the last frame's
    with av.open(str(tmp_path / name)) as container:
        last = [bytes(packet) for packet in container.demux(video=0) if packet.size][-1]
    content = (tmp_path / name).read_bytes()
    assert content.count(last) == 1
    (tmp_path / f"broken-{name}").write_bytes(content.replace(last, b"\xff" * len(last)))
    clip = read_clip(tmp_path / f"broken-{name}")
    assert [number(frame.pixels) for frame in clip] == list(range(22))
    assert list(clip.notes) == [f"{tmp_path / f'broken-{name}'}: its last frame is damaged and left out"]
    assert write_clip(tmp_path / "out.mp4", read_clip(tmp_path / f"broken-{name}")).notes == tuple(clip.notes)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", [0, 40], aspect=Fraction(3, 2)))
    assert clip.size == (96, 48)
    assert next(iter(clip)).pixels.shape == (48, 96, 3)


def test_cut_off_film_says_how_far_it_could_be_read(tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.mp4", moving(60))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    shown = []
    with pytest.raises(InputError, match=r"readable up to frame (\d+) \(\d\.\d\d s\)") as caught:
        for frame in read_clip(tmp_path / "cut.mp4"):
            shown.append((round(frame.time * 25), number(frame.pixels)))
    assert 10 < len(shown) < 60
    assert shown == sorted(shown) and all(told == number(picture(k)) for k, told in shown)
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


def test_folder_with_pictures_of_two_sizes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(0))
    write_image(tmp_path / "b.png", picture(1, (32, 32)))
    with pytest.raises(InputError, match=r"b\.png: 32 x 32 pixels, but a\.png has 64 x 48"):
        list(read_clip(tmp_path, 25))


@pytest.mark.parametrize(
    ("time", "stands_for"),
    [("1/30", "1/30"), ("33/1000", "1/30"), ("34/1000", "1/30"), ("40/1000", "40/1000"), ("67/1000", "2/30")],
)
def test_times_in_ticks_stand_for_frames(time: str, stands_for: str) -> None:
    assert snap(Fraction(time), Fraction(30), Fraction(1, 1000)) == Fraction(stands_for)


def test_delays_of_an_animation_become_exact_times(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    frames = [Image.fromarray(picture(k)) for k in range(4)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 40, 300, 0])
    clip = open_animation(path)
    assert [frame.time for frame in clip] == [0, Fraction(1, 25), Fraction(2, 25), Fraction(19, 50)]
    assert clip.rate == Fraction(4 * 1000, 40 + 40 + 300 + 100)  # browsers show a frame without a delay for 100 ms
    assert (clip.count, clip.size, clip.alpha, clip.sound) == (4, (64, 48), False, None)


@pytest.mark.parametrize("suffix", ["png", "apng", "webp"])
def test_every_kind_of_animation_is_read_as_one(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    frames = [Image.fromarray(picture(k, alpha=True)) for k in range(3)]
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=50,
        lossless=True,
        format="png" if "png" in suffix else "webp",
    )
    clip = read_clip(path)
    assert (clip.alpha, clip.rate, len(list(clip))) == (True, 20, 3)
    assert next(iter(clip)).pixels.shape == (48, 64, 4)


def test_a_damaged_film_says_so_once_and_in_the_error_alone(tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.mp4", moving(60))
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    statement = (
        "import logging, sys; from latentface.io.video import read_clip\n"
        "try: list(read_clip(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, len(logging.getLogger('libav').handlers))"
    )
    done = subprocess.run(
        [sys.executable, "-c", statement, str(tmp_path / "cut.mp4")], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("InputError 0\n", "")


def test_the_pictures_of_a_folder_take_their_alpha_from_the_first(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(0), alpha=np.full((48, 64), 7, np.uint8))
    write_image(tmp_path / "b.png", picture(1))
    with_alpha = [frame.pixels[..., 3].max() for frame in open_stills(tmp_path, Fraction(5))]
    assert with_alpha == [7, 255]
    write_image(tmp_path / "0.png", picture(2))
    assert [frame.pixels.shape[2] for frame in open_stills(tmp_path, Fraction(5))] == [3, 3, 3]


def _encoded(path: Path, count: int = 12) -> Path:
    """A stream of H.264 with frames that refer forwards: raw, it holds no times at all, and AVI those of decoding."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(count):
            frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("source", ["dvr.h264", "screen.avi"])
@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.gif", "out.webp"])
def test_a_stream_without_times_takes_them_from_its_rate(source: str, name: str, tmp_path: Path) -> None:
    clip = read_clip(_encoded(tmp_path / source))
    assert [frame.time for frame in clip] == [Fraction(k, 25) for k in range(12)]
    assert write_clip(tmp_path / name, clip).frames == 12
    assert [frame.time for frame in read_clip(tmp_path / name)] == [Fraction(k, 25) for k in range(12)]


def test_a_senseless_rate_does_not_cost_a_clip(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", range(200), Fraction(1, 5000)))
    assert clip.rate == 25 and len(list(clip)) == 200


def test_times_that_stand_still_go_on_by_the_rate(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mkv", range(0, 480, 40))
    doubled = tmp_path / "doubled.mkv"
    with av.open(str(source)) as given, av.open(str(doubled), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux():
            if packet.size:
                packet.pts = packet.dts = packet.pts // 80 * 80
                packet.stream = stream
                container.mux(packet)
    times = [frame.time for frame in read_clip(doubled)]
    assert len(times) == 12
    assert all(one < other for one, other in itertools.pairwise(times))
    assert float(times[-1]) == pytest.approx(0.44, abs=0.05)


def test_a_path_is_a_path_whatever_colons_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "a.mp4", range(0, 120, 40), sound="aac").rename(tmp_path / "take:2.mp4")
    monkeypatch.chdir(tmp_path)
    for name in ("take:2.mp4", "./take:2.mp4", str(tmp_path / "take:2.mp4")):
        assert write_clip("my:clip.mp4", read_clip(name)).frames == 3
    assert sum(1 for _ in read_clip("my:clip.mp4")) == 3


def test_tags_that_are_not_utf8_do_not_cost_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.webm", moving(3))
    content = (tmp_path / "a.webm").read_bytes()
    assert content.count(b"COMMENT") == 1
    (tmp_path / "b.webm").write_bytes(content.replace(b"COMMENT", b"COMM\x80NT"))
    assert sum(1 for _ in read_clip(tmp_path / "b.webm")) == 3


def test_a_stream_of_an_unknown_kind_is_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(3))
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(InputError, match=r"b\.mp4: its video stream is of an unknown kind"):
        list(read_clip(tmp_path / "b.mp4"))


def test_an_interlaced_avi_keeps_its_times(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "top": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(10):
            frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = read_clip(tmp_path / "a.avi")
    assert any("interlaced" in note for note in clip.notes)
    assert [frame.time for frame in clip] == [Fraction(k, 25) for k in range(10)]


def test_a_cover_picture_is_no_film(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(3))
    with av.open(str(tmp_path / "a.mp4")) as given, av.open(str(tmp_path / "b.mp4"), "w") as container:
        cover = container.add_stream("png", rate=25)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 32, 32, "rgb24", Disposition.attached_pic
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in cover.encode(av.VideoFrame.from_ndarray(picture(0, (32, 32)), format="rgb24")):
            container.mux(packet)
        for packet in given.demux():
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    clip = read_clip(tmp_path / "b.mp4")
    assert (clip.size, len(list(clip))) == ((64, 48), 3)


def test_a_clip_that_begins_with_frames_without_times_starts_before_the_first_time() -> None:
    frames = [SimpleNamespace(pts=pts, time_base=Fraction(1, 10)) for pts in (None, None, 5)]
    assert _start(iter(frames), Fraction(10)) == Fraction(3, 10)
    assert _start(iter(frames[:2]), Fraction(10)) == 0
