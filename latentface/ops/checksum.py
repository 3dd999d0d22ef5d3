"""Checksums of tensors, which detect changes of their content.

Torch counts a tensor's changes, but not those through `tensor.data`, NumPy or another view of the same memory, and
tensors created in inference mode have no counter at all. Anything cached for constant weights is therefore keyed by
their content, which costs one read of the memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

import torch
from torch import Tensor

from latentface.ops import native

_SPAN = 1024  # words that are summed at once


def checksums(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """One number for each tensor; different content gives a different number with probability at least 1 - 2^-32.

    Only the values count, not shape or dtype. Numbers from different devices, or from different choices of
    `native.choose`, are not comparable.
    """
    with torch.no_grad():
        found = [_checksum(each.detach().contiguous().as_strided((each.numel(),), (1,))) for each in tensors]
    awaited = [each for each in found if isinstance(each, Tensor)]
    arrived = iter(torch.stack(awaited).tolist() if awaited else ())  # wait for the GPU only once
    return tuple(next(arrived) if isinstance(each, Tensor) else each for each in found)


def _checksum(values: Tensor) -> int | Tensor:
    library = native.library("cpu") if native.serves(values) and values.device.type == "cpu" else None
    if isinstance(library, ctypes.CDLL):
        return int(library.lf_checksum(values.data_ptr(), values.numel() * values.element_size()))
    return _multilinear(values)


def _multilinear(values: Tensor) -> Tensor:
    """The checksum in plain torch, on the device of the values, by multilinear hashing (Lemire & Kaser 2014).

    It is sum a_i w_i mod 2^64 over the words w_i of 32 bits, a_i odd and random, repeated over the sums until one is
    left.
    """
    source = torch.Generator().manual_seed(0)
    odd = torch.randint(-(2**62), 2**62, (_SPAN,), generator=source).mul(2).add(1).to(values.device)
    words = _padded(values.view(torch.uint8), 4).view(torch.int32)
    while True:
        sums = (_padded(words, _SPAN).view(-1, _SPAN) * odd).sum(1)
        if len(sums) <= 1:
            return sums.sum()
        words = sums.view(torch.int32)


def _padded(values: Tensor, step: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, -len(values) % step))
