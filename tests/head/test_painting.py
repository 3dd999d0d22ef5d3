"""What parted lips uncover is painted, unless it is no more than the edge of the raster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface import hub
from latentface.head.drive import Driven
from latentface.head.geometry import Box
from latentface.head.interior import Opening
from latentface.head.mouth import MouthSource
from latentface.head.mouth_canvas import MouthFrame
from latentface.head.own_mouth import OwnMouth, take_mouth
from latentface.head.painting import _edges, paint_opening
from latentface.head.tones import Tones
from tests.head.face_on_model import landmarks_of

BOX = Box(140, 190, 180, 230)
SKIN = (190, 150, 130)


def coloured() -> np.ndarray:
    """Skin of uneven colour, since a photo of one tint gets a mouth of that tint."""
    noise = np.random.default_rng(0).integers(-30, 31, (340, 320, 3))
    return (np.array(SKIN) + noise).astype(np.uint8)


def driven(hole: np.ndarray, kept: float = 0.0, black: float = 0.0) -> Driven:
    """A photo in one colour of skin whose mouth is open by `hole`, [40, 40]; the photo shows `kept` of it itself."""
    shape = hole.shape
    opening = Opening(
        box=BOX, shape=(hole > 0).astype(np.float32), own=np.zeros((*shape, 3), np.float32),
        kept=np.full(shape, kept, np.float32), row=kept,
        tones=Tones(np.float32([black] * 3), np.full(3, 200, np.float32)), teeth=None, amount=1.0,
    )  # fmt: skip
    lips = np.full((*shape, 3), SKIN, np.float32)
    return Driven(coloured(), BOX, opening, None, hole.astype(np.float32), lips)


def hole(height: int) -> np.ndarray:
    made = np.zeros((40, 40), np.float32)
    made[20 : 20 + height, 8:32] = 1.0
    return made


@pytest.fixture(scope="module")
def jaw() -> np.ndarray:
    return landmarks_of(hub.head_model(), {})


def test_the_hole_is_painted_and_the_rest_stays(jaw: np.ndarray) -> None:
    moved = driven(hole(8))
    painted = paint_opening(moved, jaw, hub.mouth())
    changed = (painted != moved.photo).any(-1)
    assert changed[212:216, 152:168].mean() > 0.9
    assert not changed[:180].any() and not changed[:, :120].any()


def test_in_a_faded_print_a_painted_mouth_is_no_darker_than_the_print(jaw: np.ndarray) -> None:
    deep, faded = (
        paint_opening(driven(hole(16), black=black), jaw, hub.mouth())[206:226, 148:172] for black in (0, 90)
    )
    assert deep.min() < 60 <= 90 <= faded.min() + 2
    assert faded.max() - faded.min() < deep.max() - deep.min()


def test_what_the_photo_shows_itself_stays(jaw: np.ndarray) -> None:
    moved = driven(hole(8), kept=1.0)
    assert np.array_equal(paint_opening(moved, jaw, hub.mouth()), moved.photo)


def green_mouth(jaw: np.ndarray) -> OwnMouth:
    """Another person's mouth, as nobody has it."""
    mask = np.zeros((340, 320), np.float32)
    mask[BOX.slices] = hole(8)
    photo = coloured()
    photo[mask > 0] = (40, 200, 40)
    return take_mouth(photo, mask, MouthFrame.from_landmarks(jaw), hub.mouth().config)


def test_the_edge_of_lips_beside_kept_teeth_takes_what_is_painted_there(jaw: np.ndarray) -> None:
    hole, kept = np.zeros((40, 40), np.float32), np.zeros((40, 40), np.float32)
    hole[10:30, 8:32], kept[10:24, 8:32] = 1.0, 1.0
    hole[30, 8:32] = 0.5
    shown = driven(hole, 1.0)
    assert shown.opening is not None
    shown = replace(shown, opening=replace(shown.opening, kept=kept))
    shown.photo[BOX.slices][30, 8:32] = 0  # left black below what is kept
    painted = paint_opening(shown, jaw, hub.mouth())[BOX.slices].astype(float)
    expected = 0.5 * painted[29, 12:28] + 0.5 * np.array(SKIN)
    assert np.abs(painted[30, 12:28] - expected).max() < 5


def test_two_people_never_share_a_mouth(jaw: np.ndarray) -> None:
    other = green_mouth(jaw)

    def greenness(moved: Driven, source: MouthSource) -> float:
        filled = paint_opening(moved, jaw, hub.mouth(), source, other)[212:216, 155:165].astype(int)
        return float((filled[..., 1] - filled[..., 0]).mean())

    shows_teeth, shows_none = driven(hole(8), kept=1.0), driven(hole(8))
    assert np.array_equal(paint_opening(shows_teeth, jaw, hub.mouth(), "auto", other), shows_teeth.photo)
    assert greenness(shows_teeth, "own") > 60 and greenness(shows_none, "auto") > 60
    assert greenness(shows_none, "painted") < 20


def test_slivers_and_closed_lips_are_left_alone(jaw: np.ndarray) -> None:
    sliver = np.zeros((40, 40), np.float32)
    sliver[3, 5:9] = 0.3
    closed = Driven(np.full((340, 320, 3), 150, np.uint8))
    for moved in (driven(sliver), driven(hole(0)), closed):
        assert paint_opening(moved, jaw, hub.mouth()) is moved.photo


def test_the_edges_of_two_rows_of_teeth_are_told_apart() -> None:
    firm = np.zeros((40, 40), bool)
    firm[8:14, 5:35] = firm[22:28, 10:30] = True
    upper, lower = _edges(firm, BOX)
    assert np.array_equal(upper, np.column_stack([np.arange(145.5, 175), np.full(30, 204.0)]))
    assert np.array_equal(lower, np.column_stack([np.arange(150.5, 170), np.full(20, 212.0)]))
    assert [len(each) for each in _edges(np.zeros_like(firm), BOX)] == [0, 0]
