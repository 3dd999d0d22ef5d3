"""Measures of the distance between pictures, landmarks and sets of features, and of the stability of clips.

Pictures are float tensors [N, 3, H, W] in [-1, 1] unless `span` and `black` say otherwise; every measure returns one
number for each pair, [N]. The measures are differentiable. Inputs of different shapes raise UsageError.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import UsageError
from latentface.networks.perceptual import FeatureDistance

#: Gaussian window of SSIM: 11 pixels, standard deviation 1.5 (Wang et al. 2004).
WINDOW, SIGMA = 11, 1.5
#: Exponents of the five scales of MS-SSIM (Wang et al. 2003).
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(a: Tensor, b: Tensor, span: float = 2.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, 10 log10(span^2 / mean squared error); infinite for equal pictures.

    Args:
        a: [N, C, H, W].
        b: likewise.
        span: distance from black to white.
    """
    _check_pair(a, b, 1)
    return 10 * torch.log10(span**2 / (a - b).square().mean(dim=(1, 2, 3)))


def ssim(a: Tensor, b: Tensor, span: float = 2.0, black: float = -1.0) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13), -1 ... 1: mean over channels and all whole windows.

    Args:
        a: [N, C, H, W].
        b: likewise.
        span: distance from black to white.
        black: the value of black, from which the means of the luminance term count.

    Raises:
        UsageError: a side is shorter than the window of 11 pixels.
    """
    return ssim_map(a, b, span, black).mean(dim=(1, 2, 3))


def ssim_map(a: Tensor, b: Tensor, span: float = 2.0, black: float = -1.0) -> Tensor:
    """SSIM of every whole window: [N, C, H - 10, W - 10]; see `ssim`."""
    _check_pair(a, b, WINDOW)
    luminance, structure = _ssim_terms(a - black, b - black, span)
    return luminance * structure


def ms_ssim(
    a: Tensor, b: Tensor, span: float = 2.0, black: float = -1.0, weights: Sequence[float] = MS_SSIM_WEIGHTS
) -> Tensor:
    """Multi-scale structural similarity (Wang et al. 2003, eq. 7), 0 ... 1, mean over channels.

    Contrast is measured at every scale, luminance only at the last. A negative mean contrast, which has no real power,
    counts as 0. Below 176 pixels the five standard scales do not fit; pass fewer weights, and compare such figures only
    with each other.

    Raises:
        UsageError: at the last scale a side would be shorter than the window of 11 pixels.
    """
    _check_pair(a, b, WINDOW * 2 ** (len(weights) - 1))
    a, b = a - black, b - black
    total = torch.ones(a.shape[0], a.shape[1], dtype=a.dtype, device=a.device)
    for scale, weight in enumerate(weights):
        luminance, structure = _ssim_terms(a, b, span)
        last = scale == len(weights) - 1
        value = (luminance * structure if last else structure).mean(dim=(2, 3))  # [N, C]
        total = total * value.clamp(min=0.0) ** weight
        if not last:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return total.mean(dim=1)


def lpips(network: FeatureDistance, a: Tensor, b: Tensor) -> Tensor:
    """Perceptual distance by a network, without gradients; 0 for equal pictures.

    Args:
        network: a network from `latentface.load_perceptual`: LPIPS itself (Zhang et al. 2018) by the name of its
            backbone, `vgg16`, `alexnet` or `squeezenet1_1`, or the built-in `perceptual`. Compare only figures of one
            network.
        a: images [N, 3, H, W] in [-1, 1].
        b: images of the same shape.

    Raises:
        UsageError: different shapes, or a side below 32 pixels.
    """
    _check_pair(a, b, 1)
    with torch.no_grad():
        distance: Tensor = network(a, b)
        return distance


def landmark_error(found: Tensor, truth: Tensor) -> Tensor:
    """Mean distance of 68 landmarks from the true ones in inter-ocular distances (eye centre to eye centre).

    Args:
        found: [N, 68, 2]; another number of points cannot be normalised and raises UsageError.
        truth: likewise, in the same unit.
    """
    if found.shape != truth.shape or found.ndim != 3 or tuple(found.shape[1:]) != (68, 2):
        raise UsageError(f"landmarks of shapes {list(found.shape)} and {list(truth.shape)}: expected [N, 68, 2] twice")
    eyes = truth[:, 42:48].mean(dim=1) - truth[:, 36:42].mean(dim=1)
    unit: Tensor = torch.linalg.vector_norm(eyes, dim=1)
    gaps: Tensor = torch.linalg.vector_norm(found - truth, dim=2)
    return gaps.mean(dim=1) / unit


def content_distance(embeddings: Tensor, pairs: str = "all") -> Tensor:
    """Average Content Distance of a clip: how much the identity drifts; 0 if it is the same in every frame.

    The mean L2 distance of identity embeddings over pairs of frames: `all` pairs (Tulyakov et al. 2018, MoCoGAN),
    `consecutive` frames, or each later frame and the `first`. It depends on the embedding, so compare only figures of
    one embedding.

    Args:
        embeddings: [T, D], one for each frame, in order.
        pairs: "all", "consecutive" or "first".

    Raises:
        UsageError: fewer than two frames, or an unknown name for `pairs`.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise UsageError(f"embeddings of shape {list(embeddings.shape)}: expected [T, D] of two frames or more")
    if pairs == "all":
        apart: Tensor = torch.pdist(embeddings)
    elif pairs in ("consecutive", "first"):
        before = embeddings[:-1] if pairs == "consecutive" else embeddings[:1]
        apart = torch.linalg.vector_norm(embeddings[1:] - before, dim=1)
    else:
        raise UsageError(f"pairs {pairs!r}: expected all, consecutive or first")
    return apart.mean()


def landmark_roughness(points: Tensor, rate: float) -> Tensor:
    """Mean acceleration of landmarks, in inter-ocular distances per second squared, a measure of jitter.

    The mean length of the second difference p[t - 1] - 2 p[t] + p[t + 1], times the squared frame rate; it is 0 for
    points at rest or in uniform motion. The inter-ocular distance is averaged over the clip.

    Args:
        points: [T, 68, 2], one set for each frame, in order.
        rate: frames a second.

    Raises:
        UsageError: wrong shape, or fewer than three frames.
    """
    if points.ndim != 3 or tuple(points.shape[1:]) != (68, 2) or len(points) < 3:
        raise UsageError(f"landmarks of shape {list(points.shape)}: expected [T, 68, 2] of three frames or more")
    eyes = points[:, 42:48].mean(dim=1) - points[:, 36:42].mean(dim=1)
    bend = points[:-2] - 2 * points[1:-1] + points[2:]
    acceleration: Tensor = rate**2 * torch.linalg.vector_norm(bend, dim=2)
    unit: Tensor = torch.linalg.vector_norm(eyes, dim=1)
    return acceleration.mean() / unit.mean()


def pooled_features(network: FeatureDistance, images: Tensor) -> Tensor:
    """The network's last feature map, averaged over the picture: [N, D] for images [N, 3, H, W] in [-1, 1]."""
    return network.features(images)[-1].mean(dim=(2, 3))


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, eq. 6).

    |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)). It depends on the features and on their number, so compare only
    figures of one network and one number of pictures.

    Args:
        a: [n, D].
        b: [m, D].

    Raises:
        UsageError: features of different dimensions, or fewer than two in a set.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise UsageError(f"features of shapes {list(a.shape)} and {list(b.shape)}: expected [n, D], [m, D], n, m > 1")
    first, second = torch.cov(a.double().T), torch.cov(b.double().T)
    # tr (A B)^(1/2) is the sum of the square roots of the eigenvalues of A^(1/2) B A^(1/2), which is symmetric
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    shift = (a.double().mean(0) - b.double().mean(0)).square().sum()
    return float(shift + first.trace() + second.trace() - 2 * shared)


def kernel_distance(a: Tensor, b: Tensor, scale: float | None = None) -> float:
    """Kernel distance between two sets of features (Binkowski et al. 2018, section 4): the unbiased squared MMD.

    The kernel is (scale x . y + 1)^3. Unlike the Fréchet distance it does not depend on the number of features, and it
    may be slightly negative for two sets from the same distribution.

    Args:
        a: [n, D].
        b: [m, D].
        scale: scale of the kernel; the default, 1 / D, gives KID.

    Raises:
        UsageError: features of different dimensions, or fewer than two in a set.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise UsageError(f"features of shapes {list(a.shape)} and {list(b.shape)}: expected [n, D], [m, D], n, m > 1")
    first, second = a.double(), b.double()
    factor = 1 / a.shape[1] if scale is None else scale

    def total(x: Tensor, y: Tensor) -> Tensor:
        parts = torch.split(x, table_rows(len(y)))
        return torch.stack([((rows @ y.T * factor + 1) ** 3).sum() for rows in parts]).sum()

    def within(x: Tensor) -> Tensor:
        own = ((x.square().sum(1) * factor + 1) ** 3).sum()
        return (total(x, x) - own) / (len(x) * (len(x) - 1))

    across = total(first, second) / (len(first) * len(second))
    return float(within(first) + within(second) - 2 * across)


def table_rows(columns: int) -> int:
    """How many rows of a table with so many columns are held in memory together: some 64 MB of float64."""
    return max(1, 2**23 // columns)


def _ssim_terms(a: Tensor, b: Tensor, span: float) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure maps [N, C, H - 10, W - 10], population variances under the window."""
    offsets = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    line = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    line = line / line.sum()
    channels = a.shape[1]
    stacked = torch.cat([a, b, a * a, b * b, a * b], dim=1)  # [N, 5 C, H, W]
    across = line.view(1, 1, 1, -1).expand(5 * channels, 1, 1, -1)
    stacked = F.conv2d(F.conv2d(stacked, across, groups=5 * channels), across.transpose(2, 3), groups=5 * channels)
    mean_a, mean_b, square_a, square_b, product = stacked.chunk(5, dim=1)
    var_a, var_b, covariance = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (var_a + var_b + c2)


def _check_pair(a: Tensor, b: Tensor, side: int) -> None:
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[2:]) < side:
        raise UsageError(
            f"pictures of shapes {list(a.shape)} and {list(b.shape)}: expected [N, C, H, W] twice, "
            f"both sides {side} or more"
        )
