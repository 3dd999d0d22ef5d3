"""Training data that several recipes are tested on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.training import emotion, identity
from latentface.training.data import CELLS, Pairs
from latentface.training.faces import FaceData, load_faces
from latentface.training.landmark_augmentation import AugmentOptions
from latentface.training.landmarks import load_annotated
from tests.helpers.drawn_faces import write_shards
from tests.helpers.drawn_people import write_people


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> FaceData:
    """Forty drawn faces with their landmarks."""
    return load_annotated([write_shards(tmp_path_factory.mktemp("shards"))])


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> FaceData:
    """Three views of each of forty drawn people, who come in pairs that look alike."""
    return load_faces([write_people(tmp_path_factory.mktemp("people"))], ("emotion", "head"))


@pytest.fixture
def gently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few changes, so that a small network learns in seconds."""
    none = {f"{name}_share": 0.0 for name in ("background", "glasses", "occluder", "grey", "soften", "compress")}
    changes = AugmentOptions(rotation=2.0, log_scale=0.02, shift=0.01, **none)
    monkeypatch.setattr(emotion, "CHANGES", changes)
    monkeypatch.setattr(identity, "CHANGES", changes)


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    """A coloured disc on a coloured ground, 32 pixels wide; its factors are the two colours."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    disc = ((x - 16) ** 2 + (y - 16) ** 2 < 100)[None, ..., None]
    inside, outside = rng.integers(0, 256, (2, 64, 1, 1, 3))
    factors = np.concatenate([inside, outside], -1).reshape(64, 6) / 127.5 - 1
    return Pairs(
        np.where(disc, inside, outside).astype(np.uint8),
        torch.from_numpy(factors.astype(np.float32)),
        np.zeros((64, CELLS, CELLS), np.uint8),
    )
