"""Placing a picture of a face: similarities and piecewise affine warps by landmarks, and resampling through a map."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import spatial

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.compositing.displacement_field import pixels, sample
from latentface.errors import UsageError


def fit_similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> Float64Array:
    """The least-squares rotation, scale and shift (3x3) from source points [K, 2] to target [K, 2] (Umeyama 1991).

    Raises UsageError if all points coincide.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre_a, centre_b = a.mean(0), b.mean(0)
    za, zb = (a - centre_a) @ (1, 1j), (b - centre_b) @ (1, 1j)  # in the plane a similarity is one complex number
    spread = float((abs(za) ** 2).sum())
    if spread == 0:
        raise UsageError("all landmarks coincide; a similarity needs two different points")
    turn = (za.conj() @ zb) / spread
    matrix = np.array([[turn.real, -turn.imag, 0.0], [turn.imag, turn.real, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = centre_b - matrix[:2, :2] @ centre_a
    return matrix


def warp_piecewise(image: Pixels, source: Float64Array, target: Float64Array) -> Pixels:
    """Move the points source [K, 2] of a picture to target [K, 2], affinely in each Delaunay triangle between them.

    The picture's corners and the midpoints of its sides are fixed; target points outside it are ignored.
    """
    height, width = image.shape[:2]
    still = frame(width, height)
    within = ((target > 0) & (target < (width - 1, height - 1))).all(1)
    corners_from, corners_to = np.concatenate([still, source[within]]), np.concatenate([still, target[within]])
    mesh = spatial.Delaunay(corners_to)
    at = pixels(height, width)
    triangle = torch.from_numpy(np.maximum(mesh.find_simplex(at.numpy()), 0))
    x, y = at.unbind(-1)
    maps = _affine_maps(mesh, corners_from)
    places = torch.stack([a[triangle] * x + b[triangle] * y + c[triangle] for a, b, c in maps])  # [2, H, W]
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))[None]
    drawn = sample(planes, places.permute(1, 2, 0), "bilinear")[0].permute(1, 2, 0)
    return np.asarray(drawn.round().to(torch.uint8).numpy())


def _affine_maps(mesh: spatial.Delaunay, corners: Float64Array) -> torch.Tensor:
    """[2, 3, T]: the affine map of each triangle from (x, y, 1), given the targets [K, 2] of its corners."""
    # mesh.transform [T, 3, 2]: x -> barycentric coordinates, transform[:2] (x - transform[2])
    last = corners[mesh.simplices[:, 2]]
    edges = corners[mesh.simplices[:, :2]] - last[:, None]
    linear = np.einsum("tid,tij->tdj", edges, mesh.transform[:, :2])
    shift = last - np.einsum("tdj,tj->td", linear, mesh.transform[:, 2])
    return torch.from_numpy(np.concatenate([linear, shift[..., None]], axis=2)).float().permute(1, 2, 0).contiguous()


def frame(width: int, height: int) -> Float64Array:
    """The corners of a picture and the midpoints of its sides, [8, 2]."""
    xs, ys = (0.0, (width - 1) / 2, width - 1.0), (0.0, (height - 1) / 2, height - 1.0)
    return np.array([(x, y) for x in xs for y in ys if (x, y) != (xs[1], ys[1])])


def scaling(factor: float) -> Float64Array:
    """3x3: pixel centres of a picture -> those of one `factor` times as large, with their outer edges aligned."""
    shift = 0.5 * factor - 0.5
    return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])


def resample(image: Pixels, to_photo: Float64Array, box: tuple[int, int, int, int]) -> Float32Array:
    """The picture resampled (bicubic) to the part of the photo inside the box, float32 [H, W, 3]."""
    x0, y0, x1, y1 = box
    size = float(np.sqrt(abs(np.linalg.det(to_photo[:2, :2]))))  # photo pixels a picture pixel covers
    source = Image.fromarray(image)
    if size < 1:  # shrink first: the transform below interpolates between 4 x 4 pixels only
        side = max(1, round(image.shape[0] * size))
        source = source.resize((side, side), Image.Resampling.LANCZOS)
        to_photo = to_photo @ scaling(image.shape[0] / side)
    # Pillow leaves pixels beyond the outermost pixel centres empty: repeat the edge pixels
    source = Image.fromarray(np.pad(np.asarray(source), ((2, 2), (2, 2), (0, 0)), mode="edge"))
    to_photo = to_photo @ np.array([[1, 0, -2], [0, 1, -2], [0, 0, 1]])
    # Pillow counts from the pixels' edges
    back = np.linalg.inv(to_photo @ np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]))
    back = back @ np.array([[1, 0, x0 - 0.5], [0, 1, y0 - 0.5], [0, 0, 1]])
    numbers = tuple(back[:2].ravel().tolist())
    drawn = source.transform((x1 - x0, y1 - y0), Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC)
    return np.asarray(drawn, np.float32)
