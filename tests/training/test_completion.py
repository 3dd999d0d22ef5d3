"""The completion network's recipe: stages, windows, and a run that can stop and go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from latentface.networks.completion import CompletionConfig
from latentface.networks.perceptual import FeatureDistance, PerceptualConfig, PerceptualNet
from latentface.training.completion import CompletionRecipe, CompletionTrainer, Stage, windows
from latentface.training.completion_data import CompletionFaces
from tests.helpers.portrait_folder import SIDE, person, places

CONFIG = CompletionConfig(size=32, fine=4, middle=4, coarse=4, dilations=(1, 1))
RECIPE = CompletionRecipe(
    stages=(Stage(1, 32, 6), Stage(2, 32, 6, adversarial=True)), batch=2, window=32, warm_up=1, ema_pictures=2
)


def teacher() -> FeatureDistance:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig(widths=(4,) * 4, depths=(1,) * 4))


def faces(count: int) -> CompletionFaces:
    images = torch.from_numpy(np.stack([person(k, 0) for k in range(count)])).permute(0, 3, 1, 2)
    return CompletionFaces(images, np.stack([places()] * count).astype(np.float64), np.full(count, 1 / count))


def trainer(out: Path, recipe: CompletionRecipe = RECIPE) -> CompletionTrainer:
    out.mkdir(exist_ok=True)
    return CompletionTrainer(recipe, CONFIG, faces(3), faces(16), teacher(), teacher(), out, lambda pictures: -pictures)


def test_blocks_join_and_the_discriminator_comes_last(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    found = []
    while run.seen < RECIPE.pictures:
        found.append((run.stage[0].blocks, "critic" in run.recent[-1] if run.recent else False))
        run._step()
    assert [blocks for blocks, _ in found] == [1, 1, 1, 2, 2, 2]
    assert ["critic" in row for row in run.recent] == [False] * 3 + [True] * 3
    assert all(np.isfinite(list(row.values())).all() for row in run.recent)
    assert run.stage == (RECIPE.stages[-1], 1.0)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, half = trainer(tmp_path / "whole"), trainer(tmp_path / "half")
    for _ in range(4):
        whole._step()
    for _ in range(2):
        half._step()
    half._save()
    rest = trainer(tmp_path / "half")
    for _ in range(2):
        rest._step()
    for a, b in zip(whole.averaged.parameters(), rest.averaged.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert set(whole.measure(16)) == {"lpips", "error"} and (tmp_path / "whole" / "sheet.png").exists()


def test_in_the_last_stage_large_pictures_come_with_a_proposal(tmp_path: Path) -> None:
    stages = (Stage(2, 32, 8, adversarial=True, proposed=0.5),)
    run, seen = trainer(tmp_path, replace(RECIPE, stages=stages)), []
    while run.seen < 8:
        before = run.seen
        run._step()
        seen.append(run.seen - before)
    assert set(seen) == {1, 2}  # half as many large ones
    batch, proposal = run._batch(replace(stages[0], proposed=1.0), np.random.default_rng(0))
    assert proposal is not None and proposal.shape == batch.truth.shape == (1, 3, SIDE, SIDE)
    outside = 1 - batch.hole
    assert torch.allclose(proposal * outside, -batch.shown * outside, atol=1e-6)
    assert set(run.measure(4)) == {"lpips", "error"}


def test_windows_hold_some_of_what_changed() -> None:
    picture = torch.rand(2, 3, SIDE, SIDE)
    changed = torch.zeros(2, 1, SIDE, SIDE)
    changed[:, :, 100:110, 20:30] = 1
    random, sides = np.random.default_rng(0), set()
    for _ in range(12):
        shown, place = windows((picture, changed), 48, random)
        assert place.sum((1, 2, 3)).min() > 0 and shown.shape[2:] == place.shape[2:]
        sides.add(shown.shape[-1])
    assert sides == {48, 64}
