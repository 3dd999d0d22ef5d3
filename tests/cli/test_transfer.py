"""`latentface transfer` and FaceEditor.transfer with a tiny network and stand-ins for the networks that judge faces."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface import api, hub
from latentface.editing import inverted_face
from latentface.editor import FaceEditor
from latentface.io.clip import Clip
from latentface.io.images import Photo, read_image
from latentface.io.video import read_clip, write_clip
from latentface.options.photos import TransferOptions
from latentface.options.projection import ProjectOptions
from tests.helpers.cli_desk import Desk, draw_photo, place_points
from tests.helpers.stand_in_networks import stand_in_networks

QUICK = ProjectOptions(steps=3)


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(api, "face_networks", stand_in_networks)
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    return desk


def transfer(bench: Desk, *words: object) -> object:
    return bench.run("transfer", "--network", bench.network, "--steps", 3, *words)


def pair(bench: Desk) -> tuple[Path, Path]:
    other = bench.photo("bert.png")
    Image.fromarray(255 - np.asarray(Image.open(other)) // 3).save(bench.folder / "unused.png")
    dark = np.asarray(Image.open(other)).copy()
    dark[90:110, 50:100] = (200, 30, 90)
    Image.fromarray(dark).save(other)
    return bench.photo("anna.png"), other


def test_writes_photo_and_strip(bench: Desk) -> None:
    anna, bert = pair(bench)
    done = transfer(bench, "--identity", anna, "--expression", bert, "-o", bench.folder / "out.png", "--json")
    assert done.code == 0, done.err
    assert done.json["output"] == str(bench.folder / "out.png")
    assert done.json["objective"] <= 0.5 + 1e-6
    assert read_image(bench.folder / "out.png").shape == read_image(anna).shape
    strip = read_image(bench.folder / "out.strip.png")
    assert strip.shape[1] > 4 * 256
    assert (done.json["identity"]["cached"], done.json["expression"]["cached"]) == (False, False)


def test_second_transfer_remembers_projections(bench: Desk) -> None:
    anna, bert = pair(bench)
    words = ("--identity", anna, "--expression", bert, "-o", bench.folder / "out.png", "--no-strip", "--json")
    transfer(bench, *words)
    first = read_image(bench.folder / "out.png")
    again = transfer(bench, *words)
    assert (again.json["identity"]["cached"], again.json["expression"]["cached"]) == (True, True)
    assert np.array_equal(read_image(bench.folder / "out.png"), first)
    assert len(list((bench.folder / "cache" / "projections").iterdir())) == 2
    other = bench.run("transfer", "--network", bench.network, "--steps", 4, *words)
    assert other.json["identity"]["cached"] is False  # other options, other key
    fresh = transfer(bench, *words, "--no-cache")
    assert fresh.json["identity"]["cached"] is False


def test_latents_take_the_place_of_photos(bench: Desk) -> None:
    anna, bert = pair(bench)
    bench.project(anna, bert)
    latents = [bench.folder / "out" / f"{name}.latent.safetensors" for name in ("anna", "bert")]
    words = ("--identity", latents[0], "--expression", latents[1], "-o", bench.folder / "a.png", "--json")
    done = bench.run("transfer", *words, "--network", bench.network)
    assert done.code == 0, done.err
    assert read_image(bench.folder / "a.png").shape == (16, 16, 3)  # no photo: the regenerated face itself
    assert done.json["identity"]["confidence"] == 1.0


def test_flags_reach_the_program(bench: Desk) -> None:
    anna, bert = pair(bench)
    words = ("--identity", anna, "--expression", bert, "-o", bench.folder / "a.png", "--no-strip", "--json")
    assert transfer(bench, *words, "--layers", "1-2").json["layers"] == [1, 2]
    assert transfer(bench, *words, "--layers", "paper").json["layers"] == [3, 4]
    assert len(transfer(bench, *words, "--exact-layers", 2).json["layers"]) == 2
    half = transfer(bench, *words, "--layers", "1-2", "--strength", "0.5").json["weights"]
    assert half == pytest.approx([0, 0.5, 0.5, 0, 0, 0])
    for blend in ("alpha", "multiband", "poisson"):
        assert transfer(bench, *words, "--place", "paste", "--blend", blend).code == 0


def test_photo_keeps_its_alpha_and_exif(bench: Desk) -> None:
    anna, bert = pair(bench)
    image = Image.open(anna)
    image.putalpha(Image.fromarray(np.tile(np.arange(image.width, dtype=np.uint8), (image.height, 1))))
    exif = Image.Exif()
    exif[0x010F] = "maker"
    image.save(anna, exif=exif.tobytes())
    assert transfer(bench, "--identity", anna, "--expression", bert, "-o", bench.folder / "a.png").code == 0
    with Image.open(bench.folder / "a.png") as made:
        assert made.getexif()[0x010F] == "maker"
        assert np.array_equal(np.asarray(made)[..., 3], np.asarray(image)[..., 3])


# ------------------------------------------------------------------------------------------------------ clips


def moving(bench: Desk, blank: tuple[int, ...] = (), name: str = "drive.mp4") -> Path:
    photo = draw_photo()[:140, :150]
    frames = []
    for k in range(6):
        frame = photo.copy()
        frame[80 + 2 * k : 90 + 2 * k, 60:90] = (150, 20 * k, 60)
        frames.append(np.full_like(frame, 90) if k in blank else frame)
    path = bench.folder / name
    write_clip(path, Clip.of(frames, Fraction(30000, 1001), (150, 140)))
    return path


def test_a_clip_gives_one_frame_for_each_of_its_frames(bench: Desk) -> None:
    anna = bench.photo("anna.png")
    out = bench.folder / "out.mp4"
    done = transfer(bench, "--identity", anna, "--expression", moving(bench), "-o", out, "--json")
    assert done.code == 0, done.err
    assert (done.json["frames"], done.json["rate"], done.json["missing"]) == (6, "30000/1001", 0)
    clip = read_clip(out)
    assert (clip.rate, clip.size, clip.count) == (Fraction(30000, 1001), (150, 140), 6)


def test_frames_without_a_face_hold_and_are_counted(bench: Desk) -> None:
    anna = bench.photo("anna.png")
    driver = moving(bench, blank=(0, 3))
    done = transfer(bench, "--identity", anna, "--expression", driver, "-o", bench.folder / "frames", "--json")
    assert done.code == 0, done.err
    assert (done.json["frames"], done.json["missing"]) == (6, 2)
    assert "no face in 2 of 6 frames" in done.err
    frames = [read_image(path) for path in sorted((bench.folder / "frames").iterdir())]
    assert np.array_equal(frames[3], frames[2])
    assert not np.array_equal(frames[2], frames[5])


def test_a_clip_without_any_face(bench: Desk) -> None:
    anna = bench.photo("anna.png")
    driver = moving(bench, blank=tuple(range(6)))
    done = transfer(bench, "--identity", anna, "--expression", driver, "-o", bench.folder / "a.mp4")
    assert done.code == 3
    assert "no face in its 6 frames" in done.err
    assert not (bench.folder / "a.mp4").exists()


# ------------------------------------------------------------------------------------------------------ bad input


def test_no_face_says_in_which_photo(bench: Desk) -> None:
    anna, bert = pair(bench)
    blank = bench.photo("blank.png", faces=())
    for words, what in (
        (("--identity", anna, "--expression", blank), "the expression, "),
        (("--identity", blank, "--expression", bert), "the identity, "),
    ):
        done = transfer(bench, *words, "-o", bench.folder / "a.png")
        assert done.code == 3
        assert what in done.err and "blank.png" in done.err and "no face" in done.err


def test_several_faces_take_the_largest_and_say_so(bench: Desk) -> None:
    group, bert = bench.photo("group.png", faces=(60, 90)), bench.photo("bert.png")
    done = transfer(bench, "--identity", group, "--expression", bert, "-o", bench.folder / "a.png")
    assert done.code == 0
    assert "the identity, " in done.err and "2 faces, taking the largest (face 1)" in done.err
    second = bench.folder / "b.png"
    words = ("--identity", group, "--expression", bert, "--face", 2, "--place", "warp", "-o", second)
    assert transfer(bench, *words).code == 0
    photo, made = read_image(group).astype(int), read_image(second).astype(int)
    assert not (photo != made)[:, 110:].any()  # the second surest is the smaller one, on the left
    wrong = transfer(bench, "--identity", group, "--expression", bert, "--face", 3, "-o", second)
    assert wrong.code == 3 and "no face 3" in wrong.err


def test_identity_and_expression_the_same_file(bench: Desk) -> None:
    anna = bench.photo("anna.png")
    done = transfer(bench, "--identity", anna, "--expression", anna, "-o", bench.folder / "a.png")
    assert done.code == 0
    assert "the same face; nothing will change" in done.err


def test_latent_of_another_network(bench: Desk) -> None:
    anna, _ = pair(bench)
    bench.run("project", "--network", bench.other_network, "--steps", 2, "-o", bench.folder / "out", anna)
    latent = bench.folder / "out" / "anna.latent.safetensors"
    done = transfer(bench, "--identity", anna, "--expression", latent, "-o", bench.folder / "a.png")
    assert done.code == 3
    assert "another network" in done.err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--layers", "9"), 2, "rows 0 to 5"),
        (("--solver", "abacus"), 2, "no solver 'abacus'"),
        (("--strength", "2"), 2, "strength"),
        (("--steps", "0"), 2, "no encoder"),
        (("-o", "a.txt"), 5, "kind of picture"),
    ],
)
def test_what_cannot_be_done_is_said(bench: Desk, words: tuple[str, ...], code: int, text: str) -> None:
    anna, bert = pair(bench)
    done = transfer(bench, "--identity", anna, "--expression", bert, "-o", bench.folder / "a.png", *words)
    assert done.code == code
    assert text in done.err
    assert not (bench.folder / "a.png").exists()


def test_rules_of_the_choice_and_rows_that_are_named(bench: Desk) -> None:
    anna, bert = pair(bench)
    for words in (("--keep", "0-2"), ("--most-layers", 2), ("--exact-layers", 1)):
        done = transfer(bench, "--identity", anna, "--expression", bert, "--layers", "1-2", *words)
        assert done.code == 2
        assert f"{words[0]} has no effect with --layers 1-2; it applies with --layers auto" in done.err
    assert not list(bench.folder.glob("*.transfer.png"))


def test_results_land_in_the_working_folder_and_never_over_an_input(bench: Desk) -> None:
    anna, bert = bench.photo("a/anna.png"), bench.photo("b/bert.png")
    words = ("--identity", anna, "--expression", bert, "--layers", "1-2")
    assert transfer(bench, *words, "--json").json["output"] == "anna.transfer.png"
    assert (bench.folder / "anna.transfer.strip.png").exists()
    for source in (anna, bert):
        done = transfer(bench, *words, "-o", source)
        assert done.code == 2 and f"{source.name} is an input" in done.err


def test_missing_files(bench: Desk) -> None:
    done = transfer(bench, "--identity", "none.png", "--expression", bench.photo(), "-o", bench.folder / "a.png")
    assert done.code == 3 and "no such file" in done.err


def test_a_face_turned_away_is_warned_of(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        points = place_points(photo, boxes)
        points[:, 27:36, 0] += 0.35 * (boxes[:, 2:3] - boxes[:, 0:1])
        return points

    anna, bert = pair(bench)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: turned)
    done = transfer(bench, "--identity", anna, "--expression", bert, "-o", bench.folder / "a.png", "--json")
    assert done.json["identity"]["confidence"] < inverted_face.LOW_CONFIDENCE
    assert "turned far away or partly hidden" in done.err


# ------------------------------------------------------------------------------------------------------ Python


def test_editor_transfers_arrays(bench: Desk) -> None:
    editor = FaceEditor(bench.network)
    notes: list[str] = []
    anna, bert = draw_photo(), draw_photo()
    bert[90:110, 50:100] = (200, 30, 90)
    made = editor.transfer(anna, bert, TransferOptions(layers="1-3"), project=QUICK, on_note=notes.append)
    assert isinstance(made.photo, Photo) and made.photo.rgb.shape == anna.shape
    assert made.transfer.layers == (1, 2, 3)
    assert made.identity.crop is not None and not made.identity.cached
    again = editor.transfer(anna, made.expression.latent, TransferOptions(layers="1-3"), project=QUICK)
    assert again.identity.cached
    assert np.array_equal(again.photo.rgb, made.photo.rgb)
    assert all("expect a poor result" in note or "hides the mouth" in note for note in notes)


def test_json_of_an_error(bench: Desk) -> None:
    done = transfer(bench, "--identity", "none.png", "--expression", "none.png", "--json")
    assert json.loads(done.out)["exit_code"] == 3


def test_nothing_worth_taking_is_said(bench: Desk) -> None:
    anna, bert = pair(bench)
    done = transfer(
        bench,
        "--identity",
        anna,
        "--expression",
        bert,
        "-o",
        bench.folder / "a.png",
        "--most-layers",
        0,
        "--json",
    )
    assert done.json["layers"] == []
    assert "no row of the expression is worth its cost" in done.err
    assert np.array_equal(read_image(bench.folder / "a.png"), read_image(anna))
