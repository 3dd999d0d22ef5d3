"""Attacks on marked pictures, for training the mark: compression, resizing, screenshots, video.

Each takes brightness [N, 1, R, R] in levels 0 ... 255 and a seeded generator. JPEG and H.264 are the real codecs; the
gradient passes through them unchanged (Zhang et al. 2021, "Towards robust deep hiding under non-differentiable
distortions").
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Attack = Callable[[Tensor, torch.Generator], Tensor]


def straight(changed: Tensor, images: Tensor) -> Tensor:
    """The changed images, with the gradient of the unchanged ones (straight-through estimator)."""
    return images + (changed - images).detach()


def uniform(low: float, high: float, source: torch.Generator) -> float:
    """A random number between the two."""
    return low + (high - low) * float(torch.rand((), generator=source))


def rounded(images: Tensor) -> Tensor:
    """Whole levels from 0 to 255, as files hold them."""
    return straight(images.round().clamp(0, 255), images)


def resized(images: Tensor, side: int) -> Tensor:
    """Images of another side, by a bicubic filter as wide as needed."""
    if side == images.shape[-1]:
        return images
    return F.interpolate(images, size=(side, side), mode="bicubic", antialias=True, align_corners=False)


def as_jpeg(images: Tensor, quality: int) -> Tensor:
    """Written as JPEG with that quality, and read again."""
    found = []
    for image in _pixels(images):
        with io.BytesIO() as file:
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            found.append(np.asarray(Image.open(file)))
    return straight(torch.from_numpy(np.stack(found))[:, None].to(images), images)


def as_h264(images: Tensor, crf: int) -> Tensor:
    """Written as frames of an H.264 clip with that constant rate factor, each shown twice, and read again.

    The second showing is taken: most of the frames of a clip are predicted from others.
    """
    side = images.shape[-1]
    with io.BytesIO() as file:
        with av.open(file, "w", format="mp4") as written:
            stream = written.add_stream("libx264", 25, {"crf": str(crf), "preset": "veryfast", "threads": "1"})
            stream.width = stream.height = side
            stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 25)
            for image in np.repeat(_pixels(images), 2, 0):
                frame = av.VideoFrame.from_ndarray(np.repeat(image[..., None], 3, -1), format="rgb24")
                written.mux(stream.encode(frame))
            written.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as read:
            frames = [frame.to_ndarray(format="gray") for frame in read.decode(video=0)][1::2]
    return straight(torch.from_numpy(np.stack(frames))[:, None].to(images), images)


def _pixels(images: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = images.detach()[:, 0].round().clamp(0, 255).byte().numpy()
    return pixels


def nothing(images: Tensor, source: torch.Generator) -> Tensor:
    """No attack."""
    return images


def jpeg(images: Tensor, source: torch.Generator) -> Tensor:
    """JPEG of quality 40 to 90."""
    return as_jpeg(images, round(uniform(40, 90, source)))


def smaller(images: Tensor, source: torch.Generator) -> Tensor:
    """0.45 to 0.8 of the size, then for half of them JPEG of quality 75 to 95."""
    small = rounded(resized(images, round(images.shape[-1] * uniform(0.45, 0.8, source))))
    return as_jpeg(small, round(uniform(75, 95, source))) if uniform(0, 1, source) < 0.5 else small


def screenshot(images: Tensor, source: torch.Generator) -> Tensor:
    """Shown at 0.6 to 1.5 of the size in slightly other colours, with some noise, then often JPEG."""
    shown = resized(images, round(images.shape[-1] * uniform(0.6, 1.5, source))) / 255
    power = uniform(0.85, 1.18, source)
    shown = shown.clamp(min=1e-3) ** power * uniform(0.9, 1.1, source) + uniform(-0.04, 0.04, source)
    noise = torch.randn(shown.shape, generator=source) * uniform(0, 2.5, source)
    shown = rounded(shown * 255 + noise)
    return as_jpeg(shown, round(uniform(70, 95, source))) if uniform(0, 1, source) < 0.6 else shown


def soft(images: Tensor, source: torch.Generator) -> Tensor:
    """A slight blur, and noise."""
    side = images.shape[-1]
    blurry = resized(resized(images, round(side * uniform(0.4, 0.9, source))), side)
    return rounded(blurry + torch.randn(images.shape, generator=source) * uniform(0, 4, source))


def video(images: Tensor, source: torch.Generator) -> Tensor:
    """H.264 at CRF 20 to 31."""
    return as_h264(images, round(uniform(20, 31, source)))


#: The share of batches to which each is applied.
ATTACKS: tuple[tuple[Attack, float], ...] = (
    (nothing, 0.08), (jpeg, 0.32), (smaller, 0.15), (screenshot, 0.2), (soft, 0.07), (video, 0.18),
)  # fmt: skip


def realigned(images: Tensor, side: int, source: torch.Generator, strength: float = 1.0) -> Tensor:
    """The realigned face in a crop of that side: slightly off in position, size and angle, as `align` is."""
    count = images.shape[0]
    off = torch.randn(count, 4, generator=source) * strength
    angle, scale = 0.005 * off[:, 0], torch.exp(0.006 * off[:, 1])
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle) * scale
    matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle) * scale, torch.sin(angle) * scale
    matrix[:, :, 2] = 0.004 * off[:, 2:]
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return resized(F.grid_sample(images, grid, padding_mode="reflection", align_corners=False), side)


def choose(source: torch.Generator) -> Attack:
    """One of the attacks, by their shares."""
    shares = torch.tensor([share for _, share in ATTACKS])
    return ATTACKS[int(torch.multinomial(shares, 1, generator=source))][0]
