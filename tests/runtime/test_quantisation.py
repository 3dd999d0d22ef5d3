"""What quantisation writes, what it costs, and when it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from latentface import hub
from latentface.cli import run
from latentface.errors import InputError, WeightsError
from latentface.io.atomic import sha256
from latentface.runtime import quantisation
from latentface.runtime.calibration import Accuracy, compare
from latentface.runtime.quantisation import place, quantise
from latentface.runtime.served import Served
from tests.runtime.conftest import PHOTO, Made

PLACE = np.array([[75.0, 60.0, 210.0, 195.0]])


def test_convolutions_are_u8s8_and_the_file_is_a_quarter(made: Made) -> None:
    nodes = onnx.load_from_string(made.int8).graph
    kinds = [node.op_type for node in nodes.node]
    assert "Conv" not in kinds and kinds.count("QLinearConv") == 20
    weights = {each.name: each.data_type for each in nodes.initializer}
    for node in nodes.node:
        if node.op_type == "QLinearConv":
            assert weights[node.input[3]] == onnx.TensorProto.INT8 and weights[node.input[2]] == onnx.TensorProto.UINT8
    assert 3.5 < len(made.exact) / len(made.int8) < 4


def test_exact_and_quantised_estimates_agree(made: Made) -> None:
    with torch.no_grad():
        known = made.estimator.network(made.inputs[0])[0]
    eyes = (known[:, 42:48].mean(1) - known[:, 36:42].mean(1)).norm(dim=1)
    same, close = (
        ((Served(content, "net")(made.inputs[0])[0] - known).norm(dim=2).mean(1) / eyes).max()
        for content in (made.exact, made.int8)
    )
    assert same < 1e-4 < close < 0.01
    accuracy = compare("landmarks", made.estimator.network, Served(made.int8, "net"), made.inputs[:1])
    assert accuracy.worse < 0.15  # one face calibrates badly: many are needed for .05


@pytest.fixture
def ready(made: Made, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Path:
    """The slow steps done already."""
    monkeypatch.setattr(quantisation, "to_onnx", lambda *given: made.exact)
    monkeypatch.setattr(quantisation, "to_int8", lambda *given: made.int8)
    return own_cache


def told(worse: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "compare", lambda *given: Accuracy(1.0, 1.0 + worse))


def test_the_command_writes_what_the_hub_serves(
    ready: Path, made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(0.049, monkeypatch)
    hub.forget()
    with hub.runtime("onnx"), pytest.raises(WeightsError, match="latentface weights quantise landmarks --calibrate"):
        hub.landmark_predictor()
    torch_points = hub.landmark_predictor()(made.photo, PLACE)
    assert run(["weights", "quantise", "landmarks", "--calibrate", str(PHOTO), str(PHOTO), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    path = place(ready, sha256(made.estimator.path))
    assert said["path"] == str(path) and said["bytes"] == [path.stat().st_size, len(made.exact)]
    assert said["faces"] == [1, 1] and said["accuracy"]["worse"] == pytest.approx(0.049)
    served = hub.landmark_predictor()(made.photo, PLACE)
    with hub.runtime("torch"):
        assert (hub.landmark_predictor()(made.photo, PLACE) == torch_points).all()
    assert 0 < abs(served - torch_points).max() < 2  # pixels, of a face of 130
    hub.forget()


def test_too_much_error_is_refused_and_nothing_written(
    ready: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(0.051, monkeypatch)
    with pytest.raises(WeightsError, match=r"1\.051 points instead of 1\.000, more than 0\.05 points worse"):
        quantise("landmarks", [made.photo, made.photo], None, ready)
    assert not ready.exists()


def test_bad_input_says_what_to_do(ready: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="1 faces in the pictures; expected two at least"):
        quantise("landmarks", [made.photo], None, ready)
    monkeypatch.setattr(quantisation, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'latentface\[onnx\]'"):
        quantise("landmarks", [made.photo], None, ready)
