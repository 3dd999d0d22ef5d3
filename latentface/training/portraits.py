"""Aligned photographs of faces from disk to batches, and pictures of the same people driven by the head.

A folder of photographs holds `faces.jsonl` (one row a face: name, source, jaw, inside, colour, landmarks [68][2] in
pixels of the crop) and `crops/NAME`, FFHQ crops of one size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from latentface.arrays import Float32Array
from latentface.errors import InputError
from latentface.faces.crop import near_features
from latentface.io.images import read_image
from latentface.training.data import CELLS

Row = Mapping[str, Any]

#: Sampling weight of a source, per picture. Official portraits mostly smile; Caltech shows few people many times.
SOURCE_WEIGHTS = {
    "t2i": 1.0, "faker": 0.8, "london": 0.8, "vta": 0.7, "interfaces": 0.6, "pif": 0.9, "digitalcorps": 0.9,
    "clerk_335x410": 0.5, "voteview": 0.4, "gpo_225x275": 0.25, "caltech": 0.2,
}  # fmt: skip
GREY = 12  # below this colourfulness a picture is black-and-white or tinted
INSIDE = 0.85  # if less of the crop lies in the picture, the network would learn reflected borders
SHARP = 110  # jaw width in source pixels from which a face has full weight; narrower ones are blurred and count less
HELD_OUT_STRIDE = 12  # one usable face in so many is held out
HELD_OUT_SKIPPED = ("caltech", "gpo_225x275")


@dataclass(frozen=True, eq=False)
class Portraits:
    """Photographs of faces and what is known of them, on the device that trains.

    Attributes:
        names: the files'.
        images: uint8 [n, 3, S, S].
        features: maps of eyes and mouth, uint8 [n, 1, 32, 32], 255 right at them.
        weights: how often each is to be seen, [n], of sum one.
    """

    names: tuple[str, ...]
    images: Tensor
    features: Tensor
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    def sample(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """`count` of them by their weights, as indices [count]."""
        return random.choice(len(self), count, p=self.weights)

    def batch(self, chosen: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """Pictures [N, 3, S, S] in [-1, 1] and maps of eyes and mouth [N, 1, S, S] in [0, 1]; some mirrored."""
        at = torch.from_numpy(chosen).to(self.images.device)
        return as_batch(self.images[at], self.features[at], torch.from_numpy(mirrored))

    def to(self, device: torch.device) -> Portraits:
        """The same on another device."""
        return replace(self, images=self.images.to(device), features=self.features.to(device))


def as_batch(images: Tensor, features: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 pictures [N, 3, S, S] and maps [N, 1, 32, 32] as `Portraits.batch` gives them; mirrored: bool [N]."""
    picture, near = images.float() / 127.5 - 1, features.float() / 255
    flip = mirrored.to(picture.device).view(-1, 1, 1, 1)
    picture, near = (torch.where(flip, each.flip(3), each) for each in (picture, near))
    near = F.interpolate(near, size=picture.shape[-2:], mode="bilinear", align_corners=False)
    return picture.contiguous(memory_format=torch.channels_last), near


def pictures_of(images: NDArray[np.uint8], landmarks: Float32Array) -> tuple[Tensor, Tensor]:
    """Pictures uint8 [n, S, S, 3] and landmarks [n, 68, 2] as tensors for `as_batch`."""
    near = np.stack([feature_map(points, images.shape[1]) for points in landmarks])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(near)[:, None]


def feature_map(landmarks: Float32Array, side: int) -> NDArray[np.uint8]:
    """The map of eyes and mouth of landmarks [68, 2] in pixels of a crop of `side`: uint8 [32, 32]."""
    at = landmarks * (CELLS / side) + (CELLS / side - 1) / 2  # pixel centres -> cell centres
    return np.asarray(np.rint(255 * near_features(at, CELLS)), np.uint8)


def read_rows(folder: Path) -> list[Row]:
    """The rows of `faces.jsonl`; raises InputError when there is no such file."""
    path = folder / "faces.jsonl"
    if not path.is_file():
        raise InputError(f"{folder} has no faces.jsonl: expected a folder of aligned faces with crops/ beside it")
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def held_out_names(rows: Sequence[Row]) -> frozenset[str]:
    """Names of the faces that are only measured on: every twelfth of those in colour that fill their crop."""
    told = [row["name"] for row in rows if row.get("held_out")]
    if told:  # a packed folder says so, since its order is another
        return frozenset(told)
    eligible = [row for row in usable(rows) if row["source"] not in HELD_OUT_SKIPPED]
    return frozenset(row["name"] for row in eligible[::HELD_OUT_STRIDE])


def load_portraits(folder: Path) -> tuple[Portraits, Portraits]:
    """The photographs to train on and those that are held out; raises InputError for a folder without faces."""
    rows = read_rows(folder)
    held = held_out_names(rows)
    known = usable(rows)
    training = [row for row in known if row["name"] not in held]
    return _load(folder, training), _load(folder, [row for row in known if row["name"] in held])


def pack(folder: Path, out: Path, megabytes: float, quality: int = 85) -> int:
    """Write a smaller folder of the same kind, of WebP pictures: the held-out faces, then those seen most often.

    Returns the number of faces that fitted into the requested size.
    """
    rows = read_rows(folder)
    held = held_out_names(rows)
    (out / "crops").mkdir(parents=True, exist_ok=True)
    kept, size = [], 0
    for row in sorted(usable(rows), key=lambda row: (row["name"] not in held, -row_weight(row))):
        picture = Image.fromarray(read_image(folder / "crops" / row["name"]))
        path = out / "crops" / f"{Path(row['name']).stem}.webp"
        picture.save(path, quality=quality)
        size += path.stat().st_size
        if size > 1e6 * megabytes:
            path.unlink()
            break
        kept.append({**row, "name": path.name, "held_out": row["name"] in held})
    (out / "faces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    return len(kept)


def row_weight(row: Row) -> float:
    """How often a face is to be seen: by its source, less where its picture was small."""
    return SOURCE_WEIGHTS.get(str(row["source"]), 0.5) * min(1.0, float(row["jaw"]) / SHARP) ** 2


def usable(rows: Sequence[Row]) -> list[Row]:
    """The rows of faces in colour that fill their crop."""
    return [row for row in rows if row["colour"] > GREY and row["inside"] >= INSIDE]


def _load(folder: Path, rows: Sequence[Row]) -> Portraits:
    if not rows:
        raise InputError(f"{folder}: no face in colour that fills its crop")
    images = np.stack([read_image(folder / "crops" / row["name"]) for row in rows])
    pictures, features = pictures_of(images, np.array([row["landmarks"] for row in rows], np.float32))
    weights = np.array([row_weight(row) for row in rows])
    return Portraits(tuple(row["name"] for row in rows), pictures, features, weights / weights.sum())


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--megabytes", default=30.0, show_default=True)
def main(faces: Path, out: Path, megabytes: float) -> None:
    """Pack a folder of faces for a machine with little room for data."""
    click.echo(f"{pack(faces, out, megabytes)} faces", err=True)


if __name__ == "__main__":
    main()
