"""`latentface sequence` at the command line, with made-up faces and the user's own recogniser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentface import api, hub
from latentface.emotion import EmotionSequence
from latentface.emotions.recognition import Recogniser
from latentface.faces import alignment
from latentface.io.clip import Clip
from latentface.io.video import write_clip
from latentface.training.stories import stories
from tests.helpers.cli_desk import Desk, find_blobs, place_points
from tests.helpers.motion_models import best_skin, wandering

OWN = """
import latentface
def by_mouth(crops):
    dark = (crops[:, crops.shape[1] // 2 :].mean(3) < 60).mean((1, 2))
    return [[0.05, 0.95] if share > 0.03 else [0.95, 0.05] for share in dark]
teller = latentface.Recogniser(by_mouth, ("neutral", "surprised"), 64)
other = latentface.Recogniser
def contempt(crops):
    return latentface.Recogniser(by_mouth, ("contempt", "happy"))(crops)
"""


def talking(k: int) -> Any:
    """Frame k of a face whose mouth is wide open in frames 20 to 39."""
    frame = wandering(0)
    if 20 <= k < 40:
        frame[80:105, 65:105] = (50, 20, 20)
    return frame


def look_again(photo: Any, boxes: Any) -> Any:
    """Made-up landmarks where the face is, whatever the box."""
    found, _ = find_blobs(photo)
    return place_points(photo, found[:1])


@pytest.fixture
def cinema(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with a film of six seconds and a recogniser of one's own."""
    monkeypatch.setattr(alignment, "best_score", best_skin)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: look_again)
    write_clip(desk.folder / "film.mp4", Clip.of((talking(k) for k in range(60)), 10, (180, 140)))
    (desk.folder / "own.py").write_text(OWN)
    return desk


def read(desk: Desk, *words: object, film: str = "film.mp4", recogniser: str = "own.py:teller") -> Any:
    return desk.run(
        "sequence", "read", desk.folder / film, "-o", desk.folder / "emotions.json",
        "--recogniser", desk.folder / recogniser, *words,
    )  # fmt: skip


def names(path: Path) -> list[tuple[str, float]]:
    return [(part.emotion.value, part.duration) for part in EmotionSequence.load(path).segments]


SEEN = [("neutral", 2.0), ("surprise", 2.0), ("neutral", 2.0)]


def test_a_film_is_read_by_a_recogniser_of_ones_own(cinema: Desk) -> None:
    outcome = read(cinema, "--json")
    assert outcome.code == 0, outcome.err
    assert names(cinema.folder / "emotions.json") == SEEN
    result = outcome.json
    assert (result["looks"], result["faces"], result["tracks"], result["segments"]) == (30, 30, 1, 3)
    assert result["seconds"] == 6.0
    assert result["shares"] == {"neutral": 0.6667, "surprise": 0.3333}
    assert not (cinema.folder / "emotions.looks.jsonl").exists()


def test_it_says_what_it_saw(cinema: Desk) -> None:
    outcome = read(cinema)
    assert "6.0 s, 3 segments: neutral 67%, surprise 33%; a face in 30 of 30 frames" in outcome.out
    assert read(cinema, "--quiet").out == ""


def test_the_built_in_network_is_asked_by_default(cinema: Desk) -> None:
    outcome = cinema.run("sequence", "read", cinema.folder / "film.mp4", "-o", cinema.folder / "e.json", "--looks", 1)
    assert outcome.code == 0, outcome.err
    assert EmotionSequence.load(cinema.folder / "e.json").duration == pytest.approx(6.0)


def test_looks_are_kept_when_wanted(cinema: Desk) -> None:
    assert read(cinema, "--keep-looks", "--looks", 2).code == 0
    lines = (cinema.folder / "emotions.looks.jsonl").read_text().splitlines()
    assert len(lines) == 13
    assert json.loads(lines[0])["looks"] == 2.0
    assert json.loads(lines[1])[0] == "0"


def test_interrupted_it_goes_on(cinema: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = Recogniser.__call__

    def tired(self: Recogniser, crops: Any) -> Any:
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return original(self, crops)

    monkeypatch.setattr(Recogniser, "__call__", tired)
    first = read(cinema)
    assert first.code == 130
    assert "11 readings are kept in" in first.err and "the same command continues" in first.err
    assert not (cinema.folder / "emotions.json").exists()
    second = read(cinema)
    assert second.code == 0, second.err
    assert "continuing at 2.0 s with the 11 readings" in second.err
    assert len(calls) == 12 + 19
    assert names(cinema.folder / "emotions.json") == SEEN
    assert not (cinema.folder / "emotions.looks.jsonl").exists()


def test_a_kept_reading_of_other_options_is_begun_anew(cinema: Desk) -> None:
    read(cinema, "--keep-looks", "--looks", 2)
    again = read(cinema, "--json")
    assert "was made from another film or with other options; starting again" in again.err
    assert again.json["looks"] == 30


def test_a_kept_reading_at_another_rate_of_a_folder_is_begun_anew(cinema: Desk) -> None:
    write_clip(cinema.folder / "frames", Clip.of((talking(k) for k in range(0, 60, 2)), 5, (180, 140)))
    assert read(cinema, "--keep-looks", "--rate", 5, film="frames").code == 0
    slower = read(cinema, "--keep-looks", "--rate", 1, "--json", film="frames")
    assert "starting again" in slower.err
    assert slower.json["seconds"] == 30 and slower.json["looks"] == 30


def test_a_damaged_line_of_a_kept_reading_is_looked_at_again(cinema: Desk) -> None:
    first = read(cinema, "--keep-looks", "--json")
    path = cinema.folder / "emotions.looks.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:10], "[what?]\n", *lines[11:]]))
    again = read(cinema, "--keep-looks", "--json")
    assert again.code == 0
    assert "line 11 is damaged; the frames from there on are classified again" in again.err
    assert (again.json["looks"], again.json["shares"]) == (first.json["looks"], first.json["shares"])
    assert path.read_text().splitlines(keepends=True) == lines


def test_of_a_cut_film_what_was_readable_is_kept(cinema: Desk) -> None:
    write_clip(cinema.folder / "film.webm", Clip.of((talking(k) for k in range(60)), 10, (180, 140)))
    whole = (cinema.folder / "film.webm").read_bytes()
    (cinema.folder / "cut.webm").write_bytes(whole[: len(whole) * 7 // 10])
    outcome = read(cinema, film="cut.webm")
    assert outcome.code == 3
    assert "readable up to frame" in outcome.err and "the part before" in outcome.err
    found = EmotionSequence.load(cinema.folder / "emotions.json")
    assert 1.0 < found.duration < 6.0
    assert found.segments[0].emotion.value == "neutral"


def test_a_film_without_faces(cinema: Desk) -> None:
    grey = np.full((64, 64, 3), 90, np.uint8)
    write_clip(cinema.folder / "grey.mp4", Clip.of((grey for _ in range(10)), 10, (64, 64)))
    outcome = read(cinema, film="grey.mp4")
    assert (outcome.code, "grey.mp4: no face in 5 frames" in outcome.err) == (3, True)
    assert not list(cinema.folder.glob("emotions*"))


@pytest.mark.parametrize(
    ("recogniser", "message", "code"),
    [
        ("own.py:nothing", "no recogniser", 2), ("none.py:teller", "No such file", 2),
        ("own.py:contempt", "no emotion 'contempt'; expected one of neutral", 2), ("film.mp4", "film.mp4", 4),
    ],
)  # fmt: skip
def test_recognisers_that_cannot_be_used(cinema: Desk, recogniser: str, message: str, code: int) -> None:
    outcome = read(cinema, recogniser=recogniser)
    assert (outcome.code, message in outcome.err) == (code, True), outcome.err


def test_films_that_cannot_be_used(cinema: Desk) -> None:
    for film in ("none.mp4", "own.py"):
        assert read(cinema, film=film).code == 3
    assert read(cinema, "--looks", 0).code == 2
    assert read(cinema, "--rate", 25).code == 2
    nowhere = cinema.run(
        "sequence", "read", cinema.folder / "film.mp4", "-o", "/proc/self/e.json",
        "--recogniser", cinema.folder / "own.py:teller",
    )  # fmt: skip
    assert nowhere.code == 5


def test_a_folder_of_frames(cinema: Desk) -> None:
    write_clip(cinema.folder / "frames", Clip.of((talking(k) for k in range(0, 60, 2)), 5, (180, 140)))
    assert read(cinema, film="frames").code == 2
    outcome = read(cinema, "--rate", 5, film="frames")
    assert outcome.code == 0, outcome.err
    assert names(cinema.folder / "emotions.json") == SEEN


def predict(desk: Desk, *words: object) -> Any:
    return desk.run("sequence", "predict", "-o", desk.folder / "drawn.json", *words)


def test_emotions_are_drawn(desk: Desk) -> None:
    outcome = predict(desk, "--first", "Happiness", "--seconds", 20, "--seed", 3, "--json")
    assert outcome.code == 0, outcome.err
    drawn = EmotionSequence.load(desk.folder / "drawn.json")
    assert drawn == api.predict_emotions("happiness", 20.0, seed=3)
    assert (outcome.json["segments"], outcome.json["start"]) == (len(drawn.segments), "happiness")
    assert sum(outcome.json["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert "20.0 s" in predict(desk).out


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("--start", "joy"), "expected one of neutral, happiness, sadness", 2), (("--seconds", 0), "--seconds", 2),
        (("--temperature", -1), "--temperature", 2), (("--model", "rythm"), "did you mean rhythm", 4),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn(desk: Desk, words: tuple[Any, ...], message: str, code: int) -> None:
    outcome = predict(desk, *words)
    assert (outcome.code, message in outcome.err) == (code, True), outcome.err
    assert not (desk.folder / "drawn.json").exists()


def test_what_was_read_is_learnt_and_drawn_from(desk: Desk) -> None:
    files = []
    for k, story in enumerate(stories(12, 0)):
        files.append(desk.folder / f"{k}.json")
        story.save(files[-1])
    model = desk.folder / "mine.safetensors"
    outcome = desk.run("sequence", "fit", *files, "-o", model, "--steps", 4, "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert result["segments"] == sum(len(EmotionSequence.load(path).segments) for path in files)
    assert result["figures"]["perplexity"] > 1
    assert result["beats_chain"] == (result["figures"]["perplexity"] < result["chain"]["perplexity"])
    assert not (desk.folder / "mine.safetensors.run").exists()
    drawn = predict(desk, "--model", model)
    assert drawn.code == 0, drawn.err
    words = desk.run("sequence", "fit", *files, "-o", model, "--steps", 1).out
    assert "perplexity of the next emotion is" in words and "that of a Markov chain" in words


def test_what_cannot_be_learnt_from(desk: Desk) -> None:
    stories(1, 0)[0].save(desk.folder / "one.json")
    few = desk.run("sequence", "fit", desk.folder / "one.json", "-o", desk.folder / "m.safetensors")
    assert (few.code, "too few to learn from; give 100 or more" in few.err) == (3, True)
    (desk.folder / "bad.json").write_text("{}")
    bad = desk.run("sequence", "fit", desk.folder / "bad.json", "-o", desk.folder / "m.safetensors")
    assert (bad.code, "bad.json" in bad.err) == (3, True)
    assert desk.run("sequence", "fit").code == 2
    assert not list(desk.folder.glob("m.*"))


def test_help_explains_each_command(desk: Desk) -> None:
    assert {"read", "fit", "predict"} <= set(desk.run("sequence", "--help").out.split())
    for name in ("read", "fit", "predict"):
        assert desk.run("sequence", name, "--help").code == 0
