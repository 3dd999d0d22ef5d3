"""The precision of convolutions: float32, or bfloat16 if requested or if the processor supports it."""

from __future__ import annotations

from pathlib import Path

import torch

CPU_FACTS = Path("/proc/cpuinfo")


def is_rough(precision: str, device: torch.device) -> bool:
    """Whether to convolve in bfloat16 for a `precision` option; "auto" does if the hardware supports it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and multiplies_bfloat16()


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16 (AVX512_BF16).

    Recent versions of torch report it by `torch.cpu.get_capabilities`; otherwise the Linux kernel is asked. If neither
    knows, the answer is no, which only costs time.
    """
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is not None:
        return bool(ask().get("avx512_bf16", False))
    try:
        lines = CPU_FACTS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return "avx512_bf16" in flags.split()


def convolving(rough: bool, device: torch.device) -> torch.autocast:
    """Context in which convolutions on the device run in bfloat16 if rough, else in the dtype of their operands."""
    return torch.autocast(device.type, torch.bfloat16, enabled=rough)
