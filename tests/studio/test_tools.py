"""Tabs as command lines that do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from latentface.cli import cli
from latentface.studio.clips_tab import CLIPS, clip_seconds
from latentface.studio.style_tab import STYLE
from latentface.studio.tool import Tool
from latentface.studio.tools import ANIMATE, PROJECT, TRANSFER
from latentface.studio.video_tab import BEGINNING, VIDEO

CASES: list[tuple[Tool, dict[str, Any], str]] = [
    (
        TRANSFER,
        {
            "identity": "a.jpg", "expression": "b.jpg", "strength": 1.2, "only": ["lips"], "face": 2,
            "expression_face": 0,
        },
        "transfer --identity a.jpg --expression b.jpg --strength 1.2 --only lips --face 2",
    ),
    (
        ANIMATE,
        {"photo": "a.jpg", "driving": "b.mp4", "face": 0, "only": ["eyes", "pose"], "kind": "webm"},
        "animate --source a.jpg --driving b.mp4 --only eyes,pose -o a.animated.webm",
    ),
    (
        STYLE,
        {
            "photo": "a.jpg", "style": "b.style.safetensors", "strength": 0.8, "preserve_colour": True,
            "place": "photo", "face": 2,
        },
        "stylise a.jpg --style b.style.safetensors --strength 0.8 --place photo --preserve-colour --face 2 "
        "-o a.stylise.png",
    ),
    (PROJECT, {"photo": "a.jpg", "steps": 30, "face": 1}, "project a.jpg --steps 30 --face 1"),
    (
        VIDEO,
        {
            "photo": "a.jpg", "rows": [["fear", 1, 1], ["neutral", 1, 1]], "fps": "12", "blinks": 10, "sway": 0,
            "loop": True, "only": [], "face": 0, "kind": "gif",
        },
        "video a.jpg --emotions fear=1,neutral=1 --seconds 2 --fps 12 --blinks 10 --loop -o a.video.gif",
    ),
    (
        CLIPS,
        {
            "clip": "a.mp4", "rows": [["Smile", 0.5, 0, 0], ["fear", 1, 1, 2]], "fade": 0.5, "mode": "absolute",
            "face": 2, "kind": "mp4",
        },
        "edit a.mp4 --set smile+=0.5 --at 1 fear=0 --at 1.5 fear=1 --at 2 fear=0 --mode absolute --face 2 "
        "-o a.edit.mp4",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "values", "line"), CASES, ids=[case[0].title for case in CASES])
def test_a_tab_tells_the_command_that_does_the_same(tool: Tool, values: dict[str, Any], line: str) -> None:
    assert tool.words is not None
    assert " ".join(tool.words(**values)) == line
    name, *words = line.split()
    verb = cli.get_command(click.Context(cli), name)
    assert verb is not None
    with verb.make_context(name, words) as context:  # every flag is known
        assert context.params


def test_blocks_of_unlike_length_are_told_by_a_file() -> None:
    rest = {"fps": "25", "blinks": 0, "sway": 0, "loop": False, "only": [], "face": 0, "kind": "mp4"}
    assert VIDEO.words is not None
    assert list(VIDEO.words(photo="a.jpg", rows=BEGINNING, **rest))[2:4] == ["--sequence", "a.emotions.json"]
    assert VIDEO.words(photo="a.jpg", rows=[["joy", 1, 1]], **rest) == []


def test_a_clip_says_how_long_it_is(film: Path, astronaut: Path) -> None:
    assert clip_seconds(str(film)) == pytest.approx(10 / 12, abs=0.01)
    assert clip_seconds(str(film.with_name("none.mp4"))) == 0.0
