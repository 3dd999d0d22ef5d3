"""The compositor: blends an edited crop back into its photo and keeps all other pixels, bit for bit.

Only the bounding box of the face is processed, so the cost depends on the size of the face and not on that of the
photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.compositing.blending import BLENDS
from latentface.compositing.masks import changed, seam_difference
from latentface.compositing.warping import fit_similarity, resample, scaling, warp_piecewise
from latentface.errors import UsageError
from latentface.faces.crop import FaceCrop, inter_ocular, map_points
from latentface.faces.regions import fill, outline, uncovered
from latentface.fields import SMALL_SIDE, blur, resize, smoothstep
from latentface.options.photos import CompositeOptions

#: Points that an expression hardly moves, used to register a face; brows, lids, mouth and chin move with expressions.
STEADY = (*range(27, 36), 36, 39, 42, 45)
#: Points of the outline that a piecewise affine warp keeps in place; the chin moves with the mouth.
OUTLINE = (*range(0, 4), *range(13, 17))
_MARGIN = 0.2  # inter-ocular distances around the face that a blend may read
_DETAIL = 0.12  # inter-ocular distances: finer differences between photo and reference are not corrected


def composite(
    photo: Pixels,
    crop: FaceCrop,
    image: Pixels,
    options: CompositeOptions | None = None,
    *,
    landmarks: NDArray[np.floating] | None = None,
    reference: Pixels | None = None,
) -> Pixels:
    """Put an edited picture of a crop back into the photo; see `Compositor`. Returns uint8 RGB of the photo's size."""
    return Compositor(photo, crop, options, reference=reference).place(image, landmarks)


@dataclass(frozen=True, eq=False)
class _Ground:
    """The place of a face: the box in the photo (x0, y0, x1, y1), the photo's pixels there, and the mask.

    drawn: the generator's picture of the unedited crop there; error: its smooth error in colour.
    """

    box: tuple[int, int, int, int]
    base: Float32Array
    mask: Float32Array
    drawn: Float32Array | None = None
    error: Float32Array | None = None


class Compositor:
    """Blends any number of edited pictures of one face back into its photo.

    Args:
        photo: uint8 RGB [H, W, 3].
        crop: the face as it was aligned in this photo.
        options: how; defaults to `CompositeOptions()`.
        reference: the generator's picture of the unedited crop (uint8 [S, S, 3]). With it, the generator's errors in
            colour are corrected, and pixels that an edit does not change are taken from the photo.
        reach: landmarks [68, 2] in photo pixels of other positions of the face, so that one mask serves a whole clip.

    Raises:
        UsageError: wrong dtype or shape, or a face outside the photo.
    """

    def __init__(
        self,
        photo: Pixels,
        crop: FaceCrop,
        options: CompositeOptions | None = None,
        *,
        reference: Pixels | None = None,
        reach: Sequence[Float64Array] = (),
    ) -> None:
        _check(photo, "photo")
        self.photo, self.crop, self.options = photo, crop, options or CompositeOptions()
        self.unit, self.reach = inter_ocular(crop.landmarks), tuple(reach)
        self.reference = None if reference is None else _check(reference, "reference")
        self._grounds: dict[int, _Ground] = {}  # by the size of the pictures

    def place(self, image: Pixels, landmarks: NDArray[np.floating] | None = None) -> Pixels:
        """The photo with the edited face in it: uint8 RGB of the photo's size.

        Args:
            image: uint8 RGB [S, S, 3], the edited crop, of any size.
            landmarks: [68, 2], the landmarks of the edited picture in its own pixels. They are needed for the warps by
                landmarks; otherwise they extend the mask to the outline as moved by the edit.
        """
        image, to_photo, points = self._register(_check(image, "image"), landmarks)
        ground = self._grounds.get(image.shape[0]) if points is None else None
        if ground is None:
            ground = self._survey(_square(image.shape[0], to_photo), points)
        if points is None:  # only the picture changes from one frame to the next
            self._grounds = {image.shape[0]: ground}
        patch, mask = self._match(resample(image, to_photo, ground.box), ground)
        blended = BLENDS[self.options.blend](ground.base, patch, mask)  # the base itself where the mask is 0
        result: Pixels = self.photo.copy()
        x0, y0, x1, y1 = ground.box
        result[y0:y1, x0:x1] = np.rint(blended, out=blended).clip(0, 255, out=blended)
        return result

    def _survey(self, square: Float64Array, points: Float64Array | None) -> _Ground:
        """Everything about the photo that does not depend on the edited picture."""
        # an edit may make the face smaller; a face from another photo ends where its background begins
        foreign = points is not None and self.options.warp != "crop"
        faces = [points] if foreign else [self.crop.landmarks, points]
        hull = outline([*faces, *self.reach], self.options.forehead)
        x0, y0, x1, y1 = box = _bounds(hull, self.photo.shape, _MARGIN * self.unit)
        base = self.photo[y0:y1, x0:x1].astype(np.float32)
        mask = self._mask(hull, square, box)
        if self.options.occluders:
            mask = mask * uncovered(base, self.crop.landmarks - (x0, y0), self.unit)
        if self.reference is None:
            return _Ground(box, base, mask)
        drawn = resample(self.reference, self._crop_map(self.reference), box)
        return _Ground(box, base, mask, drawn, blur(base - drawn, _DETAIL * self.unit))

    def _match(self, patch: Float32Array, ground: _Ground) -> tuple[Float32Array, Float32Array]:
        """The patch in the photo's colours, and the mask restricted to the pixels that the edit changed, if known."""
        mask = ground.mask
        if ground.drawn is None or ground.error is None:
            if self.options.match_colour:
                patch = patch + seam_difference(ground.base - patch, mask, self.unit)
            return patch, mask
        edit = patch - ground.drawn
        if self.options.match_colour:  # neither the edit nor the generator may tint the seam
            edit += seam_difference(-edit, mask, self.unit)
            patch = ground.drawn + ground.error + edit
        return patch, mask * changed(edit, self.unit)

    def _crop_map(self, image: Pixels) -> Float64Array:
        """3x3: pixel centres of a picture of the whole crop, at any size -> photo pixels."""
        return np.asarray(self.crop.to_photo @ scaling(self.crop.size / image.shape[0]))

    def _register(
        self, image: Pixels, landmarks: NDArray[np.floating] | None
    ) -> tuple[Pixels, Float64Array, Float64Array | None]:
        """The picture, its map to the photo, and its landmarks in the photo, after the chosen warp."""
        matrix = self._crop_map(image)
        if landmarks is None:
            if self.options.warp != "crop":
                raise UsageError(
                    f"warp {self.options.warp!r} needs the landmarks of the edited picture; pass landmarks"
                )
            return image, matrix, None
        points = np.asarray(landmarks, np.float64)
        if points.shape != (68, 2):
            raise UsageError(f"landmarks of shape {list(points.shape)}: expected [68, 2] in pixels of the picture")
        if self.options.warp != "crop":
            matrix = fit_similarity(points[[*STEADY]], self.crop.landmarks[[*STEADY]])
        if self.options.warp == "piecewise":
            wanted = points.copy()
            kept = [*OUTLINE, *STEADY]
            wanted[kept] = map_points(np.linalg.inv(matrix), self.crop.landmarks[kept])
            image, points = warp_piecewise(image, points, wanted), wanted
        return image, matrix, map_points(matrix, points)

    def _mask(self, hull: Float64Array, square: Float64Array, box: tuple[int, int, int, int]) -> Float32Array:
        """1 well inside the outline, falling smoothly to 0 at the outline and at the edge of the edited picture."""
        x0, y0, x1, y1 = box
        scale = min(1.0, SMALL_SIDE / max(x1 - x0, y1 - y0))
        size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        stretch = np.array(size) / (x1 - x0, y1 - y0)
        drawn = [fill((each - (x0, y0) + 0.5) * stretch, size) for each in (hull, square)]
        inside = drawn[0] & drawn[1]
        if inside.all():  # nothing but face
            return np.ones((y1 - y0, x1 - x0), np.float32)
        depth = ndimage.distance_transform_edt(inside)  # the border of the photo is not an edge of the face
        ramp = smoothstep(depth / max(self.options.feather * self.unit * scale, 2.0))
        return resize(ramp, (y1 - y0, x1 - x0)).clip(0, 1)


def _bounds(hull: Float64Array, shape: Sequence[int], margin: float) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the hull with a margin, inside the photo."""
    low, high = hull.min(0) - margin, hull.max(0) + margin + 1
    x0, y0 = np.floor(low).astype(int).clip(0).tolist()
    x1, y1 = np.ceil(high).astype(int).clip(None, (shape[1], shape[0])).tolist()
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise UsageError("the face lies outside the photo; give the photo that the crop was made from")
    return x0, y0, x1, y1


def _square(side: int, to_photo: Float64Array) -> Float64Array:
    """The corners of a picture's outermost pixel centres in the photo, [4, 2]."""
    return map_points(to_photo, np.array([(0, 0), (0, side - 1), (side - 1, side - 1), (side - 1, 0)]))


def _check(pixels: Pixels, name: str) -> Pixels:
    square = name == "photo" or (pixels.ndim == 3 and pixels.shape[0] == pixels.shape[1])
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0 or not square:
        form = "[H, W, 3]" if name == "photo" else "[S, S, 3]"
        raise UsageError(f"{name}: expected uint8 RGB {form}, got {pixels.dtype} {list(pixels.shape)}")
    return pixels
