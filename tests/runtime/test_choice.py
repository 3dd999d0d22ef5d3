"""Which runtime serves, and what cannot be combined."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.cli import run
from latentface.errors import UsageError, WeightsError
from latentface.runtime.choice import quantised, runtime
from latentface.runtime.quantisation import place
from tests.runtime.conftest import PHOTO


def test_auto_is_torch_where_nothing_is_quantised(own_cache: Path) -> None:
    assert quantised("landmarks", "landmarks") is None
    place(own_cache, "").parent.mkdir(parents=True)
    assert quantised("landmarks", "landmarks") is None and quantised("dlib68", "landmarks") is None
    assert quantised("landmarks", "landmarks", "cuda") is None


def test_what_cannot_be(own_cache: Path) -> None:
    with pytest.raises(UsageError, match="expected auto, onnx, torch"), runtime("tensorrt"):
        pass
    with runtime("torch"), pytest.raises(UsageError, match="--runtime torch cannot run"):
        quantised("a.onnx", "landmarks")
    with runtime("onnx"):
        with pytest.raises(UsageError, match="the device is cuda"):
            quantised("landmarks", "landmarks", "cuda")
        with pytest.raises(WeightsError, match="dlib68 is not quantised"):
            quantised("dlib68", "landmarks")
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        quantised("a.onnx", "landmarks")


def test_the_command_line_asks_for_it(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["faces", str(PHOTO), "--runtime", "onnx"]) == 4
    assert "landmarks is not quantised on this machine: first run" in " ".join(capsys.readouterr().err.split())
