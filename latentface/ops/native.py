"""The native library: when it is used, and its functions on tensors.

`choose` decides for the process: "auto" (the default: native on a CPU if it can be built, otherwise plain torch),
"native" (also on a GPU, and an error if it cannot be built) or "reference" (plain torch).
"""

from __future__ import annotations

import ctypes
import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from latentface.ops.compiler import BuildFailed, build

logger = logging.getLogger(__name__)

CHOICES = ("auto", "native", "reference")
STORAGE = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
DTYPES = {"cpu": (torch.float32, torch.float64, torch.bfloat16), "cuda": tuple(STORAGE)}
POINTER, INTEGER, REAL, SMALL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int
SIGNATURES = {
    "lf_activate": [*[SMALL] * 2, *[POINTER] * 5, *[INTEGER] * 4, *[REAL] * 3, POINTER],
    "lf_activate_backward": [*[SMALL] * 2, *[POINTER] * 9, *[INTEGER] * 4, *[REAL] * 3, POINTER],
    "lf_filter": [
        *[SMALL] * 2, *[POINTER] * 6, *[INTEGER] * 2, *[POINTER] * 2, REAL, SMALL, INTEGER, *[REAL] * 3, POINTER
    ],
}  # fmt: skip

_choice = "auto"


def choose(choice: str) -> None:
    """Decide for this process which operations are used: "auto", "native" or "reference".

    Raises:
        ValueError: an unknown word.
        BuildFailed: `choice` is "native", and the library for the CPU cannot be built on this machine.
    """
    global _choice
    if choice not in CHOICES:
        raise ValueError(f"ops {choice!r} is unknown: use one of {', '.join(CHOICES)}")
    if choice == "native":
        found = library("cpu")
        if isinstance(found, BuildFailed):
            raise found
    _choice = choice


@contextmanager
def chosen(choice: str) -> Iterator[None]:
    """`choose` for the length of a block."""
    before = _choice
    choose(choice)
    try:
        yield
    finally:
        choose(before)


@functools.cache
def library(device: str) -> ctypes.CDLL | BuildFailed:
    """The library for "cpu" or "cuda", built on first use, or the reason why there is none."""
    try:
        loaded = _load(build(device))
        if device == "cpu":
            loaded.lf_checksum.argtypes, loaded.lf_checksum.restype = (POINTER, INTEGER), ctypes.c_uint64
        return loaded
    except BuildFailed as error:
        logger.info("plain torch operations are used: %s", error)
        return error


def open_library(path: Path) -> ctypes.CDLL:
    """Load a library from `build` with the same OpenMP runtime as torch.

    Raises:
        BuildFailed: it cannot be loaded.
    """
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        try:  # torch does not export its OpenMP: use the system's
            ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(path))
        except OSError as error:
            raise BuildFailed(f"the library was built but cannot be loaded: {error}") from error


class Array:
    """The type of an argument: a contiguous NumPy array of one kind of numbers. NumPy's `ndpointer` takes much longer.

    Args:
        dtype: of its numbers.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)

    def from_param(self, array: npt.NDArray[Any]) -> ctypes.c_void_p:
        """The address of its first number; TypeError if it is of another kind, or has gaps."""
        if array.dtype != self.dtype or not array.flags.c_contiguous:
            raise TypeError(f"an array of {array.dtype}, strides {array.strides}: expected contiguous {self.dtype}")
        return ctypes.c_void_p(array.ctypes.data)


def load_for_arrays(name: str, signatures: Mapping[str, Sequence[Any]], instead: str) -> ctypes.CDLL | BuildFailed:
    """The library for NumPy arrays, built if necessary, or the reason why there is none, which is logged."""
    try:
        return _load(build(name), signatures)
    except BuildFailed as error:
        logger.info("%s: %s", instead, error)
        return error


def for_arrays(load: Callable[[], ctypes.CDLL | BuildFailed]) -> ctypes.CDLL | None:
    """The result of `load` according to `choose`, or None for NumPy; it is not called for "reference".

    Raises:
        BuildFailed: "native" was chosen, and it cannot be built.
    """
    if _choice == "reference":
        return None
    found = load()
    if isinstance(found, BuildFailed):
        if _choice == "native":
            raise found
        return None
    return found


def _load(path: Path, signatures: Mapping[str, Sequence[Any]] = SIGNATURES) -> ctypes.CDLL:
    loaded = open_library(path)
    for name, arguments in signatures.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, SMALL
    return loaded


def serves(x: Tensor) -> bool:
    """Whether the native library is used for x: choice, device and dtype allow it, and nothing is being traced."""
    kind = x.device.type
    if _choice == "reference" or x.dtype not in DTYPES.get(kind, ()) or (kind == "cuda" and _choice != "native"):
        return False
    if type(x) not in (Tensor, torch.nn.Parameter) or _traced(x):
        return False
    found = library(kind)
    if isinstance(found, BuildFailed) and _choice == "native":
        raise found
    return not isinstance(found, BuildFailed)


def _traced(x: Tensor) -> bool:
    """Whether a compiler, an exporter or a function transform is active, which need plain torch.

    torch has no public way to query transforms and modes, and does not guarantee the names used here. If they are
    missing, a transform is recognised by its tensors, which have no memory of their own; a mode that only observes
    (such as an operation counter) then misses the native operations.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return True
    transforms = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)
    modes = getattr(torch._C, "_len_torch_dispatch_stack", None)
    if transforms is not None and modes is not None:
        return transforms() is not None or modes() > 0
    try:
        x.data_ptr()
    except RuntimeError:
        return True
    return False


@dataclass(frozen=True)
class Activation:
    """The function a = clamp(gain lrelu(z)), lrelu of the given slope; a slope of 1 makes it linear."""

    slope: float = 1.0
    gain: float = 1.0
    clamp: float | None = None

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Slope, gain and clamp as the library expects them, with infinity for no clamp."""
        return self.slope, self.gain, math.inf if self.clamp is None else self.clamp


@dataclass(frozen=True)
class Addends:
    """The terms of z = scale[n, c] x + noise[n, p] + bias[c]: [N, C], [N or 1, 1, H, W], [C]; None for 1, 0, 0."""

    scale: Tensor | None = None
    noise: Tensor | None = None
    bias: Tensor | None = None

    def pack(self, x: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The terms as dense tensors of the dtype in which the library computes for x."""
        wide = torch.promote_types(x.dtype, torch.float32)
        scale, noise, bias = (
            None if t is None else t.detach().to(wide).contiguous() for t in (self.scale, self.noise, self.bias)
        )
        return scale, noise, bias

    def of(self, k: int) -> Addends:
        """The terms of image k alone."""
        scale = None if self.scale is None else self.scale[k : k + 1]
        noise = self.noise if self.noise is None or len(self.noise) == 1 else self.noise[k : k + 1]
        return Addends(scale, noise, self.bias)

    @property
    def noise_step(self) -> int:
        """Number of elements between the noise maps of successive images; 0 if all images share one map."""
        return self.noise[0].numel() if self.noise is not None and self.noise.shape[0] > 1 else 0


def dense(x: Tensor, like: Tensor | None = None) -> Tensor:
    """The tensor x [N, C, H, W] as contiguous memory, channels last if x (or `like`) is."""
    last = is_channels_last(x if like is None else like)
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def is_channels_last(x: Tensor) -> bool:
    """Whether x [N, C, H, W] is in channels-last layout and in no other."""
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def activate(x: Tensor, addends: Addends, activation: Activation, out: Tensor | None = None) -> Tensor:
    """The value a [N, C, H, W] of a dense x, into `out` (dense alike; may be x) or a new tensor."""
    out = torch.empty_like(x) if out is None else out
    packed = addends.pack(x)
    _call(
        "lf_activate", x, x.data_ptr(), *map(_pointer, packed), out.data_ptr(),
        *_sizes(x), addends.noise_step, *activation.numbers,
    )  # fmt: skip
    return out


@dataclass(frozen=True)
class Gradients:
    """Of x, and the sums of g = grad da/dz: over pixels [N, C], of g (scale x) alike, over channels [N, 1, H, W]."""

    x: Tensor
    pixels: Tensor | None
    scaled: Tensor | None
    channels: Tensor | None


def activate_backward(
    grad: Tensor,
    a: Tensor,
    addends: Addends,
    activation: Activation,
    sums: Sequence[bool] = (False, False, False),
    out: Tensor | None = None,
) -> Gradients:
    """Gradients from the gradient of a and a itself, with the same layout; `sums` says which sums to compute."""
    out = torch.empty_like(a) if out is None else out
    n, c = a.shape[:2]
    wide = torch.promote_types(a.dtype, torch.float32)
    shapes = ((n, c), (n, c), (n, 1, *a.shape[2:]))
    made = [a.new_zeros(s, dtype=wide) if wanted else None for s, wanted in zip(shapes, sums, strict=True)]
    packed = addends.pack(a)
    _call(
        "lf_activate_backward", a, grad.data_ptr(), a.data_ptr(), *map(_pointer, packed), out.data_ptr(),
        *map(_pointer, made), *_sizes(a), addends.noise_step, *activation.numbers,
    )  # fmt: skip
    return Gradients(out, *made)


@dataclass(frozen=True)
class Resampling:
    """Parameters of an upfirdn: factor, padding before, output size [rows, columns], gain of the taps.

    `mirrored` means convolution with the taps; without it they are correlated, as for a gradient.
    """

    up: int
    down: int
    before: tuple[int, int]  # rows, columns
    size: tuple[int, int]
    gain: float = 1.0
    mirrored: bool = True

    def transposed(self, x: Sequence[int], taps: Sequence[int]) -> Resampling:
        """The resampling that maps gradients of the output to gradients of the input, of shape [..., H, W]."""
        before = (taps[0] - 1 - self.before[0], taps[1] - 1 - self.before[1])
        return Resampling(self.down, self.up, before, (x[-2], x[-1]), self.gain, not self.mirrored)


def resample(
    x: Tensor,
    taps: Tensor,
    resampling: Resampling,
    addends: Addends = Addends(),  # frozen
    activation: Activation = Activation(),
    out: Tensor | None = None,
) -> Tensor:
    """The value a [N, C, *size] of the resampled dense x, taps [kh, kw]."""
    if out is None:
        kind = torch.channels_last if is_channels_last(x) else torch.contiguous_format
        out = torch.empty((*x.shape[:2], *resampling.size), dtype=x.dtype, device=x.device, memory_format=kind)
    steps = resampling.up, resampling.down
    axes = [
        (INTEGER * 6)(*steps, resampling.before[k], x.shape[2 + k], out.shape[2 + k], taps.shape[k]) for k in (0, 1)
    ]
    kernel = taps.detach().to(x.device, torch.promote_types(x.dtype, torch.float32)).contiguous()
    packed = addends.pack(x)
    _call(
        "lf_filter", x, x.data_ptr(), kernel.data_ptr(), *map(_pointer, packed), out.data_ptr(), *x.shape[:2], *axes,
        resampling.gain, int(resampling.mirrored), addends.noise_step, *activation.numbers,
    )  # fmt: skip
    return out


def _call(name: str, x: Tensor, *arguments: object) -> None:
    loaded = library(x.device.type)
    assert isinstance(loaded, ctypes.CDLL), "serves() must be true"
    function, form = getattr(loaded, name), (STORAGE[x.dtype], int(is_channels_last(x)))
    if x.device.type == "cuda":
        with torch.cuda.device(x.device):
            code = function(*form, *arguments, torch.cuda.current_stream(x.device).cuda_stream)
    else:
        code = function(*form, *arguments, None)
    if code:
        raise RuntimeError(f"{name} failed with code {code} for {tuple(x.shape)}, {x.dtype} on {x.device}")


def _pointer(t: Tensor | None) -> int | None:
    return None if t is None else t.data_ptr()


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])
