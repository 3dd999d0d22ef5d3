"""The recipe of the motion model: sizes, stages, weights of the losses, and the losses of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.networks.motion import MotionConfig, MotionModel
from latentface.networks.motion.dense import DenseMotion
from latentface.networks.motion.geometry import Keypoints, resize_field, warp
from latentface.training import motion_losses as losses
from latentface.training.motion_data import GUIDES, SPANS, PairBatch, guide_points

COMPACT = MotionConfig(
    num_keypoints=len(GUIDES), resolution=128, scale=0.25, keypoint_scale=0.5, keypoint_stem=8, keypoint_padding=3,
    keypoint_width=16, keypoint_max=128, keypoint_blocks=4, dense_width=16, dense_max=128, dense_blocks=4,
    generator_width=16, generator_max=64, bottleneck_blocks=3, blend=True,
)  # fmt: skip


#: Every term that a training's losses may have.
TERMS = (
    "perceptual", "pixel", "warped", "equivariance", "places", "spans", "flow", "mask", "gan", "feature_matching",
    "discriminator",
)  # fmt: skip
MASK_SHARE = 0.02  # relative to the weight of the guide: an error of one nat is about as bad as half a picture
WARPED = 10.0  # weight of the L1 of the warped source in stages without the generator


@dataclass(frozen=True)
class Stage:
    """`pairs` pairs of frames at `resolution` in batches of `batch`.

    With `motion_only` the generator is left out, which makes a step nearly three times as fast; only the warped source
    is compared.
    """

    resolution: int
    pairs: int
    batch: int
    motion_only: bool = False


@dataclass(frozen=True)
class Recipe:
    """Every choice of the training; the weights of the losses are those of the reference, where it has them.

    generator_gan: 0 leaves the discriminator out altogether. guide_weight: of the known landmarks at the start; it
    falls to a half over `guide_pairs`. features: how much more a pixel counts at known landmarks of eyes and mouth.
    average_pairs: half-life of the averaged weights.
    """

    network: MotionConfig = MotionConfig()  # noqa: RUF009 (frozen)
    stages: tuple[Stage, ...] = (Stage(256, 4_000_000, 20),)
    learning_rate: float = 2e-4
    warm_up: int = 1000
    perceptual: float = 10.0
    pixel: float = 0.0
    features: float = 0.0
    equivariance_value: float = 10.0
    equivariance_jacobian: float = 10.0
    generator_gan: float = 0.0
    feature_matching: float = 10.0
    discriminator_sees_keypoints: bool = True
    guide_weight: float = 0.0
    guide_pairs: int = 12_000
    average_pairs: int = 4_000
    seed: int = 0


#: Fine-tuning: the weights of `start` already move faces.
BUILTIN = Recipe(
    network=COMPACT, stages=(Stage(128, 6_000, 12, motion_only=True), Stage(128, 13_500, 12)), learning_rate=1e-3,
    pixel=10.0, features=16.0, guide_weight=200.0, average_pairs=1_000,
)  # fmt: skip


class Step(nn.Module):
    """All of the model's losses in one forward call, so that one wrapper serves several GPUs."""

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
            error = (prediction - batch.driving).abs()
            if recipe.features and batch.driving_landmarks is not None:
                near = recipe.features * losses.near_features(batch.driving_landmarks, prediction.shape[-1])
                # What is painted there counts on its own, or it would hardly be learnt where the source is shown.
                error = error * (1 + near) + (drawn.painted - batch.driving).abs() * near
            terms["pixel"] = recipe.pixel * error.mean()
        value, jacobian = losses.equivariance(driving, bent, bend)
        terms["equivariance"] = recipe.equivariance_value * value + recipe.equivariance_jacobian * jacobian
        terms |= self._guide(batch, source, driving, drawn.motion, guide)
        if discriminator is not None:
            at = driving.detach()
            real, fake = discriminator(theirs, at), discriminator(ours, at)
            terms["gan"] = recipe.generator_gan * losses.generator_gan(fake)
            terms["feature_matching"] = recipe.feature_matching * losses.feature_matching(real, fake)
        return terms, prediction, driving

    def _guide(
        self, batch: PairBatch, source: Keypoints, driving: Keypoints, motion: DenseMotion, weight: float
    ) -> dict[str, Tensor]:
        """The losses by known landmarks: of the keypoints' positions, of the motion field, and of the motion masks."""
        before, after = batch.source_landmarks, batch.driving_landmarks
        if not weight or before is None or after is None:
            return {}
        wanted = guide_points(before), guide_points(after)
        places = (source.value - wanted[0]).abs().mean() + (driving.value - wanted[1]).abs().mean()
        spans = losses.span_error(source.value, wanted[0], SPANS) + losses.span_error(driving.value, wanted[1], SPANS)
        flow = losses.flow_error(motion.field, after, before)
        mask = losses.mask_error(motion.mask, after, wanted[1])
        return {
            "places": weight * places / 2,
            "spans": weight * spans / 2,
            "flow": weight * flow,
            "mask": MASK_SHARE * weight * mask,
        }


class MotionStep(Step):
    """The losses of a stage without the generator.

    They are those by known landmarks, and the distance of the warped source from the driving frame, at half size.
    """

    def forward(
        self, batch: PairBatch, bend: losses.RandomBend, guide: float, discriminator: nn.Module | None = None
    ) -> tuple[dict[str, Tensor], Tensor, Keypoints]:
        """As `Step.forward`; the prediction is the warped source."""
        network = self.model.generator.dense_motion_network
        count, side = len(batch.source), batch.source.shape[-1] // 2
        found = self.model.kp_detector(torch.cat([batch.source, batch.driving]))
        source, driving = found[:count], found[count:]
        motion: DenseMotion = network(network.down(batch.source), source, driving)
        field = resize_field(motion.field, side, side, align_corners=True)
        warped = warp(F.avg_pool2d(batch.source, 2), field, align_corners=True)
        terms = self._guide(batch, source, driving, motion, guide)
        terms["warped"] = WARPED * (warped - F.avg_pool2d(batch.driving, 2)).abs().mean()
        return terms, warped, driving


def step_of(recipe: Recipe, stage: Stage, model: MotionModel, perceptual: nn.Module) -> Step:
    """The losses of a stage."""
    return (MotionStep if stage.motion_only else Step)(recipe, model, perceptual)


def staged(config: MotionConfig, resolution: int) -> MotionConfig:
    """The network for smaller pictures; the motion is still estimated on pictures of the same size."""
    ratio = config.resolution / resolution
    own = None if config.keypoint_scale is None else config.keypoint_scale * ratio
    return replace(config, resolution=resolution, scale=config.scale * ratio, keypoint_scale=own)


def start_from(model: MotionModel, state: Mapping[str, Tensor]) -> None:
    """Copy the weights of another network that exist here under the same name and in the same shape."""
    own = model.state_dict()
    learnt = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(own | {name: value for name, value in learnt.items() if not name.endswith("down.weight")})


def grow(model: MotionModel, state: Mapping[str, Tensor]) -> None:
    """Copy the weights of a network for smaller pictures; only the low-pass filters in front of it differ."""
    own = {name: value for name, value in model.state_dict().items() if name.endswith("down.weight")}
    learnt = {name: value for name, value in state.items() if not name.endswith("down.weight")}
    model.load_state_dict(learnt | own)
