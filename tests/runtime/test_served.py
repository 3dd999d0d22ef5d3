"""Networks in onnxruntime: shapes, damaged files, other kinds."""

from __future__ import annotations

import pickle
from pathlib import Path

import onnx
import pytest
import torch

from latentface.errors import UsageError, WeightsError
from latentface.runtime import served
from latentface.runtime.served import Served, read_served, with_keypoints
from tests.helpers.tiny_motion import tiny
from tests.runtime.conftest import Made


def test_any_number_of_pictures_of_one_size(made: Made) -> None:
    network = pickle.loads(pickle.dumps(Served(made.int8, "net")))  # as for another process, live
    assert [tuple(network(torch.zeros(n, 3, 128, 128))[0].shape) for n in (1, 3)] == [(1, 68, 2), (3, 68, 2)]
    with pytest.raises(UsageError, match=r"expected \[N, 3, 128, 128\], got \[1, 3, 64, 64\]"):
        network(torch.zeros(1, 3, 64, 64))


def test_files_that_cannot_be_used(tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_served(path, "landmarks")
    path.write_bytes(made.int8[: len(made.int8) // 2])
    with pytest.raises(WeightsError, match="quantise the network again"):
        read_served(path, "landmarks")
    model = onnx.load_from_string(made.int8)
    onnx.helper.set_model_props(model, {"kind": "motion", "config": "{}"})
    onnx.save(model, path)
    with pytest.raises(WeightsError, match="contains motion; expected landmarks"):
        read_served(path, "landmarks")
    monkeypatch.setattr(served, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'latentface\[runtime\]'"):
        read_served(path, "motion")


def test_a_model_with_served_keypoints_shares_the_rest(made: Made) -> None:
    model, asked = tiny(), []

    def answer(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(images)
        return torch.zeros(1, 3, 2), torch.eye(2).expand(1, 3, 2, 2)

    changed = with_keypoints(model, answer)
    pictures = torch.rand(1, 3, 32, 32) * 2 - 1
    assert changed.generator is model.generator and (changed.keypoints(pictures).value == 0).all()
    torch.testing.assert_close(asked[0], pictures)
    assert (model.keypoints(pictures).value != 0).any()
