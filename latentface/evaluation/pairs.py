"""Measures of a picture against a reference: of pixels, of features, and of the face that both show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from latentface import metrics
from latentface.arrays import BoolArray, Pixels
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop, inter_ocular
from latentface.faces.regions import expressive_region, fill, outline
from latentface.io.images import to_tensor
from latentface.networks.lpips import Lpips
from latentface.networks.perceptual import MINIMUM_SIDE, FeatureDistance

PIXELS: Final = ("psnr", "ssim", "ms-ssim")
FACES: Final = ("identity", "aed", "akd")
REGIONS: Final = ("all", "face", "mouth", "outside")
FOREHEAD = 0.4  # inter-ocular distances by which the face reaches over the brows
MOUTH = slice(48, 68)
AROUND = 0.12  # inter-ocular distances about the lips that belong to the mouth
LEAST_FOR_MS_SSIM = metrics.WINDOW * 2 ** (len(metrics.MS_SSIM_WEIGHTS) - 1)

#: The largest face of a picture, or None.
FindFace = Callable[[Pixels], FaceCrop | None]


@dataclass(frozen=True)
class PairMeter:
    """Measures pairs of pictures.

    Attributes:
        perceptual: the perceptual distance; its measure is called lpips if it is LPIPS, else perceptual.
        identity: crops [N, 3, R, R] -> unit vectors [N, D].
        find_face: the face to compare.
        measures: those wanted, None for all that can be measured.
        region: where pixels and features are compared: all, face, mouth (lips and what is between them) or outside the
            face, as the reference has them. Outside the region the result counts as equal to the reference.
    """

    perceptual: FeatureDistance
    identity: Callable[[Tensor], Tensor]
    find_face: FindFace
    measures: tuple[str, ...] | None = None
    region: str = "all"

    @property
    def names(self) -> tuple[str, ...]:
        """The measures of every pair, in order."""
        known = (*PIXELS, distance_name(self.perceptual), *FACES)
        for name in self.measures or ():
            if name not in known:
                raise UsageError(f"no measure {name!r} of a pair; expected {', '.join(known)}")
        chosen = tuple(name for name in known if self.measures is None or name in self.measures)
        if self.region != "all" and "ms-ssim" in (self.measures or ()):
            raise UsageError("ms-ssim compares whole pictures; leave out the region or the measure")
        return tuple(name for name in chosen if self.region == "all" or name != "ms-ssim")

    def __call__(self, result: Pixels, reference: Pixels) -> dict[str, float]:
        """The measures of a pair uint8 [H, W, 3]; not a number where a face is needed and not found.

        Raises:
            InputError: the pictures differ in size, are smaller than 32 pixels, or a region is asked for and the
                reference shows no face.
        """
        if result.shape != reference.shape:
            sizes = " and ".join(f"{each.shape[1]} x {each.shape[0]}" for each in (result, reference))
            raise InputError(f"pictures of {sizes} pixels cannot be compared; bring them to one size")
        if min(result.shape[:2]) < MINIMUM_SIDE:
            raise InputError(f"a picture of {result.shape[1]} x {result.shape[0]} pixels; expected 32 at least")
        wanted = self.names
        need = self.region != "all" or any(name in FACES for name in wanted)
        faces = (self.find_face(result), self.find_face(reference)) if need else (None, None)
        mask = self._mask(reference, faces[1])
        made = self._of_pixels(result, reference, mask, wanted)
        if any(name in FACES for name in wanted):
            made |= self._of_faces(*faces)
        return {name: made[name] for name in wanted}

    def _mask(self, reference: Pixels, face: FaceCrop | None) -> BoolArray | None:
        if self.region == "all":
            return None
        if face is None:
            raise InputError(f"the reference shows no face, so it has no region {self.region!r}")
        return region_mask(self.region, face, (reference.shape[1], reference.shape[0]))

    def _of_pixels(
        self, result: Pixels, reference: Pixels, mask: BoolArray | None, wanted: Iterable[str]
    ) -> dict[str, float]:
        if mask is not None:
            result = np.where(mask[..., None], result, reference)
        a, b = to_tensor(result), to_tensor(reference)
        share = 1.0 if mask is None else float(mask.mean())
        made: dict[str, float] = {}
        for name in wanted:
            if name == "psnr":
                made[name] = float(metrics.psnr(a, b)) + (10 * math.log10(share) if share else 0.0)
            elif name == "ssim":
                made[name] = _ssim(a, b, mask)
            elif name == "ms-ssim":
                fits = min(a.shape[2:]) >= LEAST_FOR_MS_SSIM
                made[name] = float(metrics.ms_ssim(a, b)) if fits else math.nan
            elif name not in FACES:
                made[name] = float(metrics.lpips(self.perceptual, a, b))
        return made

    @torch.no_grad()
    def _of_faces(self, result: FaceCrop | None, reference: FaceCrop | None) -> dict[str, float]:
        if result is None or reference is None:
            return dict.fromkeys(FACES, math.nan)
        first, second = self.identity(torch.cat([to_tensor(result.image), to_tensor(reference.image)])).float()
        points = [torch.from_numpy(each.landmarks)[None] for each in (result, reference)]
        return {
            "identity": float(first @ second),
            "aed": float((first - second).norm()),
            "akd": float(metrics.landmark_error(*points)),
        }


def distance_name(network: FeatureDistance) -> str:
    """What the measure of a perceptual network is called: lpips only if it is LPIPS."""
    return "lpips" if isinstance(network, Lpips) else "perceptual"


def region_mask(region: str, face: FaceCrop, size: tuple[int, int]) -> BoolArray:
    """Where a region of a face lies in its photo of a size (width, height): [height, width].

    Raises:
        UsageError: a region of another name.
    """
    points = np.asarray(face.landmarks, np.float64)
    whole = fill(outline([points], FOREHEAD), size)
    if region == "face":
        return whole
    if region == "outside":
        return np.asarray(~(whole | expressive_region(points, size)))
    if region == "mouth":
        lips = fill(points[MOUTH][:12], size)
        return np.asarray(ndimage.binary_dilation(lips, iterations=max(1, round(AROUND * inter_ocular(points)))))
    raise UsageError(f"no region {region!r}; expected {', '.join(REGIONS)}")


def _ssim(a: Tensor, b: Tensor, mask: BoolArray | None) -> float:
    """SSIM of a pair, or its mean over the windows that are centred in a mask."""
    if mask is None:
        return float(metrics.ssim(a, b))
    edge = metrics.WINDOW // 2
    inner = torch.from_numpy(mask[edge:-edge, edge:-edge].copy())
    if not inner.any():
        return math.nan
    return float(metrics.ssim_map(a, b).mean(dim=1)[0][inner].mean())
