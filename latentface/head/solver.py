"""Gauss-Newton fit of the morphable head to 68 landmarks, with priors and bounds.

The unknowns are identity a, expression e in [0, 1], rotation R, scale s and translation t of a scaled orthographic
camera. Minimised is half the sum of squares of

    A_i (s R (base + a . identity + e . expressions)_i + t - q_i)    for each landmark i,
    the same for the gaps between lips and between lids, weighted more,
    a, (e - mean) / deviation, left minus right, and products of opposed shapes,

plus a linear cost of e, which keeps what the landmarks do not show at its mean. Steps are damped (Levenberg-Marquardt);
expressions at a bound that they press against are left out of a step (projected Newton, Bertsekas 1982).
Everything is in inter-ocular distances of the landmarks, so that no weight depends on the photo's size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latentface.head.points import JAW, LID_PAIRS, LIP_PAIRS, FacePoints
from latentface.head.pose import small_rotation

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# Shapes that exclude each other; a name without its side stands for both sides.
OPPOSED = (
    ("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"), ("mouthSmile", "mouthFrown"), ("eyeWide", "eyeSquint"),
    ("eyeWide", "eyeBlink"), ("mouthPucker", "mouthStretch"), ("mouthPucker", "mouthSmile"),
    ("mouthPucker", "mouthDimple"), ("mouthFunnel", "mouthPress"), ("mouthFunnel", "mouthStretch"),
    ("mouthFunnel", "mouthRollLower"), ("mouthFunnel", "mouthRollUpper"), ("mouthRollLower", "mouthLowerDown"),
    ("mouthRollUpper", "mouthUpperUp"), ("mouthFunnel", "mouthSmile"), ("browDown", "browOuterUp"),
)  # fmt: skip
# Shapes that are rare, or that landmarks confuse with identity: factor of their prior deviation, by prefix of their
# names. Their linear cost is larger by the inverse factor.
RARE = {
    "jawForward": 0.35, "jawLeft": 0.5, "jawRight": 0.5, "mouthLeft": 0.5, "mouthRight": 0.5, "noseSneer": 0.6,
    "cheekPuff": 0.5, "mouthFunnel": 0.7, "mouthShrug": 0.7, "mouthRoll": 0.7, "mouthClose": 0.5,
}  # fmt: skip
MAX_EXPRESSION = 1.0


@dataclass(frozen=True)
class FitWeights:
    """Deviations of the landmarks and of the priors; landmarks in inter-ocular distances.

    inner: eyes, nose and mouth; brow; jaw_normal and jaw_along: the jaw line across and along itself; gap: the distance
    between lips or lids. identity: of the coefficients. symmetry: of a shape's left from its right; opposed: of the
    product of two opposed shapes; sparsity: linear cost of expressions; expression: of each where no reader says more.
    """

    inner: float = 0.02
    brow: float = 0.03
    jaw_normal: float = 0.05
    jaw_along: float = 0.15
    gap: float = 0.008
    identity: float = 1.0
    symmetry: float = 0.12
    opposed: float = 0.05
    sparsity: float = 1.0
    expression: float = 0.4


EXACT = FitWeights(inner=0.006, brow=0.006, jaw_normal=0.02, jaw_along=0.1, gap=0.004)


@dataclass(frozen=True, eq=False)
class ExpressionPrior:
    """The prior of the expression: means and deviations [E], both of which may be zero.

    A deviation of zero holds a shape at its mean. cost [E] is the linear cost of a shape.
    """

    mean: Array
    deviation: Array
    cost: Array


@dataclass(frozen=True, eq=False)
class State:
    """The unknowns of a fit, and the vertices [17] that the jaw points are on.

    The unknowns are identity [K], expression [E], rotation [3, 3], scale (inter-ocular distances a centimetre) and
    translation [2].
    """

    identity: Array
    expression: Array
    rotation: Array
    scale: float
    translation: Array
    jaw: Integers


@dataclass(frozen=True, eq=False)
class CameraPrior:
    """The prior of pose and camera: an expected state, and deviations from it.

    Attributes:
        state: what is expected.
        angle: standard deviation of the pose, in degrees.
        log_scale: standard deviation of the logarithm of the scale.
        shift: standard deviation of the translation, in inter-ocular distances.
    """

    state: State
    angle: float = 2.0
    log_scale: float = 0.02
    shift: float = 0.03

    def residual(self, state: State) -> Array:
        """Distance [6] of a state, in deviations: small rotation, scale, translation."""
        turn = state.rotation @ self.state.rotation.T
        vector = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        scale = np.log(state.scale / self.state.scale)
        moved = np.concatenate([vector, [scale], state.translation - self.state.translation])
        return np.asarray(moved / self.deviations)

    @property
    def deviations(self) -> Array:
        """Deviations [6] of the small rotation in radians, the logarithm of the scale, and the translation."""
        return np.array([np.radians(self.angle)] * 3 + [self.log_scale] + [self.shift] * 2)


class LandmarkFit:
    """The fit of one face: landmarks [68, 2] (y up, inter-ocular distances), priors, and the steps."""

    def __init__(
        self,
        points: FacePoints,
        names: tuple[str, ...],
        seen: Array,
        prior: ExpressionPrior,
        identity_prior: tuple[Array, float],
        weights: FitWeights,
        camera: CameraPrior | None = None,
    ) -> None:
        self.points, self.seen, self.prior, self.weights = points, seen, prior, weights
        self.identity_mean, self.identity_deviation = identity_prior
        self.camera = camera
        self._pairs = side_pairs(names)
        self._opposed = opposed_pairs(names)
        self._free = prior.deviation > 0
        self._differences = _difference_rows()

    def solve(self, start: State, steps: int = 14, tolerance: float = 1e-4) -> State:
        """The state after at most `steps` steps; it ends early when a step gains less than `tolerance` of the cost."""
        state, damping = start, 1e-3
        for step in range(steps):
            if step % 3 == 0 and step < 10:
                state = self.slide_jaw(state)
            whitening = self._whitening(self._normals(state))
            residual, jacobian = self._linearise(state, whitening)
            hessian, cost = jacobian.T @ jacobian, self._cost(state, residual)
            gain = 0.0
            for _ in range(6):
                candidate = self._advance(state, hessian.copy(), jacobian.T @ residual, damping)
                after = self._cost(candidate, self._residuals(candidate, whitening))
                gain = cost - after
                if gain >= 0:
                    state, damping = candidate, max(damping / 4, 1e-7)
                    break
                damping *= 8
            if gain < tolerance * cost and step > 3:
                break
        return state

    def shape(self, state: State) -> Array:
        """The 68 landmarks [68, 3] of a state in the head's frame, the jaw points where they have slid to."""
        p = self.points
        weights = np.concatenate([state.identity, state.expression])
        made: Array = p.base + (weights @ p.modes).reshape(-1, 3)
        rows = np.arange(JAW) * p.strips.shape[1] + state.jaw
        strips = p.strip_modes[:, rows].reshape(len(weights), -1)
        made[:JAW] = p.strip_base[rows] + (weights @ strips).reshape(-1, 3)
        return made

    def project(self, state: State) -> Array:
        """Landmarks [68, 2] of a state on the picture plane (y up)."""
        flat: Array = state.scale * self.shape(state) @ state.rotation[:2].T + state.translation
        return flat

    def slide_jaw(self, state: State) -> State:
        """The state with each jaw point on its strip, nearest to the landmark.

        A point may slide between the model's own point and the silhouette.
        """
        p, count = self.points, self.points.strips.shape[1]
        weights = np.concatenate([state.identity, state.expression])
        strip = p.strip_base + (weights @ p.strip_modes.reshape(len(weights), -1)).reshape(-1, 3)
        flat = (state.scale * strip @ state.rotation[:2].T + state.translation).reshape(JAW, count, 2)
        outward = p.outward @ state.rotation[:2].T
        edge = np.einsum("jcd,jd->jc", flat, outward).argmax(1)
        home = home_column(p)
        low, high = np.minimum(edge, home), np.maximum(edge, home)
        columns = np.arange(count)
        distance = np.linalg.norm(flat - self.seen[:JAW, None], axis=2)
        distance[(columns < low[:, None]) | (columns > high[:, None])] = np.inf
        return replace(state, jaw=distance.argmin(1))

    def _normals(self, state: State) -> Array:
        outward = self.points.outward @ state.rotation[:2].T
        unit: Array = outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
        return unit

    def _whitening(self, normal: Array) -> Array:
        """Weights A [68, 2, 2] of the landmarks."""
        w = self.weights
        made = np.zeros((68, 2, 2))
        along = np.stack([-normal[:, 1], normal[:, 0]], 1)
        made[:JAW, 0], made[:JAW, 1] = normal / w.jaw_normal, along / w.jaw_along
        made[17:27] = np.eye(2) / w.brow
        made[27:] = np.eye(2) / w.inner
        return made

    def _residuals(self, state: State, whitening: Array) -> Array:
        miss = self.project(state) - self.seen
        own = _whiten(whitening, miss).ravel()
        gaps = (self._differences @ miss).ravel() / self.weights.gap
        left, right = self._pairs
        e = state.expression
        first, second = self._opposed
        sides = (e[left] - e[right]) / self.weights.symmetry
        return np.concatenate([own, gaps, sides, e[first] * e[second] / self.weights.opposed])

    def _linearise(self, state: State, whitening: Array) -> tuple[Array, Array]:
        """Residuals [R] and their Jacobian [R, K + E + 6]."""
        p = self.points
        rows = np.arange(JAW) * p.strips.shape[1] + state.jaw
        modes = p.modes.reshape(len(p.modes), -1, 3).copy()
        modes[:, :JAW] = p.strip_modes[:, rows]
        count = len(modes)
        turned = self.shape(state) @ state.rotation.T
        flow = np.empty((count + 6, 68, 2))
        flow[:count] = (state.scale * modes.reshape(-1, 3) @ state.rotation[:2].T).reshape(count, 68, 2)
        x, y, z = turned.T
        zero, one = np.zeros(68), np.ones(68)
        # derivative of s (d x p) for a small rotation d, then of log s, then of t
        flow[count + 0] = state.scale * np.stack([zero, -z], 1)
        flow[count + 1] = state.scale * np.stack([z, zero], 1)
        flow[count + 2] = state.scale * np.stack([-y, x], 1)
        flow[count + 3] = state.scale * turned[:, :2]
        flow[count + 4] = np.stack([one, zero], 1)
        flow[count + 5] = np.stack([zero, one], 1)
        own = _whiten(whitening, flow).reshape(count + 6, -1)
        gaps = (self._differences @ flow).reshape(count + 6, -1) / self.weights.gap
        priors = self._prior_jacobian(state)
        return self._residuals(state, whitening), np.concatenate([own.T, gaps.T, priors])

    def _prior_jacobian(self, state: State) -> Array:
        k, count = len(state.identity), len(state.identity) + len(state.expression) + 6
        (left, right), (first, second) = self._pairs, self._opposed
        sides = np.zeros((len(left), count))
        rows = np.arange(len(left))
        sides[rows, k + left], sides[rows, k + right] = 1 / self.weights.symmetry, -1 / self.weights.symmetry
        products = np.zeros((len(first), count))
        rows = np.arange(len(first))
        products[rows, k + first] = state.expression[second] / self.weights.opposed
        products[rows, k + second] = state.expression[first] / self.weights.opposed
        return np.concatenate([sides, products])

    def _cost(self, state: State, residual: Array) -> float:
        away = (state.identity - self.identity_mean) / self.identity_deviation
        free = self._free
        shown = (state.expression[free] - self.prior.mean[free]) / self.prior.deviation[free]
        linear = float(self.prior.cost[free] @ state.expression[free])
        placed = np.zeros(0) if self.camera is None else self.camera.residual(state)
        return 0.5 * float(residual @ residual + away @ away + shown @ shown + placed @ placed) + linear

    def _advance(self, state: State, hessian: Array, gradient: Array, damping: float) -> State:
        """The state after one damped step, its expression within bounds; changes both arrays."""
        k, e = len(state.identity), len(state.expression)
        free, e_at = self._free, state.expression
        precision = np.full(k + e + 6, 0.0)
        precision[:k] = self.identity_deviation**-2
        spread = np.where(free, self.prior.deviation, 1.0)
        precision[k : k + e] = spread**-2
        gradient[:k] += (state.identity - self.identity_mean) * precision[:k]
        gradient[k : k + e] += (e_at - self.prior.mean) * precision[k : k + e] + self.prior.cost
        if self.camera is not None:
            deviations = self.camera.deviations
            precision[k + e :] = deviations**-2
            gradient[k + e :] += self.camera.residual(state) / deviations
        hessian[np.diag_indices(k + e + 6)] += precision
        hessian[np.diag_indices(k + e + 6)] *= 1 + damping
        pressed = ((e_at <= 0) & (gradient[k : k + e] > 0)) | ((e_at >= MAX_EXPRESSION) & (gradient[k : k + e] < 0))
        active = np.ones(k + e + 6, bool)
        active[k : k + e] = free & ~pressed
        step = np.zeros(k + e + 6)
        step[active] = -np.linalg.solve(hessian[np.ix_(active, active)], gradient[active])
        turn = step[k + e : k + e + 3]
        turn = turn * min(1.0, 0.4 / max(float(np.linalg.norm(turn)), 1e-9))
        return replace(
            state,
            identity=state.identity + step[:k],
            expression=np.where(free, np.clip(e_at + step[k : k + e], 0, MAX_EXPRESSION), e_at),
            rotation=small_rotation(turn) @ state.rotation,
            scale=state.scale * float(np.exp(np.clip(step[-3], -0.3, 0.3))),
            translation=state.translation + step[-2:],
        )


def _whiten(weights: Array, vectors: Array) -> Array:
    """Weights [68, 2, 2] times vectors [..., 68, 2]."""
    made: Array = weights[..., 0] * vectors[..., :1] + weights[..., 1] * vectors[..., 1:]
    return made


def rarity(names: tuple[str, ...]) -> Array:
    """Factor [E] of the prior deviation of each shape (see RARE)."""
    return np.array([next((part for stem, part in RARE.items() if n.startswith(stem)), 1.0) for n in names])


def home_column(points: FacePoints) -> Integers:
    """Where on its strip each jaw point is at rest, [17]."""
    count = points.strips.shape[1]
    strip = points.strip_base.reshape(JAW, count, 3)
    nearest: Integers = np.linalg.norm(strip - points.base[:JAW, None], axis=2).argmin(1)
    return nearest


@lru_cache(maxsize=8)
def side_pairs(names: tuple[str, ...]) -> tuple[Integers, Integers]:
    """Indices of the shapes of the left side and of the same ones of the right, gaze left out."""
    stems = [n.removesuffix("Left") for n in names if n.endswith("Left") and n.removesuffix("Left") + "Right" in names]
    stems = [n for n in stems if not n.startswith("eyeLook") and n not in ("jaw", "mouth")]
    left, right = ([names.index(stem + side) for stem in stems] for side in ("Left", "Right"))
    return np.array(left, np.int64), np.array(right, np.int64)


@lru_cache(maxsize=8)
def opposed_pairs(names: tuple[str, ...]) -> tuple[Integers, Integers]:
    """Indices of the shapes of OPPOSED that the model has, side by side."""
    pairs = []
    for first, second in OPPOSED:
        for side in ("Left", "Right"):
            a, b = (n if n in names else n + side for n in (first, second))
            if a in names and b in names and (a, b) not in pairs:
                pairs.append((a, b))
    first_index, second_index = (np.array([names.index(p[k]) for p in pairs], np.int64) for k in (0, 1))
    return first_index, second_index


def _difference_rows() -> Array:
    """Matrix [7, 68] that takes the gaps between lips and between lids."""
    pairs = (*LIP_PAIRS, *LID_PAIRS[0], *LID_PAIRS[1])
    rows = np.zeros((len(pairs), 68))
    for row, (upper, lower) in zip(rows, pairs, strict=True):
        row[upper], row[lower] = 1.0, -1.0
    return rows
