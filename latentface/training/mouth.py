"""Train the network that paints mouths: `python -m latentface.training.mouth --data FILE --teacher LPIPS --out DIR`.

FILE is what `latentface.training.mouth_data` makes of a folder of faces; LPIPS are SqueezeNet's arrays for the
perceptual loss (`latentface.networks.lpips.SqueezeLpips`), which are not part of the result. The generator learns
the true pixels by their mean absolute difference and LPIPS, and from part of the run on, sharpness from a
discriminator of patches with a hinge loss (Isola et al. 2017; Miyato et al. 2018).
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.io.tensors import write_torch
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.mouth import PLANES, MouthConfig, MouthNet, Plane
from latentface.networks.perceptual import FeatureDistance
from latentface.pretrained.native import write_network
from latentface.training.loop import write_curve
from latentface.training.mouth_data import Changes, MouthData, hide, still, varied

#: Collections that are not trained on: photos of people and of drawings; and every sixth of those with open jaws.
HELD_OUT = ("pif", "interfaces")
HELD_OUT_SIXTH = "vta"


@dataclass(frozen=True)
class MouthOptions:
    """How to train. steps of `batch` canvases each; the discriminator comes in from `adversarial_from` of them on.

    perceptual, adversarial: weights of LPIPS and of the discriminator beside the absolute difference in the opening.
    """

    steps: int = 3000
    batch: int = 12
    learning_rate: float = 1e-3
    discriminator_rate: float = 1e-3
    adversarial_from: float = 0.25
    perceptual: float = 6.0
    adversarial: float = 0.15
    average: float = 0.997
    measure_every: int = 100
    seed: int = 0
    bfloat16: bool = True


class MouthCritic(nn.Module):
    """Whether patches of a canvas [N, 7, H, W] (the photo whole, the other planes as given) are real, [N, 1, h, w]."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.layers = nn.Sequential(
            norm(nn.Conv2d(PLANES * 4, width * 2, 3, padding=1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(width * 2, width * 3, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(width * 3, width * 3, 3, padding=1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(width * 3, 1, 1)),
        )

    def forward(self, planes: Tensor) -> Tensor:
        """How real each patch of the planes looks, unbounded."""
        decision: Tensor = self.layers(F.pixel_unshuffle(planes, 2))
        return decision


def split(data: MouthData) -> tuple[MouthData, MouthData]:
    """Those to train on, and those that are held out."""
    sixth, held = 0, []
    for source in data.sources:
        sixth += source == HELD_OUT_SIXTH
        held.append(source in HELD_OUT or (source == HELD_OUT_SIXTH and sixth % 6 == 0))
    chosen = torch.tensor(held).numpy()
    return data.part(~chosen), data.part(chosen)


def paint_planes(network: nn.Module, planes: Tensor, style: Tensor) -> Tensor:
    """The planes with the opening painted by the network: the photo's own pixels stay around it."""
    opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
    painted = network(hide(planes), style).float()
    return torch.cat([torch.lerp(planes[:, :3], painted, opening), planes[:, 3:]], 1)


def difference(a: Tensor, b: Tensor, opening: Tensor) -> Tensor:
    """Mean absolute difference of images [N, 3, H, W] in the opening [N, 1, H, W], every canvas alike; [N]."""
    total = ((a - b).abs().mean(1, keepdim=True) * opening).sum((1, 2, 3))
    return total / opening.sum((1, 2, 3)).clamp(min=8)


class MouthRun:
    """A training run: networks, optimisers and the random state. A stopped run goes on from its checkpoint."""

    def __init__(self, data: MouthData, teacher: FeatureDistance, out: Path, options: MouthOptions) -> None:
        self.data, self.held = split(data)
        self.teacher, self.out, self.options = teacher, out, options
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            self.network, self.critic = MouthNet(MouthConfig()), MouthCritic()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), betas=(0.5, 0.99), weight_decay=1e-4)
        self.critic_optimiser = torch.optim.Adam(
            self.critic.parameters(), lr=options.discriminator_rate, betas=(0.0, 0.99)
        )
        self.generator = torch.Generator().manual_seed(options.seed + 1)
        self.step = 0
        self.curve: list[dict[str, float]] = []

    @property
    def parts(self) -> dict[str, Any]:
        """Everything with a state."""
        names = ("network", "critic", "averaged", "optimiser", "critic_optimiser")
        return {name: getattr(self, name) for name in names}

    def run(self, say: Callable[[str], object] = print, stop_after: int | None = None) -> Path:
        """Train to the end, or for `stop_after` more steps; the path of the network."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        losses: list[tuple[float, ...]] = []
        began, first = time.process_time(), self.step
        while self.step < self.options.steps and (stop_after is None or self.step - first < stop_after):
            losses.append(self._one_step())
            self.step += 1
            if self.step % self.options.measure_every == 0 or self.step == self.options.steps:
                means = torch.tensor(losses).mean(0).tolist()
                row = {"step": float(self.step), "seconds": time.process_time() - began}
                row |= dict(zip(("l1", "lpips", "fooled", "critic"), means, strict=True)) | self.measure()
                losses = []
                self.curve.append(row)
                say(" ".join(f"{name} {value:.4g}" for name, value in row.items()))
                self._save()
        self._save()
        target = self.out / "mouth.safetensors"
        write_network(target, "mouth", asdict(self.network.config), self.averaged.state_dict())
        return target

    def measure(self) -> dict[str, float]:
        """Absolute difference and LPIPS on (at most 96 of) the held-out canvases, with the usual style."""
        index = torch.linspace(0, len(self.held) - 1, min(96, len(self.held))).long()
        planes, style = still(self.held, index, self.network.config, widen=1.0)
        opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
            painted = paint_planes(self.averaged, planes, torch.zeros_like(style))
            lpips = self.teacher(painted[:, :3], planes[:, :3]).float().mean()
        return {
            "held_l1": float(difference(painted[:, :3], planes[:, :3], opening).mean()),
            "held_lpips": float(lpips),
        }

    def _one_step(self) -> tuple[float, ...]:
        options, progress = self.options, self.step / self.options.steps
        rate = options.learning_rate * min(1, (self.step + 1) / 100) * (0.02 + 0.98 * math.cos(math.pi / 2 * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        index = torch.multinomial(
            torch.from_numpy(self.data.weights), options.batch, replacement=True, generator=self.generator
        )
        planes, style = varied(self.data, index, self.network.config, Changes(), self.generator)
        opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
        adversarial = options.adversarial if progress >= options.adversarial_from else 0.0
        zero = torch.zeros(())
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            painted = paint_planes(self.network, planes, style)
            critic_loss = self._teach_critic(planes, painted.detach(), opening) if adversarial else zero
            l1 = difference(painted[:, :3], planes[:, :3], opening).mean()
            lpips = self.teacher(painted[:, :3], planes[:, :3]).mean()
            fooled = -_mean_in(self.critic(painted), opening) if adversarial else zero
        loss: Tensor = l1 + options.perceptual * lpips + adversarial * fooled
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        keep = min(options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(l1.detach()), float(lpips.detach()), float(fooled.detach()), float(critic_loss.detach())

    def _teach_critic(self, real: Tensor, painted: Tensor, opening: Tensor) -> Tensor:
        decisions = self.critic(torch.cat([real, painted]))
        yes, no = decisions.chunk(2)
        loss = _mean_in(F.relu(1 - yes), opening) + _mean_in(F.relu(1 + no), opening)
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic_optimiser.step()
        return loss

    def _save(self) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"generator": self.generator.get_state(), "step": self.step, "curve": self.curve}
        write_torch(self.out / "checkpoint.pt", state)
        if self.curve:
            write_curve(self.out, self.curve)

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.step, self.curve = state["step"], state["curve"]


def _mean_in(decisions: Tensor, opening: Tensor) -> Tensor:
    """Mean of the decisions [N, 1, h, w] about patches that hold some of the opening."""
    weight = F.adaptive_avg_pool2d(opening, (decisions.shape[2], decisions.shape[3])).clamp(max=0.25)
    return (decisions.float() * weight).sum() / weight.sum().clamp(min=1e-3)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser("latentface.training.mouth", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="file of mouths (latentface.training.mouth_data)")
    parser.add_argument("--teacher", type=Path, required=True, help=".npz of SqueezeNet's and LPIPS' arrays")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the curve and the network")
    parser.add_argument("--steps", type=int, default=MouthOptions.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast (for CPUs without AVX-512)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    options = MouthOptions(steps=given.steps, seed=given.seed, bfloat16=not given.float32)
    teacher = SqueezeLpips(given.teacher).requires_grad_(False)
    print(MouthRun(MouthData.load(given.data), teacher, given.out, options).run(say=lambda s: print(s, flush=True)))


if __name__ == "__main__":
    main()
