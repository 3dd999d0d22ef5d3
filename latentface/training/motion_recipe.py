"""What a training of the motion model consists of: sizes, stages, weights of the losses, and the losses of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from latentface.networks.motion import MotionConfig, MotionModel
from latentface.networks.motion.geometry import Keypoints
from latentface.training import motion_losses as losses
from latentface.training.motion_data import INNER, PairBatch, guide_points

COMPACT = MotionConfig(
    num_keypoints=20, resolution=128, scale=0.25, keypoint_width=16, keypoint_max=128, keypoint_blocks=4,
    dense_width=16, dense_max=128, dense_blocks=4, generator_width=16, generator_max=64, bottleneck_blocks=3,
    blend=True,
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """`pairs` pairs of frames at `resolution` in batches of `batch`."""

    resolution: int
    pairs: int
    batch: int


@dataclass(frozen=True)
class Recipe:
    """Every choice of the training; the weights of the losses are those of the reference, where it has them.

    generator_gan: 0 leaves the discriminator out altogether. guide_weight: of the known landmarks at the start; it
    falls to a half over `guide_pairs`. average_pairs: half-life of the averaged weights.
    """

    network: MotionConfig = MotionConfig()  # noqa: RUF009 (frozen)
    stages: tuple[Stage, ...] = (Stage(256, 4_000_000, 20),)
    learning_rate: float = 2e-4
    warm_up: int = 1000
    perceptual: float = 10.0
    pixel: float = 0.0
    equivariance_value: float = 10.0
    equivariance_jacobian: float = 10.0
    generator_gan: float = 0.0
    feature_matching: float = 10.0
    discriminator_sees_keypoints: bool = True
    guide_weight: float = 0.0
    guide_pairs: int = 12_000
    average_pairs: int = 4_000
    seed: int = 0


BUILTIN = Recipe(
    network=COMPACT, stages=(Stage(64, 24_000, 12), Stage(128, 26_000, 12)), learning_rate=1e-3, pixel=10.0,
    guide_weight=50.0, average_pairs=500,
)  # fmt: skip


class Step(nn.Module):
    """All of the generator's losses in one forward call, so that one wrapper serves several GPUs."""

    def __init__(self, recipe: Recipe, model: MotionModel, perceptual: nn.Module) -> None:
        super().__init__()
        self.recipe, self.model, self.perceptual = recipe, model, perceptual
        self.pyramid = losses.Pyramid()

    def forward(
        self, batch: PairBatch, bend: losses.RandomBend, guide: float, discriminator: nn.Module | None = None
    ) -> tuple[dict[str, Tensor], Tensor, Keypoints]:
        """The weighted losses by name, the prediction [N, 3, R, R] in [0, 1], and the driving keypoints."""
        recipe, model, count = self.recipe, self.model, len(batch.source)
        found = model.kp_detector(torch.cat([batch.source, batch.driving, bend.bend(batch.driving)]))
        source, driving, bent = (found[i * count : (i + 1) * count] for i in range(3))
        drawn = model.generator(model.generator.encode(batch.source), source, driving)
        prediction = model.generator.compose(batch.source, drawn)
        ours, theirs = self.pyramid(prediction), self.pyramid(batch.driving)
        terms = {"perceptual": recipe.perceptual * sum(self.perceptual(ours[s], theirs[s]) for s in ours)}
        if recipe.pixel:
            terms["pixel"] = recipe.pixel * (prediction - batch.driving).abs().mean()
        value, jacobian = losses.equivariance(driving, bent, bend)
        terms["equivariance"] = recipe.equivariance_value * value + recipe.equivariance_jacobian * jacobian
        if guide and batch.source_landmarks is not None and batch.driving_landmarks is not None:
            places = (source.value - guide_points(batch.source_landmarks)).abs().mean()
            places = places + (driving.value - guide_points(batch.driving_landmarks)).abs().mean()
            flow = losses.flow_error(
                drawn.motion.field, batch.driving_landmarks[:, INNER], batch.source_landmarks[:, INNER]
            )
            terms["guide"] = guide * (places / 2 + flow)
        if discriminator is not None:
            at = driving.detach()
            real, fake = discriminator(theirs, at), discriminator(ours, at)
            terms["gan"] = recipe.generator_gan * losses.generator_gan(fake)
            terms["feature_matching"] = recipe.feature_matching * losses.feature_matching(real, fake)
        return terms, prediction, driving


def staged(config: MotionConfig, resolution: int) -> MotionConfig:
    """The network for smaller pictures: the motion is still found on pictures of the same size."""
    return replace(config, resolution=resolution, scale=config.scale * config.resolution / resolution)


def grow(model: MotionModel, state: Mapping[str, Tensor]) -> None:
    """Take over the weights of a network for smaller pictures; only the low passes before it differ."""
    own = {name: value for name, value in model.state_dict().items() if name.endswith("down.weight")}
    learnt = {name: value for name, value in state.items() if not name.endswith("down.weight")}
    model.load_state_dict(learnt | own)
