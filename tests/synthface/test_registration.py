"""The base head registered to another: landmarks onto landmarks, texture coordinates, anchors."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.synthface.head import HeadModel
from latentface.synthface.registration import FRONTAL_PAIRS, Registration, attach, texcoords_at
from latentface.synthface.wavefront import Mesh


def test_the_warp_carries_landmarks_onto_landmarks(long_head: HeadModel, registration: Registration) -> None:
    for place, indices in FRONTAL_PAIRS:
        target = long_head.vertices[long_head.landmarks68[list(indices)]].mean(0)
        assert np.linalg.norm(registration.to_base(target[None])[0, :2] - place) < 0.02, place  # decimetres
    # And back: a base vertex sent to the long_head and returned is where it was.
    front = registration.base.vertices[:, 2] > 1.2
    returned = registration.to_base(registration.base_in_head[front])
    assert np.median(np.linalg.norm(returned - registration.base.vertices[front], axis=1)) < 0.05


def test_attach_weighs_the_nearest_most() -> None:
    anchors = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9], [8, 8, 8]], np.float32)
    index, weights = attach(np.array([[1.0, 0, 0]], np.float32), anchors)
    assert index[0, 0] == 1 and weights[0, 0] > 0.95
    assert weights.sum() == pytest.approx(1, abs=1e-6)


def test_texcoords_are_those_of_the_nearest_skin(base: Mesh, registration: Registration) -> None:
    front = np.flatnonzero((base.vertices[:, 2] > 1.2) & (base.vertices[:, 1] > 6.6) & (base.vertices[:, 1] < 8))
    found = texcoords_at(registration, registration.base_in_head[front], samples=60_000)
    assert np.abs(found - base.texcoords[front]).max() < 0.05
