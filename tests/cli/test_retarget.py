"""`latentface retarget` and `latentface train retarget`, with made-up faces and a tiny network."""

from __future__ import annotations

from pathlib import Path

import pytest

import latentface as lf
from latentface.faces import alignment
from latentface.io.video import write_clip
from tests.helpers.cli_desk import Desk, Outcome, draw_photo
from tests.helpers.motion_models import best_skin
from tests.helpers.tiny_cast import SIDE, write_tiny_network


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(alignment, "best_score", best_skin)
    write_tiny_network(desk.folder / "tiny.net.safetensors")
    desk.photo("a.png")
    desk.photo("b.png", faces=(60,))
    return desk


def retarget(bench: Desk, *words: object) -> Outcome:
    return bench.run("retarget", *words, "--network", "tiny.net.safetensors", "--device", "cpu", "--no-mark", "--json")


def test_a_photo_in_the_picture_of_a_person(bench: Desk) -> None:
    done = retarget(bench, "a.png", "--to", "ben")
    assert done.code == 0, done.err
    assert (done.json["pictures"], done.json["new"], done.json["people"]) == (1, False, ["anna", "ben"])
    photo = lf.read_photo("a.retarget.png")
    assert photo.rgb.shape == (SIDE, SIDE, 3)
    assert b"/trainedAlgorithmicMedia" in Path("a.retarget.png").read_bytes()
    model = lf.load_retargeter("tiny.net.safetensors")
    assert (model.retarget(lf.read_image("a.png"), "ben") == photo.rgb).all()  # the same from Python


def test_the_way_from_one_expression_to_another(bench: Desk) -> None:
    assert retarget(bench, "a.png", "b.png", "--to", "anna", "--steps", 4, "-o", "strip.png").code == 0
    assert lf.read_image("strip.png").shape == (SIDE, 4 * SIDE, 3)
    film = retarget(bench, "a.png", "b.png", "--to", "anna", "-o", "way.mp4")
    assert film.json["pictures"] == 7 and len(list(lf.read_clip("way.mp4"))) == 7


def test_a_clip_frame_by_frame(bench: Desk) -> None:
    picture = draw_photo((90,))
    write_clip("in.mp4", lf.Clip.of([picture] * 3, 10, (picture.shape[1], picture.shape[0])))
    done = retarget(bench, "in.mp4", "--to", "anna")
    assert done.code == 0, done.err
    assert [frame.pixels.shape for frame in lf.read_clip("in.retarget.mp4")] == [(SIDE, SIDE, 3)] * 3


def test_somebody_new_from_pictures(bench: Desk) -> None:
    bench.photo("new/1.png"), bench.photo("new/2.png", faces=(80,))
    done = retarget(bench, "a.png", "--to", "new", "--fit-steps", 2, "--save-person", "new.person.safetensors")
    assert done.code == 0 and done.json["new"], done.err
    again = retarget(bench, "a.png", "--to", "new.person.safetensors", "-o", "again.png")
    assert again.code == 0 and not again.json["new"]
    assert (lf.read_image("again.png") == lf.read_image("a.retarget.png")).all()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("a.png", "--to", "carla"), 2, "expected one of anna, ben"),
        (("a.png", "b.png", "a.png", "--to", "anna"), 2, "3 faces"),
        (("a.png", "--to", "anna", "--steps", 3), 2, "--steps has no effect"),
        (("a.png", "--to", "anna", "--save-person", "p.safetensors"), 2, "--save-person has no effect"),
        (("none.png", "--to", "anna"), 3, "none.png"),
        (("a.png", "--to", "anna", "-o", "a.png"), 2, "is an input"),
        (("a.png",), 2, "--to"),
    ],
)
def test_bad_input_says_what_to_do(bench: Desk, words: tuple[object, ...], code: int, text: str) -> None:
    done = retarget(bench, *words)
    assert done.code == code and text in " ".join(done.err.split())
    assert not Path("a.retarget.png").exists()


def test_a_network_is_trained_on_folders_of_people(bench: Desk) -> None:
    for name, side in (("anna", 90), ("ben", 70)):
        for k in range(3):
            bench.photo(f"people/{name}/{k}.png", faces=(side - k,))
    (bench.folder / "people" / "ben" / "bad.png").write_bytes(b"nothing")
    words = ("people", "-o", "run", "--steps", 1, "--size", 32, "--views", "keypoints", "--device", "cpu", "--json")
    done = bench.run("train", "retarget", *words)
    assert done.code == 0, done.err
    assert (done.json["people"], done.json["pictures"]) == (["anna", "ben"], 6)
    assert [Path(each["path"]).name for each in done.json["left_out"]] == ["bad.png"]
    assert lf.load_retargeter(done.json["network"]).people == ("anna", "ben")
    assert bench.run("train", "retarget", "a.png", "-o", "other").code == 3
