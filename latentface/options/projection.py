"""How a face is projected into a latent space, and how directions are fitted there."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.modes import either, unless, when
from latentface.options.fields import check, option, precision_option

_SEARCHED = (unless("steps", 0),)
_FITTED = (either(unless("steps", 0), unless("tune_steps", 0)),)  # the search and pivotal tuning share their loss
#: Steps of pivotal tuning when no number is given (`--tune`).
DEFAULT_TUNE_STEPS = 400


@dataclass(frozen=True, kw_only=True)
class ProjectOptions:
    """How a face crop is inverted into the latent space of a generator; see `latentface.project`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    space: str = option(
        "w+",
        "Latent space: a w for each layer (w+), or one w for all layers (w).",
        choices=("w", "w+"),
        applies_to=_SEARCHED,
    )
    start: str = option(
        "auto",
        "Where the search begins: at the mean w (mean), at what the network's own encoder gives (encoder), at what "
        "another encoder gives (its name or file, such as e4e-ffhq), or at a latent file. auto takes the network's own "
        "encoder if it has one, and the mean otherwise.",
    )
    preconditioner: str = option(
        "auto",
        "Coordinates in which a search of W+ needs fewer steps: a file, none, or auto for the network's own if it has "
        "some.",
        applies_to=(*_SEARCHED, when("space", "w+")),
    )
    steps: int = option(
        100, "Number of optimisation steps; 0 takes the starting point as it is.", minimum=0, maximum=100_000
    )
    flat: float = option(
        0.0,
        "End a search early when the loss falls by less than this share in 50 steps; 0 never does. It does not apply "
        "while the search explores from the mean or works at a low resolution.",
        minimum=0.0,
        maximum=0.5,
        applies_to=_SEARCHED,
    )
    learning_rate: float = option(0.12, "Peak learning rate of Adam.", minimum=0.0, applies_to=_SEARCHED)
    seed: int = option(0, "Seed of all random numbers.", minimum=0, maximum=2**63 - 1)
    coarse: float = option(
        0.8,
        "Share of the steps that work at lower resolutions first, in networks of more than 128 pixels.",
        minimum=0.0,
        maximum=0.9,
        applies_to=_SEARCHED,
    )
    optimise_noise: bool = option(False, "Optimise the noise maps together with the latent.", applies_to=_SEARCHED)
    noise_regularise: float = option(
        1e5,
        "Weight of the noise maps' autocorrelation penalty.",
        minimum=0.0,
        applies_to=(*_SEARCHED, when("optimise_noise", True)),
    )
    prior_regularise: float = option(
        0.0015, "Weight of the prior that keeps the latent where w usually lies.", minimum=0.0, applies_to=_SEARCHED
    )
    spread_regularise: float = option(
        0.0,
        "Weight of the penalty on differences between the rows of a W+ latent.",
        minimum=0.0,
        applies_to=(*_SEARCHED, when("space", "w+")),
    )
    w_noise: float = option(
        0.05,
        "Noise added to the latent early in a search from the mean, in standard deviations of w.",
        minimum=0.0,
        applies_to=(*_SEARCHED, when("start", "mean", "auto")),
    )
    perceptual_weight: float = option(1.0, "Weight of the perceptual distance.", minimum=0.0, applies_to=_FITTED)
    pixel_weight: float = option(0.7, "Weight of the pixel distance.", minimum=0.0, applies_to=_FITTED)
    feature_weight: float = option(
        3.0,
        "How much more the eyes and the mouth count than the rest of the face, if its landmarks are known.",
        minimum=0.0,
        applies_to=_FITTED,
    )
    precision: str = precision_option(
        "Precision of the search", "Results are always computed in float32.", applies_to=_FITTED
    )
    tune_steps: int = option(
        0, "Number of steps of pivotal tuning after the search; 0 disables it.", minimum=0, maximum=100_000
    )
    tune_learning_rate: float = option(
        4e-3, "Peak learning rate of pivotal tuning.", minimum=0.0, applies_to=(unless("tune_steps", 0),)
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class DirectionOptions:
    """How a direction is learned from labelled latents; see `latentface.directions.fitting.fit`.

    Rows of a W+ latent are counted from 0.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    method: str = option(
        "pattern",
        "Move along the pattern by which a class differs (pattern), or along the normal of the plane that separates it "
        "(normal).",
        choices=("pattern", "normal"),
    )
    multinomial: bool = option(False, "Learn all classes in one model instead of one at a time.")
    layers: str = option("all", "Rows of the latent that move: all, or a list such as 0-7.")
    per_layer: bool = option(False, "Learn each row separately.")
    balance: str = option(
        "weights",
        "How classes of different sizes are made to count alike: by weights, by sampling equally many of each, or not "
        "at all.",
        choices=("weights", "sample", "none"),
    )  # fmt: skip
    fraction: float = option(
        0.3,
        "Share of the samples with the highest and with the lowest scores that become the two classes.",
        minimum=0.01,
        maximum=0.5,
        applies_to=(when("the classes", "scores"),),
    )
    folds: int = option(5, "Number of folds for measuring the accuracy on held-out samples.", minimum=2, maximum=100)
    regularise: float = option(
        0.003, "Inverse strength of the regularisation (C of the logistic regression).", minimum=1e-9
    )
    seed: int = option(0, "Seed of all random numbers.", minimum=0, maximum=2**32 - 1)

    def __post_init__(self) -> None:
        check(self)
