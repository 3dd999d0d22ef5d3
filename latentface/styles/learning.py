"""Learns a style from one picture by fine-tuning a generator (JoJoGAN: Chong and Forsyth, ECCV 2022).

The style picture is inverted; codes that share its upper rows, which shape the face, and take the lower ones from
random faces are all trained to give the picture. That alone makes every face look where the style picture looks and
forget its own features. So random faces are trained beside them: their features take the correlations of the style
picture's, and their colours its colours; their deep features stay as they were, and so do the arrangement of light
and dark in their eyes and what a network of identities takes them for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import UsageError
from latentface.inversion.fine_tuning import Checkpoint, OnStep, TunedDeltas, fine_tune
from latentface.inversion.search import synthesise
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.precision import convolving
from latentface.options.styles import StyleOptions
from latentface.styles.losses import ColourDistance, StyleDistance, eye_masks, middle, tone_difference

if TYPE_CHECKING:
    from latentface.networks.generator import Generator, SynthesisNetwork

BETAS = (0.0, 0.99)
#: Shares of the steps in which the learning rate rises, at the beginning, and falls to zero, at the end.
WARM_UP = 0.15
COOL_DOWN = 0.4
#: Share of the rows below the upper ones that come from random faces.
MIXED = 0.8
#: Weights of the losses.
LIKENESS, CORRELATIONS, COLOURS, STRUCTURE, TONE, EYES, IDENTITY = 2.0, 1.5, 0.7, 0.7, 0.4, 0.5, 1.0
#: Share of the learning rate in the layers up to 16 pixels, which hold the shape of a head.
COARSE_SIDE, COARSE_SHARE = 16, 0.25
_DEEP = 2  # number of the deepest feature maps that keep a face's structure
_POOLED, _HEAD = 8, 0.26  # size of the areas whose tone is compared in pixels, and reach of the head
_EYES_COUNT = 0.1  # weight of the style picture's eyes in the perceptual distance


@dataclass(frozen=True, eq=False)
class Example:
    """What a style is learnt from.

    Attributes:
        picture: the aligned style picture, [1, 3, R, R] in [-1, 1].
        ws: its code, [1, num_ws, w_dim].
        landmarks: of its face, [1, 68, 2] in pixels.
        faces: codes of random faces, [N, num_ws, w_dim].
        points: their landmarks in the generator's pictures, [N, 68, 2] in pixels.
    """

    picture: Tensor
    ws: Tensor
    landmarks: Tensor
    faces: Tensor
    points: Tensor


class _Lesson:
    """The losses of one example."""

    def __init__(
        self, generator: Generator, example: Example, distance: FeatureDistance,
        identity: Callable[[Tensor], Tensor], rough: bool,
    ) -> None:  # fmt: skip
        self.example, self.distance, self.identity, self.rough = example, distance, identity, rough
        side = example.picture.shape[2]
        with torch.no_grad():
            pictures = [synthesise(generator.synthesis, ws[None], None, rough) for ws in example.faces]
            self.plain = torch.cat(pictures)
            self.structure = [self.unit(self.features(picture))[-_DEEP:] for picture in pictures]
            self.people = torch.cat([self.person(picture) for picture in pictures])
            features = self.features(example.picture)
            self.target = self.unit(features)
            self.style = StyleDistance(features)
            self.colours = ColourDistance(example.picture)
        self.masks = eye_masks(example.points, side)
        self.window = middle(example.picture[:, :, ::_POOLED, ::_POOLED], _HEAD)
        attention = 1 - (1 - _EYES_COUNT) * eye_masks(example.landmarks, side)
        self.attention = attention / attention.mean()

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        with convolving(self.rough, images.device):
            return tuple(each.float() for each in self.distance.features(images))

    def person(self, images: Tensor) -> Tensor:
        with convolving(self.rough, images.device):
            return self.identity(images.clamp(-1, 1)).float()

    def unit(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self.distance.normalise(each) for each in features)

    def loss(self, synthesis: SynthesisNetwork, own: Tensor, face: int) -> Tensor:
        """The loss for a code `own` that must give the style picture, and for a random face."""
        images = synthesise(synthesis, torch.cat([own, self.example.faces[face : face + 1]]), None, self.rough)
        features = self.features(images)
        unit = self.unit(features)
        likeness = self.distance.compare(tuple(each[:1] for each in unit), self.target, self.attention)
        likeness = likeness + 0.1 * F.avg_pool2d(images[:1] - self.example.picture, 4).abs().mean()
        correlations = self.style(tuple(each[1:] for each in features))
        deep = zip(unit[-_DEEP:], self.structure[face], strict=True)
        structure = torch.stack([(a[1:] - b).square().sum(dim=1).mean() for a, b in deep]).sum()
        colours = self.colours(images[1:])
        plain = self.plain[face : face + 1]
        eyes = tone_difference(images[1:], plain, self.masks[face : face + 1])
        tone = tone_difference(F.avg_pool2d(images[1:], _POOLED), F.avg_pool2d(plain, _POOLED), self.window)
        other = 1 - (self.person(images[1:]) * self.people[face]).sum()
        look = CORRELATIONS * correlations.log1p() + COLOURS * colours
        kept = STRUCTURE * structure + TONE * tone + EYES * eyes + IDENTITY * other
        return (LIKENESS * likeness + look + kept).sum()


def learn(
    generator: Generator,
    example: Example,
    distance: FeatureDistance,
    identity: Callable[[Tensor], Tensor],
    options: StyleOptions | None = None,
    *,
    rough: bool = False,
    on_step: OnStep | None = None,
    checkpoint: Checkpoint | None = None,
) -> TunedDeltas:
    """Fine-tune a copy of the generator's synthesis network to the style of one picture.

    Args:
        generator: left unchanged.
        example: the style picture and random faces of this generator.
        distance: the perceptual network, for the likeness and the correlations.
        identity: images [N, 3, R, R] -> unit vectors [N, D], by which random faces remain who they are.
        options: steps, learning rate and seed.
        rough: convolve in bfloat16.
        on_step: called as on_step(step, loss before that step).
        checkpoint: where the run can be interrupted.

    Returns:
        The differences of the parameters, in float16.

    Raises:
        UsageError: pictures or codes that do not fit the generator.
        LatentfaceError: the loss is no longer finite.
    """
    options = options or StyleOptions()
    _check(generator, example)
    steps = options.learning_steps
    with torch.inference_mode(False), torch.enable_grad():
        lesson = _Lesson(generator, example, distance, identity, rough)

        def loss(synthesis: SynthesisNetwork, step: int) -> Tensor:
            # a stream for each step, so that a run can be resumed
            source = torch.Generator().manual_seed(options.seed * steps + step)
            face = int(torch.randint(len(example.faces), (1,), generator=source))
            return lesson.loss(synthesis, mixed_rows(generator, example.ws, source), face)

        return fine_tune(
            generator, loss, steps=steps, rate=lambda step: options.tuning_rate * pace(step, steps), betas=BETAS,
            share=pace_share, on_step=on_step, checkpoint=checkpoint,
        )  # fmt: skip


def mixed_rows(generator: Generator, ws: Tensor, source: torch.Generator) -> Tensor:
    """A code [1, num_ws, w_dim] with the upper half of the rows of ws; most of the others are from a random face."""
    config = generator.config
    first = config.num_ws // 2
    with torch.no_grad():
        other = generator.mapping(torch.randn(1, config.z_dim, generator=source).to(ws))
    taken = torch.rand(config.num_ws, generator=source).to(ws.device) < MIXED
    taken[:first] = False
    return torch.where(taken[None, :, None], other, ws)


def pace(step: int, steps: int) -> float:
    """The learning rate's share of its peak at a step: a short rise, then constant, then a fall to zero."""
    return min(1.0, (step + 1) / max(1.0, WARM_UP * steps), (steps - step) / max(1.0, COOL_DOWN * steps))


def pace_share(name: str) -> float:
    """The share of the learning rate that a parameter of the synthesis network follows, by its name."""
    return COARSE_SHARE if int(name.split(".")[0].removeprefix("b")) <= COARSE_SIDE else 1.0


def _check(generator: Generator, example: Example) -> None:
    config = generator.config
    row, side = (config.num_ws, config.w_dim), config.resolution
    fits = tuple(example.picture.shape) == (1, 3, side, side) and tuple(example.ws.shape) == (1, *row)
    if not fits or tuple(example.faces.shape[1:]) != row or not len(example.faces):
        raise UsageError(
            f"style picture {list(example.picture.shape)}, its code {list(example.ws.shape)}, faces "
            f"{list(example.faces.shape)}: this network takes [1, 3, {side}, {side}], {[1, *row]} and {['N', *row]}"
        )
    if config.c_dim:
        raise UsageError(f"this network needs labels of {config.c_dim} numbers; styles do not support labels")
