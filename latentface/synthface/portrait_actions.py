"""Samples expressions, gaze, small turns and light for rigged portraits, that is, for heads fitted to photos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from latentface.arrays import Float64Array
from latentface.emotion import Emotion
from latentface.head.coefficients import indices_of
from latentface.head.emotions import ACTION_UNITS
from latentface.head.fit import HeadFit
from latentface.head.gaze import Gaze

#: The emotions, and speech.
KINDS: Final = (*(emotion.value for emotion in Emotion), "speech")
SPEECH: Final = len(KINDS) - 1

#: Mouth shapes of speech: weights by ARKit name at full articulation. After the visemes of MPEG-4 (ISO/IEC 14496-2).
VISEMES: Final[dict[str, dict[str, float]]] = {
    "p b m": {"mouthPress": 0.35, "mouthRollLower": 0.35, "mouthRollUpper": 0.25, "mouthClose": 0.05},
    "f v": {"mouthRollLower": 0.55, "mouthUpperUp": 0.35, "jawOpen": 0.06},
    "th l": {"jawOpen": 0.2, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2},
    "t d n": {"jawOpen": 0.12, "mouthLowerDown": 0.35, "mouthUpperUp": 0.2, "mouthStretch": 0.15},
    "k g": {"jawOpen": 0.22, "mouthLowerDown": 0.2, "mouthStretch": 0.1},
    "ch sh": {"mouthFunnel": 0.6, "mouthPucker": 0.2, "jawOpen": 0.08},
    "s z": {"mouthStretch": 0.35, "mouthLowerDown": 0.4, "mouthUpperUp": 0.25, "jawOpen": 0.04},
    "r": {"mouthFunnel": 0.4, "jawOpen": 0.12},
    "a": {"jawOpen": 0.5, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2},
    "e": {"jawOpen": 0.25, "mouthStretch": 0.35, "mouthLowerDown": 0.35, "mouthUpperUp": 0.25, "mouthSmile": 0.2},
    "i": {"jawOpen": 0.1, "mouthStretch": 0.3, "mouthSmile": 0.4, "mouthLowerDown": 0.35, "mouthUpperUp": 0.3},
    "o": {"jawOpen": 0.3, "mouthFunnel": 0.6, "mouthPucker": 0.2},
    "u w": {"mouthPucker": 0.75, "mouthFunnel": 0.2, "jawOpen": 0.08},
}
#: Incidental movements beside an expression, with their largest usual weight.
INCIDENTAL: Final = {
    "jawOpen": 0.15, "mouthPucker": 0.3, "mouthSmile": 0.3, "mouthPress": 0.4, "browInnerUp": 0.3, "browDown": 0.35,
    "browOuterUp": 0.35, "eyeSquint": 0.4, "mouthUpperUp": 0.2, "mouthLowerDown": 0.3, "cheekPuff": 0.25,
    "mouthDimple": 0.4, "mouthFrown": 0.3, "mouthLeft": 0.3, "mouthRight": 0.3, "jawLeft": 0.2, "jawRight": 0.2,
    "noseSneer": 0.2, "mouthRollLower": 0.3, "mouthShrugLower": 0.3,
}  # fmt: skip
#: How mouths differ in an emotion: chance, share of the emotion's own shapes of mouth and jaw that is left, and what
#: is added at full strength. People shout or press their lips in anger, and are surprised with hardly open lips.
MOUTHS: Final[dict[Emotion, tuple[tuple[float, float, dict[str, float]], ...]]] = {
    Emotion.HAPPINESS: ((0.6, 1.0, {"mouthUpperUp": 0.5, "mouthLowerDown": 0.3, "jawOpen": 0.12}),),
    Emotion.ANGER: (
        (0.35, 0.15, {"mouthPress": 0.6, "mouthFrown": 0.2, "mouthShrugLower": 0.3}),
        (0.3, 1.0, {"jawOpen": 0.4, "mouthUpperUp": 0.3, "mouthStretch": 0.2}),
    ),
    Emotion.SURPRISE: ((0.35, 0.35, {"mouthFunnel": 0.15}),),
    Emotion.SADNESS: ((0.3, 0.4, {}), (0.15, 0.7, {"jawOpen": 0.25, "mouthLowerDown": 0.3})),
    Emotion.DISGUST: ((0.25, 0.8, {"jawOpen": 0.3, "mouthLowerDown": 0.3}),),
    Emotion.FEAR: ((0.3, 1.0, {"jawOpen": 0.4}), (0.25, 0.4, {})),
}
TURNS: Final = (8.0, 4.0, 2.0)  # standard deviations of added yaw, pitch and roll, degrees
MOST_TURN: Final = (18.0, 10.0, 5.0)
MOST_POSE: Final = (35.0, 25.0, 20.0)  # heads that are already turned by more are not turned further
LOOKS: Final = (8.0, 5.0)  # the same of the gaze's yaw and pitch
MOST_LOOK: Final = (18.0, 12.0)
SHUT = 0.45  # of eyeBlink: eyes that are closed in the photo stay closed, since the photo does not show the eyeball


@dataclass(frozen=True)
class Relight:
    """A change of the light on skin: colours are multiplied by exp(direction . n), with n the normal, and by a tint.

    direction: to the viewer's right, up and towards the viewer. warmth: natural logarithm of the factor by
    which red is raised and blue lowered.
    """

    direction: tuple[float, float, float] = (0.0, 0.0, 0.0)
    warmth: float = 0.0

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """Direction and warmth as one vector, as stored in shards."""
        return *self.direction, self.warmth


def sample_action(fit: HeadFit, kind: int, rng: np.random.Generator) -> tuple[HeadFit, float, Relight]:
    """A head with a sampled expression of a kind, gaze and turn; the expression's strength, 0..1; and a light.

    The expression replaces the one in the photo, so that people who always smile in photos do not keep smiling.

    Args:
        fit: the head as the photo shows it.
        kind: an index into `KINDS`.
        rng: source of randomness.
    """
    names = fit.expression_names
    strength = float(rng.uniform(0.35, 1.0))
    weights = speech(names, strength, rng) if kind == SPEECH else emotion(names, kind, strength, rng)
    weights = np.maximum(weights, incidental(names, rng, 1.0 if kind == 0 else 0.4))
    weights = np.clip(_with_lids(fit, weights, rng), 0, 1)
    looks = np.array([name.startswith("eyeLook") for name in names])
    weights[looks] = _look(fit, rng)[looks]
    turned = replace(fit, expression=weights).with_pose(*_turn(fit, rng), relative=True)
    return turned, strength if kind else 0.0, sample_light(rng)


def emotion(names: tuple[str, ...], kind: int, strength: float, rng: np.random.Generator) -> Float64Array:
    """Weights [E] of an emotion, varied as people and moments vary."""
    made = np.zeros(len(names))
    left, extra = _mouth(tuple(Emotion)[kind], rng)
    for name, amount in ACTION_UNITS[tuple(Emotion)[kind]].items():
        vary = float(np.clip(rng.normal(1.0, 0.25), 0.2, 1.5))
        _add(made, names, name, amount * strength * vary * (left if name.startswith(("mouth", "jaw")) else 1.0), rng)
    for name, amount in extra.items():
        _add(made, names, name, amount * strength * float(rng.uniform(0.5, 1.2)), rng)
    return made


def _mouth(emotion: Emotion, rng: np.random.Generator) -> tuple[float, dict[str, float]]:
    """One of the `MOUTHS` of an emotion: the share of its own shapes that is left, and what is added."""
    chance = rng.random()
    for share, left, extra in MOUTHS.get(emotion, ()):
        chance -= share
        if chance < 0:
            return left, extra
    return 1.0, {}


def speech(names: tuple[str, ...], strength: float, rng: np.random.Generator) -> Float64Array:
    """Weights [E] of a mouth on its way from one sound to another, on a face that may show a mild emotion."""
    made = np.zeros(len(names))
    first, second = rng.choice(len(VISEMES), 2, replace=False)
    way = float(rng.beta(0.6, 0.6))
    for which, part in ((first, 1 - way), (second, way)):
        for name, amount in list(VISEMES.values())[which].items():
            _add(made, names, name, amount * part * (0.4 + 0.7 * strength), rng)
    if rng.random() < 0.4:
        other = int(rng.integers(1, SPEECH))
        upper = np.array([not name.startswith(("mouth", "jaw")) for name in names])
        mild = emotion(names, other, float(rng.uniform(0.2, 0.6)), rng)
        made += mild * np.where(upper, 1.0, 0.3)
    return made


def incidental(names: tuple[str, ...], rng: np.random.Generator, share: float) -> Float64Array:
    """Weights [E] of a few small motions."""
    made = np.zeros(len(names))
    for name in rng.choice(list(INCIDENTAL), size=int(rng.integers(0, 4)), replace=False):
        _add(made, names, str(name), INCIDENTAL[str(name)] * share * float(rng.random()), rng)
    return made


def sample_light(rng: np.random.Generator) -> Relight:
    """Two fifths of the pictures are unchanged; others get more light from one side and less from the opposite one."""
    if rng.random() < 0.4:
        return Relight()
    angle = rng.uniform(0, 2 * np.pi)
    amount, ahead = abs(rng.normal(0, 0.2)), float(rng.normal(0, 0.06))
    side, up = (float(np.clip(amount * f(angle), -0.4, 0.4)) for f in (np.cos, np.sin))
    return Relight((side, up, ahead), float(np.clip(rng.normal(0, 0.03), -0.08, 0.08)))


def _add(made: Float64Array, names: tuple[str, ...], name: str, amount: float, rng: np.random.Generator) -> None:
    """Add a shape's weight, in place, on both sides alike but for some asymmetry."""
    found = indices_of(names, name)
    lean = float(np.clip(rng.normal(0, 0.12), -0.4, 0.4)) if len(found) == 2 else 0.0
    for index, part in zip(found, (1 - max(lean, 0.0), 1 + min(lean, 0.0)), strict=False):
        made[index] += amount * part


def _with_lids(fit: HeadFit, weights: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Weights [E] with the lids as in the photo, or with one or both closed, fully or half."""
    names = fit.expression_names
    made: Float64Array = weights.copy()
    blinks, wide = indices_of(names, "eyeBlink"), indices_of(names, "eyeWide")
    own = fit.expression[blinks]
    chance, amount = rng.random(), float(rng.uniform(0.7, 1.0))
    made[blinks] = own
    if (own > SHUT).any():
        made[wide] = 0
        return made
    if chance < 0.07:
        made[blinks] = amount
    elif chance < 0.14:
        made[blinks] = np.maximum(own, 0.5 * amount)
    elif chance < 0.16:
        made[blinks[int(rng.integers(2))]] = amount
    if chance < 0.16:
        made[wide] = 0
    return made


def _look(fit: HeadFit, rng: np.random.Generator) -> Float64Array:
    """The eyeLook weights [E] of a gaze beside the photo's own."""
    names = fit.expression_names
    own = Gaze.of(names, fit.expression)
    if rng.random() < 0.35:
        return own.weights(names)
    yaw, pitch = (
        base + float(np.clip(rng.normal(0, spread), -most, most))
        for base, spread, most in zip((own.yaw, own.pitch), LOOKS, MOST_LOOK, strict=True)
    )
    return Gaze(yaw, pitch, 1.0).weights(names)


def _turn(fit: HeadFit, rng: np.random.Generator) -> list[float]:
    """Degrees of yaw, pitch and roll to turn by: none in a quarter of the pictures."""
    if rng.random() < 0.25:
        return [0.0, 0.0, 0.0]
    made = []
    for own, spread, most, far in zip(fit.pose, TURNS, MOST_TURN, MOST_POSE, strict=True):
        turn = float(np.clip(rng.normal(0, spread), -most, most))
        made.append(float(np.clip(own + turn, min(own, -far), max(own, far))) - own)
    return made
