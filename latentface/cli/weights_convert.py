"""`latentface weights import` and `weights export`: conversion from and for other tools."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import click

from latentface.cli.command import Command, flag
from latentface.cli.flags import network_flag, report_flags
from latentface.cli.outputs import check_outputs, prepared_folder
from latentface.cli.report import Report

SUFFIXES = {"rosinality": ".pt", "state-dict": ".pt", "onnx": ".onnx"}


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@flag("--as", "name", default=None, help="Name of the network from then on.  [default: the file's name]")
@flag("--half", is_flag=True, help="Store half precision: half the size, with small differences in the pictures.")
@flag("--overwrite", is_flag=True, help="Replace a network that has this name already.")
@report_flags
def import_weights(report: Report, file: Path, name: str | None, half: bool, overwrite: bool) -> None:
    """Read a StyleGAN2 FILE of any published format and keep the generator, so that `--network NAME` means it.

    Formats: pickles of StyleGAN2-ADA and of the StyleGAN3 repository, modules saved by pivotal tuning, TensorFlow
    pickles, checkpoints of rosinality, pSp, e4e and ReStyle, and state dicts. Nothing inside the file is executed.
    """
    import torch

    from latentface.pretrained import imported
    from latentface.pretrained.native import write_network
    from latentface.pretrained.readers import read_checkpoint

    called = name if name is not None else re.sub(r"[^\w.-]", "-", file.stem, flags=re.ASCII).strip(".-") or "network"
    checkpoint = read_checkpoint(file, encoder=False)
    notes = [*checkpoint.notes, *(["its encoder is not imported"] if checkpoint.format == "psp" else [])]
    for note in notes:
        report.note(f"{file}: {note}")
    path = imported.place(called, overwrite)
    dtype = torch.float16 if half else torch.float32
    write_network(path, "generator", asdict(checkpoint.config), checkpoint.state, dtype)
    size = checkpoint.config.resolution
    report.say(f"{called}: {checkpoint.format}, {size} px, {path}")
    found = {"name": called, "path": str(path), "format": checkpoint.format, "config": asdict(checkpoint.config)}
    report.result({"command": "weights import", **found, "notes": notes, "exit_code": 0})


@click.command("export", cls=Command)
@flag("--format", "format", required=True, type=click.Choice(sorted(SUFFIXES)), help="Format to write.")
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="File to write.  [default: NETWORK.pt or NETWORK.onnx]",
)
@network_flag
@report_flags
def export_weights(report: Report, network: str, format: str, output: Path | None) -> None:
    """Write a generator for other tools: as rosinality's checkpoint, StyleGAN2-ADA's state dict, or ONNX.

    The ONNX file holds the synthesis network, from `ws` [N, num_ws, w_dim] to `image` [N, 3, R, R]; writing it needs
    the extra `onnx`.
    """
    from latentface import pretrained
    from latentface.pretrained import convert

    path = output or Path(f"{Path(network).stem or 'network'}{SUFFIXES[format]}")
    check_outputs([path], [network])
    with prepared_folder(path.parent):
        notes = convert.export(pretrained.load_generator(network), path, format)
    for note in notes:
        report.note(f"{path}: {note}")
    report.say(f"{network}: {path}")
    found = {"network": network, "format": format, "path": str(path), "bytes": path.stat().st_size}
    report.result({"command": "weights export", **found, "notes": notes, "exit_code": 0})
