"""Animates the heads in a still photo by driving clips, with morphable heads.

The morphable head is fitted to the photo's faces and to every driving frame, whose motion it takes (see
`head_retargeting`); the photo's pixels then move with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import FaceCrop, map_points
from latentface.faces.person_tracker import PersonTracker
from latentface.faces.square import Square
from latentface.fields import smoothstep
from latentface.head.control_names import ALL_BUT_EYES, parse_parts
from latentface.head.controls import restrict
from latentface.head.drive import Driver
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.in_front import Finders
from latentface.head.model import HeadModel
from latentface.head.painting import paint_opening
from latentface.head.projector import Projector
from latentface.head.view import HeadView
from latentface.io.clip import Clip
from latentface.io.images import Photo
from latentface.motion import head_driver
from latentface.motion.animator import Animation, assemble, order_faces, rendered, with_alpha
from latentface.motion.head_driver import HeadDriver
from latentface.motion.head_retargeting import HeadRetargeting
from latentface.motion.in_order import free_cores, one_openmp_thread, one_thread_each
from latentface.motion.separate_process import SeparateProcess
from latentface.networks.mouth import MouthNet
from latentface.options.clips import AnimateOptions

SEAM = 0.1  # sides of two heads' squares over which the motion of one passes into that of the other


class MovingHead:
    """One face of a photo, ready to move.

    Args:
        photo: the picture, its alpha moves along.
        landmarks: [68, 2] of the face in it.
        others: landmarks of the other faces in the picture, which must stay still.
        finders: the networks that find what is in front of the face; None if there is nothing.

    Raises:
        InputError: the face is turned by more than 60 degrees, or the landmarks do not form a face.
    """

    def __init__(
        self,
        photo: Photo,
        landmarks: Float64Array,
        model: HeadModel,
        mouth: MouthNet | None = None,
        others: Sequence[Float64Array] = (),
        finders: Finders | None = None,
    ) -> None:
        self.photo, self.model, self.mouth = with_alpha(photo), model, mouth
        self.view = HeadView.of(photo.rgb, landmarks)
        self.fit = fit_head(model, landmarks, photo.rgb).mapped(self.view.matrix)
        self.square = Square.around(landmarks)
        self.projector = Projector(self.fit, model)
        beside = [map_points(self.view.matrix, other) for other in others]
        self.driver = Driver(self.view.pixels, model, self.projector.vertices(self.fit), beside, finders=finders)
        self.share: Float32Array | None = None

    def leave_room(self, others: Sequence[Square]) -> None:
        """Move nothing that is nearer to the centre of another face, in sides of the squares."""
        rows, columns = self.view.box.slices
        y, x = np.ogrid[rows, columns]

        def away(square: Square) -> Float32Array:
            middle = square.side / 2 - 0.5
            across, down = np.float32(x - square.left - middle), np.float32(y - square.top - middle)
            return np.asarray(np.hypot(across, down) / square.side)

        for other in others:
            share = smoothstep(0.5 + (away(other) - away(self.square)) / SEAM)
            self.share = share if self.share is None else self.share * share

    def prepare(self) -> None:
        """Measure and load now what the first frames would wait for, by rendering a frame with the mouth open."""
        opened = replace(self.fit, expression=np.full_like(self.fit.expression, 0.5))
        self.place(self.photo.copy(), opened.with_pose(5.0, relative=True))

    def place(self, base: Pixels, target: HeadFit) -> Float64Array:
        """Render the head in the state `target` into a copy of the picture, in place; returns its landmarks [68, 2].

        Eyes that are shut in the photo stay so: nothing is known of what lids would uncover.
        """
        if self.driver.has_shut_eyes:
            target = restrict(self.fit, target, ALL_BUT_EYES)
        vertices = self.projector.vertices(target)
        landmarks = map_points(np.linalg.inv(self.view.matrix), self.projector.landmarks(target))
        driven = self.driver.drive(vertices, plain=self.mouth is None)
        if driven.motion is None:
            return landmarks
        moved = driven.photo if self.mouth is None else paint_opening(driven, self.projector.skull(target), self.mouth)
        made = self.view.enlarge(self.driver.in_tint(moved), driven.motion, self.photo)
        part = self.view.part(driven.motion.box)
        if self.share is None:
            base[part.slices] = made
            return landmarks
        there, _ = self.view.box.shared(part)
        change = (made - self.photo[part.slices].astype(np.float32)) * self.share[there][..., None]
        base[part.slices] = np.rint(base[part.slices] + change).clip(0, 255).astype(np.uint8)
        return landmarks


def animate(
    photo: Photo, faces: Sequence[FaceCrop], drivers: Sequence[Clip], model: HeadModel,
    landmarks: LandmarkPredictor, options: AnimateOptions | None = None, mouth: MouthNet | None = None,
    still: Sequence[FaceCrop] = (),
    finders: Finders | None = None, persons: Sequence[PersonTracker] = (),
) -> Animation:  # fmt: skip
    """Move the heads in a photo like those in driving clips.

    Args:
        photo: the whole picture; its alpha is kept and moved along.
        faces: the faces to move.
        drivers: one clip for all faces, or one for each face from left to right. The first clip determines timestamps,
            length and sound; the others are sampled at its times, and their last frame is held when they end.
        model: the morphable head.
        landmarks: the network that finds landmarks.
        options: how; by default `AnimateOptions()`.
        mouth: the network that paints opened mouths; None for a plain filling.
        still: the other faces of the photo, which are kept still.
        finders: the networks that find what is in front of faces; None if there is nothing.
        persons: whose face moves them, one for each clip; by default the best-scored one.

    Raises:
        UsageError: no face, no driver, neither one driver nor one for each face, or an unknown part in `options.only`.
        NoFaceFound: a driver shows no face.
        InputError: a face is turned too far for a head to be fitted.
    """
    options = options or AnimateOptions()
    parse_parts(options.only)  # a wrong word is told before the clip is gone through
    ordered = order_faces(faces, drivers)
    all_faces = [*ordered, *still]
    # started before everything else, since they take as long to load what they need as the photo to be measured
    processes = [SeparateProcess(head_driver.__name__) if clip.live else None for clip in drivers]
    moving = [
        MovingHead(
            photo, face.landmarks, model, mouth, [each.landmarks for each in all_faces if each is not face], finders
        )
        for face in ordered
    ]
    for head in moving:
        head.leave_room([other.square for other in moving if other is not head])
    first = drivers[0]
    trackers: list[PersonTracker | None] = [*persons] or [None] * len(drivers)
    # the photo is measured while references are searched for in the clips, but before a camera's first frame is taken
    with one_thread_each(), ThreadPoolExecutor(1, initializer=one_openmp_thread) as beside:
        measured = beside.map(MovingHead.prepare, moving)
        if first.live:
            list(measured)
        seen = [
            HeadDriver(clip, model, landmarks, options, face.landmarks, person, process)
            for clip, face, person, process in zip(drivers, ordered, trackers, processes, strict=False)
        ]
        list(measured)
    transfers = [
        HeadRetargeting(model, head.fit, seen[min(i, len(seen) - 1)].reference, options)
        for i, head in enumerate(moving)
    ]
    picture = with_alpha(photo)
    workers = min(head.view.at_once(free_cores()) for head in moving)
    frames = rendered(first, picture, moving, transfers, seen, workers)
    return assemble(first, picture, frames, [head.square for head in moving], [driver.report for driver in seen])
