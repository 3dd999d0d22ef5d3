"""Expression transfer on photos and clips: two faces are fused, and the result is put into the first one's photo."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latentface import api, hub
from latentface.arrays import Float64Array, Pixels
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.inverted_face import Face, FaceFinder, FaceSource
from latentface.editing.placement import Placer, check_composite, find_points, make_placer, synthesise
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop, WhichFace
from latentface.faces.person_tracker import PersonTracker
from latentface.fusion.style_mixing import Transfer
from latentface.head.control_names import parse_parts
from latentface.head.controls import restrict
from latentface.head.fit import HeadFit
from latentface.head.mouth import MouthSource
from latentface.head.own_mouth import OwnMouth
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator
from latentface.options.photos import CompositeOptions, TransferOptions

#: Largest number of frames kept while searching a face in a clip that can be read only once.
MOST_AHEAD = 48
#: Number of steps that refine a latent that is not shown in the photo.
QUICK_STEPS = 8


@dataclass(frozen=True, eq=False)
class Result:
    """The result of a transfer onto a photo (onto the synthesised picture if the identity is a latent)."""

    photo: Photo
    transfer: Transfer
    identity: Face
    expression: Face


@dataclass
class ClipReport:
    """Progress in a clip: frames done, and those without a face, which repeat the previous expression."""

    frames: int = 0
    missing: int = 0


class Transferrer:
    """Gives faces of photos the expressions of other photos and clips.

    Args:
        finder: finds the faces, and passes on notes for the user.
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
        face: WhichFace = None,
        expression_face: WhichFace = None,
    ) -> Result:
        """Put the expression of the second face onto the first one's photo.

        Args:
            identity: a photo file, uint8 RGB [H, W, 3], a latent file, a latent or a projection.
            expression: likewise.
            face: which face of the identity's photo, counted from 1 in order of confidence; by default the largest.
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
        """The transfer between two faces prepared by the finder."""
        network, by_head = identity.tune(self.generator), self._by_head and expression.photo is not None
        made = api.transfer(
            identity=identity.latent, expression=expression.latent, generator=self.generator,
            options=self._quick if by_head and identity.photo is not None else self.options,
            tuned=(network, expression.tune(self.generator)),
            shown=None if expression.crop is None else expression.crop.image,
        )  # fmt: skip
        self._warn_of_nothing(made)
        photo, placer = Photo(made.image, source_type=GENERATED), self._placer(identity, made)
        if identity.photo is not None and not made.layers:
            photo = replace(identity.photo, source_type=COMPOSITE)
        elif placer is not None and identity.photo is not None:
            shown = self._shown(identity, expression) if by_head else None
            if isinstance(placer, HeadPlacer) and shown is not None:
                rgb = self._place_head(placer, *shown)
            else:
                rgb = self._place(identity, placer, made.reference, made.image)
            photo = replace(identity.photo, rgb=rgb, source_type=COMPOSITE)
        return Result(photo, made, identity, expression)

    @property
    def _by_head(self) -> bool:
        """Whether the head in the expression's photo determines the result: if rows are automatic and a head moves."""
        o = self.options
        ruled = (o.layers, o.units) != ("auto", "auto") or o.contiguous or bool(o.keep)
        return o.place == "head" and not ruled and (o.most_layers, o.exact_layers) == (None, None)

    @property
    def _quick(self) -> TransferOptions:
        """The options if the photo does not show the latent: a shorter search unless its length is given."""
        steps, flips = self.options.refine_steps, self.options.flips
        if flips is None and self.options.solver != "exhaustive":
            flips = 1
        return replace(self.options, refine_steps=QUICK_STEPS if steps is None else steps, flips=flips)

    def _placer(self, identity: Face, made: Transfer) -> Placer | None:
        return make_placer(identity, self.generator, made.reference, self.options.place, self.composite, note=self.note)

    def _shown(self, identity: Face, expression: Face) -> tuple[HeadFit, OwnMouth | None] | None:
        """The head in the expression's photo and its open mouth; None, with a note, if none can be fitted."""
        assert expression.photo is not None and expression.crop is not None
        try:
            head = HeadPlacer(identity.in_own_colours(expression.photo.rgb, expression.photo.icc), expression.crop)
        except InputError as error:
            self._warn_of_no_head(error)
            return None
        return head.fit, None if self.options.mouth == "painted" else head.shown_mouth()

    def _fit(self, frame: Pixels, crop: FaceCrop, before: HeadFit | None) -> HeadFit | None:
        """The head in a frame; None, with a note, if none can be fitted."""
        try:
            return api.fit_head(crop, frame, start=before)
        except InputError as error:
            self._warn_of_no_head(error)
            return None

    def _warn_of_no_head(self, error: InputError) -> None:
        self.note(f"the expression's face: {error}; its expression is estimated from the synthesised face")

    def _place_head(self, placer: HeadPlacer, theirs: HeadFit, own: OwnMouth | None = None) -> Pixels:
        """The photo with the expression of a head in another photo, which may show its own mouth."""
        mouth: MouthSource = self.options.mouth  # type: ignore[assignment]
        only = parse_parts(self.options.only)
        return placer.place_expression(theirs, self.options.strength, only, mouth=mouth, other=own)

    def _follow_head(self, placer: HeadPlacer, theirs: HeadFit) -> Pixels:
        """The photo with the expression of a head in a frame; not measured again, which keeps a clip steady."""
        return placer.place_expression(theirs, self.options.strength, parse_parts(self.options.only), looks=0)

    def _place(self, identity: Face, placer: Placer, reference: Pixels, image: Pixels) -> Pixels:
        """The photo with the expression of the synthesised face."""
        points = self._points(image)
        if not isinstance(placer, HeadPlacer):
            return placer.place(identity.in_own_colours(image), points)
        after = placer.read(reference, self._points(reference), image, points)
        only = parse_parts(self.options.only)
        return placer.place(restrict(placer.fit, after, only) if only else after)

    def clip(
        self, identity: Face, driver: Clip, name: str = "the clip", face: WhichFace = None
    ) -> tuple[Clip, ClipReport, Transfer]:
        """The identity's photo with the expression of every frame of a clip, and a report that is filled meanwhile.

        face: whose expression, of those in the first frame that shows any; by default the largest. That person is
        followed.

        The rows are chosen once, at the first frame that shows a face; a frame without one repeats the previous
        expression. Sound and timestamps are those of the clip. Raises NoFaceFound if no frame shows a face (for a clip
        that can be read only once, none of the first MOST_AHEAD).
        """
        if self.options.units == "styles":
            raise UsageError("a clip is transferred by rows, or what expressions move of them; units is styles")
        if self.options.mouth == "own":
            raise UsageError("a clip's mouths are painted, so that they stay steady; mouth is own: use auto or painted")
        identity = identity.in_srgb(self.note)
        beginning, driver = driver.ahead(MOST_AHEAD)
        person = hub.person_tracker(face, self.finder.landmarks, name)
        first, crop = self._first_face(beginning, name, person)
        network = identity.tune(self.generator)
        made = api.transfer(
            identity=identity.latent, expression=first, generator=self.generator, options=self.options,
            tuned=(network, self.generator), shown=crop.image,
        )  # fmt: skip
        self._warn_of_nothing(made)
        report = ClipReport()
        height, width = made.image.shape[:2] if identity.photo is None else identity.photo.rgb.shape[:2]
        frames = self._frames(identity, network, driver, first, made, report, person.again())
        mark = GENERATED if identity.photo is None else COMPOSITE
        clip = replace(driver, frames=frames, size=(width, height), alpha=False, source_type=mark)
        return clip, report, made

    def _warn_of_nothing(self, made: Transfer) -> None:
        if not made.layers:
            self.note(
                "no row of the expression is worth its cost in appearance; raise expression_weight, or name layers"
            )

    def _points(self, image: Pixels) -> Float64Array:
        """Landmarks [68, 2] of a synthesised picture, in its pixels."""
        (points,) = find_points(self.generator, image[None])
        return np.asarray(points)

    def _first_face(self, frames: Iterator[Frame], name: str, person: PersonTracker) -> tuple[Latent, FaceCrop]:
        """The face in the first frame that shows one, and its latent, projected with all steps."""
        count = 0
        for frame in frames:
            crop, count = self._crop(frame, person.begin), count + 1
            if crop is not None:
                return self.finder.latent(crop), crop
        raise NoFaceFound(f"{name}: no face in its {count} frames; give one that shows a face from the front")

    def _crop(self, frame: Frame, find: Callable[[Pixels], Float64Array | None]) -> FaceCrop | None:
        picture = np.ascontiguousarray(frame.pixels[..., :3])
        points = find(picture)
        return None if points is None else crop_face(picture, points, self.generator.config.resolution)

    def _frames(
        self,
        identity: Face,
        network: Generator,
        driver: Clip,
        first: Latent,
        made: Transfer,
        report: ClipReport,
        person: PersonTracker,
    ) -> Iterator[Frame]:
        """One output frame for each input frame; the search for a latent starts at that of the previous frame."""
        placer = self._placer(identity, made)
        theirs, picture, head = first.ws, None, None
        for frame in person.ahead(driver):
            crop = self._crop(frame, person)
            report.frames += 1
            report.missing += crop is None
            if crop is not None and self._by_head and isinstance(placer, HeadPlacer):
                head = self._fit(np.ascontiguousarray(frame.pixels[..., :3]), crop, head)
            if crop is not None and head is not None and isinstance(placer, HeadPlacer):
                picture = self._follow_head(placer, head)
            elif crop is not None or picture is None:
                theirs = theirs if crop is None else self.finder.follow(crop, theirs)
                latent = made.carry(theirs - first.ws)
                (image,) = synthesise(network, latent, latent.ws[None])
                picture = image if placer is None else self._place(identity, placer, made.reference, image)
            yield Frame(picture, frame.time)


def _same_file(a: FaceSource, b: FaceSource) -> bool:
    if not (isinstance(a, str | os.PathLike) and isinstance(b, str | os.PathLike)):
        return a is b
    return Path(a).exists() and Path(b).exists() and Path(a).samefile(b)
