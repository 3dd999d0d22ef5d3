"""The recipe of a grown generator: the new block learns, and what the base knew stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.training import growth
from latentface.training.data import CELLS, Pairs
from latentface.training.generator import Stage
from latentface.training.loop import Loop, LoopOptions
from tests.helpers.tiny_pairs import RECIPE, PixelDistance, train


@pytest.fixture(scope="module")
def fine_pairs() -> Pairs:
    """Discs as above in pictures of 64 pixels, with an outline of one pixel, which 32 cannot show."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(x - 32, y - 32)[None, ..., None]
    inside, outside = rng.integers(60, 196, (2, 48, 1, 1, 3))
    factors = np.concatenate([inside, outside], -1).reshape(48, 6) / 127.5 - 1
    discs = np.where(distance < 20, inside, outside)
    return Pairs(
        np.where(abs(distance - 20) < 0.7, 0, discs).astype(np.uint8),
        torch.from_numpy(factors.astype(np.float32)),
        np.zeros((48, CELLS, CELLS), np.uint8),
    )


def test_a_grown_network_learns_what_is_finer_and_keeps_the_rest(
    fine_pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "HELD_OUT", 8)
    trainer = train(fine_pairs, tmp_path / "base", replace(RECIPE, stages=(Stage(32, 640, 16),)))
    base, coder = trainer.average.generator, trainer.average.coder
    task = growth.GrowthTask(base, coder, PixelDistance(), fine_pairs)
    started = task.build()
    kept = {name for name, value in started.named_parameters() if not value.requires_grad}
    assert {name for name, _ in started.named_parameters()} - kept == {
        name for name, _ in started.named_parameters() if ".b64." in name and "noise_strength" not in name
    }
    options = LoopOptions(steps=100, learning_rate=2e-2, weight_decay=0.0, warm_up=5, average=0.9, measure_every=100)
    Loop(task, tmp_path / "grown", options).run()
    state = torch.load(tmp_path / "grown" / "checkpoint.pt", weights_only=True)["averaged"]
    for name in kept:
        assert torch.equal(state[name], started.state_dict()[name])
    learnt = task.build()
    learnt.load_state_dict(state)
    assert task.measure(learnt)["psnr"] > task.measure(started)["psnr"] + 0.15  # the base, hardly trained, has 14 dB
    task.sheet(learnt, tmp_path / "sheet.png", count=8)
    assert (tmp_path / "sheet.png").stat().st_size > 1000
