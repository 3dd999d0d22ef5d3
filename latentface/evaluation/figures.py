"""Figures with the interval that chance leaves them, and reports of many."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

ROUNDS = 200  # of resampling, for means
HALVES = 20  # random halves, for measures of sets
LEVEL = 0.95


@dataclass(frozen=True)
class Figure:
    """A measured number.

    Attributes:
        value: the number; not a number where nothing could be measured.
        low: lower end of its interval of 95 %.
        high: the upper end.
        count: of what it was measured on: pairs, frames, or pictures of the smaller set.
    """

    value: float
    low: float
    high: float
    count: int


def mean_figure(values: Sequence[float], seed: int = 0) -> Figure:
    """The mean of numbers, with a percentile bootstrap interval (Efron 1979); what is not a number is left out."""
    known = np.array([value for value in values if not math.isnan(value)], np.float64)
    if not len(known):
        return Figure(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if len(known) == 1 or not np.isfinite(known).all():
        return Figure(mean, math.nan, math.nan, len(known))
    chosen = np.random.default_rng(seed).integers(len(known), size=(ROUNDS, len(known)))
    low, high = np.quantile(known[chosen].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(mean, float(low), float(high), len(known))


def set_figure(statistic: Callable[[Tensor, Tensor], float], a: Tensor, b: Tensor, seed: int = 0) -> Figure:
    """A measure of two sets of features, with an interval from random halves of both.

    Halves are drawn without replacement, since doubles, which a bootstrap makes, bias these measures; the deviation of
    a half's mean from the whole is that of the whole from the truth (Politis, Romano and Wolf 1999, chapter 2).

    Args:
        statistic: the measure.
        a: features [n, D].
        b: features [m, D].
        seed: of the halves.
    """
    value, count = statistic(a, b), min(len(a), len(b))
    if count < 8:
        return Figure(value, math.nan, math.nan, count)
    random = torch.Generator().manual_seed(seed)

    def half(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=random)[: len(features) // 2]]

    halves = np.array([statistic(half(a), half(b)) for _ in range(HALVES)])
    margin = 1.96 * float(halves.std(ddof=1))
    return Figure(value, value - margin, value + margin, count)


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        kind: pair, pairs, clips, clip or sets.
        figures: by the measure's name.
        judges: the networks that measured, by role, with the checksums of their files.
        rows: what each pair or frame has, by its name.
        notes: what should be known about the figures.
    """

    kind: str
    figures: Mapping[str, Figure]
    judges: Mapping[str, str]
    rows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def table(self) -> str:
        """The figures as text, a line each."""
        lines = []
        for name, figure in self.figures.items():
            between = "" if math.isnan(figure.low) else f"  [{figure.low:.4g}, {figure.high:.4g}]"
            lines.append(f"{name:<12} {figure.value:>10.4g}{between:<26} n = {figure.count}".rstrip())
        return "\n".join(lines)

    def to_csv(self) -> str:
        """The rows as a table with a head line: the name of each, and its measures."""
        stream = io.StringIO()
        names = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", *names])
        for name, row in self.rows.items():
            writer.writerow([name, *(row.get(measure, math.nan) for measure in names)])
        return stream.getvalue()
