"""Published-style checkpoints of the free-view talking head: torch files of the open implementation, without a config.

A file contains ``generator``, ``kp_detector`` and ``he_estimator``; further parts (discriminator, optimisers) are
ignored. Both generators are read: the residual one, and the one with spatially adaptive normalisation, whose spectrally
normalised weights are stored as ``weight_orig``, ``weight_u`` and ``weight_v``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from latentface.errors import UsageError, WeightsError
from latentface.networks.vid2vid import Vid2VidConfig, Vid2VidModel
from latentface.pretrained.motion import SCALES, block_widths, load_checkpoint
from latentface.pretrained.native import fill

READERS = ("kp_detector", "he_estimator")
PARTS = ("generator", *READERS)
DENSE, DETECTOR, ESTIMATOR = "generator.dense_motion_network", "reader.kp_detector", "reader.he_estimator"
WHAT = "a checkpoint of One-Shot Free-View Talking Head Synthesis (.pth.tar), or a free-view model made by latentface"


def read_published(path: Path) -> Vid2VidModel:
    """The model of a published checkpoint, in evaluation mode, parameters frozen.

    Sizes are inferred from the tensors' shapes; the temperature and the variance, which leave no trace in them, are
    those of the published configuration.

    Raises:
        WeightsError: the file is of another kind, damaged, or its tensors do not match the architecture. Only
            num_batches_tracked, which is unused, may be missing.
    """
    state = _state(load_checkpoint(path, PARTS, WHAT), path)
    try:
        with torch.device("meta"):  # the model uses the tensors of the file themselves
            model = Vid2VidModel(infer_config(state))
    except (KeyError, IndexError, ValueError, UsageError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path} does not have the shape of a free-view model ({reason}): give {WHAT}") from error
    counters = {name: torch.tensor(0) for name in model.state_dict() if name.endswith("num_batches_tracked")}
    fill(model, counters | state, str(path), assign=True)
    return model.eval().requires_grad_(False)


def _state(parts: Mapping[str, Mapping[str, Tensor]], path: Path) -> dict[str, Tensor]:
    """The tensors of all parts under the names of `Vid2VidModel`, spectral normalisation applied."""
    state: dict[str, Tensor] = {}
    for part, tensors in parts.items():
        prefix = f"reader.{part}" if part in READERS else part
        state |= {f"{prefix}.{name.removeprefix('module.')}": value for name, value in tensors.items()}
    if any(name.endswith((".jacobian.weight", ".jacobian.bias")) for name in state):
        raise WeightsError(f"{path} estimates Jacobians; only networks without (estimate_jacobian: False) can be read")
    for name in [name for name in state if name.endswith(".weight_orig")]:
        base = name.removesuffix("_orig")
        try:
            weight, u, v = state.pop(name), state.pop(f"{base}_u"), state.pop(f"{base}_v")
            state[base] = weight / (u @ (weight.flatten(1) @ v))  # Miyato et al. 2018: W / (u^T W v)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"{path}: {base} is not a spectrally normalised weight ({error}): give {WHAT}") from None
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def infer_config(state: Mapping[str, Tensor]) -> Vid2VidConfig:
    """The config of a state dict; KeyError, IndexError or ValueError if it has another architecture."""
    spade = "generator.decoder.fc.weight" in state
    first, second = state["generator.first.conv.weight"], state["generator.second.weight"]
    compress = state[f"{DENSE}.compress.weight"]
    depth = len(second) // compress.shape[1]
    down = state.get(f"{DETECTOR}.down.weight")
    keypoints = _widths(state, f"{DETECTOR}.predictor.down_blocks.down")
    dense = block_widths(state, f"{DENSE}.hourglass.encoder.down_blocks")
    ups = block_widths(state, f"{DENSE}.hourglass.decoder.up_blocks")
    return Vid2VidConfig(
        num_keypoints=len(state[f"{DETECTOR}.kp.bias"]),
        depth=depth,
        volume=compress.shape[1],
        compress=len(compress),
        keypoint_scale=1.0 if down is None else SCALES[down.shape[-1]],
        keypoint_width=state[f"{DETECTOR}.kp.weight"].shape[1],
        keypoint_max=max(keypoints),
        keypoint_blocks=len(keypoints),
        keypoint_channels=len(state[f"{DETECTOR}.predictor.conv.bias"]),
        pose_width=len(state[f"{ESTIMATOR}.conv1.bias"]),
        pose_levels=_four([len(state[f"{ESTIMATOR}.conv{level}.bias"]) for level in (2, 3, 4, 5)]),
        bins=len(state[f"{ESTIMATOR}.fc_yaw.bias"]),
        dense_width=ups[-1],
        dense_max=max(dense),
        dense_blocks=len(dense),
        dense_kernel=state[f"{DENSE}.mask.weight"].shape[-1],
        generator_width=len(first),
        generator_max=len(second),
        generator_blocks=len(block_widths(state, "generator.down_blocks")),
        first_kernel=first.shape[-1],
        bottleneck_blocks=sum(
            name.startswith("generator.resblocks_3d.") and name.endswith(".conv1.bias") for name in state
        ),
        decoder="spade" if spade else "residual",
    )


def _widths(state: Mapping[str, Tensor], name: str) -> list[int]:
    """Output channels of the blocks name0, name1, ..."""
    widths: list[int] = []
    while (bias := state.get(f"{name}{len(widths)}.conv.bias")) is not None:
        widths.append(len(bias))
    return widths


def _four(values: list[int]) -> tuple[int, int, int, int]:
    first, second, third, fourth = values
    return first, second, third, fourth
