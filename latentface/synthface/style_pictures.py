"""Style pictures: rendered heads drawn as ink, hatching, mosaic, oil, pastel, clay, neon and pencil.

Each style is a function of a picture in 0..1 and of the mask of the person, for `latentface stylise`. Nothing in them
is taken from the work of an artist. Sizes are fractions of the side, so that styles look the same at every size.

    python -m latentface.synthface.style_pictures --heads heads.npz -o FOLDER
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from latentface.arrays import Float32Array, FloatArray
from latentface.emotion import Emotion
from latentface.io.images import write_image
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Render, Renderer
from latentface.synthface.scene import sample_scene

Style = Callable[[Float32Array, Float32Array, np.random.Generator], Float32Array]

LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
#: The person, the emotion and the head's yaw of each style's picture.
SITTERS: Final = {
    "ink": (206, "happiness", -8.0), "hatching": (228, "neutral", 8.0), "mosaic": (270, "happiness", 0.0),
    "oil": (232, "neutral", 10.0), "pastel": (258, "happiness", -6.0), "clay": (254, "happiness", 0.0),
    "neon": (212, "neutral", 6.0), "pencil": (272, "neutral", -8.0),
}  # fmt: skip


def luminance(rgb: Float32Array) -> Float32Array:
    """Luma [H, W] of RGB in 0..1, stretched so that its 2nd and 98th percentiles become 0 and 1."""
    grey = rgb @ LUMA
    low, high = np.percentile(grey, (2, 98))
    made: Float32Array = np.clip((grey - low) / max(high - low, 1e-3), 0, 1).astype(np.float32)
    return made


def smooth(values: FloatArray, share: float) -> Float32Array:
    """Gaussian blur of [H, W] or [H, W, C]; the deviation is a share of the side."""
    sigma = share * len(values)
    blurred: Float32Array = ndimage.gaussian_filter(values, (sigma, sigma, 0)[: values.ndim])
    return blurred


def lines(grey: Float32Array, share: float, sharpness: float = 9.0) -> Float32Array:
    """0 on dark lines and 1 elsewhere: a thresholded difference of Gaussians (Winnemoeller et al. 2012)."""
    difference = smooth(grey, share) - 0.985 * smooth(grey, 1.6 * share)
    made: Float32Array = np.clip(1 + np.tanh(sharpness * 10 * (difference - 0.004)), 0, 1).astype(np.float32)
    return made


def graded(value: FloatArray, *colours: tuple[float, float, float]) -> Float32Array:
    """Values [H, W] in 0..1 as colours: the first at 0, the last at 1, evenly spaced."""
    at = np.linspace(0, 1, len(colours))
    channels = [np.interp(value, at, [colour[channel] for colour in colours]) for channel in range(3)]
    return np.stack(channels, -1).astype(np.float32)


def paper(side: int, rng: np.random.Generator, share: float = 0.002) -> Float32Array:
    """The tooth of paper [side, side] with mean 0 and deviation 1."""
    grain = smooth(rng.normal(size=(side, side)).astype(np.float32), share)
    made: Float32Array = (grain - grain.mean()) / grain.std()
    return made


def ink(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Brush lines and two greys of wash on warm paper."""
    grey = luminance(smooth(rgb, 0.004)) * mask + 0.95 * (1 - mask)
    tone = smooth(grey, 0.010) + 0.012 * paper(len(rgb), rng, 0.01)
    wash = 1 - 0.28 * _step(0.62 - tone, 0.03) - 0.3 * _step(0.34 - tone, 0.03)
    sheet = wash * (1 - 0.02 * paper(len(rgb), rng))
    value = np.minimum(sheet, lines(grey, 0.0042) + 0.06) - 0.9 * _step(0.13 - tone, 0.02)
    return graded(np.clip(value, 0, 1), (0.06, 0.06, 0.09), (0.45, 0.44, 0.46), (0.97, 0.93, 0.84))


def hatching(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """An engraving: families of lines, each where the picture is darker than its threshold."""
    grey = luminance(smooth(rgb, 0.003)) * mask + 0.9 * (1 - mask)
    side = len(rgb)
    y, x = np.mgrid[:side, :side] / side
    swell = 0.035 * smooth(grey, 0.02)  # lines bend over the form
    value = np.ones_like(grey)
    for angle, threshold in ((40, 0.85), (-35, 0.55), (85, 0.33), (5, 0.18)):
        turn = np.radians(angle)
        phase = (x * np.cos(turn) + y * np.sin(turn) + swell + 0.0006 * paper(side, rng, 0.02)) * 95
        width = np.clip((threshold - grey) / 0.45, 0, 0.8)
        value = np.minimum(value, _step(np.abs(phase % 1 - 0.5) - width / 2, 0.12))
    value = np.minimum(value, lines(grey, 0.003, 5) + 0.1)
    return graded(value, (0.10, 0.13, 0.30), (0.96, 0.94, 0.86))


def mosaic(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Tiles of stone with grout between them, smaller where the picture has detail."""
    side = len(rgb)
    detail = smooth(ndimage.gaussian_gradient_magnitude(luminance(rgb), 0.005 * side).astype(np.float32), 0.01)
    odds = (0.25 + detail / detail.max()).ravel()
    places = rng.choice(side * side, size=5200, replace=False, p=odds / odds.sum())
    seeds = np.stack(np.divmod(places, side), 1).astype(np.float64)
    pixels = np.indices((side, side)).reshape(2, -1).T
    for _ in range(4):  # towards even cells (Lloyd)
        owner = cKDTree(seeds).query(pixels)[1]
        count = np.bincount(owner, minlength=len(seeds)).clip(1)
        seeds = np.stack([np.bincount(owner, pixels[:, axis], len(seeds)) / count for axis in range(2)], 1)
    near, owner = cKDTree(seeds).query(pixels, k=2)
    rich = np.clip((_saturated(rgb, 1.7) - 0.45) * 1.25 + 0.5, 0, 1).reshape(-1, 3)
    count = np.bincount(owner[:, 0], minlength=len(seeds)).clip(1)
    tile = np.stack([np.bincount(owner[:, 0], rich[:, channel], len(seeds)) / count for channel in range(3)], 1)
    tile = np.round(tile * 9) / 9 + rng.normal(0, 0.035, (len(seeds), 1))
    gap = _step((near[:, 1] - near[:, 0]) / side - 0.0022, 0.0012)[:, None]
    made: Float32Array = (gap * tile[owner[:, 0]] + (1 - gap) * np.array([0.20, 0.17, 0.15])).reshape(rgb.shape)
    return made.clip(0, 1).astype(np.float32)


def oil(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Thick paint in warm lights and cold shadows: each pixel is the mean of the most uniform stroke through it."""
    side = len(rgb)
    warm = graded(luminance(rgb), (0.03, 0.05, 0.14), (0.42, 0.18, 0.12), (0.93, 0.62, 0.32), (1.0, 0.94, 0.76))
    base = np.clip(0.45 * _saturated(rgb, 1.6) + 0.55 * warm, 0, 1)
    backdrop = graded(
        smooth(rng.random((side, side)).astype(np.float32), 0.03) * 9 % 1, (0.05, 0.16, 0.2), (0.1, 0.32, 0.3)
    )
    base = base * mask[..., None] + backdrop * (1 - mask[..., None])
    base += 0.10 * paper(side, rng, 0.006)[..., None]  # no two strokes of one colour
    best, spread = base, np.full((side, side), np.inf)
    length = max(3, round(0.022 * side) | 1)
    for angle in np.arange(0, 180, 22.5):
        kernel = _stroke(length, angle)
        mean = np.stack([ndimage.convolve(base[..., k], kernel, mode="nearest") for k in range(3)], -1)
        square = sum(ndimage.convolve(base[..., k] ** 2, kernel, mode="nearest") - mean[..., k] ** 2 for k in range(3))
        better = smooth(np.asarray(square, np.float32), 0.004) < spread
        best = np.where(better[..., None], mean, best)
        spread = np.where(better, smooth(np.asarray(square, np.float32), 0.004), spread)
    height = smooth((best @ LUMA).astype(np.float32), 0.001)
    relief = np.clip(ndimage.sobel(height, 0) + ndimage.sobel(height, 1), -0.5, 0.5)
    made: Float32Array = np.clip(best - 0.22 * relief[..., None], 0, 1).astype(np.float32)
    return made


def pastel(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Chalk on rose paper: light colours that the paper's tooth interrupts."""
    side = len(rgb)
    grey = luminance(smooth(rgb, 0.005))
    chalk = graded(grey, (0.34, 0.25, 0.42), (0.72, 0.47, 0.52), (0.98, 0.80, 0.68), (1.0, 0.97, 0.90))
    chalk = np.clip(0.7 * chalk + 0.3 * _saturated(smooth(rgb, 0.005), 1.5), 0, 1)
    tint = graded(
        smooth(rng.random((side, side)).astype(np.float32), 0.08) * 6 % 1, (0.62, 0.78, 0.80), (0.78, 0.72, 0.86)
    )
    sheet = np.array([0.86, 0.72, 0.70], np.float32)
    cover = np.clip(
        0.78 + 0.16 * ndimage.convolve(paper(side, rng, 0.0012), _stroke(max(3, round(0.02 * side) | 1), 50)) * 3, 0, 1
    )
    drawn = chalk * mask[..., None] + tint * (1 - mask[..., None])
    made = drawn * cover[..., None] + sheet * (1 - cover[..., None])
    edge = lines(grey, 0.004, 3)[..., None] * 0.35 + 0.65
    finished: Float32Array = np.clip(made * edge, 0, 1).astype(np.float32)
    return finished


def clay(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Modelling clay: broad surfaces of few strong colours, with finger marks and a soft shine."""
    side = len(rgb)
    form = rgb
    for _ in range(3):
        form = np.stack([ndimage.median_filter(form[..., k], max(3, round(0.014 * side) | 1)) for k in range(3)], -1)
    form = _saturated(form, 1.9)
    height = smooth(luminance(form), 0.004) + 0.018 * paper(side, rng, 0.008)
    light = np.clip(1 + 5 * (np.roll(height, 3, 1) - height + np.roll(height, 3, 0) - height), 0.6, 1.5)
    wall = np.array([0.36, 0.62, 0.74], np.float32) * (1 + 0.02 * paper(side, rng, 0.01)[..., None])
    made = np.clip(form * 1.12 + 0.03, 0, 1) * light[..., None]
    shine = np.clip(smooth(luminance(form), 0.006) - 0.86, 0, 1)[..., None] * 1.6
    finished: Float32Array = np.clip((made + shine) * mask[..., None] + wall * (1 - mask[..., None]), 0, 1).astype(
        np.float32
    )
    return finished


def neon(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Glowing lines over deep violet."""
    side = len(rgb)
    grey = luminance(smooth(rgb, 0.004)) * mask
    base = graded(smooth(grey, 0.004), (0.03, 0.01, 0.10), (0.22, 0.03, 0.38), (0.75, 0.10, 0.55), (1.0, 0.55, 0.62))
    edge = (1 - lines(grey, 0.0035, 6)) * smooth(mask, 0.006)
    hue = np.broadcast_to(np.linspace(0, 1, side)[:, None], (side, side))
    glow = graded(hue, (0.1, 0.95, 1.0), (0.35, 0.5, 1.0), (1.0, 0.25, 0.9))
    light = np.clip(edge, 0, 1) + 1.4 * smooth(edge, 0.008) + 1.2 * smooth(edge, 0.025)
    made: Float32Array = np.clip(0.85 * base + glow * light[..., None], 0, 1).astype(np.float32)
    return made


def pencil(rgb: Float32Array, mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Graphite on white paper: soft shading by strokes of one direction, darker contours."""
    side = len(rgb)
    grey = luminance(smooth(rgb, 0.002)) * mask + 0.97 * (1 - mask)
    stroke = ndimage.convolve(paper(side, rng, 0.001), _stroke(max(3, round(0.045 * side) | 1), 55))
    stroke /= stroke.std()
    shade = np.clip(1 - (1 - smooth(grey, 0.003)) * (0.62 + 0.22 * stroke), 0, 1)
    value = shade * (0.3 + 0.7 * lines(grey, 0.0032, 4)) - 0.012 * paper(side, rng)
    return graded(np.clip(value, 0, 1), (0.13, 0.13, 0.14), (0.98, 0.98, 0.96))


STYLES: Final[dict[str, Style]] = {
    "ink": ink, "hatching": hatching, "mosaic": mosaic, "oil": oil, "pastel": pastel, "clay": clay, "neon": neon,
    "pencil": pencil,
}  # fmt: skip


def portray(name: str, render: Render) -> Float32Array:
    """Draw a rendered head in a style: RGB [S, S, 3] in 0..1. The same render gives the same picture."""
    rgb, mask = (each.astype(np.float32) / np.float32(255) for each in (render.image, render.mask))
    return STYLES[name](rgb, mask, np.random.default_rng(SITTERS[name][0]))


def sit(name: str, renderer: Renderer) -> Render:
    """Render the person of a style's picture, upright and looking into the camera."""
    seed, emotion, yaw = SITTERS[name]
    scene = sample_scene(seed, renderer.library.sizes, len(renderer.head.identity_deltas))
    scene = replace(scene, yaw=yaw, pitch=0.0, roll=0.0, gaze=(-yaw / 2, 0.0), glasses=None, noise=0.0, distance=110.0)
    return renderer.render(scene.with_expression(Emotion.of(emotion).value, 0.6))


def _step(value: FloatArray, softness: float) -> Float32Array:
    """0 below 0 and 1 above, with a linear ramp of this width between them."""
    made: Float32Array = np.clip(0.5 + value / softness, 0, 1).astype(np.float32)
    return made


def _saturated(rgb: Float32Array, factor: float) -> Float32Array:
    grey = (rgb @ LUMA)[..., None]
    return np.clip(grey + factor * (rgb - grey), 0, 1).astype(np.float32)


def _stroke(length: int, angle: float) -> Float32Array:
    """A line through the middle of a square of that odd side, with sum 1."""
    kernel, middle, turn = np.zeros((length, length), np.float32), length // 2, np.radians(angle)
    for t in np.linspace(-middle, middle, 4 * length):
        kernel[round(middle - t * np.sin(turn)), round(middle + t * np.cos(turn))] = 1
    made: Float32Array = kernel / kernel.sum()
    return made


@click.command()
@click.option("--heads", required=True, type=click.Path(exists=True, path_type=Path), help="Made by synthface.build.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for NAME.jpg.")
@click.option("--size", default=512, show_default=True, help="Pixels of a picture's side.")
def main(heads: Path, output: Path, size: int) -> None:
    """Render the style pictures of the gallery."""
    renderer = Renderer(load_library(heads), size=size)
    output.mkdir(parents=True, exist_ok=True)
    for name in STYLES:
        picture = portray(name, sit(name, renderer))
        write_image(output / f"{name}.jpg", np.rint(picture * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
