"""StyleGAN2-ADA (PyTorch), StyleGAN2 of the StyleGAN3 repository, and the modules saved by pivotal tuning.

Each module in such a file is a call of one global with one dictionary: source code, class name and the module's
attributes. The original loader executes the source code; here only the attributes are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from latentface.pretrained.readers.checkpoint import Checkpoint, complete
from latentface.pretrained.readers.errors import Unreadable, damaged
from latentface.pretrained.readers.foreign import refuse_names, unknown
from latentface.pretrained.readers.shapes import contradiction
from latentface.pretrained.readers.torchfile import stored
from latentface.pretrained.readers.unpickler import Instance
from latentface.pretrained.readers.values import Budget, Stored, load_all, plain

MODULE = "torch_utils.persistence._reconstruct_persistent_obj"
MOST_MODULES = 5_000
DEEPEST = 16

#: Names in the file that differ from those of GeneratorConfig.
CLAIMS = {"img_resolution": "resolution", "num_layers": "num_mapping_layers"}


def is_module(value: object) -> TypeGuard[Instance]:
    """Whether a value is a module of StyleGAN's persistence."""
    return isinstance(value, Instance) and value.kind == MODULE


def read_module(module: Instance, budget: Budget, notes: tuple[str, ...] = ()) -> Checkpoint:
    """The generator in a persistent module.

    Raises:
        Unreadable: another network, contradictions, damaged tensors.
    """
    tensors: dict[str, Stored] = {}
    attributes: dict[str, Mapping[str, Any]] = {}
    for prefix, held in _walk(module):
        attributes[prefix] = held
        for group in ("_parameters", "_buffers"):
            for name, value in _table(held, group):
                tensor = stored(value, budget)
                if tensor is not None:
                    tensors[prefix + name] = tensor
    if "synthesis.b4.const" not in tensors:
        refuse_names(tensors)
        raise unknown(tensors)
    return complete("stylegan2-ada", load_all(tensors), _claims(attributes), notes)


def _walk(module: Instance, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Prefix and attributes of a module and of all its submodules; a file may contain a cycle."""
    waiting = [(prefix, module)]
    seen = 0
    while waiting:
        prefix, module = waiting.pop()
        seen += 1
        meta = module.args[0] if len(module.args) == 1 else None
        held = meta.get("state") if isinstance(meta, dict) else None
        if not isinstance(held, dict) or seen > MOST_MODULES or prefix.count(".") > DEEPEST:
            raise damaged("a module without its attributes, or inside itself")
        yield prefix, held
        for name, child in _table(held, "_modules"):
            if not is_module(child):
                raise Unreadable(f"has a part {ascii(prefix + name)[:60]} of an unknown kind: give a StyleGAN2 file")
            waiting.append((f"{prefix}{name}.", child))


def _table(held: Mapping[str, Any], group: str) -> Iterator[tuple[str, Any]]:
    """The entries of a module's `_parameters`, `_buffers` or `_modules` that are not None."""
    entries = held.get(group, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise damaged(f"a module whose {group} are not a dictionary")
    return ((name, value) for name, value in entries.items() if value is not None)


def _claims(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The claims of the file: the arguments of the constructors, overridden by the actual values in the layers."""
    top = attributes[""]
    given = top.get("_init_kwargs")
    parts = [given, given.get("mapping_kwargs"), given.get("synthesis_kwargs")] if isinstance(given, dict) else []
    said = {key: plain(value) for part in (*parts, top) if isinstance(part, dict) for key, value in part.items()}
    claims = {CLAIMS.get(key, key): value for key, value in said.items()}
    _check_activations(attributes)
    clamps = {plain(held["conv_clamp"]) for held in attributes.values() if _is_number(held.get("conv_clamp", ""))}
    if len(clamps) > 1:
        raise contradiction("its layers clamp differently")
    first = attributes.get("mapping.fc0.", {})
    if clamps:
        claims["conv_clamp"] = clamps.pop()
    # an equalised layer multiplies its bias by its learning-rate multiplier
    return {**claims, "lr_multiplier": plain(first.get("bias_gain"))}


def _is_number(value: object) -> bool:
    return plain(value) is None or type(plain(value)) in (int, float)


def _check_activations(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    for prefix, held in attributes.items():
        activation = plain(held.get("activation", "linear"))
        if activation not in ("lrelu", "linear"):
            raise Unreadable(f"uses the activation {ascii(activation)[:40]} in {prefix}, not supported: only lrelu is")
