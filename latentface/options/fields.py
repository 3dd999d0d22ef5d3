"""Fields of option dataclasses: with help, bounds, choices and the modes in which they have an effect."""

from __future__ import annotations

import math
from dataclasses import field, fields
from typing import Any

from latentface.errors import UsageError
from latentface.modes import Condition, Either, check_modes


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    applies_to: tuple[Condition | Either, ...] = (),
) -> Any:
    """A dataclass field with its default, its help sentence, its inclusive bounds or choices, and its modes."""
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "applies_to": applies_to}
    return field(default=default, metadata=metadata)


def precision_option(what: str, exact: str, applies_to: tuple[Condition | Either, ...] = ()) -> Any:
    """A field for the precision of convolutions; `exact` is the sentence about what is never done in bfloat16."""
    text = f"{what}: float32, bfloat16 (faster and less exact), or auto for bfloat16 where the processor supports it."
    return option("auto", f"{text} {exact}", choices=("auto", "float32", "bfloat16"), applies_to=applies_to)


def parts_option(applies_to: tuple[Condition | Either, ...]) -> Any:
    """A field that names the parts of the face that change, as `head.control_names.parse_parts` reads them."""
    parts = "lips, eyes, brows, pose and expression (all but pose)"
    text = f"Change only these parts of the face: a list of {parts}, such as lips,eyes."
    return option("", text, applies_to=applies_to)


def check(options: Any) -> None:
    """Raise UsageError if a field is out of bounds, or has no effect in the mode chosen by the others."""
    check_bounds(options)
    check_modes(options)


def check_bounds(options: Any) -> None:
    """Raise UsageError if a field of an options dataclass lies outside the bounds or choices in its metadata."""
    for spec in fields(options):
        value = getattr(options, spec.name)
        choices = spec.metadata.get("choices")
        if choices is not None and value not in choices:
            raise UsageError(f"{spec.name} is {value!r}; expected one of {', '.join(choices)}")
        minimum, maximum = spec.metadata.get("minimum"), spec.metadata.get("maximum")
        if value is None or (minimum is None and maximum is None):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{spec.name} is {value}; expected a finite number")
        if minimum is not None and value < minimum:
            raise UsageError(f"{spec.name} is {value}; expected {minimum:g} or more")
        if maximum is not None and value > maximum:
            raise UsageError(f"{spec.name} is {value}; expected {maximum:g} or less")
