"""`latentface check`: folders of clips, a broken one among them, as words, JSON and a table."""

from __future__ import annotations

import csv
import json

from latentface.io.video import write_clip
from tests.helpers.cli_desk import Desk
from tests.helpers.films import moving


def test_a_broken_clip_is_told_and_the_rest_go_on(desk: Desk) -> None:
    folder = desk.folder / "clips"
    (folder / "deep").mkdir(parents=True)
    write_clip(folder / "deep" / "b.mp4", moving(3))
    (folder / "a.mp4").write_bytes(b"")
    done = desk.run("check", folder, "-o", desk.folder / "report.csv")
    assert done.code == 3 and "a.mp4: the file is empty" in done.err and "1 whole, 1 broken" in done.out
    with (desk.folder / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["frames"], bool(row["problem"]), row["video"]) for row in rows] == [
        ("0", True, ""),
        ("3", False, "h264"),
    ]
    done = desk.run("check", folder / "deep" / "b.mp4", "--json", "-o", desk.folder / "report.json")
    told = json.loads(done.out)
    assert done.code == 0 and told["broken"] == 0 and told["clips"][0]["mse_mean"] > 0
    assert json.loads((desk.folder / "report.json").read_text()) == told["clips"]


def test_a_report_of_another_kind_is_refused(desk: Desk) -> None:
    write_clip(desk.folder / "a.mp4", moving(3))
    assert desk.run("check", desk.folder / "a.mp4", "-o", desk.folder / "report.xls").code == 2


def test_in_a_batch_the_journal_says_what_is_wrong(desk: Desk) -> None:
    folder = desk.folder / "clips"
    folder.mkdir()
    write_clip(folder / "b.mp4", moving(3))
    (folder / "a.mp4").write_bytes(b"")
    (folder / "c.png").write_bytes(b"no clip, and not looked at")
    done = desk.run("batch", "check", folder, "-o", desk.folder / "out", "--jobs", 1)
    assert done.code == 3 and "1 done, 0 skipped, 1 failed" in done.out and "the file is empty" in done.err
    assert json.loads((desk.folder / "out" / "b.check.json").read_text())[0]["frames"] == 3
