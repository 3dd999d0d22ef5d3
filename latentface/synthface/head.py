"""The morphable head: ICT-FaceKit's geometry (MIT, USC Institute for Creative Technologies) as arrays.

A head is ``vertices + identity . identity_deltas + expression . expression_deltas``; one unit is about one
centimetre, +x to the subject's left, +y up, +z out of the face.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from latentface.arrays import Float32Array, Int32Array
from latentface.errors import InputError
from latentface.synthface.wavefront import read_obj

# Transparent helper shells around the eye: they need special shaders and hide it when drawn plainly.
UNDRAWN_MATERIALS = ("M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion")


@dataclass(frozen=True, eq=False)
class HeadModel:
    """Vertices [V, 3], triangles [T, 3], uv [V, 2], material index a triangle [T], and the linear modes.

    ``identity_deltas`` [I, V, 3] are scaled to one standard deviation; ``expression_deltas`` [E, V, 3] are the
    FACS-like shapes named in ``expression_names`` (ARKit names with _L/_R suffixes), weights 0..1;
    ``landmarks68`` [68] are the vertices of the Multi-PIE landmarks in dlib's order.
    """

    vertices: Float32Array
    triangles: Int32Array
    uv: Float32Array
    triangle_material: Int32Array
    material_names: tuple[str, ...]
    identity_deltas: Float32Array
    expression_deltas: Float32Array
    expression_names: tuple[str, ...]
    landmarks68: Int32Array

    def morph(self, identity: Float32Array, expression: dict[str, float]) -> Float32Array:
        """Vertices [V, 3] of a head with identity coefficients [<= I] and named expression weights."""
        count = len(identity)
        modes = self.identity_deltas[:count].reshape(count, self.vertices.size)
        flat = self.vertices.reshape(-1) + identity.astype(np.float32) @ modes
        for name, weight in expression.items():
            if weight:
                flat += np.float32(weight) * self.expression_deltas[self.expression_names.index(name)].reshape(-1)
        return flat.reshape(-1, 3)

    def triangles_of(self, *materials: str) -> Int32Array:
        """Triangles [t, 3] drawn with any of the named materials."""
        wanted = [i for i, name in enumerate(self.material_names) if name in materials]
        return np.ascontiguousarray(self.triangles[np.isin(self.triangle_material, wanted)])


def load_arrays(path: str | Path) -> HeadModel:
    """Read a head model from an ``.npz`` of the fields above. Raises InputError when a field is missing."""
    with np.load(path, allow_pickle=False) as arrays:
        missing = [f.name for f in fields(HeadModel) if f.name not in arrays.files]
        if missing:
            raise InputError(f"{path} is not a head model: it lacks {', '.join(missing)}")
        return prepare(
            HeadModel(
                vertices=arrays["vertices"].astype(np.float32),
                triangles=arrays["triangles"].astype(np.int32),
                uv=arrays["uv"].astype(np.float32),
                triangle_material=arrays["triangle_material"].astype(np.int32),
                material_names=tuple(str(n) for n in arrays["material_names"]),
                identity_deltas=arrays["identity_deltas"].astype(np.float32),
                expression_deltas=arrays["expression_deltas"].astype(np.float32),
                expression_names=tuple(str(n) for n in arrays["expression_names"]),
                landmarks68=arrays["landmarks68"].astype(np.int32),
            )
        )


def load_ict_folder(folder: str | Path) -> HeadModel:
    """Read ICT-FaceKit's own ``FaceXModel`` folder (light or full).

    It holds generic_neutral_mesh.obj, identityNNN.obj, one OBJ for each expression, and vertex_indices.json for the
    landmarks.

    Raises:
        InputError: the folder lacks the neutral mesh or the landmark indices.
    """
    folder = Path(folder)
    neutral_path, index_path = folder / "generic_neutral_mesh.obj", folder / "vertex_indices.json"
    for path in (neutral_path, index_path):
        if not path.is_file():
            raise InputError(f"{folder} is not ICT-FaceKit's FaceXModel folder: it lacks {path.name}")
    neutral = read_obj(neutral_path)
    identity_paths = sorted(folder.glob("identity*.obj"))
    skip = {neutral_path, *identity_paths}
    expression_paths = [p for p in sorted(folder.glob("*.obj")) if p not in skip]
    uv = np.zeros((len(neutral.vertices), 2), np.float32)
    uv[neutral.triangles.reshape(-1)] = neutral.texcoords[neutral.texcoord_triangles.reshape(-1)]
    materials = tuple(dict.fromkeys(neutral.materials))
    indices = json.loads(index_path.read_text())

    def deltas(paths: list[Path]) -> Float32Array:
        stack = [read_obj(p, vertices_only=True).vertices - neutral.vertices for p in paths]
        return np.stack(stack) if stack else np.zeros((0, *neutral.vertices.shape), np.float32)

    return prepare(
        HeadModel(
            vertices=neutral.vertices,
            triangles=neutral.triangles,
            uv=uv,
            triangle_material=np.array([materials.index(m) for m in neutral.materials], np.int32),
            material_names=materials,
            identity_deltas=deltas(identity_paths),
            expression_deltas=deltas(expression_paths),
            expression_names=tuple(p.stem for p in expression_paths),
            landmarks68=np.array(indices["idx_to_landmark_verts"], np.int32),
        )
    )


def prepare(model: HeadModel) -> HeadModel:
    """The model prepared for rendering: without helper shells, and with every triangle inside one texture tile.

    ICT-FaceKit gives a vertex one UV, so the triangles that join the face (tile u 0..1) to the back of the head (tile
    1..2) stretch across the atlas. Vertices on the wrong side are duplicated with the UV of the other corners.
    """
    skip = [i for i, n in enumerate(model.material_names) if n in UNDRAWN_MATERIALS]
    kept = ~np.isin(model.triangle_material, skip)
    triangles = model.triangles[kept].copy()
    used = np.zeros(len(model.vertices), bool)
    used[triangles] = True
    used[model.landmarks68] = True
    source = list(np.flatnonzero(used))
    renumber = np.cumsum(used) - 1
    triangles = renumber[triangles]
    uv = list(model.uv[used])
    doubles: dict[tuple[int, int], int] = {}
    tile = np.floor(model.uv[used][:, 0]).astype(int)
    for row in np.flatnonzero(np.ptp(tile[triangles], axis=1) > 0):
        corners = triangles[row].copy()
        home = int(np.median(tile[corners]))
        inside = np.mean([uv[v] for v in corners if tile[v] == home], axis=0)
        for k, vertex in enumerate(corners):
            if tile[vertex] == home:
                continue
            if (vertex, home) not in doubles:
                doubles[vertex, home] = len(source)
                source.append(source[vertex])
                uv.append(inside)
            triangles[row, k] = doubles[vertex, home]
    return HeadModel(
        vertices=model.vertices[source],
        triangles=triangles.astype(np.int32),
        uv=np.array(uv, np.float32),
        triangle_material=model.triangle_material[kept],
        material_names=model.material_names,
        identity_deltas=np.ascontiguousarray(model.identity_deltas[:, source]),
        expression_deltas=np.ascontiguousarray(model.expression_deltas[:, source]),
        expression_names=model.expression_names,
        landmarks68=renumber[model.landmarks68].astype(np.int32),
    )


@lru_cache(maxsize=4)
def _corner_sum(head: HeadModel) -> csr_matrix:
    """Sparse [V, T] matrix that adds each triangle's normal to its corners (ten times faster than np.add.at).

    Vertices duplicated at a texture seam share one position and one normal.
    """
    count = len(head.triangles)
    _, place = np.unique(head.vertices.round(4), axis=0, return_inverse=True)
    rows, columns = place.reshape(-1)[head.triangles.reshape(-1)], np.repeat(np.arange(count), 3)
    at_places = csr_matrix((np.ones(3 * count, np.float32), (rows, columns)), shape=(int(place.max()) + 1, count))
    return at_places[place.reshape(-1)]


def vertex_normals(head: HeadModel, vertices: Float32Array) -> Float32Array:
    """Unit area-weighted vertex normals [V, 3]."""
    a, b, c = (vertices[head.triangles[:, k]] for k in range(3))
    normals = _corner_sum(head) @ np.cross(b - a, c - a)
    unit: Float32Array = (normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9)).astype(np.float32)
    return unit
