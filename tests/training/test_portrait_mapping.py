"""A mapping spread as the codes of photographs are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentface.training import portrait_mapping as recipe
from latentface.training.loop import LoopOptions
from latentface.training.portraits import Portraits, load_portraits
from tests.helpers.portrait_folder import write_folder
from tests.helpers.tiny_portraits import start

OPTIONS = LoopOptions(steps=60, minutes=None, learning_rate=3e-3, weight_decay=0.0, measure_every=60)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Portraits:
    return load_portraits(write_folder(tmp_path_factory.mktemp("people") / "faces", 30))[0]


def test_codes_are_of_photographs_and_mirror_images(faces: Portraits) -> None:
    pair = start().eval()
    codes, known = recipe.code_portraits(faces, pair.encoder)
    assert codes.shape == (2 * len(faces), 16) and known.shape == (2 * len(faces), 4 * 16)
    images, _ = faces.batch(torch.tensor([3]).numpy(), torch.tensor([True]).numpy())
    with torch.no_grad():
        assert torch.allclose(pair.encoder.parts(images)[0][0], codes[len(faces) + 3], atol=1e-5)


def test_raised_codes_draw_what_they_drew(faces: Portraits) -> None:
    pair = start().requires_grad_(False).eval()
    codes, _ = recipe.code_portraits(faces, pair.encoder)
    before = pair.generator.synthesis(pair.spread(codes[:2]).contiguous())
    raised = recipe.raise_codes(codes, pair.generator, pair.encoder)
    assert bool((raised.mean(0) > 4.9 * raised.std(0)).all())
    assert torch.allclose(pair.generator.synthesis(pair.spread(raised[:2]).contiguous()), before, atol=1e-4)
    again, _ = recipe.code_portraits(faces, pair.encoder)
    assert torch.allclose(again, raised, atol=1e-5)


def test_samples_have_the_codes_mean_and_covariance(faces: Portraits, tmp_path: Path) -> None:
    pair = start().requires_grad_(False).eval()
    generator = recipe.learn_mapping(pair, faces, tmp_path, OPTIONS, pairs=4000, rounds=8)
    assert generator.config == replace(pair.generator.config, num_mapping_layers=4)
    codes, _ = recipe.code_portraits(faces, pair.encoder)
    with torch.no_grad():
        w = generator.mapping(torch.randn(4000, 16, generator=torch.Generator().manual_seed(1)))[:, 0]
    assert torch.allclose(generator.w_avg, codes.mean(0), atol=1e-4)
    scale = float(codes.std(0).max())
    assert float((w.mean(0) - codes.mean(0)).abs().max()) < 0.1 * scale
    assert float((torch.cov(w.T) - torch.cov(codes.T)).abs().max()) < 0.15 * scale**2
