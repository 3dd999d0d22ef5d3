"""Places that belong to the faces beside a face."""

from __future__ import annotations

import numpy as np

from latentface.faces.neighbours import held, within
from tests.helpers.drawn_faces import mean_shape

OWN, OTHER = mean_shape() * 50 + (200, 200), mean_shape() * 50 + (380, 200)


def test_another_face_is_held_and_ones_own_and_what_is_far_is_not() -> None:
    assert (held(OTHER[17:], OWN, [OTHER]) > 0.999).all()
    assert (held(OWN[17:], OWN, [OTHER]) < 1e-3).all()
    assert held(np.array([[900.0, 200], [200, 900]]), OWN, [OTHER]).max() == 0


def test_between_heads_that_touch_the_nearer_one_counts() -> None:
    row = np.stack([np.linspace(200, 380, 181), np.full(181, 200.0)], axis=1)
    share = held(row, OWN, [OTHER])
    assert (np.diff(share) >= 0).all() and share[0] == 0 and share[-1] == 1
    assert abs(share[90] - 0.5) < 0.2


def test_only_heads_that_reach_into_a_box_count() -> None:
    near = within((0, 0, 300, 400), [OTHER, np.add(OTHER, (600, 0))])
    assert len(near) == 1 and near[0] is OTHER
