"""What a style is measured by: correlations of features (Gatys et al. 2016), colours, and contrasts within the eyes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: Rec. 601 luma of RGB.
LUMA = (0.299, 0.587, 0.114)
_SHRINK = 4  # how much smaller the copy is on which colours are compared
EYES = (slice(36, 42), slice(42, 48))  # of 68 landmarks


def gram(features: Tensor) -> Tensor:
    """Correlations [N, C, C] of the channels of features [N, C, h, w], averaged over the places."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


class StyleDistance:
    """The distance of pictures from one picture in the correlations of their features (Gatys et al. 2016, eq. 4).

    At each scale the squared difference of the Gram matrices is divided by the mean square of the picture's own, and
    the scales are averaged, so that 1 is about the distance of a picture without any features.

    Args:
        features: maps of the style picture, each [1, C, h, w]; pictures of other sizes can be compared with it.
    """

    def __init__(self, features: Sequence[Tensor]) -> None:
        self._grams = [gram(each) for each in features]
        self._scales = [each.square().mean().clamp(min=1e-12) for each in self._grams]

    def __call__(self, features: Sequence[Tensor]) -> Tensor:
        """The distance [N] of pictures with these features."""
        terms = [
            (gram(each) - own).square().mean(dim=(1, 2)) / scale
            for each, own, scale in zip(features, self._grams, self._scales, strict=True)
        ]
        return torch.stack(terms).mean(dim=0)


class ColourDistance:
    """The distance of aligned faces from one picture in the means and covariances of their colours.

    They are compared in the middle of the face and in what surrounds it, on a copy of a quarter of the size.

    Args:
        picture: [1, 3, R, R] in [-1, 1].
    """

    def __init__(self, picture: Tensor) -> None:
        face = middle(picture[:, :1, ::_SHRINK, ::_SHRINK], 0.2)[0, 0]
        windows = torch.stack([face, 1 - face]).flatten(1)
        self._windows = windows / windows.sum(dim=1, keepdim=True)  # [2, P]
        self._own = self._moments(picture)

    def __call__(self, images: Tensor) -> Tensor:
        """The distance [N] of images [N, 3, R, R] in [-1, 1]."""
        terms = [(a - b).abs().flatten(1).sum(dim=1) for a, b in zip(self._moments(images), self._own, strict=True)]
        return torch.stack(terms).sum(dim=0)

    def _moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Means [N, 2, 3] and covariances [N, 2, 3, 3] in both windows."""
        colours = F.avg_pool2d(images, _SHRINK).flatten(2)  # [N, 3, P]
        means = torch.einsum("wp,ncp->nwc", self._windows, colours)
        squares = torch.einsum("wp,ncp,ndp->nwcd", self._windows, colours, colours)
        return means, squares - means[..., :, None] * means[..., None, :]


def middle(like: Tensor, reach: float) -> Tensor:
    """Closeness to the middle of an aligned face [1, 1, S, S], of the size of a tensor; reach: a share of the side."""
    side = like.shape[2]
    at = (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) / side
    across, down = ((at - 0.5) / reach).square(), ((at - 0.55) / (1.25 * reach)).square()
    return torch.exp(-0.5 * (down[:, None] + across[None, :]))[None, None]


def luma(images: Tensor) -> Tensor:
    """[N, 1, H, W] of RGB images [N, 3, H, W]."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return (images * weights[None, :, None, None]).sum(dim=1, keepdim=True)


def eye_masks(landmarks: Tensor, side: int) -> Tensor:
    """Closeness to the eyes [N, 1, side, side] for landmarks [N, 68, 2] in pixels: 1 in an eye, falling to 0."""
    at = torch.arange(side, dtype=landmarks.dtype, device=landmarks.device)
    masks = torch.zeros(len(landmarks), side, side, dtype=landmarks.dtype, device=landmarks.device)
    for eye in EYES:
        points = landmarks[:, eye]
        middle, reach = points.mean(dim=1), (points[..., 0].amax(1) - points[..., 0].amin(1)).clamp(min=2) / 2
        across = ((at - middle[:, :1]) / (0.75 * reach[:, None])).square()  # [N, side]
        down = ((at - middle[:, 1:]) / (0.5 * reach[:, None])).square()
        masks = masks + torch.exp(-0.5 * (across[:, None, :] + down[:, :, None]))
    return masks.clamp(max=1)[:, None]


def tone_difference(images: Tensor, references: Tensor, masks: Tensor) -> Tensor:
    """How differently light and dark are arranged, [N]: 0 for equal, 1 for unrelated, 2 for inverted.

    It is 1 minus the correlation of luma, so that a style may change colour and contrast, but within the eyes not where
    the iris is.

    Args:
        images: [N, 3, H, W] in [-1, 1].
        references: likewise.
        masks: [N or 1, 1, H, W], how much each place counts, such as `eye_masks`.
    """
    share = masks / masks.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)

    def centred(pictures: Tensor) -> Tensor:
        grey = luma(pictures)
        return grey - (grey * share).sum(dim=(2, 3), keepdim=True)

    a, b = centred(images), centred(references)
    together, own, other = ((x * y * share).sum(dim=(1, 2, 3)) for x, y in ((a, b), (a, a), (b, b)))
    return 1 - together * (own * other + 1e-6).rsqrt()
