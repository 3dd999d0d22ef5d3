"""Guides that generated faces follow: an open mouth is opened, closed lips are closed, and what is seen is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import latentface as lf
from latentface import api, hub
from latentface.completion.guidance import follow_guide
from latentface.completion.guides import region_planes
from latentface.networks.completion import Region
from latentface.networks.generator import Generator

Sample = tuple[Generator, torch.Tensor, np.ndarray]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A generator, the latent of a face with a small smile, and its landmarks in pixels."""
    generator = lf.load_generator()
    codes = api.sample_ws(generator, 3, 0.5)
    return generator, codes, _landmarks(generator, codes)


def _landmarks(generator: Generator, codes: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        face = generator.synthesis(codes, noise_mode="const")
        return np.asarray(hub.face_networks().landmarks(face)[0].double() * face.shape[-1] - 0.5)


def _gap(points: np.ndarray) -> float:
    return float((points[65:68, 1] - points[[63, 62, 61], 1]).mean())


def test_the_mouth_is_as_far_open_as_the_guide_says(sample: Sample) -> None:
    generator, codes, points = sample
    hole = np.zeros((256, 256), bool)
    hole[round(points[33, 1]) : round(points[8, 1])] = True
    gaps = []
    for opened in (0, 14):
        wanted = points.copy()
        wanted[61:64, 1] = wanted[65:68, 1].mean() - opened
        planes = region_planes(wanted, 256)
        if not opened:
            planes[Region.MOUTH] = 0
        gaps.append(_gap(_landmarks(generator, follow_guide(codes, planes, hole, generator))))
    assert gaps[1] > gaps[0] + 2


def test_what_is_seen_stays_as_it_is(sample: Sample) -> None:
    generator, codes, points = sample
    moved = points.copy()
    moved[17:27, 1] -= 12
    made = follow_guide(codes, region_planes(moved, 256), np.zeros((256, 256), bool), generator)
    assert torch.equal(made, codes)
