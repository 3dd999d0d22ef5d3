"""A small head made of ellipsoids, with everything the renderer asks of a head model."""

from __future__ import annotations

import numpy as np

from latentface.synthface.bake import visibility
from latentface.synthface.head import HeadModel, prepare, vertex_normals
from latentface.synthface.library import Library
from latentface.synthface.renderer import create_context
from latentface.synthface.scene import EMFACS, INCIDENTAL, paired
from latentface.synthface.wardrobe import ATLAS_SIZE, Garment, Wardrobe

# Where the 68 landmarks of the tiny head are looked for, centimetres, in Multi-PIE order.
_JAW = [(-7.5 * np.cos(t), 3.0 - 10.0 * np.sin(t)) for t in np.linspace(0.0, np.pi, 17)]
_BROWS = [(x, 6.0) for x in (-5.5, -4.6, -3.7, -2.6, -1.4, 1.4, 2.6, 3.7, 4.6, 5.5)]
_NOSE = [(0, 3.6), (0, 2.5), (0, 1.5), (0, 0.4), *((x, -1.0) for x in (-1.4, -0.7, 0, 0.7, 1.4))]
_EYE = [(-1.4, 0), (-0.5, 0.45), (0.5, 0.45), (1.4, 0), (0.5, -0.4), (-0.5, -0.4)]
_EYES = [(x - 3.1, y + 3.5) for x, y in _EYE] + [(x + 3.1, y + 3.5) for x, y in _EYE]
_MOUTH = [(2.6 * -np.cos(t), -3.5 + 0.9 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 12, endpoint=False)]
_LIPS = [(2.1 * -np.cos(t), -3.5 + 0.3 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
PLACES = np.array([*_JAW, *_BROWS, *_NOSE, *_EYES, *_MOUTH, *_LIPS], np.float32)


def ellipsoid(
    centre: tuple[float, ...], radii: tuple[float, ...], rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, outward triangles and uv of an ellipsoid whose seam lies at the back."""
    v, u = np.meshgrid(np.linspace(0.02, np.pi - 0.02, rows), np.linspace(-np.pi, np.pi, columns), indexing="ij")
    unit = np.stack([np.sin(v) * np.sin(u), np.cos(v), np.sin(v) * np.cos(u)], -1).reshape(-1, 3)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    uv = np.stack([(u + np.pi) / (2 * np.pi), 1 - v / np.pi], -1).reshape(-1, 2) * 0.98 + 0.01
    return (unit * radii + centre).astype(np.float32), triangles.astype(np.int32), uv.astype(np.float32)


def tiny_head(seed: int = 0) -> HeadModel:
    """Skin, teeth, two eyes; three identity modes; every shape that scenes use moves the skin near the mouth."""
    rng = np.random.default_rng(seed)
    parts = [
        ("M_Face", ellipsoid((0, 3, 1), (8, 11, 9.5), 48, 96)),
        ("M_Teeth", ellipsoid((0, -3.5, 6), (2, 1, 2), 8, 12)),
    ]
    for side, sign in (("Left", 1), ("Right", -1)):
        parts.append((f"M_Sclera{side}", ellipsoid((3.1 * sign, 3.5, 9.0), (1.4, 1.4, 1.4), 10, 16)))
        parts.append((f"M_Iris{side}", ellipsoid((3.1 * sign, 3.5, 9.1), (0.6, 0.6, 1.3), 6, 12)))
    offset, vertices, triangles, uv, material = 0, [], [], [], []
    for i, (_, (points, faces, texcoords)) in enumerate(parts):
        vertices.append(points)
        triangles.append(faces + offset)
        uv.append(texcoords)
        material.append(np.full(len(faces), i))
        offset += len(points)
    points = np.concatenate(vertices)
    skin = np.flatnonzero((np.arange(len(points)) < 48 * 96) & (points[:, 2] > 0))
    landmarks = [skin[np.linalg.norm(points[skin, :2] - place, axis=1).argmin()] for place in PLACES]
    names = sorted(
        k for shapes in (*EMFACS.values(), INCIDENTAL, {"eyeBlink": 1}) for n in shapes for k in paired(n, 1)
    )
    names = list(dict.fromkeys(names))
    lower = np.exp(-((points - points[landmarks[57]]) ** 2).sum(1) / 6)[:, None]
    expressions = np.stack([lower * rng.normal(0, 1.0, 3) + lower * (0, -1.0, 0) for _ in names])
    return prepare(
        HeadModel(
            vertices=points,
            triangles=np.concatenate(triangles),
            uv=np.concatenate(uv),
            triangle_material=np.concatenate(material).astype(np.int32),
            material_names=tuple(name for name, _ in parts),
            identity_deltas=(points[None] * rng.normal(0, 0.03, (3, 1, 3))).astype(np.float32),
            expression_deltas=expressions.astype(np.float32),
            expression_names=tuple(names),
            landmarks68=np.array(landmarks, np.int32),
        )
    )


def tiny_library() -> Library:
    """The tiny head with one plain skin, one strip of hair and a collar."""
    head = tiny_head()
    context = create_context()
    seen = visibility(context, head.vertices, vertex_normals(head, head.vertices), head.triangles, directions=32)
    context.release()
    skin = np.full((1, 512, 1024, 3), (200, 150, 130), np.uint8)
    masks = np.zeros((512, 1024, 4), np.uint8)
    hair, faces, uv = ellipsoid((0, 6.5, 0), (8.3, 9.5, 9.4), 10, 20)
    top = hair[faces][:, :, 1].min(1) > 10
    nearest = np.zeros((len(hair), 1), np.int32)
    cap = Garment("cap", "hair", hair, hair / np.linalg.norm(hair, axis=1, keepdims=True), uv, faces[top],
                  nearest, np.ones((len(hair), 1), np.float32), np.full((8, 8, 4), 255, np.uint8))  # fmt: skip
    return Library(head, Wardrobe((cap,), skin, ("plain",), masks), seen)


def beard_masks(head: HeadModel) -> np.ndarray:
    """The whole atlas is beard below the nose of the tiny head, whose v falls from crown to chin."""
    masks = np.zeros((*ATLAS_SIZE, 4), np.uint8)
    masks[int(0.58 * ATLAS_SIZE[0]) :, :, 1] = 255
    return masks
