"""What is checked before work begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.editing.keyframes import Keyframes
from latentface.emotion import EmotionSequence
from latentface.errors import OutputError, UsageError
from latentface.studio.results import Results
from latentface.studio.work import LONGEST, Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop("face-256", Results(tmp_path))


def test_what_cannot_work_is_said_before_it_waits_in_the_queue(workshop: Workshop) -> None:
    sequence = EmotionSequence.of("fear")
    with pytest.raises(OutputError, match="png, jpg, webp"):
        workshop.edit("a.png", {}, kind="tiff")
    with pytest.raises(OutputError, match="mp4"):
        workshop.video("a.png", sequence, kind="avi")
    with pytest.raises(UsageError, match=f"{LONGEST:g} at most"):
        workshop.video("a.png", sequence.lasting(2 * LONGEST))
    with pytest.raises(UsageError, match="no part nose"):
        workshop.transfer("a.png", "b.png", only=["nose"])
    with pytest.raises(UsageError, match="no part nose"):
        workshop.animate("a.png", "b.mp4", only=["nose"])
    with pytest.raises(UsageError, match="nothing changes yet"):
        workshop.edit_clip("a.mp4", Keyframes())
    with pytest.raises(UsageError, match="strength"):
        workshop.transfer("a.png", "b.png", 7.0)
    with pytest.raises(UsageError, match="share"):
        workshop.mix("a.png", "b.png", "0", 2.0)
