"""Three ways to blend a patch into a picture under a mask: alpha, multiband and Poisson.

Each takes base and patch float32 [H, W, 3] (any range) and a mask float32 [H, W] in [0, 1] (1: the patch), and returns
float32 [H, W, 3]. Where the mask is 0 the base comes back unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg

Floats = NDArray[np.float32]

_SMALLEST_LEVEL = 4  # pixels: the pyramid ends before a side gets shorter
_COARSEST = 4096  # unknowns that are solved directly
_RESIDUAL = 2e-3  # of the right-hand side: well below one grey level


def blend_alpha(base: Floats, patch: Floats, mask: Floats) -> Floats:
    """mask * patch + (1 - mask) * base."""
    mixed: Floats = base + mask[..., None] * (patch - base)
    return mixed


# ------------------------------------------------------------------------- Burt & Adelson, ACM TOG 2 (4), 1983


def generating_kernel(a: float = 0.4) -> Floats:
    """The separable kernel (1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2) of their section 2; a = 0.4 is nearly Gaussian."""
    return np.array([0.25 - a / 2, 0.25, a, 0.25, 0.25 - a / 2], np.float32)


def reduce(level: Floats) -> Floats:
    """REDUCE: G(i, j) = sum of w(m, n) * level(2 i + m, 2 j + n); [H, W, ...] -> [ceil(H / 2), ceil(W / 2), ...]."""
    kernel = generating_kernel()
    for axis in (0, 1):
        level = ndimage.correlate1d(level, kernel, axis=axis, mode="mirror")
        level = level[::2] if axis == 0 else level[:, ::2]
    return np.ascontiguousarray(level)


def expand(level: Floats, shape: tuple[int, int]) -> Floats:
    """EXPAND to [H, W, ...]: 4 * sum of w(m, n) * level((i - m) / 2, (j - n) / 2) over whole coordinates only."""
    kernel = 2 * generating_kernel()
    for axis, size in enumerate(shape):
        spread = np.zeros((*level.shape[:axis], size, *level.shape[axis + 1 :]), np.float32)
        even = (slice(None),) * axis + (slice(0, None, 2),)
        spread[even] = level
        level = ndimage.correlate1d(spread, kernel, axis=axis, mode="mirror")
    return level


def gaussian_pyramid(picture: Floats, levels: int) -> list[Floats]:
    """The picture, and REDUCE of each level as the next: `levels` of them."""
    pyramid = [picture]
    while len(pyramid) < levels:
        pyramid.append(reduce(pyramid[-1]))
    return pyramid


def laplacian_pyramid(picture: Floats, levels: int) -> list[Floats]:
    """What each Gaussian level has over the expanded next one; the last level is the last Gaussian one."""
    gaussian = gaussian_pyramid(picture, levels)
    bands = [fine - expand(coarse, fine.shape[:2]) for fine, coarse in pairwise(gaussian)]
    return [*bands, gaussian[-1]]


def collapse(pyramid: list[Floats]) -> Floats:
    """The picture of a Laplacian pyramid: expand and add, from the last level up."""
    picture = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        picture = band + expand(picture, band.shape[:2])
    return picture


def spline(base: Floats, patch: Floats, region: Floats, levels: int) -> Floats:
    """The multiresolution spline: Laplacian pyramids mixed level by level by the Gaussian pyramid of the region."""
    weights = gaussian_pyramid(region, levels)
    pairs = zip(laplacian_pyramid(patch, levels), laplacian_pyramid(base, levels), weights, strict=True)
    return collapse([w[..., None] * ours + (1 - w[..., None]) * theirs for ours, theirs, w in pairs])


def blend_multiband(base: Floats, patch: Floats, mask: Floats) -> Floats:
    """The multiresolution spline across the mask's half-way line, faded out towards the mask's own edge.

    The spline alone changes pixels far outside the region at its coarse levels.
    """
    levels = max(1, int(np.log2(min(mask.shape) / _SMALLEST_LEVEL)))
    region = (mask >= 0.5).astype(np.float32)
    mixed = spline(base, patch, region, levels)
    return blend_alpha(base, mixed, np.minimum(1, 2 * mask))


# ------------------------------------------------------------------------- Poisson (Perez et al. 2003)


def blend_poisson(base: Floats, patch: Floats, mask: Floats) -> Floats:
    """Seamless cloning: the patch's gradients inside the mask's half-way line, the base's values on its border.

    The difference to the patch is the membrane of Perez et al. (eq. 4-5): it is harmonic inside, and base - patch on
    the border.
    """
    inside = mask >= 0.5
    inside[[0, -1]] = inside[:, [0, -1]] = False  # the picture's frame always belongs to the border
    difference = base - patch
    mixed = base.copy()
    mixed[inside] = patch[inside] + membrane(difference, inside)[inside]
    return blend_alpha(base, mixed, np.minimum(1, 2 * mask))


def membrane(values: Floats, inside: NDArray[np.bool_]) -> Floats:
    """values [H, W, C] with those inside replaced by the harmonic interpolation of the ones around.

    Cascadic multigrid (Bornemann & Deuflhard 1996): the same problem at half the size gives the start for conjugate
    gradients on the five-point Laplacian. inside must not touch the frame of the picture.
    """
    solved: Floats = values.copy()
    count = int(inside.sum())
    if count == 0:
        return solved
    matrix, right = _laplace(values, inside)
    if count <= _COARSEST:
        solved[inside] = linalg.spsolve(matrix.tocsc(), right).reshape(right.shape)
        return solved
    start = expand(_half(values, inside), values.shape[:2])[inside]
    for channel in range(values.shape[2]):
        found, _ = linalg.cg(matrix, right[:, channel], x0=start[:, channel], rtol=_RESIDUAL)
        solved[inside, channel] = found
    return solved


def _half(values: Floats, inside: NDArray[np.bool_]) -> Floats:
    """The membrane at half the size: border values are means of the known pixels nearby."""
    known = (~inside).astype(np.float32)
    weight = reduce(known)
    mean = np.asarray(reduce(values * known[..., None]) / np.maximum(weight, 1e-6)[..., None], np.float32)
    coarse = weight < 0.5
    coarse[[0, -1]] = coarse[:, [0, -1]] = False
    return membrane(mean, coarse)


def _laplace(values: Floats, inside: NDArray[np.bool_]) -> tuple[sparse.csr_matrix, Floats]:
    """Five-point Laplacian of the unknowns inside, [K, K], and what their known neighbours contribute, [K, C]."""
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


BLENDS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "alpha": blend_alpha,
    "multiband": blend_multiband,
    "poisson": blend_poisson,
}
