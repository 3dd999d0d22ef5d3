"""Fits the morphable head to a face, from landmarks, the pixels of the eyes and a reader network: a `HeadFit`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latentface.errors import InputError, UsageError
from latentface.head.fit import LARGEST_YAW, HeadFit
from latentface.head.gaze import Gaze, read_gaze
from latentface.head.model import HeadModel
from latentface.head.points import (
    LEFT_EYE,
    LID_PAIRS,
    LIP_PAIRS,
    RIGHT_EYE,
    Definition,
    FacePoints,
    face_points,
    inter_ocular,
)
from latentface.head.pose import pose_angles, rotation_matrix
from latentface.head.solver import (
    EXACT,
    CameraPrior,
    ExpressionPrior,
    FitWeights,
    LandmarkFit,
    State,
    home_column,
    rarity,
)

Array = NDArray[np.float64]

# Points that expressions hardly move, for the initial pose.
_RIGID = [27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45]
_FACE_MISS = 0.12  # inter-ocular distances: landmarks with a larger error are not those of a face
# Gaps in inter-ocular distances: below the first they are noise of closed lips or lids, above the second they are real.
_LIPS_SHUT, _LIDS_SHUT = (0.022, 0.045), (0.02, 0.05)
_LIP_REST, _LID_REST = 0.012, 0.008  # gaps of the model's own closed lips and lids
_FIRST, _FOLLOWED = 14, 6  # steps of the solver
CHANGE = FitWeights(inner=0.01, brow=0.012, gap=0.006, symmetry=0.08, expression=0.3)  # between two drawn faces
_SAME_PERSON = 0.15  # deviation of the identity from frame to frame
READ_SPARSITY = 0.5  # factor of the linear cost of shapes that a reader knows


@dataclass(frozen=True, eq=False)
class Reading:
    """The output of a reader network, before the landmarks are fitted.

    Attributes:
        expression: expected weights of the shapes, at most 1, [E]; below 0 for shapes that need clear evidence.
        deviation: the uncertainty of each, [E]; infinite for shapes that the reader does not predict, which keep their
            usual prior.
        gaze: where the eyes look, with a confidence.
    """

    expression: Array
    deviation: Array
    gaze: Gaze


def fit_head(
    model: HeadModel,
    landmarks: NDArray[np.floating],
    photo: NDArray[np.uint8] | None = None,
    *,
    reading: Reading | None = None,
    start: HeadFit | None = None,
    definition: Definition = "annotated",
    weights: FitWeights | None = None,
) -> HeadFit:
    """Fit the head to a face.

    Args:
        model: the head.
        landmarks: [68, 2] photo pixels, y down (`FaceCrop.landmarks`).
        photo: uint8 RGB [H, W, 3]; with it the gaze is read from the eyes. Without it the gaze is the reading's,
            else that of `start`, else straight ahead.
        reading: the output of a reader network, which determines what landmarks do not show.
        start: the fit of the previous frame of the same person; this is faster, and the identity hardly changes.
        definition: what the landmarks are; "mesh" for the model's own points on renders.
        weights: how far landmarks and priors are trusted; by default according to the definition.

    Raises:
        UsageError: landmarks of another shape, or a start from another model.
        InputError: the landmarks are not those of a face, or it is turned by more than 60 degrees.
    """
    fitter = _Fitter(model, landmarks, definition, weights or (EXACT if definition == "mesh" else FitWeights()))
    gaze = reading.gaze if reading is not None else None
    if gaze is None and start is not None:
        gaze = Gaze.of(model.expression_names, start.expression)
    first = fitter.first(start, reading)
    if start is not None and photo is not None and reading is None:
        gaze = fitter.read_eyes(first, photo)  # from frame to frame, the eyeballs only shift
    state = fitter.solve(first, fitter.prior(reading, gaze), start, _FIRST if start is None else _FOLLOWED)
    _check(state, fitter.miss(state))
    if photo is not None and (start is None or reading is not None):
        eyes = fitter.read_eyes(state, photo)
        gaze = eyes if reading is None else reading.gaze.joined(eyes)
        state = fitter.solve(state, fitter.prior(reading, gaze), start, _FOLLOWED)
    return fitter.result(state)


def changed_fit(
    model: HeadModel,
    before: HeadFit,
    landmarks_before: NDArray[np.floating],
    landmarks_after: NDArray[np.floating],
    expected: Reading | None = None,
) -> HeadFit:
    """The fit of another picture of the person of `before`, in the same frame.

    The identity is kept, and the residual of the first picture is subtracted from the landmarks of the second. Pose and
    expression have those of the first as prior (or `expected`), so that noise changes little.
    """
    length = inter_ocular(np.asarray(landmarks_before, np.float64))
    fitter = _Fitter(model, landmarks_after, before.definition, CHANGE, length)
    start = fitter.first(before, None)
    state = replace(start, jaw=fitter.jaw_columns(before))
    fitter.seen = fitter.seen - before.residual * (1, -1) / length
    free = ~fitter.gaze_shapes
    mean = before.expression.copy() if expected is None else expected.expression.copy()
    usual = CHANGE.expression * rarity(fitter.names)
    if expected is not None:
        usual = np.minimum(expected.deviation, usual)
    deviation = np.where(free, usual, 0.0)
    prior = ExpressionPrior(mean, deviation, np.zeros(len(mean)))
    state = replace(state, expression=np.where(free, state.expression, mean))
    held = (before.identity, 1e-3)
    fit = LandmarkFit(fitter.points, fitter.names, fitter.seen, prior, held, CHANGE, CameraPrior(start))
    return fitter.result(fit.solve(state, _FIRST))


class _Fitter:
    """The fit of one face; internally, lengths are in inter-ocular distances and y is up."""

    def __init__(
        self,
        model: HeadModel,
        landmarks: NDArray[np.floating],
        definition: Definition,
        weights: FitWeights,
        length: float | None = None,
    ) -> None:
        self.model, self.definition, self.weights = model, definition, weights
        self.points: FacePoints = face_points(model, definition)
        given = np.asarray(landmarks, np.float64)
        if given.shape != (68, 2):
            raise UsageError(f"landmarks: expected shape (68, 2), got {given.shape}")
        self.length = inter_ocular(given) if length is None else length
        if not np.isfinite(given).all() or self.length < 1e-3 * np.ptp(given, 0).max() or self.length <= 0:
            raise InputError("the landmarks span no face; give those of one face, in photo pixels")
        self.middle = given[17:].mean(0)
        self.seen = shut_gaps((given - self.middle) * (1, -1) / self.length)
        self.names = model.expression_names
        self.gaze_shapes = np.array([name.startswith("eyeLook") for name in self.names])

    def prior(self, reading: Reading | None, gaze: Gaze | None) -> ExpressionPrior:
        """The expression's prior, with the gaze held where it was read."""
        count = len(self.names)
        usual = rarity(self.names)
        mean, deviation, cost = np.zeros(count), self.weights.expression * usual, self.weights.sparsity / usual
        if reading is not None:
            told = np.isfinite(reading.deviation)
            mean, deviation = np.where(told, reading.expression, mean), np.where(told, reading.deviation, deviation)
            cost = np.where(told, READ_SPARSITY * cost, cost)
        looks = np.zeros(count) if gaze is None else min(1.0, 2 * gaze.confidence) * gaze.weights(self.names)
        mean[self.gaze_shapes], deviation[self.gaze_shapes] = looks[self.gaze_shapes], 0.0
        return ExpressionPrior(mean, deviation, cost)

    def first(self, start: HeadFit | None, reading: Reading | None) -> State:
        """The initial state: that of the previous frame, or the pose by the points that expressions hardly move."""
        if start is not None:
            if start.expression_names != self.names or len(start.identity) != len(self.points.identity):
                raise UsageError("the fit to start from is another model's; start from one of this model")
            jaw = home_column(self.points)
            shift = (start.translation - self.middle) * (1, -1) / self.length
            rotation = rotation_matrix(*start.pose)
            return State(start.identity, start.expression, rotation, start.scale / self.length, shift, jaw)
        face, seen = self.points.base[_RIGID], self.seen[_RIGID]
        plane, *_ = np.linalg.lstsq(face - face.mean(0), seen - seen.mean(0), rcond=None)  # seen = face @ plane
        left, _, right = np.linalg.svd(plane, full_matrices=False)
        one, two = (left @ right).T
        rotation = np.stack([one, two, np.cross(one, two)])
        scale = float(np.linalg.norm(plane) / np.sqrt(2))
        shift = seen.mean(0) - scale * face.mean(0) @ rotation[:2].T
        expression = np.full(len(self.names), 0.05)
        if reading is not None:
            expression = np.where(np.isfinite(reading.deviation), np.clip(reading.expression, 0, 1), expression)
        return State(np.zeros(len(self.points.identity)), expression, rotation, scale, shift, home_column(self.points))

    def jaw_columns(self, fit: HeadFit) -> NDArray[np.int64]:
        """Where on their strips a fit has the jaw points, [17]."""
        columns: NDArray[np.int64] = (self.points.strips == fit.jaw[:, None]).argmax(1)
        return columns

    def solve(self, state: State, prior: ExpressionPrior, start: HeadFit | None, steps: int) -> State:
        state = replace(state, expression=np.where(prior.deviation > 0, state.expression, prior.mean))
        person = (np.zeros(len(state.identity)), self.weights.identity)
        if start is not None:
            person = (start.identity, _SAME_PERSON)
        fit = LandmarkFit(self.points, self.names, self.seen, prior, person, self.weights)
        return fit.solve(state, steps)

    def model_points(self, state: State) -> Array:
        """The landmarks [68, 2] that a state of the model gives."""
        prior = ExpressionPrior(state.expression, np.zeros(len(self.names)), np.zeros(len(self.names)))
        person = (np.zeros(len(state.identity)), 1.0)
        return LandmarkFit(self.points, self.names, self.seen, prior, person, self.weights).project(state)

    def miss(self, state: State) -> Array:
        """Distances [68] between model and landmarks."""
        return np.asarray(np.linalg.norm(self.model_points(state) - self.seen, axis=1))

    def read_eyes(self, state: State, photo: NDArray[np.uint8]) -> Gaze:
        """The gaze from the eyes' pixels."""
        lids = np.stack([self.seen[LEFT_EYE], self.seen[RIGHT_EYE]])
        missed = self.seen - self.model_points(state)
        balls = self.points.balls + np.tensordot(state.identity, self.points.ball_identity, 1)
        centres = state.scale * balls @ state.rotation[:2].T + state.translation
        centres = centres + np.stack([missed[LEFT_EYE].mean(0), missed[RIGHT_EYE].mean(0)])
        return read_gaze(photo, self._photo(lids), self._photo(centres), state.rotation, state.scale * self.length)

    def result(self, state: State) -> HeadFit:
        """The state as a value in photo pixels."""
        missed = (self.seen - self.model_points(state)) / state.scale
        yaw, pitch, roll = pose_angles(state.rotation)
        rows = np.arange(len(state.jaw))
        return HeadFit(
            expression_names=self.names,
            identity=state.identity,
            expression=state.expression,
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            scale=state.scale * self.length,
            translation=self._photo(state.translation),
            missing=missed @ state.rotation[:2],
            jaw=self.points.strips[rows, state.jaw],
            definition=self.definition,
            confidence=confidence(self.miss(state), state.identity, yaw),
        )

    def _photo(self, points: Array) -> Array:
        placed: Array = points * (1, -1) * self.length + self.middle
        return placed


def confidence(miss: Array, identity: Array, yaw: float) -> float:
    """The confidence in a fit, 0..1.

    It falls with the distances [68] between model and landmarks, in inter-ocular distances, with how unusual the
    identity is, and with the yaw in degrees.
    """
    inner = float(np.sqrt((miss[17:] ** 2).mean()))
    usual = float(np.exp(-0.5 * max(0.0, float((identity**2).mean()) - 1.0)))
    turned = float(np.clip((75.0 - abs(yaw)) / 40.0, 0, 1))
    return float(np.exp(-0.5 * (inner / 0.04) ** 2)) * usual * turned


def shut_gaps(points: Array) -> Array:
    """Landmarks [68, 2] in inter-ocular distances, with nearly closed lips and lids closed completely.

    Predictors leave a gap of a few per cent between closed lips; a mesh that follows it shows a slit.
    """
    made: Array = points.copy()
    groups = ((LIP_PAIRS, _LIPS_SHUT, _LIP_REST), *((pairs, _LIDS_SHUT, _LID_REST) for pairs in LID_PAIRS))
    for pairs, (shut, open_), rest in groups:
        upper, lower = (list(row) for row in zip(*pairs, strict=True))
        gap = made[upper] - made[lower]
        size = float(np.linalg.norm(gap, axis=1).mean())
        if size >= open_ or size <= 0:
            continue
        wanted = rest + (open_ - rest) * float(np.clip((size - shut) / (open_ - shut), 0, 1))
        middle = (made[upper] + made[lower]) / 2
        # all pairs the same way, along the mean gap across the line of the lips or lids
        along = made[upper[-1]] - made[upper[0]]
        across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-9)
        across = across if across[1] >= 0 else -across
        made[upper] = middle + 0.5 * wanted * across
        made[lower] = middle - 0.5 * wanted * across
    return made


def _check(state: State, miss: Array) -> None:
    """Raise InputError for landmarks that are not a face, or that are turned too far."""
    yaw, pitch, _ = pose_angles(state.rotation)
    if state.rotation[2, 2] <= 0 or float(miss[17:].mean()) > _FACE_MISS:
        raise InputError("the landmarks are not laid out as on a face; give a photo where the whole face can be seen")
    if abs(yaw) > LARGEST_YAW or abs(pitch) > LARGEST_YAW:
        raise InputError(
            f"the face is turned by {max(abs(yaw), abs(pitch)):.0f} degrees; a head can be fitted to "
            f"{LARGEST_YAW:.0f} at most: give a photo that looks more towards the camera"
        )
