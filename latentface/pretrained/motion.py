"""Published First Order Motion Model checkpoints: torch files, old-style pickles and zip files, without a config."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentface.errors import UsageError, WeightsError
from latentface.networks.motion import MotionConfig, MotionModel
from latentface.pretrained.native import fill

PARTS = ("generator", "kp_detector")
SCALES = {5: 0.5, 13: 0.25, 29: 0.125}  # side of the anti-aliasing kernel -> scale
WHAT = "a checkpoint of the First Order Motion Model (vox-cpk.pth.tar), or a motion model made by latentface"


def is_torch_file(path: Path) -> bool:
    """Whether a file's first bytes are those of a pickle or a zip file."""
    try:
        with path.open("rb") as stream:
            head = stream.read(2)
    except OSError:
        return False
    return head == b"PK" or head[:1] == b"\x80"


def read_published(path: Path) -> MotionModel:
    """The model of a published checkpoint, in evaluation mode, parameters frozen.

    Sizes are inferred from the tensors' shapes; align_corners is True, as the published networks were trained. The
    discriminator and the optimisers are ignored.

    Raises:
        WeightsError: the file is of another kind, damaged, or its tensors do not match the architecture. Only
            num_batches_tracked, which is unused and not in old files, may be missing.
    """
    parts = load_checkpoint(path, PARTS, WHAT)
    state = {f"{part}.{name}": value for part in PARTS for name, value in parts[part].items()}
    try:
        with torch.device("meta"):  # the model uses the tensors of the file themselves
            model = MotionModel(infer_config(state))
    except (KeyError, IndexError, ValueError, UsageError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path} does not have the shape of a motion model ({reason}): give {WHAT}") from error
    counters = {name: torch.tensor(0) for name in model.state_dict() if name.endswith("num_batches_tracked")}
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    fill(model, counters | state, str(path), assign=True)
    return model.eval().requires_grad_(False)


def infer_config(state: Mapping[str, Tensor]) -> MotionConfig:
    """The config of a state dict; KeyError, IndexError or ValueError if it has another architecture."""
    dense = "generator.dense_motion_network"
    keypoints = _hourglass(state, "kp_detector.predictor")
    motion = _hourglass(state, f"{dense}.hourglass")
    first = len(state["generator.first.conv.bias"])
    downs = block_widths(state, "generator.down_blocks")
    down = state.get(f"{dense}.down.weight")
    final = len(state["generator.final.bias"])
    return MotionConfig(
        num_keypoints=len(state["kp_detector.kp.bias"]),
        scale=1.0 if down is None else SCALES[down.shape[-1]],
        keypoint_width=state["kp_detector.kp.weight"].shape[1] - 3,
        keypoint_max=max(keypoints),
        keypoint_blocks=len(keypoints),
        dense_width=state[f"{dense}.hourglass.decoder.up_blocks.{len(motion) - 1}.conv.bias"].shape[0],
        dense_max=max(motion),
        dense_blocks=len(motion),
        generator_width=first,
        generator_max=max(first, *downs),
        generator_blocks=len(downs),
        bottleneck_blocks=sum(
            name.startswith("generator.bottleneck.") and name.endswith(".conv1.bias") for name in state
        ),
        blend=final == 4,
    )


def _hourglass(state: Mapping[str, Tensor], name: str) -> list[int]:
    return block_widths(state, f"{name}.encoder.down_blocks")


def block_widths(state: Mapping[str, Tensor], name: str) -> list[int]:
    """Output channels of the blocks `name`.0, .1, ..."""
    widths: list[int] = []
    while (bias := state.get(f"{name}.{len(widths)}.conv.bias")) is not None:
        widths.append(len(bias))
    if not widths:
        raise ValueError(f"no {name}.0.conv.bias")
    return widths


def load_checkpoint(path: Path, parts: Sequence[str], what: str) -> dict[str, Mapping[str, Tensor]]:
    """The named parts of a torch file, each with its tensors; `what` says in messages which file is expected.

    Raises:
        WeightsError: the file is damaged, contains more than tensors, or lacks a part.
    """
    checkpoint = _load(path, what)
    if not isinstance(checkpoint, dict) or not all(isinstance(checkpoint.get(part), Mapping) for part in parts):
        found = ", ".join(map(str, checkpoint)) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        wanted = " and ".join([", ".join(parts[:-1]), parts[-1]])
        raise WeightsError(f"{path} contains no {wanted} (found {found[:120] or 'nothing'}): give {what}")
    values = {f"{part}.{name}": value for part in parts for name, value in checkpoint[part].items()}
    odd = [name for name, value in values.items() if not isinstance(value, Tensor)]
    if odd:
        raise WeightsError(f"{path}: {odd[0]} is not a tensor: give {what}")
    return {part: checkpoint[part] for part in parts}


def _load(path: Path, what: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} contains more than tensors or is damaged; nothing in it was executed: give {what}"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        raise WeightsError(f"{path} is damaged or not a torch file ({reason}): give {what}") from error
