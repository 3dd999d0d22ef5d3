"""Edges of a mouth are smooth."""

from __future__ import annotations

import numpy as np

from latentface.head.mask_edges import smooth_edges


def test_smooth_edges_keep_the_shape_and_lose_notches() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:22, 5:55] = True
    mask[10:15, 30] = False
    mask[22:27, 40] = True
    smooth = smooth_edges(mask, 2.0)
    assert smooth[10:22, 5:55].mean() > 0.97 and not smooth[:9].any() and not smooth[23:].any()
    assert not smooth_edges(np.zeros_like(mask), 2.0).any()
