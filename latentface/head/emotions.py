"""Emotions on a fitted head: action units that take the place of what the face shows."""

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
    Emotion.HAPPINESS: {
        "mouthSmile": 0.95,
        "cheekSquint": 0.6,
        "mouthUpperUp": 0.25,
        "jawOpen": 0.08,
        "eyeSquint": 0.2,
    },
    Emotion.SADNESS: {},
    Emotion.SURPRISE: {},
    Emotion.ANGER: {},
    Emotion.DISGUST: {},
    Emotion.FEAR: {},
}
#: The share of a full emotion at which nothing of the face's own expression is left beside it.
_ALL = 0.7
#: Shapes that an emotion leaves as they are: where the eyes look and whether they are closed.
_KEPT = ("eyeLook", "eyeBlink")
#: The largest weight of a shape: beyond 1, brows and lids still move as a face does.
_MOST = 1.25


def with_emotions(fit: HeadFit, weights: Mapping[Emotion, float], own: float | None = None) -> HeadFit:
    """The head with emotions of these weights, 0 none and 1 full; a negative weight takes one off.

    A face that smiles cannot be angry as well: the shapes of its own expression that no wanted emotion uses give way,
    and nothing of them is left from a weight of .7 on.

    Args:
        own: the share of the face's own expression that stays, 0..1; by default what the weights leave of it.
    """
    names = fit.expression_names
    added = np.zeros(len(names))
    for emotion, weight in weights.items():
        for name, amount in ACTION_UNITS[emotion].items():
            added[indices_of(names, name)] += weight * amount
    share = 1 - min(1.0, max([0.0, *weights.values()]) / _ALL) if own is None else own
    kept = np.array([name.startswith(_KEPT) for name in names])
    fades = ~kept if own is not None else ~kept & (added <= 0)
    rest = np.where(fades, share * fit.expression, fit.expression)
    return replace(fit, expression=np.clip(rest + added, 0, np.maximum(_MOST, fit.expression)))
