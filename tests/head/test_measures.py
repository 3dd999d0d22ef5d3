"""Openings, heights and widths of a face, and the weights that reach them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from latentface import hub
from latentface.head.fitting import fit_head
from latentface.head.measures import MEASURES, Reach, by_measure, least_squares, measure_head, measure_points
from tests.head.face_on_model import landmarks_of

MODEL = hub.head_model()
WIDTH = list(MEASURES).index("mouth's width")


def test_heads_and_their_landmarks_measure_the_same() -> None:
    points = landmarks_of(MODEL, {"jawOpen": 0.3, "mouthPucker": 0.4}, definition="annotated")
    assert measure_head(MODEL, fit_head(MODEL, points)) == pytest.approx(measure_points(points, 0.0), abs=0.01)


def test_measures_of_points_do_not_depend_on_roll_and_size() -> None:
    upright = landmarks_of(MODEL, {"jawOpen": 0.3})
    tilted = landmarks_of(MODEL, {"jawOpen": 0.3}, (0.0, 0.0, 15.0), scale=30.0)
    assert measure_points(tilted, 15.0) == pytest.approx(measure_points(upright, 0.0), abs=1e-6)
    assert measure_points(upright, 0.0)[0] > 0.1


def test_bounded_least_squares_agrees_with_scipy() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        rows, wanted = random.normal(size=(9, 14)) * 10, random.normal(size=9) * 10
        spread, low, high = random.uniform(0.1, 1, 14), -random.uniform(0, 0.4, 14), random.uniform(0.01, 0.4, 14)
        whole = np.concatenate([rows, np.diag(1 / spread)])
        expected = lsq_linear(whole, np.concatenate([wanted, np.zeros(14)]), (low, high), method="bvls").x
        assert least_squares(rows, wanted, spread, low, high) == pytest.approx(expected, abs=1e-6)


def test_weights_reach_what_is_asked_within_their_bounds() -> None:
    fit = fit_head(MODEL, landmarks_of(MODEL, {"mouthSmileLeft": 0.4, "mouthSmileRight": 0.4}, definition="annotated"))
    reach = Reach.of(MODEL, fit, by_measure({name: 0.01 for name in MEASURES}), {"mouthPucker": 0.5, "jawOpen": 0.3})
    narrower = by_measure({name: -0.15 * (name == "mouth's width") for name in MEASURES})
    made = reach(fit.expression, narrower, np.zeros_like(fit.expression), np.ones_like(fit.expression))
    assert (reach.slopes @ (made - fit.expression))[WIDTH] == pytest.approx(-0.15, abs=0.02)
    changed = {name for name, a, b in zip(fit.expression_names, made, fit.expression, strict=True) if a != b}
    assert changed <= {"mouthPucker", "jawOpen"} and made.min() >= 0
    held = reach(fit.expression, narrower, fit.expression, fit.expression)
    assert held == pytest.approx(fit.expression)
