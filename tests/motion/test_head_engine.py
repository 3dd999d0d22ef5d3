"""Heads of a photo that move as those of driving clips: frames, what is missing, faces, alpha, lids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from latentface import api, hub
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.head.drive import Driver
from latentface.head.model import HeadModel
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo
from latentface.motion import head_engine
from latentface.options.clips import AnimateOptions
from tests.helpers.driving_heads import FACELESS, OPTIONS, TABLE, clip_of, frame_of, landmarks, see_by_first_pixel
from tests.helpers.head_picture import CENTRE, HEIGHT, WIDTH, model, picture, psnr


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    see_by_first_pixel(monkeypatch)


def photo_of(faces: int = 1) -> np.ndarray:
    photo = np.concatenate([picture().photo] * faces, axis=1)
    photo[0, 0, 0] = 0
    return photo


def animate(*numbers: int, options: AnimateOptions = OPTIONS) -> tuple[list[np.ndarray], api.Animation]:
    animation = api.animate(photo_of(), clip_of(*numbers), None, options)
    return [frame.pixels for frame in animation.clip], animation


def test_an_unknown_part_is_told_before_the_clip_is_gone_through() -> None:
    with pytest.raises(UsageError, match="no part nose"):
        animate(0, 1, options=AnimateOptions(only="lips,nose"))


# ------------------------------------------------------------------------------------------------- frames


def test_frames_in_are_frames_out_and_the_reference_gives_the_photo_back() -> None:
    frames, animation = animate(1, 4, 6)
    assert [frame.shape for frame in frames] == [photo_of().shape] * 3
    assert (animation.report.frames, animation.report.missing, animation.report.drivers[0].reference) == (3, 0, 0)
    assert psnr(frames[0], photo_of()) > 45
    left, top, side = animation.report.faces[0]
    assert left < CENTRE[0] < left + side and top < CENTRE[1] < top + side


def test_the_clip_says_that_a_network_had_a_hand_in_it() -> None:
    assert api.animate(photo_of(), clip_of(1), None, OPTIONS).clip.source_type == "compositeWithTrainedAlgorithmicMedia"


def test_a_jaw_that_drops_opens_the_mouth_and_leaves_the_forehead() -> None:
    frames, _ = animate(1, *[6] * 6)
    mouth, forehead = np.s_[205:250, 130:170], np.s_[60:90, 120:180]
    change = np.abs(frames[-1].astype(int) - photo_of())
    assert change[mouth].mean() > 10
    assert change[forehead].mean() < 2
    around = np.s_[170:260, 120:180]
    red = [frame[around][..., 0] - 1.5 * frame[around][..., 1] > 20 for frame in (frames[0], frames[-1])]
    lower = [int(np.flatnonzero(each.any(1)).max()) for each in red]
    assert lower[1] > lower[0] + 4  # rows that the lower lip went down


def test_frames_come_in_order_and_begin_before_an_endless_clip_ends() -> None:
    def endless() -> Iterator[Frame]:
        k = 0
        while True:
            yield Frame(frame_of(1 + k % 6), Fraction(k, 25))
            k += 1

    for count in (None, 10**6):  # live, and made ahead
        animation = api.animate(photo_of(), Clip(endless(), 25, (WIDTH, HEIGHT), count), None, OPTIONS)
        frames = iter(animation.clip)
        assert [next(frames).time for _ in range(4)] == [Fraction(k, 25) for k in range(4)]
        frames.close()


def test_a_head_that_is_prepared_has_measured_what_the_photo_shows() -> None:
    photo = Photo(photo_of())
    head = head_engine.MovingHead(photo, api.align(photo.rgb)[0].landmarks, model(), hub.mouth())
    assert "shown" not in vars(head.driver)
    head.prepare()
    assert {"shown", "eyes", "light", "spectacles", "occluders"} <= vars(head.driver).keys()
    assert np.array_equal(photo.rgb, photo_of()), "the photo is still the same"


@pytest.mark.parametrize("missing", ["hold", "source"])
def test_frames_without_a_face_hold_or_show_the_photo(missing: str) -> None:
    frames, animation = animate(1, 6, FACELESS, 6, options=replace(OPTIONS, missing=missing))
    assert animation.report.drivers[0].missing == [2]
    assert np.array_equal(frames[2], frames[1] if missing == "hold" else photo_of())
    assert not np.array_equal(frames[3], photo_of())


def test_a_missing_face_can_stop_the_clip() -> None:
    with pytest.raises(InputError, match=r"no face in frame 1 .0\.04 s."):
        animate(1, FACELESS, 6, options=replace(OPTIONS, missing="stop"))


def test_a_driver_without_any_face_is_refused() -> None:
    with pytest.raises(NoFaceFound, match="driving clip"):
        animate(FACELESS, FACELESS)


# ------------------------------------------------------------------------------------------------- faces, alpha


def test_every_face_moves_by_its_own_driver_or_by_the_same() -> None:
    photo = photo_of(2)
    left, right = np.s_[:, :WIDTH], np.s_[:, WIDTH:]
    own = list(api.animate(photo, [clip_of(1, 1, 1), clip_of(1, 6, 6)], None, OPTIONS).clip)[2].pixels
    mouth = np.s_[205:250, 130:170]
    assert np.abs(own[left][mouth].astype(int) - photo[left][mouth]).mean() < 1
    assert np.abs(own[right][mouth].astype(int) - photo[right][mouth]).mean() > 8
    same = list(api.animate(photo, clip_of(1, 6, 6), None, OPTIONS).clip)[2].pixels
    assert np.abs(same[left][mouth].astype(int) - photo[left][mouth]).mean() > 8
    with pytest.raises(UsageError, match="3 driving clips for 2 faces"):
        api.animate(photo, [clip_of(1)] * 3, None, OPTIONS)


def test_alpha_is_kept_and_moves_along() -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[250:] = 0  # below the mouth
    animation = api.animate(Photo(photo_of(), alpha), clip_of(1, *[6] * 5), None, OPTIONS)
    assert animation.clip.alpha
    frames = [frame.pixels for frame in animation.clip]
    assert np.abs(frames[0][..., 3].astype(int) - alpha).max() <= 2
    assert frames[-1][251:254, 140:160, 3].mean() > 100  # the chin's edge went down


def test_the_mouth_is_painted() -> None:
    face = api.align(photo_of(), size=64)[0]
    frames = []
    for mouth in (None, hub.mouth()):
        head = head_engine.MovingHead(Photo(photo_of()), face.landmarks, model(), mouth)
        frames.append(photo_of())
        head.place(frames[-1], head.fit.with_expression(jawOpen=0.6))
    painted = np.abs(frames[0].astype(int) - frames[1]).max(2) > 8
    rows, columns = np.nonzero(painted)
    assert painted.sum() > 100
    lips = face.landmarks[48:]
    assert lips[:, 0].min() < columns.min() and columns.max() < lips[:, 0].max() and rows.min() > lips[:, 1].min() - 5


# ------------------------------------------------------------------------------------------------- lids


def test_eyes_that_are_shut_in_the_photo_stay_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    head = head_engine.MovingHead(Photo(photo_of()), api.align(photo_of(), size=64)[0].landmarks, model())
    monkeypatch.setattr(Driver, "has_shut_eyes", True)
    made = photo_of()
    head.place(made, head.fit.with_expression(eyeWideLeft=1.0, eyeWideRight=1.0))
    assert np.array_equal(made, photo_of())


# ------------------------------------------------------------------------------------------------- options


def test_what_belongs_to_the_other_engine_is_an_error() -> None:
    for name, value in (("still_background", True), ("crop", 1.2), ("precision", "float32"), ("missing", "ignore")):
        with pytest.raises(UsageError, match=rf"{name}.* has no effect with engine='head'.*engine='motion'"):
            AnimateOptions(engine="head", **{name: value})
        AnimateOptions(engine="motion", **{name: value})
    with pytest.raises(UsageError, match="model has no effect with engine='head'"):
        api.animate(photo_of(), clip_of(1), object(), OPTIONS)  # type: ignore[arg-type]


def test_a_face_in_profile_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, 0, landmarks(pose=(75, 0, 0)))
    with pytest.raises(InputError, match="turned by"):
        animate(1, 4)


def test_the_model_is_the_built_in_head() -> None:
    assert isinstance(hub.head_model(), HeadModel)
