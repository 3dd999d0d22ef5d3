"""Options of the algorithms: frozen dataclasses, importable without torch, from which the command line is generated.

Every field has `metadata`: `help` (one sentence, shown by `--help`) and, where applicable, `minimum`, `maximum`
(inclusive bounds), `choices` (the allowed words) and `applies_to` (the modes in which the option has an effect). They
are enforced both in Python and on the command line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from latentface.errors import UsageError
from latentface.modes import Condition, Either, check_effect, check_modes, either, spell_value, unless, when

_CHOSEN = (when("layers", "auto"),)  # options of the integer program that chooses rows
_SEARCHED = (unless("steps", 0),)
_FITTED = (either(unless("steps", 0), unless("tune_steps", 0)),)  # the search and pivotal tuning share their loss
_DRAWN = (when("method", "generator"),)
_RELATIVE = (when("mode", "relative"),)
_BY_KEYPOINTS = (when("engine", "motion"),)
_SHOWN_IN_PHOTO = (when("crop", False),)
_PASTED = (when("place", "paste"), when("crop", False))
_SOLVED = (*_CHOSEN, unless("solver", "exhaustive"))

#: The sides of a face that `composite --split` takes from the second photo.
SPLITS = ("left", "right", "top", "bottom")
#: Steps of pivotal tuning when no number is given (`--tune`).
DEFAULT_TUNE_STEPS = 200


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    applies_to: tuple[Condition | Either, ...] = (),
) -> Any:
    """A dataclass field with its default, its help sentence, its inclusive bounds or choices, and its modes."""
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "applies_to": applies_to}
    return field(default=default, metadata=metadata)


def precision_option(what: str, exact: str, applies_to: tuple[Condition | Either, ...] = ()) -> Any:
    """A field for the precision of convolutions; `exact` is the sentence about what is never done in bfloat16."""
    text = f"{what}: float32, bfloat16 (faster and less exact), or auto for bfloat16 where the processor supports it."
    return option("auto", f"{text} {exact}", choices=("auto", "float32", "bfloat16"), applies_to=applies_to)


def parts_option(applies_to: tuple[Condition | Either, ...]) -> Any:
    """A field that names the parts of the face that change, as `head.control_names.parse_parts` reads them."""
    parts = "lips, eyes, brows, pose and expression (all but pose)"
    text = f"Change only these parts of the face: a list of {parts}, such as lips,eyes."
    return option("", text, applies_to=applies_to)


def check(options: Any) -> None:
    """Raise UsageError if a field is out of bounds, or has no effect in the mode chosen by the others."""
    check_bounds(options)
    check_modes(options)


def check_bounds(options: Any) -> None:
    """Raise UsageError if a field of an options dataclass lies outside the bounds or choices in its metadata."""
    for spec in fields(options):
        value = getattr(options, spec.name)
        choices = spec.metadata.get("choices")
        if choices is not None and value not in choices:
            raise UsageError(f"{spec.name} is {value!r}; expected one of {', '.join(choices)}")
        minimum, maximum = spec.metadata.get("minimum"), spec.metadata.get("maximum")
        if value is None or (minimum is None and maximum is None):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{spec.name} is {value}; expected a finite number")
        if minimum is not None and value < minimum:
            raise UsageError(f"{spec.name} is {value}; expected {minimum:g} or more")
        if maximum is not None and value > maximum:
            raise UsageError(f"{spec.name} is {value}; expected {maximum:g} or less")


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
class CompositeOptions:
    """How an edited crop is blended back into its photo; see `latentface.composite`.

    Lengths are in inter-ocular distances (eye centre to eye centre) of the photo's face.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    blend: str = option(
        "multiband",
        "How the face is blended into the photo.",
        choices=("alpha", "multiband", "poisson"),
        applies_to=_PASTED,
    )
    warp: str = option(
        "crop",
        "How the face is placed: where the crop was cut out, by a similarity transform of the landmarks, or by a "
        "piecewise affine map of them.",
        choices=("crop", "similarity", "piecewise"),
        applies_to=_PASTED,
    )
    feather: float = option(
        0.35,
        "Width of the soft edge inside the outline of the face, in inter-ocular distances.",
        minimum=0.02,
        maximum=2.0,
        applies_to=_PASTED,
    )
    forehead: float = option(
        0.45,
        "How far above the brows the face reaches, in inter-ocular distances.",
        minimum=0.0,
        maximum=1.5,
        applies_to=_PASTED,
    )
    match_colour: bool = option(True, "Match the colours of the face to its surroundings.", applies_to=_PASTED)
    occluders: bool = option(
        False, "Keep what covers the face, such as hair, where its colour differs from the skin.", applies_to=_PASTED
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """Which part of a latent is taken from the expression, and how the photo is changed; see `latentface.transfer`.

    Rows of a W+ latent are counted from 0.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    layers: str = option(
        "auto",
        "Rows of the latent to take from the expression: auto (an integer program chooses), paper (the choice of the "
        "paper), or a list such as 3-4,7.",
    )
    units: str = option(
        "auto",
        "What is taken of each row: the part that expressions move (expression, if that is known for the network), "
        "the whole row (rows), or its style channels in two groups (styles). auto is expression if it is known and "
        "--layers is auto, and rows otherwise.",
        choices=("auto", "expression", "rows", "styles"),
    )
    strength: float = option(
        1.0, "How much of the other expression to take: 0 is none, 1 all of it.", minimum=0.0, maximum=1.5
    )
    place: str = option(
        "head",
        "How the change reaches the photo: a head model fitted to the face moves the photo's pixels (head), the "
        "pixels are warped as the generated face changes (warp), or the generated face is pasted in (paste).",
        choices=("head", "warp", "paste"),
    )
    only: str = parts_option((when("place", "head"),))
    mouth: str = option(
        "painted",
        "What fills a mouth that opens: teeth painted by a network (painted), the teeth that the expression's photo "
        "shows (own), or those if they fit (auto). In clips the mouth is always painted.",
        choices=("auto", "own", "painted"),
        applies_to=(when("place", "head"),),
    )
    expression_weight: float = option(
        0.5, "Weight of the expression against the appearance in the objective.", minimum=0.0, maximum=1.0
    )
    most_layers: int | None = option(None, "Take at most this many rows.", minimum=0, maximum=18, applies_to=_CHOSEN)
    exact_layers: int | None = option(None, "Take exactly this many rows.", minimum=0, maximum=18, applies_to=_CHOSEN)
    contiguous: bool = option(False, "Take only rows that follow each other.", applies_to=_CHOSEN)
    keep: str = option("", "Rows that are never taken from the expression, such as 0-2.", applies_to=_CHOSEN)
    finest: int = option(
        64, "Finest resolution of the rows that may be taken.", minimum=4, maximum=1024, applies_to=_CHOSEN
    )
    refine_steps: int | None = option(
        None,
        "Number of gradient steps that refine what is taken of the chosen rows; by default 30 with --units "
        "expression, and none otherwise.",
        minimum=0,
        maximum=10_000,
    )
    solver: str = option(
        "cbc",
        "Solver of the integer program: cbc, exhaustive, or the name of another solver of PuLP.",
        applies_to=_CHOSEN,
    )
    time_limit: float = option(30.0, "Time limit of the solver in seconds.", minimum=0.01, applies_to=_SOLVED)
    rounds: int | None = option(
        None,
        "How often the program is solved again with what was measured around its last answer; by default once with "
        "--units expression, and 10 times otherwise.",
        minimum=1,
        applies_to=_SOLVED,
    )
    flips: int | None = option(
        None,
        "Measure all choices that differ from both faces and from the best choice in at most so many rows; by default "
        "2, or 1 where the head in the photo decides what is seen.",
        minimum=1,
        maximum=2,
        applies_to=_SOLVED,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class AnimateOptions:
    """How a driving clip moves a face; see `latentface.animate`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    engine: str = option(
        "head",
        "What moves the face: head models fitted to the photo and to the driving clip, which move the photo's own "
        "pixels (head), or the First Order Motion Model (motion).",
        choices=("head", "motion"),
    )
    mode: str = option(
        "relative",
        "Add the driver's changes since its reference frame to the photo (relative), or take over the driver's "
        "expression and pose themselves (absolute).",
        choices=("relative", "absolute"),
    )
    adapt_scale: bool = option(
        True, "Scale the motion by the ratio of the sizes of the two faces.", applies_to=(*_RELATIVE, *_BY_KEYPOINTS)
    )
    best_frame: bool = option(
        True,
        "Use the driving frame that is most like the photo as the reference, instead of the first frame.",
        applies_to=_RELATIVE,
    )
    smooth: float | None = option(
        None,
        "How much the driver's motion is smoothed (one-euro filter), from 0 to 1; by default 0.5 with heads and 0 with "
        "the motion model.",
        minimum=0.0,
        maximum=1.0,
    )
    only: str = parts_option((when("engine", "head"),))
    still_background: bool = option(False, "Keep the surroundings of the head still.", applies_to=_BY_KEYPOINTS)
    missing: str = option(
        "hold",
        "What to do in a frame without a driving face: repeat the last motion (hold), show the unchanged photo "
        "(source), or end with an error (stop). ignore does not look for a face (motion model only).",
        choices=("hold", "source", "stop", "ignore"),
    )
    crop: float = option(
        1.0,
        "Size of the square around the face of the photo, as a factor of the default.",
        minimum=0.7,
        maximum=2.0,
        applies_to=_BY_KEYPOINTS,
    )
    driver_crop: float = option(
        1.0,
        "Size of the square around the face of the driver, as a factor of the default.",
        minimum=0.7,
        maximum=2.0,
        applies_to=_BY_KEYPOINTS,
    )
    precision: str = precision_option(
        "Precision of the frames", "Keypoints are always found in float32.", applies_to=_BY_KEYPOINTS
    )

    def __post_init__(self) -> None:
        check(self)
        if self.missing == "ignore":
            check_effect("missing='ignore'", _BY_KEYPOINTS, {"engine": self.engine}, spell_value)


@dataclass(frozen=True, kw_only=True)
class SequenceOptions:
    """How a face moves through a sequence of emotions; see `latentface.emotions.sequencer.Sequencer`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    easing: str = option(
        "cosine",
        "How the face moves from one keyframe to the next: at constant speed (linear), slowing down at both (cosine), "
        "along a smooth curve through all (spline), or along an arc about the mean w (slerp).",
        choices=("linear", "cosine", "spline", "slerp"),
    )
    hold: float = option(0.4, "Share of its duration for which an emotion is held.", minimum=0.0, maximum=0.95)
    loop: bool = option(False, "End as the clip begins, so that it can be played in a loop.")
    strength: float = option(1.0, "Factor that multiplies every strength of the sequence.", minimum=0.0, maximum=2.0)
    rest: bool = option(True, "Remove the expression that the photo shows, so that neutral is a face at rest.")
    blinks: float = option(
        0.0, "Number of blinks a minute; people at rest blink about 15 times.", minimum=0.0, maximum=60.0
    )
    sway: float = option(0.0, "Size of small head movements, in degrees.", minimum=0.0, maximum=15.0)
    seed: int = option(0, "Seed of the blinks and head movements.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """What the frames of an expression video show; see `latentface.FaceEditor.video`.

    Raises:
        UsageError: a value is out of bounds or has no effect in the mode chosen by the other options, or the rate is
            malformed.
    """

    fps: str = option("25", "Frame rate, such as 25, 29.97 or 30000/1001.")
    crop: bool = option(False, "Show only the generated face, without the photo around it.")
    place: str = option(
        "head",
        "How the change reaches the photo: a head model fitted to the face moves the photo's pixels (head), the "
        "pixels are warped as the generated face changes (warp), or the generated face is pasted in (paste).",
        choices=("head", "warp", "paste"),
        applies_to=_SHOWN_IN_PHOTO,
    )
    only: str = parts_option((when("place", "head"), when("crop", False)))
    batch: int = option(8, "Number of frames that are computed together.", minimum=1, maximum=1024)

    def __post_init__(self) -> None:
        from latentface.io.clip import parse_rate  # imported here, because this module must not need numpy

        check(self)
        parse_rate(self.fps)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How the emotions of a film are read; see `latentface.emotions.recognition.read`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    looks: float = option(5.0, "How many times a second the face is classified.", minimum=0.1, maximum=60.0)
    steady: float = option(
        0.5, "How many seconds another emotion must be clearly visible to count.", minimum=0.0, maximum=10.0
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


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """How a face is changed in the frames of a clip; see `latentface.FaceEditor.edit_clip`.

    Raises:
        UsageError: a value is out of bounds.
    """

    mode: str = option(
        "relative",
        "Add the change to what the face does in each frame, so that speech and blinks stay (relative), or edit each "
        "frame as a photo, so that a control that is set holds still (absolute).",
        choices=("relative", "absolute"),
    )

    def __post_init__(self) -> None:
        check(self)


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


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """How a face is edited along directions and put back; see `latentface.FaceEditor.edit`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    layers: str = option("all", "Rows of the latent that may change, counted from 0: all, or a list such as 0-7.")
    place: str = option(
        "auto",
        "How the change reaches the photo: a head model fitted to the face moves the photo's pixels (head), the "
        "pixels are warped as the generated face changes (warp), or the generated face is pasted in (paste). auto is "
        "head if only expression and pose change, and paste otherwise.",
        choices=("auto", "head", "warp", "paste"),
        applies_to=_SHOWN_IN_PHOTO,
    )
    only: str = parts_option((when("place", "auto", "head"), when("crop", False)))
    crop: bool = option(False, "Show only the generated face, without the photo around it.")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class EvaluateOptions:
    """What `latentface.evaluate` measures, and by which networks.

    Raises:
        UsageError: a value lies outside the bounds its field states.
    """

    measures: str = option("all", "Measures to take, separated by commas.")
    region: str = option(
        "all",
        "Where pictures are compared: everywhere, or in the face, at the mouth or outside the face of the reference.",
        choices=("all", "face", "mouth", "outside"),
    )
    sets: bool = option(False, "Compare two folders as sets, even if their files have the same names.")
    perceptual: str = option(
        "perceptual", "Perceptual distance: perceptual (built in), or vgg16, alexnet or squeezenet1_1 for LPIPS."
    )
    features: str = option(
        "perceptual",
        "Network whose features sets are compared by: names as for the distance, or a TorchScript file, such as the "
        "Inception of published FIDs, whose program is run.",
    )
    crop: bool = option(False, "Compare sets by the largest face of each picture.")
    samples: int = option(1000, "Number of pictures that a generator makes.", minimum=2, maximum=1_000_000)
    psi: float = option(1.0, "Truncation of a generator's samples.", minimum=-2, maximum=2)
    seed: int = option(0, "Seed of the samples and of the intervals.", minimum=0, maximum=2**62)

    def __post_init__(self) -> None:
        check(self)

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """Names of the measures, or None for all."""
        return None if self.measures == "all" else tuple(name.strip() for name in self.measures.split(","))


@dataclass(frozen=True, kw_only=True)
class ProvenanceOptions:
    """What results say of their origin beside their metadata, see `latentface.provenance`."""

    mark: bool = option(True, "Put an invisible mark into the faces that a network changed or generated.")
    sign: bool = option(True, "Sign JPEG, PNG, WebP and MP4 files, if c2pa-python is installed (latentface[c2pa]).")


#: What `latentface.complete` finds and removes.
OCCLUDERS = ("glasses", "hand")


@dataclass(frozen=True, kw_only=True)
class CompleteOptions:
    """How a hole in a photo is completed; see `latentface.complete`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    method: str = option(
        "network",
        "How the hole is painted: in one pass of a network (network, about a second), or by a search (optimise, about "
        "a minute) for the face that fits the surroundings, and for its texture.",
        choices=("network", "optimise"),
    )
    harmonise: bool = option(
        False,
        "Keep what the mask marks, and fit its colours to its surroundings: for a region that was pasted in.",
        applies_to=(when("method", "network"),),
    )
    grow: float = option(0.0, "Widen the mask by so many pixels of the photo.", minimum=0.0, maximum=1_000.0)
    detail: bool = option(
        True,
        "Continue the texture and the grain of the surroundings into the hole.",
        applies_to=(when("harmonise", False),),
    )
    steps: int = option(
        80, "Steps of the search for the face.", minimum=1, maximum=10_000, applies_to=(when("method", "optimise"),)
    )
    seed: int = option(0, "Seed of all random numbers.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class BlendOptions:
    """How two photos are blended; see `latentface.compositing.two_photos.blend_photos`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    blend: str = option(
        "multiband",
        "How: by the multiresolution spline, by the gradients of the second photo (poisson), or by a soft edge "
        "(feather).",
        choices=("multiband", "poisson", "feather"),
    )
    align: str = option(
        "piecewise",
        "How the second face is laid over the first: by a similarity transform of the landmarks, or so that each "
        "landmark lies on its counterpart.",
        choices=("similarity", "piecewise"),
    )
    feather: float = option(
        0.2,
        "Width of the soft edge, in inter-ocular distances.",
        minimum=0.0,
        maximum=2.0,
        applies_to=(when("blend", "feather"),),
    )

    def __post_init__(self) -> None:
        check(self)
