"""The background keeps still behind a moving head: a bluish one, and a network that takes bluish for background."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from latentface import hub
from latentface.faces.alignment import crop_face
from latentface.head.background import Background, find_background, sharpen
from latentface.head.drive import Driver
from latentface.head.motion import Gain, Motion
from latentface.io.images import reduced
from latentface.networks.matte import MatteConfig, MatteNet
from tests.helpers.head_picture import model, picture, place


class TakesBlueForBackground(MatteNet):
    """Logits of -8 where there is more blue than red, and of 8 elsewhere."""

    def __init__(self) -> None:
        super().__init__(MatteConfig(128, (4, 4)))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        smooth = torch.nn.functional.avg_pool2d(pictures, 5, 1, 2)
        return torch.where(smooth[:, 2:] > smooth[:, :1], -8.0, 8.0)


def driver(photo: np.ndarray, matte: bool) -> Driver:
    finders = replace(hub.finders(), matte=TakesBlueForBackground() if matte else None)
    return Driver(photo, model(), picture().before, finders=finders)


def around(layer: np.ndarray, pixels: int) -> np.ndarray:
    """What lies farther from the head than so many pixels, over its chin."""
    far = ~ndimage.binary_dilation(layer >= 0, iterations=pixels)
    far[200:] = False
    return far


@pytest.fixture(scope="module")
def turned() -> tuple[np.ndarray, np.ndarray]:
    """A turn of the head with the background still, and moving along."""
    after = place(roll=9)
    still, along = (driver(picture().photo, matte).drive(after).photo for matte in (True, False))
    return still, along


def test_it_keeps_still_while_the_head_turns(turned: tuple[np.ndarray, np.ndarray]) -> None:
    still, along = turned
    scene = Driver(picture().photo, model(), place(roll=9)).scene
    both = np.full(picture().layer.shape, -1)
    both[scene.box.slices] = scene.layer
    far = around(np.maximum(both, picture().layer), 14)
    photo = picture().photo.astype(int)
    assert far.sum() > 10_000
    assert np.abs(still.astype(int) - photo)[far].max() <= 1
    assert np.abs(along.astype(int) - photo)[far].max() > 40  # without the network it is drawn along


def test_the_head_itself_moves_as_without_it(turned: tuple[np.ndarray, np.ndarray]) -> None:
    still, along = turned
    scene = Driver(picture().photo, model(), place(roll=9)).scene
    inner = np.zeros(picture().layer.shape, bool)
    inner[scene.box.slices] = ndimage.binary_erosion(scene.layer >= 0, iterations=6)
    inner[200:] = False
    assert np.abs(still.astype(int) - along)[inner].max() <= 1


def test_what_the_head_leaves_is_filled_with_background(turned: tuple[np.ndarray, np.ndarray]) -> None:
    still, _ = turned
    scene = Driver(picture().photo, model(), place(roll=9)).scene
    now = np.full(picture().layer.shape, -1)
    now[scene.box.slices] = scene.layer
    left = (picture().layer >= 0) & around(now, 8)
    assert left.sum() > 100
    assert (still[left][:, 2].astype(int) - still[left][:, 0]).mean() > 20  # bluish, as the background is


def test_small_motions_do_not_look_for_it() -> None:
    made = driver(picture().photo, True)
    made.drive(place({"browInnerUp": 0.2}))
    assert "background" not in vars(made)


def test_where_only_people_are_there_is_none() -> None:
    photo = picture().photo.copy()
    photo[..., 2] = photo[..., 0] // 2
    scene = driver(photo, True).scene
    landmarks = scene.before[model().landmarks, :2].astype(float)
    assert find_background(photo, landmarks, scene.layer >= 0, scene.box, TakesBlueForBackground()) is None


def test_over_the_crop_hair_moves_and_poles_keep_still() -> None:
    sky = 150
    photo = np.full((sky + len(picture().photo), picture().photo.shape[1], 3), (90, 100, 150), np.uint8)
    photo[sky:] = picture().photo
    top = sky + int(np.nonzero(picture().layer >= 0)[0].min())
    hair, pole = slice(125, 175), slice(148, 152)
    photo[:top, pole] = (130, 100, 90)
    photo[top - 60 : top + 10, hair] = (130, 100, 90)
    made = Driver(
        photo,
        model(),
        picture().before + np.float32([0, sky, 0]),
        finders=replace(hub.finders(), matte=TakesBlueForBackground()),
    )
    landmarks = made.scene.before[model().landmarks, :2].astype(float)
    crop = crop_face(photo, landmarks, 128).quad[0, 1]
    assert made.background is not None and top - 45 < crop < top, "hair leaves the crop"
    seen = made.background.seen[..., 3]
    assert seen[top - 50 : top, 135:165].max() == 0
    assert seen[top - 120 : top - 75, 135:165].min() > 200


def test_strands_beside_a_head_move_with_it() -> None:
    photo = picture().photo.copy()
    photo[:200][picture().layer[:200] < 0] = (90, 100, 150)
    head = np.nonzero(picture().layer[100] >= 0)[0]
    edge = head.max()
    photo[90:110, edge + 1 : edge + 3] = (60, 70, 120)  # too thin for the network
    made = driver(photo, True).drive(place() - np.float32([12, 0, 0])).photo[100].astype(int)
    assert np.abs(made[edge + 1 : edge + 40] - (90, 100, 150)).max() < 8, "it is left behind"
    assert made[edge - 12 : edge - 8, 2].min() < 135, "it is gone"


def test_a_skull_that_is_too_high_leaves_the_background_over_it_still() -> None:
    photo = picture().photo.copy()
    top = int(np.nonzero(picture().layer >= 0)[0].min())
    photo[top : top + 8] = photo[:8]  # a lower skull than the model's
    seen = driver(photo, True).background
    assert seen is not None
    assert seen.seen[top : top + 3, 140:160, 3].min() > 200 and seen.seen[top + 30, 140:160, 3].max() == 0


def test_no_motion_changes_nothing() -> None:
    source = np.random.default_rng(0)
    background = Background(*(source.integers(0, 256, (20, 30, depth), np.uint8) for depth in (3, 4)))
    box = driver(picture().photo, False).scene.box.around([(0, 0), (29, 19)], 0, 20, 30)
    moved = source.uniform(0, 255, (20, 30, 3)).astype(np.float32)
    before = moved.copy()
    shift, gain = np.full((20, 30, 2), 1e-3, np.float32), Gain(np.ones((1, 1, 3), np.float32), 1)
    behind = background.keep_still(moved, Motion(box, shift, gain))
    assert np.array_equal(moved, before) and np.abs(behind - background.seen[..., 3] / 255).max() < 2e-3


def test_values_become_as_sharp_as_the_picture() -> None:
    picture_ = np.full((64, 64, 3), 40, np.uint8)
    picture_[:, 37:] = (220, 200, 180)
    soft = ndimage.gaussian_filter((np.arange(16) * 4.0 + 2 > 37).astype(np.float32)[None].repeat(16, 0), 1.0)
    sharp = sharpen(soft, reduced(picture_, 4).astype(np.float32) / np.float32(255), picture_, 4)
    assert sharp[:, :37].max() < 0.2 and sharp[:, 37:].min() > 0.8
