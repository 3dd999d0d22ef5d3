"""Legacy TensorFlow pickles of StyleGAN2 and StyleGAN2-ADA, read with NumPy alone.

The file is a tuple of networks (G, D, Gs), each with its settings, source code that the original loader would execute,
its variables and its components `mapping` and `synthesis`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from latentface.pretrained.readers.checkpoint import Checkpoint, complete
from latentface.pretrained.readers.errors import Unreadable, damaged, not_supported
from latentface.pretrained.readers.foreign import refuse_names, unknown
from latentface.pretrained.readers.names import from_tensorflow, table
from latentface.pretrained.readers.shapes import contradiction
from latentface.pretrained.readers.unpickler import Instance
from latentface.pretrained.readers.values import Budget, Stored, StoredArray, is_array, is_scalar, load_all, plain

NETWORK = "dnnlib.tflib.network.Network"
FIRST_VERSION = 4  # 2 and 3 are StyleGAN1's
BLOCK = re.compile(r"synthesis/(\d{1,4})x\1/", re.ASCII)
DENSE = re.compile(r"mapping/Dense\d+/weight", re.ASCII)

#: TensorFlow's name of a setting -> the corresponding field of GeneratorConfig.
CLAIMS = {
    "latent_size": "z_dim", "dlatent_size": "w_dim", "label_size": "c_dim", "resolution": "resolution",
    "num_channels": "img_channels", "fmap_max": "channel_max", "mapping_layers": "num_mapping_layers",
    "mapping_lrmul": "lr_multiplier", "architecture": "architecture", "resample_kernel": "resample_filter",
    "conv_clamp": "conv_clamp",
}  # fmt: skip
#: Settings for which only one value is supported.
FIXED = {
    "nonlinearity": "lrelu", "mapping_nonlinearity": "lrelu", "normalize_latents": True, "fused_modconv": None,
    "fmap_decay": 1.0, "fmap_min": 1,
}  # fmt: skip
#: Settings that do not affect the output of a generator.
HARMLESS = frozenset((
    "func_name", "mapping_func", "synthesis_func", "truncation_psi", "truncation_cutoff", "truncation_psi_val",
    "truncation_cutoff_val", "dlatent_avg_beta", "style_mixing_prob", "dtype", "num_fp16_res", "is_training",
    "is_validation", "return_dlatents", "use_noise", "randomize_noise", "fmap_base", "mapping_fmaps",
    "dlatent_broadcast", "structure", "force_clean_graph", "is_template_graph",
))  # fmt: skip


def is_network(value: object) -> TypeGuard[Instance]:
    """Whether a value is a network of dnnlib."""
    return isinstance(value, Instance) and value.kind == NETWORK


def read_networks(networks: Any, budget: Budget) -> Checkpoint:
    """The generator of a (G, D, Gs) tuple, or of a single network: the last one that is a generator.

    Raises:
        Unreadable: another network, a contradiction, a setting whose arithmetic is not this generator's.
    """
    group = networks if isinstance(networks, (tuple, list)) else (networks,)
    network = _state(group[-1])
    version = plain(network.get("version"))
    variables = _variables(network, "", budget)
    refuse_names(variables)
    if not isinstance(version, int) or version < FIRST_VERSION:
        raise not_supported(f"a network of version {ascii(version)[:20]} (StyleGAN1 or Progressive GAN)")
    if "synthesis/4x4/Const/const" not in variables:
        raise unknown(variables)
    if "mapping/LabelConcat/weight" in variables:
        raise not_supported("a StyleGAN2 network with concatenated labels")
    claims, notes = _claims(network.get("static_kwargs"))
    resolution = max(int(match[1]) for match in map(BLOCK.match, variables) if match)
    layers = sum(DENSE.fullmatch(name) is not None for name in variables)
    state = from_tensorflow(load_all(variables), table(min(resolution, 1024), layers))
    if len(state) != sum(name != "lod" for name in variables):
        raise damaged("tensors that StyleGAN2 does not have")
    return complete("stylegan2-tf", state, claims, notes)


def _state(value: Any) -> Mapping[str, Any]:
    if not is_network(value) or not isinstance(value.state, dict):
        raise damaged("something else in place of a network")
    return value.state


def _variables(network: Mapping[str, Any], prefix: str, budget: Budget) -> dict[str, Stored]:
    """Arrays by `component/name`: names are local to each component, or carry `G_mapping/` when they were merged."""
    found: dict[str, Stored] = {}
    listed = network.get("variables")
    for pair in listed if isinstance(listed, list) else []:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise damaged("a variable that is not a pair of name and array")
        if not (is_array(pair[1]) or is_scalar(pair[1])):
            raise damaged("a variable that is not a pair of name and array")
        found[prefix + pair[0].removeprefix("G_")] = StoredArray(pair[1], budget)
    components = network.get("components")
    for name, component in components.items() if isinstance(components, dict) and not prefix else ():
        found.update(_variables(_state(component), f"{name}/", budget))
    return found


def _claims(settings: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings as claims, and a note about unknown ones."""
    if not isinstance(settings, dict):
        raise damaged("a network without its settings")
    said = {key: plain(value) for key, value in settings.items()}
    for key, value in FIXED.items():
        if value is not None and said.get(key, value) != value:
            raise Unreadable(f"was made with {key} {ascii(said[key])[:40]}, not supported: only {value} is")
    claims = {field: said[key] for key, field in CLAIMS.items() if key in said}
    if isinstance(said.get("fmap_base"), int):
        claims["channel_base"] = 2 * said["fmap_base"]  # TensorFlow's values refer to half the resolution
    if said.get("mapping_fmaps", claims.get("w_dim")) != claims.get("w_dim") and claims.get("num_mapping_layers") != 1:
        raise contradiction("its mapping network is of another width than w")
    unknown_keys = sorted(said.keys() - CLAIMS.keys() - FIXED.keys() - HARMLESS)
    notes = (f"unknown settings, ignored: {', '.join(ascii(key)[1:-1][:40] for key in unknown_keys)}",)
    return claims, notes if unknown_keys else ()
