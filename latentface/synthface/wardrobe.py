"""What a head wears: skins baked into its own UV space, hair, brows, lashes and shoulders that follow its shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from latentface.arrays import BoolArray, Float32Array, Int32Array, Pixels
from latentface.synthface.head import HeadModel, vertex_normals
from latentface.synthface.registration import Registration, attach, texcoords_at
from latentface.synthface.wavefront import Mesh, read_fitting, read_obj

# Least distance of garments from the skin, centimetres: registration is not exact to the millimetre.
CLEARANCE = {"hair": 0.35, "brow": 0.07, "lash": 0.02}
ATLAS_SIZE = (512, 1024)  # height, width: the face tile (u in 0..1) beside the back-of-head tile (u in 1..2)


@dataclass(frozen=True, eq=False)
class Garment:
    """A textured sheet mesh in head coordinates that moves with the head's skin.

    ``rest`` [N, 3] and ``normals`` [N, 3] at the rest pose, ``uv`` [N, 2], ``triangles`` [M, 3], ``anchors`` and
    ``weights`` [N, k] into the head's vertices, ``texture`` uint8 RGBA [H, W, 4].
    """

    name: str
    kind: str  # "hair", "brow", "lash", "torso", "glasses" or "beard"
    rest: Float32Array
    normals: Float32Array
    uv: Float32Array
    triangles: Int32Array
    anchors: Int32Array
    weights: Float32Array
    texture: Pixels

    def follow(self, displacement: Float32Array) -> Float32Array:
        """Garment vertices [N, 3] when the head's vertices moved by displacement [V, 3]."""
        moved: Float32Array = self.rest + np.einsum("nk,nkc->nc", self.weights, displacement[self.anchors])
        return moved


@dataclass(frozen=True, eq=False)
class Wardrobe:
    """Garments, baked skins uint8 [S, H, W, 3] with their names, and painting masks uint8 [H, W, 4] over the atlas.

    The masks are lips, beard, scalp and cheeks (blush), each 0..255.
    """

    garments: tuple[Garment, ...]
    skins: Pixels
    skin_names: tuple[str, ...]
    masks: Pixels

    def of_kind(self, kind: str) -> tuple[Garment, ...]:
        """The garments of one kind, in the wardrobe's order."""
        return tuple(g for g in self.garments if g.kind == kind)


def dress(folder: str | Path, head: HeadModel, registration: Registration, positions: Float32Array) -> Wardrobe:
    """Build the wardrobe from a MakeHuman asset folder (skins/, hair/, eyebrows/, eyelashes/).

    ``positions`` [H, W, 3] is the head's rest position at each atlas texel, NaN where no skin is.
    """
    folder = Path(folder)
    skin_paths = sorted((folder / "skins").glob("*.jpg"))
    garments = [
        _garment(path, kind, registration, head, size)
        for kind, name, size in (("hair", "hair", 512), ("brow", "eyebrows", 128), ("lash", "eyelashes", 128))
        for path in sorted((folder / name).glob("*.mhclo"))
        if _texture_of(path, kind).is_file()  # a sheet without its texture would be a helmet
    ]
    garments.append(_torso(registration, head))
    covered = ~np.isnan(positions[..., 0])
    texcoords = texcoords_at(registration, positions[covered])
    skins = [_bake(Image.open(p), covered, texcoords) for p in skin_paths]
    return Wardrobe(tuple(garments), np.stack(skins), tuple(p.stem for p in skin_paths), paint_masks(head, positions))


def _texture_of(fitting_path: Path, kind: str) -> Path:
    return fitting_path.with_name(fitting_path.stem + ("_diffuse.png" if kind == "hair" else ".png"))


def _garment(fitting_path: Path, kind: str, registration: Registration, head: HeadModel, size: int) -> Garment:
    mesh = read_obj(fitting_path.with_suffix(".obj"))
    rest = read_fitting(fitting_path).apply(registration.base_in_head)
    texture = np.array(
        Image.open(_texture_of(fitting_path, kind)).convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
    )
    return _drape(fitting_path.stem, kind, mesh, rest, texture, head)


def _drape(name: str, kind: str, mesh: Mesh, rest: Float32Array, texture: Pixels, head: HeadModel) -> Garment:
    """One vertex a (position, texcoord) pair, normals from the faces, anchored to the head's skin."""
    corner = np.stack([mesh.triangles, mesh.texcoord_triangles], -1).reshape(-1, 2)
    unique, inverse = np.unique(corner, axis=0, return_inverse=True)
    triangles = inverse.reshape(-1, 3).astype(np.int32)
    points = rest[unique[:, 0]]
    face_normals = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face_normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    skin = np.unique(head.triangles_of("M_Face", "M_BackHead"))
    index, weights = attach(points, head.vertices[skin])
    if kind in CLEARANCE:
        points = _lift(points, head, skin[index[:, 0]], CLEARANCE[kind])
    return Garment(
        name,
        kind,
        points.astype(np.float32),
        normals.astype(np.float32),
        mesh.texcoords[unique[:, 1]],
        triangles,
        skin[index].astype(np.int32),
        weights,
        texture,
    )


def _lift(points: Float32Array, head: HeadModel, nearest: Int32Array, clearance: float) -> Float32Array:
    """Points pushed out of the skin until they stand ``clearance`` above the vertex nearest to them."""
    normal = vertex_normals(head, head.vertices)[nearest]
    height = ((points - head.vertices[nearest]) * normal).sum(1, keepdims=True)
    lifted: Float32Array = points + normal * np.clip(clearance - height, 0, 1.5)
    return lifted


def _torso(registration: Registration, head: HeadModel) -> Garment:
    """MakeHuman's body from the collar to the chest, worn as cloth."""
    base = registration.base
    height = base.vertices[base.triangles][:, :, 1]
    body = np.array([g == "body" for g in base.groups]) & (height.max(1) < 6.35) & (height.min(1) > 3.0)
    mesh = Mesh(base.vertices, base.texcoords, base.triangles[body], base.texcoord_triangles[body], (), ())
    # Cloth stands off the skin a little, so that the neck never pokes through.
    centre = registration.base_in_head * np.array([0, 1, 0], np.float32)
    rest = centre + (registration.base_in_head - centre) * np.float32(1.06)
    return _drape("torso", "torso", mesh, rest, np.full((4, 4, 4), 255, np.uint8), head)


def _bake(skin: Image.Image, covered: BoolArray, texcoords: Float32Array) -> Pixels:
    pixels = np.asarray(skin.convert("RGB").resize((1024, 1024), Image.Resampling.LANCZOS))
    size = pixels.shape[0]
    x = np.clip((texcoords[:, 0] * size).astype(int), 0, size - 1)
    y = np.clip(((1 - texcoords[:, 1]) * size).astype(int), 0, size - 1)
    atlas = np.zeros((*covered.shape, 3), np.uint8)
    atlas[covered] = pixels[y, x]
    return _fill(atlas, covered)


def _fill(atlas: Pixels, covered: BoolArray) -> Pixels:
    """The atlas with its empty texels set to the nearest covered ones, so that seams and mip levels do not bleed."""
    row, column = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    filled: Pixels = atlas[row, column]
    return filled


def paint_masks(head: HeadModel, positions: Float32Array) -> Pixels:
    """Lips, beard, scalp and cheek masks uint8 [H, W, 4] from rest positions [H, W, 3] and the landmarks."""
    points = head.vertices[head.landmarks68]
    x, y, z = np.moveaxis(np.nan_to_num(positions, nan=1e3), -1, 0)
    eye = np.linalg.norm(points[42:48].mean(0) - points[36:42].mean(0))  # inter-ocular distance: the unit below
    lips = _inside(points[48:60, :2], x, y) * _smooth(z, points[48, 2] - 0.2 * eye, points[48, 2])
    nose_base, chin = points[33], points[8]
    moustache = _smooth(-y, -nose_base[1] + 0.02 * eye, -nose_base[1] + 0.12 * eye)
    # The beard's upper edge rises from the mouth corner to the ear.
    edge = (
        points[54, 1]
        + (np.abs(x) - points[54, 0]) / (points[16, 0] - points[54, 0]) * (points[16, 1] - points[54, 1]) * 0.6
    )
    cheek_edge = np.where(np.abs(x) < points[54, 0], 1.0, _smooth(edge - y, -0.25 * eye, 0.3 * eye))
    neck = _smooth(y, chin[1] - 0.75 * eye, chin[1] - 0.25 * eye)
    beard = moustache * cheek_edge * neck * (1 - lips) * _smooth(z, points[0, 2] - 0.3 * eye, points[0, 2] + 0.2 * eye)
    # The hairline: high over the forehead, down past the temples to the ears and the nape.
    front = points[27, 2]
    hairline = points[27, 1] + 1.15 * eye - 1.35 * eye * np.clip((front - 0.5 * eye - z) / (1.2 * eye), 0, 1)
    nape = 1.0 * eye * np.clip((points[0, 2] - 0.4 * eye - z) / (0.8 * eye), 0, 1)
    scalp = _smooth(y - hairline + nape, -0.08 * eye, 0.15 * eye)
    cheeks = np.exp(
        -(((np.abs(x) - 0.75 * eye) / (0.35 * eye)) ** 2) - ((y - points[30, 1] - 0.05 * eye) / (0.3 * eye)) ** 2
    )
    masks = np.stack([lips, beard, scalp, np.where(z > 0, cheeks, 0)], -1)
    return _fill((np.clip(masks, 0, 1) * 255).astype(np.uint8), ~np.isnan(positions[..., 0]))


def _smooth(value: Float32Array, low: float | Float32Array, high: float | Float32Array) -> Float32Array:
    t = np.clip((value - low) / (np.asarray(high) - low), 0, 1)
    smooth: Float32Array = (t * t * (3 - 2 * t)).astype(np.float32)
    return smooth


def _inside(polygon: Float32Array, x: Float32Array, y: Float32Array) -> Float32Array:
    """1 inside the polygon [P, 2], 0 outside (even-odd rule)."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside.astype(np.float32)
