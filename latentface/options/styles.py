"""How a style is learnt from one picture, and how a photo is rendered in it."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.modes import when
from latentface.options.fields import check, option

_DRAWN = (when("method", "generator"),)


@dataclass(frozen=True, kw_only=True)
class StyleOptions:
    """How a style is learnt from one picture; see `latentface.learn_style`.

    Raises:
        UsageError: a value is out of bounds.
    """

    learning_steps: int = option(
        100, "Steps of fine-tuning; more follow the style picture more closely.", minimum=1, maximum=10_000
    )
    tuning_rate: float = option(0.002, "Learning rate of Adam.", minimum=1e-6, maximum=0.1)
    seed: int = option(0, "Seed of all random numbers.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class StyliseOptions:
    """How a photo is drawn in a style; see `latentface.stylise`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    method: str = option(
        "generator",
        "Draw the face by a generator fine-tuned to the style (generator), or optimise all pixels of the photo by "
        "neural style transfer, which also takes pictures without a face (gatys).",
        choices=("generator", "gatys"),
    )
    strength: float = option(
        1.0, "Strength of the style: 0 is none, 1 as learnt, and more exaggerates.", minimum=0.0, maximum=2.0,
        applies_to=_DRAWN,
    )  # fmt: skip
    layers: str = option(
        "all",
        "What of the style is taken: its shapes, from the layers up to 32 pixels (shape), its texture and colours, "
        "from the others (texture), or all.",
        choices=("all", "shape", "texture"),
        applies_to=_DRAWN,
    )
    preserve_colour: bool = option(False, "Keep the photo's colours and take only light and dark from the style.")
    detail: float = option(
        1.0, "How much of the photo's own detail, which the generator does not draw, is added in the style.",
        minimum=0.0, maximum=2.0, applies_to=_DRAWN,
    )  # fmt: skip
    place: str = option(
        "crop",
        "What is shown: the face with its surroundings (crop), the photo with the stylised face in it (face), or the "
        "whole photo, recoloured to suit the face (photo).",
        choices=("crop", "face", "photo"),
        applies_to=_DRAWN,
    )
    texture_steps: int = option(
        60, "Steps at the smallest size; each size doubles the last and takes half as many.", minimum=1,
        maximum=10_000, applies_to=(when("method", "gatys"),),
    )  # fmt: skip
    seed: int = option(0, "Seed of all random numbers.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)
