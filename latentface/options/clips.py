"""How faces move in clips: edits, animation, expression videos and emotions over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentface.errors import UsageError
from latentface.modes import Condition, check_effect, spell_value, when
from latentface.options.fields import check, option, parts_option, precision_option

BLINKS, SWAY = 12.0, 1.5  # blinks a minute, and degrees, of a head in a photo that shows one emotion after another
_RELATIVE = (when("mode", "relative"),)
_BY_KEYPOINTS = (when("engine", "motion", "vid2vid"),)
_FREE_VIEW = (when("engine", "vid2vid"),)
_SHOWN_IN_PHOTO = (when("crop", False),)


def _angle_option(what: str, most: float, applies_to: tuple[Condition, ...] = ()) -> Any:
    return option(None, f"{what}, in degrees; see `view`.", minimum=-most, maximum=most, applies_to=applies_to)


def _view_option(applies_to: tuple[Condition, ...] = ()) -> Any:
    return option(
        "hold",
        "Hold the head at the given `yaw`, `pitch` and `roll` in every frame (hold), or add them to its movement "
        "(add).",
        choices=("hold", "add"),
        applies_to=applies_to,
    )


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
class AnimateOptions:
    """How a driving clip moves a face; see `latentface.animate`.

    Raises:
        UsageError: a value is out of bounds, or has no effect in the mode chosen by the other options.
    """

    engine: str = option(
        "head",
        "What moves the face: head models fitted to the photo and to the driving clip, which move the photo's own "
        "pixels (head), the First Order Motion Model (motion), or a free-view talking head (vid2vid).",
        choices=("head", "motion", "vid2vid"),
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
        "the other engines.",
        minimum=0.0,
        maximum=1.0,
    )
    only: str = parts_option((when("engine", "head"),))
    yaw: float | None = _angle_option("Turn of the head, to the viewer's right if positive", 60.0, _FREE_VIEW)
    pitch: float | None = _angle_option("Nod of the head, down if positive", 45.0, _FREE_VIEW)
    roll: float | None = _angle_option("Tilt of the head, to its left shoulder if positive", 45.0, _FREE_VIEW)
    view: str = _view_option(_FREE_VIEW)
    still_background: bool = option(False, "Keep the surroundings of the head still.", applies_to=_BY_KEYPOINTS)
    missing: str = option(
        "hold",
        "What to do in a frame without a driving face: repeat the last motion (hold), show the unchanged photo "
        "(source), or end with an error (stop). ignore does not look for a face (not with heads).",
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
        _check_view(self)
        if self.missing == "ignore":
            check_effect("missing='ignore'", _BY_KEYPOINTS, {"engine": self.engine}, spell_value)


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """How a clip becomes a keypoint stream; see `latentface.motion.head_stream`.

    Raises:
        UsageError: a value is out of bounds.
    """

    precision: float = option(
        1.0,
        "Factor of the steps to which the head's numbers are rounded: more takes fewer bits.",
        minimum=0.1,
        maximum=16.0,
    )
    picture_quality: int = option(85, "Quality of the one picture that is sent (JPEG).", minimum=1, maximum=95)
    driver_crop: float = option(
        1.0, "Size of the square around the face, as a factor of the default.", minimum=0.7, maximum=2.0
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """From where the head of a keypoint stream is seen.

    Raises:
        UsageError: a value is out of bounds, or `view` is set without an angle.
    """

    yaw: float | None = _angle_option("Turn of the head, to the viewer's right if positive", 60.0)
    pitch: float | None = _angle_option("Nod of the head, down if positive", 45.0)
    roll: float | None = _angle_option("Tilt of the head, to its left shoulder if positive", 45.0)
    view: str = _view_option()

    def __post_init__(self) -> None:
        check(self)
        _check_view(self)


def _check_view(options: AnimateOptions | ViewOptions) -> None:
    if options.view != "hold" and options.yaw is options.pitch is options.roll is None:
        raise UsageError(f"view={options.view!r} has no effect without yaw, pitch or roll; give one of them")


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
    blinks: float | None = option(
        None,
        f"Number of blinks a minute; people at rest blink about 15 times. By default {BLINKS:g} where the head model "
        "moves the photo, and none otherwise.",
        minimum=0.0,
        maximum=60.0,
    )
    sway: float | None = option(
        None,
        f"Size of small head movements, in degrees; by default {SWAY:g} where the head model moves the photo, and none "
        "otherwise.",
        minimum=0.0,
        maximum=15.0,
    )
    seed: int = option(0, "Seed of the blinks and head movements.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        check(self)


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
