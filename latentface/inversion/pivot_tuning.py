"""Pivotal tuning: the generator's own parameters are fine-tuned around one fixed latent (Roich et al. 2021, PTI).

Only the differences of the parameters are stored, in one file beside the latent of a photo; the shared network stays
unchanged.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentface.errors import InputError, LatentfaceError, LatentMismatch
from latentface.inversion.schedule import learning_rate as ramp
from latentface.inversion.search import synthesise
from latentface.io.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

FORMAT = "latentface-tuned"
FORMAT_VERSION = "1"


@dataclass(frozen=True, eq=False)
class TunedDeltas:
    """Parameter differences from pivotal tuning, by parameter name, and the fingerprint of their generator.

    The values are float16: rounding the differences changes the picture by far less than a grey level and halves the
    file.
    """

    values: Mapping[str, Tensor]
    fingerprint: str

    @torch.inference_mode(False)
    def apply(self, generator: Generator) -> Generator:
        """A copy of the generator with the differences added; the generator itself is not changed.

        Raises:
            LatentMismatch: the differences were made for another generator.
        """
        if self.fingerprint != generator.fingerprint:
            raise LatentMismatch(
                f"tuned weights fit the network {self.fingerprint[:12]}, this one is {generator.fingerprint[:12]}; "
                "use the network they were made with"
            )
        tuned = copy.deepcopy(generator)
        parameters = dict(tuned.named_parameters())
        if not self.values.keys() <= parameters.keys():
            unknown = sorted(self.values.keys() - parameters.keys())
            raise LatentMismatch(f"tuned weights name {unknown[0]}, which this network does not have")
        with torch.no_grad():
            for name, delta in self.values.items():
                if parameters[name].shape != delta.shape:
                    came, expected = list(delta.shape), list(parameters[name].shape)
                    raise LatentMismatch(f"tuned weights of {name} have shape {came}; this network expects {expected}")
                parameters[name].add_(delta.to(parameters[name]))
        return tuned

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file atomically; OutputError if it cannot be written."""
        metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "fingerprint": self.fingerprint}
        write_tensors(path, self.values, metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TunedDeltas:
        """Read a file written by `save`. Raises InputError if it is missing, damaged or of another kind."""
        expected = "tuned weights that a projection saved"
        values, metadata = read_tensors(path, InputError, expected)
        if metadata.get("format") != FORMAT or "fingerprint" not in metadata:
            raise InputError(f"{path} is of the kind {metadata.get('format', 'unknown')!r}: give {expected}")
        if metadata.get("format_version") != FORMAT_VERSION:
            version = metadata.get("format_version")
            raise InputError(f"{path} has format version {version}; this release reads version {FORMAT_VERSION}")
        return cls(values, metadata["fingerprint"])


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
    synthesis = copy.deepcopy(generator.synthesis).requires_grad_(True)
    parameters = dict(synthesis.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optimiser = torch.optim.Adam(parameters.values(), lr=0.0, betas=(0.9, 0.999))
    with torch.enable_grad():
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = ramp(step, steps, learning_rate)
            value = loss(synthesise(synthesis, ws, noise, rough)).sum()
            if not torch.isfinite(value):
                raise LatentfaceError(
                    f"pivotal tuning diverged: the loss at step {step} is {value.item()}; lower the learning rate of "
                    f"tuning (now {learning_rate:g}) or check the network's weights"
                )
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if on_step is not None:
                on_step(step, value.item())
    deltas = {
        f"synthesis.{name}": (parameter.detach() - before[name]).to(torch.float16)
        for name, parameter in parameters.items()
    }
    return TunedDeltas(deltas, generator.fingerprint)
