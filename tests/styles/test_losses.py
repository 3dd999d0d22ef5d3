"""What a style is measured by: what the distances see, and what they leave alone."""

from __future__ import annotations

import pytest
import torch

from latentface.styles.losses import ColourDistance, StyleDistance, eye_masks, gram, luma, middle, tone_difference
from tests.helpers.cli_desk import face_points
from tests.helpers.smooth_pictures import smooth_pictures


def test_correlations_do_not_depend_on_places_or_on_the_size() -> None:
    maps = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(gram(maps), gram(maps.flip(3).transpose(2, 3)), atol=1e-6)
    distance = StyleDistance([maps[:1]])
    assert float(distance([maps[:1].repeat(1, 1, 2, 3)])) == pytest.approx(0, abs=1e-10)
    apart = distance([maps * torch.tensor([1.0, 0.0])[:, None, None, None]])
    assert apart[0] < 1e-10 and float(apart[1]) == pytest.approx(1)  # of a picture without features


def test_colours_are_compared_in_the_face_and_around_it() -> None:
    picture = smooth_pictures(1)
    distance = ColourDistance(picture)
    assert float(distance(picture)) == pytest.approx(0, abs=1e-6)
    face = middle(picture[:, :1], 0.2)
    redder = picture + 0.3 * torch.tensor([1.0, 0, 0])[None, :, None, None] * face
    everywhere = picture + 0.3 * torch.tensor([1.0, 0, 0])[None, :, None, None]
    assert 0.1 < float(distance(redder)) < float(distance(everywhere))
    assert distance(picture.repeat(3, 1, 1, 1)).shape == (3,)


def test_tone_follows_the_arrangement_of_light_and_dark_only() -> None:
    picture, other = smooth_pictures(2).split(1)
    everywhere = torch.ones_like(picture[:, :1])
    assert float(tone_difference(0.3 * picture + 0.2, picture, everywhere)) == pytest.approx(0, abs=1e-3)
    assert float(tone_difference(-picture, picture, everywhere)) == pytest.approx(2, abs=1e-3)
    assert 0.1 < float(tone_difference(other, picture, everywhere)) < 2
    assert torch.allclose(luma(torch.ones(1, 3, 2, 2)), torch.ones(1, 1, 2, 2))


def test_eye_masks_lie_on_the_eyes() -> None:
    points = torch.from_numpy(face_points() * 64).float()[None]
    mask = eye_masks(points, 64)
    assert mask.shape == (1, 1, 64, 64) and float(mask.max()) <= 1
    assert float(mask[0, 0, round(0.37 * 64), round(0.3 * 64)]) > 0.9
    assert float(mask[0, 0, round(0.37 * 64), round(0.7 * 64)]) > 0.9
    assert float(mask[0, 0, round(0.75 * 64), 32]) < 0.01  # the mouth
