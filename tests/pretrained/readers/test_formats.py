"""Every published format opens by its content and draws what the network that was written draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import pretrained
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make

GOLDEN = Path(__file__).parents[2] / "golden"
Write = Callable[[Generator, Path], bytes]

FORMATS: dict[str, tuple[str, Write]] = {
    "ada": ("stylegan2-ada", write.ada),
    "ada-protocol-2": ("stylegan2-ada", lambda g, mark: write.ada(g, mark, protocol=2)),
    "ada-protocol-5": ("stylegan2-ada", lambda g, mark: write.ada(g, mark, protocol=5)),
    "stylegan3-repository": ("stylegan2-ada", lambda g, mark: write.ada(g, mark, flat=True)),
    "pivotal": ("stylegan2-ada", write.pivotal),
    "pivotal-legacy": ("stylegan2-ada", lambda g, mark: write.pivotal(g, mark, legacy=True)),
    "tensorflow": ("stylegan2-tf", write.tensorflow),
    "tensorflow-ada": ("stylegan2-tf", lambda g, mark: write.tensorflow(g, mark, version=5, protocol=3)),
    "tensorflow-protocol-5": ("stylegan2-tf", lambda g, mark: write.tensorflow(g, mark, protocol=5)),
    "rosinality": ("rosinality", lambda g, _: write.rosinality(g)),
    "rosinality-legacy": ("rosinality", lambda g, _: write.rosinality(g, legacy=True)),
    "psp": ("psp", lambda g, _: write.psp(g)),
    "psp-legacy": ("psp", lambda g, _: write.psp(g, legacy=True)),
    "state-dict": ("stylegan2-ada", lambda g, _: write.torch_bytes(g.state_dict())),
}


def saved(tmp_path: Path, content: bytes, name: str = "network.bin") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def assert_close(came: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-4 of the expected range."""
    assert came.shape == expected.shape
    assert float((came - expected).abs().max()) <= 1e-4 * float(expected.max() - expected.min())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_back(tmp_path: Path, name: str) -> None:
    generator, mark = make(), tmp_path / "mark"
    expected, writer = FORMATS[name]
    path = saved(tmp_path, writer(generator, mark))
    checkpoint = read_checkpoint(path)
    assert checkpoint.format == expected and checkpoint.config == SMALL and checkpoint.notes == ()
    loaded = pretrained.load_generator(path)
    for key, value in generator.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=1e-6)
    z = torch.randn(2, SMALL.z_dim, generator=torch.Generator().manual_seed(0))
    assert_close(loaded(z, truncation_psi=0.7), generator(z, truncation_psi=0.7))
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert not mark.exists(), "source text inside the file was run"


CONFIGS = {
    "resnet": {"architecture": "resnet"},
    "orig": {"architecture": "orig"},
    "clamp": {"conv_clamp": 256.0},
    "labels": {"c_dim": 3},
    "filter": {"resample_filter": (1.0, 2.0, 2.0, 1.0)},
    "rate": {"lr_multiplier": 0.02},
    "channels": {"img_channels": 1},
    "widths": {"z_dim": 5, "w_dim": 7, "num_mapping_layers": 3},
}


@pytest.mark.parametrize("writer", [write.ada, write.tensorflow, write.pivotal])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_comes_back(tmp_path: Path, name: str, writer: Write) -> None:
    config = replace(SMALL, **CONFIGS[name])
    generator = make(config)
    checkpoint = read_checkpoint(saved(tmp_path, writer(generator, tmp_path / "mark")))
    assert checkpoint.config == config
    assert checkpoint.generator().fingerprint == generator.fingerprint


def golden(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    with np.load(GOLDEN / name) as arrays:
        values = {key: torch.from_numpy(arrays[key]) for key in arrays}
    state = {key.removeprefix("state/"): values.pop(key) for key in list(values) if key.startswith("state/")}
    return state, values


def test_parity_with_the_public_ada_generator(tmp_path: Path) -> None:
    state, values = golden("ada_skip_64.npz")
    config = GeneratorConfig(64, z_dim=32, w_dim=48, num_mapping_layers=4, channel_base=1024, channel_max=32)
    module = write.persistent(state, config, write.trap(tmp_path / "mark"))
    path = saved(tmp_path, write.dumps({"G_ema": module}, write.ADA_GLOBALS))
    loaded = pretrained.load_generator(path)
    assert loaded.config == config
    assert_close(loaded.mapping(values["z"], truncation_psi=0.7), values["ws_trunc07"])
    assert_close(loaded(values["z"]), values["img_const"])
    assert_close(loaded(values["z"], truncation_psi=0.7, noise_mode="none"), values["img_trunc07_nonoise"])
    assert not (tmp_path / "mark").exists()


def test_parity_with_the_public_rosinality_generator(tmp_path: Path) -> None:
    state, values = golden("rosinality_64.npz")
    path = saved(tmp_path, write.torch_bytes({"g_ema": state, "latent_avg": values["latent_avg"]}))
    loaded = pretrained.load_generator(path)
    assert_close(loaded.mapping(values["z"])[:, 0], values["w"])
    assert_close(loaded(values["z"]), values["img"])
    assert_close(loaded(values["z"], truncation_psi=0.7), values["img_trunc07"])
