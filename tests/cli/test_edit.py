"""`latentface edit` and FaceEditor.edit with a tiny network and stand-ins for the networks that look at faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface import api
from latentface.cli.presets import load_preset, save_preset
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap, Motion
from latentface.directions.scaling import from_array
from latentface.editing import attribute_edit, placement
from latentface.editing.attribute_edit import Retoucher
from latentface.editing.inverted_face import FaceFinder
from latentface.editing.placement import find_points
from latentface.editor import FaceEditor
from latentface.errors import InputError, UsageError
from latentface.faces.head_pose import HeadPose
from latentface.io.colour import srgb
from latentface.io.images import read_image, read_photo, write_image
from latentface.latents.latent import Direction, Latent
from latentface.options.photos import CompositeOptions, EditOptions
from latentface.options.projection import ProjectOptions
from latentface.pretrained.directions import place, write_directions
from tests.helpers.cli_desk import Desk, draw_photo
from tests.helpers.profiles import encode, rgb_profile, to_linear
from tests.helpers.stand_in_networks import stand_in_networks

QUICK = ProjectOptions(steps=2)


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose network has the directions joy, which moves the expression, nod, which moves the head, and turn,
    which does not say what."""
    monkeypatch.setattr(api, "face_networks", stand_in_networks)
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    generator = api.load_generator(desk.network)
    random = np.random.default_rng(0)
    joy, turn = (from_array(random.normal(size=8), generator, name) for name in ("joy", "turn"))
    joy = Direction(joy.values, joy.fingerprint, "joy", {"moves": "expression"})
    nod = Direction(turn.values, turn.fingerprint, "nod", {"moves": "head"})
    write_directions(place("mine", generator.fingerprint), [joy, turn, nod])
    return desk


def edit(bench: Desk, source: Path, *words: object) -> object:
    return bench.run("edit", source, "--network", bench.network, "--steps", 2, "-o", bench.folder / "out.png", *words)


@pytest.mark.parametrize("place", ["head", "paste"])
def test_sheets_of_a_photo_of_wide_gamut_have_its_true_colours(bench: Desk, place: str) -> None:
    """The photo keeps its profile; strip and grid, which have none, look as those of the same photo in sRGB."""
    plain, icc = draw_photo(), rgb_profile("adobe")
    wide = np.rint(encode(to_linear(plain / 255.0), "adobe") * 255).astype(np.uint8)
    assert np.abs(wide.astype(int) - plain).mean() > 3
    seen = {}
    for name, pixels, profile in (("plain", plain, None), ("wide", wide, icc)):
        write_image(bench.folder / f"{name}.png", pixels, icc=profile)
        words = ("--set", "joy=1", "--strip", "joy", "--grid", "joy", "nod", "--place", place)
        done = edit(bench, bench.folder / f"{name}.png", *words)
        assert done.code == 0, done.err
        made = read_photo(bench.folder / "out.png")
        assert made.icc == profile
        sheets = [read_photo(bench.folder / f"out.{each}.png") for each in ("strip", "grid")]
        assert all(sheet.icc is None for sheet in sheets)
        seen[name] = [srgb(made).rgb, *(sheet.rgb for sheet in sheets)]
    for one, other in zip(*seen.values(), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 1.5


def test_the_face_changes_and_the_rest_of_the_photo_stays(bench: Desk) -> None:
    anna = bench.photo()
    done = edit(bench, anna, "--set", "joy=3", "--set", "turn=-0.5", "--json", "--save-latent")
    assert done.code == 0, done.err
    assert done.json["set"] == {"joy": 3.0, "turn": -0.5}
    before, after = read_image(anna), read_image(bench.folder / "out.png")
    changed = (before != after).any(2)
    assert changed.any() and not changed[:, :10].any() and not changed[:, -10:].any()
    latent = Latent.load(done.json["files"]["latent"])
    assert latent.fingerprint == api.load_generator(bench.network).fingerprint


@pytest.mark.parametrize("way", ["warp", "paste"])
def test_both_ways_of_putting_the_face_back(bench: Desk, way: str) -> None:
    anna = bench.photo()
    assert edit(bench, anna, "--set", "joy=3", "--place", way).code == 0
    assert read_image(bench.folder / "out.png").shape == read_image(anna).shape


@pytest.mark.parametrize("warp", ["similarity", "piecewise"])
def test_a_pasted_face_is_placed_by_its_landmarks(bench: Desk, warp: str) -> None:
    anna, made = bench.photo(), {}
    for name in ("crop", warp):
        done = edit(bench, anna, "--set", "turn=3", "--place", "paste", "--warp", name, "--no-mark")
        assert done.code == 0, done.err
        made[name] = read_image(bench.folder / "out.png")
    assert not np.array_equal(made["crop"], made[warp])
    generator = api.load_generator(bench.network)
    face = FaceFinder(generator, QUICK).face(anna)
    retoucher = Retoucher(face, generator, api.list_directions(generator), EditOptions(place="paste"))
    drawn = retoucher.edit({"turn": 3.0})
    (points,) = find_points(generator, drawn.image[None])
    compositor = Compositor(face.photo.rgb, face.crop, CompositeOptions(warp=warp), reference=drawn.reference)
    assert np.array_equal(made[warp], compositor.place(drawn.image, points))


def test_expression_and_pose_move_the_photos_own_pixels_and_others_are_pasted(bench: Desk) -> None:
    anna = bench.photo()
    pictures = {}
    for name in ("joy", "nod", "turn"):
        for way in ("auto", "head", "warp", "paste"):
            edit(bench, anna, "--set", f"{name}=3", "--place", way)
            pictures[name, way] = read_image(bench.folder / "out.png")
        assert not np.array_equal(pictures[name, "warp"], pictures[name, "paste"])
    assert np.array_equal(pictures["joy", "auto"], pictures["joy", "head"])
    assert np.array_equal(pictures["nod", "auto"], pictures["nod", "head"])
    assert np.array_equal(pictures["turn", "auto"], pictures["turn", "paste"])


@pytest.mark.parametrize(("yaw", "turned"), [(8.0, 8.0), (-31.0, -20.0)])
def test_a_head_turns_as_the_drawn_one_does_and_shows_the_expression_beside_it(
    bench: Desk, monkeypatch: pytest.MonkeyPatch, yaw: float, turned: float
) -> None:
    generator, notes = api.load_generator(bench.network), []
    (face,) = FaceFinder(generator, ProjectOptions(steps=1)).faces([(bench.photo(), "the photo", None)])
    options = EditOptions(place="warp")
    made = Retoucher(face, generator, api.list_directions(generator), options, note=notes.append)
    smiling = made.edit({"joy": 1.0}).image
    posed = iter([0.0, yaw])  # what is asked first is the pose before the turn
    monkeypatch.setattr(attribute_edit, "head_pose", lambda points: HeadPose(next(posed), 2.0, 0.0, np.eye(3)[:, :2]))
    photo = made.edit({"joy": 1.0, "nod": 2.0}).photo.rgb
    mapping = ExpressionMap(face.photo.rgb, face.crop, made.reference, find_points(generator, made.reference[None])[0])
    (points,) = find_points(generator, smiling[None])
    assert np.array_equal(photo, mapping.place(smiling, points, Motion(yaw=turned)))
    assert [f"by {yaw:.0f} degrees" in note for note in notes] == ([True] if abs(yaw) > 20 else [])


def test_a_head_that_only_turns_is_drawn_turned_and_no_second_time_unturned(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = api.load_generator(bench.network)
    (face,) = FaceFinder(generator, ProjectOptions(steps=1)).faces([(bench.photo(), "the photo", None)])
    made = Retoucher(face, generator, api.list_directions(generator), EditOptions(place="warp"))
    drawn, synthesise = [], placement.synthesise
    monkeypatch.setattr(placement, "synthesise", lambda *given: drawn.append(given) or synthesise(*given))
    made.edit({"nod": 2.0})
    assert len(drawn) == 1
    made.edit({"joy": 1.0, "nod": 2.0})
    assert len(drawn) == 3


def test_controls_of_the_head_go_beside_directions(bench: Desk) -> None:
    anna = bench.photo()
    plain = read_image(anna)
    for words in (("browInnerUp=0.5",), ("brows=1",), ("browDownLeft=0.8",), ("joy=2", "jaw+=0.4", "brows=1")):
        done = edit(bench, anna, *(word for each in words for word in ("--set", each)), "--json")
        assert done.code == 0, done.err
        assert not np.array_equal(read_image(bench.folder / "out.png"), plain)
    assert done.json["set"] == {"joy": 2.0, "jaw+": 0.4, "brows": 1.0}
    assert edit(bench, anna, "--set", "jaw+=0").code == 0
    assert np.array_equal(read_image(bench.folder / "out.png"), plain), "no change gives the photo back"


def test_a_strip_of_a_control_runs_over_its_range(bench: Desk) -> None:
    done = edit(bench, bench.photo(), "--strip", "brows", "--json")
    assert done.code == 0, done.err
    assert read_image(done.json["files"]["strip"]).shape[1] > 7 * 192


def test_strip_and_grid(bench: Desk) -> None:
    done = edit(bench, bench.photo(), "--strip", "joy", "--json")
    assert done.code == 0, done.err
    assert list(done.json["files"]) == ["strip"] and not (bench.folder / "out.png").exists()
    assert read_image(done.json["files"]["strip"]).shape[1] > 7 * 192
    done = edit(bench, bench.photo(), "--grid", "joy", "turn", "--crop", "--json")
    grid = read_image(done.json["files"]["grid"])
    assert grid.shape[1] > 5 * 192 < grid.shape[0]


def test_presets_are_saved_and_given_strengths_go_over_them(bench: Desk, tmp_path: Path) -> None:
    anna, preset = bench.photo(), tmp_path / "look.toml"
    assert edit(bench, anna, "--set", "joy=1.5", "--set", "turn=1", "--save-preset", preset).code == 0
    assert preset.read_text() == "[set]\njoy = 1.5\nturn = 1.0\n"
    again = edit(bench, anna, "--preset", preset, "--set", "turn=0.25", "--json")
    assert again.json["set"] == {"joy": 1.5, "turn": 0.25}


def test_presets_of_any_name_and_damaged_ones(tmp_path: Path) -> None:
    path = tmp_path / "look.toml"
    strengths = {'a "b" \\ c': -1.0, "open mouth": 2.5}
    save_preset(path, strengths)
    assert load_preset(path) == strengths
    for text in (
        "",
        "[set]\n",
        "joy = 1\n",
        "[set]\njoy = 'much'\n",
        "[set]\njoy = true\n",
        "[set]\njoy = nan\n",
        "[set",
    ):
        path.write_text(text)
        with pytest.raises(InputError):
            load_preset(path)
    with pytest.raises(InputError):
        load_preset(tmp_path / "none.toml")


def test_a_latent_is_drawn_alone_and_layers_hold_rows(bench: Desk) -> None:
    assert edit(bench, bench.photo(), "--set", "joy=0", "--save-latent").code == 0
    latent = bench.folder / "out.latent.safetensors"
    start = Latent.load(latent)
    done = bench.run(
        "edit", latent, "--network", bench.network, "--set", "joy=2", "--layers", "1-2", "--save-latent",
        "-o", bench.folder / "two.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert read_image(bench.folder / "two.png").shape == (16, 16, 3)
    moved = (Latent.load(bench.folder / "two.latent.safetensors").ws != start.ws).any(1)
    assert moved.tolist() == [row in (1, 2) for row in range(6)]


def test_warned_of_strengths_that_leave_the_range(bench: Desk) -> None:
    far = edit(bench, bench.photo(), "--set", "joy=40", "--place", "warp")
    assert far.code == 0 and "deviations from the network's mean" in far.err
    assert "deviations" not in edit(bench, bench.photo(), "--set", "joy=0.1").err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--set", "jov=2"), 2, "did you mean joy"),
        (("--set", "joy"), 2, "NAME=STRENGTH"),
        (("--set", "joy=much"), 2, "NAME=STRENGTH"),
        (("--set", "joy=nan"), 2, "NAME=STRENGTH"),
        ((), 2, "nothing to edit"),
        (("--set", "joy=1", "--layers", "9"), 2, "rows 0 to 5"),
        (("--strip", "frown-much"), 2, "no direction 'frown-much'"),
        (("--set", "blink=2"), 2, "expected a number from 0 to 1"),
        (("--set", "yaw+=90"), 2, "expected a number from -40 to 40"),
        (("--set", "blink=1", "--place", "warp"), 2, "blink moves the head in a photo"),
        (("--set", "joy=1", "--steps", "0"), 2, "no encoder"),
        (("--set", "joy=1", "-o", "out.gif"), 5, "cannot write this kind"),
        (("--preset", "none.toml"), 3, "none.toml"),
    ],
)
def test_refused(bench: Desk, words: tuple[str, ...], code: int, message: str) -> None:
    done = edit(bench, bench.photo(), *words)
    assert done.code == code and message in done.err


def test_results_land_in_the_working_folder_and_never_over_an_input(bench: Desk) -> None:
    photo = bench.photo("album/anna.png")
    words = ("edit", photo, "--network", bench.network, "--steps", 2, "--set", "joy=1")
    for _ in range(2):  # what is there already is replaced
        done = bench.run(*words, "--json")
        assert done.json["files"] == {"output": "anna.edit.png"} and (bench.folder / "anna.edit.png").exists()
    before = photo.read_bytes()
    (bench.folder / "link.png").symlink_to(photo)
    for output in (photo, bench.folder / "album" / ".." / "album" / "anna.png", bench.folder / "link.png"):
        done = bench.run(*words, "-o", output)
        assert done.code == 2 and "is an input, and inputs are never replaced" in done.err
    strip = bench.folder / "a.strip.png"
    strip.write_bytes(before)
    done = bench.run("edit", strip, "--network", bench.network, "--strip", "joy", "-o", bench.folder / "a.png")
    assert done.code == 2 and "a.strip.png is an input" in done.err
    assert photo.read_bytes() == strip.read_bytes() == before


def test_one_face_of_several(bench: Desk) -> None:
    group = bench.photo("group.png", faces=(60, 90))
    photo = read_image(group)
    largest = edit(bench, group, "--set", "joy=3", "--place", "warp")
    assert largest.code == 0 and "2 faces, taking the largest (face 1)" in largest.err
    assert np.array_equal(read_image(bench.folder / "out.png")[:, :100], photo[:, :100])
    assert edit(bench, group, "--set", "joy=3", "--face", 2, "--place", "warp").code == 0
    assert np.array_equal(read_image(bench.folder / "out.png")[:, 110:], photo[:, 110:])
    latent = FaceEditor(bench.network).project(photo, QUICK).latent
    with pytest.raises(UsageError, match="is a latent, which holds a single face"):
        FaceEditor(bench.network).edit(latent, {"joy": 1.0}, face=2)


def test_pasting_options_without_pasting(bench: Desk) -> None:
    editor = FaceEditor(bench.network)
    with pytest.raises(UsageError, match="feather has no effect with place='head'"):
        editor.edit(draw_photo(), {"joy": 1.0}, project=QUICK, composite=CompositeOptions(feather=0.5))
    with pytest.raises(UsageError, match="feather has no effect with crop=True"):
        editor.edit(draw_photo(), {"turn": 1.0}, EditOptions(crop=True), composite=CompositeOptions(feather=0.5))
    editor.edit(draw_photo(), {"turn": 1.0}, project=QUICK, composite=CompositeOptions(feather=0.5))


def test_in_python(bench: Desk) -> None:
    editor, notes = FaceEditor(bench.network), []
    photo = draw_photo()
    made = editor.edit(photo, {"turn": 2.0}, project=QUICK, on_note=notes.append)
    assert made.photo.rgb.shape == photo.shape and made.image.shape == made.reference.shape == (16, 16, 3)
    assert not np.array_equal(made.photo.rgb, photo)
    with pytest.raises(UsageError, match="there are"):
        editor.edit(photo, {"zzz": 2.0}, project=QUICK)
