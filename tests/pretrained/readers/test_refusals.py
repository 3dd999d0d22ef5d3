"""Broken and foreign files are refused in one line that says what they are."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentface.cli import run
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


def test_wrong_bytes_in_an_archive_are_noticed(tmp_path: Path) -> None:
    content = bytearray(write.rosinality(make()))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    content[largest.header_offset + 200] ^= 1
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a", "checksum")


# --- other files --------------------------------------------------------------------------------------------


def tensors(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(2) for name in names}


def module_of(*names: str) -> bytes:
    return write.dumps({"G_ema": write.persistent(tensors(*names), SMALL, "", {})}, write.ADA_GLOBALS)


def tf_of(version: int, *names: str) -> bytes:
    arrays = {name: np.zeros(2, np.float32) for name in names}
    return write.tensorflow_pickle(arrays, {"resolution": 16}, Path("mark"), version)


STRANGERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "stylegan3": (lambda: module_of("synthesis.input.freqs", "synthesis.L0_36_512.weight"), "StyleGAN3"),
    "stylegan3-state": (lambda: write.torch_bytes(tensors("synthesis.L0_36_512.weight")), "StyleGAN3"),
    "stylegan1-tf": (lambda: tf_of(3, "synthesis/4x4/Const/StyleMod/weight"), "StyleGAN1"),
    "stylegan1-tf-lod": (lambda: tf_of(2, "synthesis/ToRGB_lod0/weight"), "progressive"),
    "stylegan1-torch": (lambda: write.torch_bytes({"generator": tensors("progression.0.conv1.weight")}), "StyleGAN1"),
    "progressive-tf": (lambda: tf_of(4, "synthesis/ToRGB_lod3/weight"), "progressive"),
    "mmgeneration": (
        lambda: write.torch_bytes({"state_dict": tensors("generator_ema.constant_input.const"), "meta": {}}),
        "mmgeneration",
    ),
    "genforce": (lambda: write.torch_bytes({"generator_smooth": tensors("synthesis.layer0.style.weight")}), "genforce"),
    "lucidrains": (lambda: write.torch_bytes({"GAN": tensors("G.initial_block"), "version": "1"}), "lucidrains"),
    "diffusion": (
        lambda: write.torch_bytes({"state_dict": tensors("model.diffusion_model.out.0.weight")}),
        "diffusion",
    ),
    "diffusers": (lambda: write.torch_bytes(tensors("down_blocks.0.resnets.0.conv1.weight")), "diffusion"),
    "motion": (lambda: write.torch_bytes({"generator": tensors("a"), "kp_detector": tensors("b")}), "First Order"),
    "classifier": (lambda: write.torch_bytes(tensors("features.0.weight")), "features.0.weight"),
    "torchscript": (lambda: torchscript(), "TorchScript"),
    "html": (lambda: b"\n <!DOCTYPE html><html><body>Google Drive - Quota exceeded</body></html>", "web page"),
    "lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(40), "compressed"),
    "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(40), "picture"),
    "json": (lambda: b'{"a": 1}', "text"),
    "zip": (lambda: archive({"readme.txt": b"hello"}), "zip archive without"),
    "deflated": (lambda: archive({"a/data.pkl": bytes(5000)}, zipfile.ZIP_DEFLATED), "compressed"),
    "nothing": (lambda: pickle.dumps(None), "no StyleGAN2 generator"),
    "noise": (lambda: bytes(range(128, 256)), "damaged"),
}


def archive(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return stream.getvalue()


def torchscript() -> bytes:
    return archive({"net/constants.pkl": b"\x80\x02).", "net/data.pkl": b"\x80\x02N.", "net/code/a.py": b""})


@pytest.mark.parametrize("name", STRANGERS)
def test_other_files_are_called_by_their_name(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, word = STRANGERS[name]
    (tmp_path / "file.pkl").write_bytes(content())
    refused(tmp_path / "file.pkl", word)
    assert run(["sample", "--network", str(tmp_path / "file.pkl"), "-o", str(tmp_path / "a.png")]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and word in said


def test_missing_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    refused(tmp_path / "empty", "empty")
    refused(tmp_path / "none", "does not exist")
    refused(tmp_path, "folder")
