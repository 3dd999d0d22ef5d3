"""Strong augmentation of face renders with landmarks, vectorised over a batch.

A network trained on renders generalises to photographs only if the training pictures vary more than photographs do: in
framing, face shape, light, colour, sharpness, compression, glasses, things in front of the face and what is behind
it. Every function takes images float [N, 3, H, W] in [0, 1] and a torch.Generator on their device, and returns new
images of the same kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F

from latentface.faces.crop import MIRROR
from latentface.networks.trunk import Frame

Tensor = torch.Tensor


@dataclass(frozen=True)
class AugmentOptions:
    """The size of each change (a standard deviation unless stated otherwise) and how often it is applied (a fraction).

    rotation is in degrees; shift, stretch and bend are parts of the side of the framed square. brow_lift is the range,
    in sides of the crop, by which brows are raised above the eyes: people differ more in this than the head model.
    """

    rotation: float = 11.0
    rotation_limit: float = 32.0
    log_scale: float = 0.09
    shift: float = 0.035
    log_stretch: float = 0.05
    bend: float = 0.008
    brow_lift: tuple[float, float] = (-0.012, 0.032)
    background_share: float = 0.5
    glasses_share: float = 0.3
    occluder_share: float = 0.35
    grey_share: float = 0.12
    soften_share: float = 0.5
    compress_share: float = 0.4


def augment(
    images: Tensor,
    points: Tensor,
    masks: Tensor | None,
    config: Frame,
    options: AugmentOptions,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Framed and changed training pictures.

    images: uint8 [N, 3, H, H], FFHQ crops. points: float [N, 68, 2] in their pixels. masks: float [N, 1, H, H] in
    [0, 1], 1 on the head, or None. Returns images float [N, 3, S, S] in [-1, 1] and points [N, 68, 2] in crop units
    of the framed square (see LandmarkConfig).
    """
    pictures = images.float() / 255.0
    if masks is not None:  # framed first, as everything after costs less on the smaller square
        pictures = torch.cat([pictures, masks], dim=1)
    pictures, points = frame(pictures, points, config, options, generator)
    pictures, points = mirror(pictures, points, generator)
    if masks is not None:
        pictures = replace_background(pictures[:, :3], pictures[:, 3:], options.background_share, generator)
    pictures = add_glasses(pictures, points * config.input_size - 0.5, options.glasses_share, generator)
    pictures = shade(pictures, generator)
    pictures = occlude(pictures, options.occluder_share, generator)
    pictures = recolour(pictures, options.grey_share, generator)
    pictures = soften(pictures, options.soften_share, generator)
    pictures = compress(pictures, options.compress_share, generator)
    pictures = add_noise(pictures, generator)
    return pictures.clamp(0, 1) * 2 - 1, points


def _uniform(generator: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def _normal(generator: torch.Generator, shape: tuple[int, ...], deviation: float) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device) * deviation


def _chosen(generator: torch.Generator, count: int, share: float) -> Tensor:
    """Indices of the pictures to which a change is applied."""
    return (torch.rand(count, generator=generator, device=generator.device) < share).nonzero()[:, 0]


@lru_cache(maxsize=16)
def _blend(cells: int, size: int) -> Tensor:
    """Weights [size, cells] of the uniform cubic B-spline with cells control points over size pixels."""
    place = torch.linspace(0.5, cells - 1.5, size)[:, None] - torch.arange(cells, dtype=torch.float32)
    near = place.abs()
    inner = 2 / 3 - near**2 + near**3 / 2
    outer = (2 - near).clamp(min=0) ** 3 / 6
    weights = torch.where(near < 1, inner, outer)
    return weights / weights.square().sum(1, keepdim=True).sqrt()  # unit deviation everywhere


def _smooth_field(generator: torch.Generator, count: int, channels: int, cells: int, size: int) -> Tensor:
    """Smooth random maps [count, channels, size, size] of unit deviation, with about cells x cells bumps."""
    coarse = torch.randn(count, channels, cells, cells, generator=generator, device=generator.device)
    blend = _blend(cells, size).to(generator.device)
    return blend @ coarse @ blend.T


def _pixel_grid(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    line = torch.arange(size, dtype=torch.float32, device=device)
    return line[None, None, :], line[None, :, None]  # x [1, 1, W], y [1, H, 1]


# ------------------------------------------------------------------------------------- geometry


def mirror(images: Tensor, points: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half of the pictures [N, C, S, S]; their landmarks [N, 68, 2], in crop units, change sides with them."""
    flip = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    swapped = points[:, list(MIRROR)] * points.new_tensor([-1, 1]) + points.new_tensor([1, 0])
    points = torch.where(flip[:, None, None], swapped, points)
    return torch.where(flip[:, None, None, None], images.flip(3), images), points


def frame(
    images: Tensor, points: Tensor, config: Frame, options: AugmentOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut out the square that the network looks at, turned, scaled, shifted, stretched and bent at random.

    images: [N, 3, H, H]; points: [N, 68, 2] in pixels. Returns [N, 3, S, S] and points in units of the new square.
    """
    count, size = len(images), config.input_size
    angle = _normal(generator, (count,), options.rotation).clamp(-options.rotation_limit, options.rotation_limit)
    angle = angle * (math.pi / 180)
    scale = torch.exp(_normal(generator, (count,), options.log_scale).clamp(-0.25, 0.3))
    stretch = torch.exp(_normal(generator, (count,), options.log_stretch).clamp(-0.15, 0.15))
    shift = _normal(generator, (count, 2), options.shift).clamp(-0.12, 0.12)
    # the map from the new square (units, centred) to the old crop (units): p = A q + b
    cos, sin = torch.cos(angle), torch.sin(angle)
    zoom = scale * config.frame_scale
    matrix = torch.stack([cos * zoom * stretch, -sin * zoom, sin * zoom * stretch, cos * zoom], 1).view(count, 2, 2)
    centre = torch.tensor([0.5, 0.5 + config.frame_shift], device=images.device) + shift
    bend = _smooth_field(generator, count, 2, 4, size) * options.bend  # [N, 2, S, S], added in the new square
    line = (torch.arange(size, device=images.device) + 0.5) / size - 0.5
    square = torch.stack(torch.meshgrid(line, line, indexing="xy"))  # [2, S, S]
    where = torch.einsum("nij,njhw->nhwi", matrix, square + bend) + centre[:, None, None]
    units = (points + 0.5) / images.shape[-1]
    lift = _uniform(generator, (count,), *options.brow_lift)
    where = where + brow_shift(where.flatten(1, 2), units, lift).view_as(where)
    modes = ("border", "reflection", "zeros")
    mode = modes[int(torch.randint(3, (1,), generator=generator, device=generator.device))]
    framed = F.grid_sample(images, where * 2 - 1, mode="bilinear", padding_mode=mode, align_corners=False)
    lifted = units
    for _ in range(8):  # lifted + shift(lifted) = units, by fixed point: the shift changes slowly enough
        lifted = units - brow_shift(lifted, units, lift)
    straight = torch.linalg.solve(matrix, (lifted - centre[:, None]).transpose(1, 2)).transpose(1, 2)
    place = straight
    for _ in range(2):  # place + bend(place) = straight, likewise
        move = F.grid_sample(bend, place[:, None] * 2, padding_mode="border", align_corners=False)  # [N, 2, 1, 68]
        place = straight - move[:, :, 0].transpose(1, 2)
    return framed, place + 0.5


def brow_shift(where: Tensor, points: Tensor, lift: Tensor) -> Tensor:
    """Offsets [N, K, 2] from `where` down to the source of the picture with lifted brows, in crop units.

    points: [N, 68, 2] of the picture before; lift: [N]. Nothing moves below the upper lids; the shift is
    complete at the brows and fades over the forehead.
    """
    left, right = points[:, 36:42].mean(1, keepdim=True), points[:, 42:48].mean(1, keepdim=True)
    across = F.normalize(right - left, dim=2)
    down = torch.stack([-across[..., 1], across[..., 0]], dim=2)
    height = ((left + right) / 2 * down).sum(2) - (where * down).sum(2)  # [N, K] above the eye line
    rise = ((height - 0.02) / 0.06).clamp(0, 1)
    amount = rise * rise * (3 - 2 * rise) * torch.exp(-(((height - 0.08).clamp(min=0) / 0.12) ** 2))
    return (amount * lift[:, None])[..., None] * down


# ------------------------------------------------------------------------------------- things in the picture


def replace_background(images: Tensor, masks: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Replace some backgrounds by smooth colours with texture, or by a part of another picture."""
    chosen = _chosen(generator, len(images), share)
    count, size = len(chosen), images.shape[-1]
    if count == 0:
        return images
    colour = _uniform(generator, (count, 3, 1, 1), 0.0, 1.0)
    smooth = colour + _smooth_field(generator, count, 3, 4, size) * _uniform(generator, (count, 1, 1, 1), 0.0, 0.3)
    detail = _smooth_field(generator, count, 1, 32, size) * _uniform(generator, (count, 1, 1, 1), 0.0, 0.2)
    other = images[torch.randint(len(images), (count,), generator=generator, device=generator.device)].flip(2)
    take_other = _uniform(generator, (count, 1, 1, 1), 0.0, 1.0) < 0.4
    behind = torch.where(take_other, other, (smooth + detail).clamp(0, 1))
    mask = masks[chosen]
    result = images.clone()
    result[chosen] = images[chosen] * mask + behind * (1 - mask)
    return result


def add_glasses(images: Tensor, points: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Glasses on some of the faces: rounded frames, a bridge, temples, clear to dark lenses, at times a reflection."""
    chosen = _chosen(generator, len(images), share)
    count, size = len(chosen), images.shape[-1]
    if count == 0:
        return images
    face = points[chosen]
    left, right = face[:, 36:42].mean(1), face[:, 42:48].mean(1)
    across = right - left
    distance = across.norm(dim=1).clamp(min=1.0)
    right_way = across / distance[:, None]
    middle = (left + right) / 2 + across * _uniform(generator, (count, 1), -0.02, 0.02)
    x, y = _pixel_grid(size, images.device)
    dx, dy = x - middle[:, 0, None, None], y - middle[:, 1, None, None]
    u = (dx * right_way[:, 0, None, None] + dy * right_way[:, 1, None, None]) / distance[:, None, None]
    v = (dy * right_way[:, 0, None, None] - dx * right_way[:, 1, None, None]) / distance[:, None, None]
    v = v - _uniform(generator, (count, 1, 1), -0.02, 0.12)

    def uniform(low: float, high: float) -> Tensor:
        return _uniform(generator, (count, 1, 1), low, high)

    half_width, half_height, power = uniform(0.3, 0.44), uniform(0.17, 0.36), uniform(2.0, 6.0)
    thick, soft = uniform(0.015, 0.08), 1.2 / distance[:, None, None]
    eye_u = u.abs() - 0.5
    # distance to a superellipse, to first order in units of its smaller half-axis
    ring = ((eye_u / half_width).abs() ** power + (v / half_height).abs() ** power + 1e-6) ** (1 / power) - 1
    ring = ring * torch.minimum(half_width, half_height)
    bridge = torch.where(u.abs() < 0.5 - half_width, (v + uniform(0.0, 0.12)).abs(), torch.full_like(u, 9.0))
    temple = torch.where(eye_u > half_width, (v + uniform(0.0, 0.15)).abs(), torch.full_like(u, 9.0))
    temple = torch.where(eye_u < half_width + 0.3, temple, torch.full_like(u, 9.0))
    line = torch.minimum(ring.abs(), torch.minimum(bridge, temple))
    frame_alpha = (((thick / 2 - line) / soft) + 0.5).clamp(0, 1)[:, None] * uniform(0.4, 1.0)[:, None]
    inside = (-ring / soft + 0.5).clamp(0, 1)[:, None]
    tint = uniform(0.0, 1.0)[:, None]
    lens_alpha = inside * torch.where(tint < 0.7, tint * 0.3, uniform(0.5, 0.97)[:, None])
    lens_colour = _uniform(generator, (count, 3, 1, 1), 0.0, 0.35)
    slope = (u * uniform(-1, 1) + v * uniform(-1, 1) - uniform(-0.4, 0.4)).abs() < uniform(0.02, 0.15)
    shine = inside * slope[:, None].float() * (uniform(0, 1)[:, None] < 0.4).float() * uniform(0.1, 0.7)[:, None]
    picture = images[chosen] * (1 - lens_alpha) + lens_colour * lens_alpha
    picture = picture * (1 - shine) + shine
    frame_colour = _uniform(generator, (count, 3, 1, 1), 0.0, 1.0) ** 2
    result = images.clone()
    result[chosen] = picture * (1 - frame_alpha) + frame_colour * frame_alpha
    return result


def occlude(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Cover a part of some pictures by a rotated ellipse or box of plain or textured colour (hands, hair, objects)."""
    chosen = _chosen(generator, len(images), share)
    count, size = len(chosen), images.shape[-1]
    if count == 0:
        return images
    x, y = _pixel_grid(size, images.device)
    dx = x / size - _uniform(generator, (count, 1, 1), 0.0, 1.0)
    dy = y / size - _uniform(generator, (count, 1, 1), 0.0, 1.0)
    angle = _uniform(generator, (count, 1, 1), 0.0, math.pi)
    u, v = dx * torch.cos(angle) + dy * torch.sin(angle), dy * torch.cos(angle) - dx * torch.sin(angle)
    u = (u / _uniform(generator, (count, 1, 1), 0.05, 0.3)).abs()
    v = (v / _uniform(generator, (count, 1, 1), 0.03, 0.2)).abs()
    box = _uniform(generator, (count, 1, 1), 0.0, 1.0) < 0.4
    level = torch.where(box, torch.maximum(u, v), torch.sqrt(u * u + v * v))
    alpha = ((1 - level) * 8).clamp(0, 1)[:, None] * _uniform(generator, (count, 1, 1, 1), 0.6, 1.0)
    colour = _uniform(generator, (count, 3, 1, 1), 0.0, 1.0)
    texture = _smooth_field(generator, count, 3, 6, size) * _uniform(generator, (count, 1, 1, 1), 0.0, 0.25)
    result = images.clone()
    result[chosen] = images[chosen] * (1 - alpha) + (colour + texture).clamp(0, 1) * alpha
    return result


# ------------------------------------------------------------------------------------- light and camera


def shade(images: Tensor, generator: torch.Generator) -> Tensor:
    """Uneven light: a smooth gain over the picture, at times with a harder edge of shadow."""
    count, size = len(images), images.shape[-1]
    strength = _uniform(generator, (count, 1, 1, 1), 0.0, 0.35)
    gain = torch.exp(_smooth_field(generator, count, 1, 3, size) * strength)
    x, y = _pixel_grid(size, images.device)
    angle = _uniform(generator, (count, 1, 1), 0.0, 2 * math.pi)
    side = (x / size - 0.5) * torch.cos(angle) + (y / size - 0.5) * torch.sin(angle)
    edge = torch.sigmoid((side - _uniform(generator, (count, 1, 1), -0.3, 0.3)) * 20)[:, None]
    depth = _uniform(generator, (count, 1, 1, 1), -1.2, 0.6).clamp(min=0)  # two thirds have none
    return (images * gain * (1 - depth * edge)).clamp(0, 1.5)


def recolour(images: Tensor, grey_share: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, gamma, colour temperature, saturation; some pictures lose their colour."""
    count = len(images)
    shape = (count, 1, 1, 1)
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)[None, :, None, None]
    grey = (images * weights).sum(1, keepdim=True)
    saturation = _uniform(generator, shape, 0.4, 1.5)
    saturation[_chosen(generator, count, grey_share)] = 0.0
    images = grey + (images - grey) * saturation
    images = images * torch.exp(_normal(generator, (count, 3, 1, 1), 0.08))
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * torch.exp(_normal(generator, shape, 0.25))
    images = images * torch.exp(_normal(generator, shape, 0.2)) + _normal(generator, shape, 0.05)
    return images.clamp(1e-4, 1.2) ** torch.exp(_normal(generator, shape, 0.25))


def soften(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Loss of detail: groups of pictures are shrunk and enlarged again, in both directions or (motion) in one."""
    size = images.shape[-1]
    groups = []
    for group in torch.split(images, 8):
        kind, factor, squeeze = torch.rand(3, generator=generator, device=generator.device).tolist()
        if kind < share:
            small = max(round(size * (0.25 + 0.6 * factor)), 16)
            wide = small if squeeze > 0.2 else size
            mode = "bilinear" if squeeze < 0.6 else "bicubic"
            reduced = F.interpolate(group, size=(small, wide), mode="bilinear", antialias=True)
            group = F.interpolate(reduced, size=(size, size), mode=mode, align_corners=False)
        groups.append(group)
    return torch.cat(groups)


def compress(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Block noise as JPEG makes it: rounding of the 8 x 8 cosine coefficients, coarser for finer waves."""
    chosen = _chosen(generator, len(images), share)
    count, size = len(chosen), images.shape[-1]
    if count == 0:
        return images
    k = torch.arange(8, dtype=torch.float32, device=images.device)
    basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * 0.5
    basis[0] *= math.sqrt(0.5)
    blocks = images[chosen].reshape(count, 3, size // 8, 8, size // 8, 8).transpose(3, 4)  # [N, 3, R, C, 8, 8]
    waves = basis @ blocks @ basis.T
    step = (1 + k[None] + k[:, None]) * _uniform(generator, (count, 1, 1, 1, 1, 1), 0.01, 0.08)
    blocks = basis.T @ ((waves / step).round() * step) @ basis
    result = images.clone()
    result[chosen] = blocks.transpose(3, 4).reshape(count, 3, size, size)
    return result


def add_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise whose strength varies between pictures (none to 8 %)."""
    strength = _uniform(generator, (len(images), 1, 1, 1), -0.03, 0.08).clamp(min=0)
    return images + torch.randn(images.shape, generator=generator, device=generator.device) * strength
