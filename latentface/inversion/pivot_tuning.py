"""Pivotal tuning: the generator's own parameters are fine-tuned around one fixed latent (Roich et al. 2021, PTI).

Only the differences of the parameters are stored, in one file beside the latent of a photo; the shared network stays
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentface.inversion.fine_tuning import TunedDeltas, fine_tune
from latentface.inversion.schedule import learning_rate as ramp
from latentface.inversion.search import synthesise

if TYPE_CHECKING:
    from latentface.networks.generator import Generator


@torch.inference_mode(False)
def tune(
    generator: Generator,
    ws: Tensor,
    noise: Sequence[Tensor] | None,
    loss: Callable[[Tensor], Tensor],
    *,
    steps: int,
    learning_rate: float,
    rough: bool = False,
    on_step: Callable[[int, float], None] | None = None,
) -> TunedDeltas:
    """Fine-tune the synthesis network so that the fixed pivot ws reproduces its target better.

    Args:
        generator: left unchanged; a copy of its synthesis network is trained with Adam (.9, .999).
        ws: the pivot, [1, num_ws, w_dim].
        noise: the noise maps of the pivot in layer order, or None for those of the network.
        loss: image [1, 3, R, R] -> a number to minimise, for PTI pixel L2 plus a perceptual distance.
        steps: how many steps of Adam.
        learning_rate: the peak learning rate; its schedule is that of the search.
        rough: convolve in bfloat16.
        on_step: called as on_step(step, loss before that step).

    Raises:
        LatentfaceError: the loss is no longer finite.
    """
    # copies, because tensors from inference mode cannot be used in autograd
    ws, noise = ws.detach().clone(), None if noise is None else [each.detach().clone() for each in noise]
    return fine_tune(
        generator, lambda synthesis, step: loss(synthesise(synthesis, ws, noise, rough)).sum(), steps=steps,
        rate=lambda step: ramp(step, steps, learning_rate), betas=(0.9, 0.999), on_step=on_step,
    )  # fmt: skip
