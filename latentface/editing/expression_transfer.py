"""Expression transfer on photos and clips: two faces are fused, and what is drawn is put into the first one's photo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latentface import api
from latentface.arrays import Float64Array, Pixels
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap
from latentface.editing.inverted_face import Face, FaceFinder, FaceSource
from latentface.editing.placement import check_composite, find_points, make_placer
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop
from latentface.fusion.style_mixing import Transfer
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo
from latentface.latents.latent import Latent
from latentface.options import CompositeOptions, TransferOptions


@dataclass(frozen=True, eq=False)
class Result:
    """A transfer onto a photo (onto the regenerated picture when the identity is a latent), and how it was made."""

    photo: Photo
    transfer: Transfer
    identity: Face
    expression: Face


@dataclass
class ClipReport:
    """What happened in a clip so far: frames done, and those without a face, which hold the expression before them."""

    frames: int = 0
    missing: int = 0


class Transferrer:
    """Gives faces of photos the expressions of other photos and clips.

    Args:
        finder: finds the faces, and says what the user should know.
        options, composite: how the expression is taken, and how it is pasted, for `options.place="paste"`.
    """

    def __init__(
        self, finder: FaceFinder, options: TransferOptions | None = None, composite: CompositeOptions | None = None
    ) -> None:
        self.finder, self.generator, self.note = finder, finder.generator, finder.note
        self.options, self.composite = options or TransferOptions(), composite or CompositeOptions()
        check_composite(self.composite, self.options.place)

    def photo(
        self,
        identity: FaceSource,
        expression: FaceSource,
        *,
        face: int | None = None,
        expression_face: int | None = None,
    ) -> Result:
        """Put the expression of the second face onto the first one's photo.

        Args:
            identity, expression: photo files, uint8 RGB [H, W, 3], latent files, latents or projections.
            face, expression_face: which face of each photo, 1 for the surest; by default the largest.

        Raises:
            InputError: a file cannot be used or has no such face; NoFaceFound says in which photo.
            LatentMismatch: a latent belongs to another network.
        """
        if _same_file(identity, expression) and face == expression_face:
            self.note(f"{identity}: identity and expression are the same face; nothing will change")
        wanted = [(identity, "the identity", face), (expression, "the expression", expression_face)]
        return self.put(*self.finder.faces(wanted))

    def put(self, identity: Face, expression: Face) -> Result:
        """The transfer between two faces that were made ready by the finder."""
        made = api.transfer(
            identity=identity.latent, expression=expression.latent, generator=self.generator, options=self.options
        )
        self._warn_of_nothing(made)
        photo, placer = Photo(made.image), self._placer(identity, made)
        if placer is not None and identity.photo is not None:
            photo = replace(identity.photo, rgb=placer.place(made.image, self._points(made.image)))
        return Result(photo, made, identity, expression)

    def _placer(self, identity: Face, made: Transfer) -> Compositor | ExpressionMap | None:
        return make_placer(identity, self.generator, made.reference, self.options.place, self.composite)

    def clip(self, identity: Face, driver: Clip, name: str = "the clip") -> tuple[Clip, ClipReport, Transfer]:
        """The identity's photo with the expression of every frame of a clip, and a report that fills on the way.

        The rows are chosen once, at the first frame that shows a face; a frame without one holds the expression before
        it. Sound and times are the driver's. Raises NoFaceFound when no frame shows a face.
        """
        if self.options.units == "styles":
            raise UsageError("a clip is transferred by rows, or what expressions move of them; units is styles")
        first = self._first_face(driver, name)
        made = api.transfer(identity=identity.latent, expression=first, generator=self.generator, options=self.options)
        self._warn_of_nothing(made)
        report = ClipReport()
        height, width = made.image.shape[:2] if identity.photo is None else identity.photo.rgb.shape[:2]
        frames = self._frames(identity, driver, first, made, report)
        return replace(driver, frames=frames, size=(width, height), alpha=False), report, made

    def _warn_of_nothing(self, made: Transfer) -> None:
        if not made.layers:
            self.note(
                "no row of the expression is worth its cost in appearance; raise expression_weight, or name layers"
            )

    def _points(self, image: Pixels) -> Float64Array:
        """Landmarks [68, 2] of a regenerated picture, in its pixels."""
        (points,) = find_points(self.generator, image[None])
        return np.asarray(points)

    def _first_face(self, driver: Clip, name: str) -> Latent:
        """The latent of the first frame that shows a face, projected with all steps."""
        for frame in driver:
            crop = self._find(frame)
            if crop is not None:
                return self.finder.latent(crop)
        raise NoFaceFound(f"{name}: no face in any of its frames; give one that shows a face from the front")

    def _find(self, frame: Frame) -> FaceCrop | None:
        return self.finder.largest(np.ascontiguousarray(frame.pixels[..., :3]))

    def _frames(
        self, identity: Face, driver: Clip, first: Latent, made: Transfer, report: ClipReport
    ) -> Iterator[Frame]:
        """One frame out for each frame in; the search for a frame's latent begins at the frame before."""
        placer = self._placer(identity, made)
        theirs, picture = first.ws, None
        for frame in driver:
            crop = self._find(frame)
            report.frames += 1
            if crop is None:
                report.missing += 1
            else:
                theirs = self.finder.follow(crop, theirs)
            if crop is not None or picture is None:
                image: Pixels = api.synthesise(self.generator, made.carry(theirs - first.ws))[0]
                picture = image if placer is None else placer.place(image, self._points(image))
            yield Frame(picture, frame.time)


def _same_file(a: FaceSource, b: FaceSource) -> bool:
    if not (isinstance(a, str | os.PathLike) and isinstance(b, str | os.PathLike)):
        return a is b
    return Path(a).exists() and Path(b).exists() and Path(a).samefile(b)
