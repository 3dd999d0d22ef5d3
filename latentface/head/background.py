"""What stands behind people in a photo: it keeps still while a head moves in front of it.

A photo I is people in front of a background B, I = P + (1 - a) B, with the share a of each pixel that belongs to people
and their premultiplied colours P. A motion M moves P and a but not B:

    M(P) + (1 - M(a)) B  =  M(I) - M((1 - a) B) + (1 - M(a)) B,

so that no motion gives the photo back, whatever B is. A network tells the shares in the face's crop and in a wider one.
A guided filter (He, Sun and Tang 2013, with coefficients on a small copy, He and Sun 2015) makes them as sharp as the
photo.

Beside people are strands of hair of which the network says nothing. Where patches continue the background well
(`uncovered`), B there is what they show, so that what differs from it, I - B, moves along with the head. Where they do
not (flags, foliage), that would move pieces of the background: only a narrow edge moves along, and the background is
stretched over what the head uncovers (`stretching`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.faces.alignment import crop_face, glance
from latentface.faces.crop import FaceCrop, inter_ocular, map_points
from latentface.head.geometry import Box, bands, block_middles, on_blocks, ramp
from latentface.head.stretching import Stretch
from latentface.head.uncovered import continue_background
from latentface.io.images import reduced
from latentface.networks.matte import MatteNet
from latentface.ops.warp import read

if TYPE_CHECKING:
    from latentface.head.motion import Motion

WIDER = 1.5  # the side of the wide crop, as far as which heads move, in those of the face's crop
MARGIN = 0.7  # crop sides around the crop in which the background keeps still
CELLS = 288  # the longer side of the small copy of all that
RADIUS = 4  # of the guided filter's windows, in its pixels
SMOOTH = 1e-3  # variance of colours, in 0 to 1, below which a window has no edge
BORDER = 0.06  # of the crop's side: so near its border the network is less certain
SHOULDERS = 0.88  # of the crop's height: what lies below a person there is a person
NECK = 4  # pixels of the small copy: what is thinner than twice that connects nothing
LEAST, MOST = 0.2, 0.8  # shares of people that count as none and as all
PERSON = 0.02  # share from which on a pixel is no pure background
CLEAR = (1.5, 4.0)  # pixels of the small copy: over this distance from people there are no strands
EDGE = (0.3, 1.3)  # the same for people themselves
DOUBTFUL = (4.0, 9.0)  # levels of misfit over which patches no longer tell strands from what stands behind them
USELESS = (11.0, 17.0)  # and over which the background is stretched instead
SKULL = (0.1, 0.25)  # inter-ocular distances: so far above the eyes only what lies so deep in the head is certain
REACH = 0.16  # crop sides: so far behind people a moving head uncovers what stands there
VISIBLE = 0.004  # share of background around the face: with less there is none


@dataclass(frozen=True, eq=False)
class Background:
    """The background of a photo.

    Attributes:
        picture: the background alone, filled where people hide it, uint8 [H, W, 3].
        seen: what the photo shows of it, uint8 [H, W, 4]: premultiplied, and how much of each pixel it is, in 255ths;
            0 far from the face, where none is known, and at most 254 where strands may be in front of it.
        stretch: how it gives way beside people; None if it stands still.
    """

    picture: Pixels
    seen: Pixels
    stretch: Stretch | None = None

    def keep_still(self, moved: Float32Array, motion: Motion) -> Float32Array:
        """Put the background back in a moved photo, [h, w, 3] of the motion's box, in place.

        Returns:
            How much of each pixel is background before and after the motion, [h, w].
        """
        pull = None if self.stretch is None else self.stretch.pull(motion)
        return motion.keep(moved, self.picture, self.seen, pull)


def find_background(
    photo: Pixels, landmarks: Float64Array, people: BoolArray, head: Box, network: MatteNet
) -> Background | None:
    """Find the background around a face with landmarks [68, 2]; None if there is none to be seen.

    Args:
        photo: uint8 RGB [H, W, 3].
        landmarks: of the face.
        people: which pixels of the head's box the model covers, [h, w].
        head: that box.
        network: what tells people from backgrounds.
    """
    crop = crop_face(photo, landmarks, network.config.size)
    box = Box.around(crop.quad, MARGIN * crop.side, *photo.shape[:2])
    if not box.width or not box.height:
        return None
    part = photo[box.slices]
    step = max(1, -(-max(box.height, box.width) // CELLS))
    small = reduced(part, step).astype(np.float32) / np.float32(255)
    places = block_middles(box, step).astype(np.float32)
    wide = glance(photo, landmarks, network.config.size, wider=WIDER)
    share = sharpen(_people(crop, wide, network, places), small, part, step)
    for band in bands(len(share)):
        share[band] = 1 - ((share[band] - LEAST) / (MOST - LEAST)).clip(0, 1)
    here, there = head.shared(box)
    share[there][_certain(people, head, landmarks)[here]] = 0
    if share.mean() < VISIBLE:
        return None
    apart = _measure_apart(share > 1 - PERSON, step)
    alone = np.empty(share.shape, np.uint8)
    for band in bands(len(share)):
        np.rint(255 * share[band] * ramp(apart[band], *_in_255ths(CLEAR)), out=alone[band], casting="unsafe")
    picture, seen = photo.copy(), np.zeros((*photo.shape[:2], 4), np.uint8)
    moving = map_points(crop.from_photo, places)[..., 1] < SHOULDERS * crop.size
    picture[box.slices], misfit = continue_background(part, alone, step, REACH * crop.side, moving)
    opacity = _keep_strands(picture[box.slices], part, share, apart, alone, misfit, step)
    del share, apart, alone  # large photos take much memory
    premultiply(picture[box.slices], opacity, seen[box.slices])
    return Background(picture, seen, Stretch.of(opacity, box, ramp(misfit, *USELESS), step))


def _certain(people: BoolArray, head: Box, landmarks: Float64Array) -> BoolArray:
    """The part of a head's pixels [h, w] that is certain: the model's skull, which no photo shows, may be too high."""
    unit = inter_ocular(landmarks)
    up = landmarks[27] - landmarks[8]
    above = (head.places() - np.float32(landmarks[27])) @ np.float32(up / np.hypot(*up))
    depth = ndimage.distance_transform_edt(np.pad(people, 1))[1:-1, 1:-1]
    made: BoolArray = people & ((above < SKULL[0] * unit) | (depth > SKULL[1] * unit))
    return made


def _keep_strands(
    picture: Pixels, photo: Pixels, share: Float32Array, apart: Pixels, alone: Pixels, misfit: Float32Array, step: int
) -> Pixels:
    """Decide what of a background's edge beside people moves with them.

    Args:
        picture: the background that is continued behind people and strands, [H, W, 3]; where patches cannot tell
            strands, it gets the photo's pixels beside people, in place.
        photo: the photo, [H, W, 3].
        share: how much of each pixel is background, [H, W].
        apart: how far it is from people, as by `_measure_apart`.
        alone: how much of it is background beyond strands, in 255ths, uint8 [H, W].
        misfit: of the patches, levels, on the small copy.
        step: its blocks' size.

    Returns:
        How much of each pixel is background that keeps still, in 255ths.
    """
    opacity = np.empty(share.shape, np.uint8)
    doubt = ramp(misfit, *DOUBTFUL)
    for band in bands(len(share)):
        places = on_blocks(Box(0, band.start, share.shape[1], band.stop).places(), step)
        unsure, known = read(doubt, places), alone[band] / np.float32(255)
        beside = share[band] * ramp(apart[band], *_in_255ths(EDGE))
        still = share[band] + unsure * (beside - share[band])
        opacity[band] = np.where(known == 1, 255, np.minimum(np.rint(255 * still), 254))
        # The picture is behind + known (photo - behind); of the photo there is to be `beside` where patches fail.
        more = (unsure * (beside - known)).clip(0) / np.maximum(1 - known, np.float32(1e-3))
        shown = picture[band] + more[..., None] * (photo[band] - picture[band].astype(np.float32))
        picture[band] = np.rint(shown).clip(0, 255)
    return opacity


def premultiply(picture: Pixels, opacity: Pixels, out: Pixels) -> None:
    """Write a picture [H, W, 3] times its opacity [H, W] in 255ths, and that opacity, to [H, W, 4]; all are uint8."""
    for band in bands(len(picture)):
        shown = picture[band] * (opacity[band, :, None] / np.float32(255))
        np.rint(shown, out=out[band, :, :3], casting="unsafe")
        out[band, :, 3] = opacity[band]


def _measure_apart(pure: BoolArray, step: int) -> Pixels:
    """How far each pixel is from those that are not pure background, in 255ths of the end of `CLEAR`, uint8 [H, W]."""
    most = math.ceil(CLEAR[1] * step)
    made = np.full(pure.shape, 255, np.uint8)
    for band in bands(len(pure)):
        first = max(band.start - most, 0)
        near = pure[first : band.stop + most]
        if not near.all():
            distance = ndimage.distance_transform_edt(near)[band.start - first : band.stop - first]
            made[band] = np.rint((distance * (255 / (CLEAR[1] * step))).clip(0, 255))
    return made


def _in_255ths(distances: tuple[float, float]) -> tuple[float, float]:
    """Distances in pixels of the small copy, as `_measure_apart` gives them."""
    return 255 * distances[0] / CLEAR[1], 255 * distances[1] / CLEAR[1]


def _people(crop: FaceCrop, wide: FaceCrop, network: MatteNet, places: Float32Array) -> Float32Array:
    """How much of the pixels at places [h, w, 2] of a photo belongs to people, [h, w].

    The network is surest in the face's crop. Around it a wider one tells; hair that is there goes on in the crop.
    """
    side, made = _shares(crop, network, places)
    around, wide_made = _shares(wide, network, places)
    over = side[..., 1] < SHOULDERS
    beside = np.where(over, np.minimum(wide_made, made), np.maximum(wide_made, made))
    made = beside + _within(side) * (made - beside)
    low = np.where(over, 0, made + (1 - _within(around)) * (1 - made))  # nothing is known of what lies beyond
    made = np.where(over, made, np.maximum.accumulate(low, axis=0))  # below shoulders there are bodies
    face: BoolArray = np.all((side > 0.4) & (side < 0.6), axis=-1)
    return made * _connected(made > 0.5, face)


def _within(side: Float32Array) -> Float32Array:
    """How far places [..., 2], in sides of a crop, lie within its border, 0 to 1."""
    depth: Float32Array = np.minimum(side, 1 - side).min(axis=-1)
    return np.asarray(ramp(depth, 0.0, BORDER))


def _shares(crop: FaceCrop, network: MatteNet, places: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Where places [h, w, 2] of a photo lie in a crop, in its sides, and how much belongs to people there, [h, w].

    Beyond the crop that is what belongs to them at its border.
    """
    with torch.no_grad():
        picture = torch.tensor(crop.image).permute(2, 0, 1)[None].float() / 127.5 - 1
        logits = network(torch.cat([picture, picture.flip(3)]))[:, 0].float()
        shares = ((logits[0] + logits[1].flip(1)) / 2).sigmoid().numpy()
    at = map_points(crop.from_photo, places).astype(np.float32)
    return (at + np.float32(0.5)) / np.float32(crop.size), read(shares, at)


def _connected(people: BoolArray, face: BoolArray) -> BoolArray:
    """The part of people [h, w] to which a face is connected by a neck at least, and hair around it."""
    labels, _ = ndimage.label(ndimage.binary_opening(people, iterations=NECK))
    mine = np.unique(labels[face & (labels > 0)])
    made: BoolArray = ndimage.binary_dilation(np.isin(labels, mine), iterations=2 * NECK) if len(mine) else people
    return made


def sharpen(values: Float32Array, small: Float32Array, picture: Pixels, step: int) -> Float32Array:
    """Values as sharp as a picture [H, W, 3], by a guided filter.

    Args:
        values: on a small copy of the picture, [h, w].
        small: that copy, [h, w, 3] in 0 to 1, with a pixel for each step x step ones.
        picture: uint8.
        step: the size of the blocks.
    """

    def mean(x: Float32Array) -> Float32Array:
        made: Float32Array = ndimage.uniform_filter(x, (2 * RADIUS + 1, 2 * RADIUS + 1, 0)[: x.ndim], mode="nearest")
        return made

    colours, level = mean(small), mean(values)
    products = (small[..., :, None] * small[..., None, :]).reshape(*values.shape, 9)
    spread = mean(products).reshape(*values.shape, 3, 3) - colours[..., :, None] * colours[..., None, :]
    common = mean(small * values[..., None]) - colours * level[..., None]
    slopes = np.linalg.solve(spread + SMOOTH * np.eye(3, dtype=np.float32), common[..., None])[..., 0]
    offset = level - (slopes * colours).sum(axis=-1)
    planes = mean(np.dstack([slopes / np.float32(255), offset]).astype(np.float32))
    made = np.empty(picture.shape[:2], np.float32)
    for band in bands(len(made)):
        at = read(planes, on_blocks(Box(0, band.start, picture.shape[1], band.stop).places(), step))
        made[band] = (at[..., :3] * picture[band]).sum(axis=-1) + at[..., 3]
    return made
