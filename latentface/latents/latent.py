"""Latent codes and directions between them: values that record which generator they belong to.

Latents of one generator form an affine space: latent - latent is a Direction, latent + strength * direction is a
Latent, and a weighted mean such as 0.5 * a + 0.5 * b is a Latent. Mixing two generators raises LatentMismatch.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import overload

import torch

from latentface.errors import InputError, LatentMismatch, UsageError
from latentface.io.tensors import read_metadata, read_tensors, write_tensors

FORMAT = "latentface-latent"
FORMAT_VERSION = "1"
#: How the names of latent files end.
LATENT_SUFFIX = ".latent.safetensors"


@dataclass(frozen=True, eq=False)
class Direction:
    """A displacement in W+ space.

    Attributes:
        values: float32 [num_ws, w_dim], copied on construction.
        fingerprint: the fingerprint of the generator it belongs to.
        name: its effect on a face, such as "happiness"; may be empty.
        metadata: further information, such as how it was fitted, as text by name. Scaling keeps name and metadata.
    """

    values: torch.Tensor
    fingerprint: str
    name: str = ""
    metadata: dict[str, str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.values, "values"))
        if self.metadata is not None:
            object.__setattr__(self, "metadata", {str(key): str(value) for key, value in self.metadata.items()})

    def __add__(self, other: Direction) -> Direction:
        if not isinstance(other, Direction):
            return NotImplemented
        check_same_generator(self, other)
        return Direction(self.values + other.values, self.fingerprint)

    def __sub__(self, other: Direction) -> Direction:
        return self + -other if isinstance(other, Direction) else NotImplemented

    def __neg__(self) -> Direction:
        return self * -1.0

    def __mul__(self, strength: float) -> Direction:
        if not isinstance(strength, int | float):
            return NotImplemented
        return replace(self, values=self.values * strength)

    __rmul__ = __mul__

    def extended(self, num_ws: int, fingerprint: str) -> Direction:
        """The same direction for a generator that was grown from this one's, see `extended`."""
        return replace(self, values=extended(self.values, num_ws), fingerprint=fingerprint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Direction):
            return NotImplemented
        same = (self.fingerprint, self.name) == (other.fingerprint, other.name)
        text = (self.metadata or {}) == (other.metadata or {})
        return same and text and torch.equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]  # tensors have no cheap hash consistent with ==


@dataclass(frozen=True, eq=False)
class Latent:
    """The latent code from which a generator synthesises one image.

    Attributes:
        ws: float32 [num_ws, w_dim], copied on construction.
        fingerprint: `Generator.fingerprint` of the generator it belongs to.
        noise: noise maps [r, r] in layer order, or None for those stored in the generator.
        metadata: its origin, as text by name. An edit keeps the left operand's noise and metadata.

    Raises:
        UsageError: ws or a noise map is not a finite floating-point tensor with two axes.
    """

    ws: torch.Tensor
    fingerprint: str
    noise: tuple[torch.Tensor, ...] | None = None
    metadata: dict[str, str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ws", _checked(self.ws, "ws"))
        if self.noise is not None:
            object.__setattr__(self, "noise", tuple(_checked(each, "noise map") for each in self.noise))
        if self.metadata is not None:
            object.__setattr__(self, "metadata", {str(key): str(value) for key, value in self.metadata.items()})

    def __add__(self, other: Latent | Direction) -> Latent:
        if not isinstance(other, Latent | Direction):
            return NotImplemented
        check_same_generator(self, other)
        return replace(self, ws=self.ws + _tensor(other))

    @overload
    def __sub__(self, other: Latent) -> Direction: ...
    @overload
    def __sub__(self, other: Direction) -> Latent: ...
    def __sub__(self, other: Latent | Direction) -> Latent | Direction:
        if not isinstance(other, Latent | Direction):
            return NotImplemented
        check_same_generator(self, other)
        if isinstance(other, Latent):
            return Direction(self.ws - other.ws, self.fingerprint)
        return replace(self, ws=self.ws - other.values)

    def __mul__(self, weight: float) -> Latent:
        if not isinstance(weight, int | float):
            return NotImplemented
        return replace(self, ws=self.ws * weight)

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Latent):
            return NotImplemented
        mine, theirs = self.noise, other.noise
        if mine is None or theirs is None:
            same = mine is theirs
        else:
            same = len(mine) == len(theirs) and all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
        text = (self.fingerprint, self.metadata or {}) == (other.fingerprint, other.metadata or {})
        return same and text and torch.equal(self.ws, other.ws)

    __hash__ = None  # type: ignore[assignment]  # tensors have no cheap hash consistent with ==

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the latent as a safetensors file; equal latents give identical files.

        Raises:
            OutputError: the file cannot be written; an existing file is left untouched.
        """
        tensors = {"ws": self.ws}
        for k, each in enumerate(self.noise or ()):
            tensors[f"noise.{k}"] = each
        metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "fingerprint": self.fingerprint}
        metadata["metadata"] = json.dumps(self.metadata or {}, sort_keys=True)
        write_tensors(path, tensors, metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Latent:
        """Read a latent written by `save`.

        Raises:
            InputError: the file is missing, damaged, or not a latent.
        """
        what = "a .latent.safetensors file made by latentface"
        tensors, header = read_tensors(path, InputError, what)
        if header.get("format") != FORMAT or not header.get("fingerprint"):
            raise InputError(f"{os.fspath(path)} contains tensors, but is not a latent: give {what}")
        if header.get("format_version") != FORMAT_VERSION:
            came = header.get("format_version")
            raise InputError(f"{os.fspath(path)} has latent format version {came}, expected 1: update latentface")
        count = len(tensors) - 1
        names = ["ws", *(f"noise.{k}" for k in range(count))]
        if set(tensors) != set(names):
            raise InputError(
                f"{os.fspath(path)} holds tensors {sorted(tensors)}, expected ws and noise.0, noise.1, ..."
            )
        try:
            metadata = json.loads(header.get("metadata", "{}"))
            noise = tuple(tensors[name] for name in names[1:]) or None
            return cls(tensors["ws"], header["fingerprint"], noise, dict(metadata) or None)
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{os.fspath(path)} is a damaged latent ({error}): give {what}") from error


def is_latent_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file declares itself a latent; if it declares nothing, its name decides."""
    metadata = read_metadata(path)
    if metadata is None:
        return os.fspath(path).endswith(LATENT_SUFFIX)
    return metadata.get("format") == FORMAT


def _tensor(value: Latent | Direction) -> torch.Tensor:
    return value.ws if isinstance(value, Latent) else value.values


def check_same_generator(left: Latent | Direction, right: Latent | Direction) -> None:
    """Raise LatentMismatch if two latents or directions belong to different generators."""
    a, b = _tensor(left), _tensor(right)
    if left.fingerprint != right.fingerprint or a.shape != b.shape:
        raise LatentMismatch(
            f"latents of two generators cannot be combined: {left.fingerprint[:12]} {list(a.shape)} and "
            f"{right.fingerprint[:12]} {list(b.shape)}; project both photos with the same network"
        )


def check_fingerprint(latent: Latent, fingerprint: str, name: str) -> None:
    """Raise LatentMismatch if another generator made the latent, which the message calls `name`."""
    if latent.fingerprint != fingerprint:
        raise LatentMismatch(
            f"{name} was made by another network (fingerprint {latent.fingerprint[:12]}, this network has "
            f"{fingerprint[:12]}); use the network that made it, or project the photo again"
        )


def _checked(values: torch.Tensor, name: str) -> torch.Tensor:
    if not isinstance(values, torch.Tensor) or values.ndim != 2 or not values.is_floating_point():
        shape = list(getattr(values, "shape", ()))
        raise UsageError(
            f"{name} {shape} of {getattr(values, 'dtype', type(values).__name__)}: expected floats, two axes"
        )
    with (
        torch.inference_mode(False),
        torch.no_grad(),
    ):  # the values are used outside the block in which they were computed
        copy = values.detach().to(torch.float32, copy=True).contiguous()
    if not bool(torch.isfinite(copy).all()):
        raise UsageError(f"{name} {list(copy.shape)} holds NaN or infinity: expected finite numbers")
    return copy


def extended(rows: torch.Tensor, num_ws: int) -> torch.Tensor:
    """Rows [..., L, w_dim] for a generator grown from this one: [..., num_ws, w_dim], with the last row repeated.

    The last row controls the finest detail of the image, and what the grown network adds is finer still. Raises
    UsageError if that network has fewer rows.
    """
    added = num_ws - rows.shape[-2]
    if added < 0:
        raise UsageError(f"{rows.shape[-2]} rows of W+ for a network of {num_ws}: a grown network has more")
    return torch.cat([rows, rows[..., -1:, :].expand(*rows.shape[:-2], added, -1)], dim=-2)
