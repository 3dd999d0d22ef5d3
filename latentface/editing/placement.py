"""Shared by all edits of a photo: synthesising the face, finding its landmarks, and applying it to the photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from latentface import api
from latentface.arrays import Float64Array, Pixels
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.inverted_face import Face, Note
from latentface.io.images import to_tensor, to_uint8
from latentface.latents.latent import Latent
from latentface.modes import check_modes
from latentface.networks.generator import Generator
from latentface.options.photos import CompositeOptions

Placer = Compositor | ExpressionMap | HeadPlacer


def find_points(generator: Generator, images: Pixels) -> Float64Array:
    """Landmarks [N, 68, 2] of synthesised faces [N, R, R, 3], in their pixels."""
    device = generator.w_avg.device
    with torch.no_grad():
        points = api.face_networks(str(device)).landmarks(to_tensor(images).to(device))
    return np.asarray(points.cpu().double().numpy() * images.shape[1] - 0.5)


def make_placer(
    face: Face,
    generator: Generator,
    reference: Pixels,
    place: str,
    composite: CompositeOptions | None = None,
    reach: Sequence[Float64Array] = (),
    note: Note | None = None,
) -> Placer | None:
    """The placer that applies an edit of a face to its photo, by `place` (head, warp or paste); None without a photo.

    Args:
        face: the face, with its photo if there is one.
        generator: the network that synthesises it.
        reference: the synthesised picture of the unedited face, uint8 RGB [R, R, 3].
        place: how the edit is applied.
        composite: how a face is pasted, as for `Compositor`; for paste only.
        reach: further landmarks [68, 2] that the pasted region must cover, as for `Compositor`; for paste only.
        note: called with one-line notes for the user.

    Raises:
        InputError: no head can be fitted to the face.
    """
    if face.photo is None or face.crop is None:
        return None
    if place == "head":
        return HeadPlacer(face.photo.rgb, face.crop, face.others, note)
    reference = face.in_own_colours(reference)
    if place == "paste":
        return Compositor(face.photo.rgb, face.crop, composite, reference=reference, reach=reach)
    (points,) = find_points(generator, reference[None])
    return ExpressionMap(face.photo.rgb, face.crop, reference, points)


def check_composite(composite: CompositeOptions | None, place: str, crop: bool = False) -> None:
    """Raise UsageError for pasting options if nothing is pasted (`place` is warp, or the face is shown alone)."""
    if composite is not None:
        check_modes(composite, {"place": None if crop else place, "crop": crop})


def synthesise(generator: Generator, latent: Latent, ws: torch.Tensor) -> Pixels:
    """Pictures uint8 RGB [N, R, R, 3] of ws [N, num_ws, w_dim], with the noise maps of a latent."""
    device = generator.w_avg.device
    noise = None if latent.noise is None else [each[None, None].to(device) for each in latent.noise]
    with torch.no_grad():
        return to_uint8(generator.synthesis(ws.to(device), noise_mode="const", noise=noise))
