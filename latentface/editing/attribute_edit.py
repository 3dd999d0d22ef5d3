"""Edits of one face of a photo: its latent is moved along directions, drawn, and put back into the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from latentface.arrays import Pixels
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap, Motion
from latentface.directions.scaling import FAR, edited, excess, w_samples
from latentface.editing import placement
from latentface.editing.inverted_face import Face, Note
from latentface.editing.placement import check_composite, find_points, make_placer
from latentface.faces.head_pose import HeadPose, head_pose
from latentface.io.images import Photo
from latentface.latents.latent import Direction, Latent
from latentface.latents.rows import parse_rows
from latentface.options import CompositeOptions, EditOptions
from latentface.pretrained import directions as library

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

#: What a direction's metadata says under "moves" where it moves nothing but the face within its outline, or the head.
EXPRESSION, HEAD = "expression", "head"
#: Degrees that a photo's head is turned at most: what comes into view is only the skin beside it, drawn out.
MOST_TURN = 20.0


@dataclass(frozen=True, eq=False)
class Edit:
    """An edited photo (the drawn face where there is no photo), and how it was made.

    Attributes:
        photo: the result. latent: what it was drawn from. image: the drawn face, uint8 [R, R, 3].
        reference: the same before the edit.
        excess: how far the edit led out of the network's range, see `scaling.excess`.
    """

    photo: Photo
    latent: Latent
    image: Pixels
    reference: Pixels
    excess: float


class Retoucher:
    """Edits one face as often as wanted.

    Args:
        face: its latent, and the photo and crop it was found in; without a photo the drawn face is the result.
        generator: the network of its latent.
        directions: those that can be named.
        options, composite: how the latent is moved, and how a drawn face is pasted.
        note: told what the user should know, in one line.
    """

    def __init__(
        self,
        face: Face,
        generator: Generator,
        directions: Mapping[str, Direction],
        options: EditOptions | None = None,
        composite: CompositeOptions | None = None,
        note: Note | None = None,
    ) -> None:
        self.face, self.generator, self.directions = face, generator, dict(directions)
        self.options, self.composite = options or EditOptions(), composite or CompositeOptions()
        self.note = note or (lambda text: None)
        text = self.options.layers
        self.rows = None if text == "all" else parse_rows(text, generator.config.num_ws)
        (self.reference,) = placement.synthesise(generator, face.latent, face.latent.ws[None])
        self._w = w_samples(generator)
        self._placers: dict[str, Compositor | ExpressionMap | None] = {}

    def edit(self, changes: Mapping[str, float]) -> Edit:
        """The face moved along every direction that is named by its strength.

        Raises UsageError for a name that no direction has.
        """
        steps = [(library.pick(name, self.directions), strength) for name, strength in changes.items()]
        latent = edited(self.face.latent, steps, self.rows)
        far = excess(self.face.latent, latent, self._w)
        if far > FAR:
            self.note(
                f"{', '.join(f'{name} {strength:g}' for name, strength in changes.items())}: the face lies {far:.1f} "
                f"deviations from the network's mean, where it draws badly; stay below {FAR:g}, with smaller strengths"
            )
        (image,) = placement.synthesise(self.generator, latent, latent.ws[None])
        photo = Photo(image)
        if self.face.photo is not None and self.face.crop is not None and not self.options.crop:
            photo = replace(self.face.photo, rgb=self._place(image, steps))
        return Edit(photo, latent, image, self.reference, far)

    def _place(self, image: Pixels, steps: Sequence[tuple[Direction, float]]) -> Pixels:
        """The photo with the drawn face put in, by the way that suits the directions."""
        place = way(self.options, [direction for direction, _ in steps])
        check_composite(self.composite, place)
        if place not in self._placers:
            self._placers[place] = make_placer(self.face, self.generator, self.reference, place, self.composite)
        placer = self._placers[place]
        assert placer is not None
        (points,) = find_points(self.generator, image[None])
        if not isinstance(placer, ExpressionMap):
            return placer.place(image, points)
        still = [(direction, strength) for direction, strength in steps if _moves(direction) != HEAD]
        if len(still) == len(steps):
            return placer.place(image, points)
        # the photo's own head turns, by as much as the drawn one, whose expression is told before it turns
        before, rest = self.reference, placer.rest
        if still:
            latent = edited(self.face.latent, still, self.rows)
            (before,) = placement.synthesise(self.generator, latent, latent.ws[None])
            (rest,) = find_points(self.generator, before[None])
        return placer.place(before, rest, self._turn(head_pose(rest), head_pose(points)))

    def _turn(self, before: HeadPose, after: HeadPose) -> Motion:
        angles = {"yaw": after.yaw - before.yaw, "pitch": after.pitch - before.pitch}
        for name, angle in angles.items():
            if abs(angle) > MOST_TURN:
                self.note(
                    f"{name}: the drawn head turns by {angle:.0f} degrees, the photo's by {MOST_TURN:g} only; "
                    "crop shows the drawn one"
                )
        return Motion(**{name: float(np.clip(angle, -MOST_TURN, MOST_TURN)) for name, angle in angles.items()})


def _moves(direction: Direction) -> str | None:
    return (direction.metadata or {}).get("moves")


def way(options: EditOptions, used: Sequence[Direction]) -> str:
    """How a photo gets an edit along these directions: warp or paste."""
    if options.place != "auto":
        return options.place
    within = all(_moves(direction) in (EXPRESSION, HEAD) for direction in used)
    return "warp" if within else "paste"


def shows_drawing(options: EditOptions, used: Sequence[Direction]) -> bool:
    """Whether an edit along these directions shows the drawn face, which then must look like the person."""
    return options.crop or way(options, used) == "paste"
