"""Moves lids over the eyeball, and the iris within the white.

The skin above a moving lid margin is stretched between the margin and a fold at a fixed height, while the lashes move
rigidly with the margin: a closed lid shows its own skin, and its lashes where the lids meet. Between the lids, the
eyeball stays in place (`eyeball`). Lengths are inter-ocular distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.head.eye_contour import Eye, EyeMap, mesh_eye
from latentface.head.eyeball import LASHES, EyeWhite, find_eyeball, shade_eyeball, whiten
from latentface.head.field import Field
from latentface.head.geometry import Box, ramp
from latentface.head.lids import LidSkin, find_grain, paint_lid
from latentface.head.model import HeadModel
from latentface.ops.raster import sample

SIDES = ("left", "right")
BROWS = {"left": slice(22, 27), "right": slice(17, 22)}  # their landmarks
AT_REST = 0.5  # of it, while lids keep still, moves with the eyeball, or a glance would stop at the lashes
FOLDS = (0.115, 0.12)  # how far above the upper and below the lower margin skin is stretched
WIDER = 0.065  # how much wider than in the photo an eye opens, at most
ROOM = 0.6  # or by this part of the space above it
LIFT = 1.2  # largest stretch of the skin above it by a raised brow
DRAWN = (1.15, 1.8)  # how far skin is drawn out until hidden skin is painted instead
SMEARED = (2.2, 3.2)  # the same for all of it, since no detail of it is left
ROOTS, BUSH = 0.3, 0.5  # the parts of a hairy lid beside its margin and its fold that are not drawn out
CHEEK = 0.06  # below the lower margin, where skin has no lashes any more
EDGED = 0.3  # of the strip from margin to fold: lashes, or a rim of white that is taken for the lid
BLEND = 0.10  # over this distance beyond the fold the head's own motion takes over
MEET = 0.18  # where closed lids meet, from the lower margin (0) to the upper (1)
BLINK = 0.13  # how far the lids of the mesh move when they shut, which wide eyes do as well
SLOWER = 0.8  # of the mesh's speed: so lids begin to close, since lashes hide what is still open
SHUT = 0.10  # the lids of the mesh count as closed below this share of their opening


@dataclass(frozen=True)
class Socket:
    """An eye that a photo shows, and its lids.

    Attributes:
        side: "left" or "right", of the person.
        eye: as the photo shows it.
        mesh: according to the head (`mesh_eye`).
        skin: the upper lid's.
        white: the eyeball's.
        folds: how far over the upper margin and below the lower one skin is stretched, in inter-ocular distances.
    """

    side: str
    eye: Eye
    mesh: Eye
    skin: LidSkin
    white: EyeWhite
    folds: tuple[float, float] = FOLDS


@dataclass(frozen=True)
class Blink:
    """The motion of an eye in a box of the photo.

    Attributes:
        box: where.
        unit: pixels of an inter-ocular distance.
        upper: displacement to the source p + upper of the upper lid's skin, [H, W, 2]; lower: of the lower lid's.
        over: 1 where the upper lid is seen, 0 where the lower one, [H, W].
        weight: the weight of the lids' motion against the head's, [H, W].
        strip: where the upper lid's skin lies between its margin in the photo (0) and the fold (1), [H, W].
        drawn: how far that skin is drawn out, 0 to 1, [H, W].
        cheek: places of skin below the eye that is like it, as far from its lashes, [H, W, 2].
        smeared: how far it is drawn out too much for anything to be told, 0 to 1, [H, W].
        skin: the upper lid's.
        open: 1 where the eyeball is seen, 0 where lids are, [H, W]; it is seen at all at N pixels.
        eyeball: its source there, [2, N, 2]; of covered parts one on either side of the iris.
        inner: how much of the second of them, on the inner side, is seen, [N].
        shade: the factor of its brightness, [N].
        white: the colour than which it is nowhere darker before that, [N, 3].
        amount: how far the eye differs from the photo's, from 0 (not at all: the photo's pixels serve) to 1.
    """

    box: Box
    unit: float
    upper: Float32Array
    lower: Float32Array
    over: Float32Array
    weight: Float32Array
    strip: Float32Array
    drawn: Float32Array
    cheek: Float32Array
    smeared: Float32Array
    skin: LidSkin
    open: Float32Array
    eyeball: Float32Array
    inner: Float32Array
    shade: Float32Array
    white: Float32Array
    amount: float


def find_blink(
    socket: Socket,
    model: HeadModel,
    before: Float32Array,
    after: Float32Array,
    size: tuple[int, int],
    blend: float = BLEND,
) -> Blink | None:
    """The motion of an eye between two heads, or None if it does not move.

    The box may be empty.

    Args:
        socket: the eye.
        model: the head.
        before: its vertices as they lie in the photo, [V, 3].
        after: where they are to lie, [V, 3].
        size: height and width of the photo, in pixels.
        blend: over which distance beyond the upper fold the head's own motion takes over.
    """
    eye, folds = socket.eye, socket.folds
    now = follow(eye, socket.mesh, mesh_eye(model, after, socket.side), min(WIDER, ROOM * folds[0]))
    gaze = now.iris[:2] - eye.iris[:2]
    closing = _closing(eye, now)
    amount = float(ramp(max(closing, float(np.hypot(*gaze))) * eye.unit, 0.15, 0.8))
    if not amount:
        return None
    reach = np.array([[-0.16, -0.36], [-0.16, 0.48], [0.16, -0.36], [0.16, 0.48]])
    reach[:, 0] += now.corners[[0, 0, 1, 1], 0]
    box = Box.around(now.places(reach[:, 0], reach[:, 1]), 0, *size)
    places = box.places()
    here = EyeMap(eye, now, *now.frame(places))
    u_was, v, (upper_was, lower_was), (upper, lower) = here.u_was, here.v, here.margins_was, here.margins
    brow = model.landmarks[BROWS[socket.side]]
    lift = _lift(here, before[brow, :2], after[brow, :2])
    above, weight_above, stretch = _upper_lid(here, folds[0], blend, lift, socket.skin.hairy)
    below, weight_below = _lower_lid(here, folds[1])
    shifts = [(eye.places(u_was, source) - places).astype(np.float32) for source in (above, below)]
    drawn = ramp(stretch, *DRAWN) * ramp(upper_was - upper, 0.0, 0.03)  # what a raised brow draws out is the photo's
    strip = ((above - upper_was) / folds[0]).astype(np.float32)
    cheek = eye.places(u_was, lower_was - CHEEK - np.maximum(v - upper, 0)).astype(np.float32)
    over = ramp((v - _seam(here)) * now.unit, -0.75, 0.75)
    lashes = np.array(LASHES) * (1 - AT_REST * (1 - ramp(closing, 0.006, 0.03)))
    open_ = ramp(np.minimum(upper - lashes[0] - v, v - lower - lashes[1]) * now.unit, -0.8, 0.8)
    bare = here.at(open_ > 0)
    eyeball, inner, hidden = find_eyeball(bare, gaze)
    weight = np.where(over > 0.5, weight_above, weight_below)
    return Blink(
        box, now.unit, shifts[0], shifts[1], over, weight, strip, drawn, cheek, ramp(stretch, *SMEARED), socket.skin,
        open_, eyeball, inner, shade_eyeball(bare), whiten(bare, socket.white, hidden), amount,
    )  # fmt: skip


def _closing(eye: Eye, now: Eye) -> float:
    """How far lids have moved, at most."""
    t = np.linspace(0, 1, 9)
    margins = zip(eye.margins(eye.across(t)), now.margins(now.across(t)), strict=True)
    return max(float(np.abs(was - is_now).max()) for was, is_now in margins)


def follow(eye: Eye, was: Eye, now: Eye, most: float = WIDER) -> Eye:
    """The photo's eye, changed like the mesh's eye; it opens wider by at most `most`."""
    gaps = was.opening, now.opening
    share = _share(*gaps) if gaps[0] > 0.02 else 1.0
    if share < 1:
        closed = min((1 - share) / (1 - SHUT), 1.0)
        share = 1 - closed * (SLOWER + (1 - SLOWER) * closed**4)
    upper, lower = eye.upper, eye.lower + (now.lower - was.lower) * [1, 0]
    if share < 1:
        meet = MEET * upper - (1 - MEET) * lower  # height over the corners' line at which they close
        upper, lower = share * upper + (1 - share) * meet, share * lower - (1 - share) * meet
    else:
        wider = min(gaps[1] - gaps[0], most) * 1.5  # the middle of an arch of that mean
        upper, lower = upper + np.array([0.8 * wider, 0]), eye.lower + np.array([0.2 * wider, 0])
    corners = eye.corners + now.corners - was.corners
    gaze = now.iris[:2] - was.iris[:2]
    far = float(np.hypot(*gaze))
    gaze = gaze * ramp(far, 0.004, 0.012)  # a head that turns carries the corners past the iris a little
    iris = np.array([*(eye.iris[:2] + gaze), eye.iris[2]])
    return Eye(now.origin + (eye.origin - was.origin), now.axes, corners, upper, lower, iris)


def _share(was: float, now: float) -> float:
    """How much of its opening an eye keeps whose mesh's opening changes: nothing when that has moved by `BLINK`."""
    whole = min(was, BLINK)
    way = (was - now) / whole
    return 1 - way * (whole + (was - whole) * way) / was


def _seam(places: EyeMap) -> Float64Array:
    """Coordinate v of the border between upper and lower lid; of a closed eye, of the end of the upper lashes."""
    upper, lower = places.margins
    shut = np.maximum(LASHES[0] + LASHES[1] - (upper - lower), 0)
    seam: Float64Array = (upper - LASHES[0] + lower + LASHES[1] - shut) / 2
    return seam


def _upper_lid(
    places: EyeMap, fold: float, blend: float, lift: Float64Array, hairy: float
) -> tuple[Float64Array, Float32Array, Float64Array]:
    """The upper lid: v of its skin in the photo, its weight, and by how much it is drawn out.

    It reaches up to a fold that is lifted with the brow. hairy: how far it is hidden by lashes, which keep to the
    margin while the eye is open, and by a brow, which keeps to the fold.
    """
    margin, margin_was = places.margins[0], places.margins_was[0]
    height, fallen = places.v - margin, margin_was - margin  # less than 0 among the lashes
    rise = np.minimum(lift, LIFT * fold)  # a narrow strip of skin is not stretched as far as a raised brow
    stretched = np.maximum(fold + fallen + rise, 0.4 * fold)  # from the margin to the fold, now
    low, high = hairy * fold * ROOTS * (1 - ramp(fallen, 0.0, 0.02)), hairy * fold * BUSH
    source, factor = _stretch(height, fold, stretched, low, high)
    weight = (1 - ramp(height, 0.8 * stretched, stretched + blend)) * _beside(places)
    return margin_was + source, weight.astype(np.float32), factor


def _lower_lid(places: EyeMap, fold: float) -> tuple[Float64Array, Float32Array]:
    """The lower lid: v of its skin in the photo, and its weight."""
    margin, margin_was = places.margins[1], places.margins_was[1]
    height, stretched = margin - places.v, np.maximum(fold + margin - margin_was, 0.4 * fold)
    source, _ = _stretch(height, fold, stretched)
    weight = (1 - ramp(height, 0.5 * stretched, stretched)) * _beside(places)
    return margin_was - source, weight.astype(np.float32)


def _stretch(
    height: Float64Array, fold: float, stretched: Float64Array, low: npt.ArrayLike = 0.0, high: npt.ArrayLike = 0.0
) -> tuple[Float64Array, Float64Array]:
    """The former height of skin that is now at `height`, if the fold moved from one height to another.

    Also by how much the skin there is drawn out. low, high: how much of it, beside the margin and the fold, is not.
    """
    longer = stretched > fold
    low, high = np.where(longer, low, 0.0), np.where(longer, high, 0.0)
    factor = (stretched - low - high) / (fold - low - high)
    source = np.where(height < low, height, low + (height - low) / factor)
    source = np.where(height > stretched - high, fold + height - stretched, source)
    return source, np.where((height > low) & (height < stretched - high), factor, 1.0)


def _beside(places: EyeMap) -> Float32Array:
    """The weight of lids, which is zero beyond the corners."""
    return 1 - ramp(np.abs(places.along - 0.5) - 0.5, 0.0, 0.25)


def _lift(places: EyeMap, brow: Float32Array, brow_now: Float32Array) -> Float64Array:
    """How far the brow over each place rose; brows are points, [N, 2]."""
    was_u, was_v = places.eye.frame(brow)
    _, now_v = places.now.frame(brow_now)
    order = np.argsort(was_u)
    lift: Float64Array = np.interp(places.u_was, was_u[order], (now_v - was_v)[order])
    return lift


def with_lids(
    field: Field, blinks: Sequence[Blink], free: Callable[[Float32Array], Float32Array | float]
) -> Float32Array:
    """Combine the field with the motion of lids, weighted by `free` at the target and at the source."""
    if not blinks:
        return field.shift
    shift: Float32Array = field.shift.copy()
    for blink in blinks:
        there, here = field.box.shared(blink.box)
        places = blink.box.places()[here]
        skin = np.where(blink.over[here][..., None] > 0.5, blink.upper[here], blink.lower[here])
        weight = (blink.weight * blink.amount)[here] * free(places) * free(places + skin)
        shift[there] = (1 - weight[..., None]) * shift[there] + weight[..., None] * skin
    return shift


def open_eye(
    moved: Float32Array,
    photo: Pixels,
    field: Field,
    blink: Blink,
    free: Callable[[Float32Array], Float32Array | float],
) -> None:
    """Put hidden skin of lids, their seam, and the eyeball between them into the photo after its motion.

    moved: the photo after the motion in the field's box, [H, W, 3]. free: as for `with_lids`.
    """
    there, here = field.box.shared(blink.box)
    places, over = blink.box.places()[here], blink.over[here]
    if blink.drawn.any():
        weight = blink.weight[here] * over * blink.drawn[here] * np.float32(blink.amount) * free(places)
        source = sample(photo, places + blink.upper[here])
        strip, grain = blink.strip[here], find_grain(photo, blink.cheek[here], blink.unit)
        bare = (strip > EDGED) & (blink.open[here] == 0)
        paint_lid(moved[there], source, strip, weight, blink.smeared[here], bare, grain, blink.skin, blink.unit)
    seam = (over > 0) & (over < 1)  # both lids share these pixels
    lids = [sample(photo, (places + lid[here])[seam]) for lid in (blink.upper, blink.lower)]
    both = over[seam, None] * lids[0] + (1 - over[seam, None]) * lids[1]
    weight = (blink.weight * blink.amount)[here][seam, None]
    moved[there][seam] = (1 - weight) * moved[there][seam] + weight * both
    seen, within = blink.open > 0, np.zeros(blink.open.shape, bool)
    within[here] = True
    outer, inner = (sample(photo, source) for source in blink.eyeball)
    ball = np.maximum(outer + blink.inner[:, None] * (inner - outer), blink.white) * blink.shade[:, None]
    share = (blink.open * blink.amount)[here][seen[here]][:, None]
    moved[there][seen[here]] = (1 - share) * moved[there][seen[here]] + share * ball[within[seen]]
