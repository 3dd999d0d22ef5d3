"""Painting by the network: at its own size, or from a proposal at the crop's, and colours that are fitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.arrays import BoolArray, Pixels
from latentface.completion.feed_forward import harmonise, paint
from latentface.networks.completion import CompletionConfig, CompletionNet


@pytest.fixture(scope="module")
def network() -> CompletionNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CompletionNet(CompletionConfig(size=32, fine=4, middle=6, coarse=8, dilations=(1, 2))).eval()


@pytest.fixture(scope="module")
def crop() -> tuple[Pixels, BoolArray]:
    picture = np.random.default_rng(0).integers(60, 190, (64, 64, 3)).astype(np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 16:44] = True
    return picture, hole


def test_what_lies_in_the_hole_has_no_influence_and_what_is_outside_stays(
    network: CompletionNet, crop: tuple[Pixels, BoolArray]
) -> None:
    picture, hole = crop
    made = paint(network, picture, hole)
    assert np.array_equal(made[~hole], picture[~hole]) and not np.array_equal(made[hole], picture[hole])
    other = np.where(hole[..., None], np.uint8(0), picture)
    proposal = np.full_like(picture, 90)
    assert np.array_equal(
        paint(network, other, hole, proposal=proposal), paint(network, picture, hole, proposal=proposal)
    )


def test_a_proposal_is_followed_at_the_size_of_the_crop(network: CompletionNet, crop: tuple[Pixels, BoolArray]) -> None:
    picture, hole = crop
    proposal = picture.copy()
    proposal[24:36:2, 20:40] = 255  # finer than the network's own size
    rows = paint(network, picture, hole, proposal=proposal)[24:36, 20:40].astype(int)
    assert rows[::2].mean() > rows[1::2].mean() + 60
    guide = np.zeros((6, 16, 16), np.float32)
    guide[3, 4:8] = 1
    assert not np.array_equal(paint(network, picture, hole, guide), paint(network, picture, hole))


def test_a_region_keeps_its_content(network: CompletionNet, crop: tuple[Pixels, BoolArray]) -> None:
    picture, hole = crop
    made = harmonise(network, picture, hole)
    assert np.array_equal(made[~hole], picture[~hole])
    content, change = picture[hole].astype(float), made[hole].astype(float) - picture[hole]
    assert np.corrcoef((content + change).ravel(), content.ravel())[0, 1] > 0.9
