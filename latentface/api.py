"""The public verbs: they join the algorithms with the networks that come with the package, which `hub` opens."""

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
from latentface.errors import UsageError
from latentface.faces import alignment
from latentface.faces.crop import FaceCrop
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
from latentface.hub import pick_device as pick_device
from latentface.inversion import projector
from latentface.inversion.cache import ProjectionCache
from latentface.inversion.pivot_tuning import TunedDeltas
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
from latentface.options import AnimateOptions, CompositeOptions, ProjectOptions, ReadOptions, TransferOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator
    from latentface.networks.motion import MotionModel

FOLLOW_STEPS = 30  # of the search for a clip's frame from the frame before
FOLLOW_RATE = 0.08  # of its learning: the default comes 3 % nearer, and frames jitter a tenth more
DEFAULT_SIZE = 256  # pixels: the side of the pictures of the generator that is used where none is named


def align(photo: Pixels, size: int = DEFAULT_SIZE, landmarks: str = "builtin") -> list[FaceCrop]:
    """Find every face of a photo and crop it the FFHQ way (Karras et al. 2019, appendix A).

    Args:
        photo: uint8 RGB [H, W, 3].
        size: side of the crops in pixels, the generator's resolution.
        landmarks: `builtin`, `dlib68`, or a name or file as `latentface.hub.landmark_predictor` takes them.

    Returns:
        One `FaceCrop` for each face, the one detected most surely first.

    Raises:
        NoFaceFound: the photo shows no face.
        WeightsError: the landmark predictor cannot be loaded.
    """
    return alignment.align(photo, size=size, landmarks=landmark_predictor(landmarks))


def align_upright(
    photo: Photo, size: int = DEFAULT_SIZE, landmarks: str = "builtin"
) -> tuple[Photo, list[FaceCrop], str | None]:
    """The faces of a photo as `align` finds them, in the photo turned upright where it lies on its side or head.

    Returns:
        The photo, itself or turned; its faces, whose crops are in sRGB; and what to say about it when it was turned.

    Raises:
        NoFaceFound: there is none at any of the four turns.
    """
    crops, note = align(photo.rgb, size, landmarks), None
    quarters = crops[0].quarter_turns
    if quarters:
        photo = images.turned(photo, quarters)
        crops = align(photo.rgb, size, landmarks)
        note = f"no upright face; the photo is turned by {(360 - 90 * quarters) % 360} degrees clockwise, and stays so"
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
    """Invert aligned crops into the generator's latent space, by the built-in perceptual distance.

    Args:
        crops: a `FaceCrop`, its pixels (uint8 [R, R, 3]), or a sequence of crops that are optimised together.
        generator: the network to invert; R is its resolution.
        options: how to search; by default `ProjectOptions()`.
        on_step: called as on_step(step, state) after every step.

    Returns:
        One `Projection`, or a list in the crops' order for a sequence.

    Raises:
        UsageError: `options.start` asks for an encoder and the network has none; see also `projector.project`.
        InputError, LatentMismatch: `options.start` is a latent file that cannot be read or belongs to another network.
        UnknownNetwork, WeightsError, LatentMismatch: the same of an encoder named as `options.start`, and of
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
        preconditioner=hub.preconditioner(generator, options.preconditioner),
    )


def follow(crop: FaceCrop, generator: Generator, before: torch.Tensor, steps: int = FOLLOW_STEPS) -> torch.Tensor:
    """The latent ws [num_ws, w_dim] of a clip's frame, searched from that of the frame before."""
    options = ProjectOptions(steps=steps, learning_rate=FOLLOW_RATE)
    found = projector.project(
        crop,
        generator,
        options,
        distance=hub.perceptual(str(generator.w_avg.device)),
        start=before[None].to(generator.w_avg.device),
        preconditioner=hub.preconditioner(generator),
    )
    return found.latent.ws


def encode(
    crops: FaceCrop | Pixels | Sequence[FaceCrop | Pixels], generator: Generator, encoder: str | None = None
) -> torch.Tensor:
    """The latents of crops in one pass of an encoder: ws [N, num_ws, w_dim].

    Args:
        crops: one or several, as `align` found them or as uint8 RGB [R, R, 3], R the network's resolution.
        generator: the network whose latents are wanted.
        encoder: name or file of one for this network; by default the generator's own.

    Raises:
        UsageError: none is named, and the network comes without one.
        UnknownNetwork, WeightsError, LatentMismatch: the one that is named cannot be used.
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
    """Where `ProjectOptions.start` lets the search begin: ws [N, num_ws, w_dim], or None for the mean w.

    search: whether there is to be one. Without it, auto is the network's encoder.

    Raises as `encode`, and UsageError for the mean without a search, which would be nobody's face.
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
    """Give one face the expression of another: splice their latents where it costs least (`style_mixing.fuse`).

    Args:
        identity: what `project` gave, or a latent: the face that keeps its appearance.
        expression: likewise, the face whose expression is taken. Of projections with pivot tuning, the tuned generator
            synthesises the face; what is spliced is synthesised by the identity's.
        generator: the network of both.
        options: how; by default `TransferOptions()`.
        on_measure: called as on_measure(measured, best objective) as the search goes on.
        tuned: the generators of both faces, where they are at hand already.
        shown: the aligned crop of the expression's photo, uint8 RGB [R, R, 3], which the expression is compared with;
            by default that is what the generator synthesises for it.

    Returns:
        `Transfer` with `latent`, `layers` (rows that come from the expression), `image` and the costs.

    Raises:
        LatentMismatch: a latent belongs to another network.
        UsageError: options that this network cannot meet, or a solver that is missing or does not finish.
    """
    first, second = (each.latent if isinstance(each, Projection) else each for each in (identity, expression))
    if tuned is None:
        deltas = (each.tuned if isinstance(each, Projection) else None for each in (identity, expression))
        own, other = (generator if part is None else part.apply(generator) for part in deltas)
        tuned = own, other
    space, networks = hub.expressions(generator), face_networks(str(generator.w_avg.device))
    picture = None if shown is None else images.to_tensor(shown)
    return style_mixing.fuse(first, second, generator, networks, options, on_measure, space, tuned, picture)


def projection_cache() -> ProjectionCache:
    """Where projections are remembered: the user's cache folder for latentface, or what LATENTFACE_CACHE names."""
    from latentface.pretrained.cache import folder

    return ProjectionCache(folder() / "projections")


def fit_head(
    crop: FaceCrop, photo: Photo | Pixels | None = None, *, light: bool = False, start: HeadFit | None = None
) -> HeadFit:
    """Fit the morphable head to a face: identity, expression by ARKit names, pose, gaze and camera, in photo pixels.

    Args:
        crop: the face as `align` found it.
        photo: the photo it was found in, uint8 RGB [H, W, 3] or a `Photo`, which shows the eyes more finely than the
            crop; by default the crop's own pixels are looked at.
        light: whether to fit the light on the photo's skin too.
        start: the fit of the frame before, of the same person in a clip, in the photo's pixels.

    Returns:
        `HeadFit`, to be changed by `with_expression` and `with_pose`, or written by `to_json`.

    Raises:
        InputError: the landmarks are not those of a face, or it is turned by more than 60 degrees.
        UsageError: the light is asked for, or a start given, without a photo.
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
    """What a projection is remembered by: everything that it depends on, files that the options name by their content.

    Raises what `project` raises when it cannot use these files.
    """
    content = {"builtin": hub.builtin_digest()}  # the perceptual network, and what is meant by auto
    if options.start not in ("auto", "mean", "encoder"):
        content["start"] = _digest(load_latent(options.start, generator).ws)
    if options.preconditioner not in ("auto", "none"):
        found = hub.preconditioner(generator, options.preconditioner)
        assert found is not None, "only the word none stands for none"
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
    """Put an edited picture of a face back into its photo; outside the face every pixel stays as it is.

    Args:
        photo: uint8 RGB [H, W, 3], or a `Photo`, whose alpha channel, EXIF block and ICC profile are kept.
        crop: the face as `align` found it in this photo.
        image: uint8 RGB [S, S, 3], the edited crop, of any side.
        options: how; defaults to `CompositeOptions()`.
        landmarks: [68, 2], where the face of the edited picture is, in its own pixels.
        reference: uint8 RGB [S, S, 3], what the generator synthesises for the unedited crop; see
            `latentface.compositing.compositor.Compositor`.

    Returns:
        What came as the photo, of the same size.

    Raises:
        UsageError: pixels of another form, or a face that lies outside the photo.
    """
    rgb = photo.rgb if isinstance(photo, Photo) else photo
    made = compositor.composite(rgb, crop, image, options, landmarks=landmarks, reference=reference)
    return replace(photo, rgb=made, source_type=COMPOSITE) if isinstance(photo, Photo) else made


def sample(generator: Generator, seeds: Sequence[int], psi: float = 0.7) -> Pixels:
    """Draw one picture a seed: z ~ N(0, 1), truncated towards the mean w by psi (Karras et al. 2019, section 4).

    A seed gives the same picture whatever the other seeds are.

    Returns:
        uint8 RGB [N, R, R, 3].
    """
    return synthesise(generator, torch.cat([sample_ws(generator, seed, psi) for seed in seeds]))


def sample_ws(generator: Generator, seed: int, psi: float = 0.7) -> torch.Tensor:
    """The latent of a seed: float32 [1, num_ws, w_dim]."""
    if generator.config.c_dim:
        raise UsageError(f"this network wants labels of {generator.config.c_dim} numbers; sampling has none to give")
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(1, generator.config.z_dim, generator=source)
    with torch.no_grad():
        return generator.mapping(z.to(generator.w_avg.device), truncation_psi=psi)


def synthesise(
    generator: Generator, latents: Latent | torch.Tensor | Sequence[Latent], tuned: TunedDeltas | None = None
) -> Pixels:
    """Synthesise latents with the generator, each with its own noise maps when it carries some.

    Args:
        generator: the network of the latents.
        latents: a `Latent`, several, or ws as a float tensor [N, num_ws, w_dim].
        tuned: what pivot tuning changed in the generator for these latents.

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
    model: MotionModel | None = None,
    options: AnimateOptions | None = None,
    *,
    faces: Sequence[FaceCrop] | None = None,
    still: Sequence[FaceCrop] = (),
    landmarks: str = "builtin",
) -> Animation:
    """Move the faces of a photo as those of driving clips move; see `AnimateOptions.engine`.

    Args:
        photo: uint8 RGB [H, W, 3], or a `Photo` with alpha.
        drivers: one `Clip` for all faces, or one for each, the leftmost face's first.
        model: of the engine "motion", by default the built-in `synthface-motion`. Without options it chooses that
            engine.
        options: how; by default `AnimateOptions()`.
        faces: those that are to move; by default all that are found.
        still: the photo's other faces, which are kept still beside those that move.
        landmarks: the landmark network for photo and clips, as `align` takes it.

    Returns:
        `Animation`: a `clip` to be written once, and a `report` that fills on the way.

    Raises:
        NoFaceFound: the photo, or a driver, shows no face.
        InputError: a face of the photo is turned by more than 60 degrees (engine "head").
        UsageError: a model is given for another engine than "motion", or the numbers of drivers and faces do not fit.
    """
    options = options or (AnimateOptions() if model is None else AnimateOptions(engine="motion"))
    if model is not None:
        check_effect("model", (when("engine", "motion"),), {"engine": options.engine}, spell_value)
    whole = srgb(photo if isinstance(photo, images.Photo) else images.Photo(photo))  # a clip has no profile
    predictor = landmark_predictor(landmarks)
    found = list(faces) if faces is not None else alignment.align(whole.rgb, size=DEFAULT_SIZE, landmarks=predictor)
    clips = [drivers] if isinstance(drivers, Clip) else list(drivers)
    if options.engine == "head":
        return head_engine.animate(whole, found, clips, hub.head_model(), predictor, options, hub.mouth(), still)
    return animator.animate(whole, found, clips, model or load_animator(), predictor, options, still)


def read_emotions(
    clip: Clip,
    recogniser: Recogniser | str = "emotion",
    options: ReadOptions | None = None,
    *,
    landmarks: str = "builtin",
    journal: Journal | None = None,
    keep_partial: bool = False,
    on_look: recognition.LookCallback | None = None,
) -> Reading:
    """The emotions that the faces of a clip show, as an `EmotionSequence` of the clip's length; see `recognition.read`.

    Args:
        clip: what is read.
        recogniser: a `Recogniser`, or what `find_recogniser` takes.
        options: how often the face is looked at, and how much is smoothed; by default `ReadOptions()`.
        landmarks: the landmark network, as `align` takes it.
        journal: where looks are kept, so that an interrupted reading resumes.
        keep_partial: end at a damaged place instead of raising.
        on_look: called as on_look(count, look) after every look.

    Returns:
        `Reading`: the `sequence`, and a `tally` of looks, faces and tracks.

    Raises:
        NoFaceFound: no face was seen in it.
        InputError: the clip is damaged.
    """
    chosen = find_recogniser(recogniser) if isinstance(recogniser, str) else recogniser
    return recognition.read(
        clip, landmark_predictor(landmarks), chosen, options,
        journal=journal, keep_partial=keep_partial, on_look=on_look,
    )  # fmt: skip


def predict_emotions(
    start: Emotion | str,
    seconds: float,
    seed: int = 0,
    temperature: float = 1.0,
    model: str | os.PathLike[str] = "rhythm",
) -> EmotionSequence:
    """Sample emotions in a natural order, with durations and strengths, from a network that learnt such orders.

    Args:
        start: the first one, or its name.
        seconds: length of the whole.
        seed: of the samples; the same seed gives the same sequence.
        temperature: 0 (always the likeliest) to 10.
        model: the built-in `rhythm`, or a file that `latentface sequence fit` made.

    Raises:
        UsageError: no such emotion, or a number out of range.
        UnknownNetwork, WeightsError: the model cannot be used.
    """
    first = Emotion.of(start) if isinstance(start, str) else start
    return prediction.predict(hub.rhythm(model), first, seconds, seed=seed, temperature=temperature)
