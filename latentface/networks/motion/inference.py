"""A motion model made ready to animate: the same numbers, less work."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from latentface.networks.motion.blocks import ConvNorm, Residual
from latentface.networks.motion.model import MotionModel


def fold(model: MotionModel) -> MotionModel:
    """A copy for inference: batch norms folded into the convolutions before them, memory ordered channels last.

    Agrees with the model to rounding (float32: about 1e-5); it can be neither trained nor saved as a network.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    for block in folded.modules():
        if isinstance(block, ConvNorm):
            block.conv, block.norm = _fuse(block.conv, block.norm), nn.Identity()
        elif isinstance(block, Residual):
            block.conv1, block.norm2 = _fuse(block.conv1, block.norm2), nn.Identity()
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fuse(convolution: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)
