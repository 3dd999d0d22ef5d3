"""Generated accessories: spectacles, swept along curves around the eyes, and beards, grown as shells on the skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from latentface.arrays import Float32Array, Int32Array
from latentface.synthface.head import HeadModel, vertex_normals
from latentface.synthface.wardrobe import ATLAS_SIZE, Garment

# Half width and half height of a lens in eye distances, roundness (2: ellipse), rim radius in centimetres.
GLASSES = {
    "round": (0.36, 0.34, 2.0, 0.11),
    "rectangular": (0.41, 0.25, 4.0, 0.16),
    "wayfarer": (0.42, 0.31, 3.0, 0.26),
    "thin": (0.39, 0.29, 2.6, 0.08),
}
# Length in centimetres, share of the atlas that holds a strand.
BEARDS = {"short": (0.35, 0.8), "full": (0.9, 0.9), "goatee": (0.6, 0.85)}
SHELLS = 6
STAND_OFF = 1.35  # centimetres from the lids' plane to the lenses'
SIDES = 6  # of a rim's cross-section


def make_glasses(head: HeadModel) -> list[Garment]:
    """All models of `GLASSES`, fitted to the landmarks of the head at rest; they move with nose and ears."""
    return [_glasses(f"glasses_{name}", head, *shape) for name, shape in GLASSES.items()]


def _glasses(name: str, head: HeadModel, wide: float, high: float, roundness: float, rim: float) -> Garment:
    points = head.vertices[head.landmarks68]
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    eye = float(np.linalg.norm(eyes[1] - eyes[0]))
    front = max(float(e[2]) for e in eyes) + STAND_OFF
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / roundness)
    rise = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / roundness)
    tubes = []
    for sign, centre in zip((-1, 1), eyes, strict=True):
        x = centre[0] + wide * eye * circle
        rims = np.stack([x, centre[1] - 0.04 * eye + high * eye * rise, front - 0.035 * x**2], 1)
        tubes.append(_tube(rims, rim, closed=True))
        outer = rims[np.argmax(sign * rims[:, 0])] + (0, 0.1 * eye, 0)
        ear = points[0 if sign < 0 else 16] + np.array([sign * 0.5, 0.1 * eye, -0.8 * eye])
        tubes.append(_tube(np.linspace(outer, ear, 8), rim * 0.8, closed=False))
    inner = [tube[0][np.argmin(np.abs(tube[0][:, 0]))] for tube in (tubes[0], tubes[2])]
    arch = np.linspace(inner[0], inner[1], 7) + np.outer(np.sin(np.linspace(0, np.pi, 7)), (0, 0.12, 0.2))
    tubes.append(_tube(arch, rim, closed=False))
    rest, triangles = _join(tubes)
    # Stiff: the front goes with the bridge of the nose, the temples more and more with the side of the head.
    bridge, right, left = (int(head.landmarks68[i]) for i in (27, 0, 16))
    back = np.clip((front - rest[:, 2]) / (front - points[0, 2]), 0, 1)
    anchors = np.stack([np.full(len(rest), bridge), np.where(rest[:, 0] > 0, left, right)], 1)
    weights = np.stack([1 - back, back], 1)
    plain = np.full((4, 4, 4), 255, np.uint8)
    return _garment(name, "glasses", rest, triangles, np.zeros((len(rest), 2)), anchors, weights, plain)


def _tube(curve: Float32Array, radius: float, closed: bool) -> tuple[Float32Array, Int32Array]:
    """A surface of `SIDES` sides around a curve [n, 3]: vertices [n * SIDES, 3] and triangles."""
    ahead = np.roll(curve, -1, 0) - np.roll(curve, 1, 0) if closed else np.gradient(curve, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    across = np.cross(ahead, np.where(np.abs(ahead[:, 2:]) > 0.9, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    above = np.cross(ahead, across)
    angle = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)[:, None]
    ring = curve[:, None] + radius * (np.cos(angle) * across[:, None] + np.sin(angle) * above[:, None])
    n = len(curve)
    steps, sides = np.meshgrid(np.arange(n if closed else n - 1), np.arange(SIDES), indexing="ij")
    a, b = steps * SIDES + sides, steps * SIDES + (sides + 1) % SIDES
    c, d = (steps + 1) % n * SIDES + sides, (steps + 1) % n * SIDES + (sides + 1) % SIDES
    triangles = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return ring.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def _join(parts: list[tuple[Float32Array, Int32Array]]) -> tuple[Float32Array, Int32Array]:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    triangles = [triangles + start for (_, triangles), start in zip(parts, starts, strict=False)]
    return np.concatenate([v for v, _ in parts]), np.concatenate(triangles).astype(np.int32)


def make_beards(head: HeadModel, masks: NDArray[np.uint8]) -> list[Garment]:
    """Every beard of `BEARDS`: shells over the skin that the wardrobe's beard mask covers, thinner from shell to shell.

    Args:
        head: the head that they grow on, at rest.
        masks: uint8 [H, W, 4] over the atlas (`wardrobe.paint_masks`); the second channel is the beard.
    """
    return [_beard(f"beard_{name}", head, masks, *look) for name, look in BEARDS.items()]


def _beard(name: str, head: HeadModel, masks: NDArray[np.uint8], length: float, density: float) -> Garment:
    points = head.vertices[head.landmarks68]
    grown = masks[..., 1].astype(np.float32) / 255
    row = np.clip(((1 - head.uv[:, 1]) * ATLAS_SIZE[0]).astype(int), 0, ATLAS_SIZE[0] - 1)
    column = np.clip((head.uv[:, 0] / 2 * ATLAS_SIZE[1]).astype(int), 0, ATLAS_SIZE[1] - 1)
    on = grown[row, column] * np.clip((head.vertices[:, 1] - points[8, 1]) / 0.8 + 1.2, 0, 1)  # none on the neck
    if name.endswith("goatee"):
        on = on * np.clip(2.2 - np.abs(head.vertices[:, 0]) / (0.75 * points[54, 0]), 0, 1)
    face = head.triangles_of("M_Face")
    kept = face[(on[face] > 0.15).all(1)]
    used, triangles = np.unique(kept.astype(np.int32), return_inverse=True)
    triangles = triangles.reshape(-1, 3).astype(np.int32)
    # Hair stands off the skin and hangs, most at the chin; near the mouth and the edges it is short.
    clear = np.clip(np.linalg.norm(head.vertices[used] - points[62], axis=1) / 3.0 - 0.35, 0.2, 1)
    normals = vertex_normals(head, head.vertices)[used]
    reach = length * (on[used] * clear)[:, None] * (normals + np.array([0, -0.5, 0]))
    rest, faces, shell = [], [], []
    for k in range(SHELLS):
        faces.append(triangles + k * len(used))
        rest.append(head.vertices[used] + 0.06 * normals + reach * (k + 0.5) / SHELLS)
        shell.append(np.full(len(used), k))
    layer = np.concatenate(shell)
    # Each shell has its own band of the texture, in which fewer and fewer strands are left.
    v = (np.tile(head.uv[used, 1], SHELLS) + layer) / SHELLS
    uv = np.stack([np.tile(head.uv[used, 0], SHELLS), v], 1)
    anchors = np.tile(used, SHELLS)[:, None]
    points, corners = np.concatenate(rest), np.concatenate(faces).astype(np.int32)
    return _garment(name, "beard", points, corners, uv, anchors, np.ones((len(uv), 1)), _strands(density))


def _strands(density: float, size: int = 256) -> NDArray[np.uint8]:
    """RGBA [SHELLS * size, 2 * size, 4]: the bands of the shells, the outermost on top."""
    random = np.random.default_rng(5).standard_normal((size, 2 * size))
    streaks = gaussian_filter(random, (2.0, 0.6))  # hair runs down the face
    order = np.argsort(np.argsort(streaks, axis=None)).reshape(streaks.shape) / streaks.size  # 0..1, evenly
    bands = []
    for k in reversed(range(SHELLS)):
        alpha = 255 * (order > 1 - density * (1 - 0.75 * k / SHELLS))
        level = 90 + 110 * order + 40 * k / SHELLS
        bands.append(np.stack([level, level, level, alpha], -1))
    return np.asarray(np.clip(np.concatenate(bands), 0, 255), np.uint8)


def _garment(
    name: str,
    kind: str,
    rest: Float32Array,
    triangles: Int32Array,
    uv: NDArray[np.floating],
    anchors: NDArray[np.integer],
    weights: NDArray[np.floating],
    texture: NDArray[np.uint8],
) -> Garment:
    corners = rest[triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(rest)
    for k in range(3):
        np.add.at(normals, triangles[:, k], flat)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    return Garment(
        name, kind, rest.astype(np.float32), normals.astype(np.float32), uv.astype(np.float32),
        triangles.astype(np.int32), anchors.astype(np.int32), weights.astype(np.float32), texture,
    )  # fmt: skip
