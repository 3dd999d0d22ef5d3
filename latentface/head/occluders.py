"""Occluders in front of a face: detected by a network, and kept in place while the face moves behind them.

Examples are hands, microphones, phones, cups, cloths and strands of hair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.faces.alignment import glance
from latentface.faces.crop import FaceCrop, map_points
from latentface.faces.regions import fill
from latentface.head.geometry import Box, blur_known, ramp
from latentface.networks.occluders import OccluderNet

SURE = 1.5  # the logit that some pixel of an occluder must reach
DOUBT = -0.5  # the logit from which on pixels connected to it belong to it
MOST = 8.0  # larger logits count as this one
LEAST = 0.008  # of the face: smaller coverage is ignored
PIECE = 0.002  # of the crop: smaller pieces are left out
RIM = 0.012  # crop sides: the width of skin around it that stays in place too, since its edge is uncertain
FAINT = 3.0  # limits the logits of the frame before, which decide where there is doubt
ALIKE, BLUR = 6.0, 1.5  # levels of difference, and pixels of blur: they count where the picture has not changed
HIDDEN = 0.5  # of the lips: if more of them is covered, their motion is unknown


@dataclass(frozen=True)
class Occluders:
    """The occluders of a face.

    Attributes:
        box: a box of the photo.
        distance: to it, in pixels, [H, W].
        rim: width of the surrounding region that does not move, in pixels.
    """

    box: Box
    distance: Float32Array
    rim: float

    @property
    def cover(self) -> Float32Array:
        """How much of each pixel stays as it is, [H, W]."""
        return 1 - ramp(self.distance, 0.4 * self.rim, self.rim)

    def lay(self, photo: Pixels, picture: Float32Array, box: Box) -> None:
        """Put the photo's own pixels over a picture [h, w, 3] of a box, in place."""
        here, there = box.shared(self.box)
        cover = self.cover[there][..., None]
        picture[here] += cover * (photo[self.box.slices][there] - picture[here])

    def uncovered(self, box: Box) -> Float32Array:
        """How much of each pixel of a box is not covered, [h, w]."""
        made = np.ones((box.height, box.width), np.float32)
        here, there = box.shared(self.box)
        made[here] -= self.cover[there]
        return made

    def hide(self, landmarks: Float64Array) -> bool:
        """Whether they cover most of the lips, by landmarks [68, 2]."""
        inner = landmarks[[60, 60, 61, 62, 63, 64, 64, 64, 65, 66, 67, 60]]
        lips = np.concatenate([landmarks[48:60], 0.5 * landmarks[48:60] + 0.5 * inner])
        return bool((self.box.read(self.distance, lips, np.inf) == 0).mean() > HIDDEN)

    def behind(self, photo: Pixels) -> Pixels:
        """The photo with occluders replaced by their surroundings, smoothly, so that uncovered areas look like skin."""
        hidden = self.distance <= 1.2 * self.rim
        if hidden.all():
            return photo
        part = photo[self.box.slices].astype(np.float32)
        smooth = blur_known(part, ~hidden, 1.5 * self.rim)[0]
        rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        filled = np.where(hidden[..., None], smooth[rows, columns], part)
        filled = np.where(hidden[..., None], blur_known(filled, np.ones_like(hidden), self.rim)[0], part)
        made: Pixels = photo.copy()
        made[self.box.slices] = np.rint(filled).clip(0, 255)
        return made

    def hold(self, shift: Float32Array, box: Box) -> None:
        """Exclude them from the motion of a field [h, w, 2] of a box, in place."""
        here, there = box.shared(self.box)
        shift[here][self.distance[there] <= 0.7 * self.rim] = 0


@dataclass(frozen=True, eq=False)
class Look:
    """A crop of a face, and for each of its pixels the logit that something is in front of the face, [S, S]."""

    crop: FaceCrop
    logits: Float32Array

    def after(self, before: Look) -> Look:
        """The same, but where the frame before looked alike, what was seen there counts as well.

        So what is barely found does not flicker, and what moves is not seen where it was.
        """
        now, then = (
            ndimage.gaussian_filter(each.crop.image.astype(np.float32), (BLUR, BLUR, 0)) for each in (self, before)
        )
        share = np.exp(-np.square(np.abs(now - then).mean(axis=2) / ALIKE))
        remembered = before.logits.clip(-FAINT, FAINT)
        return Look(self.crop, ((self.logits + share * remembered) / (1 + share)).astype(np.float32))


def look_for_occluders(photo: Pixels, landmarks: Float64Array, network: OccluderNet, *, mirrored: bool = True) -> Look:
    """Look for occluders of a face with landmarks [68, 2] in a photo.

    mirrored: look at the mirror image as well, which is more exact and takes twice the time.
    """
    crop = glance(photo, landmarks, network.config.size)
    return Look(crop, occluder_logits(network, crop.image, mirrored))


def find_occluders(photo: Pixels, look: Look) -> Occluders | None:
    """The occluders of a face in a photo; None if there are none."""
    crop, logits = look.crop, look.logits
    mask = _certain(logits, crop)
    if mask is None:
        return None
    side = np.where(mask, np.maximum(logits, DOUBT), np.minimum(logits, DOUBT))
    box = Box.around(crop.quad, 0, *photo.shape[:2])
    if not box.width or not box.height:
        return None
    at = map_points(crop.from_photo, box.places())
    values = ndimage.map_coordinates(side, [at[..., 1], at[..., 0]], order=1, mode="nearest")
    found = values > DOUBT
    if not found.any():
        return None
    distance = ndimage.distance_transform_edt(~found)
    return Occluders(box, distance.astype(np.float32), max(1.5, RIM * crop.side))


def occluder_logits(network: torch.nn.Module, image: Pixels, mirrored: bool) -> Float32Array:
    """What a network says of a crop [S, S, 3], -MOST to MOST, [S, S]; `mirrored`: the mean with the mirror image."""
    picture = torch.tensor(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        logits = network(picture).float().clamp(-MOST, MOST)
        if mirrored:
            logits = (logits + network(picture.flip(3)).float().clamp(-MOST, MOST).flip(3)) / 2
    made: Float32Array = logits[0, 0].numpy()
    return made


def _certain(logits: Float32Array, crop: FaceCrop) -> BoolArray | None:
    """The covered part [S, S] of a crop; None if it is too small."""
    mask = sure_pieces(logits, DOUBT)
    face = fill(crop.crop_landmarks, (crop.size, crop.size))
    return mask if mask[face].sum() > LEAST * face.sum() else None


def sure_pieces(logits: Float32Array, doubt: float) -> BoolArray:
    """Where logits [S, S] of a crop are above a doubt, in components that are large and have a confident pixel."""
    labels, count = ndimage.label(logits > doubt)
    if not count:
        return np.zeros(logits.shape, bool)
    index = np.arange(1, count + 1)
    sure = ndimage.maximum(logits, labels, index) > SURE
    large = ndimage.sum_labels(np.ones_like(logits), labels, index) > PIECE * logits.size
    return np.isin(labels, index[sure & large])
