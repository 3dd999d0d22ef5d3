"""Changes of a face over time: constant values by name, and values that change between keyframes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentface.errors import InputError, UsageError
from latentface.fields import smoothstep

SECONDS = "seconds"  # the key of the times in a file of curves


@dataclass(frozen=True)
class Keyframes:
    """Values of directions and controls over time, with the names of `FaceEditor.edit`.

    Attributes:
        constant: values that do not change.
        keys: increasing times in seconds, and the value at each. Between two of them the value eases from one to the
            other; before the first and after the last it is constant. A name may occur in only one of the two.

    Raises:
        UsageError: a name occurs in both, times do not increase, or numbers are not finite.
    """

    constant: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.constant.keys() & self.keys.keys():
            raise UsageError(f"{name} has both a value for the whole clip and values over time; leave one of them out")
        for name, keys in self.keys.items():
            times = np.array([time for time, _ in keys], np.float64)
            if not len(times) or not np.isfinite(np.array(keys)).all() or (np.diff(times) <= 0).any():
                raise UsageError(f"{name}: expected finite values at increasing times, got {list(keys)}")

    @property
    def names(self) -> tuple[str, ...]:
        """All names, without repetitions."""
        return (*self.constant, *self.keys)

    def at(self, seconds: float) -> dict[str, float]:
        """The value of every name at a time."""
        return dict(self.constant) | {name: _between(keys, seconds) for name, keys in self.keys.items()}

    def with_keys(self, seconds: float, values: Mapping[str, float]) -> Keyframes:
        """The same with values at one more time; an existing value at that time is replaced."""
        keys = {name: dict(given) for name, given in self.keys.items()}
        for name, value in values.items():
            keys.setdefault(name, {})[seconds] = value
        return Keyframes(self.constant, {name: tuple(sorted(given.items())) for name, given in keys.items()})

    def with_curves(self, path: str | os.PathLike[str]) -> Keyframes:
        """The same with curves from a JSON file: {"seconds": [0, 0.5, 1], "jawOpen": [0, 0.4, 0.1], ...}.

        Raises:
            InputError: the file cannot be read, or has other content.
        """
        times, curves = _read_curves(Path(path))
        return Keyframes(
            self.constant, {**self.keys, **{n: tuple(zip(times, v, strict=True)) for n, v in curves.items()}}
        )


def _between(keys: tuple[tuple[float, float], ...], seconds: float) -> float:
    times, values = np.array(keys, np.float64).T
    after = int(np.searchsorted(times, seconds, side="right"))
    if after in (0, len(times)):
        return float(values[min(after, len(times) - 1)])
    share = (seconds - times[after - 1]) / (times[after] - times[after - 1])
    eased = float(smoothstep(np.float32(share)))
    return float(values[after - 1] + eased * (values[after] - values[after - 1]))


def _read_curves(path: Path) -> tuple[list[float], dict[str, list[float]]]:
    form = '{"seconds": [0, 0.5], "jawOpen": [0, 0.4]}'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file ({error}); expected curves such as {form}") from None
    if not isinstance(content, dict) or SECONDS not in content or len(content) < 2:
        raise InputError(f"{path}: contains no curves; expected {form}")
    lists: dict[str, list[float]] = {}
    for name, values in content.items():
        numbers = isinstance(values, list) and all(
            isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in values
        )
        if not numbers or not values or len(values) != len(content[SECONDS]):
            raise InputError(f"{path}: {name} is not a list of finite numbers, one for each of seconds")
        lists[name] = [float(v) for v in values]
    times = lists.pop(SECONDS)
    if (np.diff(times) <= 0).any():
        raise InputError(f"{path}: the times under seconds do not increase")
    return times, lists
