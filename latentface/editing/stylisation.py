"""Stylises the face in a photo: learns styles from pictures, and brings the stylised face to the photo's resolution."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentface import api, hub
from latentface.arrays import Float32Array, Pixels
from latentface.compositing.compositor import Compositor
from latentface.compositing.warping import resample
from latentface.editing.inverted_face import Face, FaceFinder, Note, choose_projection
from latentface.editing.placement import find_points, synthesise
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop, WhichFace, map_points, pick_face
from latentface.fields import smoothstep
from latentface.inversion.fine_tuning import Checkpoint, OnStep
from latentface.inversion.projector import Projection
from latentface.io.colour import srgb
from latentface.io.images import Photo, read_photo, to_tensor, to_uint8
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.latents.latent import Latent
from latentface.networks.precision import is_rough
from latentface.options.photos import CompositeOptions
from latentface.options.projection import ProjectOptions
from latentface.options.styles import StyleOptions, StyliseOptions
from latentface.styles import detail, learning, texture
from latentface.styles.learning import Example
from latentface.styles.style import Style

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

PhotoSource = str | os.PathLike[str] | Pixels

#: Random faces beside which a style is learnt, and their truncation.
FACES, PSI = 24, 0.85
#: Directions of the gaze and how far some of these faces look aside, so that a style learns to leave the gaze alone.
GAZES = {"gaze-right": 1.5, "gaze-up": 1.2}
#: Steps of projection from an encoder's latent. More come nearer to the photo, but a latent that has left the faces the
#: generator knows is drawn less like the person in a style.
STEPS = 30
SHAPE_SIDE = 32  # largest resolution of the layers that shape a face
_SIDES = (256, 1024)  # of a stylised crop
_FACE = 0.55  # of the way from a crop's middle to its edges: what is nearer is shown in full


@dataclass(frozen=True, eq=False)
class Stylised:
    """A stylised photo, and how it was made.

    Attributes:
        photo: the result.
        image: the stylised face at its full size, uint8 RGB [S, S, 3]; None by the method gatys.
        plain: the plain generator's picture of the face, uint8 RGB [R, R, 3]; None likewise.
    """

    photo: Photo
    image: Pixels | None = None
    plain: Pixels | None = None


def style_face(picture: PhotoSource, size: int, landmarks: str = "builtin", name: str = "") -> FaceCrop:
    """The largest face of a style picture, aligned at that size.

    Raises:
        InputError: the file cannot be read; NoFaceFound: it shows no face.
    """
    shown = name or ("the style picture" if isinstance(picture, np.ndarray) else f"the style picture {picture}")
    photo = Photo(picture) if isinstance(picture, np.ndarray) else srgb(read_photo(picture))
    try:
        return pick_face(api.align_upright(photo, size, landmarks)[1], None)
    except NoFaceFound:
        raise NoFaceFound(
            f"{shown} shows no face that was found: a style is learnt from a drawn or painted face that looks towards "
            "the viewer; for a picture without a face use --method gatys"
        ) from None


def learn_style(
    picture: PhotoSource | FaceCrop,
    generator: Generator,
    options: StyleOptions | None = None,
    *,
    name: str = "",
    landmarks: str = "builtin",
    on_step: OnStep | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Style:
    """Learn a style from one picture of a face (`styles.learning`), for this generator.

    Args:
        picture: a file, uint8 RGB [H, W, 3], or an aligned face of the generator's resolution.
        generator: the network that learns; it is left unchanged.
        options: how; by default `StyleOptions()`.
        name: of the style; by default that of the file.
        landmarks: see `api.align`.
        on_step: called as on_step(step, loss).
        checkpoint: a safetensors file in which an interrupted call leaves its state; the same call goes on from it, and
            its result is the same. It is deleted at the end.

    Raises:
        InputError, NoFaceFound: the picture cannot be used.
    """
    options = options or StyleOptions()
    crop = picture if isinstance(picture, FaceCrop) else style_face(picture, generator.config.resolution, landmarks)
    device = generator.w_avg.device
    faces = _practice(generator, options.seed)
    pictures = np.concatenate([to_uint8(_drawn(generator, ws[None])) for ws in faces])
    points = torch.from_numpy(find_points(generator, pictures)).float().to(device)
    own = torch.from_numpy(crop.crop_landmarks).float()[None].to(device)
    example = Example(to_tensor(crop.image).to(device), _code(crop, generator, options.seed), own, faces, points)
    run = hashlib.sha256(crop.image.tobytes() + repr((options, generator.fingerprint)).encode()).hexdigest()
    kept = None if checkpoint is None else Checkpoint(Path(checkpoint), run)
    deltas = learning.learn(
        generator, example, hub.perceptual(str(device)), hub.face_networks(str(device)).identity, options,
        rough=is_rough("auto", device), on_step=on_step, checkpoint=kept,
    )  # fmt: skip
    given = "" if isinstance(picture, FaceCrop | np.ndarray) else Path(picture).stem
    return Style(deltas, crop.image, name or given or "style")


def stylise(
    photo: PhotoSource | Latent | Projection,
    style: Style | PhotoSource,
    options: StyliseOptions | None = None,
    *,
    generator: Generator | None = None,
    face: WhichFace = None,
    project: ProjectOptions | None = None,
    learning: StyleOptions | None = None,
    landmarks: str = "builtin",
    on_note: Note | None = None,
) -> Stylised:
    """Draw the face in a photo, or the whole photo, in a style.

    Args:
        photo: a file, uint8 RGB [H, W, 3], or a latent, a latent file or a projection, in which case the result is the
            face alone.
        style: a style, its file, or a picture, from which it is learnt at each call (`learn_style` learns it once).
        options: how; by default `StyliseOptions()`.
        generator: the network; by default the default one.
        face: which face of the photo, counted from 1 as `align` returns them; by default the largest.
        project: how the latent is found; by default by `style_projection`.
        learning: how a style is learnt from a picture.
        landmarks: see `api.align`.
        on_note: called with notes about photos with several faces, and poor projections.

    Raises:
        InputError, NoFaceFound: the photo, the style picture or the style's file cannot be used.
        LatentMismatch: the style belongs to another network.
        UsageError: a latent by the method gatys, which draws photos.
    """
    options = options or StyliseOptions()
    if options.method == "gatys":
        if isinstance(photo, Latent | Projection):
            raise UsageError("the method gatys draws photos, not latents; use the method generator")
        whole = Photo(photo) if isinstance(photo, np.ndarray) else read_photo(photo)
        return restyle(whole, style_picture(style), options)
    generator = generator or api.load_generator()
    known = open_style(style, generator, learning, landmarks)
    search = project or style_projection(generator, options.seed)
    finder = FaceFinder(generator, search, landmarks=landmarks, cache=api.projection_cache(), note=on_note)
    return stylise_face(finder.face(photo, face), generator, known, options)


def stylise_face(
    face: Face,
    generator: Generator,
    style: Style,
    options: StyliseOptions | None = None,
    composite: CompositeOptions | None = None,
) -> Stylised:
    """Draw a face in a style.

    Args:
        face: the face with its latent; without a photo the generator's picture is the result.
        generator: the network of the latent.
        style: learnt with this generator.
        options: how; by default `StyliseOptions()`.
        composite: how the face is pasted, for `options.place="face"`; by default in the style's colours.

    Raises:
        LatentMismatch: the style belongs to another generator.
        UsageError: options without effect on this face.
    """
    options = options or StyliseOptions()
    style = chosen_layers(style, options).scaled(options.strength)
    style.check(generator)
    plain = synthesise(face.tune(generator), face.latent, face.latent.ws[None])[0]
    drawn = style.over(face.tuned).apply(generator)
    styled = synthesise(drawn, face.latent, face.latent.ws[None])[0]
    if face.photo is None or face.crop is None:
        shown = detail.keep_colour(plain, styled) if options.preserve_colour else styled
        return Stylised(Photo(shown, source_type=GENERATED), shown, plain)
    face = face.in_srgb()
    assert face.photo is not None and face.crop is not None
    side = int(np.clip(round(face.crop.side), *_SIDES))
    large = crop_face(face.photo.rgb, face.crop.landmarks, side)
    image = detail.with_detail(large.image, plain, styled, options.detail)
    if options.preserve_colour:
        image = detail.keep_colour(large.image, image)
    return Stylised(_placed(face.photo, large, image, options, composite), image, plain)


def restyle(
    photo: Photo,
    style: Pixels,
    options: StyliseOptions | None = None,
    on_step: OnStep | None = None,
    device: str = "cpu",
) -> Stylised:
    """Draw a whole photo in the style of a picture by neural style transfer (`styles.texture`), at its own size.

    Args:
        photo: any photo, with or without a face.
        style: the style picture, uint8 RGB [H, W, 3].
        options: steps, strength and colours; by default `StyliseOptions(method="gatys")`.
        on_step: called as on_step(step, loss).
        device: to compute on.
    """
    options = options or StyliseOptions(method="gatys")
    photo = srgb(photo)
    made = texture.transfer_texture(
        to_tensor(photo.rgb).to(device), to_tensor(style).to(device), hub.perceptual(device),
        steps=options.texture_steps, seed=options.seed, rough=is_rough("auto", torch.device(device)), on_step=on_step,
    )  # fmt: skip
    image = to_uint8(made)[0]
    if options.preserve_colour:
        image = detail.keep_colour(photo.rgb, image)
    return Stylised(replace(photo, rgb=image, source_type=COMPOSITE))


def open_style(
    style: Style | PhotoSource, generator: Generator, learning: StyleOptions | None = None, landmarks: str = "builtin"
) -> Style:
    """A style, that of a file, or one that is learnt from a picture; checked.

    Raises:
        InputError: the file cannot be used.
        LatentMismatch: the style belongs to another generator.
    """
    if not isinstance(style, Style):
        if isinstance(style, np.ndarray) or not is_style_file(style):
            return learn_style(style, generator, learning, landmarks=landmarks)
        style = Style.load(style)
    style.check(generator)
    return style


def style_projection(generator: Generator, seed: int = 0) -> ProjectOptions:
    """The default projection of faces that are to be stylised: a short search, if it begins at an encoder's latent."""
    if api.has_encoder(generator):
        return ProjectOptions(steps=STEPS, seed=seed)
    return choose_projection(generator, likeness=True, seed=seed)


def style_picture(style: Style | PhotoSource) -> Pixels:
    """The picture of a style or its file, or a picture itself: uint8 RGB [H, W, 3] in sRGB."""
    if isinstance(style, np.ndarray):
        return style
    if isinstance(style, Style):
        return style.picture
    return Style.load(style).picture if is_style_file(style) else srgb(read_photo(style)).rgb


def is_style_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends as those of style files do, .safetensors."""
    return Path(path).suffix.lower() == ".safetensors"


def dressed(face: Face, style: Style) -> Face:
    """The face as a generator in this style synthesises it, and all its edits and the frames of its videos."""
    return replace(face, tuned=style.over(face.tuned))


def chosen_layers(style: Style, options: StyliseOptions) -> Style:
    """The style in the layers that the options name."""
    if options.layers == "all":
        return style
    return style.limited(side for side in style.resolutions if (side <= SHAPE_SIDE) == (options.layers == "shape"))


def _placed(
    photo: Photo, crop: FaceCrop, image: Pixels, options: StyliseOptions, composite: CompositeOptions | None
) -> Photo:
    if options.place == "crop":
        return Photo(image, source_type=COMPOSITE)
    if options.place == "face":
        rgb = Compositor(photo.rgb, crop, composite or CompositeOptions(match_colour=False)).place(image)
    else:
        ground = detail.recolour(photo.rgb, crop.image, image)
        rgb = _pasted(ground, crop, image)
    return replace(photo, rgb=rgb, source_type=COMPOSITE)


def _pasted(photo: Pixels, crop: FaceCrop, image: Pixels) -> Pixels:
    """The photo with a crop in it, which fades from the face outwards in a circle, so that no edge shows."""
    height, width = photo.shape[:2]
    low, high = np.floor(crop.quad.min(0)).astype(int), np.ceil(crop.quad.max(0)).astype(int) + 1
    x0, y0 = (int(each) for each in low.clip(0))
    x1, y1 = min(int(high[0]), width), min(int(high[1]), height)
    if x1 <= x0 or y1 <= y0:
        raise InputError("the face lies outside the photo; give the photo that the crop was made from")
    y, x = np.mgrid[y0:y1, x0:x1]
    inside = map_points(crop.from_photo, np.stack([x, y], -1)) / crop.size
    away = np.linalg.norm(2 * inside - 1, axis=-1)  # 1 at the middles of the edges
    mask: Float32Array = smoothstep((1 - away) / (1 - _FACE))[..., None]
    made: Pixels = photo.copy()
    patch = mask * resample(image, crop.to_photo, (x0, y0, x1, y1)) + (1 - mask) * photo[y0:y1, x0:x1]
    made[y0:y1, x0:x1] = np.rint(patch).clip(0, 255)
    return made


def _practice(generator: Generator, seed: int) -> torch.Tensor:
    """Codes of random faces [FACES, num_ws, w_dim], half of which look aside if the generator knows how."""
    faces = torch.cat([api.sample_ws(generator, seed + k, PSI) for k in range(FACES)])
    known = api.list_directions(generator)
    aside = [(known[name].values.to(faces), step) for name, step in GAZES.items() if name in known]
    for k in range(0, FACES, 2):
        for axis, (direction, step) in enumerate(aside):
            faces[k] += step * ((-1, 1)[(k // 2 >> axis) % 2]) * direction
    return faces


def _code(crop: FaceCrop, generator: Generator, seed: int) -> torch.Tensor:
    """The code of the style picture's face [1, num_ws, w_dim]: a plausible face rather than a close likeness."""
    if api.has_encoder(generator):
        return api.encode(crop, generator)
    return api.project(crop, generator, ProjectOptions(seed=seed)).latent.ws[None].to(generator.w_avg.device)


def _drawn(generator: Generator, ws: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        picture: torch.Tensor = generator.synthesis(ws, noise_mode="const")
    return picture
