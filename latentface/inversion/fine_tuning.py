"""Fine-tuning of a generator: the loop that pivotal tuning and the learning of styles share, and what it results in.

Only the differences of the parameters are kept; the shared network stays unchanged. A run that is interrupted goes on
from its checkpoint, with the same result as one that was not.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentface.errors import InputError, LatentfaceError, LatentMismatch
from latentface.io.tensors import read_metadata, read_tensors, write_tensors

if TYPE_CHECKING:
    from latentface.networks.generator import Generator, SynthesisNetwork

FORMAT = "latentface-tuned"
FORMAT_VERSION = "1"
_UNFINISHED = "latentface-fine-tuning"

OnStep = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class TunedDeltas:
    """Parameter differences from fine-tuning, by parameter name, and the fingerprint of their generator.

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


@dataclass(frozen=True)
class Checkpoint:
    """Where a run leaves its state, so that it can be interrupted.

    Attributes:
        path: of a safetensors file, which is deleted at the end. One of another run is overwritten.
        run: what tells the run from others: whatever its result depends on.
        every: steps between two states.
    """

    path: Path
    run: str
    every: int = 25

    def restore(self, parameters: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> int:
        """Bring parameters and moments to the state of the file, and return its step; 0 if there is none."""
        facts = read_metadata(self.path)
        if facts is None or facts.get("format") != _UNFINISHED or facts.get("run") != self.run:
            return 0
        values, _ = read_tensors(self.path, InputError, "the state of an interrupted run")
        step = int(facts["step"])
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(values[name])
                moments = {key: values[f"{key}:{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
                optimiser.state[parameter] = {"step": torch.tensor(float(step)), **moments}
        return step

    def keep(self, parameters: Mapping[str, Tensor], optimiser: torch.optim.Optimizer, step: int) -> None:
        """Write the state after so many steps."""
        values = dict(parameters)
        for name, parameter in parameters.items():
            values |= {f"{key}:{name}": optimiser.state[parameter][key] for key in ("exp_avg", "exp_avg_sq")}
        write_tensors(self.path, values, {"format": _UNFINISHED, "run": self.run, "step": str(step)})


@torch.inference_mode(False)
def fine_tune(
    generator: Generator,
    loss: Callable[[SynthesisNetwork, int], Tensor],
    *,
    steps: int,
    rate: Callable[[int], float],
    betas: tuple[float, float],
    share: Callable[[str], float] = lambda name: 1.0,
    on_step: OnStep | None = None,
    checkpoint: Checkpoint | None = None,
) -> TunedDeltas:
    """Minimise a loss by the parameters of a copy of the synthesis network, with Adam.

    Args:
        generator: left unchanged.
        loss: called as loss(synthesis, step); gives a scalar. To be resumed, it must depend on nothing else.
        steps: how many steps of Adam.
        rate: the learning rate at a step.
        betas: of Adam.
        share: of the learning rate that a parameter follows, by its name.
        on_step: called as on_step(step, loss before that step).
        checkpoint: where the run can be interrupted; by default nowhere.

    Raises:
        LatentfaceError: the loss is no longer finite.
    """
    synthesis = copy.deepcopy(generator.synthesis).requires_grad_(True)
    parameters = dict(synthesis.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    shares = [share(name) for name in parameters]
    optimiser = torch.optim.Adam([{"params": [each]} for each in parameters.values()], lr=0.0, betas=betas)
    first = 0 if checkpoint is None else checkpoint.restore(parameters, optimiser)
    with torch.enable_grad():
        for step in range(first, steps):
            for group, part in zip(optimiser.param_groups, shares, strict=True):
                group["lr"] = part * rate(step)
            value = loss(synthesis, step)
            if not torch.isfinite(value):
                peak = max(rate(each) for each in range(steps))
                raise LatentfaceError(
                    f"fine-tuning diverged: the loss at step {step} is {value.item()}; lower its learning rate (now "
                    f"{peak:g}) or check the network's weights"
                )
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if on_step is not None:
                on_step(step, value.item())
            if checkpoint is not None and (step + 1) % checkpoint.every == 0:
                checkpoint.keep(parameters, optimiser, step + 1)
    if checkpoint is not None:
        checkpoint.path.unlink(missing_ok=True)
    deltas = {
        f"synthesis.{name}": (parameter.detach() - before[name]).to("cpu", torch.float16)
        for name, parameter in parameters.items()
    }
    return TunedDeltas(deltas, generator.fingerprint)
