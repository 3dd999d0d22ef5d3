"""Export to ONNX: names, any number of examples, and what is missing."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from latentface.errors import WeightsError
from latentface.networks import exporting
from latentface.networks.exporting import to_onnx


def test_a_module_computes_the_same_for_any_number_of_examples() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    content = to_onnx(module, torch.zeros(2, 3), "x", ["y"])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for count in (1, 4):
        x = torch.rand(count, 3, generator=torch.Generator().manual_seed(count))
        (y,) = session.run(["y"], {"x": x.numpy()})
        np.testing.assert_allclose(y, module(x).detach().numpy(), atol=1e-6)


def test_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"onnx and onnxscript: pip install 'latentface\[onnx\]'"):
        to_onnx(torch.nn.Identity(), torch.zeros(2, 3), "x", ["y"])
