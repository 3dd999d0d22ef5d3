"""Hands of a body mesh: here of a mesh with boxes for fingers."""

from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.synthface.hands import Hand, read_hand, render_hand

SKIN = np.full((8, 8, 3), (200, 150, 120), np.uint8)


def write_body(path: Path) -> Path:
    """A body that is a left hand: a plate for each finger with four rows, and a marker at each of its joints."""
    lines: list[str] = ["vt 0 0", "vt 1 0", "vt 1 1"]
    count = 0

    def face(group: str, points: list[tuple[float, float, float]]) -> None:
        nonlocal count
        lines.append(f"g {group}")
        lines.extend("v {:.4f} {:.4f} {:.4f}".format(*point) for point in points)
        corners = [f"{count + k + 1}/{k % 3 + 1}" for k in range(len(points))]
        lines.append("f " + " ".join(corners))
        count += len(points)

    def marker(name: str, x: float, y: float) -> None:
        face(f"joint-l-{name}", [(x, y, 0.0), (x + 0.002, y, 0.0), (x, y, 0.002)])

    marker("hand", 0.0, 0.0)
    marker("elbow", 0.0, -3.0)
    for finger in range(5):
        x = 0.12 * (finger - 2)
        for joint in range(4):
            marker(f"finger-{finger + 1}-{joint + 1}", x, 0.55 + 0.15 * joint)
        for row in range(8):
            low, high = 0.125 * row, 0.125 * (row + 1)
            face("body", [(x - 0.05, low, 0.0), (x + 0.05, low, 0.0), (x + 0.05, high, 0.0), (x - 0.05, high, 0.0)])
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Hand:
    return read_hand(write_body(tmp_path_factory.mktemp("hand") / "base.obj"))


def test_the_wrist_is_the_origin_and_the_middle_finger_one_long(hand: Hand) -> None:
    assert np.linalg.norm(hand.joints[2, 3]) == pytest.approx(1, abs=1e-3)
    assert hand.joints[2, 3, 1] == pytest.approx(1, abs=1e-3)
    assert hand.triangles.max() < len(hand.vertices) == len(hand.texcoords)


def test_a_flat_hand_is_the_mesh_and_a_fist_is_shorter(hand: Hand) -> None:
    assert np.allclose(hand.bent(np.zeros((5, 3)), np.zeros(5)), hand.vertices, atol=1e-5)
    fist = hand.bent(np.ones((5, 3)), np.zeros(5))
    assert fist[:, 1].max() < 0.85 and np.isfinite(fist).all()
    assert np.abs(fist - hand.vertices)[hand.vertices[:, 1] < 0.4].max() < 1e-5  # the palm stays


def test_its_picture_has_its_mask_and_a_seed_is_a_picture(hand: Hand) -> None:
    made, again = (render_hand(hand, SKIN, 32, np.random.default_rng(1)) for _ in range(2))
    assert made.shape == (32, 32, 4) and np.array_equal(made, again)
    assert 0.02 < made[..., 3].mean() < 0.6


def test_a_mesh_without_vertices_is_none(tmp_path: Path) -> None:
    (tmp_path / "base.obj").write_text("g body")
    with pytest.raises(InputError, match="no vertices"):
        read_hand(tmp_path / "base.obj")
