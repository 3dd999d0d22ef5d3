"""Expression transfer on photos and clips: faces are found, projected (or remembered), fused and put back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from latentface import api
from latentface.clip import Clip, Frame
from latentface.compositor import Compositor
from latentface.editor import pick_face
from latentface.errors import NoFaceFound, UsageError
from latentface.expression_map import ExpressionMap
from latentface.face import FaceCrop, frontality
from latentface.fuser import Transfer
from latentface.images import Photo, Pixels, read_photo, to_tensor
from latentface.latent import Latent
from latentface.masking import visible_share
from latentface.options import CompositeOptions, ProjectOptions, TransferOptions
from latentface.projections import ProjectionCache
from latentface.projector import Projection, StepCallback

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

Source = str | os.PathLike[str] | Pixels | Latent | Projection
Note = Callable[[str], None]

#: A face of less confidence is warned of: turned far away, or largely hidden.
LOW_CONFIDENCE = 0.5
_LATENT_SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Face:
    """One face that takes part in a transfer.

    Attributes:
        latent: its projection.
        photo, crop: where it was found; None for a latent.
        confidence: 0 ... 1, how well its expression and shape can be seen; 1 for a latent.
        cached: whether the projection was remembered.
    """

    latent: Latent
    photo: Photo | None = None
    crop: FaceCrop | None = None
    confidence: float = 1.0
    cached: bool = False


@dataclass(frozen=True, eq=False)
class _Look:
    """What a source shows before anything is projected: a latent, or a photo and a crop of it."""

    photo: Photo | None = None
    crop: FaceCrop | None = None
    latent: Latent | None = None


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
    """Gives faces of photos the expressions of other photos and clips, with one generator.

    Args:
        generator: the network.
        landmarks: see `api.align`.
        project, transfer, composite: options of the three steps; composite is for `transfer.place="paste"`.
        encode: take the latents that the network's own encoder gives, where it has one, without a search. They draw a
            person roughly, but lie where faces do, and are enough where the photo's own pixels are moved.
        cache: where projections are remembered; None for nowhere.
        note: told what the user should know, in one line.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        landmarks: str = "builtin",
        project: ProjectOptions | None = None,
        transfer: TransferOptions | None = None,
        composite: CompositeOptions | None = None,
        encode: bool = False,
        cache: ProjectionCache | None = None,
        note: Note | None = None,
        on_step: StepCallback | None = None,
    ) -> None:
        self.generator, self.landmarks, self.cache = generator, landmarks, cache
        self.encode = encode and api.has_encoder(generator)
        self.project, self.options = project or ProjectOptions(), transfer or TransferOptions()
        self.composite = composite or CompositeOptions()
        self.note, self.on_step = note or (lambda text: None), on_step
        if self.project.tune_steps:
            raise UsageError(
                "transfer splices latents of one generator; pivot tuning would change it (tune_steps is 0)"
            )

    def photo(
        self, identity: Source, expression: Source, *, face: int | None = None, expression_face: int | None = None
    ) -> Result:
        """The identity's photo with the expression's expression.

        Args:
            identity, expression: photo files, uint8 RGB [H, W, 3], latent files, latents or projections.
            face, expression_face: which face of each photo, 1 for the surest; by default the largest.

        Raises:
            InputError: a file cannot be used or has no such face; NoFaceFound says in which photo.
            LatentMismatch: a latent belongs to another network.
        """
        if _same_file(identity, expression) and face == expression_face:
            self.note(f"{identity}: identity and expression are the same face; nothing will change")
        found = self.faces([(identity, "the identity", face), (expression, "the expression", expression_face)])
        return self.put(*found)

    def put(self, identity: Face, expression: Face) -> Result:
        """The transfer between two faces that were made ready by `faces`."""
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

    def faces(self, wanted: Sequence[tuple[Source, str, int | None]]) -> list[Face]:
        """Faces ready to be fused, their latents remembered or projected together.

        wanted: source, what to call it in messages, and which face (1 for the surest; None for the largest).
        """
        looks = [self.look(*each) for each in wanted]
        known = [self._remembered(look) for look in looks]
        crops = [
            look.crop for look, latent in zip(looks, known, strict=True) if latent is None and look.crop is not None
        ]
        made = iter(self._invert(crops))
        faces = []
        for look, latent, (_, what, _) in zip(looks, known, wanted, strict=True):
            found = latent if latent is not None else next(made)
            confidence = 1.0 if look.crop is None else face_confidence(look.crop)
            faces.append(Face(found, look.photo, look.crop, confidence, look.crop is not None and latent is not None))
            self._warn(faces[-1], what)
        return faces

    def look(self, source: Source, what: str, number: int | None) -> _Look:
        """What a source shows: a latent, or a photo and the face in it."""
        if isinstance(source, Projection):
            source = source.latent
        if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == _LATENT_SUFFIX:
            source = api.load_latent(source, self.generator)
        if isinstance(source, Latent):
            api.check_latent(source, self.generator, what)
            return _Look(latent=source)
        photo = Photo(source) if isinstance(source, np.ndarray) else read_photo(source)
        name = what if isinstance(source, np.ndarray) else f"{what}, {os.fspath(source)}"
        try:
            crops = api.align(photo.rgb, self.generator.config.resolution, self.landmarks)
        except NoFaceFound as error:
            raise NoFaceFound(f"{name}: {error}") from None
        return _Look(photo, self._choose(crops, number, name))

    def _invert(self, crops: Sequence[FaceCrop]) -> list[Latent]:
        """The latents of crops: the encoder's, or projections, which are remembered."""
        if not crops:
            return []
        if self.encode:
            return [Latent(ws.cpu(), self.generator.fingerprint) for ws in api.encode(crops, self.generator)]
        made = api.project(crops, self.generator, self.project, on_step=self.on_step)
        return [self._remember(crop, projection) for crop, projection in zip(crops, made, strict=True)]

    def _remembered(self, look: _Look) -> Latent | None:
        if look.crop is None or self.cache is None or self.encode:
            return look.latent
        return self.cache.get(self._key(look.crop), self.generator.fingerprint)

    def _remember(self, crop: FaceCrop, projection: Projection) -> Latent:
        """The projection's latent, with its verdict in the metadata, also put into the cache."""
        facts = {"distance": repr(float(projection.distance)), "verdict": projection.verdict}
        latent = replace(projection.latent, metadata={**(projection.latent.metadata or {}), **facts})
        if self.cache is not None:
            self.cache.put(self._key(crop), latent)
        return latent

    def _key(self, crop: FaceCrop) -> str:
        return ProjectionCache.key(crop.image, self.generator.fingerprint, self.project)

    def _choose(self, crops: Sequence[FaceCrop], number: int | None, name: str) -> FaceCrop:
        if number is not None:
            return pick_face(crops, number, name)
        if len(crops) > 1:
            largest = max(range(len(crops)), key=lambda k: crops[k].side)
            self.note(f"{name}: {len(crops)} faces, taking the largest (face {largest + 1}); choose another by number")
            return crops[largest]
        return crops[0]

    def _warn(self, face: Face, what: str) -> None:
        if face.confidence < LOW_CONFIDENCE:
            self.note(
                f"{what}: the face is turned far away or partly hidden (confidence {face.confidence:.2f}); "
                "expect a poor transfer"
            )
        verdict = (face.latent.metadata or {}).get("verdict", "")
        if verdict.startswith("outside"):
            self.note(f"{what}: the face is {verdict}; expect a poor transfer")

    def _warn_of_nothing(self, made: Transfer) -> None:
        if not made.layers:
            self.note(
                "no row of the expression is worth its cost in appearance; raise expression_weight, or name layers"
            )

    def _points(self, image: Pixels) -> NDArray[np.float64]:
        """Landmarks [68, 2] of a regenerated picture, in its pixels."""
        (points,) = find_points(self.generator, image[None])
        return np.asarray(points)

    def _first_face(self, driver: Clip, name: str) -> Latent:
        """The latent of the first frame that shows a face, projected with all steps."""
        for frame in driver:
            crop = self._find(frame)
            if crop is not None:
                known = self._remembered(_Look(None, crop))
                return known if known is not None else self._invert([crop])[0]
        raise NoFaceFound(f"{name}: no face in any of its frames; give one that shows a face from the front")

    def _find(self, frame: Frame) -> FaceCrop | None:
        try:
            crops = api.align(
                np.ascontiguousarray(frame.pixels[..., :3]), self.generator.config.resolution, self.landmarks
            )
        except NoFaceFound:
            return None
        return max(crops, key=lambda crop: crop.side)

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
                theirs = self._invert([crop])[0].ws if self.encode else api.follow(crop, self.generator, theirs)
            if crop is not None or picture is None:
                image: Pixels = api.synthesise(self.generator, made.carry(theirs - first.ws))[0]
                picture = image if placer is None else placer.place(image, self._points(image))
            yield Frame(picture, frame.time)


def find_points(generator: Generator, images: Pixels) -> NDArray[np.float64]:
    """Landmarks [N, 68, 2] of drawn faces [N, R, R, 3], in their pixels."""
    device = generator.w_avg.device
    with torch.no_grad():
        points = api.judge(str(device)).landmarks(to_tensor(images).to(device))
    return np.asarray(points.cpu().double().numpy() * images.shape[1] - 0.5)


def make_placer(
    face: Face, generator: Generator, reference: Pixels, place: str, composite: CompositeOptions | None = None,
    reach: Sequence[NDArray[np.float64]] = (),
) -> Compositor | ExpressionMap | None:  # fmt: skip
    """What puts drawn pictures of a face into its photo, by `place` (warp or paste); None without a photo.

    reference: what the generator draws for the face as it is. composite, reach: for paste, as `Compositor` takes them.
    """
    if face.photo is None or face.crop is None:
        return None
    if place == "paste":
        return Compositor(face.photo.rgb, face.crop, composite, reference=reference, reach=reach)
    (points,) = find_points(generator, reference[None])
    return ExpressionMap(face.photo.rgb, face.crop, reference, points)


def face_confidence(crop: FaceCrop) -> float:
    """0 ... 1: how much of a face can be seen, by how frontal its landmarks lie and how much of it looks like skin."""
    return min(frontality(crop.landmarks), visible_share(crop.image, crop.crop_landmarks))


def _same_file(a: Source, b: Source) -> bool:
    if not (isinstance(a, str | os.PathLike) and isinstance(b, str | os.PathLike)):
        return a is b
    return Path(a).exists() and Path(b).exists() and Path(a).samefile(b)
