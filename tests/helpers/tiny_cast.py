"""People drawn as discs of their own colour, whose expressions are the height of a mouth; a small network for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from latentface.networks.retargeting import RetargetConfig, RetargetNet
from latentface.pretrained.native import write_network
from tests.helpers.faces import face_points

SIDE = 32
SHAPE = {"resolution": SIDE, "code": 4, "person": 8, "widths": (8, 8, 8, 8), "hidden": 16}


def draw(colour: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """uint8 RGB [SIDE, SIDE, 3] with a dark mouth at a height of 0..1, and landmarks [68, 2]."""
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = np.where((((x - 16) ** 2 + (y - 16) ** 2) < 150)[..., None], colour, 40).astype(np.uint8)
    row = 18 + round(6 * height)
    picture[row : row + 3, 10:22] = 10
    points = face_points((15.5, 13.0), 9.0)
    points[48:] += (0, row - points[48:, 1].mean())
    return picture, points.astype(np.float32)


def write_cast(folder: Path, people: int = 3, own: int = 20, shared: int = 5) -> Path:
    """Files as `synthface.casts` writes them."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for number in range(people):
        colour = rng.uniform(100, 250, 3)
        heights = [*np.linspace(0, 1, shared), *rng.random(own)]
        images, landmarks = zip(*(draw(colour, height) for height in heights), strict=True)
        np.savez(
            folder / f"person-{number:05d}.npz", images=np.stack(images), landmarks=np.stack(landmarks),
            coefficients=np.array(heights, np.float32)[:, None], coefficient_names=np.array(["jawOpen"]),
            view=np.zeros((len(heights), 5), np.float32), shared=np.int64(shared),
        )  # fmt: skip
    return folder


def tiny_network(
    people: tuple[str, ...] = ("anna", "ben"), views: tuple[str, ...] = ("image", "keypoints")
) -> RetargetNet:
    """A network that nothing has been taught."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RetargetNet(RetargetConfig(people, views, **SHAPE)).eval().requires_grad_(False)
        network.portraits.uniform_(-1, 1)
        network.decoder.leave.weight.normal_(0, 0.05)
        return network


def write_tiny_network(path: Path) -> Path:
    network = tiny_network()
    write_network(path, "retarget", vars(network.config), network.state_dict(), dtype=torch.float32)
    return path
