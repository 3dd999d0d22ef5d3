"""The morphable head fitted to a face in a photo: a value whose expression and pose can be changed and projected."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentface.errors import InputError, UsageError
from latentface.faces.crop import map_points
from latentface.head import coefficients as named
from latentface.head.light import fit_light
from latentface.head.model import HeadModel
from latentface.head.points import Definition, face_points
from latentface.head.pose import rotation_matrix
from latentface.head.residual import spread_displacement

Array = NDArray[np.float64]

FORMAT = "latentface-head-fit-1"
NECK_JOINT = np.array([0.0, -2.0, 1.0])  # centimetres: about where skull and spine meet; a turn leaves it in place
LARGEST_YAW = 60.0  # degrees to which a head can be fitted
#: Largest turn of a photo's head, in degrees of yaw, pitch and roll: newly visible parts are missing in the photo.
MOST_TURN = (20.0, 15.0, 15.0)


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A head in a photo.

    Attributes:
        expression_names: ARKit names of the shapes, [E].
        identity: coefficients of the identity modes in standard deviations, [K].
        expression: weights of the shapes, 0..1, [E].
        yaw, pitch, roll: degrees; positive yaw turns the face to its left (the viewer's right), positive pitch looks
            down, positive roll tilts it to its left shoulder.
        scale: photo pixels a centimetre, under scaled orthographic projection.
        translation: photo pixels [2] at which the model's origin appears.
        missing: remaining error of the model at the 68 landmarks, in centimetres in the head's frame, [68, 3].
        jaw: the vertices of the landmarks on the jaw line, [17].
        definition: the points of the model that the landmarks stand for (see `head.points`).
        light: spherical harmonics of the light on the skin, [9, 3] (see `head.light`), or None before `with_light`.
        confidence: confidence in the fit, from 0 to 1.
    """

    expression_names: tuple[str, ...]
    identity: Array
    expression: Array
    yaw: float
    pitch: float
    roll: float
    scale: float
    translation: Array
    missing: Array
    jaw: NDArray[np.int64]
    definition: Definition = "annotated"
    light: Array | None = None
    confidence: float = 1.0

    @property
    def pose(self) -> tuple[float, float, float]:
        """Yaw, pitch and roll in degrees."""
        return self.yaw, self.pitch, self.roll

    @property
    def rotation(self) -> Array:
        """The head's rotation [3, 3]: x to the viewer's right, y up, z towards the viewer."""
        return rotation_matrix(*self.pose)

    @property
    def residual(self) -> Array:
        """Remaining error of the model at the 68 landmarks in photo pixels, y down, [68, 2]."""
        flat: Array = self.scale * self.missing @ self.rotation[:2].T * (1, -1)
        return flat

    def coefficients(self) -> dict[str, float]:
        """The expression by ARKit names, `browInnerUp` and `cheekPuff` by side."""
        return dict(zip(self.expression_names, self.expression.tolist(), strict=True))

    def with_expression(
        self, changes: Mapping[str, float] | None = None, *, relative: bool = False, **named_changes: float
    ) -> HeadFit:
        """The same head with other expression weights, set or, with `relative`, added; clipped to 0..1.

        Args:
            changes: weights by ARKit name; a name without its side means both sides.
            relative: add to the weights instead of setting them.
            **named_changes: further changes, as keywords.

        Raises:
            UsageError: an unknown name, or a value that is not a finite number.
        """
        wanted = {**(changes or {}), **named_changes}
        made = named.changed(self.expression_names, self.expression, wanted, relative)
        return replace(self, expression=made)

    def with_pose(
        self, yaw: float | None = None, pitch: float | None = None, roll: float | None = None, *, relative: bool = False
    ) -> HeadFit:
        """The same head turned about its neck joint: angles in degrees, set or, with `relative`, added."""
        new = list(self.pose)
        for axis, given in enumerate((yaw, pitch, roll)):
            if given is not None:
                new[axis] = given + (self.pose[axis] if relative else 0.0)
        if not np.isfinite(new).all():
            raise UsageError(f"the pose is {new}; expected finite degrees")
        turned = self._translation(rotation_matrix(*new))
        return replace(self, yaw=new[0], pitch=new[1], roll=new[2], translation=turned)

    def mapped(self, matrix: NDArray[np.floating]) -> HeadFit:
        """The same head in another picture, for example from a crop to its photo with `FaceCrop.to_photo`.

        Args:
            matrix: the map of points (x, y, 1), [3, 3]: a rotation, a scale and a shift. The light is dropped.

        Raises:
            UsageError: the matrix is not of this form, for example if it mirrors.
        """
        x, y = np.asarray(matrix, np.float64)[:2, :2].T
        length = float(np.linalg.norm(x))
        if not length > 0 or np.linalg.norm(y - (-x[1], x[0])) > 1e-3 * length:
            raise UsageError(f"a head can be turned, scaled and shifted from picture to picture; the map is {matrix}")
        return replace(
            self,
            roll=self.roll + float(np.degrees(np.arctan2(x[1], x[0]))),
            scale=self.scale * length,
            translation=map_points(matrix, self.translation),
            light=None,
        )

    def with_light(self, model: HeadModel, photo: NDArray[np.uint8]) -> HeadFit:
        """The same head with the light estimated from the pixels of the skin; photo is uint8 RGB [H, W, 3]."""
        return replace(self, light=fit_light(model, self.project(model), photo))

    def displacement(self, model: HeadModel) -> Array:
        """The remaining error as displacements of all vertices in the head's frame, [V, 3] centimetres.

        It does not depend on expression or pose, so compute it once for many projections.
        """
        return spread_displacement(model, self.definition, self.jaw, self.missing)

    def project(
        self,
        model: HeadModel,
        expression: NDArray[np.floating] | None = None,
        pose: tuple[float, float, float] | None = None,
        displacement: Array | None = None,
    ) -> Array:
        """Vertices in photo pixels, [V, 3]: x to the right, y down, z towards the viewer.

        Without a change, the landmarks coincide exactly with the person's own; the remaining error moves along with the
        head.

        Args:
            model: the model that was fitted.
            expression: weights [E] instead of the fitted ones.
            pose: yaw, pitch and roll in degrees instead of the fitted ones.
            displacement: the result of `displacement`, to avoid computing it again.

        Raises:
            UsageError: the model has different shapes from the one that was fitted.
        """
        if model.expression_names != self.expression_names:
            raise UsageError("the head was fitted with another model's shapes; project it with that model")
        weights = self.expression if expression is None else expression
        rotation, translation = self.rotation, self.translation
        moved = self.displacement(model) if displacement is None else displacement
        if pose is not None:
            rotation = rotation_matrix(*pose)
            translation = self._translation(rotation)
        head = model.vertices(self.identity, weights).astype(np.float64) + moved
        placed: Array = self.scale * head @ rotation.T * (1.0, -1.0, 1.0)
        placed[:, :2] += translation
        return placed

    def landmarks(self, model: HeadModel, vertices: Array | None = None) -> Array:
        """The 68 landmarks [68, 2] in photo pixels, of projected vertices [V, 3] or of this head."""
        placed = self.project(model) if vertices is None else vertices
        points = face_points(model, self.definition)
        made: Array = np.einsum("lwd,lw->ld", placed[points.vertices, :2], points.weights)
        made[: len(self.jaw)] = placed[self.jaw, :2]
        return made

    def to_json(self) -> str:
        """Everything except the light, as one line of JSON; "coefficients" contains the expression by ARKit names."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "coefficients": {name: round(value, 4) for name, value in self.coefficients().items()},
            "pose": {"yaw": self.yaw, "pitch": self.pitch, "roll": self.roll},
            "identity": self.identity.tolist(),
            "camera": {"scale": self.scale, "translation": self.translation.tolist()},
            "missing": self.missing.tolist(),
            "jaw": self.jaw.tolist(),
            "definition": self.definition,
            "confidence": self.confidence,
        }
        return json.dumps(content)

    @staticmethod
    def from_json(text: str) -> HeadFit:
        """Parse the output of `to_json`.

        Raises:
            InputError: it is something else, or a part is missing or has a wrong shape.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r}")
            weights, pose, camera = content["coefficients"], content["pose"], content["camera"]
            made = HeadFit(
                expression_names=tuple(weights),
                identity=np.array(content["identity"], np.float64),
                expression=np.array(list(weights.values()), np.float64),
                yaw=float(pose["yaw"]),
                pitch=float(pose["pitch"]),
                roll=float(pose["roll"]),
                scale=float(camera["scale"]),
                translation=np.array(camera["translation"], np.float64),
                missing=np.array(content["missing"], np.float64),
                jaw=np.array(content["jaw"], np.int64),
                definition=content["definition"],
                confidence=float(content["confidence"]),
            )
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            shown = reprlib.repr(error)
            raise InputError(f"not a fitted head ({shown}); expected what HeadFit.to_json writes") from None
        shapes = (made.missing.shape, made.translation.shape, made.jaw.shape, made.identity.ndim)
        other = ("expression_names", "definition", "light")
        values = [getattr(made, f.name) for f in fields(made) if f.name not in other]
        if shapes != ((68, 3), (2,), (17,), 1) or not all(np.isfinite(v).all() for v in values) or made.scale <= 0:
            raise InputError("not a fitted head: its numbers have other shapes than HeadFit.to_json writes")
        return made

    def _translation(self, rotation: Array) -> Array:
        """The translation that leaves the neck joint in place under another rotation."""
        shift = self.scale * (self.rotation - rotation)[:2] @ NECK_JOINT * (1, -1)
        moved: Array = self.translation + shift
        return moved
