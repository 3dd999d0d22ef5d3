"""The recipe of the network that finds what is in front of faces, on plain faces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.networks.occluders import OccluderConfig, OccluderNet
from latentface.pretrained import load_occluders
from latentface.synthface.accessories import make_beards
from latentface.synthface.renderer import Renderer
from latentface.training import occluders
from latentface.training.loop import Loop, LoopOptions
from latentface.training.occluder_pictures import SHARES, SIDE, put_in_front
from latentface.training.occluders import (
    Faces,
    OccluderTask,
    covered_shares,
    fill_channels,
    read_faces,
    with_spectacles,
)
from tests.helpers.curves import read_curve
from tests.helpers.faces import face_points
from tests.helpers.portrait_folder import write_folder
from tests.helpers.tiny_head import beard_masks, tiny_head, tiny_library

SMALL = OccluderConfig(32, (6, 8, 8))
OPTIONS = LoopOptions(
    steps=40, measure_every=20, warm_up=4, learning_rate=8e-3, average=0.9, bfloat16=False, minutes=None
)


def faces(count: int) -> Faces:
    """Plain skin, no two of one colour."""
    colours = np.random.default_rng(0).uniform(120, 220, (count, 1, 1, 3))
    points = face_points((16, 12), 8)
    return Faces(np.broadcast_to(colours, (count, 32, 32, 3)).astype(np.uint8), np.stack([points] * count))


def things() -> dict[str, np.ndarray]:
    """A blue disc of each kind."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    disc = np.zeros((1, SIDE, SIDE, 4), np.uint8)
    disc[0, np.hypot(x, y) < 0.3 * SIDE] = (20, 40, 200, 255)
    return dict.fromkeys(SHARES, disc)


def test_things_are_learnt(tmp_path, gently):
    task = OccluderTask(faces(24), things(), faces(8), things(), SMALL, batch=12)
    path = Loop(task, tmp_path, OPTIONS).run()
    first, last = read_curve(tmp_path)
    assert last["loss"] < 0.8 * first["loss"] and last["iou"] > 0.5 and "iou_hand" in last
    assert 0 <= last["spectacles"] <= 1
    network = load_occluders(path)
    covered = np.stack([put_in_front(f / np.float32(255), p, things(), np.random.default_rng(7), "blob").colours
                        for f, p in zip(faces(4).pictures, faces(4).landmarks, strict=True)])  # fmt: skip
    occluded = Faces(np.rint(covered * 255).astype(np.uint8), faces(4).landmarks)
    assert covered_shares(network, occluded).min() > covered_shares(network, faces(4)).max()


def test_a_wider_network_begins_as_the_narrow_one():
    narrow, wide = OccluderNet(SMALL), OccluderNet(OccluderConfig(32, (8, 12, 10)))
    fill_channels(wide, narrow)
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(wide(picture), narrow(picture), atol=1e-5)


def test_hard_faces_are_sampled_more_often():
    many = faces(10)
    weights = np.zeros(10)
    weights[3] = 1.0
    task = OccluderTask(many, things(), faces(4), things(), SMALL, batch=2, weights=weights)
    chosen = torch.multinomial(task.weights, 5, replacement=True)
    assert (chosen == 3).all()


def test_spectacles_are_drawn_on_the_eyes_and_are_no_occluders():
    (face,), (points,) = faces(1).pictures, faces(1).landmarks
    drawn = [
        np.abs(with_spectacles(face, points, np.random.default_rng(k)).astype(int) - face).max(2) for k in range(9)
    ]
    rows = np.mean(drawn, axis=0).mean(axis=1)
    assert abs(rows.argmax() - points[36:48, 1].mean()) < 4 and rows[-4:].max() < 1
    aside = points + np.array([11, 0])  # too close to the border for a patch that is symmetric about the nose
    assert np.array_equal(with_spectacles(face, aside, np.random.default_rng(0)), face)


def test_crops_are_read_at_the_networks_size(tmp_path):
    folder = write_folder(tmp_path, 3)
    found = read_faces(folder, 64)
    assert found.pictures.shape == (3, 64, 64, 3) and 0 < found.landmarks.min() < found.landmarks.max() < 64
    (folder / "faces.jsonl").write_text("")
    with pytest.raises(InputError, match="no faces"):
        read_faces(folder)


def test_rendered_heads_have_beards_and_no_hair(monkeypatch: pytest.MonkeyPatch) -> None:
    head, plain = tiny_head(), tiny_library()
    wardrobe = replace(plain.wardrobe, garments=(*plain.wardrobe.garments, *make_beards(head, beard_masks(head))))
    monkeypatch.setattr(occluders, "load_library", lambda path: replace(plain, wardrobe=wardrobe))
    scenes = []
    render = Renderer.render
    monkeypatch.setattr(Renderer, "render", lambda self, scene: scenes.append(scene) or render(self, scene))
    made = occluders.render_beards(Path("heads.npz"), 5, 32)
    assert made.pictures.shape == (5, 32, 32, 3) and made.landmarks.shape == (5, 68, 2)
    assert sum(scene.beard is not None for scene in scenes) >= 4
    assert all(scene.hair is None and scene.glasses is None for scene in scenes)
    eyes = made.landmarks[:, 36:48].mean(axis=1)
    assert ((eyes > 0) & (eyes < 32)).all()
