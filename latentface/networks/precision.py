"""What networks convolve in: float32, or bfloat16 where that is asked for or the processor multiplies it."""

from __future__ import annotations

import torch


def is_rough(precision: str, device: torch.device) -> bool:
    """Whether to convolve in bfloat16, for a `precision` option: "auto" does where the hardware multiplies it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    knows = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # torch offers no public way to ask a processor
    return device.type == "cpu" and knows is not None and bool(knows())


def convolving(rough: bool, device: torch.device) -> torch.autocast:
    """Context in which convolutions on the device run in bfloat16 if rough, else in the dtype of their operands."""
    return torch.autocast(device.type, torch.bfloat16, enabled=rough)
