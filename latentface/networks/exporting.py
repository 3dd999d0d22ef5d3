"""Export of a module to ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from latentface.errors import WeightsError

ONNX_PACKAGES = ("onnx", "onnxscript")


def to_onnx(module: nn.Module, example: Tensor, name: str, outputs: Sequence[str]) -> bytes:
    """A module of one input as an ONNX file, for any number of examples.

    Args:
        module: is switched to evaluation mode.
        example: an input of two examples [2, ...].
        name: name of the input.
        outputs: names of the outputs.

    Raises:
        WeightsError: a required package is missing.
    """
    missing = [package for package in ONNX_PACKAGES if find_spec(package) is None]
    if missing:
        raise WeightsError(f"ONNX needs the packages {' and '.join(missing)}: pip install 'latentface[onnx]'")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter emits warnings about itself
        program = torch.onnx.export(
            module.eval(), (example,), input_names=[name], output_names=list(outputs), dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},), verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")  # stack traces contain private paths of this machine
    content: bytes = model.SerializeToString()
    return content
