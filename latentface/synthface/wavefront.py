"""Wavefront OBJ and MakeHuman fitting files (.mhclo), read into arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentface.arrays import Float32Array, Int32Array
from latentface.errors import InputError


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices [V, 3], texcoords [U, 2], triangles into each [T, 3], and a group and a material name a triangle."""

    vertices: Float32Array
    texcoords: Float32Array
    triangles: Int32Array
    texcoord_triangles: Int32Array
    groups: tuple[str, ...]
    materials: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Fitting:
    """How a MakeHuman garment follows its base mesh: vertex = sum(weights * base[anchors]) + offsets * scales."""

    anchors: Int32Array  # [V, 3] base vertices
    weights: Float32Array  # [V, 3]
    offsets: Float32Array  # [V, 3]
    scale_rules: tuple[tuple[int, int, float], ...]  # x, y, z: distance of two base vertices over a rest length

    def apply(self, base: Float32Array) -> Float32Array:
        """Garment vertices [V, 3] on base vertices [B, 3]."""
        scales = [abs(base[a, i] - base[b, i]) / rest for i, (a, b, rest) in enumerate(self.scale_rules)]
        on_base = np.einsum("vk,vkc->vc", self.weights, base[self.anchors])
        fitted: Float32Array = (on_base + self.offsets * np.array(scales)).astype(np.float32)
        return fitted


def read_obj(path: str | Path, vertices_only: bool = False) -> Mesh:
    """Read an OBJ; polygons are split into triangle fans. Raises InputError when it holds no vertex."""
    vertices: list[list[float]] = []
    texcoords: list[list[float]] = []
    corners: list[list[tuple[int, int]]] = []
    groups: list[str] = []
    materials: list[str] = []
    group = material = ""
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "v":
                vertices.append([float(x) for x in rest.split()[:3]])
            elif vertices_only:
                continue
            elif word == "vt":
                texcoords.append([float(x) for x in rest.split()[:2]])
            elif word == "g":
                group = rest.strip()
            elif word == "usemtl":
                material = rest.strip()
            elif word == "f":
                fan = [_corner(c) for c in rest.split()]
                corners += [[fan[0], fan[k], fan[k + 1]] for k in range(1, len(fan) - 1)]
                groups += [group] * (len(fan) - 2)
                materials += [material] * (len(fan) - 2)
    if not vertices:
        raise InputError(f"{path} holds no vertices: expected a Wavefront OBJ mesh")
    index = np.array(corners, np.int32).reshape(-1, 3, 2)
    return Mesh(
        np.array(vertices, np.float32),
        np.array(texcoords, np.float32).reshape(-1, 2),
        np.ascontiguousarray(index[:, :, 0]),
        np.ascontiguousarray(index[:, :, 1]),
        tuple(groups),
        tuple(materials),
    )


def _corner(text: str) -> tuple[int, int]:
    parts = text.split("/")
    texcoord = int(parts[1]) - 1 if len(parts) > 1 and parts[1] else 0
    return int(parts[0]) - 1, texcoord


def read_fitting(path: str | Path) -> Fitting:
    """Read an .mhclo. Raises InputError when it has no vertex table."""
    rules: dict[str, tuple[int, int, float]] = {}
    rows: list[list[float]] = []
    in_table = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] in ("x_scale", "y_scale", "z_scale"):
                rules[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
            elif words[0] == "verts":
                in_table = True
            elif in_table and words[0].lstrip("-").isdigit():
                numbers = [float(w) for w in words]
                # One number: the garment vertex sits on that base vertex.
                rows.append(numbers if len(numbers) == 9 else [numbers[0]] * 3 + [1.0, 0, 0, 0, 0, 0])
            elif words[0] == "delete_verts":
                in_table = False
    if not rows or set(rules) != {"x", "y", "z"}:
        raise InputError(f"{path} is not a MakeHuman fitting file: no vertex table or no scales")
    table = np.array(rows, np.float32)
    return Fitting(
        table[:, :3].astype(np.int32), table[:, 3:6], table[:, 6:9], tuple(rules[axis] for axis in ("x", "y", "z"))
    )
