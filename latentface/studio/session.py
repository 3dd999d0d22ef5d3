"""The engine of the editing tab: a head fitted to a photo once, previews of the changed face, and the history."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from latentface.arrays import Float64Array, Pixels
from latentface.errors import NoFaceFound
from latentface.faces.crop import FaceCrop, largest_face, map_points, pick_face
from latentface.io.colour import srgb
from latentface.io.images import Photo, read_photo
from latentface.io.provenance import COMPOSITE
from latentface.io.video import read_clip
from latentface.motion.driver import LOOKED_AT
from latentface.studio.history import History

if TYPE_CHECKING:
    from latentface.editing.head_placement import HeadPlacer

SIDE = 512  # pixels: the longer side of a preview
REACH = 1.25  # half the side of the preview, in sides of the face's FFHQ square
NEAR = 0.8  # the same for a thumbnail
NEARLY_ALL = 0.6  # of the photo: a preview that covers more shows the whole photo
KEPT = 4  # photos in a history, each with its pixels


def _placer() -> type[HeadPlacer]:
    """The engine that moves heads; loaded with the first photo, not with the page."""
    from latentface.editing.head_placement import HeadPlacer

    return HeadPlacer


@dataclass(frozen=True, eq=False)
class Window:
    """The part of a photo that previews show.

    pixels: uint8 RGB [h, w, 3], sRGB, `SIDE` on its longer side or less. from_photo: map of photo pixels (x, y, 1) to
    its own, [3, 3].
    """

    pixels: Pixels
    from_photo: Float64Array

    @classmethod
    def around(cls, rgb: Pixels, face: FaceCrop) -> Window:
        """The surroundings of a face in a photo, uint8 RGB [H, W, 3]; the whole photo if they cover most of it."""
        height, width = rgb.shape[:2]
        middle, reach = face.quad.mean(axis=0), REACH * face.side
        left, top = np.clip(np.floor(middle - reach), 0, None).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(middle + reach), (width, height)).astype(int).tolist()
        if (right - left) * (bottom - top) > NEARLY_ALL * width * height:
            left, top, right, bottom = 0, 0, width, height
        scale = min(1.0, SIDE / max(right - left, bottom - top))
        size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        shown = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
        matrix = np.diag([scale, scale, 1.0])
        matrix[:2, 2] = scale * (0.5 - np.array([left, top])) - 0.5
        return cls(np.asarray(shown), matrix)


@dataclass(frozen=True, eq=False)
class Subject:
    """A photo and its edited face.

    Attributes:
        photo: as read.
        name: of its file.
        faces: all its faces, the surest first.
        number: of the face that is edited, from 1.
        path: the file, where it is one.
    """

    photo: Photo
    name: str
    faces: tuple[FaceCrop, ...]
    number: int
    path: Path | None = None

    @classmethod
    def of(cls, photo: Photo, name: str, number: int | None = None, path: Path | None = None) -> Subject:
        """The face of that number in a photo, or the largest; NoFaceFound or InputError if there is none."""
        from latentface import api

        upright, crops, _ = api.align_upright(photo)
        chosen = largest_face(crops) if number is None else number
        pick_face(crops, chosen, name)
        return cls(upright, name, tuple(crops), chosen, path)

    @classmethod
    def read(cls, path: str | os.PathLike[str], number: int | None = None) -> Subject:
        """`of` for a photo's file; InputError if it cannot be read."""
        return cls.of(read_photo(path), Path(path).name, number, Path(path))

    @classmethod
    def of_clip(cls, path: str | os.PathLike[str]) -> Subject:
        """The largest face in the first frame of a clip with a face, among those that `editing.clip_edit` searches."""
        from latentface import api

        for frame in islice(read_clip(path), LOOKED_AT):
            rgb = np.ascontiguousarray(frame.pixels[..., :3])
            try:
                crops = api.align(rgb)
            except NoFaceFound:
                continue
            return cls(Photo(rgb), Path(path).name, tuple(crops), largest_face(crops))
        raise NoFaceFound(f"{Path(path).name}: no face in its first {LOOKED_AT} frames; begin it where one is seen")

    @property
    def face(self) -> FaceCrop:
        """The face that is edited."""
        return self.faces[self.number - 1]

    def choose(self, number: int) -> Subject:
        """Another face of the same photo; InputError where there is none of that number."""
        pick_face(self.faces, number, self.name)
        return replace(self, number=number)

    def face_at(self, x: float, y: float) -> int:
        """The number of the face that is nearest to a place in the photo, in pixels."""
        far = [float(np.hypot(*(face.quad.mean(axis=0) - (x, y)))) / face.side for face in self.faces]
        return 1 + int(np.argmin(far))

    @cached_property
    def head(self) -> HeadPlacer:
        """The engine for the head in the photo at full size; InputError for a head turned too far."""
        return _placer()(self.photo.rgb, self.face, self._others)

    @cached_property
    def window(self) -> Window:
        """The part of the photo that previews show."""
        return Window.around(srgb(self.photo).rgb, self.face)

    @cached_property
    def _small(self) -> HeadPlacer:
        from_view = self.window.from_photo @ np.linalg.inv(self.head.view.matrix)
        others = [map_points(self.window.from_photo, other) for other in self._others]
        return _placer()(self.window.pixels, self.head.fit.mapped(from_view), others)

    @property
    def _others(self) -> list[Float64Array]:
        """Landmarks [68, 2] of the other faces, which do not move."""
        return [face.landmarks for face in self.faces if face is not self.face]

    def preview(self, changes: Mapping[str, float]) -> Pixels:
        """The window after changes (see `directions.meaning.move_head`), uint8 RGB [h, w, 3]."""
        if not changes:
            return self.window.pixels
        from latentface.directions.meaning import move_head

        return self._small.place(move_head(self._small.fit, changes))

    def thumbnail(self, changes: Mapping[str, float], side: int) -> Pixels:
        """The features of the face after changes, uint8 RGB [side, side, 3]."""
        corners = map_points(self.window.from_photo, self.face.quad)
        middle, reach = corners.mean(axis=0) + 0.5, NEAR * np.ptp(corners, axis=0).max() / 2
        box = np.concatenate([middle - reach, middle + reach]).round().astype(int).tolist()
        face = Image.fromarray(self.preview(changes)).crop(box)
        return np.asarray(face.resize((side, side), Image.Resampling.LANCZOS))

    def render(self, changes: Mapping[str, float]) -> Photo:
        """The photo after changes, at its full size; without any, the photo itself."""
        if not changes:
            return self.photo
        from latentface.directions.meaning import move_head

        return replace(self.photo, rgb=self.head.place(move_head(self.head.fit, changes)), source_type=COMPOSITE)


@dataclass(frozen=True, eq=False)
class Edited:
    """A subject with pending changes.

    changes: values by the keys of `sliders`. earlier: changes that were applied before, each with its face.
    """

    subject: Subject
    changes: Mapping[str, float] = field(default_factory=dict)
    earlier: tuple[tuple[int, Mapping[str, float]], ...] = ()

    @property
    def preview(self) -> Pixels:
        """Its preview, uint8 RGB [h, w, 3]."""
        return self.subject.preview(self.changes)

    def applied(self) -> Edited:
        """The changed photo as a new subject, with faces detected and fitted again."""
        subject = self.subject
        if not self.changes:
            return self
        made = Subject.of(subject.render(self.changes), subject.name, path=subject.path)
        number = made.face_at(*subject.face.quad.mean(axis=0))
        return Edited(made.choose(number), {}, (*self.earlier, (subject.number, self.changes)))


Session = History[Edited]


def changed(session: Session, changes: Mapping[str, float]) -> Session:
    """The session after sliders were moved; dragging one slider is a single step."""
    before = session.present.changes
    moved = sorted(name for name in {*before, *changes} if before.get(name) != changes.get(name))
    if not moved:
        return session
    label = moved[0] if len(moved) == 1 else ""
    return session.push(replace(session.present, changes=dict(changes)), label)


def applied(session: Session) -> Session:
    """The session that continues from the changed photo; InputError or NoFaceFound if no face is found in it."""
    made = session.present.applied()
    return session if made is session.present else forgetful(session.push(made))


def chosen(session: Session, number: int) -> Session:
    """The session with another face of its photo; pending changes of the previous face are applied first."""
    subject = session.present.subject
    if number == subject.number:
        return session
    x, y = subject.choose(number).face.quad.mean(axis=0)
    made = session.present.applied()
    there = made.subject.choose(made.subject.face_at(x, y))
    return forgetful(session.push(replace(made, subject=there)))


def forgetful(session: Session) -> Session:
    """The session without the oldest steps, so that at most `KEPT` photos are held."""
    photos: list[Photo] = []
    kept: list[Edited] = []
    for step in (session.present, *reversed(session.past)):
        if step.subject.photo not in photos:
            photos.append(step.subject.photo)
        if len(photos) > KEPT:
            break
        kept.append(step)
    return replace(session, past=tuple(reversed(kept[1:])))
