"""Small checkpoints of every published format, as their own tools would write them, with a trap in every source text.

The files name classes of packages that are not installed (dnnlib, torch_utils): stand-ins take their names while a
file is written, and only then.
"""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained.readers.names import table, to_rosinality

SMALL = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=64, channel_max=6)
Tensors = Mapping[str, torch.Tensor]


def trap(mark: Path) -> str:
    """Source text that leaves a mark when anything runs it."""
    return f"open({str(mark)!r}, 'w').write('sprung')\n" + "# padding\n" * 50


def make(config: GeneratorConfig = SMALL, seed: int = 0) -> Generator:
    """A generator whose biases, noise strengths and mean w are not zero, so that each of them shows."""
    generator = Generator(config, seed=seed)
    source = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, value in generator.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                value += 0.3 * torch.randn(value.shape, generator=source)
        generator.w_avg.copy_(torch.randn(config.w_dim, generator=source))
    return generator.eval().requires_grad_(False)


@contextmanager
def standing_in(members: Mapping[str, Any]) -> Iterator[None]:
    """`package.module.name` -> object, importable (as pickle asks) inside the block."""
    before = dict(sys.modules)
    try:
        for full, member in members.items():
            parts = full.split(".")
            for end in range(1, len(parts)):
                name = ".".join(parts[:end])
                if name not in sys.modules:
                    sys.modules[name] = types.ModuleType(name)
            member.__module__, member.__qualname__, member.__name__ = ".".join(parts[:-1]), parts[-1], parts[-1]
            setattr(sys.modules[".".join(parts[:-1])], parts[-1], member)
        yield
    finally:
        for name in set(sys.modules) - set(before):
            del sys.modules[name]


def dumps(value: Any, members: Mapping[str, Any], protocol: int = 4) -> bytes:
    with standing_in(members):
        return pickle.dumps(value, protocol)


# --- StyleGAN2-ADA (PyTorch) and the StyleGAN3 repository ---------------------------------------------------


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
    raise AssertionError("the stock loader would run the source text here")


class EasyDict(dict[str, Any]):
    pass


class PersistentModule:
    """A module as the persistence decorator pickles it."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str) -> None:
        self.meta = {
            "type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state,
        }  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return _reconstruct_persistent_obj, (EasyDict(self.meta),)


ADA_GLOBALS = {
    "torch_utils.persistence._reconstruct_persistent_obj": _reconstruct_persistent_obj,
    "dnnlib.util.EasyDict": EasyDict,
}


def init_kwargs(config: GeneratorConfig, flat: bool = False) -> dict[str, Any]:
    """The constructor's arguments as ADA spells them, or (flat) as the StyleGAN3 repository does."""
    synthesis = {
        "channel_base": config.channel_base, "channel_max": config.channel_max, "conv_clamp": config.conv_clamp,
        "architecture": config.architecture, "resample_filter": list(config.resample_filter), "num_fp16_res": 4,
    }  # fmt: skip
    return {
        "z_dim": config.z_dim, "c_dim": config.c_dim, "w_dim": config.w_dim, "img_resolution": config.resolution,
        "img_channels": config.img_channels, "mapping_kwargs": EasyDict(num_layers=config.num_mapping_layers),
        **(synthesis if flat else {"synthesis_kwargs": EasyDict(synthesis)}),
    }  # fmt: skip


def persistent(
    state: Tensors, config: GeneratorConfig, source: str, kwargs: Mapping[str, Any] | None = None
) -> PersistentModule:
    """The module tree of a state dict; `kwargs` replaces what the constructor was given."""
    given = init_kwargs(config) if kwargs is None else dict(kwargs)
    top = {**{name: given[name] for name in ("z_dim", "c_dim", "w_dim", "img_resolution") if name in given}}
    return _module("", state, config, source, {**top, "_init_args": (), "_init_kwargs": EasyDict(given)})


def _module(
    prefix: str, state: Tensors, config: GeneratorConfig, source: str, attributes: dict[str, Any]
) -> PersistentModule:
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    children = list(dict.fromkeys(name.split(".")[0] for name in own if "." in name))
    leaves = {name: value for name, value in own.items() if "." not in name}
    buffers = {"w_avg", "noise_const", "resample_filter"}
    held: dict[str, Any] = {
        "training": False,
        "_parameters": OrderedDict((k, torch.nn.Parameter(v)) for k, v in leaves.items() if k not in buffers),
        "_buffers": OrderedDict((k, v) for k, v in leaves.items() if k in buffers),
        "_non_persistent_buffers_set": set(),
        "_forward_hooks": OrderedDict(),
        "_modules": OrderedDict(
            (child, _module(f"{prefix}{child}.", own_state(state, prefix, child), config, source, {}))
            for child in children
        ),
        **attributes,
    }
    last = prefix.rstrip(".").split(".")[-1]
    if last in ("conv0", "conv1"):
        held.update(conv_clamp=config.conv_clamp, activation="lrelu", act_gain=np.sqrt(2), use_noise=True, up=1)
    if last.startswith("fc"):
        held.update(activation="lrelu", bias_gain=config.lr_multiplier, weight_gain=np.float64(0.01))
    return PersistentModule("Module", held, source)


def own_state(state: Tensors, prefix: str, child: str) -> Tensors:
    return {name: value for name, value in state.items() if name.startswith(f"{prefix}{child}.")}


def with_filters(state: Tensors, config: GeneratorConfig) -> dict[str, torch.Tensor]:
    """The state with the low-pass buffers that published files carry."""
    line = torch.tensor(config.resample_filter)
    kernel = torch.outer(line, line) / line.sum() ** 2
    extra = {f"synthesis.b{r}.resample_filter": kernel for r in config.resolutions}
    return {**state, **extra}


def ada(
    generator: Generator, mark: Path, *, key: str = "G_ema", flat: bool = False, protocol: int = 4, **changes: Any
) -> bytes:
    """A network pickle; `changes` replace constructor arguments."""
    state = with_filters(generator.state_dict(), generator.config)
    kwargs = {**init_kwargs(generator.config, flat), **changes}
    module = persistent(state, generator.config, trap(mark), kwargs)
    top = {"training_set_kwargs": EasyDict(resolution=16), key: module, "augment_pipe": None}
    return dumps(top, ADA_GLOBALS, protocol)


def pivotal(generator: Generator, mark: Path, *, legacy: bool = False) -> bytes:
    """What pivotal tuning saves: the whole module, by torch.save."""
    state = with_filters(generator.state_dict(), generator.config)
    with standing_in(ADA_GLOBALS):
        return torch_bytes(persistent(state, generator.config, trap(mark)), legacy=legacy)


# --- legacy TensorFlow --------------------------------------------------------------------------------------


class Network:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


TF_GLOBALS = {"dnnlib.tflib.network.Network": Network, "dnnlib.util.EasyDict": EasyDict}


def tensorflow_variables(state: Tensors, config: GeneratorConfig) -> dict[str, np.ndarray]:
    """The state in TensorFlow's names and layout, `component/name`."""
    found: dict[str, np.ndarray] = {"lod": np.float32(0) * np.ones(())}
    for row in table(config.resolution, config.num_mapping_layers):
        if row.ours not in state:
            continue
        value, name = state[row.ours].numpy(), row.tensorflow
        if name.endswith(("/Conv0_up/weight", "/Skip/weight")):
            value = value[:, :, ::-1, ::-1]
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        elif name.endswith("weight") and value.ndim == 2:
            value = value.T
        elif name.endswith("mod_bias"):
            value = value - 1
        elif name.endswith("Const/const"):
            value = value[None]
        elif "/noise" in name and value.ndim == 2:
            value = value[None, None]
        found[name] = value.copy() if value.ndim else value[()]  # TensorFlow gives scalars as such
    return found


def tensorflow(generator: Generator, mark: Path, *, version: int = 4, protocol: int = 4, **changes: Any) -> bytes:
    """A (G, D, Gs) pickle; only Gs has weights. `changes` replace settings."""
    config = generator.config
    settings = {
        "func_name": "training.networks_stylegan2.G_main", "latent_size": config.z_dim, "dlatent_size": config.w_dim,
        "label_size": config.c_dim, "resolution": config.resolution, "num_channels": config.img_channels,
        "fmap_base": config.channel_base // 2, "fmap_max": config.channel_max,
        "mapping_layers": config.num_mapping_layers, "mapping_lrmul": config.lr_multiplier,
        "architecture": config.architecture, "resample_kernel": list(config.resample_filter),
        "conv_clamp": config.conv_clamp, **changes,
    }  # fmt: skip
    return tensorflow_pickle(tensorflow_variables(generator.state_dict(), config), settings, mark, version, protocol)


def tensorflow_pickle(
    variables: Mapping[str, np.ndarray], settings: Mapping[str, Any], mark: Path, version: int = 4, protocol: int = 4
) -> bytes:
    def network(name: str, prefix: str, **components: Network) -> Network:
        local = [
            (full.removeprefix(prefix), value)
            for full, value in variables.items()
            if full.startswith(prefix) and (prefix or "/" not in full)
        ]
        return Network(
            version=version, name=name, static_kwargs=EasyDict(settings), components=components,
            build_module_src=trap(mark), build_func_name="G_main", variables=local,
        )  # fmt: skip

    parts = {part: network(part, f"{part}/") for part in ("mapping", "synthesis")}
    top = (Network(version=version), Network(version=version), network("Gs", "", **parts))
    return dumps(top, TF_GLOBALS, protocol)


# --- rosinality, pSp ----------------------------------------------------------------------------------------


def torch_bytes(value: Any, *, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def rosinality_state(generator: Generator) -> dict[str, torch.Tensor]:
    """The state in rosinality's spelling, with its low-pass kernels, which are stored times 4."""
    config, line = generator.config, torch.tensor(generator.config.resample_filter)
    kernel = torch.outer(line, line) / line.sum() ** 2 * 4
    state = to_rosinality(generator.state_dict(), config)
    for n in range(len(config.resolutions) - 1):
        state[f"convs.{2 * n}.conv.blur.kernel"] = kernel
        state[f"to_rgbs.{n}.upsample.kernel"] = kernel
    return state


def rosinality(generator: Generator, *, legacy: bool = False, key: str = "g_ema", average: bool = True) -> bytes:
    """A training checkpoint, with the Namespace and the optimiser beside the weights."""
    top: dict[str, Any] = {
        key: OrderedDict(rosinality_state(generator)),
        "g_optim": {"state": {0: {"step": 1, "exp_avg": torch.zeros(2)}}, "param_groups": [{"betas": (0.0, 0.99)}]},
        "args": argparse.Namespace(size=16, lr=0.002, path="data"),
    }
    if average:
        top["latent_avg"] = generator.w_avg
    return torch_bytes(top, legacy=legacy)


def safetensors_bytes(generator: Generator) -> bytes:
    """The state dict as a safetensors file without our header."""
    return safetensors.torch.save({name: value.contiguous() for name, value in generator.state_dict().items()})


def psp(generator: Generator, *, legacy: bool = False) -> bytes:
    """An encoder checkpoint: encoder, decoder, the mean code a layer, the options."""
    encoder = {"encoder.input_layer.0.weight": torch.ones(4, 3, 3, 3), "encoder.styles.0.linear.bias": torch.ones(8)}
    decoder = {f"decoder.{name}": value for name, value in rosinality_state(generator).items()}
    top = {
        "state_dict": OrderedDict({**encoder, **decoder}),
        "latent_avg": generator.w_avg.repeat(generator.config.num_ws, 1),
        "opts": {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, "lr": 1e-4, "nested": {"a": 1}},
    }
    return torch_bytes(top, legacy=legacy)
