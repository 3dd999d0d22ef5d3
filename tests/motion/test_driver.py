"""What moves a face: retargeted keypoints, the filter, the reference frame, and frames without a face."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch

from latentface.errors import InputError, NoFaceFound
from latentface.faces.person_tracker import PersonTracker
from latentface.io.clip import Clip, Frame
from latentface.motion.driver import (
    LOOKED_AT,
    SHORTLIST,
    Driver,
    KeypointFilter,
    Latest,
    Retargeting,
    find_reference,
    hull_area,
    keypoints_of,
    unlikeness,
)
from latentface.networks.motion import Keypoints
from tests.helpers.cli_desk import draw_photo, face_points, find_blobs, place_points
from tests.helpers.motion_models import Wander, by_keypoints, motion_model, wandering


def keypoints(seed: int, count: int = 1) -> Keypoints:
    source = torch.Generator().manual_seed(seed)
    return Keypoints(
        torch.rand(count, 5, 2, generator=source) - 0.5,
        torch.eye(2) + 0.2 * torch.randn(count, 5, 2, 2, generator=source),
    )


def test_relative_motion_of_an_unmoved_driver_is_none() -> None:
    source, reference = keypoints(0), keypoints(1)
    moved = Retargeting(source, reference, by_keypoints())(reference)
    assert torch.allclose(moved.value, source.value)
    assert torch.allclose(moved.jacobian, source.jacobian, atol=1e-5)


def test_relative_motion_scales_with_the_faces() -> None:
    source, reference = keypoints(0), keypoints(1)
    larger = Keypoints(2 * reference.value, reference.jacobian)
    step = torch.tensor([0.1, -0.05])
    plain = Retargeting(source, larger, by_keypoints(adapt_scale=False))(
        Keypoints(larger.value + step, larger.jacobian)
    )
    assert torch.allclose(plain.value - source.value, step.expand(1, 5, 2), atol=1e-6)
    of_same_size = Retargeting(larger, larger, by_keypoints())
    of_half_size = Retargeting(reference, larger, by_keypoints())
    assert of_same_size.scale == pytest.approx(1.0)
    assert of_half_size.scale == pytest.approx(0.5)


def test_relative_jacobians_are_multiplied_in_order() -> None:
    source, reference, now = keypoints(0), keypoints(1), keypoints(2)
    moved = Retargeting(source, reference, by_keypoints())(now)
    wanted = now.jacobian @ torch.linalg.inv(reference.jacobian) @ source.jacobian
    assert torch.allclose(moved.jacobian, wanted, atol=1e-4)


def test_absolute_motion_is_the_driver_s_own() -> None:
    now = keypoints(2)
    assert Retargeting(keypoints(0), keypoints(1), by_keypoints(mode="absolute"))(now) is now


def test_points_on_a_line_do_not_scale() -> None:
    line = Keypoints(torch.linspace(-0.5, 0.5, 5)[None, :, None].expand(1, 5, 2), torch.eye(2).expand(1, 5, 2, 2))
    assert Retargeting(line, keypoints(0), by_keypoints()).scale == 1.0


def still_with_noise(count: int) -> Iterator[tuple[Fraction, Keypoints]]:
    noise = torch.randn(count, 1, 5, 2, generator=torch.Generator().manual_seed(0)) * 0.01
    rest = keypoints(0)
    for k in range(count):
        yield Fraction(k, 25), Keypoints(rest.value + noise[k], rest.jacobian)


def test_the_filter_steadies_a_point_at_rest_and_follows_one_that_moves() -> None:
    spreads = []
    for strength in (0.2, 1.0):
        smooth = KeypointFilter(strength)
        seen = torch.stack([smooth(points, time).value for time, points in still_with_noise(60)])[20:]
        spreads.append(float(seen.std(0).mean()))
    assert spreads[1] < 0.6 * spreads[0] < 0.01
    smooth, base = KeypointFilter(1.0), keypoints(0)
    last = base.value
    for k in range(50):
        last = smooth(Keypoints(base.value + 0.04 * k, base.jacobian), Fraction(k, 25)).value
    assert float((base.value + 0.04 * 49 - last).abs().max()) < 0.1  # two and a half frames behind at a full speed


def test_latest_shows_each_frame_until_the_next_and_keeps_the_last() -> None:
    a, b = keypoints(0), keypoints(1)
    latest = Latest(iter([(Fraction(0), a), (Fraction(1, 2), b)]))
    assert [latest(Fraction(t, 4)) for t in range(4)] == [a, a, b, b]


def test_unlikeness_ignores_place_and_size() -> None:
    points = face_points()
    other = points.copy()
    other[48:] += (0.0, 0.1)
    assert unlikeness(points, points * 40 + 7) == pytest.approx(0, abs=1e-9)
    assert unlikeness(points, other) > 1e-3


def test_the_best_frame_is_the_one_most_like_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def bent(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        points = place_points(photo, boxes)
        points[:, 48:, 1] += 3 * abs(boxes[:, None, 0] - 43) if photo.shape[1] == 180 else 0  # frame 3 stands at 43
        return points

    model, clip = motion_model(), Wander(6).clip()
    like = place_points(draw_photo(), find_blobs(draw_photo())[0])[0]
    assert Driver(clip, model, bent, by_keypoints(), like).report.reference == 3
    assert Driver(clip, model, bent, by_keypoints(best_frame=False), like).report.reference == 0
    assert Driver(clip, model, bent, by_keypoints(mode="absolute"), like).report.reference == 0


def test_times_that_do_not_rise_begin_the_filter_anew() -> None:
    smooth, a, b = KeypointFilter(1.0), keypoints(0), keypoints(1)
    smooth(a, Fraction(1))
    assert not torch.allclose(smooth(b, Fraction(2)).value, b.value, atol=1e-3)
    assert torch.equal(smooth(a, Fraction(2)).value, a.value)
    assert torch.equal(smooth(b, Fraction(1)).value, b.value)


def test_a_stronger_filter_follows_later() -> None:
    a, b = keypoints(0), keypoints(1)
    left = []
    for strength in (0.0, 0.5, 1.0):
        smooth = KeypointFilter(strength)
        smooth(a, Fraction(0))
        left.append(float((smooth(b, Fraction(1, 25)).value - b.value).abs().mean()))
    assert 0 < left[0] < left[1] < left[2]


def test_nothing_is_shown_before_the_first_frame_and_while_the_source_stands_still() -> None:
    a = keypoints(0)
    latest = Latest(iter([(Fraction(1), a), (Fraction(2), None)]))
    assert [latest(Fraction(t)) for t in range(4)] == [None, a, None, None]
    assert Latest(iter([]))(Fraction(9)) is None


def test_the_hull_of_a_square_and_of_a_line() -> None:
    square = torch.tensor([[0.0, 0], [2, 0], [2, 2], [0, 2], [1, 1]])
    assert hull_area(square) == pytest.approx(4)
    assert hull_area(torch.linspace(0, 1, 5)[:, None].expand(5, 2)) == 0


def drive(faceless: tuple[int, ...] = (), count: int = 4, **options: object) -> Driver:
    """A driver of `count` frames, its reference the first frame with a face."""
    chosen = by_keypoints(best_frame=False, **options)  # type: ignore[arg-type]
    return Driver(Wander(count, faceless).clip(), motion_model(), place_points, chosen, face_points())


def test_keypoints_are_read_from_the_square_of_the_reference_frame() -> None:
    driver = drive(smooth=0.0)
    seen = list(driver)
    assert [time for time, _ in seen] == [Fraction(k, 25) for k in range(4)]
    model = motion_model()
    for k, (_, points) in enumerate(seen):
        assert points is not None
        wanted = keypoints_of(driver.square.cut(wandering(k)), model)
        assert torch.equal(points.value, wanted.value) and torch.equal(points.jacobian, wanted.jacobian)
    assert torch.equal(driver.reference.value, seen[0][1].value)
    assert driver.report.frames == 4 and driver.report.missing == []


def test_a_driver_holds_or_stands_still_where_no_face_shows() -> None:
    held, still = drive((2,), missing="hold"), drive((2,), missing="source")
    frames = [points for _, points in held]
    assert frames[2] is frames[1] and frames[3] is not frames[1]
    assert [points is None for _, points in still] == [False, False, True, False]
    assert held.report.missing == still.report.missing == [2]


def test_a_driver_stops_where_it_is_told_to() -> None:
    frames = iter(drive((1,), missing="stop"))
    next(frames)
    with pytest.raises(InputError, match=r"no face in frame 1 .0\.04 s."):
        next(frames)


def test_smoothing_lags_behind_the_unfiltered_keypoints() -> None:
    exact, filtered = ([points.value for _, points in drive(smooth=strength)] for strength in (0.0, 1.0))
    assert torch.equal(exact[0], filtered[0])
    step = exact[3] - exact[0]
    assert float(((filtered[3] - exact[0]) * step).sum()) < 0.9 * float((step * step).sum())


def test_a_clip_without_a_face_moves_nothing() -> None:
    with pytest.raises(NoFaceFound, match="driving clip"):
        drive((0, 1, 2, 3))


# ------------------------------------------------------------------------- the reference frame

BLANK = np.zeros((140, 180, 3), np.uint8)


def tall(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Landmarks whose mouth is the lower, the brighter the frame's corner is."""
    points = place_points(photo, boxes)
    points[:, 48:, 1] += float(photo[0, 0, 0])
    return points


def marked(level: int, face: bool = True) -> np.ndarray:
    picture = wandering(0) if face else BLANK.copy()
    picture[:4, :4] = level
    return picture


def frames(levels: list[int | None]) -> Iterator[Frame]:
    for k, level in enumerate(levels):
        yield Frame(BLANK if level is None else marked(level), Fraction(k, 25))


LIKE = tall(marked(3), find_blobs(marked(3))[0])[0]


def test_the_first_frame_with_a_face() -> None:
    index, frame, points = find_reference(frames([None, None, 9, 3]), tall, LIKE, best=False)
    assert index == 2 and np.array_equal(frame.pixels, marked(9)) and points.shape == (68, 2)


@pytest.mark.parametrize(("step", "expected"), [(1, 3), (2, 4)])
def test_the_most_alike_of_those_looked_at(step: int, expected: int) -> None:
    levels = [None, 20, 30, 3, 5, 9, 40]
    assert find_reference(frames(levels), tall, LIKE, best=True, step=step)[0] == expected


class Hasty(PersonTracker):
    """One who sees a mouth seven pixels too high while searching, in every other frame, and exactly when it looks."""

    def __init__(self) -> None:
        self.number, self.looks = 1, 0

    def find(self, picture: np.ndarray) -> np.ndarray | None:
        points = self.look_closer(picture, LIKE)
        self.looks -= 1
        points[48:, 1] -= 7.0 * (picture[0, 0, 0] % 2)
        return points

    def look_closer(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        self.looks += 1
        return tall(picture, find_blobs(picture)[0])[0]


def test_the_most_alike_are_looked_at_once_more() -> None:
    person, levels = Hasty(), [30, 11, 4, 8, 40, 50, 60]
    index, frame, points = find_reference(frames(levels), tall, LIKE, best=True, person=person)
    assert person.looks == SHORTLIST < len(levels)
    assert index == 2, "11 only seemed to be nearer to 3"
    assert np.array_equal(points, tall(frame.pixels, find_blobs(frame.pixels)[0])[0])


def test_nothing_beyond_the_first_face_is_asked_for() -> None:
    given = frames([None, 5, 3, 3])
    find_reference(given, tall, LIKE, best=False)
    assert next(given).time == Fraction(2, 25)


@pytest.mark.parametrize("best", [True, False])
def test_no_face_says_how_many_frames_were_looked_at(best: bool) -> None:
    with pytest.raises(NoFaceFound, match="no face found in 5 frames"):
        find_reference(frames([None] * 5), tall, LIKE, best)
    with pytest.raises(NoFaceFound, match="no face found in 0 frames"):
        find_reference(frames([]), tall, LIKE, best)


def test_a_clip_that_comes_once_is_searched_in_its_beginning_only() -> None:
    levels: list[int | None] = [30] * (LOOKED_AT - 1) + [9] + [3] * 20
    once = Clip(frames(levels), 25, (180, 140), len(levels))
    again = Clip(list(frames(levels)), 25, (180, 140), len(levels))
    model, options = motion_model(), by_keypoints()
    driver = Driver(once, model, tall, options, LIKE)
    assert driver.report.reference == LOOKED_AT - 1
    assert sum(1 for _ in driver) == len(levels) == driver.report.frames
    assert Driver(again, model, tall, options, LIKE).report.reference >= LOOKED_AT
