"""Edits of one face in a photo: its latent is moved along directions, synthesised, and put back into the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from latentface import hub
from latentface.arrays import Pixels
from latentface.compositing.expression_warp import ExpressionMap, Motion
from latentface.directions.meaning import DIRECTION, controls_among, meaning_of
from latentface.directions.scaling import FAR, edited, excess, w_samples
from latentface.editing import placement
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.inverted_face import Face, Note
from latentface.editing.placement import Placer, check_composite, find_points, make_placer
from latentface.errors import UsageError
from latentface.faces.head_pose import HeadPose, head_pose
from latentface.head.control_names import parse_parts
from latentface.head.controls import Change, apply_changes, check_changes, restrict
from latentface.head.fit import HeadFit
from latentface.io.images import Photo
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.latents.latent import Direction, Latent
from latentface.latents.rows import parse_rows
from latentface.options.photos import CompositeOptions, EditOptions
from latentface.pretrained import directions as library

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

#: Values of "moves" in a direction's metadata, if it moves only the face within its outline, or only the head.
EXPRESSION, HEAD = "expression", "head"
#: Largest turn of a photo's head in degrees: beyond it, the newly visible parts are only stretched skin.
MOST_TURN = 20.0


@dataclass(frozen=True, eq=False)
class Edit:
    """An edited photo (the synthesised face if there is no photo), and how it was made.

    Attributes:
        photo: the result. latent: its latent. image: the synthesised face, uint8 [R, R, 3].
        reference: the same before the edit.
        excess: how far the edit leaves the network's range, see `scaling.excess`.
    """

    photo: Photo
    latent: Latent
    image: Pixels
    reference: Pixels
    excess: float


class Retoucher:
    """Edits one face any number of times.

    Args:
        face: its latent, photo and crop; without a photo the synthesised face is the result. If the generator was tuned
            for it, the tuned one synthesises the face and its edits.
        generator: the network of the latent.
        directions: the available directions by name.
        options, composite: how the latent is moved, and how a synthesised face is pasted.
        note: called with one-line notes for the user.
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
        self.only = parse_parts(self.options.only)
        self._network = face.tune(generator)
        self.reference = self._synthesise(face.latent)
        self._w = w_samples(generator)
        self._placers: dict[str, Placer | None] = {}

    def edit(self, changes: Mapping[str, float]) -> Edit:
        """Move the face along the named directions by their strengths, and by direct controls of its head.

        See `split_changes` for the names.

        Raises:
            UsageError: a name that is neither a direction nor a control, a value outside a control's range, or a
                control if no head in a photo is moved.
        """
        steps, controls = split_changes(changes, self.directions)
        latent = edited(self.face.latent, steps, self.rows)
        far = excess(self.face.latent, latent, self._w)
        image = self._synthesise(latent)
        place = way(self.options, [direction for direction, _ in steps])
        pasted = self.face.photo is None or self.face.crop is None or self.options.crop
        if controls and (pasted or place != "head"):
            raise UsageError(f"{', '.join(controls)} moves the head in a photo and has no effect on a generated face")
        if self.only and (pasted or place != "head"):
            raise UsageError(f"only {self.options.only} applies to a photo's head; this edit shows a generated face")
        if far > FAR and (pasted or place != "head"):
            words = ", ".join(f"{direction.name} {strength:g}" for direction, strength in steps)
            self.note(
                f"{words}: the face lies {far:.1f} standard deviations from the network's mean, where its images are "
                f"poor; stay below {FAR:g}, with smaller strengths"
            )
        photo = Photo(image, source_type=GENERATED)
        if self.face.photo is not None and not pasted:
            rgb = self._place(place, image, steps, controls)
            photo = replace(self.face.photo, rgb=rgb, source_type=COMPOSITE)
        return Edit(photo, latent, image, self.reference, far)

    def forget(self) -> None:
        """Release what is kept for further edits, which is much for a large photo."""
        self._placers.clear()

    def _synthesise(self, latent: Latent) -> Pixels:
        image: Pixels = placement.synthesise(self._network, latent, latent.ws[None])[0]
        return image

    def _place(
        self, place: str, image: Pixels, steps: Sequence[tuple[Direction, float]], controls: Mapping[str, Change]
    ) -> Pixels:
        """The photo with the edit applied."""
        check_composite(self.composite, place)
        if place not in self._placers:
            self._placers[place] = make_placer(
                self.face, self.generator, self.reference, place, self.composite, note=self.note
            )
        placer = self._placers[place]
        assert placer is not None
        if isinstance(placer, HeadPlacer):
            return placer.place(self._move_head(placer, steps, controls))
        (points,) = find_points(self.generator, image[None])
        image = self.face.in_own_colours(image)
        if not isinstance(placer, ExpressionMap):
            return placer.place(image, points)
        still = [(direction, strength) for direction, strength in steps if _moves(direction) != HEAD]
        if len(still) == len(steps):
            return placer.place(image, points)
        # the photo's own head turns like the synthesised one, whose expression is measured before it turns
        before, rest = self.reference, placer.rest
        if still:
            latent = edited(self.face.latent, still, self.rows)
            before = self._synthesise(latent)
            (rest,) = find_points(self.generator, before[None])
        turn = self._turn(head_pose(rest), head_pose(points))
        return placer.place(self.face.in_own_colours(before), rest, turn)

    def _move_head(
        self, placer: HeadPlacer, steps: Sequence[tuple[Direction, float]], controls: Mapping[str, Change]
    ) -> HeadFit:
        """The photo's head after an edit.

        The effect of built-in directions is known; that of others is estimated from the synthesised faces.
        """
        known, others = {}, []
        for direction, strength in steps:
            if not strength:
                continue
            if self.rows is None and hub.has_known_meaning(direction, self.generator):
                known[direction.name] = strength
            else:
                others.append((direction, strength))
        after = placer.fit
        if others:
            latent = edited(self.face.latent, others, self.rows)
            image = self._synthesise(latent)
            pictures = np.stack([self.reference, image])
            rest, points = find_points(self.generator, pictures)
            turn = any(_moves(direction) == HEAD for direction, _ in others)
            after = placer.read(self.reference, rest, image, points, turn)
        after = apply_changes(meaning_of(known).apply(after), controls)
        return restrict(placer.fit, after, self.only) if self.only else after

    def _turn(self, before: HeadPose, after: HeadPose) -> Motion:
        angles = {"yaw": after.yaw - before.yaw, "pitch": after.pitch - before.pitch}
        for name, angle in angles.items():
            if abs(angle) > MOST_TURN:
                self.note(
                    f"{name}: the synthesised head turns by {angle:.0f} degrees, the photo's by {MOST_TURN:g} only; "
                    "crop shows the synthesised one"
                )
        return Motion(**{name: float(np.clip(angle, -MOST_TURN, MOST_TURN)) for name, angle in angles.items()})


def _moves(direction: Direction) -> str | None:
    return (direction.metadata or {}).get("moves")


def split_changes(
    changes: Mapping[str, float], directions: Mapping[str, Direction]
) -> tuple[list[tuple[Direction, float]], dict[str, Change]]:
    """Split changes by name into steps along directions and direct controls of a head.

    The name of a control (`head.controls.CONTROLS`, or an ARKit shape) sets it to the number; with a plus after it
    ("yaw+"), the number is added to what the photo shows. Other names are those of directions; `direction:NAME` means
    the direction with the same name as a control.

    Raises UsageError for a name that is neither, and for a value outside a control's range.
    """
    shapes = hub.head_model().expression_names
    controls = controls_among(changes, shapes)
    named = {name: name.removesuffix("+") for name in changes}
    steps = [
        (library.pick(plain.removeprefix(DIRECTION), directions), float(changes[name]))
        for name, plain in named.items()
        if plain not in controls
    ]
    check_changes(controls, shapes)
    return steps, controls


def way(options: EditOptions, used: Sequence[Direction]) -> str:
    """How an edit along these directions is applied to a photo: head, warp or paste."""
    if options.place != "auto":
        return options.place
    within = all(_moves(direction) in (EXPRESSION, HEAD) for direction in used)
    return "head" if within else "paste"


def shows_drawing(options: EditOptions, used: Sequence[Direction]) -> bool:
    """Whether an edit along these directions shows the synthesised face, which then must resemble the person."""
    return options.crop or way(options, used) == "paste"
