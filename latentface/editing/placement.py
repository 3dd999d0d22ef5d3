"""What every edit of a photo shares: the face is synthesised, its landmarks found, and it goes into the photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from latentface import api
from latentface.arrays import Float64Array, Pixels
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap
from latentface.editing.inverted_face import Face
from latentface.io.images import to_tensor, to_uint8
from latentface.latents.latent import Latent
from latentface.modes import check_modes
from latentface.networks.generator import Generator
from latentface.options import CompositeOptions


def find_points(generator: Generator, images: Pixels) -> Float64Array:
    """Landmarks [N, 68, 2] of drawn faces [N, R, R, 3], in their pixels."""
    device = generator.w_avg.device
    with torch.no_grad():
        points = api.face_networks(str(device)).landmarks(to_tensor(images).to(device))
    return np.asarray(points.cpu().double().numpy() * images.shape[1] - 0.5)


def make_placer(
    face: Face, generator: Generator, reference: Pixels, place: str, composite: CompositeOptions | None = None,
    reach: Sequence[Float64Array] = (),
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


def check_composite(composite: CompositeOptions | None, place: str, crop: bool = False) -> None:
    """Raise UsageError for options of pasting where nothing is pasted (`place` is warp, or the face is shown alone)."""
    if composite is not None:
        check_modes(composite, {"place": None if crop else place, "crop": crop})


def synthesise(generator: Generator, latent: Latent, ws: torch.Tensor) -> Pixels:
    """ws [N, num_ws, w_dim] with the noise maps of a latent: uint8 RGB [N, R, R, 3]."""
    device = generator.w_avg.device
    noise = None if latent.noise is None else [each[None, None].to(device) for each in latent.noise]
    with torch.no_grad():
        return to_uint8(generator.synthesis(ws.to(device), noise_mode="const", noise=noise))
