"""Emotions on a fitted head: action units replace the expression that the face shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from latentface.emotion import Emotion
from latentface.head.coefficients import indices_of
from latentface.head.fit import HeadFit

#: Weights of shapes, by ARKit name, of a full emotion; a name without its side stands for both. The action units are
#: those of EMFACS (Friesen and Ekman 1983), counted in the comments; anger is the one that shows its teeth. How much of
#: each an emotion takes was set on photographs of other people than those it was measured on (docs/head.md).
ACTION_UNITS: dict[Emotion, dict[str, float]] = {
    Emotion.NEUTRAL: {},
    Emotion.HAPPINESS: {  # 6 12 25
        "mouthSmile": 0.95, "cheekSquint": 0.5, "mouthUpperUp": 0.25, "jawOpen": 0.08, "eyeSquint": 0.05,
    },
    Emotion.SADNESS: {  # 1 4 15 17 18
        "browInnerUp": 1.25, "browDown": 1.1, "mouthFrown": 1.25, "mouthShrugLower": 1.25, "mouthShrugUpper": 0.6,
        "mouthPucker": 0.3, "mouthPress": 0.3, "jawOpen": 0.15, "eyeSquint": 0.15,
    },
    Emotion.SURPRISE: {  # 1 2 5 16 26
        "browInnerUp": 0.65, "browOuterUp": 0.42, "eyeWide": 1.15, "jawOpen": 0.83, "mouthFunnel": 0.3,
        "mouthPucker": 0.07, "mouthLowerDown": 0.3,
    },
    Emotion.ANGER: {  # 4 5 7 9 10 16 24 26
        "browDown": 0.95, "eyeWide": 0.1, "eyeSquint": 0.33, "noseSneer": 0.85, "mouthUpperUp": 0.45,
        "mouthLowerDown": 1.0, "jawOpen": 0.95, "mouthFrown": 0.2, "mouthPress": 0.4,
    },
    Emotion.DISGUST: {  # 4 7 9 10 15 17 24
        "noseSneer": 1.2, "mouthUpperUp": 0.68, "mouthFrown": 1.2, "browDown": 0.24, "eyeSquint": 0.46,
        "mouthShrugLower": 0.82, "mouthPress": 0.5, "jawOpen": 0.16,
    },
    Emotion.FEAR: {  # 1 2 4 5 15 20 25 26
        "browInnerUp": 0.65, "browOuterUp": 0.6, "browDown": 1.0, "eyeWide": 1.6, "mouthStretch": 1.25,
        "jawOpen": 0.35, "mouthLowerDown": 1.25, "mouthUpperUp": 0.45, "mouthFrown": 1.25,
    },
}  # fmt: skip
#: Shapes in which the face's own expression stays where it is stronger: who speaks or laughs may smile with open lips.
_GOES_WITH: dict[Emotion, tuple[str, ...]] = {
    Emotion.HAPPINESS: ("jawOpen", "mouthClose", "mouthUpperUp", "mouthLowerDown"),
}
#: The share of a full emotion from which on nothing of the face's own expression remains.
_ALL = 0.7
#: Shapes that an emotion leaves as they are: where the eyes look and whether they are closed.
_KEPT = ("eyeLook", "eyeBlink")
#: The largest weight of a shape: beyond 1, brows and lids still move as a face does. The brows' shape downwards is a
#: small one: at 1 they come down by .035 of the distance between the eyes.
_MOST, _MOST_OF = 1.25, {"browDown": 2.0, "eyeWide": 1.6}


def with_emotions(fit: HeadFit, weights: Mapping[Emotion, float], own: float | None = None) -> HeadFit:
    """The head with emotions of these weights, 0 none and 1 full; a negative weight takes one off.

    A smiling face cannot be angry at the same time: its own expression is reduced, and from a weight of .7 on nothing
    of it remains, except the part that belongs to the wanted emotion; open lips also stay open as they begin to smile.

    Args:
        fit: the head.
        weights: of the emotions.
        own: the share of the face's own expression that stays, 0..1; by default it follows from the weights.
    """
    names, shown = fit.expression_names, fit.expression
    added, agrees, goes = np.zeros((3, len(names)))
    for emotion, weight in weights.items():
        units = np.zeros(len(names))
        for name, amount in ACTION_UNITS[emotion].items():
            units[indices_of(names, name)] = amount
        added += weight * units
        if weight > 0 and own is None:
            likeness = np.clip(shown @ units / max(float(units @ units), 1e-9), 0, 1)  # 1: it shows all of the emotion
            agrees = np.maximum(agrees, likeness * (units > 0))
            goes[[name.startswith(_GOES_WITH.get(emotion, ())) for name in names]] = min(1.0, weight / _ALL)
    share = 1 - min(1.0, max([0.0, *weights.values()]) / _ALL) if own is None else own
    stays = np.where([name.startswith(_KEPT) for name in names], 1.0, share + (1 - share) * agrees)
    stays = np.maximum(stays, np.minimum(1.0, share + goes) * (goes > 0))
    most = np.full(len(names), _MOST)
    for name, value in _MOST_OF.items():
        most[indices_of(names, name)] = value
    made = stays * shown + added
    made += goes * (np.maximum(shown, added) - made)
    return replace(fit, expression=np.clip(made, 0, np.maximum(most, shown)))
