"""The public functions: they combine the algorithms with the built-in networks, which `hub` loads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, overload

import numpy as np
import torch
from numpy.typing import NDArray

from latentface import hub
from latentface.arrays import Pixels
from latentface.compositing import compositor
from latentface.emotion import Emotion, EmotionSequence
from latentface.emotions import prediction, recognition
from latentface.emotions.recognition import Reading, Recogniser
from latentface.emotions.resume_log import Journal
from latentface.errors import NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.faces.choice import Likeness
from latentface.faces.crop import FaceCrop, WhichFace, pick_face
from latentface.fusion import style_mixing
from latentface.fusion.style_mixing import MeasureCallback, Transfer
from latentface.head import fitting
from latentface.head.fit import HeadFit
from latentface.hub import check_latent as check_latent
from latentface.hub import face_networks as face_networks
from latentface.hub import find_recogniser as find_recogniser
from latentface.hub import forget as forget
from latentface.hub import landmark_predictor as landmark_predictor
from latentface.hub import list_directions as list_directions
from latentface.hub import load_animator as load_animator
from latentface.hub import load_direction as load_direction
from latentface.hub import load_generator as load_generator
from latentface.hub import load_latent as load_latent
from latentface.hub import load_talking_head as load_talking_head
from latentface.hub import pick_device as pick_device
from latentface.inversion import projector
from latentface.inversion.cache import ProjectionCache
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.inversion.projector import Projection, StepCallback
from latentface.io import images
from latentface.io.clip import Clip
from latentface.io.colour import convert, srgb
from latentface.io.images import Photo
from latentface.io.provenance import COMPOSITE
from latentface.latents.latent import Latent, is_latent_file
from latentface.modes import check_effect, spell_value, when
from latentface.motion import animator, head_engine
from latentface.motion.animator import Animation
from latentface.networks.motion import MotionModel
from latentface.networks.vid2vid import Vid2VidModel
from latentface.options.clips import AnimateOptions, ReadOptions
from latentface.options.photos import CompositeOptions, TransferOptions
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

ENGINE_NETWORKS = {"motion": "face-motion", "vid2vid": "vid2vid"}  # built in, by engine of `animate`
FOLLOW_STEPS = 30  # steps of the search for a frame of a clip, which starts at the frame before
FOLLOW_RATE = 0.08  # its learning rate: the default gets 3 % closer, but frames jitter a tenth more
DEFAULT_SIZE = 256  # pixels: the resolution of the default generator


def align(photo: Pixels, size: int = DEFAULT_SIZE, landmarks: str = "builtin") -> list[FaceCrop]:
    """Find every face in a photo and crop it by the FFHQ alignment (Karras et al. 2019, appendix A).

    Args:
        photo: uint8 RGB [H, W, 3].
        size: side of the crops in pixels, the generator's resolution.
        landmarks: `builtin`, `dlib68`, or a name or file as `latentface.hub.landmark_predictor` takes them.

    Returns:
        One `FaceCrop` for each face, in order of detection confidence, the highest first.

    Raises:
        NoFaceFound: the photo shows no face.
        WeightsError: the landmark predictor cannot be loaded.
    """
    return alignment.align(photo, size=size, landmarks=landmark_predictor(landmarks))


def align_upright(
    photo: Photo, size: int = DEFAULT_SIZE, landmarks: str = "builtin"
) -> tuple[Photo, list[FaceCrop], str | None]:
    """Find faces as `align` does, and turn the photo upright if it is on its side or upside down.

    Returns:
        The photo, turned if necessary; its faces, whose crops are in sRGB; and a note for the user if it was turned.

    Raises:
        NoFaceFound: no face was found in any of the four orientations.
    """
    crops, note = align(photo.rgb, size, landmarks), None
    quarters = crops[0].quarter_turns
    if quarters:
        photo = images.turned(photo, quarters)
        crops = align(photo.rgb, size, landmarks)
        note = f"no upright face; the photo was turned by {(360 - 90 * quarters) % 360} degrees clockwise, and stays so"
    return photo, [replace(crop, image=convert(crop.image, photo.icc)) for crop in crops], note


@overload
def project(
    crops: FaceCrop | Pixels,
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    on_step: StepCallback | None = None,
) -> Projection: ...


@overload
def project(
    crops: Sequence[FaceCrop],
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    on_step: StepCallback | None = None,
) -> list[Projection]: ...


def project(
    crops: FaceCrop | Pixels | Sequence[FaceCrop],
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    on_step: StepCallback | None = None,
) -> Projection | list[Projection]:
    """Invert aligned crops into the generator's latent space, using the built-in perceptual distance.

    Args:
        crops: a `FaceCrop`, its pixels (uint8 [R, R, 3]), or a sequence of crops that are optimised together.
        generator: the network to invert; R is its resolution.
        options: how to search; by default `ProjectOptions()`.
        on_step: called as on_step(step, state) after every step.

    Returns:
        One `Projection`, or a list in the crops' order for a sequence.

    Raises:
        UsageError: `options.start` asks for an encoder but the network has none; see also `projector.project`.
        InputError, LatentMismatch: `options.start` is a latent file that cannot be read or belongs to another network.
        UnknownNetwork, WeightsError, LatentMismatch: the same for an encoder named in `options.start`, and for
            `options.preconditioner`.
    """
    distance = hub.perceptual(str(generator.w_avg.device))
    options = options or ProjectOptions()
    return projector.project(
        crops,
        generator,
        options,
        distance=distance,
        on_step=on_step,
        start=start_of(crops, generator, options.start, search=options.steps > 0),
        statistics=hub.w_statistics(generator),
        preconditioner=hub.preconditioner(generator, options.preconditioner),
    )


def follow(crop: FaceCrop, generator: Generator, before: torch.Tensor, steps: int = FOLLOW_STEPS) -> torch.Tensor:
    """Find the latent ws [num_ws, w_dim] of a frame in a clip by a search that starts at the previous frame's."""
    options = ProjectOptions(steps=steps, learning_rate=FOLLOW_RATE)
    found = projector.project(
        crop,
        generator,
        options,
        distance=hub.perceptual(str(generator.w_avg.device)),
        start=before[None].to(generator.w_avg.device),
        statistics=hub.w_statistics(generator),
        preconditioner=hub.preconditioner(generator),
    )
    return found.latent.ws


def encode(
    crops: FaceCrop | Pixels | Sequence[FaceCrop | Pixels], generator: Generator, encoder: str | None = None
) -> torch.Tensor:
    """The latents of crops in one pass of an encoder: ws [N, num_ws, w_dim].

    Args:
        crops: one or several, from `align` or as uint8 RGB [R, R, 3], where R is the network's resolution.
        generator: the network to which the latents belong.
        encoder: name or file of an encoder for this network; by default the network's own.

    Raises:
        UsageError: no encoder is named, and the network has none.
        UnknownNetwork, WeightsError, LatentMismatch: the named encoder cannot be used.
    """
    network = hub.encoder(generator) if encoder is None else hub.named_encoder(encoder, generator)
    if network is None:
        raise UsageError("this network has no encoder; search from the mean (start=mean), or name an encoder as start")
    parts = [crops] if isinstance(crops, FaceCrop | np.ndarray) else crops
    pictures = [images.to_tensor(part.image if isinstance(part, FaceCrop) else part) for part in parts]
    with torch.no_grad():
        ws: torch.Tensor = network(torch.cat(pictures).to(generator.w_avg.device))
    return ws


def has_encoder(generator: Generator) -> bool:
    """Whether the network comes with an encoder, see `encode`."""
    return hub.encoder(generator) is not None


def start_of(
    crops: FaceCrop | Pixels | Sequence[FaceCrop | Pixels], generator: Generator, start: str, search: bool = True
) -> torch.Tensor | None:
    """The starting point of a search by `ProjectOptions.start`: ws [N, num_ws, w_dim], or None for the mean w.

    search: whether a search follows. If not, auto means the network's encoder.

    Raises the same errors as `encode`, and UsageError for the mean without a search, which would not resemble anybody.
    """
    if start == "mean" or (start == "auto" and search and not has_encoder(generator)):
        if not search:
            raise UsageError("start=mean with steps=0 gives the mean face; use more steps, or begin at an encoder")
        return None
    if start in ("auto", "encoder"):
        return encode(crops, generator)
    if is_latent_file(start):
        count = 1 if isinstance(crops, FaceCrop | np.ndarray) else len(crops)
        return load_latent(start, generator).ws.expand(count, -1, -1)
    return encode(crops, generator, start)


def transfer(
    *,
    identity: Projection | Latent,
    expression: Projection | Latent,
    generator: Generator,
    options: TransferOptions | None = None,
    on_measure: MeasureCallback | None = None,
    tuned: tuple[Generator, Generator] | None = None,
    shown: Pixels | None = None,
) -> Transfer:
    """Give one face the expression of another by splicing their latents at minimal cost (`style_mixing.fuse`).

    Args:
        identity: a projection or a latent: the face that keeps its appearance.
        expression: likewise, the face whose expression is taken. If a projection was tuned, its face is synthesised by
            the tuned generator; spliced latents are synthesised by that of the identity.
        generator: the network of both.
        options: how; by default `TransferOptions()`.
        on_measure: called as on_measure(number of measurements, best objective) during the search.
        tuned: the tuned generators of both faces, if they are already loaded.
        shown: the aligned crop of the expression's photo, uint8 RGB [R, R, 3], with which the expression is compared;
            by default its synthesised image is used.

    Returns:
        `Transfer` with `latent`, `layers` (the rows taken from the expression), `image` and the costs.

    Raises:
        LatentMismatch: a latent belongs to another network.
        UsageError: the options do not fit this network, or the solver is missing or does not finish.
    """
    first, second = (each.latent if isinstance(each, Projection) else each for each in (identity, expression))
    if tuned is None:
        deltas = (each.tuned if isinstance(each, Projection) else None for each in (identity, expression))
        own, other = (generator if part is None else part.apply(generator) for part in deltas)
        tuned = own, other
    space, networks = hub.expressions(generator), face_networks(str(generator.w_avg.device))
    picture = None if shown is None else images.to_tensor(shown)
    return style_mixing.fuse(first, second, generator, networks, options, on_measure, space, tuned, picture)


def likeness(picture: Pixels, name: str = "the picture") -> Likeness:
    """The rule that finds, among the faces of a photo, that of the person in a picture, uint8 RGB [H, W, 3].

    Raises:
        NoFaceFound: the picture shows no face.
    """
    try:
        crop = pick_face(align(picture, DEFAULT_SIZE), None)
    except NoFaceFound as error:
        raise NoFaceFound(f"{name}: {error}") from None
    return Likeness(name, hub.embed_faces(crop.image[None])[0], hub.embed_faces)


def projection_cache() -> ProjectionCache:
    """The cache of projections, in the user's cache folder for latentface or the folder named by LATENTFACE_CACHE."""
    from latentface.pretrained.cache import folder

    return ProjectionCache(folder() / "projections")


def fit_head(
    crop: FaceCrop, photo: Photo | Pixels | None = None, *, light: bool = False, start: HeadFit | None = None
) -> HeadFit:
    """Fit the morphable head to a face: identity, expression by ARKit names, pose, gaze and camera, in photo pixels.

    Args:
        crop: the face as `align` found it.
        photo: the photo it was found in, uint8 RGB [H, W, 3] or a `Photo`, which shows the eyes in more detail than the
            crop; by default only the crop's pixels are used.
        light: whether to estimate the light on the skin as well.
        start: the fit in the previous frame of a clip of the same person, in photo pixels.

    Returns:
        `HeadFit`, which `with_expression` and `with_pose` change and `to_json` serialises.

    Raises:
        InputError: the landmarks do not form a face, or the face is turned by more than 60 degrees.
        UsageError: `light` or `start` is given without a photo.
    """
    if (light or start is not None) and photo is None:
        raise UsageError("light=True and start need the photo: give it as the second argument")
    model, reader = hub.head_model(), hub.head_reader()
    if photo is None:
        pixels, points = crop.image, crop.crop_landmarks
    else:
        pixels, points = photo.rgb if isinstance(photo, Photo) else photo, crop.landmarks
    reading = reader(pixels, points, model.expression_names)
    fit = fitting.fit_head(model, points, pixels, reading=reading, start=start)
    if photo is None:
        return fit.mapped(crop.to_photo)
    return fit.with_light(model, pixels) if light else fit


def projection_key(crop: FaceCrop, generator: Generator, options: ProjectOptions) -> str:
    """The cache key of a projection: everything it depends on; files named in the options count by their content.

    Raises the same errors as `project` if these files cannot be used.
    """
    content = {"builtin": hub.builtin_digest()}  # the perceptual network, and the networks that auto stands for
    if options.start not in ("auto", "mean", "encoder"):
        content["start"] = _digest(load_latent(options.start, generator).ws)
    if options.preconditioner not in ("auto", "none"):
        found = hub.preconditioner(generator, options.preconditioner)
        assert found is not None, "only the word none disables it"
        content["preconditioner"] = _digest(found.directions, found.shares, found.deviations)
    return ProjectionCache.key(crop, generator.fingerprint, options, content)


def _digest(*tensors: torch.Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{list(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@overload
def composite(
    photo: Photo, crop: FaceCrop, image: Pixels, options: CompositeOptions | None = None, *,
    landmarks: NDArray[np.floating] | None = None, reference: Pixels | None = None,
) -> Photo: ...  # fmt: skip


@overload
def composite(
    photo: Pixels, crop: FaceCrop, image: Pixels, options: CompositeOptions | None = None, *,
    landmarks: NDArray[np.floating] | None = None, reference: Pixels | None = None,
) -> Pixels: ...  # fmt: skip


def composite(
    photo: Photo | Pixels, crop: FaceCrop, image: Pixels, options: CompositeOptions | None = None, *,
    landmarks: NDArray[np.floating] | None = None, reference: Pixels | None = None,
) -> Photo | Pixels:  # fmt: skip
    """Blend an edited picture of a face back into its photo; outside the face every pixel stays the same.

    Args:
        photo: uint8 RGB [H, W, 3], or a `Photo`, whose alpha channel, EXIF block and ICC profile are kept.
        crop: the face as `align` found it in this photo.
        image: the edited crop, uint8 RGB [S, S, 3], of any size.
        options: how; defaults to `CompositeOptions()`.
        landmarks: [68, 2], the landmarks of the edited picture, in its own pixels.
        reference: uint8 RGB [S, S, 3], the synthesised picture of the unedited crop; see
            `latentface.compositing.compositor.Compositor`.

    Returns:
        The same type as `photo`, with the same size.

    Raises:
        UsageError: wrong dtype or shape, or a face outside the photo.
    """
    rgb = photo.rgb if isinstance(photo, Photo) else photo
    made = compositor.composite(rgb, crop, image, options, landmarks=landmarks, reference=reference)
    return replace(photo, rgb=made, source_type=COMPOSITE) if isinstance(photo, Photo) else made


def sample(generator: Generator, seeds: Sequence[int], psi: float = 0.7) -> Pixels:
    """Synthesise one picture for each seed: z ~ N(0, 1), truncated towards the mean w (Karras et al. 2019, sec. 4).

    The picture of a seed does not depend on the other seeds.

    Returns:
        uint8 RGB [N, R, R, 3].
    """
    return synthesise(generator, torch.cat([sample_ws(generator, seed, psi) for seed in seeds]))


def sample_ws(generator: Generator, seed: int, psi: float = 0.7) -> torch.Tensor:
    """The latent of a seed: float32 [1, num_ws, w_dim]."""
    if generator.config.c_dim:
        raise UsageError(
            f"this network needs labels of {generator.config.c_dim} numbers; sampling does not support labels"
        )
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(1, generator.config.z_dim, generator=source)
    with torch.no_grad():
        return generator.mapping(z.to(generator.w_avg.device), truncation_psi=psi)


def synthesise(
    generator: Generator, latents: Latent | torch.Tensor | Sequence[Latent], tuned: TunedDeltas | None = None
) -> Pixels:
    """Synthesise latents with the generator, each with its own noise maps if it has any.

    Args:
        generator: the network of the latents.
        latents: a `Latent`, several, or ws as a float tensor [N, num_ws, w_dim].
        tuned: the weights that pivotal tuning changed in the generator for these latents.

    Returns:
        uint8 RGB [N, R, R, 3] ([1, R, R, 3] for one latent).

    Raises:
        LatentMismatch: a latent, or `tuned`, belongs to another generator.
    """
    painter = generator if tuned is None else tuned.apply(generator)
    device = generator.w_avg.device
    with torch.no_grad():
        if isinstance(latents, torch.Tensor):
            parts = [painter.synthesis(ws, noise_mode="const") for ws in torch.split(latents.to(device), 8)]
            return np.concatenate([images.to_uint8(part) for part in parts])
        drawn, listed = [], [latents] if isinstance(latents, Latent) else latents
        hub.check_latents(listed, generator)
        for latent in listed:
            noise = None if latent.noise is None else [part[None, None].to(device) for part in latent.noise]
            picture = painter.synthesis(latent.ws[None].to(device), noise_mode="const", noise=noise)
            drawn.append(images.to_uint8(picture))
    return np.concatenate(drawn)


def animate(
    photo: Photo | Pixels,
    drivers: Clip | Sequence[Clip],
    model: MotionModel | Vid2VidModel | None = None,
    options: AnimateOptions | None = None,
    *,
    faces: Sequence[FaceCrop] | None = None,
    still: Sequence[FaceCrop] = (),
    landmarks: str = "builtin",
    driver_face: WhichFace = None,
) -> Animation:
    """Move the faces of a photo like those in driving clips; see `AnimateOptions.engine`.

    Args:
        photo: uint8 RGB [H, W, 3], or a `Photo` with alpha.
        drivers: one `Clip` for all faces, or one for each face from left to right.
        model: for the engine "motion", by default the built-in `face-motion`; for "vid2vid", by default the
            built-in `vid2vid`. If no options are given, a model selects its engine.
        options: how; by default `AnimateOptions()`.
        faces: the faces to move; by default all that are found.
        still: the other faces of the photo, which are kept still.
        landmarks: the landmark network for photo and clips, as `align` takes it.
        driver_face: whose face of the clips moves them, of those in the first frame that shows any; by default the
            largest. This person is followed through cuts and crossings; if that frame shows one face alone, and nobody
            is named, the best-scored face is followed.

    Returns:
        `Animation`: a `clip` that can be written once, and a `report` that is filled in meanwhile.

    Raises:
        NoFaceFound: the photo, or a driver, shows no face.
        InputError: a face of the photo is turned by more than 60 degrees (engine "head").
        UsageError: a model is given for another engine than its own, or the numbers of drivers and faces do not match.
    """
    own = None if model is None else "vid2vid" if isinstance(model, Vid2VidModel) else "motion"
    options = options or AnimateOptions(engine=own or "head")
    if own is not None:
        check_effect("model", (when("engine", own),), {"engine": options.engine}, spell_value)
    whole = srgb(photo if isinstance(photo, images.Photo) else images.Photo(photo))  # a clip has no profile
    predictor = landmark_predictor(landmarks)
    found = list(faces) if faces is not None else alignment.align(whole.rgb, size=DEFAULT_SIZE, landmarks=predictor)
    clips = [drivers] if isinstance(drivers, Clip) else list(drivers)
    persons = [hub.person_tracker(driver_face, landmarks, "the driving clip") for _ in clips]
    if options.engine == "head":
        networks = hub.mouth(), still, hub.finders(), persons
        return head_engine.animate(whole, found, clips, hub.head_model(), predictor, options, *networks)
    if options.engine == "vid2vid":
        head = model if isinstance(model, Vid2VidModel) else load_talking_head()
        return animator.animate(whole, found, clips, head, predictor, options, still, persons)
    keypoints = model if isinstance(model, MotionModel) else load_animator()
    return animator.animate(whole, found, clips, keypoints, predictor, options, still, persons)


def load_engine(
    engine: str, network: str | os.PathLike[str] | None = None, device: str = "cpu"
) -> MotionModel | Vid2VidModel | None:
    """The network of an engine of `animate`, by default the built-in one; None for "head", which has several.

    Raises:
        UsageError: a network is given for the engine "head".
    """
    name = engine_network(engine, network)
    if name is None:
        return None
    return load_talking_head(name, device) if engine == "vid2vid" else load_animator(name, device)


def engine_network(engine: str, network: str | os.PathLike[str] | None = None) -> str | None:
    """The network that an engine of `animate` uses: the given one, or the built-in one; raises as `load_engine`."""
    if network is not None:
        check_effect("network", (when("engine", *ENGINE_NETWORKS),), {"engine": engine}, spell_value)
        return os.fspath(network)
    return ENGINE_NETWORKS.get(engine)


def read_emotions(
    clip: Clip,
    recogniser: Recogniser | str = "emotion",
    options: ReadOptions | None = None,
    *,
    landmarks: str = "builtin",
    journal: Journal | None = None,
    keep_partial: bool = False,
    on_look: recognition.LookCallback | None = None,
    face: WhichFace = None,
) -> Reading:
    """Read the emotions shown by the face in a clip as an `EmotionSequence` of its length; see `recognition.read`.

    Args:
        clip: the clip to read.
        recogniser: a `Recogniser`, or an argument of `find_recogniser`.
        options: how often the face is classified, and how much the result is smoothed; by default `ReadOptions()`.
        landmarks: the landmark network, as `align` takes it.
        journal: where readings are stored, so that an interrupted run can be resumed.
        keep_partial: stop at damage in the clip instead of raising.
        on_look: called as on_look(count, look) after every classified frame.
        face: whose face, of those in the first frame that shows any; that person is followed. By default whoever is
            seen: the best-scored face, until it is lost, and then the next one.

    Returns:
        `Reading`: the `sequence`, and a `tally` of classified frames, faces and tracks.

    Raises:
        NoFaceFound: the clip shows no face.
        InputError: the clip is damaged.
    """
    chosen = find_recogniser(recogniser) if isinstance(recogniser, str) else recogniser
    person = None if face is None else hub.person_tracker(face, landmarks)
    return recognition.read(
        clip, landmark_predictor(landmarks), chosen, options,
        journal=journal, keep_partial=keep_partial, on_look=on_look, person=person,
    )  # fmt: skip


def predict_emotions(
    start: Emotion | str,
    seconds: float,
    seed: int = 0,
    temperature: float = 1.0,
    model: str | os.PathLike[str] = "rhythm",
) -> EmotionSequence:
    """Sample a sequence of emotions, with durations and strengths, from a network trained on such sequences.

    Args:
        start: the first emotion, or its name.
        seconds: the total length.
        seed: seed of the random numbers; the same seed gives the same sequence.
        temperature: 0 (always the likeliest) to 10.
        model: the built-in `rhythm`, or a file written by `latentface sequence fit`.

    Raises:
        UsageError: unknown emotion, or a number out of range.
        UnknownNetwork, WeightsError: the model cannot be used.
    """
    first = Emotion.of(start) if isinstance(start, str) else start
    return prediction.predict(hub.rhythm(model), first, seconds, seed=seed, temperature=temperature)
