"""The verb `complete`: a hole in a photo of a face is painted, or what lies over the face is removed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import torch

from latentface import api, hub
from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.completion import guides
from latentface.completion.feed_forward import fill_in, harmonise, paint
from latentface.completion.harmonisation import match_border
from latentface.completion.holes import Mask, box_hole, check_face, check_hole, grown, read_hole
from latentface.completion.occluders import find_occluder
from latentface.completion.optimisation import project_masked, synthesise_texture
from latentface.completion.surroundings import follow_surroundings
from latentface.completion.texture import add_detail
from latentface.completion.tone import keep_tone
from latentface.compositing.warping import resample
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop, WhichFace, map_points, pick_face
from latentface.io.images import Photo
from latentface.io.provenance import COMPOSITE
from latentface.networks.completion import REACH, CompletionNet, continue_into
from latentface.options.photos import CompleteOptions

Picture = TypeVar("Picture", Photo, Pixels)
OnStep = Callable[[int, int], None]
LARGEST = 768  # side of the crop in which texture is searched
NATIVE = (0.75, 1.5)  # photo's pixels for one of the crop between which the network paints in the photo itself
TOUCHED = 0.02  # share of a crop's pixel in the hole from which on it is hidden


@dataclass(frozen=True, eq=False)
class Completion(Generic[Picture]):
    """A completed photo.

    Attributes:
        photo: the photo, of the kind that was given; outside `hole` it is the original, bit for bit.
        hole: bool [H, W], what was completed.
        crop: the face.
    """

    photo: Picture
    hole: BoolArray
    crop: FaceCrop


def complete(
    photo: Picture,
    mask: Mask | None = None,
    *,
    box: Sequence[float] | None = None,
    remove: str | None = None,
    regions: Mask | None = None,
    face: WhichFace = None,
    options: CompleteOptions | None = None,
    device: str = "cpu",
    on_step: OnStep | None = None,
) -> Completion[Picture]:
    """Complete a hole in a photo of a face; outside the hole every pixel stays the same.

    Args:
        photo: uint8 RGB [H, W, 3], or a `Photo`, whose alpha channel and metadata are kept.
        mask: what to complete: a picture of the photo's size, white where it is to be painted, or an array [H, W].
        box: or a box of it, left, top, right and bottom in pixels.
        remove: or what to find and remove: `glasses`, or `hand`, which is whatever is in front of the face.
        regions: which part of the face is to appear where: a picture of the photo's size in the colours of
            `latentface.completion.guides.COLOURS`, black where nothing is said.
        face: number of the face, in order of detection; by default the one with most of the hole in its crop.
        options: how; by default `CompleteOptions()`.
        device: cpu, cuda, cuda:N or auto.
        on_step: called as on_step(step, steps) during a search.

    Returns:
        `Completion`.

    Raises:
        NoFaceFound: the photo shows no face.
        InputError: the mask is of another size, empty, over everything or the whole face, or not finite; or there is
            nothing to remove.
        UsageError: not exactly one of mask, box and remove is given, or the photo is not uint8 RGB.
    """
    options = options or CompleteOptions()
    rgb = photo.rgb if isinstance(photo, Photo) else photo
    hole, crop = _find(rgb, mask, box, remove, face, options)
    network = hub.completion(api.pick_device(device))
    made = complete_face(rgb, hole, crop, options, network=network, regions=regions, on_step=on_step)
    if isinstance(photo, Photo):
        return Completion(replace(photo, rgb=made, source_type=COMPOSITE), hole, crop)
    return Completion(made, hole, crop)


def complete_face(
    photo: Pixels, hole: BoolArray, crop: FaceCrop, options: CompleteOptions | None = None, *, network: CompletionNet,
    regions: Mask | None = None, on_step: OnStep | None = None,
) -> Pixels:  # fmt: skip
    """`complete` for a hole [H, W] and a face that are known: uint8 RGB [H, W, 3]. Raises as `complete`."""
    work = _Work(photo, hole, crop, options or CompleteOptions(), network)
    return work.harmonised() if work.options.harmonise else work.completed(regions, on_step)


def _find(
    rgb: Pixels, mask: Mask | None, box: Sequence[float] | None, remove: str | None, face: WhichFace,
    options: CompleteOptions,
) -> tuple[BoolArray, FaceCrop]:  # fmt: skip
    """The hole and the face whose it is."""
    if sum(each is not None for each in (mask, box, remove)) != 1:
        raise UsageError("give one of mask, box and remove")
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise UsageError(f"the photo is {rgb.dtype} {list(rgb.shape)}: expected uint8 RGB [H, W, 3]")
    size = rgb.shape[0], rgb.shape[1]
    if remove is not None:
        crop = pick_face(api.align(rgb), face)
        return check_hole(grown(find_occluder(remove, rgb, crop), options.grow)), crop
    hole = read_hole(mask, size) if mask is not None else box_hole(box or (), size)
    hole = check_hole(grown(hole, options.grow))
    crops = _faces(rgb, hole)
    if face is None:
        face = 1 + max(range(len(crops)), key=lambda k: (int(hidden(hole, crops[k]).sum()), crops[k].side))
    crop = pick_face(crops, face)
    if not options.harmonise:
        check_face(hole, crop.landmarks)
    return hole, crop


def _faces(rgb: Pixels, hole: BoolArray) -> list[FaceCrop]:
    """The faces of the photo as it is or, if none is found, with the hole smoothly filled."""
    try:
        return api.align(rgb)
    except NoFaceFound:
        return api.align(np.rint(smooth(rgb.astype(np.float32), hole)).clip(0, 255).astype(np.uint8))


def smooth(picture: Float32Array, hole: BoolArray) -> Float32Array:
    """A picture [H, W, 3] whose hole is filled by the averages of its surroundings."""
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None]
    place = torch.from_numpy(hole.astype(np.float32))[None, None]
    return np.ascontiguousarray(continue_into(planes, place)[0].numpy().transpose(1, 2, 0))


def hidden(hole: BoolArray, crop: FaceCrop) -> BoolArray:
    """The hole of a photo in a crop of it, [S, S]."""
    planes = np.repeat(np.uint8(255) * hole[..., None], 3, axis=2)
    return np.asarray(crop_face(planes, crop.landmarks, crop.size).image[..., 0] > 255 * TOUCHED)


class _Work:
    """A photo, its hole and its face."""

    def __init__(
        self, rgb: Pixels, hole: BoolArray, crop: FaceCrop, options: CompleteOptions, network: CompletionNet
    ) -> None:
        self.rgb, self.hole, self.options, self.network = rgb, hole, options, network
        self.generator = api.load_generator(device=str(next(network.parameters()).device))
        side = self.generator.config.resolution
        # what lies in the hole must not shine into the crop's pixels beside it
        filled = np.rint(smooth(rgb.astype(np.float32), hole)).clip(0, 255).astype(np.uint8)
        shown = rgb if options.harmonise else filled
        self.filled = filled
        self.crop = crop_face(shown, crop.landmarks, side)
        self.inner = hidden(hole, self.crop)

    def completed(self, regions: Mask | None, on_step: OnStep | None) -> Pixels:
        """The photo with its hole painted."""
        crop, made, native = self.crop, self.crop.image, None
        if self.inner.any():
            guide = None if regions is None else guides.read_guide(regions, self.hole.shape, crop)
            made, proposal = fill_in(self.network, self.generator, crop.image, self.inner, guide)
            if self.options.method == "optimise":
                steps, seed = self.options.steps, self.options.seed
                proposal = project_masked(crop, self.inner, made, self.generator, steps, seed, on_step)
                made = paint(self.network, crop.image, self.inner, guide, proposal)
            if NATIVE[0] < crop.side / crop.size < NATIVE[1]:
                native = self._painted(proposal)  # finer than what would come through the crop
            else:
                points = map_points(crop.from_photo, crop.landmarks)
                near = follow_surroundings(made.astype(np.float32), self.inner, points)
                made = np.rint(near).clip(0, 255).astype(np.uint8)
                if self.options.method == "optimise":
                    crop = self._textured(made)
                    made = crop.image
        content, done = self._placed(crop, made, self.filled.astype(np.float32)) if native is None else native
        content = smooth(content, self.hole & ~done)  # beyond the crop, what was painted goes on
        content = keep_tone(content, self.rgb, self.hole)
        if self.options.detail:
            scale = max(1.0, crop.side / crop.size)
            content = add_detail(content, self.hole, crop.landmarks, scale, hub.perceptual("cpu"))
        return self._within(content)

    def _painted(self, proposal: Pixels) -> tuple[Float32Array, BoolArray]:
        """The photo painted once more from a proposal in the crop, in its own pixels, and where it was painted."""
        side = REACH * math.ceil(self.crop.side / REACH)
        left, top = (round(float(each)) for each in self.crop.quad.mean(axis=0) - (side - 1) / 2)
        height, width = self.hole.shape
        columns, rows = np.arange(left, left + side), np.arange(top, top + side)
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        at = np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))
        shown, covered = _laid(self.crop, proposal, (left, top, left + side, top + side))
        # nothing is proposed in the view's corners beyond a turned crop: there the smooth continuation stays
        view, hole = self.filled[at], self.hole[at] & inside & covered
        proposal = np.where(covered[..., None], np.rint(shown).clip(0, 255).astype(np.uint8), view)
        made = paint(self.network, view, hole, proposal=proposal).astype(np.float32)
        made = follow_surroundings(made, self.hole[at], self.crop.landmarks - (left, top))
        result: Float32Array = self.filled.astype(np.float32)
        done = np.zeros_like(self.hole)
        y, x = np.nonzero(hole)
        result[rows[y], columns[x]], done[rows[y], columns[x]] = made[y, x], True
        return result, done

    def _textured(self, made: Pixels) -> FaceCrop:
        """The completed crop at the photo's resolution, if that is higher, with texture in its hole."""
        side = int(min(8 * round(self.crop.side / 8), LARGEST))
        if side <= self.crop.size:
            return replace(self.crop, image=made)
        fine = crop_face(self.filled, self.crop.landmarks, side)
        textured = synthesise_texture(made, fine.image, hidden(self.hole, fine), hub.perceptual("cpu"))
        return replace(fine, image=textured)

    def harmonised(self) -> Pixels:
        """The photo with the hole's content in the colours of its surroundings."""
        if not self.inner.any():
            raise InputError("the mask lies beside the face; mark a region of the face")
        made = harmonise(self.network, self.crop.image, self.inner)
        change = made.astype(np.float32) - self.crop.image
        # the change of colour is smooth; the region keeps its own detail
        middle = np.rint(change / 2 + 128).clip(0, 255).astype(np.uint8)
        shift = 2 * (self._placed(self.crop, middle, np.full(self.rgb.shape, 128, np.float32))[0] - 128)
        photo = self.rgb.astype(np.float32)
        return self._within(match_border(photo, photo + shift, self.hole))

    def _placed(self, crop: FaceCrop, made: Pixels, beyond: Float32Array) -> tuple[Float32Array, BoolArray]:
        """A picture of the crop where it lies in the photo's hole, something else elsewhere; and where it lies."""
        rows, columns = np.flatnonzero(self.hole.any(axis=1)), np.flatnonzero(self.hole.any(axis=0))
        x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        picture, covered = _laid(crop, made, (x0, y0, x1, y1))
        result, done = beyond.copy(), np.zeros_like(self.hole)
        done[y0:y1, x0:x1] = covered & self.hole[y0:y1, x0:x1]
        result[done] = picture[done[y0:y1, x0:x1]]
        return result, done

    def _within(self, content: Float32Array) -> Pixels:
        result: Pixels = self.rgb.copy()
        result[self.hole] = np.rint(content[self.hole]).clip(0, 255).astype(np.uint8)
        return result


def _laid(crop: FaceCrop, made: Pixels, box: tuple[int, int, int, int]) -> tuple[Float32Array, BoolArray]:
    """A picture of the crop in a box of the photo, and where the box is covered by it."""
    x0, y0, x1, y1 = box
    places = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1)
    at = map_points(crop.from_photo, places.astype(np.float64))
    covered = np.asarray(((at > -0.5) & (at < crop.size - 0.5)).all(axis=-1))
    return resample(made, crop.to_photo, box), covered
