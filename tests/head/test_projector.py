"""A head projected many times lies where it lies when it is projected once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface import hub
from latentface.errors import UsageError
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.projector import Projector
from tests.head.face_on_model import landmarks_of


@pytest.fixture(scope="module")
def fit() -> HeadFit:
    seen = landmarks_of(hub.head_model(), {"mouthSmile": 0.4}, (8.0, -3.0, 5.0))
    return fit_head(hub.head_model(), seen + np.random.default_rng(0).normal(0, 1.0, (68, 2)))


def test_vertices_are_those_of_the_fit(fit: HeadFit) -> None:
    model = hub.head_model()
    projector = Projector(fit, model)
    changed = fit.with_expression(jawOpen=0.5, eyeBlinkLeft=1.0).with_pose(yaw=10, relative=True)
    for each in (fit, changed, replace(changed, scale=1.3 * fit.scale)):
        assert np.abs(projector.vertices(each) - each.project(model)).max() < 1e-3
        assert np.abs(projector.landmarks(each) - each.landmarks(model)).max() < 1e-3
    assert np.array_equal(projector.vertices(fit), Projector(fit, model).vertices(fit))


def test_the_skull_does_not_move_with_the_expression(fit: HeadFit) -> None:
    model = hub.head_model()
    projector = Projector(fit, model)
    still = replace(fit, expression=np.zeros_like(fit.expression))
    assert np.abs(projector.skull(fit) - still.landmarks(model)).max() < 1e-3
    assert np.array_equal(projector.skull(fit), projector.skull(fit.with_expression(jawOpen=1.0)))


def test_another_persons_head_is_refused(fit: HeadFit) -> None:
    with pytest.raises(UsageError, match="another person"):
        Projector(fit, hub.head_model()).vertices(replace(fit, identity=fit.identity + 0.1))
    with pytest.raises(UsageError, match="another model"):
        Projector(replace(fit, expression_names=fit.expression_names[::-1]), hub.head_model())
