"""Export of generators for other tools: rosinality's checkpoint, StyleGAN2-ADA's state dict, ONNX."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

from latentface.errors import UsageError, WeightsError
from latentface.io.atomic import atomic_path
from latentface.io.tensors import write_torch
from latentface.networks.config import GeneratorConfig
from latentface.networks.exporting import to_onnx
from latentface.networks.generator import Generator
from latentface.ops import make_filter
from latentface.pretrained.readers.names import to_rosinality

RATE = GeneratorConfig.lr_multiplier

Tensors = dict[str, torch.Tensor]
Path = str | os.PathLike[str]


def export(generator: Generator, path: Path, format: str) -> tuple[str, ...]:
    """Write `generator` to `path` in one of `FORMATS`.

    Returns:
        Notes on what the format cannot represent.

    Raises:
        WeightsError: the format cannot represent this network, or a required package is missing.
        OutputError: the file cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is unknown: use one of {', '.join(FORMATS)}")
    return FORMATS[format](generator, path)


def write_rosinality(generator: Generator, path: Path) -> tuple[str, ...]:
    """Write {"g_ema": state, "latent_avg": mean w}, as saved by rosinality's converter."""
    config = generator.config
    for name, value in (("architecture", "skip"), ("c_dim", 0), ("img_channels", 3)):
        _require(config, name, value, "rosinality")
    _require(config, "lr_multiplier", RATE, "rosinality")
    state = to_rosinality(_plain(generator), config)
    kernel = make_filter(config.resample_filter) * 4  # stored including the gain of the upsampling
    for n in range(len(config.resolutions) - 1):
        state[f"convs.{2 * n}.conv.blur.kernel"] = kernel
        state[f"to_rgbs.{n}.upsample.kernel"] = kernel
    write_torch(path, {"g_ema": state, "latent_avg": generator.w_avg.cpu()})
    widths = [config.channels(r) for r in config.resolutions]
    usual = any(widths == [min(base // r, 512) for r in config.resolutions] for base in (16384, 32768))
    note = "the widths of z, w or the channels differ from those in rosinality's own code, which cannot load this file"
    return (*_clamp_note(config), *(() if usual and config.z_dim == config.w_dim else (note,)))


def write_state_dict(generator: Generator, path: Path) -> tuple[str, ...]:
    """Write the state dict with StyleGAN2-ADA's names, including its low-pass buffers, for `load_state_dict` there."""
    config, state = generator.config, _plain(generator)
    _require(config, "lr_multiplier", RATE, "state dict")
    kernel = make_filter(config.resample_filter)
    for name in list(state):
        layer, _, last = name.rpartition(".")
        if last == "noise_const" or layer.endswith(".skip"):
            state[f"{layer}.resample_filter"] = kernel
    state.update({f"synthesis.b{r}.resample_filter": kernel for r in config.resolutions})
    write_torch(path, state)
    return _clamp_note(config)


class _Drawing(torch.nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, C, R, R], with the stored noise."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.synthesis = generator.synthesis

    def forward(self, ws: torch.Tensor) -> torch.Tensor:
        return self.synthesis(ws)


def write_onnx(generator: Generator, path: Path) -> tuple[str, ...]:
    """Write the synthesis network: input `ws` [N, num_ws, w_dim], output `image` [N, C, R, R], any N, stored noise."""
    config = generator.config
    ws = torch.zeros(2, config.num_ws, config.w_dim, device=generator.w_avg.device)
    content = to_onnx(_Drawing(generator), ws, "ws", ["image"])
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return ("the file contains only the synthesis network with its stored noise, not the mapping network",)


#: The formats of `weights export --format`.
FORMATS: Mapping[str, Callable[[Generator, Path], tuple[str, ...]]] = {
    "rosinality": write_rosinality,
    "state-dict": write_state_dict,
    "onnx": write_onnx,
}


def _plain(generator: Generator) -> Tensors:
    return {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}


def _require(config: GeneratorConfig, name: str, value: Any, format: str) -> None:
    if getattr(config, name) != value:
        came = f"{name} {getattr(config, name)!r}"
        raise WeightsError(f"the format {format} cannot represent {came}, only {value!r}: choose another format")


def _clamp_note(config: GeneratorConfig) -> tuple[str, ...]:
    clamp = config.conv_clamp
    return (
        ()
        if clamp is None
        else (f"the clamp of layer outputs at {clamp:g} is lost; it only matters in half precision",)
    )
