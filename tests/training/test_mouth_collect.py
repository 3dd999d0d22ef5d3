"""From a folder of faces to mouths to learn from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from latentface.errors import InputError
from latentface.networks.mouth import MouthConfig, Plane
from latentface.training.mouth_collect import collect, larger, read_canvases, sampling_weights
from latentface.training.mouth_data import MARGIN, MouthData
from tests.helpers.drawn_mouths import drawn_mouth

CONFIG = MouthConfig()
LINE = {"source": "drawn", "jaw": 150, "colour": 40.0}


def write_faces(folder, count):
    """Drawn mouths at their place in 160 px crops, eyes 64 px apart."""
    (folder / "crops").mkdir()
    lines = []
    for i in range(count):
        mouth = drawn_mouth(i, edge=33 + i % 5)
        crop = np.full((160, 160, 3), [205, 160, 140], np.uint8)
        crop[60:140, 32:128] = mouth.image
        Image.fromarray(crop).save(folder / "crops" / f"{i}.png")
        points = mouth.points + np.array([31.5, 59.5])
        lines.append(json.dumps({**LINE, "name": f"{i}.png", "landmarks": points.tolist()}))
    (folder / "faces.jsonl").write_text("\n".join(lines), encoding="utf-8")


def test_canvases_lie_where_the_frame_says(tmp_path):
    write_faces(tmp_path, 2)
    canvases = read_canvases(tmp_path, larger(CONFIG))
    assert canvases.images.shape == (2, CONFIG.height + 2 * MARGIN, CONFIG.width, 3)
    assert canvases.points[0, 33] == pytest.approx([CONFIG.width / 2, CONFIG.top + MARGIN])
    # the drawing's base of the nose is in row 4, the canvas' in row 2: its rows are two further up
    difference = canvases.images[0, :76].astype(int) - drawn_mouth(0, edge=33).image[2:78]
    assert np.abs(difference).mean() < 1.5


def test_open_mouths_become_planes_and_come_back_from_a_file(tmp_path):
    write_faces(tmp_path, 8)
    truth = np.zeros((8, 2, 80, 96), np.uint8)  # the drawings' rows lie two further down than the canvas'
    truth[:, :, :78] = [[m.opening[2:] * 255, m.lips[2:] * 255] for m in map(drawn_mouth, range(8))]
    data = collect(read_canvases(tmp_path, larger(CONFIG)), truth, CONFIG)
    assert len(data) == 8 and set(data.sources) == {"drawn"}
    opening = data.planes[:, Plane.OPENING] > 127
    upper = data.planes[:, Plane.UPPER_TEETH] > 127
    assert 0.3 < (upper & opening).sum() / opening.sum() < 0.7  # teeth down to rows 33 to 37 of 26 to 44
    edges = [np.flatnonzero(plane[:, 48])[-1] + 1 for plane in upper]
    assert edges == pytest.approx([31 + i % 5 for i in range(8)], abs=1)
    assert np.abs(data.styles).max() <= 2.5 and np.isfinite(data.styles).all()
    data.save(tmp_path / "mouths.npz")
    again = MouthData.load(tmp_path / "mouths.npz")
    assert (again.planes == data.planes).all() and again.names == data.names
    assert (again.weights == data.weights).all()


def test_no_faces(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_canvases(tmp_path, CONFIG)
    (tmp_path / "faces.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="lists no face"):
        read_canvases(tmp_path, CONFIG)
    (tmp_path / "mouths.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no file of mouths"):
        MouthData.load(tmp_path / "mouths.npz")


def test_rare_and_deep_mouths_come_more_often():
    weights = sampling_weights(
        ["a"] * 500 + ["b", "b"],
        np.full(502, 150.0),
        np.array([200.0] * 501 + [400.0]),
        np.array([0.9] * 501 + [0.1]),
    )
    assert weights[500] > weights[0] and weights[501] == pytest.approx(5 * weights[500])
