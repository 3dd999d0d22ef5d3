"""What is baked once a head: spherical harmonics of the visible sky."""

from __future__ import annotations

import numpy as np

from latentface.synthface.bake import fibonacci_sphere, harmonics, visibility
from latentface.synthface.renderer import create_context
from tests.helpers.tiny_head import ellipsoid


def test_harmonics_are_orthonormal_and_a_lone_ball_sees_its_sky() -> None:
    sky = fibonacci_sphere(20_000)
    basis = harmonics(sky)
    np.testing.assert_allclose(4 * np.pi * basis.T @ basis / len(sky), np.eye(9), atol=5e-3)
    ball, triangles, _ = ellipsoid((0, 0, 0), (5, 5, 5), 20, 40)
    shade, more, _ = ellipsoid((0, 9, 0), (3, 1, 3), 10, 20)
    both = np.concatenate([ball, shade])
    context = create_context()
    normals = np.concatenate([ball / 5, np.tile(np.float32([0, 1, 0]), (len(shade), 1))]).astype(np.float32)
    seen = visibility(
        context, both, normals, np.concatenate([triangles, more + len(ball)]).astype(np.int32), directions=96
    )
    context.release()
    toward = (seen * harmonics(normals)).sum(1)[: len(ball)]
    bottom, top = ball[:, 1] < -2, ball[:, 1] > 4.9
    assert toward[bottom].min() > 0.8  # open sky
    assert toward[top].max() < 0.4  # under the lid
