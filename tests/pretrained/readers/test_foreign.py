"""Files of other networks, and files that are none, are called by their name."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.cli import run
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.foreign import refuse_beginning, refuse_names, unknown
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_refusals import refused
from tests.helpers.checkpoint_writers import SMALL


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


def test_beginnings_of_networks_pass() -> None:
    for head in (b"\x80\x04\x95", b"PK\x03\x04", bytes(8) + b'{"a"'):
        refuse_beginning(head)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"\n<!doctype html>", "web page"), (b"<?xml", "web page"), (b"7z\xbc\xaf", "compressed"),
        (b"\xff\xd8\xff", "picture"), (bytes(257) + b"ustar", "tar archive"), (b" [1]", "text file"),
    ],
)  # fmt: skip
def test_beginnings_of_other_files_do_not(head: bytes, word: str) -> None:
    with pytest.raises(Unreadable, match=word):
        refuse_beginning(head)


def test_the_first_names_are_told_and_no_more_of_them_than_fit() -> None:
    assert "it contains a, b, c, ..." in str(unknown(["a", "b", "c", "d"]))
    assert "it contains no names" in str(unknown([]))
    assert len(str(unknown(["x" * 10_000] * 5))) < 300
    assert "\\x00" in str(unknown(["\0"]))


def test_a_long_name_is_looked_at_no_further() -> None:
    refuse_names(["x" * 200 + "kp_detector"])
    with pytest.raises(Unreadable, match="diffusion model"):
        refuse_names(["model.diffusion_model.out"])
