"""`latentface project`: what it writes, names, skips and says."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from latentface import api, hub
from latentface.io.images import read_image
from latentface.latents.latent import Latent
from tests.helpers.cli_desk import Desk, draw_photo, find_blobs


def suffixes(name: str) -> list[str]:
    return [f"{name}.compare.png", f"{name}.latent.safetensors", f"{name}.projected.png"]


def test_writes_latent_reconstruction_and_comparison(desk: Desk) -> None:
    done = desk.project(desk.photo())
    assert done.code == 0, done.err
    assert desk.written() == suffixes("anna")
    assert "anna.png" in done.out and "distance" in done.out
    assert read_image(desk.out / "anna.projected.png").shape == (16, 16, 3)
    height, width, _ = read_image(desk.out / "anna.compare.png").shape
    assert width > 4 * 256 > 2 * height


def test_the_saved_latent_draws_the_saved_picture(desk: Desk) -> None:
    assert desk.project(desk.photo()).code == 0
    generator = api.load_generator(desk.network)
    latent = Latent.load(desk.out / "anna.latent.safetensors")
    drawn = api.synthesise(generator, latent)[0].astype(int)
    assert np.abs(drawn - read_image(desk.out / "anna.projected.png")).max() <= 1


def test_the_latent_knows_its_photo(desk: Desk) -> None:
    assert desk.project(desk.photo(faces=(90,))).code == 0
    facts = Latent.load(desk.out / "anna.latent.safetensors").metadata
    assert facts is not None
    assert facts["photo"] == "anna.png" and json.loads(facts["photo_size"]) == [150, 140]
    assert np.array(json.loads(facts["quad"])).shape == (4, 2)
    assert np.array(json.loads(facts["landmarks"])).shape == (68, 2)
    assert json.loads(facts["options"])["steps"] == 3


def test_pictures_say_that_they_are_synthetic(desk: Desk) -> None:
    assert desk.project(desk.photo()).code == 0
    for name, source in (("projected", "trainedAlgorithmicMedia"), ("compare", "compositeWithTrained")):
        data = (desk.out / f"anna.{name}.png").read_bytes()
        assert source.encode() in data and b"latentface" in data


def test_json_is_one_object_and_nothing_else(desk: Desk) -> None:
    done = desk.project(desk.photo(), "--json")
    result = done.json
    assert done.code == result["exit_code"] == 0
    assert (result["done"], result["skipped"], result["failed"]) == (1, 0, 0)
    entry = result["results"][0]
    assert entry["status"] == "done" and entry["steps"] == 3 and entry["faces"] == 1
    assert entry["latent"] == str(desk.out / "anna.latent.safetensors")
    assert result["options"]["steps"] == 3 and len(result["fingerprint"]) == 64
    assert done.err == ""  # no progress in a pipe


def test_quiet_says_nothing(desk: Desk) -> None:
    done = desk.project(desk.photo(), "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_same_seed_gives_the_same_bytes(desk: Desk) -> None:
    photo = desk.photo()
    assert desk.project(photo).code == 0
    first = {name: (desk.out / name).read_bytes() for name in desk.written()}
    assert desk.project(photo, "--overwrite").code == 0
    assert {name: (desk.out / name).read_bytes() for name in desk.written()} == first


def test_skips_what_is_done_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = desk.photo()
    assert desk.project(photo).code == 0
    monkeypatch.setattr(api, "project", lambda *a, **k: pytest.fail("projected again"))
    again = desk.project(photo, "--json")
    assert again.code == 0 and again.json["skipped"] == 1
    assert "already done, skipped" in again.err
    other = desk.project(photo, "--steps", 4, "--json")
    assert other.json["results"][0]["differs"] == ["steps 3"] and "steps 3" in other.err


def test_a_result_that_lacks_a_file_is_done_again(desk: Desk) -> None:
    photo = desk.photo()
    assert desk.project(photo).code == 0
    (desk.out / "anna.compare.png").unlink()
    assert desk.project(photo, "--json").json["done"] == 1
    assert desk.written() == suffixes("anna")


def test_overwrite_does_it_again(desk: Desk) -> None:
    photo = desk.photo()
    assert desk.project(photo).code == 0
    done = desk.project(photo, "--overwrite", "--steps", 4, "--json")
    assert done.json["done"] == 1
    assert json.loads(Latent.load(desk.out / "anna.latent.safetensors").metadata["options"])["steps"] == 4


def test_same_stem_twice_keeps_both(desk: Desk) -> None:
    first, second = desk.photo("a/anna.png"), desk.photo("b/anna.png", faces=(70,))
    done = desk.project(first, second)
    assert done.code == 0, done.err
    assert desk.written() == sorted(suffixes("anna") + suffixes("anna-2"))
    # the second photo alone finds its own result again, and so does a third run in the other order
    assert desk.project(second, "--json").json["results"][0]["latent"].endswith("anna-2.latent.safetensors")
    assert desk.project(second, first, "--json").json["skipped"] == 2


def test_a_latent_of_unknown_origin_is_never_overwritten(desk: Desk) -> None:
    desk.out.mkdir()
    mine = desk.out / "anna.latent.safetensors"
    mine.write_bytes(b"somebody's own file")
    done = desk.project(desk.photo())
    assert done.code == 0 and mine.read_bytes() == b"somebody's own file"
    assert "anna-2.latent.safetensors" in desk.written()


def test_a_folder_is_its_photos_without_earlier_results(desk: Desk) -> None:
    desk.photo("album/anna.png"), desk.photo("album/ben.jpg", faces=(80,))
    for expected in (2, 0):
        done = desk.run("project", desk.folder / "album", "-o", desk.folder / "album", "--network", desk.network,
                        "--steps", 2, "--json")  # fmt: skip
        assert (done.json["done"], done.json["skipped"]) == (expected, 2 - expected)


def test_the_same_file_twice_is_done_once(desk: Desk) -> None:
    photo = desk.photo("album/anna.png")
    assert len(desk.project(photo, desk.folder / "album", "--json").json["results"]) == 1


def test_several_faces(desk: Desk) -> None:
    photo = desk.photo(faces=(60, 100))
    best = desk.project(photo, "--json")
    assert best.json["results"][0]["faces"] == 2 and "2 faces" in best.err
    every = desk.project(photo, "--all-faces", "--json")
    assert (every.json["done"], every.json["skipped"]) == (1, 1)
    assert desk.written() == sorted(suffixes("anna") + suffixes("anna.face2"))
    assert desk.project(photo, "--face", 2, "--json").json["skipped"] == 1
    wide, narrow = (
        np.ptp(json.loads(Latent.load(desk.out / f"{name}.latent.safetensors").metadata["quad"]))
        for name in ("anna", "anna.face2")
    )
    assert wide > narrow


def test_the_largest_face_unless_another_is_numbered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def surest_last(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes, widths = find_blobs(photo)
        return boxes, -widths  # the smallest face is the surest

    monkeypatch.setattr("latentface.faces.alignment.detect_faces", surest_last)
    photo = desk.photo(faces=(60, 100))
    found = desk.project(photo, "--json")
    assert "2 faces, taking the largest (face 2)" in found.err
    assert found.json["results"][0]["face"] == 2 and desk.written() == suffixes("anna.face2")
    monkeypatch.setattr("latentface.faces.alignment.detect_faces", lambda photo: pytest.fail("looked again"))
    again = desk.project(photo, "--json")
    assert (again.json["skipped"], again.json["results"][0]["face"]) == (1, 2)
    monkeypatch.setattr("latentface.faces.alignment.detect_faces", surest_last)
    assert desk.project(photo, "--face", 1, "--json").json["done"] == 1
    assert desk.project(photo, "--all-faces", "--json").json["skipped"] == 2


def test_an_input_is_never_replaced(desk: Desk) -> None:
    photo = desk.photo("anna.png")
    other = desk.photo("anna.compare.png", faces=(70,))
    before = other.read_bytes()
    words = ("project", photo, other, "--network", desk.network, "--steps", 2, "-o", desk.folder, "--json")
    done = desk.run(*words)
    assert done.code == 2 and [entry["status"] for entry in done.json["results"]] == ["failed", "done"]
    assert "anna.compare.png is an input" in done.err and other.read_bytes() == before


def test_without_a_search_the_start_is_the_latent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "encoder", lambda generator: lambda crops: torch.full((len(crops), 6, 8), 0.25))
    words = ("project", desk.photo(), "--network", desk.network, "--steps", 0, "-o", desk.out, "--json")
    entry = desk.run(*words).json["results"][0]
    assert (entry["status"], entry["steps"], entry["first_loss"]) == ("done", 0, None)
    assert (Latent.load(entry["latent"]).ws == 0.25).all()
    tuned = desk.run(*words, "--tune", "--tune-steps", 3, "--overwrite").json["results"][0]
    assert tuned["steps"] == 3 and tuned["tuned"]


def test_a_face_that_is_not_there(desk: Desk) -> None:
    done = desk.project(desk.photo(), "--face", 3)
    assert done.code == 3 and "no face 3" in done.err and desk.written() == []


def test_faces_of_several_photos_go_through_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = api.project
    monkeypatch.setattr(api, "project", lambda crops, *a, **k: sizes.append(len(crops)) or real(crops, *a, **k))
    photos = [desk.photo(f"{n}.png", faces=(60 + n,)) for n in range(5)]
    assert desk.project(*photos, "--batch", 3).code == 0
    assert sizes == [3, 2]


def test_tuning_writes_deltas_that_draw_the_picture(desk: Desk) -> None:
    photo = desk.photo()
    done = desk.project(photo, "--tune", "--tune-steps", 5, "--tune-learning-rate", 0.01, "--json")
    assert done.code == 0, done.err
    assert desk.written() == sorted([*suffixes("anna"), "anna.tuned.safetensors"])
    assert done.json["results"][0]["tuned"] == str(desk.out / "anna.tuned.safetensors")
    drawn = desk.folder / "drawn"
    latent = desk.out / "anna.latent.safetensors"
    pictures = []
    for flags in ([], ["--tuned"]):
        words = ("sample", "--network", desk.network, "--latent", latent, "-o", drawn, *flags)
        assert desk.run(*words).code == 0
        pictures.append(read_image(drawn / "anna.png").astype(int))
    projected = read_image(desk.out / "anna.projected.png")
    assert np.abs(pictures[1] - projected).max() <= 1 < np.abs(pictures[0] - projected).max()
    assert desk.project(photo, "--overwrite").code == 0  # the deltas belong to the latent that was replaced
    assert desk.written() == suffixes("anna")


def test_one_bad_file_and_the_rest_go_on(desk: Desk) -> None:
    good, last = desk.photo("good.png"), desk.photo("last.png", faces=(80,))
    bad = desk.folder / "bad.png"
    bad.write_bytes(b"not a picture at all")
    done = desk.project(good, bad, desk.folder / "missing.jpg", last, "--json")
    assert done.code == 3
    assert [entry["status"] for entry in done.json["results"]].count("done") == 2
    assert done.json["failed"] == 2
    assert sum("bad.png" in line for line in done.err.splitlines()) == 1
    assert desk.written() == sorted(suffixes("good") + suffixes("last"))


@pytest.mark.parametrize("kind", ["L", "P", "I;16", "CMYK", "RGBA", "LA", "1"])
def test_any_kind_of_picture_works(desk: Desk, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # colour is gone from most of these, so the stand-in detector is told where the face is
    monkeypatch.setattr(
        "latentface.faces.alignment.detect_faces", lambda p: (np.array([[30.0, 20, 120, 110]]), np.ones(1))
    )
    image = Image.fromarray(draw_photo())
    path = desk.folder / ("photo.tif" if kind == "CMYK" else "photo.png")
    if kind == "I;16":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)
    else:
        image.convert(kind).save(path)
    done = desk.project(path)
    assert done.code == 0, done.err
    assert desk.written() == suffixes("photo")


def test_a_turned_photo_is_projected_upright(desk: Desk) -> None:
    upright = Image.fromarray(draw_photo())
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(desk.folder / "phone.png", exif=exif)
    assert desk.project(desk.folder / "phone.png").code == 0
    facts = Latent.load(desk.out / "phone.latent.safetensors").metadata
    assert json.loads(facts["photo_size"]) == [150, 140]
    quad = np.array(json.loads(facts["quad"]))
    assert quad[1, 1] > quad[0, 1] + 40  # the second corner lies below the first: the face stands upright


def test_names_of_further_faces_never_meet_another_photo(desk: Desk) -> None:
    group, other = desk.photo(faces=(90, 60)), desk.photo("anna.face2.png", faces=(70,))
    for flags in ((), ("--overwrite",)):
        done = desk.project(other, group, "--all-faces", *flags)
        assert done.code == 0, done.err
        assert "3 done" in done.out
        latents = [Latent.load(path) for path in sorted(desk.out.glob("*.latent.safetensors"))]
        assert sorted((each.metadata or {})["photo"] for each in latents) == ["anna.face2.png", "anna.png", "anna.png"]
        assert "the name anna belongs to another result" in done.err
    again = desk.project(group, other, "--all-faces", "--json").json
    assert again["skipped"] == 3 and again["done"] == 0


def test_a_name_that_is_not_utf8_is_done_and_shown(desk: Desk) -> None:
    photo = desk.photo()
    odd = photo.rename(photo.with_name(os.fsdecode(b"Jos\xe9.png")))
    done = desk.project(odd)
    assert done.code == 0, done.err
    assert "Jos�.png" in done.out
    assert os.fsdecode(b"Jos\xe9.latent.safetensors") in os.listdir(desk.out)
    assert desk.project(odd, "--json", "--overwrite").json["done"] == 1


def test_a_name_that_is_too_long_for_further_faces_only(desk: Desk) -> None:
    photo = desk.photo()
    long = photo.rename(photo.with_name(f"{'x' * 235}.png"))
    assert desk.project(long).code == 0
    assert f"{'x' * 235}.latent.safetensors" in desk.written()


def test_a_name_that_would_be_too_long_is_told_before_the_work(desk: Desk) -> None:
    photo = desk.photo()
    long = photo.rename(photo.with_name(f"{'x' * 240}.png"))
    done = desk.project(long)
    assert done.code == 5
    assert f"{'x' * 240}.latent.safetensors: its name has 259 bytes" in done.err
    assert not desk.out.exists()
