"""The precision of convolutions, and how to keep the few sensitive sums out of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(x: torch.Tensor) -> AbstractContextManager[None]:
    """Context in which operations on the device of x keep the precision of their operands."""
    device = x.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def computing_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype in which a convolution of x runs: autocast's if it is on, otherwise that of x."""
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return x.dtype


def computes_in_half(x: torch.Tensor) -> bool:
    """Whether a convolution of x runs in float16, whose range ends at 65504."""
    return computing_dtype(x) == torch.float16
