"""The clip value: exact times, lazy frames, rates as people write them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.io.clip import Clip, Frame, parse_rate
from tests.helpers.films import NTSC, moving, number, picture


def test_times_are_exact_multiples_of_the_frame_time() -> None:
    times = [frame.time for frame in moving(1000, NTSC, (8, 8)).frames]
    assert times[999] == 999 * Fraction(1001, 30000)


def test_frames_are_made_one_at_a_time() -> None:
    made: list[weakref.ref[np.ndarray]] = []

    def pictures() -> object:
        for k in range(50):
            pixels = picture(k)
            made.append(weakref.ref(pixels))
            yield pixels

    most = 0
    for _ in Clip.of(pictures(), 25, (64, 48)).map(lambda pixels: pixels[::2, ::2], (32, 24)):  # type: ignore[arg-type]
        gc.collect(0)
        most = max(most, sum(each() is not None for each in made))
    assert len(made) == 50
    assert most <= 3


@pytest.mark.parametrize("channels", [3, 4])
def test_a_frame_with_other_colours_keeps_the_rest(channels: int) -> None:
    frame = Frame(np.full((2, 2, channels), 7, np.uint8), Fraction(1, 3), np.zeros((68, 2)))
    made = frame.with_colours(np.zeros((2, 2, 3), np.uint8))
    assert made.pixels[0, 0].tolist() == [0, 0, 0, 7][:channels] and made.time == frame.time and made.face is frame.face


def test_map_keeps_times_and_states_the_new_size() -> None:
    halved = moving(3).map(lambda pixels: pixels[::2, ::2], (32, 24))
    assert halved.size == (32, 24)
    assert [(frame.time, frame.pixels.shape) for frame in halved] == [(Fraction(k, 25), (24, 32, 3)) for k in range(3)]


class TestGoingThrough:
    """A clip can be gone through again unless its frames are an iterator, and looking ahead loses nothing."""

    def test_what_is_made_of_a_clip_can_be_gone_through_as_often_as_the_clip(self) -> None:
        source = Clip.of([picture(k) for k in range(6)], 10, (64, 48))
        for clip in (
            source,
            source.map(lambda pixels: pixels + 8),
            source.resampled(5),
            source.resampled(5).resampled(10),
        ):
            assert not clip.once
            first, second = ([(number(frame.pixels), frame.time) for frame in clip] for _ in range(2))
            assert first == second and first

    def test_an_iterator_gives_its_frames_once(self) -> None:
        source = moving(6, 10)
        mapped = moving(6, 10).map(lambda pixels: pixels)
        for clip in (source, mapped, moving(6, 10).resampled(5)):
            assert clip.once
            assert list(clip) and not list(clip)

    @pytest.mark.parametrize("taken", [0, 1, 3, 9])
    def test_no_frame_is_lost_by_looking_ahead(self, taken: int) -> None:
        for clip in (moving(6), Clip(list(moving(6)), 25, (64, 48))):
            beginning, whole = clip.ahead(3)
            seen = [number(frame.pixels) for frame in islice(beginning, taken)]
            assert seen == list(range(min(taken, 3 if clip.once else 6)))
            assert [number(frame.pixels) for frame in whole] == [0, 1, 2, 3, 4, 5]
            assert (whole.rate, whole.size) == (clip.rate, clip.size)

    def test_what_was_kept_is_let_go(self) -> None:
        made: list[weakref.ref[np.ndarray]] = []

        def pictures() -> Iterator[np.ndarray]:
            for k in range(30):
                pixels = picture(k)
                made.append(weakref.ref(pixels))
                yield pixels

        beginning, whole = Clip.of(pictures(), 25, (64, 48)).ahead(10)
        for _ in beginning:
            pass
        frames, alive = iter(whole), []
        for frame in frames:
            del frame
            gc.collect(0)
            alive.append(sum(each() is not None for each in made))
        assert alive[0] >= 9 and alive[12] <= 3 and len(alive) == 30


def test_resampling_shows_the_latest_frame_and_keeps_the_length() -> None:
    slow = moving(6, 10).resampled(25)
    frames = list(slow)
    assert slow.rate == 25
    assert len(frames) == 15  # 0.6 seconds
    assert [number(frame.pixels) for frame in frames] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 5]
    assert [number(frame.pixels) for frame in moving(6, 10).resampled(5)] == [0, 2, 4]


def test_resampling_a_variable_rate() -> None:
    times = [Fraction(0), Fraction(1, 10), Fraction(1, 2)]
    clip = Clip([Frame(picture(k), time) for k, time in enumerate(times)], Fraction(5), (64, 48))
    assert [number(frame.pixels) for frame in clip.resampled(10)] == [0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", Fraction(25)), ("30000/1001", NTSC), ("29.97", NTSC), ("23.976", Fraction(24000, 1001)),
        ("59.94", Fraction(60000, 1001)), ("12.5", Fraction(25, 2)), ("30", Fraction(30)), ("1/200", Fraction(1, 200)),
        ("0.005", Fraction(1, 200)), ("23.98", Fraction(24000, 1001)), ("29.970", NTSC), ("24.0", Fraction(24)),
        ("2997/100", Fraction(2997, 100)), ("1.001", Fraction(1001, 1000)), ("119.88", Fraction(120000, 1001)),
    ],
)  # fmt: skip
def test_rates_as_people_write_them(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "-25", "fast", "1/0", "1e9", "nan"])
def test_impossible_rates(text: str) -> None:
    with pytest.raises(UsageError, match="frame rate"):
        parse_rate(text)


def test_rates_are_exact_or_refused() -> None:
    with pytest.raises(UsageError, match=r"frame rate 29\.97"):
        Clip([], 29.97, (8, 8))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="0 x 8"):
        Clip([], Fraction(25), (0, 8))
