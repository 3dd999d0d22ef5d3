"""The recipe of the mark: a run of a few steps on drawn faces, stopped and gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentface.networks.mark import MarkConfig
from latentface.pretrained import load_mark
from latentface.training import mark
from tests.provenance.marked import LANDMARKS, smooth_face

TINY = MarkConfig(width=4, blocks=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "crops").mkdir()
    rows = []
    for number, source in enumerate(("t2i", "t2i", "pif", "pif")):
        Image.fromarray(smooth_face(256) + np.uint8(number)).save(tmp_path / "crops" / f"{number}.png")
        landmarks = ((LANDMARKS + 0.5) * 2 - 0.5).tolist()
        rows.append(json.dumps({"name": f"{number}.png", "source": source, "landmarks": landmarks}))
    (tmp_path / "faces.jsonl").write_text("\n".join(rows))
    return tmp_path


def test_some_collections_are_held_out(folder: Path) -> None:
    data, held = mark.load_faces(folder)
    assert len(data) == len(held) == 2
    light, mask = data.take(torch.tensor([0, 1, 0]), 128)
    assert light.shape == mask.shape == (3, 1, 128, 128) and 0 <= float(mask.min()) < float(mask.max()) == 1


def test_a_stopped_run_goes_on_and_gives_a_network(folder: Path) -> None:
    data, held = mark.load_faces(folder)
    run = mark.MarkRun(data, held, folder / "out", mark.MarkOptions(steps=1, batch=2, bfloat16=False), TINY)
    run.measure = lambda count=2: mark.MarkRun.measure(run, 2)  # type: ignore[method-assign]
    run.run(say=lambda line: None)
    again = mark.MarkRun(data, held, folder / "out", mark.MarkOptions(steps=2, batch=2, bfloat16=False), TINY)
    again.measure = lambda count=2: mark.MarkRun.measure(again, 2)  # type: ignore[method-assign]
    said: list[str] = []
    path = again.run(say=said.append)
    assert again.step == 2 and len(again.curve) == 2 and "jpeg50" in said[0]
    assert load_mark(path).config == TINY
    assert again.curve[-1]["psnr"] == pytest.approx(TINY.psnr, abs=1.5)
