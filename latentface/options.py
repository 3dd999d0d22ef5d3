"""Options of the algorithms: frozen values, importable without torch, from which the command line makes its flags.

Every field carries `metadata`: `help` (one sentence, shown by `--help`), and where they apply `minimum`, `maximum`
(inclusive bounds), `choices` (the words allowed) and `applies_to` (the modes in which the option has an effect). They
are enforced for both Python and the command line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from latentface.errors import UsageError
from latentface.modes import Condition, Either, check_effect, check_modes, either, spell_value, unless, when

_CHOSEN = (when("layers", "auto"),)  # what belongs to the program that chooses rows
_SEARCHED = (unless("steps", 0),)
_FITTED = (either(unless("steps", 0), unless("tune_steps", 0)),)  # the search and pivot tuning share their loss
_RELATIVE = (when("mode", "relative"),)
_BY_KEYPOINTS = (when("engine", "motion"),)
_SHOWN_IN_PHOTO = (when("crop", False),)
_PASTED = (when("place", "paste"), when("crop", False))
_SOLVED = (*_CHOSEN, unless("solver", "exhaustive"))

#: Steps of pivot tuning when it is asked for without a number (`--tune`).
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
    """A field that says what networks convolve in; `exact` is the sentence on what is never done in bfloat16."""
    text = f"{what}: float32; bfloat16, faster and less exact; or auto: bfloat16 where the processor multiplies it."
    return option("auto", f"{text} {exact}", choices=("auto", "float32", "bfloat16"), applies_to=applies_to)


def check(options: Any) -> None:
    """Raise UsageError when a field is out of its bounds, or has no effect in the mode that the others choose."""
    check_bounds(options)
    check_modes(options)


def check_bounds(options: Any) -> None:
    """Raise UsageError when a field of an options dataclass lies outside the bounds or choices of its metadata."""
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
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    space: str = option(
        "w+", "Latent space: one w for every layer (w+) or one for all (w).", choices=("w", "w+"), applies_to=_SEARCHED
    )
    start: str = option(
        "auto",
        "Where the search begins: mean (of all w), encoder (the network's own), the name or file of another encoder "
        "(such as e4e-ffhq), a latent file, or auto: the network's encoder where it has one, else the mean.",
    )
    preconditioner: str = option(
        "auto",
        "Coordinates in which a search of W+ goes faster: the file of this path, none, or auto: the network's own, "
        "where it has some.",
        applies_to=(*_SEARCHED, when("space", "w+")),
    )
    steps: int = option(100, "Steps of the search; 0 takes where it begins as it is.", minimum=0, maximum=100_000)
    flat: float = option(
        0.0,
        "Gain over 50 steps, as a share of the loss, below which a crop goes straight to the end of its search; 0: "
        "never. A search is not judged while it explores from the mean or works at low resolution.",
        minimum=0.0,
        maximum=0.5,
        applies_to=_SEARCHED,
    )
    learning_rate: float = option(0.12, "Peak learning rate of Adam.", minimum=0.0, applies_to=_SEARCHED)
    seed: int = option(0, "Seed of every random draw.", minimum=0, maximum=2**63 - 1)
    coarse: float = option(
        0.8,
        "Share of the search that is spent on lower resolutions first; for networks of more than 128 pixels.",
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
        0.0015, "Weight that keeps the latent where w usually lie.", minimum=0.0, applies_to=_SEARCHED
    )
    spread_regularise: float = option(
        0.0,
        "Weight that pulls the rows of a W+ latent together.",
        minimum=0.0,
        applies_to=(*_SEARCHED, when("space", "w+")),
    )
    w_noise: float = option(
        0.05,
        "Exploratory noise early in a search from the mean, in deviations.",
        minimum=0.0,
        applies_to=(*_SEARCHED, when("start", "mean", "auto")),
    )
    perceptual_weight: float = option(1.0, "Weight of the perceptual distance.", minimum=0.0, applies_to=_FITTED)
    pixel_weight: float = option(0.7, "Weight of the pixel distance.", minimum=0.0, applies_to=_FITTED)
    feature_weight: float = option(
        3.0,
        "How much more eyes and mouth count than the rest, where a crop's landmarks are known.",
        minimum=0.0,
        applies_to=_FITTED,
    )
    precision: str = precision_option(
        "What the search convolves in", "Results are always drawn in float32.", applies_to=_FITTED
    )
    tune_steps: int = option(0, "Steps of pivot tuning afterwards (0: none).", minimum=0, maximum=100_000)
    tune_learning_rate: float = option(
        4e-3, "Peak learning rate of pivot tuning.", minimum=0.0, applies_to=(unless("tune_steps", 0),)
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class CompositeOptions:
    """How an edited crop is put back into its photo; see `latentface.composite`.

    Lengths are in inter-ocular distances (eye centre to eye centre) of the photo's face.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    blend: str = option(
        "multiband", "How the seam is blended.", choices=("alpha", "multiband", "poisson"), applies_to=_PASTED
    )
    warp: str = option(
        "crop",
        "Where the face goes: back where the crop came from, by a similarity of the landmarks, or piecewise affine.",
        choices=("crop", "similarity", "piecewise"),
        applies_to=_PASTED,
    )
    feather: float = option(
        0.35, "Width of the soft edge inside the face's outline.", minimum=0.02, maximum=2.0, applies_to=_PASTED
    )
    forehead: float = option(
        0.45, "How far above the brows the face is taken.", minimum=0.0, maximum=1.5, applies_to=_PASTED
    )
    match_colour: bool = option(True, "Match the colour to the surroundings.", applies_to=_PASTED)
    occluders: bool = option(
        False, "Leave out hair and hands in front of the face, recognised by their colour.", applies_to=_PASTED
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """Which part of a latent takes the expression of another; see `latentface.transfer`.

    Rows of a W+ latent are counted from 0.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    layers: str = option("auto", "Rows to take: auto (the program chooses), paper, or a list such as 3-4,7.")
    units: str = option(
        "auto",
        "What is taken of a row: the part that expressions move (expression, where that is known of the network), all "
        "of it (rows), its style channels in two groups (styles); auto: expression where layers are not named and it "
        "is known, else rows.",
        choices=("auto", "expression", "rows", "styles"),
    )
    strength: float = option(1.0, "How far to go towards the other expression.", minimum=0.0, maximum=1.5)
    place: str = option(
        "head",
        "How the photo gets the expression: a head that is fitted to it moves its own pixels (head), they are moved "
        "and changed as the drawn face moves and changes (warp), or the drawn face is pasted in (paste).",
        choices=("head", "warp", "paste"),
    )
    only: str = option(
        "",
        "Parts of the face that change, such as lips,eyes: lips, eyes, brows and pose; by default all.",
        applies_to=(when("place", "head"),),
    )
    mouth: str = option(
        "painted",
        "What fills a mouth that opens: teeth as the network paints them (painted), those that the expression's photo "
        "shows (own), or these where they fit (auto); clips are painted.",
        choices=("auto", "own", "painted"),
        applies_to=(when("place", "head"),),
    )
    expression_weight: float = option(0.5, "Expression against appearance in the objective.", minimum=0.0, maximum=1.0)
    most_layers: int | None = option(None, "At most so many rows.", minimum=0, maximum=18, applies_to=_CHOSEN)
    exact_layers: int | None = option(None, "Exactly so many rows.", minimum=0, maximum=18, applies_to=_CHOSEN)
    contiguous: bool = option(False, "Only rows that lie side by side.", applies_to=_CHOSEN)
    keep: str = option("", "Rows that always stay the identity's, such as 0-2.", applies_to=_CHOSEN)
    finest: int = option(
        64, "Finest resolution whose rows the program may take.", minimum=4, maximum=1024, applies_to=_CHOSEN
    )
    refine_steps: int | None = option(
        None,
        "Steps that refine what is taken of the chosen rows; by default 30 for units=expression, else 0.",
        minimum=0,
        maximum=10_000,
    )
    solver: str = option(
        "cbc", "Solver of the integer program: cbc, exhaustive, or one that PuLP knows.", applies_to=_CHOSEN
    )
    time_limit: float = option(30.0, "Seconds the solver may take.", minimum=0.01, applies_to=_SOLVED)
    rounds: int | None = option(
        None,
        "Times the program is asked again with what was measured around its answers; by default once for "
        "units=expression, else 10 times.",
        minimum=1,
        applies_to=_SOLVED,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class AnimateOptions:
    """How a driving clip moves a face; see `latentface.animate`.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    engine: str = option(
        "head",
        "What moves the face: the head that is fitted to it and to the driver, which moves the photo's own pixels "
        "(head), or the First Order Motion Model (motion).",
        choices=("head", "motion"),
    )
    mode: str = option(
        "relative",
        "Carry over the driver's changes since its reference frame, or its very expression and pose.",
        choices=("relative", "absolute"),
    )
    adapt_scale: bool = option(
        True, "Scale the motion by the size of the two faces.", applies_to=(*_RELATIVE, *_BY_KEYPOINTS)
    )
    best_frame: bool = option(
        True, "Take the driving frame most like the photo as reference, not the first.", applies_to=_RELATIVE
    )
    smooth: float | None = option(
        None,
        "Steady the driver's motion (one-euro filter), 0 to 1; by default 0.5 with the head, 0 with the motion model.",
        minimum=0.0,
        maximum=1.0,
    )
    still_background: bool = option(False, "Hold still what lies around the head.", applies_to=_BY_KEYPOINTS)
    missing: str = option(
        "hold",
        "What to show where the driver shows no face: the last motion (hold), the unmoved photo (source), nothing more "
        "(stop, an error); ignore does not look (the motion model only).",
        choices=("hold", "source", "stop", "ignore"),
    )
    crop: float = option(
        1.0, "Size of the square around the photo's face.", minimum=0.7, maximum=2.0, applies_to=_BY_KEYPOINTS
    )
    driver_crop: float = option(
        1.0, "Size of the square around the driver's face.", minimum=0.7, maximum=2.0, applies_to=_BY_KEYPOINTS
    )
    precision: str = precision_option(
        "What frames are drawn in", "Keypoints are always found in float32.", applies_to=_BY_KEYPOINTS
    )

    def __post_init__(self) -> None:
        check(self)
        if self.missing == "ignore":
            check_effect("missing='ignore'", _BY_KEYPOINTS, {"engine": self.engine}, spell_value)


@dataclass(frozen=True, kw_only=True)
class SequenceOptions:
    """How a face goes through a sequence of emotions; see `latentface.emotions.sequencer.Sequencer`.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    easing: str = option(
        "cosine",
        "From keyframe to keyframe: at constant speed (linear), at rest on both (cosine), on a smooth curve through "
        "them (spline), or on an arc about the mean w (slerp).",
        choices=("linear", "cosine", "spline", "slerp"),
    )
    hold: float = option(0.4, "Share of its time that an emotion is held.", minimum=0.0, maximum=0.95)
    loop: bool = option(False, "End where it began, so that the clip can be repeated.")
    strength: float = option(1.0, "Factor of every strength of the sequence.", minimum=0.0, maximum=2.0)
    rest: bool = option(True, "Take back what the photo's face shows already, so that neutral is a face at rest.")
    blinks: float = option(0.0, "Blinks a minute; people at rest blink about 15 times.", minimum=0.0, maximum=60.0)
    sway: float = option(0.0, "Small movements of the head, in degrees.", minimum=0.0, maximum=15.0)
    seed: int = option(0, "Seed of blinks and head movements.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """What is drawn of a face that goes through a sequence; see `latentface.FaceEditor.video`.

    Raises:
        UsageError: a value lies outside the bounds its field states or has no effect in the mode that others choose,
            or the rate cannot be read.
    """

    fps: str = option("25", "Frames a second, such as 25, 29.97 or 30000/1001.")
    crop: bool = option(False, "Show the face as the network draws it, without the photo around it.")
    place: str = option(
        "head",
        "How the photo gets the expression: a head that is fitted to it moves its own pixels (head), they are moved "
        "and changed as the drawn face moves and changes (warp), or the drawn face is pasted in (paste).",
        choices=("head", "warp", "paste"),
        applies_to=_SHOWN_IN_PHOTO,
    )
    only: str = option(
        "",
        "Parts of the face that change, such as lips,eyes: lips, eyes, brows and pose; by default all.",
        applies_to=(when("place", "head"), when("crop", False)),
    )
    batch: int = option(8, "Frames that are drawn together.", minimum=1, maximum=1024)

    def __post_init__(self) -> None:
        from latentface.io.clip import parse_rate  # here, because these values are imported without numpy

        check(self)
        parse_rate(self.fps)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How the emotions of a film are read; see `latentface.emotions.recognition.read`.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    looks: float = option(5.0, "Looks a second.", minimum=0.1, maximum=60.0)
    steady: float = option(0.5, "Seconds that another emotion must clearly show to count.", minimum=0.0, maximum=10.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class DirectionOptions:
    """How a direction is learned from labelled latents; see `latentface.directions.fitting.fit`.

    Rows of a W+ latent are counted from 0.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    method: str = option(
        "pattern",
        "Move along the pattern by which a class differs, or along the normal of the plane that parts it.",
        choices=("pattern", "normal"),
    )
    multinomial: bool = option(False, "Learn all classes together instead of one at a time.")
    layers: str = option("all", "Rows that move: all, or a list such as 0-7.")
    per_layer: bool = option(False, "Learn each row by itself.")
    balance: str = option(
        "weights", "How classes of different size count alike: by weights, by drawing as many of each, or not at all.",
        choices=("weights", "sample", "none"),
    )  # fmt: skip
    fraction: float = option(
        0.3,
        "Share of the highest and of the lowest scores that become two classes.",
        minimum=0.01,
        maximum=0.5,
        applies_to=(when("the classes", "scores"),),
    )
    folds: int = option(5, "Parts for measuring accuracy on samples left out.", minimum=2, maximum=100)
    regularise: float = option(0.003, "Inverse strength of the penalty on the weights (C).", minimum=1e-9)
    seed: int = option(0, "Seed of every random draw.", minimum=0, maximum=2**32 - 1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """How a face is changed in the frames of a film; see `latentface.FaceEditor.edit_clip`.

    Raises:
        UsageError: a value lies outside the bounds its field states.
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
class EditOptions:
    """How a face is moved along directions and put back; see `latentface.FaceEditor.edit`.

    Raises:
        UsageError: a value lies outside the bounds its field states, or has no effect in the mode that others choose.
    """

    layers: str = option("all", "Rows of the latent that may move, counted from 0: all, or a list such as 0-7.")
    place: str = option(
        "auto",
        "How the photo gets the edit: a head that is fitted to it moves its own pixels (head), they are moved and "
        "changed as the drawn face moves and changes (warp), the drawn face is pasted in (paste), or auto: head where "
        "nothing but expression and pose change, else paste.",
        choices=("auto", "head", "warp", "paste"),
        applies_to=_SHOWN_IN_PHOTO,
    )
    crop: bool = option(False, "Show the face as the network draws it, without the photo around it.")

    def __post_init__(self) -> None:
        check(self)
