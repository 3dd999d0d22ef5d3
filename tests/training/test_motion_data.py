"""Pairs of frames: landmarks move with their pictures, both frames are of one person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.faces.crop import MIRROR
from latentface.networks.motion.geometry import grid
from latentface.training.motion_data import GUIDES, SPANS, Clips, guide_points, load_clips, sample_pairs
from tests.helpers.dotted_clips import dotted


def test_landmarks_move_with_their_pictures() -> None:
    assert MIRROR[30] == 30
    batch = sample_pairs(dotted(), 8, 64, np.random.default_rng(1))
    assert batch.source.shape == (8, 3, 64, 64)
    assert batch.source_landmarks is not None
    z = grid(64, 64, batch.source)
    for picture, landmarks in zip(batch.source, batch.source_landmarks, strict=True):
        weight = (picture.mean(0) - picture.mean(0).median()).clamp(min=0)
        centre = (z * weight[..., None]).sum((0, 1)) / weight.sum()
        if landmarks[30].abs().max() < 0.9:
            assert torch.allclose(centre, landmarks[30], atol=0.02)


def test_smaller_pictures_are_averaged_not_sampled() -> None:
    batch = sample_pairs(dotted(), 2, 32, np.random.default_rng(1))
    assert batch.driving.shape == (2, 3, 32, 32)


def test_pairs_are_of_one_person_and_without_landmarks_where_none_are_known() -> None:
    flat = tuple(np.full((4, 16, 16, 3), value, np.uint8) for value in (20, 120, 220))
    clips = Clips(flat, ("a", "b", "b"))
    batch = sample_pairs(clips, 40, 16, np.random.default_rng(0))
    assert batch.source_landmarks is None
    assert torch.allclose(batch.source, batch.driving)  # frames of one clip, recoloured alike
    assert len(batch.source.mean((1, 2, 3)).unique()) > 20


def test_a_folder_without_rendered_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no clips-\*\.npz"):
        load_clips(tmp_path)


def test_a_guide_is_the_middle_of_its_landmarks() -> None:
    landmarks = torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(0))
    points = guide_points(landmarks)
    assert points.shape == (2, len(GUIDES), 2)
    assert torch.equal(points[:, GUIDES.index((30,))], landmarks[:, 30])
    assert torch.allclose(points[:, GUIDES.index((37, 38))], landmarks[:, 37:39].mean(1))
    mirrored = {tuple(sorted(MIRROR[k] for k in guide)) for guide in GUIDES}
    assert mirrored == set(GUIDES)  # a mirrored face has mirrored guides
    others = {guide: tuple(sorted(MIRROR[k] for k in guide)) for guide in GUIDES}
    assert {frozenset(others[GUIDES[k]] for k in span) for span in SPANS} == {
        frozenset(GUIDES[k] for k in span) for span in SPANS
    }


def test_one_seed_gives_one_batch() -> None:
    one, again, other = (sample_pairs(dotted(), 3, 64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.source, again.source) and torch.equal(one.driving_landmarks, again.driving_landmarks)
    assert not torch.equal(one.source, other.source)
