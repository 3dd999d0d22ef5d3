"""The recipe that brings photographs into a generator, on drawn people."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.networks.identity import IdentityConfig, IdentityNet
from latentface.networks.landmarks import LandmarkConfig
from latentface.networks.trunk import TrunkConfig
from latentface.training import portrait_generator as recipe
from latentface.training.portraits import load_portraits
from latentface.training.rigged_pairs import load_rigged
from tests.helpers.portrait_folder import write_driven, write_folder
from tests.helpers.tiny_pairs import PixelDistance
from tests.helpers.tiny_portraits import backbone, start

QUICK = recipe.PortraitRecipe(
    batch=4, pairs=1, mixed=2, generator_rate=1e-2, encoder_rate=5e-3, texture=0.0, perceptual=0.5, latent_noise=0.0,
    adversary_from=10_000, warm_up=8, ema_images=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("people")
    return write_folder(root / "faces", 9), write_driven(root / "driven", 9)


def identity() -> IdentityNet:
    torch.manual_seed(0)
    widths = (8, 8, 8, 8)
    return IdentityNet(IdentityConfig(TrunkConfig(32, widths, 4, 8), LandmarkConfig(32, widths, decoder=8), 8)).eval()


def trainer(
    folders: tuple[Path, Path], out: Path, choices: recipe.PortraitRecipe = QUICK, driven: bool = True
) -> recipe.PortraitTrainer:
    out.mkdir(exist_ok=True)
    faces, held_out = load_portraits(folders[0])
    pairs = load_rigged(folders[1], faces) if driven else None
    pair = start(pairs.controls if pairs else 0)
    return recipe.PortraitTrainer(choices, pair, faces, held_out, PixelDistance(), backbone(), identity(), out, pairs)


def test_photographs_are_learnt_and_the_change_opens_a_mouth(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run = trainer(folders, tmp_path / "run")
    images, _ = run.faces.batch(np.arange(4), np.zeros(4, bool))
    before = float((run.redraw(images)[0] - images).abs().mean())
    run.run(pictures=320)
    after, alone = (float((each - images).abs().mean()) for each in run.redraw(images))
    assert after < 0.55 * before and alone < 0.65 * before
    assert float(run.average.change.weight[:, 1].norm()) > 0
    assert float(run.average.change.weight[:, 0].norm()) == 0  # a coefficient that nothing changed
    with open(tmp_path / "run" / "curves.csv") as stream:
        rows = list(csv.reader(stream))
    assert [row[0] for row in rows] == ["100", "200", "300"] and rows[0][2].startswith("additions=")


def test_a_stopped_run_goes_on_as_if_it_had_not(folders: tuple[Path, Path], tmp_path: Path) -> None:
    choices = replace(QUICK, adversary_from=8, adversary_alone=4)
    whole = trainer(folders, tmp_path / "whole", choices).run(pictures=24)
    trainer(folders, tmp_path / "parts", choices).run(pictures=12)
    parts = trainer(folders, tmp_path / "parts", choices).run(pictures=24)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_driven_pictures_may_come_later(folders: tuple[Path, Path], tmp_path: Path) -> None:
    trainer(folders, tmp_path / "run", driven=False).run(pictures=8)
    later = trainer(folders, tmp_path / "run")
    assert later.seen == 8 and later.pair.change.weight.shape == (16, 9)
    later.run(pictures=24)
    assert float(later.pair.change.weight.detach().norm()) > 0


def test_the_discriminator_moves_the_generator(folders: tuple[Path, Path], tmp_path: Path) -> None:
    choices = replace(QUICK, adversary_from=0, adversary_alone=0)
    with_it = trainer(folders, tmp_path / "with", choices)
    heads = with_it.adversary.heads.state_dict()
    heads = {name: value.clone() for name, value in heads.items()}
    with_it.run(pictures=8)
    assert any(not torch.equal(value, heads[name]) for name, value in with_it.adversary.heads.state_dict().items())
    without = trainer(folders, tmp_path / "without", replace(choices, adversarial=0.0))
    without.run(pictures=8)
    a, b = (run.pair.generator.get_parameter("synthesis.b4.const") for run in (with_it, without))
    assert not torch.equal(a, b)
