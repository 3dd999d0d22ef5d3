"""Stand-ins for detection and landmarks, for every test of motion."""

from __future__ import annotations

import pytest

from latentface import hub
from latentface.faces import alignment
from tests.helpers.cli_desk import find_blobs, place_points
from tests.helpers.motion_models import best_skin


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(alignment, "best_score", best_skin)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: place_points)
