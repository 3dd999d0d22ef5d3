"""Learns a style from one picture by fine-tuning a generator (JoJoGAN: Chong and Forsyth, ECCV 2022).

The style picture is inverted; codes that share its upper rows, which shape the face, and take the lower ones from
random faces are all trained to give the picture. That alone makes every face look where the style picture looks and
forget its own features. So random faces are trained beside them: their features take the correlations of the style
picture's, and their colours its colours; their deep features stay as they were, and so does the arrangement of light
and dark in their eyes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import LatentfaceError, UsageError
from latentface.inversion.pivot_tuning import TunedDeltas
from latentface.inversion.search import synthesise
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.precision import convolving
from latentface.options import StyleOptions
from latentface.styles.losses import ColourDistance, StyleDistance, eye_masks, middle, tone_difference

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

OnStep = Callable[[int, float], None]
BETAS = (0.0, 0.99)
#: Shares of the steps in which the learning rate rises, at the beginning, and falls to zero, at the end.
WARM_UP = 0.15
COOL_DOWN = 0.4
#: Share of the rows below the upper ones that come from random faces.
MIXED = 0.8
#: Weights of the losses.
LIKENESS, CORRELATIONS, COLOURS, STRUCTURE, TONE, EYES = 2.0, 1.5, 0.7, 0.7, 0.4, 0.5
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

    def __init__(self, generator: Generator, example: Example, distance: FeatureDistance, rough: bool) -> None:
        self.example, self.distance, self.rough = example, distance, rough
        side = example.picture.shape[2]
        with torch.no_grad():
            pictures = [synthesise(generator.synthesis, ws[None], None, rough) for ws in example.faces]
            self.plain = torch.cat(pictures)
            self.structure = [self.unit(self.features(picture))[-_DEEP:] for picture in pictures]
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

    def unit(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self.distance.normalise(each) for each in features)

    def loss(self, synthesis: nn.Module, own: Tensor, face: int) -> Tensor:
        """The loss for a code `own` that must give the style picture, and for a random face."""
        images = synthesise(synthesis, torch.cat([own, self.example.faces[face : face + 1]]), None, self.rough)  # type: ignore[arg-type]
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
        look = CORRELATIONS * correlations.log1p() + COLOURS * colours
        kept = STRUCTURE * structure + TONE * tone + EYES * eyes
        return (LIKENESS * likeness + look + kept).sum()


def learn(
    generator: Generator,
    example: Example,
    distance: FeatureDistance,
    options: StyleOptions | None = None,
    *,
    rough: bool = False,
    on_step: OnStep | None = None,
) -> TunedDeltas:
    """Fine-tune a copy of the generator's synthesis network to the style of one picture.

    Args:
        generator: left unchanged.
        example: the style picture and random faces of this generator.
        distance: the perceptual network, for the likeness and the correlations.
        options: steps, learning rate and seed.
        rough: convolve in bfloat16.
        on_step: called as on_step(step, loss before that step).

    Returns:
        The differences of the parameters, in float16.

    Raises:
        UsageError: pictures or codes that do not fit the generator.
        LatentfaceError: the loss is no longer finite.
    """
    options = options or StyleOptions()
    _check(generator, example)
    source = torch.Generator().manual_seed(options.seed)
    with torch.inference_mode(False), torch.enable_grad():
        lesson = _Lesson(generator, example, distance, rough)
        synthesis = copy.deepcopy(generator.synthesis).requires_grad_(True)
        parameters = dict(synthesis.named_parameters())
        before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        groups = _by_pace(parameters)
        optimiser = torch.optim.Adam([{"params": each} for each in groups.values()], lr=0.0, betas=BETAS)
        for step in range(options.learning_steps):
            for share, group in zip(groups, optimiser.param_groups, strict=True):
                group["lr"] = share * options.tuning_rate * pace(step, options.learning_steps)
            own = mixed_rows(generator, example.ws, source)
            face = int(torch.randint(len(example.faces), (1,), generator=source))
            value = lesson.loss(synthesis, own, face)
            if not torch.isfinite(value):
                raise LatentfaceError(
                    f"the style diverged: the loss at step {step} is {value.item()}; lower the learning rate "
                    f"(now {options.tuning_rate:g})"
                )
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if on_step is not None:
                on_step(step, value.item())
    deltas = {
        f"synthesis.{name}": (parameter.detach() - before[name]).to("cpu", torch.float16)
        for name, parameter in parameters.items()
    }
    return TunedDeltas(deltas, generator.fingerprint)


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


def _by_pace(parameters: Mapping[str, nn.Parameter]) -> dict[float, list[nn.Parameter]]:
    """The parameters by the share of the learning rate that they follow."""
    groups: dict[float, list[nn.Parameter]] = {1.0: [], COARSE_SHARE: []}
    for name, parameter in parameters.items():
        coarse = int(name.split(".")[0].removeprefix("b")) <= COARSE_SIDE
        groups[COARSE_SHARE if coarse else 1.0].append(parameter)
    return {share: group for share, group in groups.items() if group}


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
