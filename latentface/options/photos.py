"""How faces in photos are edited, transferred, completed, translated and blended."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.modes import unless, when
from latentface.options.fields import check, option, parts_option

_CHOSEN = (when("layers", "auto"),)  # options of the integer program that chooses rows
_SHOWN_IN_PHOTO = (when("crop", False),)
_PASTED = (when("place", "paste"), when("crop", False))
_SOLVED = (*_CHOSEN, unless("solver", "exhaustive"))
#: The sides of a face that `composite --split` takes from the second photo.
SPLITS = ("left", "right", "top", "bottom")
#: What `latentface.complete` finds and removes.
OCCLUDERS = ("glasses", "hand")


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
class TranslateOptions:
    """How a face is translated to another kind of picture; see `latentface.translate`.

    Raises:
        UsageError: a value is out of bounds.
    """

    back: bool = option(False, "Translate the other way, from the second kind of pictures to the first.")
    place: str = option(
        "photo",
        "What is shown: the photo with the translated face and its surroundings in it (photo), or these alone at the "
        "network's own size (crop).",
        choices=("photo", "crop"),
    )

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
