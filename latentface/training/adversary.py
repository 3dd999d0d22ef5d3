"""A discriminator in the feature space of a pretrained network (Projected GAN, Sauer et al., NeurIPS 2021).

Four maps of a frozen network, such as SqueezeNet, are mixed by fixed random convolutions, across channels (section
3.2, CCM) and from coarse to fine scales (CSM); a small trained head classifies each mixed map. It has so little to
learn that a few thousand pictures with differentiable augmentation (Zhao et al., NeurIPS 2020) are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from latentface.errors import UsageError
from latentface.networks.perceptual import FeatureDistance

#: By the number of a backbone's maps, those at 1/2, 1/4, 1/8 and 1/16 of the picture's side: of SqueezeNet and of the
#: built-in perceptual network.
LEVELS = {7: (0, 1, 2, 6), 5: (1, 2, 3, 4)}
MIXED = (32, 64, 96, 128)  # channels after the random mixing
WIDTH = 96  # of the trained heads


class ScaleHead(nn.Module):
    """One trained head: maps [N, C, r, r] -> logits [N, 1, s, s], s about 4, all layers spectrally normalised."""

    def __init__(self, channels: int, halvings: int, width: int = WIDTH) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(halvings):
            layers += [spectral_norm(nn.Conv2d(channels, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
            channels = width
        layers += [spectral_norm(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.2)]
        layers.append(spectral_norm(nn.Conv2d(width, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Logits of a batch of mixed maps."""
        out: Tensor = self.layers(features)
        return out


class ProjectedDiscriminator(nn.Module):
    """Classifies features of pictures: `project` computes the features, `forward` their logits.

    The backbone is not registered as a submodule, so that a checkpoint contains only the heads and the mixing.
    """

    def __init__(self, backbone: FeatureDistance, seed: int = 0, width: int = WIDTH) -> None:
        super().__init__()
        self._backbone = [backbone.requires_grad_(False)]
        weights = backbone.channel_weights()
        if len(weights) not in LEVELS or None in weights:
            raise UsageError(f"no discriminator on {type(backbone).__name__}: give SqueezeNet or the built-in network")
        self.levels = LEVELS[len(weights)]
        channels = [len(each) for each in (weights[level] for level in self.levels) if each is not None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.across = nn.ModuleList([nn.Conv2d(c, m, 1) for c, m in zip(channels, MIXED, strict=True)])
            coarser = [*MIXED[1:], 0]
            self.down = nn.ModuleList(
                [nn.Conv2d(c, m, 3, padding=1) for c, m in zip(coarser[:-1], MIXED[:-1], strict=True)]
            )
            self.across.requires_grad_(False)
            self.down.requires_grad_(False)
            self.heads = nn.ModuleList([ScaleHead(m, h, width) for m, h in zip(MIXED, (4, 3, 2, 1), strict=True)])

    def project(self, images: Tensor) -> list[Tensor]:
        """Mixed maps of pictures [N, 3, S, S] in [-1, 1], finest first; gradients reach the pictures."""
        return self.mix(self._backbone[0].features(images))

    def mix(self, features: Sequence[Tensor]) -> list[Tensor]:
        """`project` for the backbone's feature maps of pictures, all of them, finest first."""
        maps = [mix(features[level]) for mix, level in zip(self.across, self.levels, strict=True)]
        for k in range(len(maps) - 2, -1, -1):
            above = F.interpolate(maps[k + 1], size=maps[k].shape[-2:], mode="bilinear", align_corners=False)
            maps[k] = maps[k] + self.down[k](above)
        return maps

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """The mean logit of each picture over places and heads, [N, heads]."""
        logits = [head(each).float().mean((1, 2, 3)) for head, each in zip(self.heads, maps, strict=True)]
        return torch.stack(logits, 1)

    def hinge(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """The discriminator's loss on mixed maps of real and of synthesised pictures, a scalar."""
        count = len(real[0])
        logits = [head(torch.cat([a, b])).float() for head, a, b in zip(self.heads, real, fake, strict=True)]
        return torch.stack(
            [F.relu(1 - each[:count]).mean() + F.relu(1 + each[count:]).mean() for each in logits]
        ).mean()


def augment(images: Tensor, random: torch.Generator) -> Tensor:
    """Differentiable augmentation of pictures [N, 3, S, S]: brightness, saturation, contrast, shift, a cut square."""
    count, side = len(images), images.shape[-1]

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(count, 1, 1, 1, generator=random, device=images.device)
        return drawn * (high - low) + low

    images = images + uniform(-0.4, 0.4)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.3, 1.7)
    middle = images.mean((1, 2, 3), keepdim=True)
    images = middle + (images - middle) * uniform(0.6, 1.4)
    reach = side // 8
    shift = torch.randint(-reach, reach + 1, (count, 2), generator=random, device=images.device).tolist()
    padded = F.pad(images, (reach,) * 4)
    moved = [padded[k, :, reach + y :, reach + x :][:, :side, :side] for k, (y, x) in enumerate(shift)]
    images = torch.stack(moved)
    place = torch.arange(side, device=images.device)
    corner = (torch.rand(count, 2, generator=random, device=images.device) * 1.2 - 0.4) * side
    cut = 0.35 * side
    inside = [(place >= c) & (place < c + cut) for c in corner.flatten().tolist()]
    keep = torch.stack([~(inside[2 * k][:, None] & inside[2 * k + 1][None]) for k in range(count)])
    return images * keep[:, None].to(images)
