"""What the built-in directions mean for a head that is fitted to a photo, a unit of strength each.

A direction moves a latent, and the picture shows what that means. Of the built-in directions it is known beforehand,
since they were fitted to rendered heads whose expression, gaze and pose are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from latentface.emotion import Emotion
from latentface.head.controls import Change, apply_changes, is_control
from latentface.head.emotions import with_emotions
from latentface.head.fit import HeadFit

#: Before the name of a direction that a control of the head shares.
DIRECTION = "direction:"
#: The weight of an emotion's action units that a unit of its direction stands for: it is plain to see at a strength of
#: 2 and mild at 1.
EMOTION_UNIT = 0.5
#: Controls of a head (`head.controls`), or ARKit's shapes, that a unit of a direction adds to.
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
    """Strengths of directions as what they do to a head: weights of emotions, and what is added to controls."""

    emotions: Mapping[Emotion, float] = field(default_factory=dict)
    controls: Mapping[str, float] = field(default_factory=dict)

    def apply(self, fit: HeadFit) -> HeadFit:
        """The head after it; what leads out of a control's range ends at its bound."""
        made = with_emotions(fit, self.emotions) if self.emotions else fit
        return apply_changes(made, {name: Change(value, relative=True) for name, value in self.controls.items()})


def is_known(name: str) -> bool:
    """Whether it is known what the built-in direction of that name means."""
    return name in CONTROLS or name in {emotion.value for emotion in Emotion}


def meaning_of(strengths: Mapping[str, float]) -> Meaning:
    """What strengths of built-in directions, by name, do together."""
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
    """The head after changes by name: controls first of all, else built-in directions of known meaning.

    Raises:
        UsageError: a name that is neither, or a value out of a control's range.
    """
    controls = controls_among(changes, fit.expression_names)
    directions = {
        name.removeprefix(DIRECTION): value
        for name, value in changes.items()
        if value and name.removesuffix("+") not in controls
    }
    return apply_changes(meaning_of(directions).apply(fit), controls)
