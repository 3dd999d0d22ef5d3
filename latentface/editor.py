"""FaceEditor: all operations as methods of one object, on files or arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from latentface import api
from latentface.arrays import Pixels
from latentface.emotion import EmotionSequence
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop, WhichFace, pick_face
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.inversion.projector import Projection, StepCallback
from latentface.io.clip import Clip
from latentface.io.colour import srgb
from latentface.io.images import Photo, read_photo
from latentface.io.video import read_clip
from latentface.latents.latent import Latent
from latentface.options.clips import AnimateOptions, ClipOptions, SequenceOptions, VideoOptions
from latentface.options.photos import CompositeOptions, EditOptions, TransferOptions
from latentface.options.projection import ProjectOptions
from latentface.options.styles import StyliseOptions
from latentface.pretrained.catalogue import DEFAULT_GENERATOR
from latentface.styles.style import Style

if TYPE_CHECKING:
    from latentface.editing.attribute_edit import Edit
    from latentface.editing.clip_edit import EditedClip
    from latentface.editing.expression_transfer import Result
    from latentface.editing.inverted_face import Face, FaceFinder, Note
    from latentface.editing.keyframes import Keyframes
    from latentface.editing.stylisation import Stylised
    from latentface.motion.animator import Animation
    from latentface.networks.generator import Generator

PhotoSource = str | os.PathLike[str] | Pixels
StyleSource = Style | str | os.PathLike[str]


class FaceEditor:
    """All operations of latentface, with networks that are chosen once.

    The methods include `align`, `project`, `edit`, `transfer`, `animate`, `video` and `sample`.

    In every method, `face` is the number of a face in the photo, counted from 1 in the order in which `align` returns
    them (by detection confidence, the highest first); None is the largest face (in `animate`, which moves several at
    once, all of them). `project` says how the latent of a face is found; None means the default of each method. An
    option that has no effect in the chosen mode raises UsageError.

    Args:
        network: built-in name or file of a generator.
        device: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU when there is one.
        seed: seed of all random numbers, unless the options give another.
        landmarks: `builtin`, `dlib68`, or a name or file as `latentface.hub.landmark_predictor` takes them.

    Raises:
        UnknownNetwork, WeightsError: the generator cannot be used.
        UsageError: the device does not exist on this machine.
    """

    def __init__(
        self,
        network: str | os.PathLike[str] = DEFAULT_GENERATOR,
        device: str = "cpu",
        seed: int = 0,
        landmarks: str = "builtin",
    ) -> None:
        self.network = os.fspath(network)
        self.device = api.pick_device(device)
        self.seed = seed
        self.landmarks = landmarks
        self.generator: Generator = api.load_generator(network, self.device)

    @property
    def resolution(self) -> int:
        """Width and height of the generator's pictures in pixels."""
        return self.generator.config.resolution

    @property
    def fingerprint(self) -> str:
        """The fingerprint that links latents to this generator."""
        return self.generator.fingerprint

    def align(self, photo: PhotoSource) -> list[FaceCrop]:
        """Find every face in a photo (a file, or uint8 RGB [H, W, 3]), cropped at the generator's resolution.

        Crops of a file are in sRGB.

        Raises:
            InputError: the file cannot be read.
            NoFaceFound: the photo shows no face; the message names the file.
        """
        if not isinstance(photo, np.ndarray):
            try:
                return api.align(srgb(read_photo(photo)).rgb, self.resolution, self.landmarks)
            except NoFaceFound as error:
                raise NoFaceFound(f"{os.fspath(photo)}: {error}") from None
        return api.align(photo, self.resolution, self.landmarks)

    def project(
        self,
        photo: PhotoSource | FaceCrop,
        options: ProjectOptions | None = None,
        *,
        face: WhichFace = None,
        on_step: StepCallback | None = None,
    ) -> Projection:
        """Find a face and invert it into the generator's latent space.

        Args:
            photo: a file, uint8 RGB [H, W, 3], or a crop from `align`.
            options: how; by default `ProjectOptions(seed=self.seed)`.
            face: which face of the photo, counted from 1 as `align` returns them; by default the largest.
            on_step: called as on_step(step, state) after every step.

        Raises:
            InputError: the file cannot be read, or has fewer faces than `face`.
            NoFaceFound: the photo shows no face.
            UsageError: `face` is given for a crop.
        """
        if isinstance(photo, FaceCrop) and face is not None:
            raise UsageError(f"a crop shows a single face; leave out the number of the face ({face})")
        crop = photo if isinstance(photo, FaceCrop) else pick_face(self.align(photo), face)
        return self.project_crops([crop], options, on_step=on_step)[0]

    def project_crops(
        self,
        crops: Sequence[FaceCrop],
        options: ProjectOptions | None = None,
        *,
        on_step: StepCallback | None = None,
    ) -> list[Projection]:
        """Invert several crops together and return one projection for each, in the same order."""
        return api.project(list(crops), self.generator, options or ProjectOptions(seed=self.seed), on_step=on_step)

    def transfer(
        self,
        identity: PhotoSource | Latent | Projection,
        expression: PhotoSource | Latent | Projection,
        options: TransferOptions | None = None,
        *,
        face: WhichFace = None,
        expression_face: WhichFace = None,
        project: ProjectOptions | None = None,
        composite: CompositeOptions | None = None,
        on_note: Note | None = None,
    ) -> Result:
        """Give the person in one photo the expression of another face, at the photo's full resolution.

        Projections are stored in the user's cache folder, so the next transfer with the same photo takes only seconds.

        Args:
            identity: a photo file, uint8 RGB [H, W, 3], a latent file, a latent or a projection.
            expression: likewise.
            options: how the expression is taken, and how it is applied to the photo; by default `TransferOptions()`.
            face: which face of the identity's photo, counted from 1 in order of confidence; by default the largest.
            expression_face: which face of the expression's photo, likewise.
            project: how the latents are found; by default the network's own encoder if it has one and the face is not
                pasted, and a search otherwise.
            composite: how a synthesised face is pasted.
            on_note: called with notes about photos with several faces, faces that are turned away or hidden, and poor
                projections.

        Returns:
            `Result` with `photo` (its rgb, alpha and metadata) and `transfer` (latent, layers, image, costs).

        Raises:
            InputError, NoFaceFound: a photo cannot be used; the message says which one.
            LatentMismatch: a latent belongs to another network.
            UsageError: an option has no effect, such as an option for pasting when the photo's own pixels are moved.
        """
        from latentface.editing.expression_transfer import Transferrer

        options = options or TransferOptions()
        finder = self._finder(options.place == "paste", on_note, project)
        transferrer = Transferrer(finder, options, composite)
        return transferrer.photo(identity, expression, face=face, expression_face=expression_face)

    def animate(
        self,
        photo: PhotoSource | Photo,
        driving: str | os.PathLike[str] | Clip | Sequence[str | os.PathLike[str] | Clip],
        options: AnimateOptions | None = None,
        *,
        face: WhichFace = None,
        network: str | os.PathLike[str] | None = None,
        driver_face: WhichFace = None,
    ) -> Animation:
        """Move the faces of a photo like the faces in driving clips; see `latentface.animate`.

        Args:
            photo: a file, uint8 RGB [H, W, 3], or a `Photo` with alpha.
            driving: a clip or its file; or one for each face from left to right.
            options: how; by default `AnimateOptions()`.
            face: only this face moves, counted from 1 as `align` returns them; by default all.
            network: model for the engine "motion" or "vid2vid", by default the built-in one; without options, it is one
                for "motion". See `latentface.animate`.
            driver_face: whose face of the clips moves it; see `latentface.animate`.

        Returns:
            `Animation`: its `clip` is computed while it is written (`write_clip`), and its `report` is filled in
            meanwhile.

        Raises:
            InputError, NoFaceFound: the photo or a clip cannot be used.
        """
        read = photo if isinstance(photo, Photo | np.ndarray) else read_photo(photo)
        whole = read if isinstance(read, Photo) else Photo(read)
        try:
            whole, faces, _ = api.align_upright(whole, self.resolution, self.landmarks)
        except NoFaceFound as error:
            name = os.fspath(photo) if isinstance(photo, str | os.PathLike) else "the photo"
            raise NoFaceFound(f"{name}: {error}") from None
        chosen = faces if face is None else [pick_face(faces, face)]
        still = [each for each in faces if all(each is not moved for moved in chosen)]
        given = [driving] if isinstance(driving, str | os.PathLike | Clip) else driving
        clips = [clip if isinstance(clip, Clip) else read_clip(clip) for clip in given]
        engine = options.engine if options is not None else "motion" if network else "head"
        model = api.load_engine(engine, network, self.device)
        return api.animate(
            whole, clips, model, options, faces=chosen, still=still, landmarks=self.landmarks, driver_face=driver_face
        )

    def edit(
        self,
        photo: PhotoSource | Latent | Projection,
        changes: Mapping[str, float],
        options: EditOptions | None = None,
        *,
        face: WhichFace = None,
        project: ProjectOptions | None = None,
        directions: str | os.PathLike[str] | None = None,
        composite: CompositeOptions | None = None,
        style: StyleSource | None = None,
        on_note: Note | None = None,
    ) -> Edit:
        """Change the expression, gaze or pose of the face in a photo, at the photo's full resolution.

        Args:
            photo: a file, uint8 RGB [H, W, 3], or a latent, a latent file or a projection, in which case the result is
                the face alone.
            changes: strengths of directions and values of controls by name, such as {"happiness": 2, "blink": 1,
                "yaw+": 10}; see `editing.attribute_edit.split_changes`.
            options: which rows of the latent change, and how the change is applied to the photo.
            face: which face of the photo, counted from 1 as `align` returns them; by default the largest.
            project: how the latent is found; by default the network's own encoder if it has one and the photo's own
                pixels are moved, and a search otherwise.
            directions: a file of further directions.
            composite: how a synthesised face is pasted.
            style: a style or its file, in which the face alone is drawn, as with `EditOptions.crop`.
            on_note: called with notes about strengths beyond the network's range, photos with several faces, and poor
                projections.

        Returns:
            `Edit` with `photo` (its rgb, alpha and metadata), `latent`, `image`, and `excess`.

        Raises:
            InputError, NoFaceFound: the photo cannot be used.
            UsageError: unknown direction (similar names are suggested), or an option without effect.
        """
        from latentface.editing.attribute_edit import Retoucher, shows_drawing, split_changes, way
        from latentface.editing.placement import check_composite

        options, known = options or EditOptions(crop=style is not None), api.list_directions(self.generator)
        if style is not None and not options.crop:
            raise UsageError("a style is drawn by the generator, in the face alone: use EditOptions(crop=True)")
        if directions is not None:
            known |= api.list_directions(self.generator, directions)
        used = [direction for direction, _ in split_changes(changes, known)[0]]
        check_composite(composite, way(options, used), options.crop)
        shown = shows_drawing(options, used)
        found = self._dressed(self._finder(shown, on_note, project).face(photo, face), style)
        return Retoucher(found, self.generator, known, options, composite, on_note).edit(changes)

    def edit_clip(
        self,
        clip: str | os.PathLike[str] | Clip,
        changes: Mapping[str, float] | Keyframes,
        options: ClipOptions | None = None,
        *,
        face: WhichFace = None,
        on_note: Note | None = None,
    ) -> EditedClip:
        """Edit one face in every frame of a clip; its speech and blinks, the timestamps and the sound are kept.

        Args:
            clip: the clip or its file (`read_clip` opens a folder of frames).
            changes: strengths of emotions and of built-in directions of expression or pose, and values of controls by
                name, as in `edit`; or such values over time.
            options: how; by default `ClipOptions()`.
            face: which face of the first frame that shows any, counted from 1 in order of confidence; by default the
                largest.
            on_note: called with one-line notes for the user.

        Returns:
            `EditedClip`: its `clip` is computed while it is written (`write_clip`), and its `report` is filled in
            meanwhile.

        Raises:
            InputError, NoFaceFound: the clip cannot be used.
            UsageError: unknown direction or control.
        """
        from latentface.editing.clip_edit import change_by_name, edit_clip
        from latentface.editing.keyframes import Keyframes

        change = change_by_name(changes if isinstance(changes, Keyframes) else Keyframes(changes))
        film = clip if isinstance(clip, Clip) else read_clip(clip)
        name = "the clip" if isinstance(clip, Clip) else os.fspath(clip)
        return edit_clip(film, change, options, face=face, landmarks=self.landmarks, name=name, note=on_note)

    def video(
        self,
        photo: PhotoSource | Latent | Projection,
        emotions: EmotionSequence | str,
        options: SequenceOptions | None = None,
        drawing: VideoOptions | None = None,
        *,
        face: WhichFace = None,
        project: ProjectOptions | None = None,
        composite: CompositeOptions | None = None,
        style: StyleSource | None = None,
        on_note: Note | None = None,
    ) -> Clip:
        """Make a clip in which the face of a photo shows one emotion after another; the rest of the photo is kept.

        Args:
            photo: a file, uint8 RGB [H, W, 3], or a latent, a latent file or a projection, in which case the result is
                the face alone.
            emotions: the sequence, or names with strengths such as "happiness,surprise=1.5,neutral", 2 seconds each.
            options: how the face moves: easing, holds, loop, blinks, sway.
            drawing: the frame rate, whether to show the face alone or the photo, and how the expression is applied to
                the photo.
            face: which face of the photo, counted from 1 as `align` returns them; by default the largest.
            project: how the latent is found; by default the network's own encoder if it has one and the face is not
                pasted, and a search otherwise.
            composite: how a synthesised face is pasted.
            style: a style or its file, in which the face alone is drawn, as with `VideoOptions.crop`.
            on_note: called with notes about emotions too strong for the network, photos with several faces, and poor
                projections.

        Returns:
            `Clip`, whose frames are computed while it is iterated over or written (`write_clip`).

        Raises:
            InputError, NoFaceFound: the photo cannot be used.
            UsageError: unknown emotion, no direction for it, an invalid rate, or an option without effect.
        """
        from latentface.editing.expression_video import perform
        from latentface.editing.placement import check_composite

        sequence = EmotionSequence.of(emotions) if isinstance(emotions, str) else emotions
        drawing = drawing or VideoOptions(crop=style is not None)
        if style is not None and not drawing.crop:
            raise UsageError("a style is drawn by the generator, in the face alone: use VideoOptions(crop=True)")
        check_composite(composite, drawing.place, drawing.crop)
        pasted = drawing.place == "paste" and not drawing.crop
        likeness = pasted or style is not None
        found = self._dressed(self._finder(likeness, on_note, project).face(photo, face), style)
        return perform(found, sequence, self.generator, options, drawing, composite, on_note).clip

    def synthesise(
        self, latent: Latent | str | os.PathLike[str], tuned: TunedDeltas | str | os.PathLike[str] | None = None
    ) -> Pixels:
        """Synthesise a latent or a latent file as uint8 RGB [R, R, 3].

        Args:
            latent: a latent of this generator, or its file.
            tuned: the weights that pivotal tuning changed in the generator for this latent, or their file.

        Raises:
            LatentMismatch: the latent belongs to another generator.
            InputError: a file is missing or malformed.
        """
        if not isinstance(latent, Latent):
            latent = api.load_latent(latent, self.generator)
        if tuned is not None and not isinstance(tuned, TunedDeltas):
            tuned = TunedDeltas.load(tuned)
        picture: Pixels = api.synthesise(self.generator, latent, tuned)[0]
        return picture

    def stylise(
        self,
        photo: PhotoSource | Latent | Projection,
        style: Style | PhotoSource,
        options: StyliseOptions | None = None,
        *,
        face: WhichFace = None,
        project: ProjectOptions | None = None,
        on_note: Note | None = None,
    ) -> Stylised:
        """Draw the face in a photo in a style.

        Args:
            photo: a file, uint8 RGB [H, W, 3], or a latent, a latent file or a projection, in which case the result is
                the face alone.
            style: a style, its file, or a picture, from which it is learnt (`latentface.learn_style` learns it once).
            options: how; by default `StyliseOptions()`.
            face: which face of the photo, counted from 1 as `align` returns them; by default the largest.
            project: how the latent is found; by default by a search.
            on_note: called with notes about photos with several faces, and poor projections.

        Raises:
            InputError, NoFaceFound: the photo or the style's file cannot be used.
            LatentMismatch: the style belongs to another network.
            UsageError: a latent by the method gatys, which draws photos.
        """
        from latentface.editing.stylisation import stylise

        return stylise(
            photo, style, options, generator=self.generator, face=face, project=project, landmarks=self.landmarks,
            on_note=on_note,
        )  # fmt: skip

    def sample(
        self, seeds: Sequence[int] | int | None = None, psi: float = 0.7, style: StyleSource | None = None
    ) -> Pixels:
        """Generate new faces, one for each seed: uint8 RGB [N, R, R, 3].

        Args:
            seeds: several seeds, or one, or None for the editor's own seed.
            psi: truncation towards the mean face; 1 is the full variety, 0 the mean.
            style: a style or its file, in which they are drawn.
        """
        chosen = [self.seed if seeds is None else seeds] if seeds is None or isinstance(seeds, int) else list(seeds)
        if not chosen:
            raise UsageError("sample: no seeds given; name at least one")
        if style is None:
            return api.sample(self.generator, chosen, psi)
        from latentface.editing.stylisation import open_style

        return api.sample(open_style(style, self.generator).apply(self.generator), chosen, psi)

    def _dressed(self, face: Face, style: StyleSource | None) -> Face:
        from latentface.editing.stylisation import dressed, open_style

        return face if style is None else dressed(face, open_style(style, self.generator))

    def _finder(self, likeness: bool, note: Note | None, project: ProjectOptions | None) -> FaceFinder:
        """The finder of faces to edit, with the projection given or the default of `choose_projection`."""
        from latentface.editing.inverted_face import FaceFinder, choose_projection

        project = project or choose_projection(self.generator, likeness, self.seed)
        cache = api.projection_cache()
        return FaceFinder(self.generator, project, landmarks=self.landmarks, cache=cache, note=note)


def describe(projection: Projection, facts: dict[str, str]) -> Latent:
    """The projection's latent with its origin recorded in its metadata."""
    metadata = {**(projection.latent.metadata or {}), **facts}
    return replace(projection.latent, metadata=metadata)
