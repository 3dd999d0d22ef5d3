"""The controls of a head by name: ranges, words for help texts, and the parts of a face."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import latentface
from latentface.errors import UsageError
from latentface.head.coefficients import indices_of
from latentface.head.control_names import CONTROLS, GAZE, PARTS, POSE, check_parts, describe_controls, parse_parts
from latentface.head.model import HeadModel

MODEL = Path(latentface.__file__).parent / "pretrained" / "weights" / "head.safetensors"


def test_every_control_moves_shapes_that_the_head_has_or_turns_it() -> None:
    names = HeadModel.load(MODEL).expression_names
    for name, control in CONTROLS.items():
        assert control.low < control.high and control.low <= 0 <= control.high, name
        shapes = {**(control.up or {}), **(control.down or {})}
        assert bool(shapes) == (name not in (*POSE, *GAZE, "neutralise")), name
        for shape, weight in shapes.items():
            assert indices_of(names, shape) and 0 < weight <= 1, (name, shape)


def test_a_control_below_zero_has_shapes_of_its_own() -> None:
    downward = {name for name, each in CONTROLS.items() if each.low < 0 and name not in (*POSE, *GAZE)}
    assert downward == {name for name, each in CONTROLS.items() if each.down} == {"brows"}


def test_help_names_every_control_and_its_range() -> None:
    text = describe_controls()
    assert text.count(" to ") >= len(CONTROLS)
    assert "smile (0 to 1: the corners of the mouth" in text and "yaw (-20 to 20: degrees" in text
    assert all(f"{name} (" in text for name in CONTROLS)


def test_every_shape_is_of_one_part_at_most() -> None:
    for name in HeadModel.load(MODEL).expression_names:
        parts = [part for part, prefixes in PARTS.items() if name.startswith(prefixes)]
        assert len(parts) == 1, name


def test_parts_are_parsed() -> None:
    assert parse_parts(" lips, eyes ,") == ("lips", "eyes")
    assert parse_parts("pose") == ("pose",) and parse_parts("") == ()


def test_an_unknown_part_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no part ears, hair; expected some of eyes, lips, brows, expression, pose"):
        parse_parts("hair,lips,ears")
    check_parts(["brows", "pose"])


def test_names_come_without_numpy() -> None:
    statement = "import sys, latentface.head.control_names; sys.exit('numpy' in sys.modules)"
    root = Path(latentface.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", statement], cwd=root, timeout=60).returncode == 0
