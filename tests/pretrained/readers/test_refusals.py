"""Broken and foreign files are refused in one line that says what they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_refusals import FORMATS, refused
from tests.helpers.checkpoint_writers import SMALL, make


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("keep", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, name: str, keep: float) -> None:
    content = FORMATS[name](tmp_path / "mark")
    (tmp_path / "cut").write_bytes(content[: int(len(content) * keep)])
    refused(tmp_path / "cut")


def test_a_file_cut_off_in_what_nobody_asks_for_is_refused(tmp_path: Path) -> None:
    """Storages lie in the order of their addresses: with many of the optimiser's the last is very likely one."""
    others = [torch.full((3,), float(k)) for k in range(500)]
    content = write.torch_bytes({"g_ema": write.rosinality_state(make()), "g_optim": others}, legacy=True)
    (tmp_path / "whole").write_bytes(content)
    assert read_checkpoint(tmp_path / "whole").config.resolution == make().config.resolution
    (tmp_path / "cut").write_bytes(content[:-1])
    refused(tmp_path / "cut", "cut off")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("writer", [write.ada, write.tensorflow, lambda g, _: write.rosinality(g)])
def test_numbers_that_are_none_are_refused(tmp_path: Path, writer: Callable[..., bytes], value: float) -> None:
    generator = make()
    generator.state_dict()["synthesis.b8.conv1.weight"][0, 0, 0, 0] = value
    (tmp_path / "a").write_bytes(writer(generator, tmp_path / "mark"))
    refused(tmp_path / "a", "NaN", "synthesis.b8.conv1.weight [6, 6, 3, 3]")


CONTRADICTIONS = [
    ({"img_resolution": 32}, "resolution"),
    ({"z_dim": 9}, "z_dim"),
    ({"w_dim": 512}, "w_dim"),
    ({"c_dim": 4}, "c_dim"),
    ({"mapping_kwargs": {"num_layers": 8}}, "num_mapping_layers"),
    ({"synthesis_kwargs": {"architecture": "resnet"}}, "architecture"),
    ({"synthesis_kwargs": {"channel_base": 1024}}, "channels at 16 pixels"),
    ({"synthesis_kwargs": {"resample_filter": [1, 2, 1]}}, "filters differ"),
]


@pytest.mark.parametrize(("change", "word"), CONTRADICTIONS)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    (tmp_path / "a").write_bytes(write.ada(make(), tmp_path / "mark", **change))
    refused(tmp_path / "a", "contradicts itself", word)


STATES: list[tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = [
    (lambda s: s.pop("mapping.fc0.weight"), "mapping.fc0.weight is missing"),
    (lambda s: s.pop("mapping.fc1.bias"), "mapping.fc1.bias"),
    (lambda s: s.pop("synthesis.b8.conv0.affine.bias"), "synthesis.b8.conv0.affine.bias"),
    (lambda s: s.update({"synthesis.b8.conv2.weight": torch.zeros(2)}), "synthesis.b8.conv2.weight"),
    (lambda s: s.update({"synthesis.b8.conv0.bias": torch.zeros(7)}), "[7] instead of [6]"),
    (lambda s: s.update({"synthesis.b8.conv1.weight": torch.zeros(7, 6, 3, 3)}), "channels at"),
    (lambda s: s.update({"synthesis.b12.conv1.weight": torch.zeros(6, 6, 3, 3)}), ""),
    (lambda s: s.update({"synthesis.b4.conv1.affine.weight": torch.zeros(6, 8, 1)}), "expected 2 axes"),
    (lambda s: s.update({"mapping.w_avg": torch.zeros(9)}), "mapping.w_avg"),
]


@pytest.mark.parametrize(("change", "word"), STATES)
def test_wrong_tensors_are_refused(tmp_path: Path, change: Callable[[Any], Any], word: str) -> None:
    state = dict(make().state_dict())
    change(state)
    module = write.persistent(state, SMALL, "", {})
    (tmp_path / "a").write_bytes(write.dumps({"G_ema": module}, write.ADA_GLOBALS))
    refused(tmp_path / "a", word)


# --- other files --------------------------------------------------------------------------------------------


def test_missing_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    refused(tmp_path / "empty", "empty")
    refused(tmp_path / "none", "does not exist")
    refused(tmp_path, "folder")


def test_the_header_of_safetensors_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(struct.pack("<Q", 1 << 40) + b"{}" + bytes(20))
    refused(tmp_path / "a")
