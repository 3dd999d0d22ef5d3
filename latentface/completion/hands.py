"""What is in front of a face, hand or not, found whole: where a network is in doubt, colours decide.

Beside the face, the colours of what the network is sure of are told from those around it, so that the fingers, the
wrist and the arm belong to the hand.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface import hub
from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.completion.holes import grown
from latentface.faces.alignment import glance
from latentface.faces.crop import FaceCrop, inter_ocular, map_points
from latentface.faces.regions import fill, outline
from latentface.head.geometry import Box
from latentface.head.occluders import occluder_logits, sure_pieces

DOUBT = -1.0  # the logit from which on a pixel belongs to what is in front
NOT = -3.0  # the logit below which the colours of what is not in front are taken from
APART = 3  # pixels of the crop between the two
BINS = 16  # of each channel
COLOUR = 4.0  # the most that colours add to a logit
SHADOW = 0.12  # inter-ocular distances around it that are shaded
FOLLOW = 0.4  # crop sides by which the view moves on after an arm that leaves it
FOLLOWED = 3  # how often, each way
NEW = 0.1  # least share of a view that shows something new


def find_hands(photo: Pixels, crop: FaceCrop) -> BoolArray | None:
    """Whatever is found in front of a face, the shadows beside it, and the arm behind it, [H, W]; None if nothing is.

    Args:
        photo: uint8 RGB [H, W, 3].
        crop: the face.
    """
    covered = seen = np.zeros(photo.shape[:2], bool)
    covered, seen = _look(photo, crop, 0 * crop.quad[0], covered, seen)
    if not covered.any():
        return None
    down, across = crop.quad[1] - crop.quad[0], crop.quad[3] - crop.quad[0]
    for way in (down, -across, across):
        for step in range(1, FOLLOWED + 1):
            more, view = _look(photo, crop, FOLLOW * step * way, covered, seen)
            if (view & ~seen).sum() < NEW * view.sum():
                break  # what lies beyond the photo is reflected in the view, and an arm would meet itself
            labels, _ = ndimage.label(covered | (more & ~seen), np.ones((3, 3)))
            longer = np.isin(labels, np.unique(labels[covered]))
            seen = seen | view
            if longer.sum() == covered.sum():
                break
            covered = longer
    return grown(covered, SHADOW * inter_ocular(crop.landmarks))


def _look(
    photo: Pixels, face: FaceCrop, move: Float64Array, covered: BoolArray, seen: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """What is found in front in a moved crop, and what of the photo that crop shows, both [H, W].

    Args:
        photo: uint8 RGB [H, W, 3].
        face: the crop of the face.
        move: by which it is moved, [2], in pixels of the photo.
        covered: what was found before, [H, W].
        seen: where the photo was looked at before, [H, W]; if nowhere, the network alone tells colours apart.
    """
    network = hub.finders().occluders
    size = network.config.size
    crop = glance(photo, face.landmarks + move, size)
    logits = occluder_logits(network, crop.image, mirrored=True)
    skin = fill(outline([map_points(crop.from_photo, face.landmarks)], 0.0), (size, size))
    if seen.any():
        photo_box, places = Box(0, 0, photo.shape[1], photo.shape[0]), Box(0, 0, size, size).places()
        inside, known = (photo_box.read(each, map_points(crop.to_photo, places), False) for each in (covered, seen))
        likelier = _likelier(crop.image, inside, known & ~_near(inside) & ~skin)
    else:
        found = sure_pieces(logits, DOUBT)
        likelier = _likelier(crop.image, found & (logits > 0), (logits < NOT) & ~_near(found) & ~skin).clip(0)
    found = sure_pieces(logits + np.where(skin, 0, likelier), DOUBT)
    whole, view = np.zeros((2, *photo.shape[:2]), bool)
    box = Box.around(crop.quad, 0, *photo.shape[:2])
    if box.width and box.height:
        at = map_points(crop.from_photo, box.places())
        view[box.slices] = ((at > -0.5) & (at < size - 0.5)).all(axis=2)
        share = ndimage.map_coordinates(found.astype(np.float32), at.transpose(2, 0, 1)[::-1], order=1, mode="nearest")
        whole[box.slices] = view[box.slices] & (share > 0.5)
    return whole, view


def _near(found: BoolArray) -> BoolArray:
    return np.asarray(ndimage.binary_dilation(found, iterations=APART))


def _likelier(image: Pixels, inside: BoolArray, beside: BoolArray) -> Float32Array:
    """By how much, as a logit, the colour of each pixel of a crop [S, S, 3] is likelier inside [S, S] than beside.

    Of what lies beside, what is nearer counts more; it is 0 everywhere if there is nothing inside or beside.
    """
    if not inside.any() or not beside.any():
        return np.zeros(inside.shape, np.float32)
    colours = ndimage.gaussian_filter(image.astype(np.float32), (1, 1, 0))
    bins = tuple((colours * (BINS / 256)).astype(int).reshape(-1, 3).T)
    near = np.exp(-ndimage.distance_transform_edt(~inside) / (0.2 * len(image)))

    def log_share(weights: Float64Array) -> Float64Array:
        counts = np.zeros((BINS,) * 3)
        np.add.at(counts, bins, weights.ravel())
        counts = ndimage.gaussian_filter(counts, 1.0)
        log: Float64Array = np.log(counts[bins] / counts.sum() + 1e-5)
        return log

    ratio = log_share(inside.astype(float)) - log_share(beside * near)
    return ratio.reshape(inside.shape).clip(-COLOUR, COLOUR).astype(np.float32)
