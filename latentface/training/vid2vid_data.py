"""Pairs of rigged pictures of a person with the states of their heads, for the free-view talking head.

Every picture was made by a head model, so that its pose, expression and keypoints in space are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from latentface.arrays import BoolArray, Float64Array
from latentface.errors import InputError
from latentface.faces.crop import MIRROR
from latentface.head.fit import HeadFit
from latentface.head.model import HeadModel
from latentface.head.points import face_points
from latentface.head.pose import rotation_matrix
from latentface.io.images import read_image
from latentface.networks.vid2vid import Head
from latentface.training.data import load_shards

KEYS = ("images", "name", "landmarks", "coefficients", "pose", "light")
#: The landmarks that the keypoints stand for; two further keypoints are the pupils.
KEYPOINTS = (
    (2,), (8,), (14,), (17, 18), (20, 21), (22, 23), (25, 26), (30,),
    (37, 38), (40, 41), (43, 44), (46, 47), (48,), (51,), (54,), (57,), (61, 62, 63), (65, 66, 67),
)  # fmt: skip
COUNT = len(KEYPOINTS) + 2
CENTRE = np.array([0.0, 1.0, 4.0])  # centimetres: the model's point that is the origin of canonical keypoints
UNIT = 0.08  # canonical units a centimetre: a head of scale 1 fills an FFHQ crop as most do
SIDE = 160  # pixels: pictures are kept at this size
LIGHT = 0.12  # sum of a picture's change of light above which it is left out: a motion cannot explain it
SKIN, LOWEST, BEHIND = 120, -7.0, -3.0  # points of the skin whose motion is known, and where they lie (centimetres)
FACING = 0.2  # cosine of the angle to the viewer above which a point of the skin counts as visible


@dataclass(frozen=True, eq=False)
class Frames:
    """Pictures and what is known of the heads in them.

    Attributes:
        pictures: uint8 [F, 3, S, S].
        head: the states of the heads.
        points: further points of the head in space, [F, M, 3], in the units of keypoints.
        visible: which of them are seen, bool [F, M].
        person: the photo that each was made of, int64 [F].
    """

    pictures: Tensor
    head: Head
    points: Tensor
    visible: Tensor
    person: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, item: Tensor) -> Frames:
        return Frames(self.pictures[item], self.head[item], self.points[item], self.visible[item], self.person[item])


@dataclass(frozen=True, eq=False)
class HeadPairs:
    """Source and driving frames of the same person: pictures [N, 3, R, R] in [-1, 1], heads, and points in space."""

    source: Tensor
    driving: Tensor
    source_head: Head
    driving_head: Head
    source_points: Tensor
    driving_points: Tensor
    visible: Tensor


def read_frames(folder: Path, fits: Mapping[str, HeadFit], photos: Mapping[str, Path], model: HeadModel) -> Frames:
    """The pictures of a folder of shards, and the photos that they were made of.

    Args:
        folder: written by `latentface.synthface.portraits`.
        fits: the heads of the photos, by name (`synthface.portraits.fit_faces`).
        photos: files by name, 256 px; pictures made of other photos are left out.
        model: the head that was fitted.

    Raises:
        InputError: no shard, or none of its pictures was made of one of the photos.
    """
    shards = load_shards(folder, KEYS)
    names = [str(name) for name in shards["name"]]
    dim = np.abs(shards["light"].astype(np.float64)).sum(1) <= LIGHT
    chosen = [k for k, name in enumerate(names) if dim[k] and name in photos]
    if not chosen:
        raise InputError(f"{folder}: none of its pictures was made of the photos to train on")
    people = sorted({names[k] for k in chosen})
    shape = HeadShape(model)
    rows = [shape.measure(fits[n], fits[n].expression, fits[n].pose, fits[n].landmarks(model)) for n in people]
    rows += [
        shape.measure(fits[names[k]], shards["coefficients"][k], shards["pose"][k], shards["landmarks"][k])
        for k in chosen
    ]
    pictures = torch.cat(
        [_small(np.stack([read_image(photos[name]) for name in people])), _small(shards["images"][chosen])]
    )
    number = {name: k for k, name in enumerate(people)}
    person = torch.tensor([*range(len(people)), *(number[names[k]] for k in chosen)])
    canonical, angles, scale, translation, deformation, points, visible = (
        torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True)
    )
    head = Head(canonical.float(), angles.float(), scale.float(), translation.float(), deformation.float(), rigid=True)
    return Frames(pictures, head, points.float(), visible, person)


def _small(images: NDArray[Any]) -> Tensor:
    """uint8 [n, S, S, 3] -> uint8 [n, 3, SIDE, SIDE], low-passed."""
    parts = []
    for k in range(0, len(images), 256):
        batch = torch.from_numpy(np.ascontiguousarray(images[k : k + 256])).permute(0, 3, 1, 2).float()
        small = F.interpolate(batch, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        parts.append(small.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(parts)


class HeadShape:
    """The head model at the points that are used: landmarks, pupils and some of the skin."""

    def __init__(self, model: HeadModel, seed: int = 0) -> None:
        self.model = model
        balls = [np.flatnonzero(model.regions[f"eyeball_{side}"] > 0.5) for side in ("right", "left")]
        pupils = [int(ball[model.neutral[ball, 2].argmax()]) for ball in balls]
        skin = np.unique(model.part("skin"))
        place = model.neutral[skin]
        skin = skin[(place[:, 1] > LOWEST) & (place[:, 2] > BEHIND)]
        chosen = np.random.default_rng(seed).choice(skin, min(SKIN, len(skin)), replace=False)
        self.vertices = np.array([*pupils, *chosen])
        self.outward = model.neutral[chosen] - CENTRE
        self.outward /= np.linalg.norm(self.outward, axis=1, keepdims=True)

    def measure(
        self, fit: HeadFit, expression: Float64Array, pose: Float64Array | tuple[float, ...], landmarks: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, BoolArray]:
        """The parts of a `Head`, points [M, 3] and their visibility [M], of a person's head in a 256-pixel picture.

        The expression and pose are given; the head's place follows from its landmarks [68, 2] in pixels.
        """
        rest, shaped = (self._points(fit, weights) for weights in (np.zeros_like(expression), expression))
        turn = rotation_matrix(*map(float, pose))
        at = shaped[17:68] @ turn[:2].T * (1.0, -1.0)  # the jaw line may slide
        seen = landmarks[17:68].astype(np.float64)
        centred = at - at.mean(0)
        size = float((centred * (seen - seen.mean(0))).sum() / np.square(centred).sum())  # pixels a centimetre
        shift = seen.mean(0) - size * at.mean(0)
        pixel = 2 / 255.0
        translation = np.array([*((shift + size * (turn[:2] @ CENTRE) * (1, -1)) * pixel - 1), 0.0])
        scale = size * pixel / UNIT
        flipped = UNIT * np.array([1.0, -1.0, 1.0])
        canonical = (_keypoints(rest) - CENTRE) * flipped
        deformation = (_keypoints(shaped) - _keypoints(rest)) * flipped
        points = scale * ((shaped - CENTRE) @ turn.T) * flipped + translation
        visible = np.concatenate([np.ones(70, bool), self.outward @ turn[2] > FACING])
        visible[:17] = (shaped[:17] - CENTRE) @ turn[2] > -CENTRE[2] / 2
        angles = np.array(pose, np.float64)
        return canonical, angles, np.array([scale]), translation, deformation, points, visible

    def _points(self, fit: HeadFit, expression: Float64Array) -> Float64Array:
        """Landmarks, pupils and points of the skin in the head's frame, [70 + SKIN, 3] centimetres."""
        model, points = self.model, face_points(self.model, fit.definition)
        weights = np.concatenate([fit.identity, expression.astype(np.float64)])
        marks = points.base + (weights @ points.modes).reshape(68, 3) + fit.missing
        rows = np.concatenate([fit.jaw, self.vertices])
        vertices = model.neutral[rows] + np.tensordot(fit.identity, model.identity[:, rows], 1)
        vertices = vertices + np.tensordot(expression.astype(np.float64), model.expressions[:, rows], 1)
        marks[:17] = vertices[:17] + fit.missing[:17]
        whole: Float64Array = np.concatenate([marks, vertices[17:]])
        return whole


def _keypoints(points: Float64Array) -> Float64Array:
    """The keypoints [K, 3] of points whose first are 68 landmarks and two pupils."""
    marks = [points[list(part)].mean(0) for part in KEYPOINTS]
    return np.stack([*marks, points[68], points[69]])


def mirrored_keypoints() -> list[int]:
    """The keypoint that each becomes in a mirrored picture."""
    groups = [frozenset(part) for part in KEYPOINTS]
    own = [groups.index(frozenset(MIRROR[i] for i in part)) for part in KEYPOINTS]
    return [*own, COUNT - 1, COUNT - 2]


class PairSampler:
    """Draws pairs of frames of the same person, mirrored, zoomed, turned, shifted and recoloured alike."""

    def __init__(self, frames: Frames, resolution: int) -> None:
        self.frames, self.resolution = frames, resolution
        of: dict[int, list[int]] = {}
        for k, person in enumerate(frames.person.tolist()):
            of.setdefault(person, []).append(k)
        self.groups = [torch.tensor(group) for group in of.values() if len(group) > 1]

    def sample(self, count: int, random: torch.Generator) -> HeadPairs:
        """`count` pairs."""
        picked = torch.randint(len(self.groups), (count,), generator=random).tolist()
        pairs = [self.groups[k][torch.randperm(len(self.groups[k]), generator=random)[:2]] for k in picked]
        first, second = torch.stack(pairs).unbind(1)
        placing = _Placing.sample(count, random)
        tint = _Tint.sample(count, random)
        made = [placing.apply(self.frames[part], self.resolution) for part in (first, second)]
        source, driving = (tint.apply(frames.pictures) for frames in made)
        return HeadPairs(
            source, driving, made[0].head, made[1].head, made[0].points, made[1].points,
            made[0].visible & made[1].visible,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Placing:
    """A map p = zoom Rot(angle) q + shift from a new picture's positions q to the old, then mirrored or not."""

    zoom: Tensor
    angle: Tensor  # radians
    shift: Tensor
    mirror: Tensor

    @classmethod
    def sample(cls, count: int, random: torch.Generator) -> _Placing:
        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(count, *shape, generator=random)

        return cls(
            uniform(0.0, 0.26).exp(), 0.1 * torch.randn(count, generator=random), uniform(-0.1, 0.1, 2),
            uniform(0, 1) < 0.5,
        )  # fmt: skip

    def apply(self, frames: Frames, side: int) -> Frames:
        """The frames in new pictures of a side, as float32 in [0, 1]."""
        cosine, sine = self.angle.cos(), self.angle.sin()
        flip = torch.where(self.mirror, -1.0, 1.0)
        turn = torch.stack([cosine, -sine, sine, cosine], 1).view(-1, 2, 2) * self.zoom[:, None, None]
        matrix = torch.cat([torch.stack([turn[:, :, 0] * flip[:, None], turn[:, :, 1]], 2), self.shift[..., None]], 2)
        field = F.affine_grid(matrix, [len(frames), 3, side, side], align_corners=True)
        pictures = F.grid_sample(frames.pictures.float() / 255, field, padding_mode="reflection", align_corners=True)
        back = torch.linalg.inv(turn)

        def moved(points: Tensor, shift: Tensor) -> Tensor:
            """Points [N, M, 3] in the new picture, not yet mirrored."""
            plane = (points[..., :2] - shift[:, None]) @ back.transpose(1, 2)
            return torch.cat([plane, points[..., 2:] / self.zoom[:, None, None]], 2)

        head = frames.head
        turned = head.angles - torch.rad2deg(self.angle)[:, None] * torch.tensor([0.0, 0.0, 1.0])
        translation = moved(head.translation[:, None], self.shift)[:, 0]
        head = replace(head, angles=turned, scale=head.scale / self.zoom[:, None], translation=translation)
        points = moved(frames.points, self.shift)
        return replace(frames, pictures=pictures, head=self._mirrored(head), points=self._flipped(points))

    def _flipped(self, points: Tensor) -> Tensor:
        sign = torch.tensor([-1.0, 1.0, 1.0])
        return torch.where(self.mirror.view(-1, *[1] * (points.ndim - 1)), points * sign, points)

    def _mirrored(self, head: Head) -> Head:
        order = mirrored_keypoints()
        here = self.mirror[:, None, None]
        canonical, deformation = (
            self._flipped(torch.where(here, part[:, order], part)) for part in (head.canonical, head.deformation)
        )
        angles = torch.where(self.mirror[:, None], head.angles * torch.tensor([-1.0, 1.0, -1.0]), head.angles)
        return replace(
            head,
            canonical=canonical,
            deformation=deformation,
            angles=angles,
            translation=self._flipped(head.translation),
        )


@dataclass(frozen=True, eq=False)
class _Tint:
    """Saturation, contrast and brightness [N, 1, 1, 1], and white balance [N, 3, 1, 1]."""

    saturation: Tensor
    contrast: Tensor
    brightness: Tensor

    @classmethod
    def sample(cls, count: int, random: torch.Generator) -> _Tint:
        def uniform(low: float, high: float, channels: int = 1) -> Tensor:
            return low + (high - low) * torch.rand(count, channels, 1, 1, generator=random)

        return cls(uniform(0.6, 1.3), uniform(0.75, 1.25), uniform(-0.12, 0.12) + uniform(-0.05, 0.05, 3))

    def apply(self, pictures: Tensor) -> Tensor:
        """Pictures in [0, 1] -> recoloured, in [-1, 1]."""
        grey = pictures.mean(1, keepdim=True)
        coloured = grey + (pictures - grey) * self.saturation
        return ((coloured - 0.5) * self.contrast + 0.5 + self.brightness).clamp(0, 1) * 2 - 1
