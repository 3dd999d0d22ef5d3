"""Smooth displacement fields on grids and pixels, and warping by them: native, or NumPy with identical bits.

Displacements are in pixels (columns, rows): the pixel at p comes from p + d(p).
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentface.ops import native
from latentface.ops.compiler import BuildFailed
from latentface.ops.raster import cubic_weights, sample

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Layers = npt.NDArray[np.int8]

_SMALL, _FLOAT, _REAL = ctypes.c_int32, ctypes.c_float, ctypes.c_double
_FLOATS = native.Array(np.float32)
_DOUBLES = native.Array(np.float64)
_BYTES = native.Array(np.uint8)
_LAYERS = native.Array(np.int8)
SIGNATURES: dict[str, list[Any]] = {
    "lf_read": [_FLOATS, *[_SMALL] * 3, _FLOATS, ctypes.c_int64, _SMALL, _FLOATS],
    "lf_block_sums": [_FLOATS, _LAYERS, _SMALL, _SMALL, _SMALL, _DOUBLES],
    "lf_relax": [_DOUBLES, _DOUBLES, _SMALL, _SMALL, _REAL, _REAL, _SMALL, _DOUBLES],
    "lf_enlarge": [_FLOATS, _SMALL, _SMALL, _SMALL, _FLOATS, _LAYERS, _SMALL, _SMALL, _FLOATS],
    "lf_move": [_BYTES, *[_SMALL] * 4, _FLOATS, _SMALL, _SMALL, _FLOAT, _FLOATS, _SMALL, _SMALL, _SMALL, _FLOATS],
    "lf_keep_background": [
        _BYTES, _BYTES, *[_SMALL] * 4, _FLOATS, _SMALL, _SMALL, _FLOAT, _FLOATS, *[_SMALL] * 3,
        _FLOATS, *[_SMALL] * 5, *[_FLOATS] * 2,
    ],
    "lf_keep_inside": [_FLOATS, *[_SMALL] * 6, _FLOAT, _FLOATS],
}  # fmt: skip


def block_sums(mesh: Floats, layer: Layers, step: int) -> Doubles:
    """Sums [R, C, 3] over blocks of step x step pixels of values x trust, and of the trust.

    Args:
        mesh: two values and their confidence, float32 [H, W, 3].
        layer: int8 [H, W]; values count where it is 0.
        step: pixels of a block's side; the last blocks may be smaller.
    """
    height, width = _check_mesh(mesh, layer)
    made = np.zeros((-(-height // step), -(-width // step), 3))
    found = _library()
    if found is not None:
        found.lf_block_sums(mesh, layer, height, width, step, made)
        return made
    trust = np.where(layer == 0, mesh[..., 2], 0).astype(np.float64)
    terms = np.dstack([mesh[..., 0] * trust, mesh[..., 1] * trust, trust])
    for j in range(min(step, height)):
        for i in range(min(step, width)):
            piece = terms[j::step, i::step]
            made[: piece.shape[0], : piece.shape[1]] += piece
    return made


def relax(diagonal: Doubles, right: Doubles, start: Doubles, omega: float, tolerance: float, rounds: int) -> Doubles:
    """Solve (L + diagonal) x = right, L the Laplacian of a grid with reflecting edges: x, float64 [R, C, 2].

    Red-black successive over-relaxation (Young 1954), until no value changes by more than the tolerance.

    Args:
        diagonal: above 0 somewhere, [R, C].
        right: the right-hand side, [R, C, 2].
        start: the initial values, [R, C, 2].
        omega: the relaxation factor, 1 to 2.
        tolerance: largest change of a value in the last round.
        rounds: largest number of rounds.
    """
    rows, columns = diagonal.shape
    if right.shape != (rows, columns, 2) or start.shape != right.shape:
        raise ValueError(f"shapes {diagonal.shape}, {right.shape}, {start.shape}: expected [R, C] and twice [R, C, 2]")
    x = np.array(start, np.float64, order="C")
    found = _library()
    if found is not None:
        d, r = (np.ascontiguousarray(each, np.float64) for each in (diagonal, right))
        found.lf_relax(d, r, rows, columns, omega, tolerance, rounds, x)
        return x
    near = np.full((rows, columns), 4.0)
    near[0] -= 1
    near[-1] -= 1
    near[:, 0] -= 1
    near[:, -1] -= 1
    total = (near + diagonal)[..., None]
    chequered = np.add.outer(np.arange(rows), np.arange(columns)) % 2
    for _ in range(rounds):
        most = 0.0
        for colour in (0, 1):
            mine = (chequered == colour)[..., None]
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            summed = right + padded[:-2, 1:-1]
            for neighbour in (padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
                summed = summed + neighbour
            change = np.where(mine, omega * (summed / total - x), 0)
            x = x + change
            most = max(most, float(np.abs(change).max()))
        if most <= tolerance:
            break
    return x


def enlarge(grid: Floats, step: int, mesh: Floats, layer: Layers) -> Floats:
    """A grid [R, C, 2] enlarged to pixels by Catmull-Rom interpolation and mixed with known values: float32 [H, W, 2].

    Args:
        grid: one value for each block of step x step pixels, at its centre.
        step: pixels of a block's side.
        mesh: two known values and their confidence, float32 [H, W, 3].
        layer: int8 [H, W]; known values count where it is 0.
    """
    height, width = _check_mesh(mesh, layer)
    rows, columns = grid.shape[:2]
    if grid.shape != (-(-height // step), -(-width // step), 2):
        raise ValueError(f"the grid is {list(grid.shape)}: expected a block for each {step} pixels of {height, width}")
    known = np.ascontiguousarray(grid, np.float32)
    found = _library()
    if found is not None:
        out = np.empty((height, width, 2), np.float32)
        found.lf_enlarge(known, rows, columns, step, mesh, layer, height, width, out)
        return out
    tall = _enlarged(known, height, step)
    rest = _enlarged(tall.transpose(1, 0, 2), width, step).transpose(1, 0, 2)
    mixed = rest + mesh[..., 2:] * (mesh[..., :2] - rest)
    return np.ascontiguousarray(np.where(layer[..., None] == 0, mixed, rest))


def move(
    picture: npt.NDArray[np.uint8], left: int, top: int, shift: Floats, still: float, gain: Floats, step: int
) -> Floats:
    """Part of a picture, resampled through a displacement field: float32 [h, w, 3].

    Args:
        picture: uint8 [H, W, 3]; it is mirrored at its edges.
        left: the first column of the part.
        top: its first row.
        shift: the field, float32 [h, w, 2].
        still: pixels that move by no more than this, in either direction, stay unchanged.
        gain: factors for the colours of moved pixels, float32 [h', w', 3], at every `step`th pixel from pixel
            step // 2 on.
        step: spacing of the gains in pixels.
    """
    height, width = _check_part(picture, left, top, shift)
    moves, gains = np.ascontiguousarray(shift, np.float32), np.ascontiguousarray(gain, np.float32)
    found = _library()
    if found is None:
        return _move_reference(picture, left, top, moves, np.float32(still), gains, step)
    out = np.empty((height, width, 3), np.float32)
    found.lf_move(
        np.ascontiguousarray(picture), *picture.shape[:2], left, top, moves, height, width, still,
        gains, *gains.shape[:2], step, out,
    )  # fmt: skip
    return out


def gains_at(gain: Floats, step: int, places: Floats) -> Floats:
    """Gains [..., 3] at places [..., 2] in pixels, from those at every `step`th pixel from pixel step // 2 on."""
    return read(gain, (places - np.float32(step // 2)) / np.float32(step))


class Pull(NamedTuple):
    """From where something is taken that is stretched: displacements in pixels, [h, w, 2].

    They are known at the middle of each `step` x `step` pixels of a picture, from its column `left` and row `top` on,
    and go on beyond.
    """

    values: Floats
    left: int
    top: int
    step: int

    def at(self, places: Floats) -> Floats:
        """The displacements at places [..., 2] in pixels."""
        corner = np.array([self.left, self.top], np.float32)
        half = np.float32(0.5)
        return read(self.values, (places - corner + half) / np.float32(self.step) - half)


def keep_background(
    moved: Floats, left: int, top: int, shift: Floats, still: float, gain: Floats, step: int,
    background: npt.NDArray[np.uint8], seen: npt.NDArray[np.uint8], pull: Pull | None = None,
) -> Floats:  # fmt: skip
    """Put a background back in a part of a picture that `move` made, float32 [h, w, 3], in place.

    What came along of it is taken off, and what is free after the motion gets the background that stands there.

    Args:
        moved: the result of `move`.
        left: as for `move`.
        top: as for `move`.
        shift: as for `move`.
        still: as for `move`.
        gain: as for `move`.
        step: as for `move`.
        background: it alone, uint8 [H, W, 3].
        seen: the same, times how much of each pixel of the picture it is, and that share in 255ths, uint8 [H, W, 4].
        pull: from where the background is taken; by default it stands still.

    Returns:
        How much of each pixel is background before and after the motion, float32 [h, w].
    """
    height, width = _check_part(background, left, top, shift)
    if moved.shape != (height, width, 3) or moved.dtype != np.float32 or not moved.flags.c_contiguous:
        raise ValueError(f"moved {moved.dtype} {list(moved.shape)}: expected contiguous float32 {[height, width, 3]}")
    if seen.dtype != np.uint8 or seen.shape != (*background.shape[:2], 4):
        raise ValueError(f"seen {seen.dtype} {list(seen.shape)} of {list(background.shape)} pixels")
    moves, gains = np.ascontiguousarray(shift, np.float32), np.ascontiguousarray(gain, np.float32)
    found = _library()
    if found is None:
        return _keep_reference(moved, left, top, moves, np.float32(still), gains, step, background, seen, pull)
    behind = np.empty((height, width), np.float32)
    pulls = pull or Pull(np.zeros((0, 0, 2), np.float32), 0, 0, 1)
    found.lf_keep_background(
        np.ascontiguousarray(background), np.ascontiguousarray(seen), *seen.shape[:2], left, top, moves, height, width,
        still, gains, *gains.shape[:2], step, np.ascontiguousarray(pulls.values, np.float32), *pulls.values.shape[:2],
        *pulls[1:], moved, behind,
    )  # fmt: skip
    return behind


def keep_inside(shift: Floats, left: int, top: int, size: tuple[int, int], most: float) -> Floats:
    """Bend displacements [h, w, 2] of a part of a picture so that they do not read from outside it.

    None exceeds a part of the distance to the picture's edge on its side; up to a third of that it changes by .1 % at
    most.

    Args:
        shift: float32.
        left: the first column of the part.
        top: its first row.
        size: height and width of the picture.
        most: that part, below 1.
    """
    moves = np.ascontiguousarray(shift, np.float32)
    height, width = moves.shape[:2]
    found = _library()
    if found is not None:
        out = np.empty_like(moves)
        found.lf_keep_inside(moves, height, width, left, top, *size, most, out)
        return out
    places = np.stack(np.meshgrid(np.arange(width) + left, np.arange(height) + top), axis=2).astype(np.float32)
    last = np.array([size[1] - 1, size[0] - 1], np.float32)
    limit = np.float32(most) * np.where(moves > 0, last - places, places).clip(0)
    part = (np.abs(moves) / np.maximum(limit, np.float32(1e-3))).clip(max=1e4)
    for _ in range(3):
        part = part * part  # the eighth power, and below its root: quicker than powers
    bent: Floats = np.clip(moves / np.sqrt(np.sqrt(np.sqrt(1 + part))), -limit, limit)
    return bent


def read(values: Floats, places: Floats, bounded: bool = False) -> Floats:
    """Values [H, W] or [H, W, C] at places [..., 2] (column, row), bilinearly: float32 [...] or [..., C].

    Args:
        values: float32.
        places: finite.
        bounded: use 0 beyond the first and last values; by default the nearest value.
    """
    known = np.ascontiguousarray(values, np.float32)
    at = np.ascontiguousarray(places, np.float32)
    if known.ndim not in (2, 3) or not known.size or at.shape[-1:] != (2,):
        raise ValueError(f"values {list(values.shape)} at places {list(at.shape)}: expected [H, W(, C)] and [..., 2]")
    height, width = known.shape[:2]
    channels = known.shape[2:]
    found = _library()
    if found is None:
        return _read_reference(known.reshape(height, width, -1), at, bounded).reshape(*at.shape[:-1], *channels)
    out = np.empty((*at.shape[:-1], *channels), np.float32)
    found.lf_read(known, height, width, known.size // (height * width), at, at.size // 2, int(bounded), out)
    return out


def mirrored(places: Floats, size: tuple[int, int]) -> Floats:
    """Mirror places [..., 2] beyond the edges of a picture of this height and width into it."""
    last = np.array([size[1] - 1, size[0] - 1], np.float32)
    made: Floats = last - np.abs(last - np.abs(places))
    return made


def _check_part(picture: npt.NDArray[np.uint8], left: int, top: int, shift: Floats) -> tuple[int, int]:
    height, width = shift.shape[:2]
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"the picture is {picture.dtype} {list(picture.shape)}: expected uint8 [H, W, 3]")
    if not (0 <= left <= picture.shape[1] - width and 0 <= top <= picture.shape[0] - height):
        raise ValueError(f"a part of {width} x {height} at {left}, {top} lies outside of {list(picture.shape[:2])}")
    return height, width


def _check_mesh(mesh: Floats, layer: Layers) -> tuple[int, int]:
    height, width = layer.shape
    if mesh.shape != (height, width, 3) or mesh.dtype != np.float32 or layer.dtype != np.int8:
        raise ValueError(
            f"mesh {mesh.dtype} {list(mesh.shape)} and layer {layer.dtype} {list(layer.shape)}: expected float32 "
            "[H, W, 3] and int8 [H, W]"
        )
    return height, width


@functools.cache
def _load() -> ctypes.CDLL | BuildFailed:
    return native.load_for_arrays("warp", SIGNATURES, "numpy moves pictures")


def _library() -> ctypes.CDLL | None:
    return native.for_arrays(_load)


def _enlarged(values: Floats, size: int, step: int) -> Floats:
    """Interpolate along the first axis from one value for each step to one for each pixel."""
    place = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(step) - np.float32(0.5)
    low = np.floor(place)
    weights = cubic_weights(place - low)
    made = np.zeros((size, *values.shape[1:]), np.float32)
    for k in range(4):
        made += weights[k][:, None, None] * values[np.clip(low.astype(np.int64) - 1 + k, 0, len(values) - 1)]
    return made


def _read_reference(values: Floats, places: Floats, bounded: bool) -> Floats:
    last = np.array([values.shape[1] - 1, values.shape[0] - 1], np.float32)
    at = np.clip(places, 0, last)
    left, top = at[..., 0].astype(np.int64), at[..., 1].astype(np.int64)
    right, bottom = np.minimum(left + 1, values.shape[1] - 1), np.minimum(top + 1, values.shape[0] - 1)
    dx, dy = ((at[..., k] - corner.astype(np.float32))[..., None] for k, corner in ((0, left), (1, top)))
    high = values[top, left] + dx * (values[top, right] - values[top, left])
    low = values[bottom, left] + dx * (values[bottom, right] - values[bottom, left])
    made: Floats = high + dy * (low - high)
    if bounded:
        made[((places < 0) | (places > last)).any(axis=-1)] = 0
    return made


def _move_reference(
    picture: npt.NDArray[np.uint8], left: int, top: int, shift: Floats, still: np.float32, gain: Floats, step: int
) -> Floats:
    height, width = shift.shape[:2]
    out: Floats = picture[top : top + height, left : left + width].astype(np.float32)
    rows, columns = np.nonzero(_far(shift, still))
    at = mirrored(_sources(shift, left, top)[rows, columns], (picture.shape[0], picture.shape[1]))
    out[rows, columns] = sample(picture, at) * _gains(gain, step, rows, columns)
    return out


def _keep_reference(
    moved: Floats, left: int, top: int, shift: Floats, still: np.float32, gain: Floats, step: int,
    background: npt.NDArray[np.uint8], seen: npt.NDArray[np.uint8], pull: Pull | None,
) -> Floats:  # fmt: skip
    part = slice(top, top + shift.shape[0]), slice(left, left + shift.shape[1])
    share, there, places = seen[..., 3].astype(np.float32), background[part], _sources(shift, left, top)
    here, free = share[part] / np.float32(255), read(share, places) / np.float32(255)
    found = _far(shift, still)
    if pull is not None:
        own = _sources(np.zeros_like(shift), left, top)
        away = pull.at(own)
        pulled = _far(away, still)
        there = there.astype(np.float32)
        there[pulled] = sample(background, mirrored((own + away)[pulled], (share.shape[0], share.shape[1])))
        found |= pulled
    found &= free > 0
    clear = found & (free == 1) & (here == 1)
    moved[clear] = there[clear]
    rows, columns = np.nonzero(found & ~clear)
    at = mirrored(places[rows, columns], (share.shape[0], share.shape[1]))
    came = sample(seen, at)
    open_ = came[:, 3:] / np.float32(255)
    moved[rows, columns] += open_ * there[rows, columns] - came[:, :3] * _gains(gain, step, rows, columns)
    behind: Floats = np.minimum(here, free)
    return behind


def _far(shift: Floats, still: np.float32) -> npt.NDArray[np.bool_]:
    """Which displacements [h, w, 2] move anything, [h, w]."""
    far: npt.NDArray[np.bool_] = ~((np.abs(shift[..., 0]) <= still) & (np.abs(shift[..., 1]) <= still))
    return far


def _sources(shift: Floats, left: int, top: int) -> Floats:
    """Where the pixels of a part of a picture come from, [h, w, 2]."""
    columns, rows = np.arange(shift.shape[1]) + left, np.arange(shift.shape[0]) + top
    sources: Floats = np.stack(np.meshgrid(columns, rows), axis=2).astype(np.float32) + shift
    return sources


def _gains(gain: Floats, step: int, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Floats:
    return gains_at(gain, step, np.stack([columns, rows], axis=1).astype(np.float32))
