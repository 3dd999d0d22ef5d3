"""The sliders and presets of the page, and the changes of the head that their values mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from latentface.emotion import Emotion
from latentface.head.control_names import CONTROLS, NEUTRALISE

STRONGEST = 3.0  # of an emotion; 2 is a full one
#: Controls whose value a photo often shows already, so that it can also be reduced.
TWO_SIDED = ("blink", "smile", "jaw", "lips-apart", "frown")
#: What the page calls controls whose name does not say it.
TITLES = {
    "blink": "close eyes", "wink-left": "wink left", "wink-right": "wink right", "jaw": "open mouth",
    "gaze-x": "look right (°)", "gaze-y": "look up (°)", "lips-apart": "part lips", "frown": "corners down",
    "brows": "raise brows", "yaw": "turn right (°)", "pitch": "bend down (°)", "roll": "tilt (°)",
    NEUTRALISE: "neutralise",
}  # fmt: skip
GROUPS: dict[str, tuple[str, ...]] = {
    "Emotions": tuple(emotion.value for emotion in Emotion if emotion is not Emotion.NEUTRAL),
    "Mouth": ("smile", "jaw", "lips-apart", "pucker", "frown"),
    "Eyes and brows": ("blink", "wink-left", "wink-right", "gaze-x", "gaze-y", "brows"),
    "Head": ("yaw", "pitch", "roll"),
    "The photo's own expression": (NEUTRALISE,),
}


@dataclass(frozen=True)
class Slider:
    """One slider, whose 0 leaves the photo as it is.

    Attributes:
        name: of the emotion or the control.
        key: as `latentface edit --set` takes it: controls are added to what the photo shows.
        title: what the page calls it.
        group: the heading that it stands under.
        low, high: the ends of its range. step: between its values.
    """

    name: str
    key: str
    title: str
    group: str
    low: float
    high: float
    step: float


def _slider(name: str, group: str) -> Slider:
    control = CONTROLS.get(name)
    if control is None:
        return Slider(name, name, name.capitalize(), group, 0.0, STRONGEST, 0.05)
    low = -control.high if name in TWO_SIDED else control.low
    key = name if name == NEUTRALISE else f"{name}+"
    title = TITLES.get(name, name).capitalize()
    return Slider(name, key, title, group, low, control.high, 0.5 if control.high > 1 else 0.05)


#: Every slider, in the order of the page.
SLIDERS: tuple[Slider, ...] = tuple(_slider(name, group) for group, names in GROUPS.items() for name in names)
#: Expressions to begin with: changes by the keys of the sliders.
PRESETS: dict[str, dict[str, float]] = {
    "Soft smile": {"smile+": 0.45, "lips-apart+": 0.1},
    "Laugh": {"happiness": 2.4, "jaw+": 0.3},
    "Surprised": {"surprise": 1.8},
    "Thoughtful": {"gaze-x+": -8.0, "gaze-y+": 8.0, "brows+": 0.25, "pitch+": -3.0},
    "Wink": {"wink-left+": 1.0, "smile+": 0.5},
    "Kiss": {"pucker+": 1.0, "blink+": 0.3},
    "Sad": {"sadness": 2.0, "gaze-y+": -6.0},
    "Angry": {"anger": 2.0},
    "Scared": {"fear": 2.0},
    "Neutral": {NEUTRALISE: 1.0},
}


def changes_of(values: Mapping[str, float]) -> dict[str, float]:
    """The changes that sliders ask for: values by key, without sliders at 0."""
    return {name: float(value) for name, value in values.items() if value}
