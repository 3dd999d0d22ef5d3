"""Completion by search: a face that fits the surroundings, then its texture by patches of deep features.

The content is what a generator shows in the hole when its latent is searched by all that lies outside (masked
projection). The texture follows neural patch synthesis (Yang et al., CVPR 2017): from coarse to fine, the pixels in the
hole are those whose patches of features are each like one of the surroundings, and which stay near the content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentface import api, hub
from latentface.arrays import BoolArray, Pixels
from latentface.errors import UsageError
from latentface.faces.crop import FaceCrop
from latentface.fields import resize
from latentface.inversion import projector
from latentface.inversion.projector import StepState
from latentface.io.images import to_tensor, to_uint8
from latentface.networks.generator import Generator
from latentface.networks.perceptual import FeatureDistance
from latentface.ops.adam import Adam
from latentface.options.projection import ProjectOptions

HIDDEN = 0.4  # how far the search is free in the hole; where nothing holds it, eyes turn black

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class PatchOptions:
    """Weights and sizes of the synthesis of texture.

    steps: of Adam at each scale, with new neighbours after each half. maps: of the distance's features. content: the
    weight of the content beside patches. most: patches of the surroundings that are compared with.
    """

    steps: int = 24
    rate: float = 0.03
    maps: tuple[int, ...] = (1, 2)
    content: float = 200.0
    smoothness: float = 0.02
    most: int = 5_000


def project_masked(
    crop: FaceCrop, hole: BoolArray, painted: Pixels, generator: Generator, steps: int, seed: int,
    on_step: OnStep | None = None,
) -> Pixels:  # fmt: skip
    """The generator's face that is like a crop outside its hole: uint8 RGB [S, S, 3].

    Args:
        crop: the face, at the generator's resolution.
        hole: [S, S], where the photo is unknown.
        painted: the crop with something in its hole, from which the encoder starts, and which holds the search weakly.
        generator: the network that is searched.
        steps: of the search.
        seed: of its random numbers.
        on_step: called as on_step(step, steps).
    """

    def report(step: int, state: StepState) -> None:
        if on_step is not None:
            on_step(step + 1, steps)

    options = ProjectOptions(steps=steps, seed=seed)
    shown = replace(crop, image=painted)
    return projector.project(
        shown, generator, options, distance=hub.perceptual(str(generator.w_avg.device)), on_step=report,
        start=api.start_of(shown, generator, options.start, search=True), statistics=hub.w_statistics(generator),
        preconditioner=hub.preconditioner(generator),
        hidden=torch.from_numpy(HIDDEN * hole.astype(np.float32))[None, None],
    ).image  # fmt: skip


def synthesise_texture(
    content: Pixels, surroundings: Pixels, hole: BoolArray, distance: FeatureDistance,
    options: PatchOptions | None = None,
) -> Pixels:  # fmt: skip
    """A picture with texture in its hole, uint8 RGB [H, W, 3].

    Only sizes above the content's are synthesised: at its own the content is as fine as the picture.

    Args:
        content: what the hole is to show, at a smaller size, with the same outline.
        surroundings: the picture, uint8 RGB [H, W, 3]; its hole is not looked at.
        hole: [H, W].
        distance: whose features are compared.
        options: how.
    """
    options = options or PatchOptions()
    height, width = surroundings.shape[:2]
    factors = [factor for factor in (4, 2, 1) if min(height, width) // factor > content.shape[0]]
    if not factors:
        raise UsageError(f"texture for {width} x {height} pixels needs a content that is smaller, got {content.shape}")
    base = to_tensor(content)
    x = base
    for factor in factors:
        size = height // factor, width // factor
        place = torch.from_numpy(resize(hole.astype(np.float32), size) > 0)[None, None].float()
        shown = to_tensor(np.rint(resize(surroundings.astype(np.float32), size)).clip(0, 255).astype(np.uint8))
        start = F.interpolate(x, size=size, mode="bicubic", align_corners=False)
        x = _synthesise(torch.lerp(shown, start, place), place, base, distance, options)
    made: Pixels = to_uint8(x)[0]
    return made


def _synthesise(x: Tensor, place: Tensor, content: Tensor, distance: FeatureDistance, options: PatchOptions) -> Tensor:
    """One scale: the picture [1, 3, h, w] after its steps; only places [1, 1, h, w] above 0 change."""
    known, change = x, torch.zeros_like(x, requires_grad=True)
    optimiser = Adam(change, options.rate, betas=(0.8, 0.9))
    small = min(content.shape[2], x.shape[2]), min(content.shape[3], x.shape[3])
    wanted = F.adaptive_avg_pool2d(content, small)
    weight = F.adaptive_avg_pool2d(place, small)
    nearest: list[tuple[Tensor, Tensor]] = []
    for step in range(options.steps):
        made = known + change * place
        maps = [distance.unit_features(made)[k] for k in options.maps]
        if step % max(1, options.steps // 2) == 0:
            nearest = [_nearest(each.detach(), place, options.most) for each in maps]
        loss = torch.stack([_apart(a, place, *b) for a, b in zip(maps, nearest, strict=True)]).sum()
        drift = ((F.adaptive_avg_pool2d(made, small) - wanted).square() * weight).sum() / weight.sum().clamp(min=1) / 3
        rough = (made.diff(dim=2).abs().mean() + made.diff(dim=3).abs().mean()) * options.smoothness
        optimiser.step(torch.autograd.grad(loss + options.content * drift + rough, change)[0])
    return (known + change * place).detach().clamp(-1, 1)


def _patches(features: Tensor) -> Tensor:
    """Patches of 3 x 3 places of features [1, C, h, w], as rows [h w, 9 C]."""
    return F.unfold(F.pad(features, (1, 1, 1, 1), mode="replicate"), 3)[0].T


def _rows(place: Tensor, features: Tensor, known: bool) -> Tensor:
    """Which patches touch the hole or, for known ones, lie outside it altogether."""
    share = F.adaptive_avg_pool2d(place, (features.shape[2], features.shape[3]))
    touched = F.max_pool2d((share > 0).float(), 3, 1, 1).flatten() > 0
    return ((~touched) if known else (share.flatten() > 0)).nonzero()[:, 0]


def _nearest(features: Tensor, place: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """For every patch in the hole the patch of the surroundings that is nearest to it [K, 9 C], and how alike they are.

    An eye is like nothing around it, and must not become hair: likenesses [K] fall from 1 to 0 with the distance.
    """
    rows, patches = _rows(place, features, known=True), _patches(features)
    source = patches[rows[:: max(1, len(rows) // most)]]
    target = patches[_rows(place, features, known=False)]
    if not len(source):  # the hole reaches everywhere
        return target, target.new_ones(len(target))
    half = source.square().sum(1) / 2
    found = source[torch.cat([(part @ source.T - half).argmax(1) for part in torch.split(target, 2_048)])]
    apart = (target - found).square().sum(1)
    return found, torch.exp(-((apart / apart.median().clamp(min=1e-6)) ** 2))


def _apart(features: Tensor, place: Tensor, nearest: Tensor, alike: Tensor) -> Tensor:
    """Mean squared difference between the patches in the hole and what they are to be like, as far as they are."""
    ours = _patches(features)[_rows(place, features, known=False)]
    return ((ours - nearest).square().sum(1) * alike).mean() / 9
