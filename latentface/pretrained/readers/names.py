"""A table of the names and layouts of a generator's tensors in three code bases.

Our names are those of StyleGAN2-ADA's PyTorch state dict. The table is used from left to right for export and from
right to left for import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch

from latentface.networks.config import GeneratorConfig
from latentface.pretrained.readers.errors import damaged

Tensors = dict[str, torch.Tensor]


class Layout(NamedTuple):
    """Differences of a tensor's layout from ours.

    leading, trailing: axes of length 1 that rosinality adds. tf_leading: the same for TensorFlow, in front.
    from_tf: further differences in TensorFlow.
    """

    leading: int = 0
    trailing: int = 0
    tf_leading: int = 0
    from_tf: Callable[[torch.Tensor], torch.Tensor] = lambda value: value


def _oihw(weight: torch.Tensor) -> torch.Tensor:  # [kh, kw, I, O] -> [O, I, kh, kw]
    return weight.permute(3, 2, 0, 1)


VECTOR = Layout()
SCALAR = Layout(leading=1)
DENSE = Layout(from_tf=torch.t)  # [in, out] -> [out, in]
CONV = Layout(leading=1, from_tf=_oihw)
# TensorFlow convolves with the mirrored weight after inserting zeros; here it goes into a transposed convolution
UP_CONV = Layout(leading=1, from_tf=lambda weight: _oihw(weight).flip((2, 3)))
STYLE_BIAS = Layout(from_tf=lambda bias: bias + 1)  # TensorFlow adds the 1 at run time
CONST = Layout(leading=1, tf_leading=1)
NOISE = Layout(leading=2, tf_leading=2)
RGB_BIAS = Layout(leading=1, trailing=2)


class Row(NamedTuple):
    """A tensor's name here, in rosinality's files and in TensorFlow's (empty where they have no such tensor)."""

    ours: str
    rosinality: str
    tensorflow: str
    layout: Layout


def table(resolution: int, num_mapping_layers: int) -> Iterator[Row]:
    """Every tensor that a generator of this size may have; architectures leave some of them out."""
    yield Row("mapping.w_avg", "", "dlatent_avg", VECTOR)  # rosinality stores it beside the state, as latent_avg
    yield Row("mapping.embed.weight", "", "mapping/LabelEmbed/weight", DENSE)
    yield Row("mapping.embed.bias", "", "mapping/LabelEmbed/bias", VECTOR)
    for k in range(num_mapping_layers):
        yield Row(f"mapping.fc{k}.weight", f"style.{k + 1}.weight", f"mapping/Dense{k}/weight", DENSE)
        yield Row(f"mapping.fc{k}.bias", f"style.{k + 1}.bias", f"mapping/Dense{k}/bias", VECTOR)
    yield Row("synthesis.b4.const", "input.input", "synthesis/4x4/Const/const", CONST)
    yield from _convolution("synthesis.b4.conv1", "conv1", "synthesis/4x4/Conv", 0, CONV)
    yield from _to_rgb("synthesis.b4.torgb", "to_rgb1", "synthesis/4x4/ToRGB")
    for n in range(resolution.bit_length() - 3):
        r = 8 << n
        ours, theirs = f"synthesis.b{r}", f"synthesis/{r}x{r}"
        yield from _convolution(f"{ours}.conv0", f"convs.{2 * n}", f"{theirs}/Conv0_up", 2 * n + 1, UP_CONV)
        yield from _convolution(f"{ours}.conv1", f"convs.{2 * n + 1}", f"{theirs}/Conv1", 2 * n + 2, CONV)
        yield from _to_rgb(f"{ours}.torgb", f"to_rgbs.{n}", f"{theirs}/ToRGB")
        yield Row(f"{ours}.skip.weight", "", f"{theirs}/Skip/weight", UP_CONV)


def _convolution(ours: str, rosinality: str, tensorflow: str, index: int, layout: Layout) -> Iterator[Row]:
    yield Row(f"{ours}.weight", f"{rosinality}.conv.weight", f"{tensorflow}/weight", layout)
    yield Row(f"{ours}.affine.weight", f"{rosinality}.conv.modulation.weight", f"{tensorflow}/mod_weight", DENSE)
    yield Row(f"{ours}.affine.bias", f"{rosinality}.conv.modulation.bias", f"{tensorflow}/mod_bias", STYLE_BIAS)
    yield Row(f"{ours}.noise_strength", f"{rosinality}.noise.weight", f"{tensorflow}/noise_strength", SCALAR)
    yield Row(f"{ours}.bias", f"{rosinality}.activate.bias", f"{tensorflow}/bias", VECTOR)
    yield Row(f"{ours}.noise_const", f"noises.noise_{index}", f"synthesis/noise{index}", NOISE)


def _to_rgb(ours: str, rosinality: str, tensorflow: str) -> Iterator[Row]:
    yield Row(f"{ours}.weight", f"{rosinality}.conv.weight", f"{tensorflow}/weight", CONV)
    yield Row(f"{ours}.affine.weight", f"{rosinality}.conv.modulation.weight", f"{tensorflow}/mod_weight", DENSE)
    yield Row(f"{ours}.affine.bias", f"{rosinality}.conv.modulation.bias", f"{tensorflow}/mod_bias", STYLE_BIAS)
    yield Row(f"{ours}.bias", f"{rosinality}.bias", f"{tensorflow}/bias", RGB_BIAS)


def from_rosinality(state: Mapping[str, torch.Tensor], rows: Iterator[Row]) -> Tensors:
    """The tensors of `state` with our names, without the added axes; missing ones are omitted."""
    found = {}
    for row in rows:
        if row.rosinality in state:
            found[row.ours] = _drop(state[row.rosinality], row.layout.leading, row.layout.trailing, row.rosinality)
    return found


def from_tensorflow(state: Mapping[str, torch.Tensor], rows: Iterator[Row]) -> Tensors:
    """The tensors of `state` with our names and layout; missing ones are omitted."""
    found = {}
    for row in rows:
        if row.tensorflow in state:
            value = _drop(state[row.tensorflow], row.layout.tf_leading, 0, row.tensorflow)
            expected = 4 if row.layout in (CONV, UP_CONV) else 2 if row.layout is DENSE else value.ndim
            if value.ndim != expected:
                raise damaged(f"{row.tensorflow} has shape {list(value.shape)}")
            found[row.ours] = row.layout.from_tf(value).contiguous()
    return found


def to_rosinality(state: Mapping[str, torch.Tensor], config: GeneratorConfig) -> Tensors:
    """Our tensors with rosinality's names and the added axes; tensors without a name there are omitted."""
    found = {}
    for row in table(config.resolution, config.num_mapping_layers):
        if row.rosinality and row.ours in state:
            leading, trailing = (1,) * row.layout.leading, (1,) * row.layout.trailing
            found[row.rosinality] = state[row.ours].reshape(*leading, *state[row.ours].shape, *trailing)
    return found


def _drop(value: torch.Tensor, leading: int, trailing: int, name: str) -> torch.Tensor:
    end = value.ndim - trailing
    if end < leading or any(size != 1 for size in (*value.shape[:leading], *value.shape[end:])):
        raise damaged(f"{name} has shape {list(value.shape)}")
    return value.reshape(value.shape[leading:end])
