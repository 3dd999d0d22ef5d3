"""The part of a face that the mark may touch."""

from __future__ import annotations

import numpy as np

from latentface.faces.mark_region import mark_region
from tests.provenance.marked import LANDMARKS


def test_it_lies_within_jaw_and_forehead_and_fades_towards_them() -> None:
    region = mark_region(LANDMARKS, 128)
    assert region.shape == (128, 128) and region.min() == 0 and region.max() == 1
    rows, columns = np.nonzero(region)
    assert columns.min() >= LANDMARKS[:, 0].min() - 1 and columns.max() <= LANDMARKS[:, 0].max() + 1
    assert LANDMARKS[:, 1].min() > rows.min() and rows.max() <= LANDMARKS[:, 1].max() + 1
    x, y = LANDMARKS[30]
    assert region[round(y), round(x)] == 1
    edge = region[(region > 0) & (region < 1)]
    assert edge.size > 100
