"""The recipe of translations: it learns a change of colour, can stop and go on, and writes what can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from latentface import pretrained
from latentface.networks.perceptual import FeatureDistance, PerceptualConfig, PerceptualNet
from latentface.networks.translation import TranslationConfig
from latentface.training.translation import Moments, TranslationRecipe, TranslationTrainer, run_on_faces, save
from latentface.training.translation_data import Kind, of_equal_weight
from tests.helpers.portrait_folder import person

CONFIG = TranslationConfig(size=32, fine=4, coarse=8, dilations=(1,))
RECIPE = TranslationRecipe(pictures=8, batch=2, warm_up=2, average=4)


def backbone() -> FeatureDistance:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig(widths=(4,) * 5, depths=(1,) * 5))


def kinds(side: int = 32) -> tuple[Kind, Kind]:
    """People, and people in red light."""
    images = torch.from_numpy(np.stack([person(k, 0) for k in range(8)])).permute(0, 3, 1, 2)
    images = torch.nn.functional.avg_pool2d(images.float(), 128 // side)
    red = images * torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1)
    return of_equal_weight(images.to(torch.uint8)), of_equal_weight(red.to(torch.uint8))


def trainer(out: Path, recipe: TranslationRecipe = RECIPE, config: TranslationConfig = CONFIG) -> TranslationTrainer:
    out.mkdir(exist_ok=True)
    return TranslationTrainer(recipe, config, *kinds(), backbone(), None, out)


def redness(pictures: torch.Tensor) -> float:
    return float((pictures[:, 0] - pictures[:, 1:].mean(1)).mean())


def test_it_learns_the_light_of_the_other_kind_and_back(tmp_path: Path) -> None:
    recipe = replace(RECIPE, pictures=100, batch=4, rate=4e-3, cycle=2.0, content=0.0, moments=16.0)
    run = trainer(tmp_path, recipe)
    plain, red = (kind.images.float() / 127.5 - 1 for kind in kinds())
    network = run.run()
    with torch.no_grad():
        there, back = network(plain).picture, network(red, back=True).picture
    whole = redness(red) - redness(plain)
    assert (redness(there) - redness(plain)) / whole > 0.2
    assert (redness(red) - redness(back)) / whole > 0.02
    assert run.seen == 100 and (tmp_path / "sheet.png").exists()


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, half = trainer(tmp_path / "whole"), trainer(tmp_path / "half")
    for _ in range(4):
        whole._step()
    for _ in range(2):
        half._step()
    half._save()
    rest = trainer(tmp_path / "half")
    assert rest.seen == 4
    for _ in range(2):
        rest._step()
    for a, b in zip(whole.averaged.parameters(), rest.averaged.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert all(
        torch.allclose(a, b, atol=1e-6) for a, b in zip(whole.moments.buffers(), rest.moments.buffers(), strict=True)
    )


def test_the_moments_have_the_gradient_of_their_gap(tmp_path: Path) -> None:
    source = torch.Generator().manual_seed(0)
    real = torch.randn(64, 3, 4, 4, generator=source) + 1
    made = torch.randn(64, 3, 4, 4, generator=source).requires_grad_(True)
    loss, gap = Moments([3])([real], [made])
    assert 0.4 < float(gap) < 1.0
    loss.backward()  # type: ignore[no-untyped-call]
    assert made.grad is not None and bool((made.grad.mean((0, 2, 3)) < 0).all())  # up, to the mean of the real ones
    assert float(Moments([3])([real], [real])[1]) == 0


def test_without_attention_it_costs_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path, config=replace(CONFIG, attention=False))
    assert "attention" not in run._weights() and "attention" in trainer(tmp_path)._weights()
    run._step()
    assert run.recent[-1]["attention"] == 1 and "landmarks" not in run.recent[-1]


def test_a_users_faces_give_a_network_that_keeps_landmarks(tmp_path: Path) -> None:
    path = run_on_faces(
        *kinds(64), tmp_path, perceptual="perceptual", attention=True, pictures=4, minutes=5, device="cpu"
    )
    network = pretrained.load_translation(path)
    assert network.config == TranslationConfig(size=64)
    assert (tmp_path / "checkpoint.pt").exists()
    small = save(network, tmp_path / "small.safetensors", torch.int8)
    assert small.stat().st_size < 0.6 * path.stat().st_size
    picture = kinds(64)[0].images[:1].float() / 127.5 - 1
    made = pretrained.load_translation(small)(picture).picture
    assert float((made - network(picture).picture).abs().max()) < 0.05
