"""Weights in eight bits: blocks of 32 numbers that share a step, half the size of float16.

Each block is rounded to multiples of a step that takes its largest magnitude to 127. The step is a float16 number, so
that a weight takes 8.5 bits. Rounding moves a normally distributed weight by about half a per cent of its deviation.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

BLOCK = 32
LEVELS = 127
STEP = ".step"  # ends the name of a tensor's steps
LEAST = 4096  # numbers of a tensor that is worth packing


def pack(state: Mapping[str, torch.Tensor], exact: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """The large matrices and kernels as int8 of the same shape, each with its steps; all else in float16.

    Tensors that are not floating-point, or have one axis, or whose numbers do not fill blocks, are not packed; nor are
    those whose names begin as `exact` says, such as matrices whose columns are of very different magnitude.
    """
    packed: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point():
            packed[name] = value
        elif value.ndim < 2 or value.numel() < LEAST or value.numel() % BLOCK or name.startswith(exact):
            packed[name] = value.to(torch.float16)
        else:
            blocks = value.detach().float().reshape(-1, BLOCK)
            step = (blocks.abs().amax(1) / LEVELS).to(torch.float16)
            divisor = step.float().clamp(min=torch.finfo(torch.float32).tiny)[:, None]
            whole = (blocks / divisor).round().clamp(-LEVELS, LEVELS)
            packed[name], packed[name + STEP] = whole.to(torch.int8).reshape(value.shape), step
    return packed


def unpack(packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that `pack` packed, floating-point ones in float32.

    Raises:
        ValueError: a tensor has another number of steps than blocks.
    """
    state: dict[str, torch.Tensor] = {}
    for name, value in packed.items():
        if name.endswith(STEP) and name.removesuffix(STEP) in packed:
            continue
        step = packed.get(name + STEP)
        if step is None:
            state[name] = value.float() if value.is_floating_point() else value
            continue
        if value.dtype != torch.int8 or step.numel() * BLOCK != value.numel():
            raise ValueError(f"{name} {list(value.shape)} has {step.numel()} steps for blocks of {BLOCK}")
        state[name] = (value.float().reshape(-1, BLOCK) * step.float()[:, None]).reshape(value.shape)
    return state
