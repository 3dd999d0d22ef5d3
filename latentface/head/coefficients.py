"""Expression coefficients by ARKit's names: as vectors of a model's shapes, as dictionaries, and as JSON.

ARKit's `browInnerUp` and `cheekPuff` are single shapes, whereas this model has a left and a right one; a name without
its side stands for both. ARKit's `tongueOut` has no counterpart in the model.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentface.errors import InputError, UsageError

Array = NDArray[np.float64]

ABSENT = "tongueOut"  # the one ARKit shape that the model lacks


def indices_of(names: Sequence[str], name: str) -> list[int]:
    """The indices of an ARKit name: one, or its left and right shape; UsageError for an unknown name."""
    found = [k for k, each in enumerate(names) if each in (name, f"{name}Left", f"{name}Right")]
    if name in names:  # jawLeft is itself, and "jaw" alone is no shape
        found = [names.index(name)]
    elif len(found) != 2 or name in ("jaw", "mouth"):
        raise UsageError(f"no expression shape {name!r}; expected one of {', '.join(names)}, or one without its side")
    return found


def changed(names: Sequence[str], weights: NDArray[np.floating], changes: Mapping[str, float], relative: bool) -> Array:
    """Weights [E] with some set, or with `relative` some added to, clipped to 0..1.

    Raises:
        UsageError: an unknown name, a value that is no finite number.
    """
    made = np.array(weights, np.float64)
    for name, value in changes.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not math.isfinite(value):
            raise UsageError(f"expression {name} is {value!r}; expected a finite number")
        for index in indices_of(names, name):
            made[index] = float(np.clip(made[index] + value if relative else value, 0.0, 1.0))
    return made


def parse_coefficients(text: str, names: Sequence[str]) -> dict[str, float]:
    """Coefficients from JSON: ``{"jawOpen": 0.3, ...}``, bare or under "coefficients" or "blendShapes".

    `tongueOut` is left out, since the model has no such shape.

    Raises:
        InputError: no JSON object of numbers from 0 to 1 by the names of shapes.
    """
    expected = 'expected a JSON object such as {"jawOpen": 0.3, "mouthSmileLeft": 0.5}'
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the coefficients are not JSON ({error}); {expected}") from None
    for key in ("coefficients", "blendShapes"):
        if isinstance(content, dict) and key in content:
            content = content[key]
    if not isinstance(content, dict):
        raise InputError(f"the coefficients are a JSON {type(content).__name__}; {expected}")
    made: dict[str, float] = {}
    for name, value in content.items():
        if name == ABSENT:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise InputError(f"coefficient {name[:50]} is {reprlib.repr(value)}; expected a number from 0 to 1")
        try:
            indices_of(names, name)
        except UsageError as error:
            raise InputError(str(error)) from None
        made[name] = float(value)
    return made
