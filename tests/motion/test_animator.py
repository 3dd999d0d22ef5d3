"""Driving clips that move the faces of a photo: squares, transfer, filters, frames, faces and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.faces.square import Square
from latentface.io.camera import Camera
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo
from latentface.motion import animator, calibration, driver
from latentface.motion.driver import Driver, KeypointFilter, Latest, Retargeting, unlikeness
from latentface.networks.motion import Keypoints
from latentface.options import AnimateOptions
from tests.helpers.cli_desk import draw_photo, face_points, find_blobs, place_points
from tests.helpers.motion_models import Wander, best_skin, motion_model, wandering

by_keypoints = partial(AnimateOptions, engine="motion")


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(alignment, "best_score", best_skin)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: place_points)


def keypoints(seed: int, count: int = 1) -> Keypoints:
    source = torch.Generator().manual_seed(seed)
    return Keypoints(
        torch.rand(count, 5, 2, generator=source) - 0.5,
        torch.eye(2) + 0.2 * torch.randn(count, 5, 2, 2, generator=source),
    )


# ------------------------------------------------------------------------------------------------- squares


def test_a_square_cuts_whole_pixels_and_goes_on_beyond_the_picture() -> None:
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert np.array_equal(Square(2, 1, 4).cut(picture), picture[1:5, 2:6])
    beyond = Square(-2, 3, 6).cut(picture)
    assert np.array_equal(beyond[:3, 2:], picture[3:, :4])
    assert np.array_equal(beyond[5], beyond[2])  # the last row goes on


def test_a_face_s_square_is_upright_and_around_it() -> None:
    points = face_points() * 100 + (300, 200)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    for landmarks in (points, (points - 350) @ turn.T + 350):
        square = Square.around(landmarks)
        inside = (landmarks - (square.left, square.top)) / square.side
        assert inside.min() > 0 and inside.max() < 1


def test_a_face_s_square_has_room_above_the_hair() -> None:
    """Hair cut off by the square stays above a head that moves down."""
    points = face_points() * 100
    square, eyes, chin = Square.around(points), points[36:48, 1].mean(), points[8, 1]
    hair = eyes - 1.2 * (chin - eyes)  # the eyes are half-way up a bare head
    assert hair - square.top > 0.12 * square.side


# ------------------------------------------------------------------------------------------------- transfer


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


# ------------------------------------------------------------------------------------------------- frames


def animate(
    count: int = 4, faceless: tuple[int, ...] = (), **options: object
) -> tuple[list[Frame], animator.Animation]:
    photo = draw_photo()
    animation = api.animate(Photo(photo), Wander(count, faceless).clip(), motion_model(), by_keypoints(**options))
    return list(animation.clip), animation


def test_frames_in_are_frames_out_at_the_photo_s_size_and_the_driver_s_times() -> None:
    frames, animation = animate(5)
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(5)]
    assert {frame.pixels.shape for frame in frames} == {draw_photo().shape}
    assert animation.report.frames == 5
    assert animation.report.missing == 0


def test_outside_the_square_the_photo_is_untouched_and_inside_something_moves() -> None:
    frames, animation = animate(5, best_frame=False)
    photo = draw_photo()
    left, top, side = animation.report.faces[0]
    inside = np.zeros(photo.shape[:2], bool)
    inside[max(top, 0) : top + side, max(left, 0) : left + side] = True
    assert all(np.array_equal(frame.pixels[~inside], photo[~inside]) for frame in frames)
    assert np.abs(frames[4].pixels[inside].astype(int) - photo[inside]).max() > 20


def test_bfloat16_draws_nearly_the_same_with_the_very_keypoints() -> None:
    exact, rough = (animate(4, precision=word)[0] for word in ("float32", "bfloat16"))
    difference = np.stack([np.abs(a.pixels.astype(int) - b.pixels) for a, b in zip(exact, rough, strict=True)])
    assert difference.max() > 0 and difference.mean() < 1
    with pytest.raises(UsageError, match="precision"):
        by_keypoints(precision="float16")


def test_the_reference_frame_gives_the_photo_back() -> None:
    frames, animation = animate(5)
    reference = animation.report.drivers[0].reference
    difference = np.abs(frames[reference].pixels.astype(int) - draw_photo())
    assert difference.max() <= 1


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


@pytest.mark.parametrize("missing", ["hold", "source"])
def test_frames_without_a_face_hold_or_show_the_photo(missing: str) -> None:
    frames, animation = animate(5, faceless=(3,), missing=missing, best_frame=False)
    assert animation.report.missing == 1
    assert animation.report.drivers[0].missing == [3]
    wanted = frames[2].pixels if missing == "hold" else draw_photo()
    assert np.array_equal(frames[3].pixels, wanted)
    assert not np.array_equal(frames[4].pixels, wanted)


def test_a_missing_face_can_stop_the_clip() -> None:
    with pytest.raises(InputError, match=r"no face in frame 3 .0\.12 s."):
        animate(5, faceless=(3,), missing="stop")


def test_ignoring_looks_for_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "best_score", lambda picture: pytest.fail("looked"))
    _, animation = animate(3, missing="ignore")
    assert animation.report.missing == 0


def test_a_driver_without_any_face_is_refused() -> None:
    with pytest.raises(NoFaceFound, match="driving clip"):
        animate(3, faceless=(0, 1, 2))


def test_every_face_moves_by_its_own_driver_or_by_the_same() -> None:
    photo, model = draw_photo((90, 70)), motion_model()
    still = Clip.of([wandering(0)] * 4, 25, (180, 140), count=4)
    own = api.animate(photo, [still_clip(still), Wander(4).clip()], model, by_keypoints(best_frame=False))
    last = list(own.clip)[3].pixels
    middle = 135
    assert np.abs(last[:, :100].astype(int) - photo[:, :100]).max() <= 1  # the left one's driver stands still
    assert np.abs(last[:, middle:].astype(int) - photo[:, middle:]).max() > 20
    same = api.animate(photo, Wander(4).clip(), model, by_keypoints(best_frame=False))
    last = list(same.clip)[3].pixels
    assert len(same.report.faces) == 2
    assert np.abs(last[:, :100].astype(int) - photo[:, :100]).max() > 20


def test_a_face_s_square_does_not_undo_the_motion_of_the_face_beside_it() -> None:
    photo, model = draw_photo((90, 70)), motion_model()
    model.generator.dense_motion_network.mask.bias[0] = -20  # sure of its motions
    options = by_keypoints(best_frame=False, crop=1.5)  # squares that reach into each other's faces
    still = still_clip(Clip.of([wandering(0)] * 4, 25, (180, 140), count=4))
    both = api.animate(photo, [Wander(4).clip(), still], model, options)
    (left, _, side), (right, _, _) = both.report.faces
    assert right < left + side - 40
    faces = api.align(photo, size=32)
    first = min(faces, key=lambda face: face.landmarks[:, 0].mean())
    alone = animator.animate(Photo(photo), [first], [Wander(4).clip()], model, place_points, options)
    moved, wanted = (list(animation.clip)[3].pixels for animation in (both, alone))
    face = np.s_[:, 30:110]  # the left one
    assert np.abs(moved[face].astype(int) - wanted[face]).max() <= 2
    assert np.abs(moved[face].astype(int) - photo[face]).max() > 20


def test_at_the_edge_of_its_square_a_moved_face_meets_the_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (140, 180, 3), np.uint8)
    face = animator.MovingFace(photo, face_points() * 40 + (70, 50), motion_model(), by_keypoints())
    face.mask[:] = 1  # no soft edge helps
    frame = photo.copy()
    to = Keypoints(face.keypoints.value + 0.2, face.keypoints.jacobian)
    face.place(frame, to)
    left, top, side = face.square.left, face.square.top, face.square.side
    assert min(left, top) >= 0 and max(left + side - 180, top + side - 140) <= 0
    square = np.s_[top : top + side, left : left + side]
    change = np.abs(frame[square].astype(int) - photo[square]).max(-1)
    assert max(each.max() for each in (change[0], change[-1], change[:, 0], change[:, -1])) <= 2
    assert change[side // 4 : -side // 4, side // 4 : -side // 4].mean() > 20


def still_clip(clip: Clip) -> Clip:
    """The same frames, to be gone through more than once."""
    return Clip(list(clip), clip.rate, clip.size, clip.count)


def test_as_many_drivers_as_faces_or_one() -> None:
    with pytest.raises(UsageError, match="2 driving clips for 1 faces"):
        api.animate(draw_photo(), [Wander(2).clip(), Wander(2).clip()], motion_model())


def test_alpha_is_kept_and_moved() -> None:
    photo = draw_photo()
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    animation = api.animate(Photo(photo, alpha), Wander(3).clip(), motion_model(), by_keypoints(best_frame=False))
    assert animation.clip.alpha
    frames = [frame.pixels for frame in animation.clip]
    assert frames[0].shape == (*photo.shape[:2], 4)
    assert np.abs(frames[0][..., 3].astype(int) - alpha).max() <= 1
    assert np.abs(frames[2][..., 3].astype(int) - alpha).max() > 20


def test_a_still_background_stays() -> None:
    photo = draw_photo()
    clip, options = Wander(3).clip(), by_keypoints(best_frame=False, crop=0.8)
    moving = api.animate(photo, clip, motion_model(painting=True), options)
    held = api.animate(photo, clip, motion_model(painting=True), replace(options, still_background=True))
    left, top, side = held.report.faces[0]
    corner = np.s_[top + side - 22 : top + side - 18, left + side - 22 : left + side - 18]
    assert np.array_equal(list(held.clip)[1].pixels[corner], photo[corner])
    assert not np.array_equal(list(moving.clip)[1].pixels[corner], photo[corner])


def test_memory_does_not_grow_with_the_clip() -> None:
    """Frames are made while they are asked for: a clip of a thousand begins at once."""

    def endless() -> Iterator[Frame]:
        k = 0
        while True:
            yield Frame(wandering(k % 5), Fraction(k, 25))
            k += 1

    clip = Clip(endless(), 25, (180, 140))
    animation = api.animate(draw_photo(), clip, motion_model(), by_keypoints(best_frame=False))
    frames = iter(animation.clip)
    assert [next(frames).time for _ in range(3)] == [Fraction(k, 25) for k in range(1, 4)]


# ------------------------------------------------------------------------------------------------- live


def test_a_head_s_pose_is_found() -> None:
    from latentface.faces import head_pose
    from latentface.synthface.camera import rotation

    for angles in ((20, 0, 0), (0, 15, 0), (0, 0, 10), (-25, 8, -12)):
        landmarks = np.zeros((68, 2))
        turned = head_pose._FACE @ rotation(*angles).T
        landmarks[head_pose._INDICES] = turned[:, :2] * (7, -7) + (200, 100)
        found = head_pose.head_pose(landmarks)
        assert (found.yaw, found.pitch, found.roll) == pytest.approx(angles, abs=1e-3)
    with pytest.raises(UsageError, match="one point"):
        head_pose.head_pose(np.zeros((68, 2)))


def sight(turn: float = 0.0) -> calibration.Sight:
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = (face_points() - 0.5) @ rotation.T * 90 + (85, 70)
    return calibration.Sight(wandering(0), landmarks, Square.around(landmarks), np.zeros((4, 2), np.float32))


def test_calibration_says_what_to_do_and_when_the_pose_matches() -> None:
    view, done = calibration.compare_poses(sight(), sight())
    assert done
    assert view.shape == (360, 720, 3)
    assert (view == calibration.MATCHED).all(2).any()
    assert (view == calibration.SOURCE).all(2)[:, 360:].any()
    assert (view == calibration.DRIVER).all(2)[:, :360].any()
    view, done = calibration.compare_poses(sight(0.5), sight())
    assert not done
    assert not (view == calibration.MATCHED).all(2).any()
    words = {calibration.advice(sight(turn).pose, sight().pose) for turn in (0.5, -0.5)}
    assert len(words) == 2
    assert all("tilt" in text for text in words)


def test_a_file_played_as_a_camera_drops_frames_for_the_slow(tmp_path: Path) -> None:
    import time

    from latentface.io.video import write_clip

    path = tmp_path / "driver.mp4"
    write_clip(path, Clip.of([wandering(k) for k in range(15)], 30, (180, 140)))
    with Camera(str(path)) as camera:
        clip = camera.clip()
        assert clip.size == (180, 140)
        times = []
        for frame in clip:
            times.append(frame.time)
            assert camera.age(frame.time) < 5
            time.sleep(0.1)
    assert times == sorted(set(times))
    assert 2 <= len(times) < 15
    assert camera.taken == 15


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(InputError, match="camera 97: cannot open"):
        Camera("97")


def test_no_face_shows_in_a_plain_square() -> None:
    assert driver.shows_face(wandering(0))
    assert not driver.shows_face(wandering(0, face=False))
