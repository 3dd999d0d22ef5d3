"""The networks that learn photographs together, and the folder they are kept in between two runs."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from latentface import pretrained
from latentface.errors import WeightsError
from latentface.networks.encoder import EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator
from latentface.pretrained.native import build_network, write_network

CHANGE, ADVERSARY = "expression-change", "adversary"


class Autoencoder(nn.Module):
    """Encoder, generator, and the linear map from a change of expression to a change of w."""

    def __init__(self, encoder: LatentEncoder, generator: Generator, controls: int) -> None:
        super().__init__()
        self.encoder, self.generator = encoder, generator
        self.change = nn.Linear(max(controls, 1), generator.config.w_dim, bias=False)
        nn.init.zeros_(self.change.weight)

    def spread(self, w: Tensor) -> Tensor:
        """Codes [N, w_dim] on every layer: [N, num_ws, w_dim]."""
        return w[:, None].expand(-1, self.generator.config.num_ws, -1)


def begin(start: str | Path, controls: int) -> Autoencoder:
    """The networks that a training begins from, ready to be trained.

    Args:
        start: a built-in generator, whose encoder (or that of its base) comes along, or a folder of `write_networks`.
        controls: how many numbers say what changed in a driven picture.

    Raises:
        WeightsError: no built-in encoder is for the generator, or the folder's files do not fit.
    """
    folder = Path(start)
    if folder.is_dir():
        generator, encoder = read_pair(folder)
    else:
        generator = copy.deepcopy(pretrained.load_generator(str(start)))
        found = pretrained.find_encoder(generator.fingerprint) or pretrained.find_encoder(generator.base or "")
        if found is None:
            raise WeightsError(f"no built-in encoder is for {start}: begin from synthface-256 or another with one")
        encoder = widen(found, generator)
    for module in (generator, encoder):
        module.requires_grad_(True).train()
    generator.mapping.requires_grad_(False)
    for name, parameter in generator.synthesis.named_parameters():
        if name.endswith("noise_strength"):
            parameter.requires_grad_(False)  # noise maps stay a handle for the projector
    pair = Autoencoder(encoder, generator, controls)
    change = folder / f"{CHANGE}.safetensors"
    if change.is_file():  # a run without driven pictures hands it on as it is
        kept = build_network(change, CHANGE, lambda config: nn.Linear(**config, bias=False))
        if controls in (0, kept.in_features):
            pair.change = kept.requires_grad_(True).train()
    return pair.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def write_networks(folder: Path, pair: Autoencoder, adversary: nn.Module | None = None) -> Path:
    """Write all that a later run begins from, in float16, and return the generator's file.

    `face-R.safetensors`, `face-R-encoder.safetensors`, `expression-change.safetensors` and `adversary.safetensors`.
    """
    generator, name = pair.generator, f"face-{pair.generator.config.resolution}"
    # the file's own fingerprint, after rounding, is what its encoder belongs to
    write_network(folder / f"{name}.safetensors", "generator", asdict(generator.config), generator.state_dict())
    fingerprint = pretrained.load_generator(folder / f"{name}.safetensors").fingerprint
    config = replace(pair.encoder.config, fingerprint=fingerprint)
    write_network(folder / f"{name}-encoder.safetensors", "encoder", asdict(config), pair.encoder.state_dict())
    shape = {"in_features": pair.change.in_features, "out_features": pair.change.out_features}
    write_network(folder / f"{CHANGE}.safetensors", CHANGE, shape, pair.change.state_dict())
    if adversary is not None:
        write_network(folder / f"{ADVERSARY}.safetensors", ADVERSARY, {}, adversary.state_dict())
    return folder / f"{name}.safetensors"


def read_adversary(folder: Path, adversary: nn.Module) -> None:
    """Let the discriminator of `write_networks` go on, when the folder has one; raises WeightsError for another."""
    if (folder / f"{ADVERSARY}.safetensors").is_file():
        build_network(folder / f"{ADVERSARY}.safetensors", ADVERSARY, lambda _: adversary).requires_grad_(True)


def read_pair(folder: Path) -> tuple[Generator, LatentEncoder]:
    """The generator and the encoder of a folder of `write_networks`; WeightsError when it holds no such pair."""
    generators = [path for path in sorted(folder.glob("face-*.safetensors")) if not path.stem.endswith("-encoder")]
    if len(generators) != 1:
        raise WeightsError(f"{folder} holds {len(generators)} files face-*.safetensors: expected the one of a run")
    generator = pretrained.load_generator(generators[0])
    path = folder / f"{generators[0].stem}-encoder.safetensors"
    encoder = build_network(path, "encoder", lambda config: LatentEncoder(EncoderConfig(**config)))
    return copy.deepcopy(generator), encoder


def widen(encoder: LatentEncoder, generator: Generator) -> LatentEncoder:
    """An encoder of another generator's num_ws: its last row serves the rows it lacks."""
    config = generator.config
    wide = LatentEncoder(replace(encoder.config, num_ws=config.num_ws, fingerprint=generator.fingerprint))
    state = encoder.state_dict()
    for name in ("deltas.weight", "deltas.bias"):
        rows = state[name].unflatten(0, (encoder.config.num_ws, config.w_dim))
        more = rows[-1:].expand(config.num_ws - len(rows), *rows.shape[1:])
        state[name] = torch.cat([rows, more]).flatten(0, 1).clone()
    wide.load_state_dict(state)
    return wide
