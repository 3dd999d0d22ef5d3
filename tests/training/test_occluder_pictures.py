"""Faces with things in front of them."""

import numpy as np
import pytest

from latentface.synthface.hands import read_hand
from latentface.training.occluder_pictures import SHARES, put_in_front, render_things
from tests.helpers.faces import face_points
from tests.synthface.test_hands import SKIN, write_body

FACE = np.full((64, 64, 3), 0.6, np.float32)
POINTS = face_points((32, 24), 16)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    hand = read_hand(write_body(tmp_path_factory.mktemp("hand") / "base.obj"))
    return render_things(hand, [SKIN], np.full((1, 32, 32, 3), 90, np.uint8), 1, seed=0)


@pytest.mark.parametrize("kind", list(SHARES))
def test_outside_the_mask_there_is_but_shadow(things, kind):
    made = put_in_front(FACE, POINTS, things, np.random.default_rng(2), kind)
    assert made.colours.shape == FACE.shape and made.mask.shape == (64, 64)
    assert 0.005 < made.mask.mean() < 0.95
    bare = made.mask == 0
    assert (made.colours[bare] <= 0.6001).all()
    again = put_in_front(FACE, POINTS, things, np.random.default_rng(2), kind)
    assert np.array_equal(made.colours, again.colours)


def test_every_kind_is_rendered(things):
    assert set(things) == set(SHARES) and len(things["hand"]) == 3
    assert all(each.dtype == np.uint8 and each.shape[1:] == (160, 160, 4) for each in things.values())
