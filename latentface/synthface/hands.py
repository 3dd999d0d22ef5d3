"""Renders hands in front of faces, with masks: the hand of a body mesh, posed at its joints and lit at random.

The mesh is MakeHuman's `base.obj` (CC0), whose groups `joint-l-finger-F-J` mark the joints of its left hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from latentface.arrays import Float32Array, FloatArray, Int32Array, Pixels
from latentface.ops.raster import normals, rasterise, sample
from latentface.synthface.camera import rotation
from latentface.synthface.wavefront import read_obj

FOREARM = -0.9  # how far the arm reaches beyond the wrist, in lengths of a hand
FINGERS = 5
#: Degrees that the three joints of fingers and thumb bend, for a hand that is fully closed.
CLOSED = np.array([[25, 35, 40], [85, 95, 60], [85, 95, 60], [85, 95, 60], [85, 95, 60]], np.float64)


@dataclass(frozen=True, eq=False)
class Hand:
    """A left hand with a part of its arm, flat and open.

    The wrist is the origin and the tip of the middle finger lies at distance 1; x runs across the hand, y along it, and
    z out of the palm.

    Attributes:
        vertices: [V, 3].
        triangles: into the vertices, [T, 3].
        texcoords: of the vertices, from 0 to 1, v upwards, [V, 2].
        joints: of the thumb and the four fingers, from their roots to their tips, [5, 4, 3].
    """

    vertices: Float32Array
    triangles: Int32Array
    texcoords: Float32Array
    joints: Float32Array

    def bent(self, closed: FloatArray, spread: FloatArray) -> Float32Array:
        """The vertices [V, 3] of the hand with bent fingers.

        Args:
            closed: how far each joint is closed, 0 flat to 1 a fist, [5, 3].
            spread: degrees by which each finger is turned sideways, [5].
        """
        owner, along = self._fingers()
        made: Float32Array = self.vertices.copy()
        for f in range(FINGERS):
            mine = owner == f
            joints, points = self.joints[f].astype(np.float64), self.vertices[mine].astype(np.float64)
            axis = np.cross(joints[3] - joints[0], [0.0, 0.0, 1.0])
            axis /= np.linalg.norm(axis)
            side = np.array([0.0, 0.0, 1.0])
            for j in (2, 1, 0):  # from the tip to the root: everything beyond a joint turns about it
                turned = (points - joints[j]) @ _about(axis, closed[f, j] * CLOSED[f, j]).T
                if j == 0:
                    turned = turned @ _about(side, spread[f]).T
                share = np.clip((along[mine] - j) * 3 + 0.5, 0, 1)[:, None]
                points = points + share * (turned + joints[j] - points)
            made[mine] = points
        return made

    def _fingers(self) -> tuple[Int32Array, FloatArray]:
        """The finger of each vertex [V], and the (fractional) number of joints between the palm and it [V]."""
        distance = np.empty((FINGERS, 3, len(self.vertices)))
        place = np.empty_like(distance)
        for f in range(FINGERS):
            for j in range(3):
                start, bone = self.joints[f, j], self.joints[f, j + 1] - self.joints[f, j]
                t = (self.vertices - start) @ bone / (bone @ bone)
                place[f, j] = j + np.clip(t, -0.5 if j == 0 else 0, 1)
                distance[f, j] = np.linalg.norm(self.vertices - start - np.clip(t, 0, 1)[:, None] * bone, axis=1)
        flat = distance.reshape(-1, len(self.vertices)).argmin(axis=0)
        along: FloatArray = place.reshape(-1, len(self.vertices))[flat, np.arange(len(self.vertices))]
        return (flat // 3).astype(np.int32), along


def read_hand(path: str | Path) -> Hand:
    """The left hand of MakeHuman's base mesh; raises InputError for any other file."""
    mesh = read_obj(path)
    groups = np.array(mesh.groups)

    def joint(name: str) -> FloatArray:
        corners = np.unique(mesh.triangles[groups == f"joint-l-{name}"])
        middle: FloatArray = mesh.vertices[corners].mean(axis=0).astype(np.float64)
        return middle

    wrist = joint("hand")
    fingers = np.array([[joint(f"finger-{f + 1}-{j + 1}") for j in range(4)] for f in range(FINGERS)])
    along = fingers[2, 3] - wrist
    length = float(np.linalg.norm(along))
    y = along / length
    across = fingers[4, 0] - fingers[1, 0]
    z = np.cross(across, y)
    z /= np.linalg.norm(z)
    axes = np.stack([np.cross(y, z), y, z])
    local = ((mesh.vertices - wrist) @ axes.T / length).astype(np.float32)
    arm = (joint("elbow") - wrist) @ axes.T / length
    t = np.clip(local @ arm / (arm @ arm), 0, 1)[:, None]
    near = (np.linalg.norm(local - t * arm, axis=1) < 0.45) & (local @ arm < -FOREARM * np.linalg.norm(arm))
    near |= (local[:, 1] > 0) & (np.linalg.norm(local, axis=1) < 1.3)
    kept = (groups == "body") & near[mesh.triangles].all(axis=1)
    pairs = np.stack([mesh.triangles[kept], mesh.texcoord_triangles[kept]], axis=2).reshape(-1, 2)
    unique, index = np.unique(pairs, axis=0, return_inverse=True)
    return Hand(
        local[unique[:, 0]],
        index.reshape(-1, 3).astype(np.int32),
        mesh.texcoords[unique[:, 1]],
        ((fingers - wrist) @ axes.T / length).astype(np.float32),
    )


def render_hand(hand: Hand, skin: Pixels, size: int, rng: np.random.Generator) -> Float32Array:
    """Render a hand in a random pose and light: colour and coverage, 0 to 1, [size, size, 4].

    Its wrist is near the bottom, where the arm leaves the picture.

    Args:
        hand: the mesh.
        skin: a texture of MakeHuman's.
        size: pixels of a side.
        rng: what pose, view and light are sampled from.
    """
    closed = np.clip(rng.choice([0.05, 0.25, 0.5, 0.9]) + rng.normal(0, 0.08, (FINGERS, 3)), -0.05, 1.05)
    closed += rng.uniform(0, 0.2, (FINGERS, 1)) * rng.integers(0, 2)
    if rng.random() < 0.25:  # it points
        closed[1] = rng.uniform(0, 0.15, 3)
    spread = np.array([-20, -6, 0, 6, 12]) * rng.uniform(-0.6, 1.2) * (1 - closed[:, 0].clip(0, 1))
    vertices = hand.bent(closed, spread)
    turn = rotation(float(rng.uniform(0, 360)), float(np.clip(rng.normal(0, 20), -40, 40)), float(rng.normal(0, 12)))
    mirror = np.array([rng.choice([-1.0, 1.0]), 1, 1])
    placed = vertices * mirror @ turn.T
    triangles = hand.triangles if mirror[0] > 0 else hand.triangles[:, ::-1]
    fine = 2 * size  # four samples a pixel
    scale = fine * 0.68
    screen = np.stack([fine / 2 + placed[:, 0] * scale, fine * 0.8 - placed[:, 1] * scale, placed[:, 2] * scale], 1)
    seen = rasterise(screen, triangles, fine, fine)
    facing = seen.interpolate(normals(screen, triangles))
    facing /= np.maximum(np.linalg.norm(facing, axis=2, keepdims=True), 1e-6)
    facing *= np.where(facing[..., 2:] < 0, -1, 1)
    at = seen.interpolate(hand.texcoords)
    places = np.stack([at[..., 0] * skin.shape[1], (1 - at[..., 1]) * skin.shape[0]], axis=2) - 0.5
    albedo = (sample(skin, places) / 255).clip(0, 1) ** 2.2
    covered = seen.covered[..., None].astype(np.float32)
    colours = (lit(albedo, facing, rng) * _nearby(seen.depth, size)[..., None]) ** (1 / 2.2)
    blocks = np.concatenate([colours * covered, covered], axis=2).reshape(size, 2, size, 2, 4).mean((1, 3))
    made: Float32Array = blocks.astype(np.float32)
    made[..., :3] /= np.maximum(made[..., 3:], 1e-3)
    return made


def _nearby(depth: Float32Array, size: int) -> FloatArray:
    """Ambient occlusion [H, W] by nearby surfaces: creases between fingers are dark."""
    covered = np.isfinite(depth)
    filled = np.where(covered, depth, 0)
    reach = 0.035 * size
    weight = np.maximum(ndimage.gaussian_filter(covered.astype(np.float32), reach), 1e-3)
    deeper = ndimage.gaussian_filter(filled, reach) / weight - filled
    made: FloatArray = 1 - np.clip(deeper / (0.12 * size), 0, 0.6)
    return made


def _about(axis: FloatArray, degrees: float) -> FloatArray:
    """The rotation about an axis (Rodrigues' formula), [3, 3]."""
    made: FloatArray = Rotation.from_rotvec(axis * degrees, degrees=True).as_matrix()
    return made


def lit(albedo: FloatArray, facing: FloatArray, rng: np.random.Generator, gloss: float = 0.08) -> FloatArray:
    """Linear colours [H, W, 3] of surfaces in a random light: one lamp, the sky, a gleam.

    Args:
        albedo: linear colours, [H, W, 3].
        facing: unit normals, x right, y down, z to the viewer, [H, W, 3].
        rng: what the light is sampled from.
        gloss: how strong the gleam is.
    """
    lamp = np.array([rng.normal(0, 0.6), rng.normal(-0.5, 0.4), 1.0])
    lamp /= np.linalg.norm(lamp)
    wrap = rng.uniform(0.1, 0.5)
    diffuse = np.clip((facing @ lamp + wrap) / (1 + wrap), 0, None)
    sky = 0.6 - 0.4 * facing[..., 1]
    light = rng.uniform(0.4, 1.0) * diffuse + rng.uniform(0.15, 0.5) * sky
    half = lamp + np.array([0, 0, 1])
    gleam = gloss * rng.uniform(0, 1) * np.clip(facing @ (half / np.linalg.norm(half)), 0, 1) ** rng.uniform(8, 60)
    made: FloatArray = np.clip(albedo * light[..., None] * rng.uniform(0.8, 1.4) + gleam[..., None], 0, 1)
    return made
