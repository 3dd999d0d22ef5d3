"""`latentface evaluate` and lf.evaluate on pictures with made-up faces."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import latentface as lf
from latentface import api, metrics
from latentface.errors import InputError, UsageError
from tests.helpers.cli_desk import Desk, draw_photo
from tests.pretrained.test_scripted import Means, save


def put(path: Path, shift: int = 0, faces: tuple[int, ...] = (90,)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(draw_photo(faces).astype(int) + shift, 0, 255).astype(np.uint8)).save(path)
    return path


def clip(path: Path, levels: list[int]) -> Path:
    pictures = [np.clip(draw_photo().astype(int) + level, 0, 255).astype(np.uint8) for level in levels]
    size = (pictures[0].shape[1] // 2 * 2, pictures[0].shape[0] // 2 * 2)
    lf.write_clip(path, lf.Clip.of([each[: size[1], : size[0]] for each in pictures], 10, size))
    return path


def test_two_pictures_are_a_pair(desk: Desk) -> None:
    done = desk.run("evaluate", put(desk.folder / "a.png", 4), put(desk.folder / "b.png"), "--json")
    assert done.code == 0, done.err
    assert done.json["kind"] == "pair"
    assert done.json["figures"]["psnr"]["value"] == pytest.approx(20 * np.log10(255 / 4), abs=0.3)
    assert set(done.json["judges"]) == {"perceptual", "identity", "landmarks"}
    assert all("(" in name for name in done.json["judges"].values())


def test_folders_with_the_same_names_are_pairs_with_a_table(desk: Desk) -> None:
    for name in "abc":
        put(desk.folder / f"made/{name}.png", ord(name) - 95)
        put(desk.folder / f"real/{name}.png")
    table = desk.folder / "t" / "rows.csv"
    done = desk.run("evaluate", desk.folder / "made", desk.folder / "real", "--csv", table, "--measures", "psnr,akd")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()] == ["psnr", "akd", "measured"]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["name"] for row in rows] == ["a.png", "b.png", "c.png"]
    assert float(rows[0]["psnr"]) > float(rows[2]["psnr"])


def test_other_folders_are_sets(desk: Desk) -> None:
    for number in range(5):
        put(desk.folder / f"made/m{number}.png", 3 * number)
        put(desk.folder / f"real/r{number}.png", 2 * number)
    found = lf.evaluate(desk.folder / "made", desk.folder / "real")
    assert found.kind == "sets" and list(found.figures) == ["fid", "kid", "precision", "recall"]
    assert found.figures["fid"].count == 5
    same = lf.evaluate(desk.folder / "made", desk.folder / "made", lf.EvaluateOptions(sets=True, measures="fid"))
    assert same.figures["fid"].value == pytest.approx(0, abs=1e-6)
    cropped = lf.evaluate(desk.folder / "made", desk.folder / "real", lf.EvaluateOptions(crop=True, measures="fid"))
    assert cropped.figures["fid"].value != found.figures["fid"].value


def test_sets_are_compared_by_a_network_of_ones_own(desk: Desk) -> None:
    for number in range(5):
        put(desk.folder / f"made/m{number}.png", 3 * number)
        put(desk.folder / f"real/r{number}.png", 2 * number)
    script = save(Means(), desk.folder / "means.pt")
    options = lf.EvaluateOptions(features=str(script), measures="fid")
    found = lf.evaluate(desk.folder / "made", desk.folder / "real", options)
    assert found.judges["features"].startswith(f"{script} (")
    means = [
        torch.from_numpy(
            np.stack([lf.read_image(path).mean((0, 1)) for path in sorted((desk.folder / name).iterdir())])
        )
        for name in ("made", "real")
    ]
    assert found.figures["fid"].value == pytest.approx(metrics.frechet_distance(*means), rel=1e-4)


def test_a_generator_is_measured_by_its_samples(desk: Desk) -> None:
    for number in range(5):
        put(desk.folder / f"real/r{number}.png", 2 * number)
    words = ("evaluate", "--network", desk.network, desk.folder / "real", "--samples", 6, "--json")
    first, second = desk.run(*words), desk.run(*words)
    assert first.code == 0, first.err
    assert first.json["figures"] == second.json["figures"] and first.json["figures"]["fid"]["count"] == 5
    generator = api.load_generator(desk.network)
    with pytest.raises(UsageError, match="against a folder of pictures"):
        lf.evaluate(generator, put(desk.folder / "one.png"))


def test_a_clip_by_itself_and_against_another(desk: Desk) -> None:
    made, real = clip(desk.folder / "made.mp4", [0, 6, 0, 6]), clip(desk.folder / "real.mp4", [0, 0, 0, 0])
    alone = lf.evaluate(made)
    assert alone.kind == "clip" and set(alone.figures) == {"acd", "roughness", "flicker"}
    assert alone.figures["flicker"].value > 5 * lf.evaluate(real).figures["flicker"].value
    both = lf.evaluate(made, real)
    assert both.kind == "clips" and len(both.rows) == 4 and {"psnr", "flicker"} < set(both.figures)
    with pytest.raises(InputError, match="different numbers of frames"):
        lf.evaluate(made, clip(desk.folder / "short.mp4", [0, 0, 0]))


def test_progress_is_told(desk: Desk) -> None:
    for name in "ab":
        put(desk.folder / f"made/{name}.png", 2)
        put(desk.folder / f"real/{name}.png")
    steps: list[int] = []
    lf.evaluate(desk.folder / "made", desk.folder / "real", lf.EvaluateOptions(measures="psnr"), steps.append)
    assert steps == [1, 2]


def test_what_does_not_belong_together_is_refused(desk: Desk) -> None:
    picture, real = put(desk.folder / "a.png"), clip(desk.folder / "real.mp4", [0, 0])
    for words, code, message in (
        ((picture, real), 3, "is a picture and"),
        ((picture,), 2, "give a reference"),
        ((picture, desk.folder / "none.png"), 3, "no such file"),
        ((picture, picture, picture), 2, "expected RESULT and REFERENCE"),
        ((picture, picture, "--measures", "beauty"), 2, "no measure 'beauty'"),
        ((real, "--csv", desk.folder / "x.csv"), 2, "--csv has no effect"),
    ):
        done = desk.run("evaluate", *words)
        assert done.code == code and message in done.err, (words, done.err)


def test_a_pair_of_different_sizes_is_named(desk: Desk) -> None:
    for name, folder, faces in (("a", "made", (90,)), ("a", "real", (110,))):
        put(desk.folder / f"{folder}/{name}.png", faces=faces)
    with pytest.raises(InputError, match=r"a\.png and .*a\.png: pictures of 150 x 140 and 170 x 140"):
        lf.evaluate(desk.folder / "made", desk.folder / "real")
