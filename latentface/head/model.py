"""A morphable head: a neutral mesh, modes of identity, shapes of expression under ARKit's names, and what lies where.

Coordinates are centimetres: +x to the subject's left, +y up, +z out of the face. "Left" and "right" in names are the
subject's. A head is neutral + sum a_i identity_i + sum e_j expression_j, with a_i ~ N(0, 1) and e_j in [0, 1].
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from latentface.arrays import Float32Array, Int64Array
from latentface.errors import UsageError, WeightsError
from latentface.io.tensors import read_tensors, write_tensors

WHAT = "the head made by `python -m latentface.training.head_model` (.safetensors)"
KIND = "head-model"
VERSION = "1"


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A morphable head, as arrays in float32 (its indices in int64).

    Attributes:
        neutral: the mean head with a neutral face, [V, 3].
        identity: modes of shape, one standard deviation each, the widest first, [K, V, 3].
        expressions: displacements of expressions at full strength, [E, V, 3].
        expression_names: their ARKit names; `browInnerUp` and `cheekPuff` come as a Left and a Right shape.
        triangles: vertex indices, counter-clockwise seen from outside, [T, 3].
        parts: triangle indices by part: skin, back, gums_upper, gums_lower, tongue, teeth_upper, teeth_lower, and
            each eye's two spheres, `sclera_left` with the clear cornea and `iris_left` that it covers.
        landmarks: the vertices of the 68 facial landmarks in dlib's order, [68].
        regions: weights in [0, 1] by region, each [V]: upper_lip, lower_lip, inner_mouth, nose, jaw, neck, ears,
            upper_lid_left, lower_lid_left, brow_left and eyeball_left, and the same on the right.
        mirror: the vertex at the mirrored place of each, [V].
        loops: closed rings of vertices where the skin ends: mouth, eye_left, eye_right.
    """

    neutral: Float32Array
    identity: Float32Array
    expressions: Float32Array
    expression_names: tuple[str, ...]
    triangles: Int64Array
    parts: Mapping[str, Int64Array]
    landmarks: Int64Array
    regions: Mapping[str, Float32Array]
    mirror: Int64Array
    loops: Mapping[str, Int64Array]

    def vertices(self, identity: npt.ArrayLike | None = None, expression: npt.ArrayLike | None = None) -> Float32Array:
        """The head's vertices in centimetres, [V, 3].

        Args:
            identity: the first k <= K coefficients in standard deviations, [k]; None for the mean.
            expression: the coefficients of all shapes, [E]; None for a neutral face.

        Raises:
            UsageError: there are more coefficients of identity than modes, or not one of expression for each shape.
        """
        made: Float32Array = self.neutral.copy()
        if identity is not None:
            made += self._sum(self.identity, _coefficients(identity, len(self.identity), "identity", exact=False))
        if expression is not None:
            made += self._sum(self.expressions, _coefficients(expression, len(self.expressions), "expression"))
        return made

    def at(self, vertices: Int64Array) -> HeadModel:
        """The head's shapes at chosen vertices alone, without triangles, parts and loops: what a fit needs.

        `landmarks` and `mirror` are left empty; `vertices` may repeat.
        """
        nothing = np.zeros(0, np.int64)
        return HeadModel(
            self.neutral[vertices], self.identity[:, vertices], self.expressions[:, vertices], self.expression_names,
            np.zeros((0, 3), np.int64), {}, nothing, {n: w[vertices] for n, w in self.regions.items()}, nothing, {},
        )  # fmt: skip

    def expression_vector(self, coefficients: Mapping[str, float]) -> Float32Array:
        """Coefficients by name as a vector over all shapes, [E].

        A name without its side (`browInnerUp`, `mouthSmile`) means both sides.

        Raises:
            UsageError: no shape goes by a name.
        """
        vector = np.zeros(len(self.expression_names), np.float32)
        for name, value in coefficients.items():
            vector[self.expression_indices(name)] = value
        return vector

    def expression_indices(self, name: str) -> list[int]:
        """The shapes that an ARKit name means: one, or the left and the right of it.

        Raises:
            UsageError: no shape goes by this name.
        """
        found = [k for k, each in enumerate(self.expression_names) if each in (name, f"{name}Left", f"{name}Right")]
        if not found:
            raise UsageError(f"expression {name!r} is unknown: use one of {', '.join(self.expression_names)}")
        return found

    def part(self, *names: str) -> Int64Array:
        """The triangles of some parts, as vertex indices, [T, 3]."""
        chosen: Int64Array = self.triangles[np.concatenate([self.parts[name] for name in names])]
        return chosen

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the head as safetensors: 8 bits a number inside the mouth and the eyes, 16 elsewhere.

        Raises:
            OutputError: the file cannot be written.
        """
        write_tensors(path, *_pack(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeadModel:
        """Read a head that `save` wrote.

        Raises:
            WeightsError: the file cannot be read, or holds something else.
        """
        tensors, metadata = read_tensors(path, WeightsError, WHAT)
        if metadata.get("kind") != KIND or metadata.get("version") != VERSION:
            came = f"kind {metadata.get('kind')!r}, version {metadata.get('version')!r}"
            raise WeightsError(f"{os.fspath(path)} holds {came}, not a {KIND} of version {VERSION}: give {WHAT}")
        try:
            return _unpack(tensors, metadata)
        except (KeyError, ValueError, IndexError, RuntimeError) as reason:
            raise WeightsError(f"{os.fspath(path)} is not a whole {KIND} ({reason!r}): give {WHAT}") from reason

    @staticmethod
    def _sum(shapes: Float32Array, coefficients: Float32Array) -> Float32Array:
        used = np.flatnonzero(coefficients)
        if not len(used):
            return np.zeros(shapes.shape[1:], np.float32)
        flat = shapes[: used[-1] + 1].reshape(used[-1] + 1, -1)
        if len(used) * 2 < len(flat):
            return (coefficients[used] @ flat[used]).reshape(shapes.shape[1:])
        return (coefficients[: len(flat)] @ flat).reshape(shapes.shape[1:])


def _coefficients(values: npt.ArrayLike, count: int, name: str, exact: bool = True) -> Float32Array:
    made = np.asarray(values, np.float32)
    if made.ndim != 1 or len(made) > count or (exact and len(made) != count):
        allowed = f"[{count}]" if exact else f"at most [{count}]"
        raise UsageError(f"coefficients of {name} have shape {list(made.shape)}: expected {allowed}")
    return made


def _pack(model: HeadModel) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of the file."""
    inner = _inner(model)
    kept = torch.from_numpy(model.identity)
    scale = np.maximum(np.abs(model.identity[:, inner]).max(axis=(1, 2)), 1e-6) / 127
    moved = np.abs(model.expressions).max(axis=2) > 1e-3  # cm
    shape, vertex = np.nonzero(moved)
    tensors = {
        "neutral": torch.from_numpy(model.neutral),
        "identity.outer": kept[:, ~torch.from_numpy(inner)].half(),
        "identity.inner": torch.from_numpy((model.identity[:, inner] / scale[:, None, None]).round().astype(np.int8)),
        "identity.scale": torch.from_numpy(scale.astype(np.float32)),
        "inner": torch.from_numpy(inner),
        "expressions.counts": torch.from_numpy(moved.sum(axis=1).astype(np.int32)),
        "expressions.vertices": torch.from_numpy(vertex.astype(np.uint16)),
        "expressions.values": torch.from_numpy(model.expressions[shape, vertex]).half(),
        "triangles": torch.from_numpy(model.triangles.astype(np.uint16)),
        "landmarks": torch.from_numpy(model.landmarks),
        "mirror": torch.from_numpy(model.mirror.astype(np.uint16)),
    }
    for name, triangles in model.parts.items():
        tensors[f"parts.{name}"] = torch.from_numpy(triangles.astype(np.uint16))
    for name, weights in model.regions.items():
        tensors[f"regions.{name}"] = torch.from_numpy((weights * 255).round().astype(np.uint8))
    for name, ring in model.loops.items():
        tensors[f"loops.{name}"] = torch.from_numpy(ring.astype(np.uint16))
    return tensors, {"kind": KIND, "version": VERSION, "expression_names": json.dumps(model.expression_names)}


def _unpack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> HeadModel:
    names = tuple(json.loads(metadata["expression_names"]))
    inner = tensors["inner"].numpy().astype(bool)
    scale = tensors["identity.scale"].numpy()
    identity = np.zeros((len(scale), len(inner), 3), np.float32)
    identity[:, ~inner] = tensors["identity.outer"].float().numpy()
    identity[:, inner] = tensors["identity.inner"].float().numpy() * scale[:, None, None]
    expressions = np.zeros((len(names), len(inner), 3), np.float32)
    shape = np.repeat(np.arange(len(names)), tensors["expressions.counts"].numpy())
    expressions[shape, _indices(tensors["expressions.vertices"])] = tensors["expressions.values"].float().numpy()
    regions = {n: w.float().numpy() / np.float32(255) for n, w in _of(tensors, "regions.")}
    return HeadModel(
        tensors["neutral"].float().numpy(), identity, expressions, names, _indices(tensors["triangles"]),
        {n: _indices(t) for n, t in _of(tensors, "parts.")}, _indices(tensors["landmarks"]), regions,
        _indices(tensors["mirror"]), {n: _indices(t) for n, t in _of(tensors, "loops.")},
    )  # fmt: skip


def _inner(model: HeadModel) -> npt.NDArray[np.bool_]:
    """Which vertices lie inside the mouth or the eyes, and bear a coarser shape, [V]."""
    inner = np.ones(len(model.neutral), bool)
    inner[model.part("skin", "back")] = False
    return inner


def _of(tensors: Mapping[str, Tensor], prefix: str) -> Iterable[tuple[str, Tensor]]:
    return ((name.removeprefix(prefix), value) for name, value in sorted(tensors.items()) if name.startswith(prefix))


def _indices(tensor: Tensor) -> npt.NDArray[Any]:
    return tensor.numpy().astype(np.int64)
