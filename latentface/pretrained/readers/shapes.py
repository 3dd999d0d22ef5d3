"""A generator's configuration from the shapes of its tensors, checked against what the file says about itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from latentface.errors import UsageError
from latentface.networks.config import GeneratorConfig
from latentface.pretrained.readers.errors import Unreadable, damaged

Tensors = Mapping[str, torch.Tensor]

#: Fields determined by shapes alone; a file that says otherwise contradicts itself.
DECIDED = ("resolution", "z_dim", "w_dim", "c_dim", "num_mapping_layers", "img_channels", "architecture")
BLOCK = re.compile(r"synthesis\.b(\d{1,4})\.", re.ASCII)
FILTER_TOLERANCE = 1e-5


def infer_config(state: Tensors, claims: Mapping[str, Any], filters: Sequence[torch.Tensor]) -> GeneratorConfig:
    """The config implied by the tensors (with our names).

    Args:
        state: tensors by name.
        claims: what the file says, by the names of GeneratorConfig's fields; None if it says nothing. They are the only
            source for what shapes do not determine (conv_clamp, lr_multiplier).
        filters: stored low-pass filters [k, k], at any scale.

    Raises:
        Unreadable: a contradiction between shapes, or between shapes and claims.
    """
    blocks = sorted({int(match[1]) for match in map(BLOCK.match, state) if match})
    if not blocks:
        raise damaged("it has no synthesis blocks")
    widths = {r: _shape(state, f"synthesis.b{r}.conv1.weight", 4)[0] for r in blocks}
    decided = _decided(state, blocks)
    for name in DECIDED:
        if claims.get(name) is not None and claims[name] != decided[name]:
            raise contradiction(f"it says {name} {_short(claims[name])}, its tensors say {decided[name]}")
    inferred = {
        **decided,
        # the smallest base that gives these widths
        "channel_base": max(width * r for r, width in widths.items()),
        "channel_max": max(widths.values()),
        "resample_filter": _taps(filters, claims.get("resample_filter")),
    }
    try:
        inferred.update({name: _number(value) for name, value in _given(claims, "conv_clamp", "lr_multiplier").items()})
        config = GeneratorConfig(**inferred)
        claimed = GeneratorConfig(**{**inferred, **_given(claims, "channel_base", "channel_max")})
        for checked in (config, claimed):
            _check_widths(checked, widths)
    except (UsageError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"has an invalid configuration ({_short(error, 120)}): download the file again") from error
    return config


def contradiction(what: str) -> Unreadable:
    """The error for a file that contradicts itself."""
    return Unreadable(f"contradicts itself: {what}; download the file again")


def _decided(state: Tensors, blocks: list[int]) -> dict[str, Any]:
    z_dim, c_dim = _shape(state, "mapping.fc0.weight", 2)[1], 0
    if "mapping.embed.weight" in state:
        embedded, c_dim = _shape(state, "mapping.embed.weight", 2)
        z_dim -= embedded
    with_rgb = [r for r in blocks if f"synthesis.b{r}.torgb.weight" in state]
    residual = "synthesis.b8.skip.weight" in state
    return {
        "resolution": blocks[-1],
        "z_dim": z_dim,
        "w_dim": _shape(state, "synthesis.b4.conv1.affine.weight", 2)[1],
        "c_dim": c_dim,
        "num_mapping_layers": sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in state),
        "img_channels": _shape(state, f"synthesis.b{blocks[-1]}.torgb.weight", 4)[0],
        "architecture": "resnet" if residual else "skip" if with_rgb == blocks else "orig",
    }


def _shape(state: Tensors, name: str, ndim: int) -> tuple[int, ...]:
    if name not in state:
        raise damaged(f"tensor {name} is missing")
    if state[name].ndim != ndim or 0 in state[name].shape:
        raise damaged(f"tensor {name} has shape {list(state[name].shape)}, expected {ndim} axes")
    return tuple(state[name].shape)


def _given(claims: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: claims[name] for name in names if claims.get(name) is not None}


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"{value!r} in place of a number")
    return float(value)


def _check_widths(config: GeneratorConfig, widths: Mapping[int, int]) -> None:
    for r, width in widths.items():
        if config.channels(r) != width:
            base, most = config.channel_base, config.channel_max
            raise contradiction(f"{width} channels at {r} pixels, min({base} / {r}, {most}) expected")


def _taps(filters: Sequence[torch.Tensor], claimed: Any) -> tuple[float, ...]:
    """Taps of the one separable filter, the first scaled to 1."""
    lines = [_line(kernel) for kernel in filters]
    if isinstance(claimed, (list, tuple)) and 0 < len(claimed) <= 64:
        lines.append(_line(torch.tensor([float(tap) for tap in claimed])))
    if not lines:
        return GeneratorConfig.resample_filter
    first = lines[0]
    if any(line.shape != first.shape or not torch.allclose(line, first, atol=FILTER_TOLERANCE) for line in lines):
        raise contradiction("its resampling filters differ")
    return tuple(round(float(tap / first[0]), 4) for tap in first)


def _line(kernel: torch.Tensor) -> torch.Tensor:
    """Normalised taps [k] of a filter [k, k] or [k]."""
    total = float(kernel.sum())
    if kernel.ndim not in (1, 2) or not kernel.isfinite().all() or abs(total) < FILTER_TOLERANCE:
        raise damaged(f"a resampling filter of shape {list(kernel.shape)}")
    if kernel.ndim == 1:
        return kernel / total
    line = kernel.sum(0) / total
    if kernel.shape[0] != kernel.shape[1] or not torch.allclose(
        kernel / total, torch.outer(line, line), atol=FILTER_TOLERANCE
    ):
        raise Unreadable("has a resampling filter that is not separable, not supported: give another file")
    return line


def _short(value: object, most: int = 40) -> str:
    return ascii(str(value) if isinstance(value, Exception) else value)[:most]
