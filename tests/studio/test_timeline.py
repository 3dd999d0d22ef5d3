"""Lines of time as the page shows them."""

from __future__ import annotations

from latentface.emotion import Emotion
from latentface.studio.timeline import COLOURS, line_of_emotions, tracks_of_changes


def test_every_emotion_has_a_colour() -> None:
    assert set(COLOURS) == {each.value for each in Emotion}


def test_blocks_are_as_wide_as_they_are_long() -> None:
    shown = line_of_emotions([["happiness", 2, 1], ["fear", 0.5, 2]])
    assert "flex:2;" in shown
    assert "flex:0.5;" in shown
    assert "2.5 seconds" in shown


def test_changes_lie_where_they_happen() -> None:
    shown = tracks_of_changes([["happiness", 2, 1, 3], ["smile", 0.5, 0, 0]], 4.0)
    assert "margin-left:25.0%;width:50.0%" in shown
    assert "margin-left:0.0%;width:100.0%" in shown
    assert "4 seconds" in shown
    assert tracks_of_changes([], 4.0) == ""


def test_words_are_no_markup() -> None:
    for shown in (line_of_emotions([["<img src=x>", 1, 1]]), tracks_of_changes([["<img src=x>", 1, 1]], 1.0)):
        assert "<img" not in shown
        assert 'role="alert"' in shown
