"""The two kinds of pictures between which a translation is learnt: aligned faces from photos, renders or portraits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentface import api
from latentface.errors import InputError, NoFaceFound
from latentface.faces.crop import pick_face
from latentface.io.images import list_photos, read_image, read_photo
from latentface.training.data import load_shards
from latentface.training.portraits import Row, held_out_names, read_rows, row_weight, usable

FEWEST = 4  # pictures of a kind


@dataclass(frozen=True, eq=False)
class Kind:
    """Pictures of one kind: uint8 [n, 3, S, S], and how often each is seen, [n] of sum one."""

    images: Tensor
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, count: int, random: np.random.Generator) -> Tensor:
        """Pictures [count, 3, S, S] in [-1, 1], each mirrored or not."""
        chosen = torch.from_numpy(random.choice(len(self), count, p=self.weights))
        pictures = self.images[chosen].float() / 127.5 - 1
        mirrored = torch.from_numpy(random.random(count) < 0.5).view(-1, 1, 1, 1)
        return torch.where(mirrored, pictures.flip(3), pictures).contiguous(memory_format=torch.channels_last)


def of_equal_weight(images: Tensor) -> Kind:
    """Pictures uint8 [n, 3, S, S] that are seen equally often."""
    return Kind(images, np.full(len(images), 1 / len(images)))


def shrunk(images: Tensor, size: int) -> Tensor:
    """Pictures uint8 [n, 3, S, S] at a side of `size`."""
    if images.shape[-1] == size:
        return images
    parts = [F.interpolate(part.float(), (size, size), mode="area") for part in torch.split(images, 256)]
    return torch.cat(parts).round().to(torch.uint8)


def load_renders(folder: Path, size: int, count: int | None = None) -> Kind:
    """The first `count` renders of a folder of shards, or all; raises InputError as `load_shards`."""
    images = load_shards(folder)["images"][:count].astype(np.uint8, copy=False)
    return of_equal_weight(shrunk(torch.from_numpy(images).permute(0, 3, 1, 2), size))


def load_photographs(folder: Path, size: int) -> tuple[Kind, Kind]:
    """The photographs of a folder of faces to train on, and those that are held out (see `portraits`).

    Raises:
        InputError: no faces there.
    """
    rows = read_rows(folder)
    held = held_out_names(rows)

    def part(chosen: Sequence[Row]) -> Kind:
        images = np.stack([read_image(folder / "crops" / row["name"]) for row in chosen])
        weights = np.array([row_weight(row) for row in chosen])
        return Kind(shrunk(torch.from_numpy(images).permute(0, 3, 1, 2), size), weights / weights.sum())

    if not held:
        raise InputError(f"{folder}: too few faces in colour that fill their crop, none to measure on")
    known = usable(rows)
    return part([row for row in known if row["name"] not in held]), part([row for row in known if row["name"] in held])


def find_faces(
    folder: Path, size: int, on_picture: Callable[[Path, str | None], object] = lambda path, reason: None
) -> Kind:
    """The largest face of each picture in a folder, cut out as `latentface.align` does.

    Args:
        folder: of pictures.
        size: side of the crops.
        on_picture: called with each path, and with the reason if it is left out.

    Raises:
        InputError: fewer than `FEWEST` pictures show a face.
    """
    found: list[Tensor] = []
    for path in list_photos(folder):
        try:
            crop = pick_face(api.align_upright(read_photo(path), size)[1], None)
        except (NoFaceFound, InputError) as error:
            on_picture(path, str(error))
            continue
        found.append(torch.from_numpy(crop.image.copy()).permute(2, 0, 1))
        on_picture(path, None)
    return of_equal_weight(_enough(found, folder))


def _enough(found: Sequence[Tensor], folder: Path) -> Tensor:
    if len(found) < FEWEST:
        raise InputError(f"{folder}: {len(found)} pictures show a face, expected {FEWEST} or more; add pictures")
    return torch.stack(list(found))
