"""Tables as emotions one after the other, and as changes of a clip over time."""

from __future__ import annotations

import pytest

from latentface.editing.keyframes import Keyframes
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.errors import UsageError
from latentface.studio.blocks import keyframes_of, parse_blocks, parse_changes


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


def changes(*rows: list[object], fade: float = 0.5) -> Keyframes:
    return keyframes_of(parse_changes(rows), fade)


def test_a_change_without_times_lasts_for_the_whole_clip() -> None:
    assert changes(["Happiness", 1.5, 0, None], ["Open mouth", "0.2", "", 0]) == Keyframes(
        {"happiness": 1.5, "jaw+": 0.2}
    )


def test_a_change_comes_and_goes_between_its_times() -> None:
    made = changes(["happiness", 2, 1, 4])
    assert [made.at(seconds)["happiness"] for seconds in (0, 1, 1.5, 3.5, 4, 9)] == [0, 0, 2, 2, 0, 0]
    assert 0 < made.at(1.2)["happiness"] < 2


def test_a_change_at_the_beginning_is_there_at_once_and_one_without_an_end_stays() -> None:
    assert changes(["fear", 1, 0, 2]).at(0) == {"fear": 1.0}
    late = changes(["fear", 1, 2])
    assert late.at(0) == {"fear": 0.0}
    assert late.at(99) == {"fear": 1.0}


def test_a_short_change_peaks_in_its_middle() -> None:
    made = changes(["fear", 1, 1, 1.4], fade=2)
    assert made.at(1.2) == {"fear": 1.0}
    assert made.at(1.0) == made.at(1.4) == {"fear": 0.0}


def test_changes_of_one_kind_follow_each_other() -> None:
    made = changes(["smile", 0.5, 0, 2], ["smile", -0.5, 2, 4])
    assert [made.at(seconds)["smile+"] for seconds in (1, 2, 3)] == [0.5, 0, -0.5]
    with pytest.raises(UsageError, match="Smile changes twice at 1 s"):
        changes(["smile", 0.5, 0, 2], ["smile", -0.5, 1, 4])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["joy", 1, 0, 1], "row 2: there is no emotion or control 'joy'"), (["fear", "much", 0, 1], "row 2"),
        (["fear", None, 0, 1], "row 2: by how much"), (["fear", 9, 0, 1], "row 2: Fear by 9; expected .* 0 to 3"),
        (["fear", 1, 3, 2], "row 2: .*seconds that rise"), (["fear", 1, -1, 2], "row 2: .*seconds that rise"),
        (["fear", 1, float("inf"), None], "row 2: .*seconds that rise"),
    ],
)  # fmt: skip
def test_changes_that_mean_nothing_are_named(row: list[object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_changes([["fear", 1, 0, 0.5], row])
