"""A style: what fine-tuning changed in a generator so that it draws every face in the style of one picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentface.arrays import Pixels
from latentface.errors import InputError, LatentMismatch, UsageError
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.io.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

FORMAT = "latentface-style"
FORMAT_VERSION = "1"
_PICTURE = "picture"


@dataclass(frozen=True, eq=False)
class Style:
    """A style that was learnt from one picture, for one generator.

    Attributes:
        deltas: differences of the generator's parameters.
        picture: uint8 RGB [R, R, 3], the aligned face of the style picture.
        name: of the style.
    """

    deltas: TunedDeltas
    picture: Pixels
    name: str = "style"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the generator that the style belongs to."""
        return self.deltas.fingerprint

    @property
    def resolutions(self) -> list[int]:
        """The resolutions whose layers the style changes, ascending."""
        blocks = {name.split(".")[1] for name in self.deltas.values}
        return sorted(int(block.removeprefix("b")) for block in blocks)

    def check(self, generator: Generator) -> None:
        """Raise LatentMismatch unless the style was learnt with this generator."""
        if self.fingerprint != generator.fingerprint:
            raise LatentMismatch(
                f"the style {self.name} fits the network {self.fingerprint[:12]}, this one is "
                f"{generator.fingerprint[:12]}; use the network it was learnt with, or learn it again"
            )

    def apply(self, generator: Generator) -> Generator:
        """A copy of the generator that draws in this style. Raises LatentMismatch for another generator."""
        self.check(generator)
        return self.deltas.apply(generator)

    def scaled(self, strength: float) -> Style:
        """The style at a strength: 0 is the plain generator, 1 the style, and more exaggerates it."""
        return self._with({name: value.float() * strength for name, value in self.deltas.values.items()})

    def limited(self, resolutions: Iterable[int]) -> Style:
        """The style in the layers of these resolutions alone, after layer swapping (Pinkney and Adler 2020).

        The layers up to 32 pixels shape the face, the others draw its texture and colours.

        Raises:
            UsageError: the generator has no layers of any of these resolutions.
        """
        wanted = {f"b{side}" for side in resolutions}
        kept = {name: value for name, value in self.deltas.values.items() if name.split(".")[1] in wanted}
        if not kept:
            raise UsageError(
                f"the style {self.name} changes layers of {self.resolutions} pixels only; choose among them"
            )
        return self._with(kept)

    def over(self, tuned: TunedDeltas | None) -> TunedDeltas:
        """The differences of this style and of a face's own pivotal tuning together."""
        if tuned is None:
            return self.deltas
        if tuned.fingerprint != self.fingerprint:
            raise LatentMismatch("the style and the tuning of the face belong to different networks; project it again")
        return TunedDeltas(_summed([(1.0, self.deltas.values), (1.0, tuned.values)]), self.fingerprint)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file atomically; OutputError if it cannot be written."""
        facts = {"format": FORMAT, "format_version": FORMAT_VERSION, "fingerprint": self.fingerprint, "name": self.name}
        write_tensors(path, {**self.deltas.values, _PICTURE: torch.from_numpy(self.picture.copy())}, facts)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Style:
        """Read a file written by `save`. Raises InputError if it is missing, damaged or of another kind."""
        expected = "a style that `latentface stylise --save-style` wrote"
        values, facts = read_tensors(path, InputError, expected)
        if facts.get("format") != FORMAT or "fingerprint" not in facts or _PICTURE not in values:
            raise InputError(f"{path} is of the kind {facts.get('format', 'unknown')!r}: give {expected}")
        if facts.get("format_version") != FORMAT_VERSION:
            version = facts.get("format_version")
            raise InputError(f"{path} has format version {version}; this release reads version {FORMAT_VERSION}")
        picture = values.pop(_PICTURE)
        if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(f"{path} has a picture {picture.dtype} {list(picture.shape)}: expected uint8 [R, R, 3]")
        if not all(bool(torch.isfinite(value).all()) for value in values.values()):
            raise InputError(f"{path} has values that are not finite: learn the style again")
        return cls(TunedDeltas(values, facts["fingerprint"]), picture.numpy(), facts.get("name", "style"))

    def _with(self, values: dict[str, Tensor]) -> Style:
        return replace(self, deltas=TunedDeltas(_halved(values), self.fingerprint))


def mix(styles: Sequence[tuple[Style, float]]) -> Style:
    """The weighted sum of styles of one generator: weights that sum to 1 interpolate between them.

    Raises:
        UsageError: no style is given.
        LatentMismatch: the styles belong to different generators.
    """
    if not styles:
        raise UsageError("no style to mix; give at least one")
    if len({style.fingerprint for style, _ in styles}) > 1:
        raise LatentMismatch("the styles belong to different networks; learn them with the same one")
    largest = max(styles, key=lambda each: each[1])[0]
    values = _summed([(weight, style.deltas.values) for style, weight in styles])
    name = "+".join(style.name for style, _ in styles)
    return replace(largest, deltas=TunedDeltas(values, largest.fingerprint), name=name)


def _summed(parts: Sequence[tuple[float, object]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for weight, values in parts:
        assert isinstance(values, dict)
        for name, value in values.items():
            term = weight * value.float()
            total[name] = total[name] + term if name in total else term
    return _halved(total)


def _halved(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to(torch.float16) for name, value in values.items()}
