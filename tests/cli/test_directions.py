"""`latentface directions`: fit from folders, tables, samples and renders; list, show, import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api
from latentface.editing import labelled_latents
from latentface.emotion import Emotion
from latentface.errors import InputError, UsageError
from latentface.io.images import read_image
from latentface.latents.latent import Latent
from latentface.pretrained.directions import read_directions
from tests.helpers.checkpoint_writers import ada, make
from tests.helpers.cli_desk import Desk


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    return desk


def directions(bench: Desk, *words: object) -> object:
    return bench.run("directions", *words, "--network", bench.network)


def latents(bench: Desk, name: str, centre: float, count: int = 12) -> list[Path]:
    """Latent files around a point of axis 0, in a folder of that name."""
    folder = bench.folder / name
    folder.mkdir()
    random = torch.Generator().manual_seed(len(name))
    fingerprint = api.load_generator(bench.network).fingerprint
    paths = [folder / f"{k:02}.latent.safetensors" for k in range(count)]
    for path in paths:
        row = 0.1 * torch.randn(8, generator=random)
        row[0] += centre
        Latent(row.expand(6, -1), fingerprint).save(path)
    return paths


def along_axis_0(values: torch.Tensor) -> float:
    return float(values[:, 0].sum() / values.norm() / 6**0.5)


def test_a_folder_a_class(bench: Desk) -> None:
    latents(bench, "joy", 1.0)
    latents(bench, "calm", 0.0)
    (bench.folder / "joy" / "notes.txt").write_text("not a photo")
    words = (bench.folder / "joy", bench.folder / "calm", "--against", "calm", "--regularise", 1)
    done = directions(bench, "fit", *words, "--json")
    assert done.code == 0, done.err
    assert done.json["directions"][0] | {"accuracy": ""} == {
        "name": "joy", "accuracy": "", "folds": "5", "method": "pattern", "samples": "12", "against": "calm",
        "layers": "all",
    }  # fmt: skip
    found = read_directions(bench.folder / "cache" / "directions" / "joy.safetensors")["joy"]
    assert along_axis_0(found.values) > 0.95
    listed = directions(bench, "list")
    assert listed.out.splitlines()[0].split() == ["NAME", "ACCURACY", "AGAINST", "LAYERS", "SAMPLES"]
    assert "joy" in listed.out


def test_photos_are_projected_and_what_cannot_be_used_is_left_out(bench: Desk) -> None:
    for name, side in (("wide", 90), ("narrow", 50)):
        for k in range(2):
            bench.photo(f"{name}/{k}.png", faces=(side + k,))
    (bench.folder / "wide" / "broken.png").write_bytes(b"no picture")
    words = (bench.folder / "wide", bench.folder / "narrow", "--steps", 2, "--folds", 2, "--name", "width")
    done = directions(bench, "fit", *words, "--json")
    assert done.code == 0, done.err
    assert "broken.png is left out" in done.err
    assert [row["name"] for row in done.json["directions"]] == ["narrow", "wide"]
    assert Path(done.json["output"]).name == "width.safetensors"


def test_a_table_of_scores_with_conditions(bench: Desk) -> None:
    paths = [path for part in range(10) for path in latents(bench, f"p{part}", part / 10, 4)]
    lines = [f"{path.relative_to(bench.folder)},{k // 4},{k % 4},{'ab'[k % 2]}" for k, path in enumerate(paths)]
    table = bench.folder / "faces.csv"
    table.write_text("\n".join(["file,age,tilt,kind", *lines]))
    output = bench.folder / "age.safetensors"
    words = ("--csv", table, "--score", "age", "--condition", "tilt", "--condition", "kind", "--regularise", 1)
    done = directions(bench, "fit", *words, "-o", output)
    assert done.code == 0, done.err
    assert along_axis_0(read_directions(output)["age"].values) > 0.9
    for more, code, message in (
        (("--csv", table, "--label", "mood"), 3, "no column 'mood'"),
        (("--csv", table, "--score", "kind"), 3, "numbers"),
        (("--csv", bench.folder / "none.csv"), 3, "none.csv"),
    ):
        refused = directions(bench, "fit", *more)
        assert refused.code == code and message in refused.err


def by_brightness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the emotion classifier name a picture by how bright it is among its batch: three of the seven emotions."""

    def stand_in(name: str, device: str) -> object:
        def recognise(pictures: torch.Tensor) -> torch.Tensor:
            level = pictures.mean((1, 2, 3))
            low, high = level.quantile(torch.tensor([1 / 3, 2 / 3]))
            return torch.nn.functional.one_hot((level > low).long() + (level > high).long(), len(Emotion)).float()

        return recognise

    monkeypatch.setattr(labelled_latents, "emotion_recogniser", stand_in)


def test_samples_labelled_by_a_classifier(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    by_brightness(monkeypatch)
    words = ("--sample", 60, "--folds", 2, "-o", bench.folder / "a.safetensors")
    done = directions(bench, "fit", *words, "--json")
    assert done.code == 0, done.err
    assert 2 <= len(done.json["directions"]) <= 3


def test_a_published_network_gets_its_directions_by_one_command_and_keeps_them(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_brightness(monkeypatch)
    files = {}
    for name, seed in (("one", 3), ("two", 4)):
        files[name] = bench.folder / f"{name}.pkl"
        files[name].write_bytes(ada(make(seed=seed), bench.folder / "mark"))
        assert bench.run("weights", "import", files[name], "--as", name).code == 0
        refused = bench.run("edit", latent_of(bench, name), "--network", name, "--set", "happiness=1")
        assert refused.code == 2 and "directions fit --sample" in refused.err
        done = bench.run("directions", "fit", "--network", name, "--sample", 60, "--folds", 2)
        assert done.code == 0, done.err
    for name in files:
        listed = bench.run("directions", "list", "--network", name, "--json").json["directions"]
        assert listed
        strength = f"direction:{listed[0]['name']}=1"
        edited = bench.run("edit", latent_of(bench, name), "--network", name, "--set", strength)
        assert edited.code == 0, edited.err
    assert not (bench.folder / "mark").exists()


def latent_of(bench: Desk, network: str) -> Path:
    """The mean latent of a network, in a file."""
    generator = api.load_generator(network)
    path = bench.folder / f"{network}.latent.safetensors"
    Latent(generator.w_avg.expand(generator.config.num_ws, -1), generator.fingerprint).save(path)
    return path


def test_a_classifier_with_other_labels(bench: Desk) -> None:
    generator = api.load_generator(bench.network)
    with pytest.raises(UsageError, match=r"returned \[10, 3\]: expected \[10, 7\]"):
        labelled_latents.from_samples(
            generator, 10, lambda pictures: torch.zeros(len(pictures), 3), [e.value for e in Emotion]
        )


def test_renders_with_their_true_emotions(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bench.folder / "renders"
    folder.mkdir()
    random = np.random.default_rng(0)
    emotion = np.repeat([0, 1], 20)
    images = random.integers(0, 40, (40, 16, 16, 3), dtype=np.uint8) + (100 * emotion[:, None, None, None]).astype(
        np.uint8
    )
    np.savez(folder / "shard-00000.npz", images=images, emotion=emotion)

    def encode(crops: list[np.ndarray], generator: object) -> torch.Tensor:
        """Mean brightness of four parts, twice, in every row."""
        cells = torch.tensor(np.stack(crops)).float().reshape(len(crops), 4, -1).mean(2) / 255
        return torch.cat([cells, cells], 1)[:, None].expand(-1, 6, -1)

    monkeypatch.setattr(api, "encode", encode)
    done = directions(bench, "fit", "--renders", folder, "--against", "neutral", "--json")
    assert done.code == 0, done.err
    assert done.json["directions"][0]["name"] == "happiness" and done.json["directions"][0]["accuracy"] == "1.000"
    with pytest.raises(InputError, match="shard"):
        labelled_latents.from_renders([bench.folder], api.load_generator(bench.network))


def test_import_and_show(bench: Desk) -> None:
    row = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    np.save(bench.folder / "age.npy", row)
    torch.save({"smile": torch.ones(6, 8), "pose": torch.ones(8)}, bench.folder / "two.pt")
    assert directions(bench, "import", bench.folder / "age.npy").code == 0
    assert directions(bench, "import", bench.folder / "two.pt", "--key", "pose", "--name", "turn").code == 0
    assert list(api.list_directions(api.load_generator(bench.network))) == ["age", "turn"]
    shown = directions(bench, "show", "age", "turn", "-o", bench.folder / "show.png")
    assert shown.code == 0, shown.err
    height, width = read_image(bench.folder / "show.png").shape[:2]
    assert width > 7 * 160 and height > 2 * 160


def test_import_refuses(bench: Desk) -> None:
    np.save(bench.folder / "bad.npy", np.zeros((3, 5), np.float32))
    torch.save({"a": torch.ones(8), "b": torch.ones(8)}, bench.folder / "two.pt")
    (bench.folder / "text.pt").write_text("no tensors")
    for name, code, message in (
        ("bad.npy", 2, "[8] or [6, 8]"), ("two.pt", 3, "choose one with --key"), ("text.pt", 3, "cannot be read"),
        ("none.npy", 3, "cannot be read"),
    ):  # fmt: skip
        done = directions(bench, "import", bench.folder / name)
        assert done.code == code and message in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to learn from"),
        (("--sample", "10", "--csv", "a.csv"), "one of them"),
        (("--sample", "10", "--score", "age"), "it applies with --csv"),
        (("--sample", "10", "--orthogonal-to", "pose"), "no direction 'pose'"),
        (("--sample", "10", "--fraction", "0.9"), "0.9"),
    ],
)
def test_fit_refuses(bench: Desk, words: tuple[str, ...], message: str) -> None:
    done = directions(bench, "fit", *words)
    assert done.code == 2 and message in done.err


def test_one_class_and_too_few(bench: Desk) -> None:
    latents(bench, "joy", 1.0)
    latents(bench, "calm", 0.0, 3)
    (bench.folder / "empty").mkdir()
    for names, message in (
        (("joy",), "only the class 'joy'"),
        (("joy", "calm"), "calm has 3"),
        (("joy", "empty"), "contains no photos"),
    ):
        done = directions(bench, "fit", *(bench.folder / name for name in names))
        assert done.code == 3 and message in done.err
