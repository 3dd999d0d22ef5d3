"""Labels read off drawn mouths whose teeth are known."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.networks.mouth import MouthConfig
from latentface.training.mouth_labels import find_teeth, label_mouth
from tests.helpers.drawn_mouths import DrawnMouth, drawn_mouth

CONFIG = MouthConfig(height=80, top=4.0)


def label(mouth: DrawnMouth):
    return label_mouth(mouth.image, mouth.opening, mouth.lips, 0.0, False, CONFIG)


def test_teeth_are_found_and_lips_are_not():
    mouth = drawn_mouth()
    teeth = find_teeth(mouth.image.astype(float), mouth.opening, mouth.lips, False)
    truth = mouth.opening & (np.arange(80)[:, None] < 34)
    assert (teeth & truth).sum() > 0.9 * truth.sum()
    assert (teeth & ~truth).sum() == 0


@pytest.mark.parametrize("edge", [31.0, 35.0])
def test_the_edge_of_the_teeth_is_where_they_end(edge):
    found = label(drawn_mouth(edge=edge))
    assert not found.upper_open
    assert found.upper_edge[30:66] == pytest.approx(np.full(36, edge), abs=1.0)
    assert np.isnan(found.lower_edge).all()


def test_teeth_behind_the_lower_lip_have_no_seen_edge():
    found = label(drawn_mouth(edge=70.0, bottom=36.0))
    assert found.upper_open and found.teeth > 0.85
    assert found.upper_edge[48] == pytest.approx(37, abs=1.5)


def test_no_teeth():
    found = label(drawn_mouth(edge=0.0))
    assert np.isnan(found.upper_edge).all() and found.teeth == 0 and found.lines == 0
    assert np.isnan(found.measures[1]) and found.measures[2] < -1


@pytest.mark.parametrize(("midline", "size"), [(48.0, 1.0), (50.0, 1.08), (46.0, 0.92)])
def test_the_lines_between_teeth_tell_midline_and_size(midline, size):
    found = label(drawn_mouth(edge=70.0, bottom=42.0, midline=midline, size=size))
    assert found.midline == pytest.approx(midline, abs=0.5) and found.size == pytest.approx(size, abs=0.04)
    assert found.lines > 0.7
    assert label(drawn_mouth(edge=0.0)).lines == 0


def test_brighter_teeth_measure_brighter():
    mouth = drawn_mouth()
    dim = mouth.image.copy()
    teeth = mouth.opening & (np.arange(80)[:, None] < 34)
    dim[teeth] = (dim[teeth] * 0.8).astype(np.uint8)
    darker = label_mouth(dim, mouth.opening, mouth.lips, 0.0, False, CONFIG).measures
    assert darker[1] == pytest.approx(label(mouth).measures[1] + np.log(0.8), abs=0.05)
    assert darker[0] == pytest.approx(label(mouth).measures[0])
