"""Carrying a base head's skins and hair to another head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.synthface.bake import texel_positions
from latentface.synthface.head import HeadModel
from latentface.synthface.registration import Registration
from latentface.synthface.renderer import create_context
from latentface.synthface.wardrobe import CLEARANCE, Wardrobe, dress


@pytest.fixture(scope="module")
def wardrobe(makehuman: Path, long_head: HeadModel, registration: Registration) -> Wardrobe:
    context = create_context()
    positions = texel_positions(context, long_head)
    context.release()
    return dress(makehuman, long_head, registration, positions[::4, ::4])


def test_skins_masks_and_hair_land_where_they_belong(long_head: HeadModel, wardrobe: Wardrobe) -> None:
    height, width = wardrobe.skins.shape[1:3]

    def texel(vertex: int) -> tuple[int, int]:
        u, v = long_head.uv[vertex]
        return int((1 - v) * height), int(u / 2 * width)

    left, right = long_head.landmarks68[14], long_head.landmarks68[2]
    assert wardrobe.skins[0][texel(left)].tolist()[2] > 150 > 100 > wardrobe.skins[0][texel(left)].tolist()[0]
    assert wardrobe.skins[0][texel(right)].tolist()[0] > 150 > 100 > wardrobe.skins[0][texel(right)].tolist()[2]
    lips, beard, scalp, _ = (wardrobe.masks[..., k] for k in range(4))
    mouth = long_head.vertices[long_head.landmarks68[48:60]].mean(0)
    lip = int(np.linalg.norm(long_head.vertices[: 48 * 96] - mouth, axis=1).argmin())
    nose, chin = long_head.landmarks68[29], long_head.landmarks68[8]
    crown = int(long_head.vertices[:, 1].argmax())
    assert lips[texel(lip)] > 200
    assert lips[texel(nose)] == 0 and beard[texel(nose)] == 0 and scalp[texel(nose)] == 0
    assert beard[texel(chin)] > 100 and scalp[texel(crown)] > 200


def test_hair_without_a_texture_is_left_out_and_the_rest_stands_off(long_head: HeadModel, wardrobe: Wardrobe) -> None:
    assert [g.name for g in wardrobe.of_kind("hair")] == ["cap"]
    assert [g.kind for g in wardrobe.garments] == ["hair", "torso"]
    cap = wardrobe.of_kind("hair")[0]
    skin = long_head.vertices[cap.anchors[:, 0]]
    outward = (cap.rest - skin) @ np.array([0, 1, 0], np.float32)
    assert np.median(outward) > 0.5 * CLEARANCE["hair"]
    moved = cap.follow(np.tile(np.float32([1, 2, 3]), (len(long_head.vertices), 1)))
    np.testing.assert_allclose(moved, cap.rest + np.float32([1, 2, 3]), atol=1e-4)  # anchored to all of its weights
