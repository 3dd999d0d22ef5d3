"""The projector: finds the latent, and the noise maps, with which a generator reproduces a given face crop.

The search itself is in `search`, and pivotal tuning in `pivot_tuning`; this module turns crops into projections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
import torch
from torch import Tensor, nn

from latentface.arrays import Float32Array, Pixels
from latentface.errors import UsageError
from latentface.faces.crop import FaceCrop, near_features
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.inversion.pivot_tuning import tune
from latentface.inversion.search import Comparison, Search, WStatistics, measure_w, shrink
from latentface.io.images import to_tensor, to_uint8
from latentface.latents.latent import Latent
from latentface.latents.preconditioner import Preconditioner
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.precision import is_rough
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

__all__ = [
    "ProjectOptions",
    "Projection",
    "StepState",
    "TunedDeltas",
    "WStatistics",
    "measure_w",
    "project",
    "verdict_of",
]

#: Verdicts by final distance of the built-in perceptual network; its model card says how they were chosen.
GOOD_DISTANCE, APPROXIMATE_DISTANCE = 0.03, 0.09
#: Larger pictures are reduced to this size for that distance: the perceptual network was trained at this size, and a
#: larger generator would be penalised for every hair in a different place.
VERDICT_SIDE = 128


@dataclass(frozen=True, eq=False)
class StepState:
    """The state passed to a callback after a step.

    Attributes:
        phase: "project" or "tune".
        loss: the loss of each crop [N]; the last one if its search has ended. During "tune", that of the one crop [1].
        learning_rate: the highest of all crops.
        ws: the current latents, [N, num_ws, w_dim]; during "tune", that of the one crop.
    """

    phase: str
    loss: Float32Array
    learning_rate: float
    ws: Tensor


@dataclass(frozen=True, eq=False)
class Projection:
    """One projected crop.

    Attributes:
        latent: ws and noise maps (None when they were not optimised).
        image: uint8 RGB [R, R, 3], the picture of the latent by the generator, tuned if requested.
        losses: float32 [steps taken], perceptual plus pixel loss at each step, exploratory noise included; fewer than
            `options.steps` if the search ended early (`options.flat`), and none without a search.
        distance: perceptual distance between `image` and the crop, both reduced to 128 pixels if larger.
        verdict: "good", "approximate" or "outside what this network can draw", by `verdict_of`.
        tuned: parameter differences from pivotal tuning, or None.
        tune_losses: float32 [tune_steps].
    """

    latent: Latent
    image: Pixels
    losses: Float32Array
    distance: float
    verdict: str
    tuned: TunedDeltas | None
    tune_losses: Float32Array


def verdict_of(distance: float) -> str:
    """The verdict in words for a final distance of the built-in perceptual network."""
    if distance <= GOOD_DISTANCE:
        return "good"
    return "approximate" if distance <= APPROXIMATE_DISTANCE else "outside what this network can draw"


StepCallback = Callable[[int, StepState], None]


@overload
def project(
    crops: FaceCrop | Pixels,
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    distance: FeatureDistance,
    on_step: StepCallback | None = None,
    start: Tensor | None = None,
    statistics: WStatistics | None = None,
    preconditioner: Preconditioner | None = None,
    hidden: Tensor | None = None,
) -> Projection: ...


@overload
def project(
    crops: Sequence[FaceCrop | Pixels] | Tensor,
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    distance: FeatureDistance,
    on_step: StepCallback | None = None,
    start: Tensor | None = None,
    statistics: WStatistics | None = None,
    preconditioner: Preconditioner | None = None,
    hidden: Tensor | None = None,
) -> list[Projection]: ...


def project(
    crops: FaceCrop | Pixels | Sequence[FaceCrop | Pixels] | Tensor,
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    distance: FeatureDistance,
    on_step: StepCallback | None = None,
    start: Tensor | None = None,
    statistics: WStatistics | None = None,
    preconditioner: Preconditioner | None = None,
    hidden: Tensor | None = None,
) -> Projection | list[Projection]:
    """Invert aligned crops into the latent space of a generator.

    The crops of one call are optimised together, but each gives the same result as on its own: each has its own random
    numbers, loss, best state and schedule. A crop whose loss is flat (`options.flat`) ends its search early, which
    speeds up the rest. It also works under `torch.no_grad` and `torch.inference_mode`.
    The call has no side effects: the global random state, and the parameters, modes and requires_grad flags of the
    generator and the distance, are left unchanged.

    Args:
        crops: a FaceCrop or its pixels (uint8 [R, R, 3]); several of them; or a tensor [N, 3, R, R] in [-1, 1].
        generator: the network to invert, at resolution R.
        options: how; by default `ProjectOptions()`.
        distance: the perceptual distance to minimise; the verdict is calibrated for the built-in one.
        on_step: called as on_step(step, state) after every step, until the last crop is done; the steps of pivotal
            tuning are counted from `options.steps` on.
        start: the starting point instead of the mean w, [N, w_dim] or [N, num_ws, w_dim].
        statistics: the result of `measure_w` for this generator, to reuse it in many calls; for a network with labels,
            this also determines the label.
        preconditioner: the preconditioner of this generator, whose coordinates are used to search W+.
        hidden: [N, 1, R, R], how far a crop is not compared, 0 to 1: where it is 1, the generator decides what to show.

    Returns:
        A Projection for one crop, a list for several.

    Raises:
        UsageError: the shapes of crops, start, generator or preconditioner do not match.
        LatentfaceError: the loss is no longer a finite number.
    """
    options = options or ProjectOptions()
    single = isinstance(crops, FaceCrop) or (isinstance(crops, np.ndarray) and crops.ndim == 3)
    listed: list[FaceCrop | Pixels | Tensor] = [crops] if single else [*crops]  # type: ignore[list-item, misc]
    with torch.inference_mode(False), _frozen(generator, distance), torch.enable_grad():
        targets = _targets(listed, generator)
        if not len(targets):
            return []
        run = _Run(generator, distance, options, on_step)
        attention = _attention(listed, options.feature_weight, targets)
        if hidden is not None and hidden.shape != attention.shape:
            raise UsageError(f"hidden of shape {list(hidden.shape)}: these crops expect {list(attention.shape)}")
        place = None if hidden is None else hidden.to(attention)
        found = run.invert(targets, attention, start, statistics or measure_w(generator), preconditioner, place)
    return found[0] if single else found


class _Run:
    def __init__(
        self, generator: Generator, distance: FeatureDistance, options: ProjectOptions, on_step: StepCallback | None
    ) -> None:
        self.generator, self.distance, self.options = generator, distance, options
        self.on_step = on_step or (lambda step, state: None)

    def invert(
        self,
        targets: Tensor,
        attention: Tensor,
        start: Tensor | None,
        statistics: WStatistics,
        preconditioner: Preconditioner | None,
        hidden: Tensor | None,
    ) -> list[Projection]:
        """Search for all targets [N, 3, R, R] together, then tune and measure them one by one."""
        comparison = Comparison(targets, self.distance, self.options, attention, hidden)
        count = len(targets)
        search = Search(self.generator, comparison, statistics, self.options, start, count, preconditioner)
        step = 0
        while search.active and self.options.steps:
            rate = search.step()
            latest = np.asarray([crop.losses[-1] for crop in search.crops], dtype=np.float32)
            self.on_step(step, StepState("project", latest, rate, search.ws))
            step += 1
        ws, maps = search.finish()
        found = []
        for k in range(count):
            noise = [each[k : k + 1] for each in maps]
            losses = np.asarray(search.crops[k].losses, dtype=np.float32)
            found.append(self._conclude(k, comparison.of([k]), ws[k : k + 1], noise, losses, count))
        return found

    def _conclude(
        self, k: int, comparison: Comparison, ws: Tensor, noise: list[Tensor], losses: Float32Array, count: int
    ) -> Projection:
        tuned, tune_losses = self._tune(k, comparison, ws, noise, count) if self.options.tune_steps else (None, [])
        generator = self.generator if tuned is None else tuned.apply(self.generator)
        with torch.no_grad():
            picture = generator.synthesis(ws, noise_mode="const", noise=noise or None).clamp(-1, 1)
            distance = float(comparison.perceptual(shrink(picture, VERDICT_SIDE)))
        latent = Latent(
            ws=ws[0].cpu(),
            fingerprint=self.generator.fingerprint,
            noise=tuple(each[0, 0].cpu() for each in noise) or None,
        )
        return Projection(
            latent=latent,
            image=to_uint8(picture)[0],
            losses=losses,
            distance=distance,
            verdict=verdict_of(distance),
            tuned=tuned,
            tune_losses=np.asarray(tune_losses, dtype=np.float32),
        )

    def _tune(
        self, k: int, comparison: Comparison, ws: Tensor, noise: list[Tensor], count: int
    ) -> tuple[TunedDeltas, list[float]]:
        options, losses = self.options, list[float]()

        def report(step: int, loss: float) -> None:
            losses.append(loss)
            # crops are tuned one after another; the count covers all of them and ends at steps + tune_steps
            overall = options.steps + (k * options.tune_steps + step) // count
            state = StepState("tune", np.asarray([loss], dtype=np.float32), options.tune_learning_rate, ws)
            self.on_step(overall, state)

        deltas = tune(
            self.generator,
            ws,
            noise or None,
            comparison.loss,
            steps=options.tune_steps,
            learning_rate=options.tune_learning_rate,
            rough=is_rough(options.precision, ws.device),
            on_step=report,
        )
        return deltas, losses


def _targets(crops: Sequence[FaceCrop | Pixels | Tensor], generator: Generator) -> Tensor:
    """Targets [N, 3, R, R] on the generator's device."""
    side, channels = generator.config.resolution, generator.config.img_channels
    if channels != 3:
        raise UsageError(f"this network has {channels} channels; the projector works on RGB networks (3 channels)")
    tensors = [crop[None] if isinstance(crop, Tensor) else _to_tensor(crop) for crop in crops]
    for tensor in tensors:
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != (3, side, side):
            raise UsageError(
                f"crop of shape {list(tensor.shape)}: this network takes [N, 3, {side}, {side}]; "
                f"align the photo with size={side}"
            )
    joined = torch.cat(tensors) if tensors else torch.empty(0, 3, side, side)
    return joined.detach().to(generator.w_avg)


def _attention(crops: Sequence[FaceCrop | Pixels | Tensor], weight: float, targets: Tensor) -> Tensor:
    """The weight of each pixel, [N, 1, R, R] with mean 1: higher at eyes and mouth if the crops have landmarks."""
    attention = torch.ones_like(targets[:, :1])
    for each, crop in zip(attention, crops, strict=True):
        if isinstance(crop, FaceCrop):
            each += weight * torch.from_numpy(near_features(crop.crop_landmarks, crop.size)).to(each)
    return attention / attention.mean(dim=(2, 3), keepdim=True)


def _to_tensor(crop: FaceCrop | Pixels) -> Tensor:
    return to_tensor(crop.image if isinstance(crop, FaceCrop) else crop)


@contextmanager
def _frozen(*networks: nn.Module) -> Iterator[None]:
    """Put networks into evaluation mode without parameter gradients; modes and flags are restored at the end."""
    modules = [module for network in networks for module in network.modules()]
    parameters = [parameter for network in networks for parameter in network.parameters()]
    modes, flags = [module.training for module in modules], [parameter.requires_grad for parameter in parameters]
    try:
        for network in networks:
            network.eval().requires_grad_(False)
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for parameter, flag in zip(parameters, flags, strict=True):
            parameter.requires_grad_(flag)
