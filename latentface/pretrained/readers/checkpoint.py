"""The content of a checkpoint: a complete, finite generator, and additional data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from latentface.errors import WeightsError
from latentface.networks.config import GeneratorConfig
from latentface.networks.generator import Generator
from latentface.pretrained.native import fill
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.shapes import infer_config

MEAN_W_SAMPLES, BATCH = 10_000, 500
SEED = 0  # seed for everything that a file leaves out


@dataclass(frozen=True)
class Checkpoint:
    """A StyleGAN2 generator as read from a file.

    Attributes:
        format: "stylegan2-ada", "stylegan2-tf", "rosinality", "psp" or "latentface".
        config: the generator's shape and arithmetic.
        state: every tensor of the generator, under our names (StyleGAN2-ADA's), float32, finite.
        notes: notes for the user about what was missing and what was ignored.
        encoder: tensors of the encoder (pSp, e4e, ReStyle) without their prefix; None if there is none or if not
            requested.
        latent_avg: the mean code stored beside the state, [w_dim] or [num_ws, w_dim], or None.
        options: the training options of a pSp-like file, plain values by name.
        base: fingerprint of the built-in generator that this one was grown from, or None.
    """

    format: str
    config: GeneratorConfig
    state: Mapping[str, torch.Tensor] = field(repr=False)
    notes: tuple[str, ...] = ()
    encoder: Mapping[str, torch.Tensor] | None = field(default=None, repr=False)
    latent_avg: torch.Tensor | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    base: str | None = None

    def generator(self) -> Generator:
        """The network on the CPU, in evaluation mode, its parameters frozen; it shares the memory of `state`."""
        generator = build_generator(self.config, self.state, "the checkpoint")
        generator.base = self.base
        return generator


def build_generator(config: GeneratorConfig, state: Mapping[str, torch.Tensor], source: str) -> Generator:
    """A generator that uses the tensors of `state` themselves, without initialisation or copies.

    Raises:
        WeightsError: naming `source`, unless names and shapes agree exactly; before any memory is asked for.
    """
    network = shell(config)
    fill(network, {name: value.float() for name, value in state.items()}, source, assign=True)
    return network.eval().requires_grad_(False)


def shell(config: GeneratorConfig) -> Generator:
    """A generator on the meta device, which needs no memory whatever the config."""
    with torch.device("meta"):
        return Generator(config, seed=None)


def complete(
    format: str, state: Mapping[str, torch.Tensor], claims: Mapping[str, Any], notes: tuple[str, ...], **others: Any
) -> Checkpoint:
    """Infer the config, supply parts that the format may leave out, and check every number.

    Args:
        format: name of the file's format.
        state: tensors under our names, float32; `resample_filter` buffers are used for the config and left out.
        claims: what the file says about itself, by the names of GeneratorConfig's fields.
        notes: notes for the user, one line each.
        others: further attributes of `Checkpoint`.

    Raises:
        Unreadable: shapes that contradict each other or the claims, missing or unknown tensors, NaN or infinity.
    """
    filters = [value for name, value in state.items() if name.endswith("resample_filter")]
    state = {name: value for name, value in state.items() if not name.endswith("resample_filter")}
    config = infer_config(state, claims, filters)
    check_finite({**state, **(others.get("encoder") or {})})
    notes += _supply_noise(state, config)
    has_mean = "mapping.w_avg" in state
    state.setdefault("mapping.w_avg", torch.zeros(config.w_dim))
    try:
        network = build_generator(config, state, "")
    except WeightsError as error:
        raise Unreadable(str(error).strip()) from error
    if not has_mean:
        state["mapping.w_avg"] = mean_w(network)
        notes += (f"it has no mean w: computed from {MEAN_W_SAMPLES} samples",)
    return Checkpoint(format, config, state, notes, **others)


def check_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise Unreadable for a tensor that contains NaN or infinity."""
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise Unreadable(f"contains NaN or infinity in {name} {list(value.shape)}: download the file again")


def mean_w(network: Generator) -> torch.Tensor:
    """Mean w [w_dim] of normal z from a fixed seed; a label, if there is one, is zero."""
    config, source = network.config, torch.Generator().manual_seed(SEED)
    total = torch.zeros(config.w_dim, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(MEAN_W_SAMPLES // BATCH):
            z = torch.randn(BATCH, config.z_dim, generator=source)
            label = torch.zeros(BATCH, config.c_dim) if config.c_dim else None
            total += network.mapping(z, label)[:, 0].double().sum(0)
    return (total / MEAN_W_SAMPLES).float()


def _supply_noise(state: dict[str, torch.Tensor], config: GeneratorConfig) -> tuple[str, ...]:
    """Add missing noise maps: zero if the layers take no noise, otherwise from a fixed seed."""
    layers = [(f"synthesis.b{r}.{conv}", r) for r in config.resolutions for conv in ("conv0", "conv1")][1:]
    silent = not any(f"{layer}.noise_strength" in state for layer, _ in layers)
    missing = [(layer, r) for layer, r in layers if f"{layer}.noise_const" not in state]
    source = torch.Generator().manual_seed(SEED)
    for layer, r in missing:
        state[f"{layer}.noise_const"] = torch.zeros(r, r) if silent else torch.randn(r, r, generator=source)
    if silent:
        state.update({f"{layer}.noise_strength": torch.zeros(()) for layer, _ in layers})
        return ("its layers take no noise",)
    return (f"{len(missing)} noise maps are missing: generated from a fixed seed",) if missing else ()
