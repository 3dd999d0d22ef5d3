"""State dicts with rosinality's names: its own checkpoints, and the decoders of pSp, e4e and ReStyle files.

They contain no configuration, so it is inferred from the tensors. A plain state dict with StyleGAN2-ADA's names is read
here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from latentface.pretrained.readers.checkpoint import Checkpoint, complete
from latentface.pretrained.readers.errors import Unreadable, damaged
from latentface.pretrained.readers.foreign import refuse_names, unknown
from latentface.pretrained.readers.names import from_rosinality, table
from latentface.pretrained.readers.torchfile import stored
from latentface.pretrained.readers.unpickler import Instance
from latentface.pretrained.readers.values import Budget, Stored, load_all, plain

#: Possible locations of a state dict in a checkpoint, best first; "" is the checkpoint itself.
PLACES = ("g_ema", "G_ema", "ema", "params_ema", "state_dict", "g", "G", "model", "params", "")
LANDMARKS = ("input.input", "synthesis.b4.const")  # the constant input, in rosinality's and in our names
OLD_BIAS = re.compile(r"(conv1|convs\.\d+)\.(conv\.)?bias", re.ASCII)
KERNEL = re.compile(r"(convs\.\d+\.conv\.blur|to_rgbs\.\d+\.upsample)\.kernel", re.ASCII)


def read_states(top: Mapping[Any, Any], budget: Budget, with_encoder: bool = True) -> Checkpoint:
    """Read the generator in a checkpoint's dictionary, and the encoder if requested.

    Raises:
        Unreadable: there is no StyleGAN2 generator in it, or it is damaged.
    """
    place, tensors = _find(top, budget)
    keys = [key for key in top if isinstance(key, str)]
    prefix = next((p for mark in LANDMARKS for p in _prefixes(tensors, mark)), None)
    if prefix is None:
        names = (*keys, *tensors, *_names_below(top))
        refuse_names(names)
        raise unknown(names)
    own = _below(tensors, prefix)
    average = _average(top, budget)
    notes: tuple[str, ...] = ()
    if place in ("g", "G"):
        notes = (f"it has no averaged weights: those under {place!r} are used",)
    if LANDMARKS[1] in own:
        return complete("stylegan2-ada", load_all(own), {}, notes)
    encoder = _below(tensors, "encoder.") if prefix == "decoder." else {}
    if any(name.startswith("hypernet.") for name in tensors):
        notes += ("its hypernetwork is ignored: only the decoder is read",)
    state, filters = _rename(load_all(own))
    if average is not None:
        state["mapping.w_avg"] = average.reshape(-1, average.shape[-1]).mean(0)
    options = _options(top.get("opts"))
    return complete(
        "psp" if encoder else "rosinality", {**state, **filters}, {"architecture": "skip"}, notes,
        encoder=load_all(encoder) if encoder and with_encoder else None, latent_avg=average, options=options,
    )  # fmt: skip


def _find(top: Mapping[Any, Any], budget: Budget) -> tuple[str, dict[str, Stored]]:
    """The first place with tensors in it, and its tensors by name."""
    for place in PLACES:
        held = top.get(place) if place else top
        if isinstance(held, dict):
            pairs = ((name, stored(value, budget)) for name, value in held.items() if isinstance(name, str))
            tensors: dict[str, Stored] = {name: value for name, value in pairs if value is not None}
            if tensors:
                return place, tensors
    return "", {}


def _names_below(top: Mapping[Any, Any]) -> Iterator[str]:
    """The names in nested dictionaries, which identify other kinds of files."""
    for held in top.values():
        if isinstance(held, dict):
            yield from (name for name in held if isinstance(name, str))


def _prefixes(tensors: Mapping[str, Stored], landmark: str) -> list[str]:
    """The prefix of the characteristic name in the tensors' names; an averaged copy comes first."""
    found = [name.removesuffix(landmark) for name in tensors if name == landmark or name.endswith(f".{landmark}")]
    return sorted(found, key=lambda prefix: ("ema" not in prefix, len(prefix), prefix))


def _below(tensors: Mapping[str, Stored], prefix: str) -> dict[str, Stored]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _rename(state: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The state with our names, and its stored low-pass filters."""
    filters = {f"{name}.resample_filter": value for name, value in state.items() if KERNEL.fullmatch(name)}
    modern = {}
    for name, value in state.items():
        old = OLD_BIAS.fullmatch(name)  # before the fused activation, [1, O, 1, 1] or [O]
        if not KERNEL.fullmatch(name):
            modern[f"{old[1]}.activate.bias" if old else name] = value.reshape(-1) if old else value
    blocks = sum(bool(re.fullmatch(r"to_rgbs\.\d+\.bias", name)) for name in modern)
    layers = sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in modern)
    if blocks > 8:
        raise damaged(f"{blocks} resolutions above 4 pixels")
    renamed = from_rosinality(modern, table(4 << blocks, layers))
    extra = len(modern) - len(renamed)
    if extra:
        raise Unreadable(f"has {extra} tensors that StyleGAN2 does not have: it is a variant, not supported")
    return renamed, filters


def _average(top: Mapping[Any, Any], budget: Budget) -> torch.Tensor | None:
    held = stored(top.get("latent_avg"), budget)
    if held is None:
        return None
    average = held.load()
    if average.ndim not in (1, 2) or not average.is_floating_point() or not bool(average.isfinite().all()):
        raise damaged(f"latent_avg of shape {list(average.shape)}")
    return average


def _options(value: Any) -> dict[str, Any]:
    """Training options, a dictionary or a Namespace, as far as they are plain values."""
    held = value.state if isinstance(value, Instance) and value.kind == "argparse.Namespace" else value
    pairs = held.items() if isinstance(held, dict) else ()
    return {
        key: plain(item)
        for key, item in pairs
        if isinstance(key, str) and (item is None or isinstance(plain(item), (bool, int, float, str)))
    }
