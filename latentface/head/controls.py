"""Direct controls of a fitted head: ARKit's shapes by name, and named controls (blink, smile, yaw).

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
from latentface.head.control_names import CONTROLS, GAZE, NEUTRALISE, PARTS, POSE, check_parts
from latentface.head.fit import HeadFit
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze


@dataclass(frozen=True)
class Change:
    """A change of a control: set it to a value or, with `relative`, add the value to what the photo shows."""

    value: float
    relative: bool = False


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
    """Apply changes of controls to a head; `neutralise` is applied first, the others in their order.

    Raises UsageError as `check_changes` does.
    """
    check_changes(changes, fit.expression_names)
    first = [name for name in changes if name == NEUTRALISE]
    for name in [*first, *(name for name in changes if name != NEUTRALISE)]:
        fit = _apply(fit, name, changes[name])
    return fit


def restrict(before: HeadFit, after: HeadFit, only: Sequence[str]) -> HeadFit:
    """The head with a change restricted to some parts, named as in `PART_NAMES`.

    Raises UsageError for an unknown part.
    """
    check_parts(only)
    parts = PARTS if "expression" in only else [part for part in only if part in PARTS]
    taken = tuple(prefix for part in parts for prefix in PARTS[part])
    inside = np.array([name.startswith(taken) for name in after.expression_names])
    posed = after if "pose" in only else before
    return replace(posed, expression=np.where(inside, after.expression, before.expression))


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
    """Weights of the shapes at a value of the control; negative values use the weights of `down`."""
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
