"""Lines of time, and what is checked before work begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.errors import OutputError, UsageError
from latentface.studio.results import Results
from latentface.studio.work import LONGEST, Workshop, parse_blocks


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop("face-256", Results(tmp_path))


def test_a_table_is_a_sequence() -> None:
    made = parse_blocks([["happiness", 2, 1.5], ["", None, None], [" Fear ", "0.5", "1"], [None, 1, 1]])
    assert made == EmotionSequence(
        (EmotionSegment(Emotion.HAPPINESS, 1.5, 2.0), EmotionSegment(Emotion.FEAR, 1.0, 0.5))
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["joy", 1, 1], "row 2: no emotion 'joy'"), (["fear", "long", 1], "row 2"),
        (["fear", 0, 1], "row 2.*more than 0"),
        (["fear", 1, 3], "row 2.*from 0 to 2"), (["fear", 1], "row 2"), (["fear", float("nan"), 1], "row 2"),
    ],
)  # fmt: skip
def test_rows_that_mean_nothing_are_named(row: list[object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_blocks([["neutral", 1, 1], row])


def test_an_empty_table_is_an_error() -> None:
    with pytest.raises(UsageError, match="at least one"):
        parse_blocks([["", 1, 1]])


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
    with pytest.raises(UsageError, match="strength"):
        workshop.transfer("a.png", "b.png", 7.0)
    with pytest.raises(UsageError, match="share"):
        workshop.mix("a.png", "b.png", "0", 2.0)
