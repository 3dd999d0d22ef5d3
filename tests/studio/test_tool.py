"""Words of commands, and a form that is remembered."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from latentface.errors import InputError
from latentface.studio.desk import Desk, Shared
from latentface.studio.jobs import Work
from latentface.studio.results import Results
from latentface.studio.tool import Controls, Tool, ToolTab, command_box, film_strip, flagged, numbered, photo_drop
from latentface.studio.work import Workshop


def test_flags_are_made_of_values_that_say_something() -> None:
    assert flagged(face=2, expression_face=0.0, only=["lips", "eyes"], loop=True, mode="") == [
        "--face", "2", "--only", "lips,eyes", "--loop",
    ]  # fmt: skip
    assert flagged(strength=1.25, only=[], loop=False) == ["--strength", "1.25"]
    assert (numbered(0), numbered(2.0)) == (None, 2)


class NoJob:
    """A panel that shows nothing: what a tab remembers is tried without a page."""

    def look(self, token: str) -> dict[object, object]:
        return {}


@pytest.fixture
def tab(tmp_path: Path) -> ToolTab:
    def lay_out(desk: Desk) -> Controls:
        return {"photo": photo_drop("Photo", "try-photo"), "much": gr.Number(1)}

    def work(shop: Workshop, photo: str, much: float) -> Work:
        return lambda progress: (Path(photo), Path(str(much)))

    tool = Tool("Try", "Tries.", "Try it", lay_out, work, lambda photo, much: ["try", photo, f"{much:g}"])
    (tmp_path / "shared").mkdir()
    desk = Desk(Workshop("face-256", Results(tmp_path / "results")), Shared(tmp_path / "shared"))
    return ToolTab(desk, tool, lay_out(desk), NoJob(), command_box("try-command", "nothing"))  # type: ignore[arg-type]


def test_strips_show_pictures_with_captions() -> None:
    shown = film_strip([("/tmp/x/a b.jpg", "<fear> 1"), ("/tmp/x/c.jpg", "joy")])
    assert shown.count("<figure>") == 2
    assert "a%20b.jpg" in shown
    assert "&lt;fear&gt; 1" in shown
    assert film_strip([]) == ""


def test_what_was_entered_comes_back(tab: ToolTab, tmp_path: Path) -> None:
    photo = tmp_path / "shared" / "a photo.png"
    photo.write_bytes(b"")
    assert tab.keep("me", None, 3) == ""
    assert tab.keep("me", str(photo), 2) == "latentface try 'a photo.png' 2"
    back, none = tab.restore("me"), tab.restore("somebody else")
    dropped, much = tab.controls.values()
    assert (back[dropped]["value"], back[much]["value"]) == (str(photo), 2)
    assert dropped not in none
    photo.unlink()
    assert dropped not in tab.restore("me")


def test_only_uploads_are_worked_on(tab: ToolTab, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photo yet"):
        tab.work(None, 1)
    with pytest.raises(InputError, match="photo was not uploaded"):
        tab.work("/etc/passwd", 1)
    assert tab.work(str(tmp_path / "shared" / "a.png"), 1)(None) == (tmp_path / "shared" / "a.png", Path("1"))  # type: ignore[arg-type]
