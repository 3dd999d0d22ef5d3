"""The training data of the mouth network: canvases of open mouths with openings, teeth and styles, in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.errors import InputError
from latentface.io.atomic import atomic_path
from latentface.networks.mouth import PLANES, MouthConfig, Plane, surroundings

#: Pixels that a stored canvas is larger than the network's, above and below, so that it can be moved and stretched.
MARGIN = 8

ARRAYS = ("planes", "styles", "sources", "names", "weights")


@dataclass(frozen=True, eq=False)
class MouthData:
    """planes: uint8 [n, 7, H + 16, W], a MouthNet's planes with the whole photo in the first three. styles: [n, 3].

    sources: which collection a photo is of. names: of its file. weights: how often it is sampled.
    """

    planes: Pixels
    styles: Float32Array
    sources: list[str]
    names: list[str]
    weights: Float32Array

    def __len__(self) -> int:
        return len(self.planes)

    def part(self, chosen: BoolArray) -> MouthData:
        """Those that are chosen [n]."""
        index = np.flatnonzero(chosen)
        sources, names = [self.sources[i] for i in index], [self.names[i] for i in index]
        return MouthData(self.planes[index], self.styles[index], sources, names, self.weights[index])

    def save(self, path: Path) -> None:
        """Write all of it to an .npz file."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                planes=self.planes,
                styles=self.styles,
                sources=np.asarray(self.sources),
                names=np.asarray(self.names),
                weights=self.weights,
            )

    @staticmethod
    def load(path: Path) -> MouthData:
        """Read what `save` wrote; InputError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in ARRAYS}
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} is no file of mouths ({error}): make one with --faces") from error
        names, sources = found["names"].tolist(), found["sources"].tolist()
        return MouthData(found["planes"], found["styles"], sources, names, found["weights"])


@dataclass(frozen=True)
class Changes:
    """How much a training canvas is varied.

    Deviations of turns (radians), shifts (pixels), scale, and of the stretch down the canvas; of the logarithm of light
    and of single colours; the share that loses its colours; by how many pixels at most the opening is widened.
    """

    turn: float = 0.05
    shift: float = 1.5
    scale: float = 0.05
    stretch: float = 0.08
    light: float = 0.25
    tint: float = 0.08
    grey: float = 0.08
    widen: float = 2.0


def still(data: MouthData, index: Tensor, config: MouthConfig, widen: float = 0.0) -> tuple[Tensor, Tensor]:
    """Unchanged planes [N, 7, H, W] with the whole photo in the first three, and styles [N, 3]."""
    chosen = index.numpy()
    planes = _floats(data.planes[chosen])[:, :, MARGIN : MARGIN + config.height]
    return _behind(_widen(planes, torch.full((len(chosen),), widen))), torch.from_numpy(data.styles[chosen])


def varied(
    data: MouthData, index: Tensor, config: MouthConfig, changes: Changes, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The same as `still`, turned, shifted, scaled, mirrored, lit and coloured anew."""
    chosen = index.numpy()
    planes, n = _floats(data.planes[chosen]), len(chosen)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    turn, size = normal(n) * changes.turn, (normal(n) * changes.scale).exp()
    stretch = size * (normal(n) * changes.stretch).exp()
    mirror = (torch.rand(n, generator=generator) < 0.5).float() * 2 - 1
    full, height, width = planes.shape[2], config.height, config.width
    x = torch.arange(width) + 0.5 - width / 2
    y = torch.arange(height) + 0.5 - height / 2
    x, y = x.expand(n, height, width), y[:, None].expand(n, height, width)
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    shift = normal(2, n, 1, 1) * changes.shift
    from_x = (x * cos - y * sin) * (size * mirror)[:, None, None] + shift[0]
    from_y = (x * sin + y * cos) * stretch[:, None, None] + shift[1]
    grid = torch.stack([from_x / (width / 2), from_y / (full / 2)], -1)
    planes = F.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)
    photo = (planes[:, :3] + 1) / 2
    gain = (normal(n, 1, 1, 1) * changes.light + normal(n, 3, 1, 1) * changes.tint).exp()
    photo = (photo * gain).clamp(0, 1)
    grey = torch.rand(n, 1, 1, 1, generator=generator) < changes.grey
    luma = (photo * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    photo = torch.where(grey, luma, photo)
    planes = torch.cat([photo * 2 - 1, planes[:, 3:]], 1)
    widen = torch.rand(n, generator=generator) * changes.widen
    return _behind(_widen(planes, widen)), torch.from_numpy(data.styles[chosen])


def hide(planes: Tensor) -> Tensor:
    """The planes as the network gets them: the photo zero wherever there is any opening (see `surroundings`)."""
    opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
    return torch.cat([surroundings(planes[:, :3], opening), planes[:, 3:]], 1)


def _floats(planes: Pixels) -> Tensor:
    """uint8 [n, 7, h, w] -> float: colours in [-1, 1], the rest in [0, 1]."""
    values = torch.from_numpy(planes).float() / 255
    assert values.shape[1] == PLANES
    return torch.cat([values[:, :3] * 2 - 1, values[:, 3:]], 1)


def _widen(planes: Tensor, pixels: Tensor) -> Tensor:
    """The opening dilated by so many pixels [N], each 0 to 2, so that no rim of a tooth remains visible outside it."""
    opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
    grown = F.max_pool2d(opening, 3, 1, 1)
    twice = F.max_pool2d(grown, 3, 1, 1)
    part = pixels[:, None, None, None]
    once = torch.lerp(opening, grown, part.clamp(max=1))
    opening = torch.lerp(once, twice, (part - 1).clamp(min=0))
    return torch.cat([planes[:, :3], opening, planes[:, 4:]], 1)


def _behind(planes: Tensor) -> Tensor:
    """Teeth only where the opening shows them."""
    opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
    return torch.cat([planes[:, : Plane.UPPER_TEETH], planes[:, Plane.UPPER_TEETH :] * opening], 1)
