"""What the tests of the readers share: small files of every format, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from latentface.errors import WeightsError
from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make

TINY = replace(SMALL, resolution=8, z_dim=2, w_dim=2, num_mapping_layers=1, channel_base=16, channel_max=2)
FORMATS: dict[str, Callable[[Path], bytes]] = {
    "ada": lambda mark: write.ada(make(TINY), mark),
    "ada-protocol-2": lambda mark: write.ada(make(TINY), mark, protocol=2),
    "pivotal": lambda mark: write.pivotal(make(TINY), mark),
    "pivotal-legacy": lambda mark: write.pivotal(make(TINY), mark, legacy=True),
    "tensorflow": lambda mark: write.tensorflow(make(TINY), mark),
    "rosinality": lambda mark: write.rosinality(make(TINY)),
    "rosinality-legacy": lambda mark: write.rosinality(make(TINY), legacy=True),
    "psp": lambda mark: write.psp(make(TINY)),
    "safetensors": lambda mark: write.safetensors_bytes(make(TINY)),
}


def refused(path: Path, *words: str) -> None:
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < len(str(path)) + 400
    assert all(word in message for word in words), message
