"""Values over time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latentface.editing.keyframes import Keyframes
from latentface.errors import InputError, UsageError


def test_a_value_eases_between_two_times_and_stays_outside_them() -> None:
    keys = Keyframes({"smile": 0.3}).with_keys(1, {"blink": 0}).with_keys(3, {"blink": 1})
    assert keys.names == ("smile", "blink")
    values = [keys.at(seconds)["blink"] for seconds in (0, 1, 1.5, 2, 2.5, 3, 9)]
    assert values[:2] == [0, 0] and values[-2:] == [1, 1]
    assert values[3] == pytest.approx(0.5)
    assert values[2] == pytest.approx(1 - values[4]) and values[2] < 0.25  # slow at both ends
    assert keys.at(2)["smile"] == 0.3


def test_a_later_value_at_the_same_time_counts() -> None:
    assert Keyframes().with_keys(1, {"blink": 0}).with_keys(1, {"blink": 1}).at(1) == {"blink": 1}


def test_curves_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "curves.json"
    file.write_text(json.dumps({"seconds": [0, 1], "jawOpen": [0, 0.5], "yaw+": [4, 4]}))
    assert Keyframes({"smile": 1}).with_curves(file).at(1) == {"smile": 1, "jawOpen": 0.5, "yaw+": 4}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a JSON file"), ([1], "contains no curves"), ({"jawOpen": [0]}, "contains no curves"),
        ({"seconds": [0], "jawOpen": [0, 1]}, "jawOpen is not a list"), ({"seconds": [0], "jawOpen": ["a"]}, "jawOpen"),
        ({"seconds": [1, 0], "jawOpen": [0, 1]}, "do not increase"), ({"seconds": [0], "jawOpen": [True]}, "jawOpen"),
        ('{"seconds": [0], "jawOpen": [NaN]}', "jawOpen"), ({"seconds": [], "jawOpen": []}, "seconds is not"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_named(tmp_path: Path, content: Any, words: str) -> None:
    file = tmp_path / "curves.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=words) as caught:
        Keyframes().with_curves(file)
    assert str(file) in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        Keyframes().with_curves(tmp_path / "none.json")


def test_values_for_all_and_by_time_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="smile has both a value for the whole clip"):
        Keyframes({"smile": 1}).with_keys(0, {"smile": 0})
    with pytest.raises(UsageError, match="increasing times"):
        Keyframes(keys={"smile": ((1, 0), (1, 1))})
