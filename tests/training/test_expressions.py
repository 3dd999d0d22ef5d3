"""The recipe of what expressions move: latents and factors of shards, the share that is explained, the file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface import pretrained
from latentface.errors import InputError
from latentface.synthface.factors import FactorCode
from latentface.training import expressions
from tests.helpers.tiny_head import tiny_library

ROWS, WIDTH = 4, 30


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The latents that a stand-in encoder gives: a picture's first pixel says which of them is its own."""
    table = torch.randn(400, ROWS, WIDTH, generator=torch.Generator().manual_seed(0))

    def encode(pictures: list[np.ndarray], generator: object) -> Tensor:
        return torch.stack([table[int(picture[0, 0, 0]) * 256 + int(picture[0, 0, 1])] for picture in pictures])

    network = SimpleNamespace(fingerprint="net")
    monkeypatch.setattr(expressions, "api", SimpleNamespace(load_generator=lambda name: network, encode=encode))
    return table


def write_shards(folder: Path, factors: np.ndarray, shards: int = 2) -> Path:
    """Pictures that hold nothing but their number, with their factors [n, P]."""
    folder.mkdir(exist_ok=True)
    images = np.zeros((len(factors), 8, 8, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(len(factors)), 256)
    for k, part in enumerate(np.array_split(np.arange(len(factors)), shards)):
        np.savez(folder / f"shard-{k:05d}.npz", images=images[part], factors=factors[part])
    return folder


def test_every_render_gives_its_latent_and_factors_in_order(tmp_path: Path, stand_in: Tensor) -> None:
    factors = np.random.default_rng(0).normal(size=(130, 3)).astype(np.float32)  # more than two batches of 50
    ws, found = expressions.encode_shards([write_shards(tmp_path / "a", factors)], "any")
    assert torch.equal(ws, stand_in[:130]) and torch.equal(found, torch.from_numpy(factors))


def test_folders_that_cannot_serve_are_refused(tmp_path: Path, stand_in: Tensor) -> None:
    with pytest.raises(InputError, match="no shard"):
        expressions.encode_shards([tmp_path], "any")
    np.savez(tmp_path / "shard-00000.npz", images=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="holds no factors"):
        expressions.encode_shards([tmp_path], "any")


def test_the_share_explained_is_all_nothing_or_less() -> None:
    truth = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    assert expressions.explained(truth, truth) == 1
    assert expressions.explained(truth.mean(0).expand_as(truth), truth) == pytest.approx(0, abs=1e-6)
    assert expressions.explained(-truth, truth) < -1
    off = truth + 0.1 * (truth - truth.mean(0))
    assert expressions.explained(off, truth) == pytest.approx(0.99, abs=1e-6)


def test_the_command_line_writes_what_expressions_move(
    tmp_path: Path, stand_in: Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(expressions, "HELD_OUT", 60)
    library = tiny_library()
    library.save(tmp_path / "heads.npz")
    code = FactorCode.of(library)
    factors = np.random.default_rng(1).normal(size=(360, code.length)).astype(np.float32)
    shapes = factors[:, code.slices["expression"]]
    monkeypatch.setattr(expressions, "DIRECTIONS", shapes.shape[1])
    lead = torch.randn(shapes.shape[1], ROWS, WIDTH, generator=torch.Generator().manual_seed(2))
    stand_in[:360] = torch.einsum("nk,klw->nlw", torch.from_numpy(shapes), lead)
    folder = write_shards(tmp_path / "data", factors)
    out = tmp_path / "expressions.safetensors"
    expressions.main(["--data", str(folder), "--heads", str(tmp_path / "heads.npz"), "--out", str(out)])
    space = pretrained.read_expressions(out)
    assert space.fingerprint == "net" and space.basis.shape == (expressions.DIRECTIONS, ROWS, WIDTH)
    said = capsys.readouterr().out
    assert said.startswith("360 renders; held out, ") and float(said.split()[4]) > 0.8
