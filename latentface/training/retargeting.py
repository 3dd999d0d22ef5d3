"""Train retargeting: ``python -m latentface.training.retargeting --data DIR --out RUN --minutes 8``.

DIR holds what `latentface.synthface.casts` rendered; `latentface train retarget` trains on folders of pictures. The
network reconstructs each picture and its landmarks from a code and the person's own parameters. If a rig says that
several people do the same, the code of one reconstructs another, and their codes are drawn together: a code has no use
for the person then. Without a rig, only the divergence from the prior removes what a code says about the person, and a
classifier of people whose gradient reaches the encoders reversed (domain-adversarial training: Ganin et al., JMLR
2016). Pictures are recoloured before they are encoded, landmarks shaken, and either view is left out now and then, so
that one suffices.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface import hub
from latentface.metrics import ssim
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.retargeting import IMAGE, KEYPOINTS, RetargetConfig, RetargetNet
from latentface.pretrained.native import read_network, write_network
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.retargeting_data import Cast, load_rendered

OPTIONS = LoopOptions(minutes=8.0, learning_rate=2e-3, measure_every=200, warm_up=50, average=0.995, weight_decay=1e-4)
KIND = "retarget"
MEASURED = 96  # about so many pictures are measured for each line of the curve
PREFIX = "network."
LEAST_MOTION = 1e-3  # of landmarks, in half crops, if the pictures hardly differ
CLASSIFIER = 0.1  # weight of the classifier's own loss


@dataclass(frozen=True)
class Weights:
    """Weights of the terms of the loss, and the chances of a view to be left out.

    Attributes:
        features: of pixels at eyes and mouth, beyond 1.
        perceptual: of the perceptual distance.
        keypoints: of the landmarks' error.
        divergence: of the divergence from the prior, a nat.
        agreement: of the squared distance between codes of people who do the same.
        adversary: of the reversed gradient; 0, the default, for none: it was measured to hide people from its own
            classifier only.
        jitter: standard deviation of landmarks before they are encoded, in half crops.
        left_out: chance of either view.
    """

    features: float = 4.0
    perceptual: float = 0.5
    keypoints: float = 2.0
    divergence: float = 3e-4
    agreement: float = 0.005
    adversary: float = 0.0
    jitter: float = 0.003
    left_out: float = 0.2


class _Reverse(torch.autograd.Function):
    """The identity, whose gradient is reversed and scaled."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None  # type: ignore[attr-defined]


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """The same values; the gradient through them is multiplied by -scale."""
    reversed_: Tensor = _Reverse.apply(x, scale)  # type: ignore[no-untyped-call]
    return reversed_


class Trainee(nn.Module):
    """The network and the classifier of people that is trained against its codes."""

    def __init__(self, config: RetargetConfig) -> None:
        super().__init__()
        self.config = config
        self.network = RetargetNet(config)
        self.classifier = nn.Sequential(
            nn.Linear(config.code, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2),
            nn.Linear(128, len(config.people)),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class RetargetBatch:
    """Pictures, what the encoders see of them, which views count, and the noise of the codes.

    Attributes:
        told: who is encoded.
        order: [N], each one's code is decoded as the picture and person of that number, who does the same.
        shown: `told` in that order.
        pictures: what is to be shown.
        seen, shaken: pictures and landmarks of those who are told, as the encoders see them.
        given: which views count.
        seed: of the codes' noise.
    """

    told: Cast
    order: Tensor
    shown: Cast
    pictures: Tensor
    seen: Tensor
    shaken: Tensor
    given: Tensor
    seed: int


class RetargetTask:
    """Batches, loss and figures of a cast; `Loop` trains it."""

    kind = f"{KIND}-training"

    def __init__(
        self, cast: Cast, config: RetargetConfig, weights: Weights, perceptual: FeatureDistance, batch: int = 8
    ) -> None:
        self.cast, self.held = cast.split()
        told, truth = self.held.pairs()
        self.together = None if self.cast.truth is None else Together(self.cast.truth)
        every = slice(None, None, max(1, len(told) // MEASURED))
        self.told, self.truth = self.held[told[every]], self.held[truth[every]]
        self.config, self.weights, self.perceptual, self.batch = config, weights, perceptual, batch

    def build(self) -> Trainee:
        """A fresh network, which knows the people's mean pictures and the scale of landmarks, and a classifier."""
        trainee = Trainee(self.config)
        network, moved = trainee.network, []
        for number, portrait in enumerate(network.portraits.data):
            part = self.cast[self.cast.person == number]
            portrait.copy_(F.avg_pool2d(part.images.float() / 127.5 - 1, 2).mean(0))
            moved.append(part.landmarks - part.landmarks.mean(0))
        network.points_mean.copy_(self.cast.landmarks.mean(0))
        network.points_scale.copy_(torch.cat(moved).std().clamp(min=LEAST_MOTION))
        trainee.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return trainee

    def sample_batch(self, generator: torch.Generator) -> RetargetBatch:
        """Pictures picked at random, in pairs that do the same if a rig says so, with what the encoders see of them."""
        device = generator.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        chosen = torch.randint(len(self.cast), (self.batch,), generator=generator, device=device).cpu()
        order, half = torch.arange(self.batch), self.batch // 2
        if self.together is not None:
            chosen[half : 2 * half] = self.together.companions(chosen[:half], uniform(half).cpu())
            order[: 2 * half] = order[: 2 * half].roll(half)
        told = self.cast[chosen]
        pictures = (told.images.to(device).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(told.landmarks.shape, generator=generator, device=device)
        shaken = told.landmarks.to(device) + self.weights.jitter * noise
        given = torch.ones(self.batch, len(self.config.views), dtype=torch.bool, device=device)
        if len(self.config.views) > 1:  # one at most is left out of each sample
            which = uniform(self.batch)
            for k in range(2):
                given[:, k] = (which < k * self.weights.left_out) | (which >= (k + 1) * self.weights.left_out)
        seed = int(torch.randint(2**31, (1,), generator=generator, device=device))
        seen = recolour(pictures, uniform(self.batch, 5))
        return RetargetBatch(told, order, told[order], pictures[order], seen, shaken, given, seed)

    def loss(self, trainee: Trainee, batch: RetargetBatch) -> Tensor:
        """Errors of picture and landmarks, divergence and disagreement of codes, and the classifier's cross-entropy."""
        network, weights = trainee.network, self.weights
        code = network.encode(batch.seen, batch.shaken, batch.given)
        drawn = code.sample(torch.Generator(batch.pictures.device).manual_seed(batch.seed))
        shown = batch.shown
        pictures, landmarks = network.decode(drawn, network.people(shown.person.to(drawn.device)))
        near = F.interpolate(shown.features.to(drawn.device), size=pictures.shape[2:], mode="bilinear")
        loss = ((pictures - batch.pictures).abs() * (1 + weights.features * near)).mean()
        if weights.perceptual:
            some = max(1, len(pictures) // 4)  # it takes long
            pair = middle(pictures[:some]), middle(batch.pictures[:some])
            loss = loss + weights.perceptual * self.perceptual(*pair).mean()
        if KEYPOINTS in self.config.views:
            loss = loss + weights.keypoints * (landmarks - shown.landmarks.to(drawn.device)).abs().mean()
        loss = loss + weights.divergence * code.divergence().mean()
        loss = loss + weights.agreement * (code.mean - code.mean[batch.order]).square().sum(1).mean()
        told = reverse_gradient(drawn, weights.adversary / CLASSIFIER) if weights.adversary else drawn.detach()
        return loss + CLASSIFIER * F.cross_entropy(trainee.classifier(told).float(), batch.told.person.to(told.device))

    def measure(self, trainee: Trainee) -> Mapping[str, float]:
        """Errors of held-out pictures: a shared expression, told by one person and shown by the next one."""
        network, told, truth = trainee.network, self.told, self.truth
        device = network.vectors.device
        code = network.encode(told.images.to(device).float() / 127.5 - 1, told.landmarks.to(device))
        pictures, landmarks = network.decode(code.mean, network.people(truth.person.to(device)))
        wanted = truth.images.to(device).float() / 127.5 - 1
        return {
            "l1": float((pictures - wanted).abs().mean()) / 2, "ssim": float(ssim(pictures, wanted).mean()),
            "points": float((landmarks - truth.landmarks.to(device)).norm(dim=2).mean()) / 2,
            "divergence": float(code.divergence().mean()),
            "who": float((trainee.classifier(code.mean).argmax(1).cpu() == told.person).float().mean()),
        }  # fmt: skip


class Together:
    """Which pictures show the same expression, gaze and turn, as the truth [n, E] of a rig says."""

    def __init__(self, truth: Tensor) -> None:
        _, self.group, self.count = torch.unique(truth, dim=0, return_inverse=True, return_counts=True)
        self.sorted, self.first = self.group.argsort(), self.count.cumsum(0) - self.count

    def companions(self, chosen: Tensor, random: Tensor) -> Tensor:
        """For each picture [m] one that shows the same, which may be itself; random [m] in 0..1 picks it."""
        group = self.group[chosen]
        found: Tensor = self.sorted[self.first[group] + (random * self.count[group]).long()]
        return found


def middle(pictures: Tensor) -> Tensor:
    """The part [N, 3, r, r] of FFHQ crops that the face fills, two thirds of the side."""
    side = pictures.shape[-1]
    return pictures[:, :, side * 7 // 24 : side * 23 // 24, side // 6 : side * 5 // 6]


def recolour(pictures: Tensor, random: Tensor) -> Tensor:
    """Pictures [N, 3, R, R] in [-1, 1] with other contrast, brightness and colours; random [N, 5] in 0..1."""
    contrast, brightness, tint = 0.7 + 0.6 * random[:, :1], 0.4 * random[:, 1:2] - 0.2, 0.2 * random[:, 2:] - 0.1
    return (pictures * contrast[:, :, None, None] + (brightness + tint)[:, :, None, None]).clamp(-1, 1)


@torch.no_grad()
def forget_people(network: RetargetNet, cast: Cast) -> None:
    """Leave out the directions in which codes vary less than their posteriors deviate, in place.

    The decoder was trained with codes drawn from these posteriors, which in such directions are mostly noise, so it
    misses nothing; but how codes lie there still tells who somebody is. The direction that varies the most is kept.
    """
    codes = [
        network.encode(part.float() / 127.5 - 1, points)
        for part, points in zip(torch.split(cast.images, 64), torch.split(cast.landmarks, 64), strict=True)
    ]
    means = torch.cat([each.mean for each in codes])
    certainty = means.var(0) / torch.cat([each.log_variance for each in codes]).exp().mean(0)
    network.shorten(certainty >= certainty.max().clamp(max=1), means.mean(0))


def finish(trained: Path, target: Path, cast: Cast, people: int | None = None) -> Path:
    """Write the network of a finished run in eight bits, without its classifier and what `forget_people` leaves out.

    cast: the run's. people: how many of the people stay in the file, the first ones; None for all.
    """
    file = read_network(trained)
    network = RetargetNet(RetargetConfig(**file.config))
    network.load_state_dict({k.removeprefix(PREFIX): v for k, v in file.state.items() if k.startswith(PREFIX)})
    forget_people(network, cast.split()[0])
    state = network.state_dict()
    kept = {name: state[name][:people] for name in ("vectors", "portraits")}
    config = replace(network.config, people=network.config.people[:people])
    write_network(target, KIND, asdict(config), {**state, **kept}, dtype=torch.int8)
    return target


def run(
    cast: Cast,
    out: Path,
    options: LoopOptions,
    weights: Weights,
    views: tuple[str, ...],
    device: str,
    say: Callable[[str], object] = print,
    kept: int | None = None,
) -> Path:
    """Train a network on a cast, or go on with the run in `out`; returns the network's file.

    say: called with each line of the curve. kept: see `finish`.
    """
    config = RetargetConfig(cast.names, views, cast.images.shape[-1])
    task = RetargetTask(cast, config, weights, hub.perceptual(device))
    trained = Loop(task, out, options, device).run(say=say)
    return finish(trained, out / f"{KIND}.safetensors", cast, kept)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.retargeting", __doc__, OPTIONS, "folder of person-*.npz")
    parser.add_argument("--views", default=f"{IMAGE},{KEYPOINTS}", help="what is encoded (default: %(default)s)")
    parser.add_argument("--people", type=int, help="train on the first so many people only")
    parser.add_argument("--keep", type=int, help="keep the first so many of them in the file (default: all)")
    parser.add_argument("--adversary", type=float, default=Weights.adversary, help="weight (default: %(default)s)")
    parser.add_argument("--agreement", type=float, default=Weights.agreement, help="weight (default: %(default)s)")
    parser.add_argument("--divergence", type=float, default=Weights.divergence, help="weight (default: %(default)s)")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    given = parser.parse_args(arguments)
    cast = load_rendered(given.data[0])
    cast = cast.people(0, given.people or len(cast.names))
    weights = replace(Weights(), adversary=given.adversary, divergence=given.divergence, agreement=given.agreement)
    views = tuple(given.views.split(","))
    print(run(cast, given.out, loop_options(given, OPTIONS), weights, views, given.device, kept=given.keep))


if __name__ == "__main__":
    main()
