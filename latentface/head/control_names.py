"""The controls of a head and the parts of a face by name, importable without numpy, since help texts list them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from latentface.errors import UsageError


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


SMILE = {"mouthSmile": 1.0, "cheekSquint": 0.5, "mouthDimple": 0.15}
NEUTRALISE = "neutralise"
POSE = ("yaw", "pitch", "roll")
GAZE = ("gaze-x", "gaze-y")
CONTROLS: dict[str, Control] = {
    "blink": Control(0, 1, "both lids close", {"eyeBlink": 1.0}),
    "wink-left": Control(0, 1, "the subject's left lid closes", {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.3}),
    "wink-right": Control(0, 1, "the subject's right lid closes", {"eyeBlinkRight": 1.0, "cheekSquintRight": 0.3}),
    "gaze-x": Control(-20, 20, "degrees that the eyes look to the viewer's right"),
    "gaze-y": Control(-20, 20, "degrees that the eyes look up"),
    "smile": Control(0, 1, "the corners of the mouth and the cheeks rise", SMILE),
    "jaw": Control(0, 1, "the jaw drops", {"jawOpen": 1.0}),
    "lips-apart": Control(0, 1, "the lips part over closed teeth", {"mouthLowerDown": 0.6, "mouthUpperUp": 0.45}),
    "pucker": Control(0, 1, "the lips purse as for a kiss", {"mouthPucker": 1.0}),
    "frown": Control(0, 1, "the corners of the mouth fall", {"mouthFrown": 1.0, "mouthShrugLower": 0.35}),
    "brows": Control(
        -1, 1, "the brows rise, or fall below 0", {"browInnerUp": 0.8, "browOuterUp": 1.0}, {"browDown": 1.0}
    ),
    "yaw": Control(-20, 20, "degrees that the head turns to the viewer's right"),
    "pitch": Control(-15, 15, "degrees that the head bends down"),
    "roll": Control(-15, 15, "degrees that the head tilts to the subject's left shoulder"),
    NEUTRALISE: Control(0, 1, "share of the photo's own expression that is removed"),
}
#: Parts of the face, by the prefixes of their shapes' names.
PARTS: dict[str, tuple[str, ...]] = {
    "eyes": ("eye", "cheekSquint"),
    "lips": ("mouth", "jaw", "cheekPuff"),
    "brows": ("brow", "noseSneer"),
}


#: What a change can be restricted to: single parts, all of them, and the pose of the head.
PART_NAMES = (*PARTS, "expression", "pose")
ALL_BUT_EYES = ("lips", "brows", "pose")


def describe_controls() -> str:
    """The controls with their ranges, in one line."""
    return ", ".join(f"{name} ({each.low:g} to {each.high:g}: {each.about})" for name, each in CONTROLS.items())


def parse_parts(text: str) -> tuple[str, ...]:
    """`lips,eyes` -> ("lips", "eyes"); UsageError for another part than `PART_NAMES`."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    check_parts(parts)
    return parts


def check_parts(parts: Sequence[str]) -> None:
    """Raise UsageError for another part than `PART_NAMES`."""
    unknown = sorted(set(parts) - set(PART_NAMES))
    if unknown:
        raise UsageError(f"no part {', '.join(unknown)}; expected some of {', '.join(PART_NAMES)}")
