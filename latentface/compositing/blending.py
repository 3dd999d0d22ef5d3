"""Three ways to blend a patch into a picture under a mask: alpha, multiband and Poisson.

Each takes base and patch float32 [H, W, 3] (any range) and a mask float32 [H, W] in [0, 1] (1: the patch), and returns
float32 [H, W, 3]. Where the mask is 0 the base comes back unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from latentface.arrays import BoolArray, Float32Array

_SMALLEST_LEVEL = 4  # pixels: the pyramid ends before a level becomes smaller
_COARSEST = 4096  # unknowns that are solved directly
_FINEST = 150_000  # unknowns of the finest problem
_RESIDUAL = 2e-3  # of the right-hand side: well below one grey level


def blend_alpha(base: Float32Array, patch: Float32Array, mask: Float32Array) -> Float32Array:
    """The picture mask * patch + (1 - mask) * base."""
    mixed: Float32Array = base + mask[..., None] * (patch - base)
    return mixed


# ------------------------------------------------------------------------- Burt & Adelson, ACM TOG 2 (4), 1983


def generating_kernel(a: float = 0.4) -> Float32Array:
    """The separable kernel (1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2) of their section 2; a = 0.4 is nearly Gaussian."""
    return np.array([0.25 - a / 2, 0.25, a, 0.25, 0.25 - a / 2], np.float32)


def reduce(level: Float32Array) -> Float32Array:
    """REDUCE: G(i, j) = sum of w(m, n) * level(2 i + m, 2 j + n); [H, W, ...] -> [ceil(H / 2), ceil(W / 2), ...]."""
    c, b, a, _, _ = generating_kernel().tolist()
    for axis in (0, 1):
        count = -(-level.shape[axis] // 2)
        at = np.moveaxis(_mirrored(level, axis, 2, 2), axis, 0)  # at[2 + i] is the picture's i
        taps = [at[m : m + 2 * count - 1 : 2] for m in range(5)]
        small = a * taps[2] + b * (taps[1] + taps[3]) + c * (taps[0] + taps[4])
        level = np.ascontiguousarray(np.moveaxis(small, 0, axis))
    return level


def expand(level: Float32Array, shape: tuple[int, int]) -> Float32Array:
    """EXPAND to [H, W, ...]: 4 * sum of w(m, n) * level((i - m) / 2, (j - n) / 2) over whole coordinates only."""
    c, b, a, _, _ = (2 * generating_kernel()).tolist()
    for axis, size in enumerate(shape):
        # an even size ends between two samples: the last one is its own mirror image
        padded = _mirrored(level, axis, 1, 1) if size % 2 else _mirrored(_mirrored(level, axis, 0, 1, 0), axis, 1, 0)
        at = np.moveaxis(padded, axis, 0)  # at[1 + i] is the level's i
        large = np.empty((size, *at.shape[1:]), np.float32)
        large[::2] = a * at[1:-1] + c * (at[:-2] + at[2:])
        large[1::2] = b * (at[1:-1] + at[2:])[: size // 2]
        level = np.moveaxis(large, 0, axis)
    return np.ascontiguousarray(level)


def _mirrored(level: Float32Array, axis: int, before: int, after: int, skip: int = 1) -> Float32Array:
    """The level with its first and last entries mirrored about the outermost (skip 1) or about the edge (skip 0)."""
    width = [(0, 0)] * level.ndim
    width[axis] = (before, after)
    return np.pad(level, width, mode="reflect" if skip else "symmetric")


def gaussian_pyramid(picture: Float32Array, levels: int) -> list[Float32Array]:
    """The picture, and REDUCE of each level as the next: `levels` of them."""
    pyramid = [picture]
    while len(pyramid) < levels:
        pyramid.append(reduce(pyramid[-1]))
    return pyramid


def laplacian_pyramid(picture: Float32Array, levels: int) -> list[Float32Array]:
    """The difference of each Gaussian level from the expanded next one; the last level is the last Gaussian one."""
    gaussian = gaussian_pyramid(picture, levels)
    bands = [fine - expand(coarse, fine.shape[:2]) for fine, coarse in pairwise(gaussian)]
    return [*bands, gaussian[-1]]


def collapse(pyramid: list[Float32Array]) -> Float32Array:
    """Reconstruct a picture from its Laplacian pyramid: expand and add, starting from the last level."""
    picture = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        picture = band + expand(picture, band.shape[:2])
    return picture


def pyramid_levels(shape: tuple[int, ...]) -> int:
    """How many levels the pyramid of a picture [H, W] has."""
    return max(1, int(np.log2(min(shape) / _SMALLEST_LEVEL)))


def spline(base: Float32Array, patch: Float32Array, region: Float32Array, levels: int) -> Float32Array:
    """The multiresolution spline: Laplacian pyramids mixed level by level by the Gaussian pyramid of the region.

    G * L(patch) + (1 - G) * L(base) is L(base) + G * L(patch - base): one pyramid, of the difference, is enough.
    """
    bands = laplacian_pyramid(patch - base, levels)
    return base + collapse(
        [g[..., None] * band for g, band in zip(gaussian_pyramid(region, levels), bands, strict=True)]
    )


def blend_multiband(base: Float32Array, patch: Float32Array, mask: Float32Array) -> Float32Array:
    """The multiresolution spline across the mask's half-way line, faded out towards the mask's own edge.

    The spline alone changes pixels far outside the region at its coarse levels.
    """
    mixed = spline(base, patch, (mask >= 0.5).astype(np.float32), pyramid_levels(mask.shape))
    return blend_alpha(base, mixed, np.minimum(1, 2 * mask))


# ------------------------------------------------------------------------- Poisson (Perez et al. 2003)


def blend_poisson(base: Float32Array, patch: Float32Array, mask: Float32Array) -> Float32Array:
    """Seamless cloning: the patch's gradients inside the mask's half-way line, the base's values on its border.

    What is added to the patch is the membrane of Perez et al. (eq. 4-5): it is harmonic inside, and base - patch on
    the border. In a region of more than _FINEST pixels the border is averaged over some pixels: the membrane is smooth,
    and finer detail would matter only at the seam itself, which the mask softens.
    """
    inside = mask >= 0.5
    inside[[0, -1]] = inside[:, [0, -1]] = False  # the outermost pixels of the picture always belong to the border
    return blend_alpha(base, patch + _stretched(base - patch, inside), np.minimum(1, 2 * mask))


def _stretched(values: Float32Array, inside: BoolArray) -> Float32Array:
    if inside.sum() <= _FINEST:
        return membrane(values, inside)
    return expand(_stretched(*_half(values, inside)), values.shape[:2])


def membrane(values: Float32Array, inside: BoolArray) -> Float32Array:
    """Replace the values [H, W, C] inside the region by the harmonic interpolation of those around it.

    Cascadic multigrid (Bornemann & Deuflhard 1996): the same problem at half the size gives the start for conjugate
    gradients on the five-point Laplacian. `inside` must not touch the border of the picture.
    """
    solved: Float32Array = values.copy()
    count = int(inside.sum())
    if count == 0:
        return solved
    matrix, right = _laplace(values, inside)
    if count <= _COARSEST:
        solved[inside] = linalg.spsolve(matrix.tocsc(), right).reshape(right.shape)
        return solved
    start = expand(membrane(*_half(values, inside)), values.shape[:2])[inside]
    for channel in range(values.shape[2]):
        found, _ = linalg.cg(matrix, right[:, channel], x0=start[:, channel], rtol=_RESIDUAL)
        solved[inside, channel] = found
    return solved


def _half(values: Float32Array, inside: BoolArray) -> tuple[Float32Array, BoolArray]:
    """The same problem at half the size: border values are means of the known pixels nearby."""
    known = (~inside).astype(np.float32)
    weight = reduce(known)
    mean = reduce(values * known[..., None]) / np.maximum(weight, 1e-6)[..., None]
    coarse = weight < 0.5
    coarse[[0, -1]] = coarse[:, [0, -1]] = False
    return np.asarray(mean, np.float32), coarse


def _laplace(values: Float32Array, inside: BoolArray) -> tuple[sparse.csr_matrix, Float32Array]:
    """Five-point Laplacian of the unknowns inside, [K, K], and the contribution of their known neighbours, [K, C]."""
    index = np.full(inside.shape, -1)
    index[inside] = np.arange(inside.sum())
    y, x = np.nonzero(inside)
    right = np.zeros((len(y), values.shape[2]), np.float32)
    rows, columns = [np.arange(len(y))], [np.arange(len(y))]
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        near = index[y + dy, x + dx]
        rows.append(np.flatnonzero(near >= 0))
        columns.append(near[near >= 0])
        right[near < 0] += values[y + dy, x + dx][near < 0]
    weights = np.full(sum(map(len, rows)), -1.0, np.float32)
    weights[: len(y)] = 4.0
    shape = (len(y), len(y))
    return sparse.csr_matrix((weights, (np.concatenate(rows), np.concatenate(columns))), shape), right


BLENDS: dict[str, Callable[[Float32Array, Float32Array, Float32Array], Float32Array]] = {
    "alpha": blend_alpha,
    "multiband": blend_multiband,
    "poisson": blend_poisson,
}
