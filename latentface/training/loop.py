"""The training loop that the recipes of small networks share: rates, averaged weights, curves, checkpoints.

An interrupted run continues from its checkpoint; if its length is given in steps, the result has the same bytes as
that of an uninterrupted run. The saved network is the running average of the weights.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from latentface.errors import InputError, UsageError, WeightsError
from latentface.io.atomic import atomic_path
from latentface.io.tensors import write_torch
from latentface.pretrained.native import read_network, write_network

Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch")
StepCallback = Callable[[int], None]


@dataclass(frozen=True)
class LoopOptions:
    """How to train.

    start is a network file to begin from (`begin_from`) instead of random weights. The run ends after steps, or after
    minutes of processor time (summed over all sessions) when steps is None. learning_rate is the peak of a short
    warm-up and a cosine. average is the decay of the averaged weights. keep_best names a figure of the curve: the
    network with its lowest value is then saved instead of the last one.
    """

    start: Path | None = None
    steps: int | None = None
    minutes: float | None = 20.0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: int = 200
    average: float = 0.999
    keep_best: str | None = None
    measure_every: int = 200
    seed: int = 0
    bfloat16: bool = True


class Task(Protocol[Network, Batch]):
    """A learning task: the network, whose `config` is a dataclass, its batches and its loss."""

    @property
    def kind(self) -> str:
        """Name of the network's kind and of its file."""

    def build(self) -> Network:
        """A fresh network; its layers draw from torch's global random state."""

    def sample_batch(self, generator: torch.Generator) -> Batch:
        """A batch on the generator's device; everything random in it comes from the generator."""

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""

    def measure(self, network: Network) -> Mapping[str, float]:
        """Named figures for the curve, of a network in evaluation mode."""


def _tell(line: str) -> None:
    print(line, flush=True)


class Loop(Generic[Network, Batch]):
    """One resumable training run of a task, with all of its state. The global random state is left unchanged."""

    def __init__(self, task: Task[Network, Batch], out: Path, options: LoopOptions, device: str = "cpu") -> None:
        if options.steps is None and options.minutes is None:
            raise UsageError("give steps or minutes: without them the training would never end")
        self.task, self.out, self.options, self.device = task, out, options, torch.device(device)
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            self.network = task.build().to(self.device)
        if options.start is not None:
            begin_from(self.network, options.start)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.config: dict[str, object] = asdict(self.network.config)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            [p for p in self.network.parameters() if p.requires_grad],
            lr=options.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=options.weight_decay,
        )
        self.generator = torch.Generator(self.device).manual_seed(options.seed + 1)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.curve: list[dict[str, float]] = []
        self.best: tuple[float, dict[str, Tensor]] | None = None

    def run(
        self,
        stop_after: int | None = None,
        *,
        on_step: StepCallback | None = None,
        say: Callable[[str], object] = _tell,
    ) -> Path:
        """Train to the end (or for stop_after more steps), from the checkpoint if there is one; the network's path.

        on_step: called as on_step(step) after every step. say: called with each line of the curve.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        first, began = self.step, time.process_time() - self.seconds
        while self.progress() < 1 and (stop_after is None or self.step - first < stop_after):
            self.losses.append(self._one_step())
            self.step += 1
            self.seconds = time.process_time() - began
            if on_step:
                on_step(self.step)
            if self.step % self.options.measure_every == 0 or self.progress() >= 1:
                say(self._log())
                self._save()
        self._save()
        target = self.out / f"{self.task.kind}.safetensors"
        state = self.best[1] if self.best else self.averaged.state_dict()
        write_network(target, self.task.kind, self.config, state)
        return target

    def progress(self) -> float:
        """Share of the run that is done."""
        if self.options.steps is not None:
            return self.step / self.options.steps
        return self.seconds / (60.0 * (self.options.minutes or 0.0))

    def rate(self) -> float:
        """Linear warm-up, then a cosine to zero at the end of the run."""
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.progress()))
        return max(1e-6, self.options.learning_rate * min(1.0, (self.step + 1) / self.options.warm_up) * cosine)

    def _one_step(self) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        batch = self.task.sample_batch(self.generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bfloat16):
            loss = self.task.loss(self.network, batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        # early on, the average must forget the random initialisation
        keep = min(self.options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
            for mean, latest in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
                mean.copy_(latest)  # statistics of batch norms, which are averages already
        return float(loss.detach())

    def _log(self) -> str:
        row = {"step": self.step, "seconds": round(self.seconds, 1), "loss": round(float(np.mean(self.losses)), 5)}
        with torch.no_grad():
            found = self.task.measure(self.averaged)
        row |= {name: round(float(value), 5) for name, value in found.items()}
        name = self.options.keep_best
        if name is not None and (self.best is None or found[name] < self.best[0]):
            self.best = float(found[name]), copy.deepcopy(self.averaged.state_dict())
        self.losses = []
        self.curve.append(row)
        write_curve(self.out, self.curve)
        return " ".join(f"{name} {value}" for name, value in row.items())

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "curve": self.curve,
            "best": self.best,
            "config": self.config,
        }
        write_torch(self.out / "checkpoint.pt", state)

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["config"] != self.config:
            raise InputError(f"{path}: made for another network shape; give an empty folder with --out")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]
        self.losses, self.curve, self.best = state["losses"], state["curve"], state.get("best")


def write_curve(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write all rows of a curve, one or more of the same names, to curves.csv."""
    with atomic_path(folder / "curves.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def append_means(
    folder: Path, seen: int, recent: Sequence[Mapping[str, float]], figures: Mapping[str, float] | None = None
) -> None:
    """Append a line to curves.csv: the pictures seen, the time, the means of recent terms, and further figures.

    Not every step has every term.
    """
    names = sorted({name for row in recent for name in row})
    means = {name: float(np.mean([row[name] for row in recent if name in row])) for name in names}
    line: list[object] = [seen, round(time.time())]
    line += [f"{name}={value:.4f}" for told in (means, figures or {}) for name, value in told.items()]
    with open(folder / "curves.csv", "a", newline="") as stream:
        csv.writer(stream).writerow(line)


def begin_from(network: nn.Module, path: Path) -> None:
    """Copy the parameters that a network file has under the same names and in the same shapes.

    Networks that look at faces share their trunk. Buffers, such as means of the data, are the task's own.

    Raises WeightsError if no parameter matches, or if the file cannot be read.
    """
    theirs = read_network(path).state
    shared = {}
    for name, value in network.named_parameters():
        known = theirs.get(name)
        if known is not None and known.shape == value.shape:
            shared[name] = known
    if not shared:
        raise WeightsError(f"{path}: no tensor fits this network; begin from a network of the same widths")
    network.load_state_dict(shared, strict=False)


def command_line(
    module: str, description: str | None, defaults: LoopOptions, data: str | None = "folders of shard-*.npz"
) -> argparse.ArgumentParser:
    """The arguments every recipe takes; `loop_options` reads them. data: what --data names, None without it."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    if data:
        parser.add_argument("--data", type=Path, nargs="+", required=True, help=data)
    parser.add_argument("--out", type=Path, required=True, help="folder for the network, the checkpoint and the curves")
    parser.add_argument("--start", type=Path, help="network file to begin from instead of random weights")
    parser.add_argument("--minutes", type=float, default=defaults.minutes, help="processor time (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="train for this many steps instead of a time")
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast (for CPUs without AVX-512)")
    return parser


def loop_options(given: argparse.Namespace, defaults: LoopOptions) -> LoopOptions:
    """The options of a parsed command line; sets the number of threads when one was given."""
    if given.threads:
        torch.set_num_threads(given.threads)
    return replace(
        defaults,
        start=given.start,
        steps=given.steps,
        minutes=given.minutes,
        learning_rate=given.learning_rate,
        seed=given.seed,
        bfloat16=not given.float32,
    )
