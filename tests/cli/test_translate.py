"""`latentface translate` and `latentface train translate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import latentface as lf
from latentface.cli import run
from latentface.networks.translation import TranslationConfig, TranslationNet
from latentface.training.translation import save

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    with Image.open(ASTRONAUT) as picture:
        small = picture.convert("RGB").crop((60, 0, 400, 300))
    for name in ("a", "b"):
        small.save(f"photos/{name}.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TranslationNet(TranslationConfig(fine=4, coarse=8, dilations=(1,)))
    return str(save(network, tmp_path / "model.safetensors"))


def test_a_photo_and_a_folder(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["translate", "photos/a.png", "--model", model, "--attention", "map.png", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outputs"] == ["a.translate.png"] and told["attention"] == ["map.png"]
    assert lf.read_image("map.png").shape == lf.read_image("a.translate.png").shape == (300, 340, 3)
    assert lf.read_image("map.png").max() > 100
    words = ["translate", "photos", "--model", model, "--place", "crop", "--no-mark"]
    assert run([*words, "-o", "out", "--attention", "maps"]) == 0
    assert sorted(each.name for each in Path("out").iterdir()) == ["a.translate.png", "b.translate.png"]
    assert sorted(each.name for each in Path("maps").iterdir()) == ["a.attention.png", "b.attention.png"]
    assert lf.read_image("out/b.translate.png").shape == (128, 128, 3)


def test_in_a_batch(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["batch", "translate", "photos", "-o", "out", "--model", model, "--dry-run"]) == 0
    told = "".join(capsys.readouterr())
    assert "a.translate.png" in told and "b.translate.png" in told


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["photos", "--model", "model.safetensors"], 2, "-o FOLDER"),
        (["none.png", "--model", "model.safetensors"], 3, "none.png"),
        (["photos/a.png", "--model", "none.safetensors"], 4, "none.safetensors"),
        (["photos/a.png"], 2, "--model"),
        (["photos/a.png", "--model", "model.safetensors", "-o", "photos/a.png"], 2, "never replaced"),
    ],
)
def test_bad_input_says_what_to_do(
    model: str, capsys: pytest.CaptureFixture[str], words: list[str], code: int, text: str
) -> None:
    assert run(["translate", *words]) == code
    assert text in capsys.readouterr().err
    assert not Path("a.translate.png").exists()


def test_training_on_folders(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("red", "blue"):
        Path(folder).mkdir()
        with Image.open("photos/a.png") as picture:
            for k in range(4):
                picture.save(f"{folder}/{k}.png")
    Image.new("RGB", (64, 64)).save("red/dark.png")
    words = ["train", "translate", "--a", "red", "--b", "blue", "-o", "run", "--pictures", "1"]
    assert run([*words, "--device", "cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["faces"] == [4, 4] and [each["path"] for each in told["left_out"]] == ["red/dark.png"]
    assert run(["translate", "photos/a.png", "--model", told["network"], "--back"]) == 0
    assert run(["train", "translate", "--a", "photos", "--b", "red", "-o", "run"]) == 3
    assert "photos: 2 pictures show a face" in capsys.readouterr().err
