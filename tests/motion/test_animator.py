"""Driving clips that move the faces of a photo: squares, frames, faces and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from latentface import api
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo
from latentface.motion import animator, driver
from latentface.networks.motion import Keypoints
from tests.helpers.cli_desk import draw_photo, face_points, place_points
from tests.helpers.motion_models import Wander, by_keypoints, motion_model, wandering

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
    monkeypatch.setattr(alignment, "best_score", lambda picture, least: pytest.fail("looked"))
    _, animation = animate(3, missing="ignore", best_frame=False)
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
    square = animator.square_around(face_points() * 40 + (70, 50), motion_model(), by_keypoints())
    face = animator.MovingFace(photo, square, motion_model(), by_keypoints())
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


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("faceless", [(), (0, 1)])
def test_every_frame_of_a_clip_that_comes_once_is_followed(best: bool, faceless: tuple[int, ...]) -> None:
    options = by_keypoints(best_frame=best)
    clip = Wander(6, faceless).clip()
    once = replace(clip, frames=iter(list(clip)))
    expected = api.animate(draw_photo(), still_clip(clip), motion_model(), options)
    came = api.animate(draw_photo(), once, motion_model(), options)
    frames = list(came.clip)
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(6)]
    for frame, other in zip(frames, expected.clip, strict=True):
        assert np.array_equal(frame.pixels, other.pixels)
    assert came.report == expected.report and came.report.missing == len(faceless)


def test_every_frame_of_an_edited_clip_is_followed() -> None:
    clip = still_clip(Wander(6).clip())
    edited = api.animate(draw_photo(), clip.map(lambda pixels: pixels).resampled(50), motion_model())
    assert [frame.time for frame in edited.clip] == [Fraction(k, 50) for k in range(12)]


def test_a_clip_that_comes_once_without_a_face_at_its_beginning_is_refused() -> None:
    count = driver.LOOKED_AT
    clip = Wander(count + 4, tuple(range(count))).clip()
    with pytest.raises(NoFaceFound, match=f"no face found in {count} frames"):
        api.animate(draw_photo(), replace(clip, frames=iter(list(clip))), motion_model())


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
    assert [next(frames).time for _ in range(3)] == [Fraction(k, 25) for k in range(3)]
