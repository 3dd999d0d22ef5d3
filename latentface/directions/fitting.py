"""Directions from labelled latents, by logistic regression in W+.

Zhang (2020) and InterFaceGAN (Shen et al. 2020, eq. 3) move along the normal of the plane that separates two classes.
The normal is optimised to separate the classes, and so it also points away from everything else that varies. The way in
which the faces of a class differ is the pattern, covariance @ normal (Haufe et al. 2014, eq. 6), which is the default
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from latentface.arrays import Float64Array
from latentface.directions.scaling import scaled, w_samples, without
from latentface.errors import InputError, UsageError
from latentface.latents.latent import Direction
from latentface.latents.rows import parse_rows
from latentface.networks.generator import Generator
from latentface.options.projection import DirectionOptions

_FLOOR = 1e-3  # share of the largest variance: an axis along which latents hardly vary carries no information
_NOTHING = 1e-7  # share of the largest variance: anything below is rounding error
_RIDGE = 10.0  # of the regression on the conditions, which are standardised


def fit(
    ws: torch.Tensor,
    labels: Sequence[str],
    generator: Generator,
    options: DirectionOptions | None = None,
    *,
    against: str | None = None,
    conditions: NDArray[np.floating] | None = None,
    orthogonal_to: Sequence[Direction] = (),
) -> list[Direction]:
    """One direction for each class of labelled latents, scaled to the generator's own w (see `scaled`).

    Args:
        ws: [N, num_ws, w_dim].
        labels: the class of each.
        generator: the network of the latents.
        options: how; by default `DirectionOptions()`.
        against: the class to separate the others from, such as "neutral"; by default each is separated from all others.
        conditions: [N, K], attributes that the directions should not change (pose, age, ...): the part of the latents
            that a linear regression on them predicts is removed first.
        orthogonal_to: directions whose components are removed from the results.

    Returns:
        Directions named after their classes, sorted, with the held-out accuracy in their metadata.

    Raises:
        InputError: there is only one class, or a class has fewer samples than there are folds.
        UsageError: shapes that do not match, an unknown class, or rows that the network does not have.
    """
    options = options or DirectionOptions()
    config = generator.config
    names = np.asarray(labels)
    if ws.shape != (len(names), config.num_ws, config.w_dim):
        expected = f"[{len(names)}, {config.num_ws}, {config.w_dim}]"
        raise UsageError(f"latents of shape {list(ws.shape)}: expected {expected} for {len(names)} labels")
    held = np.zeros((len(names), 0)) if conditions is None else np.asarray(conditions, np.float64)
    if held.ndim != 2 or len(held) != len(names):
        raise UsageError(f"conditions of shape {list(held.shape)}: expected [{len(names)}, K]")
    classes = _classes(names, against, options.folds)
    rows = range(config.num_ws) if options.layers == "all" else parse_rows(options.layers, config.num_ws)
    if not rows:
        raise UsageError("layers '': expected all, or rows such as 0-7")
    part = _balanced(names, options) if options.balance == "sample" else np.arange(len(names))
    codes, names, held = ws.detach().cpu().double().numpy()[part], names[part], held[part]
    values = {name: np.zeros(ws.shape[1:]) for name in classes}
    accuracy: dict[str, list[float]] = {name: [] for name in classes}
    for block in [[row] for row in rows] if options.per_layer else [list(rows)]:
        x = codes[:, block].reshape(len(codes), -1)
        axes = _axes(x)
        data = _Data((x - x.mean(0)) @ axes, names, held, against)
        for name in classes:
            step, score = _learn(data, name, options)
            values[name][block] = (axes @ step).reshape(len(block), -1)
            accuracy[name].append(score)
    spread, found = w_samples(generator), []
    for name in classes:
        facts = _facts(accuracy[name], int((names == name).sum()), against, options)
        direction = Direction(torch.from_numpy(values[name]), generator.fingerprint, name, facts)
        found.append(scaled(without(direction, orthogonal_to), spread))
    return found


def extremes(
    scores: NDArray[np.floating], fraction: float, conditions: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.intp], list[str]]:
    """Which of N scores [N] are among the top and the bottom fraction (0 ... 0.5), and "high" or "low" for each.

    Where the two overlap because most scores are equal (a blink is rare), only scores above that value are high. With
    conditions [N, K] the prediction of a linear regression on them is first subtracted from the scores.
    Raises InputError if all scores are equal.
    """
    if conditions is not None:
        mean, scale = _scale(conditions)
        k, centred = (conditions - mean) / scale, scores - scores.mean()
        scores = centred - k @ _explained(k, centred)
    bottom, top = np.quantile(scores, (fraction, 1 - fraction))
    low = np.flatnonzero(scores <= bottom)
    high = np.flatnonzero(scores >= top if top > bottom else scores > bottom)
    if len(high) == 0:
        raise InputError(f"{len(scores)} scores that are all the same: expected some that differ")
    return np.concatenate([low, high]), ["low"] * len(low) + ["high"] * len(high)


@dataclass(frozen=True, eq=False)
class _Data:
    """Latents [N, P] on their axes, their classes, conditions [N, K], and the reference class."""

    x: Float64Array
    names: NDArray[np.str_]
    conditions: Float64Array
    against: str | None

    def of(self, name: str, multinomial: bool) -> tuple[NDArray[np.intp], NDArray[np.str_]]:
        """The samples used for a class, and their labels in that two-class problem."""
        part = np.arange(len(self.names))
        if multinomial:
            return part, self.names
        if self.against is not None:
            part = np.flatnonzero((self.names == name) | (self.names == self.against))
        return part, np.where(self.names[part] == name, name, self.against or "")


def _facts(accuracy: Sequence[float], samples: int, against: str | None, options: DirectionOptions) -> dict[str, str]:
    """Metadata that say how a direction was learned."""
    return {
        "accuracy": ", ".join(f"{share:.3f}" for share in accuracy), "folds": str(options.folds),
        "method": options.method, "samples": str(samples), "against": against or "the rest", "layers": options.layers,
    }  # fmt: skip


def _classes(names: NDArray[np.str_], against: str | None, folds: int) -> list[str]:
    """The classes to find directions for; at least two with enough samples are required."""
    known, counts = np.unique(names, return_counts=True)
    if len(known) < 2:
        only = f"only the class {str(known[0])!r}" if len(known) else "no class"
        raise InputError(f"there is {only}; add samples of another")
    few = [f"{name} has {count}" for name, count in zip(known, counts, strict=True) if count < folds]
    if few:
        raise InputError(f"fewer samples than the {folds} folds: {', '.join(few)}; add samples, or lower folds")
    if against is not None and against not in known:
        raise UsageError(f"no class {against!r} to separate the others from; there are {', '.join(known)}")
    return [str(name) for name in known if name != against]


def _balanced(names: NDArray[np.str_], options: DirectionOptions) -> NDArray[np.intp]:
    """As many samples of every class as the smallest class has, chosen by the seed."""
    random = np.random.default_rng(options.seed)
    known, counts = np.unique(names, return_counts=True)
    parts = [random.permutation(np.flatnonzero(names == name))[: counts.min()] for name in known]
    return np.sort(np.concatenate(parts))


def _axes(x: Float64Array) -> Float64Array:
    """Orthonormal axes [P, k] along which samples [N, P] vary at all, by the smaller of the two Gram matrices."""
    centred = x - x.mean(0)
    narrow = x.shape[1] <= len(x)
    squares, vectors = np.linalg.eigh(centred.T @ centred if narrow else centred @ centred.T)
    used = squares > _NOTHING * max(squares.max(), 1e-12)
    if not used.any():
        raise InputError(f"{len(x)} latents that are all the same: nothing can be learned from them")
    if narrow:
        return np.asarray(vectors[:, used])
    return np.asarray(centred.T @ vectors[:, used] / np.sqrt(squares[used]))


def _scale(conditions: NDArray[np.floating]) -> tuple[Float64Array, Float64Array]:
    """Mean and standard deviation of each condition [K]; infinity if it does not vary and so explains nothing."""
    mean, deviation = conditions.mean(0), conditions.std(0)
    return np.asarray(mean, np.float64), np.where(deviation > 1e-9, deviation, np.inf)


def _explained(k: Float64Array, y: Float64Array) -> Float64Array:
    """Ridge regression of centred y [N, ...] on standardised conditions [N, K]: [K, ...]."""
    answer: Float64Array = np.linalg.solve(k.T @ k + _RIDGE * np.eye(k.shape[1]), k.T @ y)
    return answer


def _learn(data: _Data, name: str, options: DirectionOptions) -> tuple[Float64Array, float]:
    """The step [P] towards a class, and the held-out accuracy, averaged over the folds."""
    part, called = data.of(name, options.multinomial)
    x, held = data.x[part], data.conditions[part]
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=options.seed)
    right = []
    for train, test in folds.split(x, called):
        model = _Model.of(x[train], called[train], held[train], options)
        right.append(np.mean(model.predict(x[test], held[test]) == called[test]))
    model = _Model.of(x, called, held, options)
    return model.step(name, data.against, options.method), float(np.mean(right))


@dataclass(frozen=True, eq=False)
class _Model:
    """A logistic regression on whitened latents [n, P], from which the effect of the conditions has been removed.

    Attributes:
        mean: of the latents [P]. held_mean, held_scale: of the conditions [K]; nuisance: their regression on the
            latents [K, P].
        axes: principal ones of the rest [P, k]. variances: along them [k]; softened: those with the floor added.
        classifier: on the k whitened coordinates.
    """

    mean: Float64Array
    held_mean: Float64Array
    held_scale: Float64Array
    nuisance: Float64Array
    axes: Float64Array
    variances: Float64Array
    softened: Float64Array
    classifier: LogisticRegression

    @classmethod
    def of(cls, x: Float64Array, called: NDArray[np.str_], held: Float64Array, options: DirectionOptions) -> _Model:
        """Learned from samples."""
        mean, (held_mean, scale) = x.mean(0), _scale(held)
        k = (held - held_mean) / scale
        nuisance = _explained(k, x - mean)
        rest = x - mean - k @ nuisance
        variances, axes = np.linalg.eigh(rest.T @ rest / len(rest))
        softened = variances + _FLOOR * variances.max()
        weights = "balanced" if options.balance == "weights" else None
        classifier = LogisticRegression(C=options.regularise, class_weight=weights, max_iter=2000)
        classifier.fit(rest @ axes / np.sqrt(softened), called)
        return cls(mean, held_mean, scale, nuisance, axes, variances, softened, classifier)

    def predict(self, x: Float64Array, held: Float64Array) -> NDArray[np.str_]:
        """The class of each sample."""
        rest = x - self.mean - (held - self.held_mean) / self.held_scale @ self.nuisance
        answers: NDArray[np.str_] = self.classifier.predict(rest @ self.axes / np.sqrt(self.softened))
        return answers

    def step(self, name: str, against: str | None, method: str) -> Float64Array:
        """The normal, or the pattern, of a class: [P]."""
        normal = self._weights(name, against) / np.sqrt(self.softened)  # of the coordinates before whitening
        step: Float64Array = self.axes @ (normal * self.variances if method == "pattern" else normal)
        return step

    def _weights(self, name: str, against: str | None) -> Float64Array:
        names = [str(known) for known in self.classifier.classes_]
        weights, at = np.asarray(self.classifier.coef_), names.index(name)
        if len(weights) == 1:  # two classes: the weights of the second
            return np.asarray(weights[0] if at == 1 else -weights[0])
        others = [names.index(against)] if against in names else [k for k in range(len(names)) if k != at]
        return np.asarray(weights[at] - weights[others].mean(0))
