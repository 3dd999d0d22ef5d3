"""Expression transfer on photos and clips: two faces are fused, and what is drawn is put into the first one's photo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latentface import api, hub
from latentface.arrays import Float64Array, Pixels
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.inverted_face import Face, FaceFinder, FaceSource
from latentface.editing.placement import Placer, check_composite, find_points, make_placer, synthesise
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop
from latentface.fusion.style_mixing import Transfer
from latentface.head.control_names import parse_parts
from latentface.head.controls import restrict
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator
from latentface.options import CompositeOptions, TransferOptions

#: Frames kept at most while a face is looked for in a clip that gives each frame only once.
MOST_AHEAD = 48


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
            identity: a photo file, uint8 RGB [H, W, 3], a latent file, a latent or a projection.
            expression: likewise.
            face: which face of the identity's photo, 1 for the surest; by default the largest.
            expression_face: which face of the expression's photo, likewise.

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
        network = identity.tune(self.generator)
        made = api.transfer(
            identity=identity.latent, expression=expression.latent, generator=self.generator, options=self.options,
            tuned=(network, expression.tune(self.generator)),
        )  # fmt: skip
        self._warn_of_nothing(made)
        photo, placer = Photo(made.image, source_type=GENERATED), self._placer(identity, made)
        if identity.photo is not None and not made.layers:
            photo = replace(identity.photo, source_type=COMPOSITE)
        elif placer is not None and identity.photo is not None:
            theirs = self._their_head(expression) if isinstance(placer, HeadPlacer) else None
            rgb = self._place(placer, made.reference, made.image, theirs)
            photo = replace(identity.photo, rgb=rgb, source_type=COMPOSITE)
        return Result(photo, made, identity, expression)

    def _placer(self, identity: Face, made: Transfer) -> Placer | None:
        return make_placer(identity, self.generator, made.reference, self.options.place, self.composite, note=self.note)

    def _their_head(self, expression: Face) -> HeadFit | None:
        """The head in the expression's photo; None where what is drawn decides: rules chose the rows, or no photo."""
        o = self.options
        ruled = (o.layers, o.units) != ("auto", "auto") or o.contiguous or o.keep
        if ruled or (o.most_layers, o.exact_layers) != (None, None) or expression.photo is None:
            return None
        assert expression.crop is not None
        return self._fit(expression.photo.rgb, expression.crop)

    def _fit(self, photo: Pixels, crop: FaceCrop, before: HeadFit | None = None) -> HeadFit | None:
        """The head in a photo or a frame; None, with a note, where none can be fitted."""
        try:
            return fit_head(hub.head_model(), crop.landmarks, photo, start=before)
        except InputError as error:
            self.note(f"the expression's face: {error}; its expression is read off its drawing")
            return None

    def _place(self, placer: Placer, reference: Pixels, image: Pixels, theirs: HeadFit | None) -> Pixels:
        """The photo with the expression brought in: of a head in another photo, or of what is drawn."""
        points = self._points(image)
        if not isinstance(placer, HeadPlacer):
            return placer.place(image, points)
        own = placer.fit
        if theirs is None:
            after = placer.read(reference, self._points(reference), image, points)
        else:
            changed = own.expression + self.options.strength * (theirs.expression - own.expression)
            after = replace(own, expression=np.clip(changed, 0, np.maximum(1, own.expression)))
        only = parse_parts(self.options.only)
        return placer.place(restrict(own, after, only) if only else after)

    def clip(self, identity: Face, driver: Clip, name: str = "the clip") -> tuple[Clip, ClipReport, Transfer]:
        """The identity's photo with the expression of every frame of a clip, and a report that fills on the way.

        The rows are chosen once, at the first frame that shows a face; a frame without one holds the expression before
        it. Sound and times are the driver's. Raises NoFaceFound when no frame shows a face; of a clip that gives its
        frames only once, none of the first MOST_AHEAD.
        """
        if self.options.units == "styles":
            raise UsageError("a clip is transferred by rows, or what expressions move of them; units is styles")
        identity = identity.in_srgb(self.note)
        beginning, driver = driver.ahead(MOST_AHEAD)
        first = self._first_face(beginning, name)
        network = identity.tune(self.generator)
        made = api.transfer(
            identity=identity.latent, expression=first, generator=self.generator, options=self.options,
            tuned=(network, self.generator),
        )  # fmt: skip
        self._warn_of_nothing(made)
        report = ClipReport()
        height, width = made.image.shape[:2] if identity.photo is None else identity.photo.rgb.shape[:2]
        frames = self._frames(identity, network, driver, first, made, report)
        mark = GENERATED if identity.photo is None else COMPOSITE
        clip = replace(driver, frames=frames, size=(width, height), alpha=False, source_type=mark)
        return clip, report, made

    def _warn_of_nothing(self, made: Transfer) -> None:
        if not made.layers:
            self.note(
                "no row of the expression is worth its cost in appearance; raise expression_weight, or name layers"
            )

    def _points(self, image: Pixels) -> Float64Array:
        """Landmarks [68, 2] of a regenerated picture, in its pixels."""
        (points,) = find_points(self.generator, image[None])
        return np.asarray(points)

    def _first_face(self, frames: Iterator[Frame], name: str) -> Latent:
        """The latent of the first frame that shows a face, projected with all steps."""
        count = 0
        for frame in frames:
            crop, count = self._find(frame), count + 1
            if crop is not None:
                return self.finder.latent(crop)
        raise NoFaceFound(f"{name}: no face in its {count} frames; give one that shows a face from the front")

    def _find(self, frame: Frame) -> FaceCrop | None:
        return self.finder.largest(np.ascontiguousarray(frame.pixels[..., :3]))

    def _frames(
        self, identity: Face, network: Generator, driver: Clip, first: Latent, made: Transfer, report: ClipReport
    ) -> Iterator[Frame]:
        """One frame out for each frame in; the search for a frame's latent begins at the frame before."""
        placer = self._placer(identity, made)
        theirs, picture, head = first.ws, None, None
        for frame in driver:
            crop = self._find(frame)
            report.frames += 1
            if crop is None:
                report.missing += 1
            else:
                theirs = self.finder.follow(crop, theirs)
            if crop is not None or picture is None:
                latent = made.carry(theirs - first.ws)
                (image,) = synthesise(network, latent, latent.ws[None])
                if isinstance(placer, HeadPlacer) and crop is not None:
                    head = self._fit(np.ascontiguousarray(frame.pixels[..., :3]), crop, head)
                picture = image if placer is None else self._place(placer, made.reference, image, head)
            yield Frame(picture, frame.time)


def _same_file(a: FaceSource, b: FaceSource) -> bool:
    if not (isinstance(a, str | os.PathLike) and isinstance(b, str | os.PathLike)):
        return a is b
    return Path(a).exists() and Path(b).exists() and Path(a).samefile(b)
