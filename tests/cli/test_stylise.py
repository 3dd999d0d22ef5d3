"""`latentface stylise`, and --style of the other commands."""

from __future__ import annotations

import pytest

from latentface import api
from tests.helpers.cli_desk import Desk
from tests.helpers.stand_in_networks import stand_in_networks

QUICK = ("--learning-steps", 2, "--steps", 2)


@pytest.fixture(autouse=True)
def stand_ins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "face_networks", stand_in_networks)
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))


def test_a_style_is_learnt_once_and_used_everywhere(desk: Desk) -> None:
    photo, painting = desk.photo(), desk.photo("painting.png", (80,))
    made = desk.run("stylise", photo, "--style", painting, "--network", desk.network, *QUICK[:2], "--json")
    assert made.code == 0, made.err
    assert made.json["output"] == "anna.stylise.png" and (desk.folder / "anna.stylise.png").is_file()
    kept = desk.folder / "painting.style.safetensors"
    assert kept.is_file() and "painting.style.safetensors" in made.err
    common = ("--style", kept, "--network", desk.network)
    assert desk.run("stylise", photo, *common, "--place", "face", "-o", "b.png").code == 0
    assert desk.run("stylise", photo, *common, "--style", kept, "--shares", "0.2,0.8", "-o", "c.png").code == 0
    for seed in ("plain.png", "styled.png"):
        words = common if seed == "styled.png" else common[2:]
        assert desk.run("sample", "--seeds", 3, *words, "-o", desk.folder / seed).code == 0
    assert (desk.folder / "plain.png").read_bytes() != (desk.folder / "styled.png").read_bytes()
    refused = desk.run("stylise", photo, "--style", kept, "--network", desk.other_network)
    assert refused.code == 3 and "fits the network" in refused.err


def test_bad_input_is_told_in_one_line(desk: Desk) -> None:
    photo, empty = desk.photo(), desk.folder / "empty.safetensors"
    empty.touch()
    plain = desk.photo("wall.png", ())
    common = ("--network", desk.network)
    for words, code, message in (
        ((photo, "--style", empty), 3, "is empty"),
        ((photo, "--style", desk.folder / "none.jpg"), 3, "none.jpg"),
        ((photo, "--style", plain), 3, "shows no face"),
        ((plain, "--style", photo), 3, "no face found"),
        ((photo, "--style", photo, "--strength", "nan"), 2, "strength"),
        ((photo, "--style", photo, "--shares", "1,2"), 2, "--shares"),
        ((photo, "--style", photo, "--shares", "0"), 2, "not all 0"),
        ((photo, "--style", photo, "--method", "gatys", "--place", "face"), 2, "--place has no effect"),
        ((photo, "--style", empty, "--learning-steps", 5), 2, "--learning-steps has no effect"),
        ((photo, "--style", photo, "-o", "a.pdf"), 5, "cannot write"),
        ((photo, "--style", photo, "-o", photo), 2, "anna.png"),
    ):
        made = desk.run("stylise", *words, *common)
        assert made.code == code and message in made.err, (words, made.err)
        assert made.err.count("\n") == 1
    made = desk.run("sample", "--style", photo, *common)
    assert made.code == 2 and "learns one from a picture" in made.err
