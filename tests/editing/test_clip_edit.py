"""Edits of clips: of a film that a photo's own head made, so that its edited twin is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentface
from latentface import hub
from latentface.arrays import Float64Array, Pixels
from latentface.editing.clip_edit import (
    EYES,
    ChangeOver,
    _Fade,
    change_by_clip,
    change_by_name,
    change_to_expression,
    edit_clip,
)
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.keyframes import Keyframes
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces.neighbours import held
from latentface.head import observed
from latentface.head.shown_mouth import Kept
from latentface.io.clip import Clip
from latentface.io.provenance import COMPOSITE
from latentface.options.clips import ClipOptions

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
SIDE = 256
JAWS = (0.0, 0.0, 0.0, 0.25, 0.5)  # how far the film's jaw drops beyond the photo's


@pytest.fixture(scope="module")
def placer() -> HeadPlacer:
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB").crop((60, 0, 400, 340)).resize((SIDE, SIDE)))
    return HeadPlacer(photo, latentface.align(photo)[0])


@pytest.fixture(scope="module")
def film(placer: HeadPlacer) -> list[Pixels]:
    return [placer.place(placer.fit.with_expression(jawOpen=jaw, relative=True)) for jaw in JAWS]


def clip_of(pictures: list[Pixels]) -> Clip:
    return Clip.of(pictures, 25, (SIDE, SIDE), count=len(pictures))


def edited(pictures: list[Pixels], change: ChangeOver, options: ClipOptions | None = None) -> list[Pixels]:
    return [frame.pixels for frame in edit_clip(clip_of(pictures), change, options).clip]


def points(picture: Pixels, placer: HeadPlacer) -> Float64Array:
    mesh = placer.fit.landmarks(placer.model)
    box = np.array([[*mesh.min(0), *mesh.max(0)]])
    return np.asarray(hub.landmark_predictor()(picture, box)[0])


def gap(picture: Pixels, placer: HeadPlacer) -> float:
    """How far the lips are apart, in inter-ocular distances."""
    at = points(picture, placer)
    unit = np.linalg.norm(at[36:42].mean(0) - at[42:48].mean(0))
    return float((at[66, 1] - at[62, 1]) / unit)


def test_every_frame_changes_as_its_edited_twin(placer: HeadPlacer, film: list[Pixels]) -> None:
    made = edited(film, change_by_name(Keyframes({"brows": 1.0})))
    fit = placer.fit.with_expression(jawOpen=JAWS[-1], relative=True)
    twin = placer.place(change_by_name(Keyframes({"brows": 1.0}))(Fraction(0), fit)(fit))
    unit = np.linalg.norm(np.subtract(*(placer.fit.landmarks(placer.model)[k] for k in (36, 45))))
    was, wanted, came = (points(picture, placer)[17:27, 1] / unit for picture in (film[-1], twin, made[-1]))
    assert (wanted - was).mean() < -0.03
    assert (came - was).mean() == pytest.approx((wanted - was).mean(), rel=0.4)
    assert (made[0] != film[0]).any() and (made[0][:, :8] == film[0][:, :8]).all()


def test_a_share_reaches_its_aim_within_a_quarter_of_a_second() -> None:
    share = _Fade(1.0)
    values = [share(aim, Fraction(k, 25)) for k, aim in enumerate([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])]
    assert values == pytest.approx([0.0, 0.16, 0.32, 0.48, 0.64, 0.8, 0.96, 1.0])
    assert _Fade(0.0, Fraction(1))(1.0, Fraction(28, 25)) == pytest.approx(0.48)


def test_a_mouth_changes_by_its_share(placer: HeadPlacer) -> None:
    after = placer.fit.with_expression(jawOpen=0.5, relative=True)
    half = placer.fit.with_expression(jawOpen=0.25, relative=True)
    assert not placer.hides(after)
    assert np.array_equal(placer.place(after, share=0.0), placer.photo)
    assert np.abs(placer.place(after, share=0.5).astype(int) - placer.place(half)).max() <= 1


def test_teeth_are_kept_by_the_share_that_is_asked_for(placer: HeadPlacer) -> None:
    after = placer.fit.with_expression(jawOpen=0.5, relative=True)
    assert placer.kept == (1.0, 0.0), "the astronaut smiles"
    own, painted = placer.place(after), placer.place(after, kept=Kept(0.0, 0.0))
    assert np.array_equal(own, placer.place(after, kept=Kept(1.0, 0.0))) and (own != painted).any()
    lips = placer.fit.landmarks(placer.model)[48:68]
    y, x = np.nonzero((own != painted).any(axis=2))
    assert y.min() > lips[:, 1].min() - 6 and x.min() > lips[:, 0].min() - 6, "the mouth alone differs"


def test_spectacles_are_decided_upon_by_several_frames(
    placer: HeadPlacer, film: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(observed, "find_spectacles", lambda *arguments: looked.append(arguments[4]))
    edited(film, change_by_name(Keyframes({"jaw+": 0.3})))
    assert 0 < len(looked) < len(film) and not any(looked), "it is known of most that nobody wears any"


def test_speech_goes_on_under_a_relative_edit_and_not_under_an_absolute_one(
    placer: HeadPlacer, film: list[Pixels]
) -> None:
    moved = gap(film[-1], placer) - gap(film[0], placer)
    assert moved > 0.05
    smile = edited(film, change_by_name(Keyframes({"smile": 0.5})))
    assert gap(smile[-1], placer) - gap(smile[0], placer) > 0.5 * moved
    held = edited(film, change_by_name(Keyframes({"jaw": 0.1})), ClipOptions(mode="absolute"))
    assert abs(gap(held[-1], placer) - gap(held[0], placer)) < 0.5 * moved


def test_what_changes_over_time_begins_when_it_is_asked_to(placer: HeadPlacer) -> None:
    still = [placer.photo] * 4
    made = edited(still, change_by_name(Keyframes().with_keys(0.04, {"jaw+": 0.0}).with_keys(0.12, {"jaw+": 0.5})))
    assert (made[0] == still[0]).all() and (made[1] == still[1]).all()
    gaps = [gap(picture, placer) for picture in made]
    assert gaps[1] < gaps[2] < gaps[3]


def test_eyes_that_are_shut_are_not_opened_wide(placer: HeadPlacer) -> None:
    shut = placer.place(placer.fit.with_expression(eyeBlink=1.0))
    change = change_by_name(Keyframes({"eyeWide": 1.0}))
    steps = [placer.photo] * 4 + [shut]
    made = edited(steps, change)
    eyes = points(placer.photo, placer)[36:48].astype(int)
    low, high = eyes.min(0) - 6, eyes.max(0) + 6
    part = slice(low[1], high[1]), slice(low[0], high[0])
    change_of = [np.abs(a[part].astype(int) - b[part]).mean() for a, b in zip(made, steps, strict=True)]
    assert change_of[0] > 4 * change_of[-1]
    assert EYES  # what the rule is about


def test_the_expression_of_a_photo(placer: HeadPlacer) -> None:
    theirs = placer.fit.with_expression({"jawOpen": 0.7})
    still = [placer.photo] * 2
    made = edited(still, change_to_expression(theirs))
    assert gap(made[1], placer) - gap(still[1], placer) > 0.08
    brows = edited(still, change_to_expression(theirs, only=("brows",)))
    mouth = points(placer.photo, placer)[48:68].astype(int)
    part = slice(mouth[:, 1].min(), mouth[:, 1].max()), slice(mouth[:, 0].min(), mouth[:, 0].max())
    changes = [np.abs(each[1][part].astype(int) - placer.photo[part]).mean() for each in (made, brows)]
    assert changes[0] > 2.5 * changes[1]  # brows pull on the nose, and that on the upper lip


def test_the_expression_of_another_clip_is_added_or_takes_the_place_of_the_own(
    placer: HeadPlacer, film: list[Pixels]
) -> None:
    still = [placer.photo] * len(film)
    driven = edited(still, change_by_clip(clip_of(film)))
    own = gap(film[-1], placer) - gap(film[0], placer)
    assert gap(driven[-1], placer) - gap(driven[0], placer) == pytest.approx(own, rel=0.5)
    replaced = edited(film, change_by_clip(clip_of(still), only=("lips",)), ClipOptions(mode="absolute"))
    assert abs(gap(replaced[-1], placer) - gap(replaced[0], placer)) < 0.4 * own


def test_frames_without_a_face_stay_and_are_counted(placer: HeadPlacer) -> None:
    empty = np.full((SIDE, SIDE, 3), 90, np.uint8)
    steps = [placer.photo, empty, placer.photo]
    made = edit_clip(clip_of(steps), change_by_name(Keyframes({"jaw": 0.5})))
    frames = list(made.clip)
    assert (made.report.frames, made.report.untouched) == (3, 1)
    assert (frames[1].pixels == empty).all() and (frames[2].pixels != placer.photo).any()
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(3)]
    assert made.clip.source_type == COMPOSITE


def test_a_face_beside_it_keeps_still_in_every_frame(placer: HeadPlacer) -> None:
    """Cheek to cheek with its own mirror image, both moving across the picture; unheld, a fifth of it is touched."""
    half = placer.photo[:, 70:190]
    pair = np.hstack([half, half[:, ::-1]])
    crops = latentface.align(pair)
    left, right = sorted(crops, key=lambda crop: crop.landmarks[:, 0].mean())
    number = 1 + [crop is left for crop in crops].index(True)
    frames = [np.roll(pair, 2 * k, axis=1) for k in range(3)]
    change = change_by_name(Keyframes({"yaw+": 15.0, "jaw": 0.6}))
    clip = Clip.of(frames, 25, (pair.shape[1], pair.shape[0]), count=3)
    y, x = np.mgrid[: pair.shape[0], : pair.shape[1]]
    for k, after in enumerate(edit_clip(clip, change, face=number).clip):
        moved = np.abs(after.pixels.astype(int) - frames[k]).max(2) > 2
        inside = held(np.stack([x - 2 * k, y], -1), left.landmarks, [right.landmarks]) >= 1
        assert moved[~inside].sum() > 2000 and moved[inside].mean() < 0.005


def test_alpha_stays(placer: HeadPlacer) -> None:
    alpha = np.arange(SIDE * SIDE, dtype=np.uint32).reshape(SIDE, SIDE, 1).astype(np.uint8)
    clip = Clip.of([np.dstack([placer.photo, alpha])], 25, (SIDE, SIDE), count=1, alpha=True)
    (frame,) = edit_clip(clip, change_by_name(Keyframes({"jaw": 0.5}))).clip
    assert (frame.pixels[..., 3:] == alpha).all() and (frame.pixels[..., :3] != placer.photo).any()


def test_errors_say_what_is_wrong(placer: HeadPlacer) -> None:
    change = change_by_name(Keyframes({"jaw": 0.5}))
    empty = [np.full((SIDE, SIDE, 3), 90, np.uint8)] * 2
    with pytest.raises(NoFaceFound, match="no face in its first 2 frames"):
        edit_clip(clip_of(empty), change)
    with pytest.raises(InputError, match="no face 2"):
        edit_clip(clip_of([placer.photo]), change, face=2)
    with pytest.raises(UsageError, match="age: a clip is edited by its head"):
        change_by_name(Keyframes({"age": 1.0}))
    with pytest.raises(UsageError, match="blink"):
        change_by_name(Keyframes().with_keys(0, {"blink": 0}).with_keys(1, {"blink": 7}))
