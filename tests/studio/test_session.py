"""The engine of the page's editing, on real photos with the built-in networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.editor import FaceEditor
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces.crop import map_points
from latentface.io.clip import Clip
from latentface.io.images import Photo
from latentface.io.provenance import COMPOSITE
from latentface.io.video import write_clip
from latentface.studio import session as engine
from latentface.studio.session import KEPT, SIDE, Edited, Session, Subject, Window
from latentface.studio.sliders import SLIDERS, Slider, changes_of

#: Of the preview's pixels that a slider at its end must change by 4 levels or more.
VISIBLE = 100
#: Controls that cannot be taken off her face, which shows nothing of them.
NOT_SHOWN = ("blink", "jaw", "lips-apart", "frown")


@pytest.fixture(scope="module")
def subject(astronaut: Path) -> Subject:
    return Subject.read(astronaut)


@pytest.fixture(scope="module")
def pair(two_people: Path) -> Subject:
    return Subject.read(two_people)


def moved(before: np.ndarray, after: np.ndarray) -> int:
    return int((np.abs(before.astype(int) - after).max(axis=2) >= 4).sum())


@pytest.mark.parametrize("slider", SLIDERS, ids=lambda slider: slider.name)
def test_every_slider_visibly_moves_pixels(subject: Subject, slider: Slider) -> None:
    before = subject.preview({})
    after = subject.preview({slider.key: slider.high})
    assert moved(before, after) > VISIBLE
    if slider.low < 0 and slider.name not in NOT_SHOWN:
        assert moved(before, subject.preview({slider.key: slider.low})) > VISIBLE


def test_a_thumbnail_shows_the_face_changed(subject: Subject) -> None:
    plain, laughing = (subject.thumbnail(changes, 96) for changes in ({}, {"happiness": 2.4, "jaw+": 0.3}))
    assert plain.shape == laughing.shape == (96, 96, 3)
    assert moved(plain[48:], laughing[48:]) > 5 * moved(plain[:24], laughing[:24])


def test_a_clip_is_asked_for_its_first_frame_with_a_face(subject: Subject, film: Path, tmp_path: Path) -> None:
    found = Subject.of_clip(film)
    assert (found.photo.rgb.shape, len(found.faces), found.number, found.name) == ((320, 256, 3), 1, 1, "film.mp4")
    blank = np.full((120, 160, 3), 200, np.uint8)
    write_clip(tmp_path / "nobody.mp4", Clip.of([blank] * 3, 10, (160, 120), count=3))
    with pytest.raises(NoFaceFound, match=r"nobody\.mp4: no face"):
        Subject.of_clip(tmp_path / "nobody.mp4")


def test_a_preview_without_changes_is_the_photo(subject: Subject) -> None:
    assert subject.preview({}) is subject.window.pixels
    assert max(subject.window.pixels.shape) <= SIDE
    assert subject.render({}) is subject.photo


def test_saving_gives_what_the_command_line_gives(subject: Subject, astronaut: Path) -> None:
    changes = {"happiness": 1.5, "yaw+": 6.0, "blink+": 0.4}
    made = subject.render(changes)
    assert np.array_equal(made.rgb, FaceEditor().edit(astronaut, changes).photo.rgb)
    assert made.source_type == COMPOSITE
    assert made.exif == subject.photo.exif


def test_a_preview_shows_what_is_saved(pair: Subject) -> None:
    """Shrunk, the full photo differs from its preview by what resampling does, far less than the edit itself."""
    changes = {"surprise": 2.0}
    full = Window.around(pair.render(changes).rgb, pair.face).pixels
    preview, before = pair.preview(changes), pair.preview({})
    assert np.abs(full.astype(int) - preview).mean() < 0.2 * np.abs(before.astype(int) - preview).mean()


def test_windows_map_the_photo(pair: Subject) -> None:
    small = np.full((2000, 3000, 3), 7, np.uint8)
    x, y = 1400, 700
    small[y : y + 8, x : x + 8] = 255
    face = replace(pair.face, quad=np.array([[1200.0, 600], [1200, 1000], [1600, 1000], [1600, 600]]))
    window = Window.around(small, face)
    assert window.pixels.shape == (SIDE, SIDE, 3)
    column, row = map_points(window.from_photo, np.array([x + 3.5, y + 3.5]))
    rows, columns = np.nonzero(window.pixels[..., 0] > 100)
    assert (columns.mean(), rows.mean()) == pytest.approx((column, row), abs=0.2)


def test_the_second_face_is_chosen_by_a_click(pair: Subject) -> None:
    assert len(pair.faces) == 2
    first, second = (face.quad.mean(axis=0) for face in pair.faces)
    assert pair.face_at(*first) == 1
    assert pair.face_at(*second) == 2
    other = pair.choose(3 - pair.number)
    made = other.render({"jaw+": 1.0}).rgb
    still = other.choose(pair.number).face.quad.astype(int)
    left, top, right, bottom = still[0, 0], still[0, 1], still[2, 0], still[2, 1]
    assert np.array_equal(
        made[top:bottom, left:right][20:-20, 20:-20], pair.photo.rgb[top:bottom, left:right][20:-20, 20:-20]
    )
    assert moved(pair.photo.rgb, made) > VISIBLE
    with pytest.raises(InputError, match="no face 3"):
        pair.choose(3)


def test_sliders_are_undone_and_done_again(subject: Subject) -> None:
    session = Session(Edited(subject))
    for value in (0.2, 0.5, 0.8):
        session = engine.changed(session, {"smile+": value})
    session = engine.changed(session, {"smile+": 0.8, "yaw+": 5.0})
    assert engine.changed(session, {"smile+": 0.8, "yaw+": 5.0}) is session
    assert session.undo().present.changes == {"smile+": 0.8}, "a slider on its way is one step"
    assert session.undo().undo().present.changes == {}
    assert session.undo().redo().present.changes == session.present.changes


def test_an_applied_edit_is_a_photo_to_go_on_with(subject: Subject, tmp_path: Path) -> None:
    session = engine.applied(engine.changed(Session(Edited(subject)), {"brows+": 0.8}))
    now = session.present
    assert now.changes == {}
    assert now.earlier == ((1, {"brows+": 0.8}),)
    assert np.array_equal(now.subject.photo.rgb, subject.render({"brows+": 0.8}).rgb)
    assert session.undo().present.changes == {"brows+": 0.8}
    assert engine.applied(session) is session, "there is nothing to apply"


def test_another_face_keeps_what_was_done_to_the_first(pair: Subject) -> None:
    session = engine.changed(Session(Edited(pair)), {"jaw+": 1.0})
    session = engine.chosen(session, 3 - pair.number)
    there = session.present.subject.face.quad.mean(axis=0)
    assert np.abs(there - pair.choose(3 - pair.number).face.quad.mean(axis=0)).max() < 5
    assert moved(pair.photo.rgb, session.present.subject.photo.rgb) > VISIBLE
    assert engine.chosen(session, session.present.subject.number) is session


def test_a_history_holds_few_photos(subject: Subject) -> None:
    session = Session(Edited(subject))
    for _ in range(2 * KEPT):
        other = replace(subject, photo=replace(subject.photo))
        session = engine.forgetful(session.push(Edited(other)).push(Edited(other, {"yaw+": 1.0})))
    photos = {id(each.subject.photo) for each in (session.present, *session.past)}
    assert len(photos) == KEPT


def test_photos_that_cannot_be_edited(tmp_path: Path, subject: Subject) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    with pytest.raises(NoFaceFound):
        Subject.read(tmp_path / "white.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError):
        Subject.read(tmp_path / "text.png")
    with pytest.raises(InputError, match="no face 2"):
        Subject.of(Photo(subject.photo.rgb), "one.png", 2)


def test_names_and_values_are_checked(subject: Subject) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        subject.preview({"nonsense": 1.0})
    with pytest.raises(UsageError, match="yaw"):
        subject.preview({"yaw+": 300.0})
    assert changes_of({"a": 0.0, "b": 1.0}) == {"b": 1.0}
