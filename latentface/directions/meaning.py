"""The effect of the built-in directions on a head that is fitted to a photo.

In general the effect of a direction is visible only in the synthesised picture. For the built-in directions it is known
in advance, since they were fitted to heads whose expression, gaze and pose are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from latentface.emotion import Emotion
from latentface.head.controls import Change, apply_changes, is_control
from latentface.head.emotions import with_emotions
from latentface.head.fit import HeadFit

#: Prefix for the name of a direction that has the same name as a control of the head.
DIRECTION = "direction:"
#: The weight of an emotion's action units for a strength of 1: an emotion is mild at 1 and obvious at 2.
EMOTION_UNIT = 0.5
#: The controls of a head (`head.controls`) or ARKit shapes to which a strength of 1 adds, and how much.
CONTROLS: dict[str, dict[str, float]] = {
    "brows-down": {"browDown": 0.45},
    "brows-up": {"browInnerUp": 0.4, "browOuterUp": 0.4},
    "eyes-closed": {"eyeBlink": 0.125},
    "gaze-right": {"gaze-x": 9.0},
    "gaze-up": {"gaze-y": 6.0},
    "mouth-open": {"jawOpen": 0.2},
    "pitch": {"pitch": 6.8},
    "pucker": {"mouthPucker": 0.4},
    "smile": {"mouthSmile": 0.4, "cheekSquint": 0.2},
    "yaw": {"yaw": 13.2},
}


@dataclass(frozen=True)
class Meaning:
    """The effect of strengths of directions on a head: weights of emotions, and additions to controls."""

    emotions: Mapping[Emotion, float] = field(default_factory=dict)
    controls: Mapping[str, float] = field(default_factory=dict)

    def apply(self, fit: HeadFit) -> HeadFit:
        """Apply it to a head; values are clipped to the range of each control."""
        made = with_emotions(fit, self.emotions) if self.emotions else fit
        return apply_changes(made, {name: Change(value, relative=True) for name, value in self.controls.items()})


def is_known(name: str) -> bool:
    """Whether the effect of the built-in direction with that name is known."""
    return name in CONTROLS or name in {emotion.value for emotion in Emotion}


def meaning_of(strengths: Mapping[str, float]) -> Meaning:
    """The combined effect of strengths of built-in directions, by name."""
    emotions: dict[Emotion, float] = {}
    controls: dict[str, float] = {}
    for name, strength in strengths.items():
        if name in CONTROLS:
            for control, amount in CONTROLS[name].items():
                controls[control] = controls.get(control, 0.0) + strength * amount
        else:
            emotions[Emotion.of(name)] = strength * EMOTION_UNIT
    return Meaning(emotions, controls)


def controls_among(changes: Mapping[str, float], shapes: Sequence[str]) -> dict[str, Change]:
    """Those of the changes, by name, that are controls of a head or ARKit shapes; "yaw+" adds to yaw."""
    plain = {name: name.removesuffix("+") for name in changes}
    return {
        plain[name]: Change(float(value), relative=plain[name] != name)
        for name, value in changes.items()
        if is_control(plain[name], shapes)
    }


def move_head(fit: HeadFit, changes: Mapping[str, float]) -> HeadFit:
    """Change a head by name; names are looked up among the controls first, then among the built-in directions.

    Raises:
        UsageError: a name that is neither, or a value outside a control's range.
    """
    controls = controls_among(changes, fit.expression_names)
    directions = {
        name.removeprefix(DIRECTION): value
        for name, value in changes.items()
        if value and name.removesuffix("+") not in controls
    }
    return apply_changes(meaning_of(directions).apply(fit), controls)
