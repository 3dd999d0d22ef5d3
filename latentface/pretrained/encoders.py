"""Encoders from published files: pSp and e4e, with the mean code that is added to their output."""

from __future__ import annotations

import os

import torch

from latentface.errors import UsageError, WeightsError
from latentface.networks.psp_encoder import PspEncoder, infer_config
from latentface.pretrained.native import fill
from latentface.pretrained.readers import Checkpoint, read_checkpoint

#: The file's name of its encoder -> whether rows are differences from the first, which is the only distinction.
DELTAS = {"GradualStyleEncoder": False, "Encoder4Editing": True}


def read_encoder(path: str | os.PathLike[str]) -> PspEncoder:
    """The encoder of a pSp or e4e file, on the CPU, in evaluation mode, its parameters frozen.

    Raises:
        WeightsError: as for `read_checkpoint`; also if there is no encoder, one of another design, or tensors that do
            not fit.
    """
    checkpoint, source = read_checkpoint(path), os.fspath(path)
    if checkpoint.encoder is None:
        raise WeightsError(f"{source} contains a generator but no encoder: give a pSp or e4e file")
    design = checkpoint.options.get("encoder_type")
    if design not in DELTAS:
        raise WeightsError(f"{source} contains an encoder of type {design}, expected one of {', '.join(DELTAS)}")
    try:
        config = infer_config(checkpoint.encoder, DELTAS[design])
        average = _mean_code(checkpoint, config.num_ws)
    except UsageError as error:
        raise WeightsError(f"{source} contains {error}, which is not supported: give a pSp or e4e file") from error
    with torch.device("meta"):  # the file's tensors become the network's
        network = PspEncoder(config)
    fill(network, {**checkpoint.encoder, "latent_avg": average}, source, assign=True)
    return network.eval().requires_grad_(False)


def _mean_code(checkpoint: Checkpoint, num_ws: int) -> torch.Tensor:
    """The code that is added to the output, [num_ws, w_dim]: zero for an encoder trained to predict the code itself.

    Raises UsageError if the file should contain it but does not.
    """
    if not checkpoint.options.get("start_from_latent_avg", True):
        return torch.zeros(num_ws, checkpoint.config.w_dim)
    if checkpoint.latent_avg is None:
        raise UsageError("an encoder without the mean code it was trained with (latent_avg)")
    rows = checkpoint.latent_avg.float().reshape(-1, checkpoint.latent_avg.shape[-1])
    return rows.expand(num_ws, -1).contiguous() if rows.shape[0] == 1 else rows
