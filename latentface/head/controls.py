"""Direct controls of a fitted head: ARKit's shapes by name, and the controls that people ask for (blink, smile, yaw).

A control either sets a value or adds to what the photo shows. Weights of shapes run from 0 to 1, angles are in degrees;
"right" and "left" of a gaze or a turn are the viewer's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentface.arrays import Float64Array
from latentface.errors import UsageError
from latentface.head.coefficients import indices_of
from latentface.head.fit import HeadFit
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes:
        low, high: the range of its value.
        about: what it does, for help texts.
        up: weight of each shape, by ARKit name, that a value of 1 stands for. down: the same for a value of -1.
    """

    low: float
    high: float
    about: str
    up: Mapping[str, float] | None = None
    down: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Change:
    """What to do with a control: set it to a value, or with `relative` add the value to what the photo shows."""

    value: float
    relative: bool = False


SMILE = {"mouthSmile": 1.0, "cheekSquint": 0.5, "mouthDimple": 0.15}
NEUTRALISE = "neutralise"
POSE = ("yaw", "pitch", "roll")
GAZE = ("gaze-x", "gaze-y")
CONTROLS: dict[str, Control] = {
    "blink": Control(0, 1, "both lids close", {"eyeBlink": 1.0}),
    "wink-left": Control(0, 1, "the subject's left lid closes", {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.3}),
    "wink-right": Control(0, 1, "the subject's right lid closes", {"eyeBlinkRight": 1.0, "cheekSquintRight": 0.3}),
    "gaze-x": Control(-20, 20, "degrees the eyes look to the viewer's right"),
    "gaze-y": Control(-20, 20, "degrees the eyes look up"),
    "smile": Control(0, 1, "mouth corners rise, cheeks with them", SMILE),
    "jaw": Control(0, 1, "the jaw drops", {"jawOpen": 1.0}),
    "lips-apart": Control(0, 1, "lips part over closed teeth", {"mouthLowerDown": 0.6, "mouthUpperUp": 0.45}),
    "pucker": Control(0, 1, "lips as for a kiss", {"mouthPucker": 1.0}),
    "frown": Control(0, 1, "mouth corners fall", {"mouthFrown": 1.0, "mouthShrugLower": 0.35}),
    "brows": Control(-1, 1, "brows up, or down below 0", {"browInnerUp": 0.8, "browOuterUp": 1.0}, {"browDown": 1.0}),
    "yaw": Control(-20, 20, "degrees the head is turned to the viewer's right"),
    "pitch": Control(-15, 15, "degrees the head is bent down"),
    "roll": Control(-15, 15, "degrees the head is tilted to the subject's left shoulder"),
    NEUTRALISE: Control(0, 1, "share of the photo's own expression that is taken off"),
}
#: Parts of the face by what their shapes' names begin with.
PARTS: dict[str, tuple[str, ...]] = {
    "eyes": ("eye", "cheekSquint"),
    "lips": ("mouth", "jaw", "cheekPuff"),
    "brows": ("brow", "noseSneer"),
}


def is_control(name: str, shapes: Sequence[str]) -> bool:
    """Whether a name is a control, or a shape's ARKit name (with or without its side)."""
    if name in CONTROLS:
        return True
    try:
        indices_of(shapes, name)
    except UsageError:
        return False
    return True


def check_changes(changes: Mapping[str, Change], shapes: Sequence[str]) -> None:
    """Raise UsageError for a name that is no control, and for a value out of its range."""
    for name, change in changes.items():
        control = CONTROLS.get(name)
        if control is None:
            indices_of(shapes, name)
        low, high = (0.0, 1.0) if control is None else (control.low, control.high)
        span = high - low
        least, most = (-span, span) if change.relative else (low, high)
        if not math.isfinite(change.value) or not least <= change.value <= most:
            word = "added" if change.relative else "set"
            raise UsageError(f"{name} is {word} to {change.value:g}; expected a number from {least:g} to {most:g}")


def apply_changes(fit: HeadFit, changes: Mapping[str, Change]) -> HeadFit:
    """The head after changes of its controls; the share to neutralise comes first, the others in their order.

    Raises UsageError as `check_changes` does.
    """
    check_changes(changes, fit.expression_names)
    first = [name for name in changes if name == NEUTRALISE]
    for name in [*first, *(name for name in changes if name != NEUTRALISE)]:
        fit = _apply(fit, name, changes[name])
    return fit


def restrict(before: HeadFit, after: HeadFit, only: Sequence[str]) -> HeadFit:
    """The head after a change of which some parts alone are taken: `PARTS`, and pose.

    Raises UsageError for an unknown part.
    """
    unknown = sorted(set(only) - {*PARTS, "pose"})
    if unknown:
        raise UsageError(f"no part {', '.join(unknown)}; expected some of {', '.join((*PARTS, 'pose'))}")
    taken = tuple(prefix for part in only if part in PARTS for prefix in PARTS[part])
    inside = np.array([bool(taken) and name.startswith(taken) for name in after.expression_names])
    made = replace(after, expression=np.where(inside, after.expression, before.expression))
    return made if "pose" in only else made.with_pose(*before.pose)


def _apply(fit: HeadFit, name: str, change: Change) -> HeadFit:
    if name == NEUTRALISE:
        gaze = np.array([each.startswith("eyeLook") for each in fit.expression_names])
        return replace(fit, expression=np.where(gaze, fit.expression, (1 - change.value) * fit.expression))
    if name in POSE:
        return fit.with_pose(**{name: change.value}, relative=change.relative)
    if name in GAZE:
        return _look(fit, name, change)
    control = CONTROLS.get(name)
    if control is None:
        return fit.with_expression({name: change.value}, relative=change.relative)
    up, down = control.up or {}, control.down or {}
    if change.relative:
        return fit.with_expression(_scaled(up if change.value >= 0 else down or up, change.value, down), relative=True)
    wanted = {shape: 0.0 for shape in (*up, *down)}
    wanted |= _scaled(up if change.value >= 0 else down, change.value, down)
    return fit.with_expression(wanted)


def _scaled(weights: Mapping[str, float], value: float, down: Mapping[str, float]) -> dict[str, float]:
    """Weights at a value; those of the downward side count against its sign."""
    factor = -value if weights is down and down else value
    return {shape: float(np.clip(factor * weight, -1, 1)) for shape, weight in weights.items()}


def _look(fit: HeadFit, name: str, change: Change) -> HeadFit:
    names = fit.expression_names
    gaze = Gaze.of(names, fit.expression)
    if name == "gaze-x":
        gaze = replace(gaze, yaw=change.value + (gaze.yaw if change.relative else 0.0))
    else:
        gaze = replace(gaze, pitch=-change.value + (gaze.pitch if change.relative else 0.0))
    looks = np.array([each.startswith("eyeLook") for each in names])
    limited = replace(
        gaze,
        yaw=float(np.clip(gaze.yaw, -YAW_AT_ONE, YAW_AT_ONE)),
        pitch=float(np.clip(gaze.pitch, -PITCH_AT_ONE, PITCH_AT_ONE)),
    )
    weights: Float64Array = np.where(looks, limited.weights(names), fit.expression)
    return replace(fit, expression=weights)
