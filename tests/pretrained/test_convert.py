"""Import and export: what goes out comes back with the same pictures, under the names and in the files promised."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from latentface import pretrained
from latentface.cli import run, weights_convert
from latentface.errors import WeightsError
from latentface.networks.generator import GeneratorConfig
from latentface.pretrained import convert, imported
from latentface.pretrained.native import write_network
from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def golden(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    with np.load(GOLDEN / name) as arrays:
        values = {key: torch.from_numpy(arrays[key]) for key in arrays}
    state = {key.removeprefix("state/"): values.pop(key) for key in list(values) if key.startswith("state/")}
    return state, values


@pytest.mark.parametrize("format", ["rosinality", "state-dict"])
@pytest.mark.parametrize("name", ["ada_skip_64.npz", "rosinality_64.npz"])
def test_conversions_keep_the_public_generators_pictures(tmp_path: Path, name: str, format: str) -> None:
    state, values = golden(name)
    first = tmp_path / "first.pt"
    torch.save({"g_ema": state, "latent_avg": values["latent_avg"]} if "latent_avg" in values else state, first)
    second = tmp_path / "second.pt"
    convert.export(pretrained.load_generator(first), second, format)
    assert run(["weights", "import", str(second), "--as", "third", "--quiet"]) == 0
    third = pretrained.load_generator("third")
    assert third.fingerprint == pretrained.load_generator(first).fingerprint
    expected = values.get("img", values.get("img_const"))
    assert float((third(values["z"]) - expected).abs().max()) <= 1e-4 * float(expected.max() - expected.min())


def test_rosinality_export_spells_every_name_of_the_public_state_dict(tmp_path: Path) -> None:
    state, values = golden("rosinality_64.npz")
    torch.save({"g_ema": state, "latent_avg": values["latent_avg"]}, tmp_path / "a.pt")
    convert.export(pretrained.load_generator(tmp_path / "a.pt"), tmp_path / "b.pt", "rosinality")
    written = torch.load(tmp_path / "b.pt", weights_only=True)
    assert set(written) == {"g_ema", "latent_avg"} and set(written["g_ema"]) == set(state)
    for name, value in state.items():
        torch.testing.assert_close(written["g_ema"][name], value)


def test_state_dict_export_spells_every_name_of_the_public_state_dict(tmp_path: Path) -> None:
    state, _ = golden("ada_skip_64.npz")
    torch.save(state, tmp_path / "a.pt")
    convert.export(pretrained.load_generator(tmp_path / "a.pt"), tmp_path / "b.pt", "state-dict")
    written = torch.load(tmp_path / "b.pt", weights_only=True)
    assert set(written) == set(state)
    for name, value in state.items():
        torch.testing.assert_close(written[name], value)


def test_onnx_draws_the_same_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = make(replace(SMALL, resolution=8))
    torch.save(generator.state_dict(), tmp_path / "small.pt")
    assert run(["weights", "export", "--network", "small.pt", "--format", "onnx", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == "small.onnx" and said["bytes"] == (tmp_path / "small.onnx").stat().st_size
    content = (tmp_path / "small.onnx").read_bytes()
    assert str(Path(convert.__file__).parent.parent).encode() not in content, "paths of this machine"
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["ws"]
    for n in (1, 3):
        ws = torch.randn(n, generator.config.num_ws, 8, generator=torch.Generator().manual_seed(n))
        image, expected = session.run(["image"], {"ws": ws.numpy()})[0], generator.synthesis(ws).numpy()
        assert image.shape == expected.shape == (n, 3, 8, 8)
        assert np.abs(image - expected).max() <= 1e-4 * np.ptp(expected)


def test_the_command_offers_every_format() -> None:
    assert weights_convert.SUFFIXES.keys() == convert.FORMATS.keys()


@pytest.mark.parametrize(
    ("change", "word"),
    [({"architecture": "resnet"}, "resnet"), ({"c_dim": 2}, "c_dim"), ({"lr_multiplier": 0.02}, "lr_multiplier")],
)
def test_what_rosinality_cannot_say_is_refused(tmp_path: Path, change: dict[str, object], word: str) -> None:
    with pytest.raises(WeightsError, match=word):
        convert.export(make(replace(SMALL, **change)), tmp_path / "a.pt", "rosinality")
    assert list(tmp_path.iterdir()) == []


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    notes = convert.export(make(replace(SMALL, conv_clamp=256.0)), tmp_path / "a.pt", "rosinality")
    assert len(notes) == 2 and "256" in notes[0] and "widths of z, w" in notes[1]
    usual = GeneratorConfig(8, z_dim=4, w_dim=4, num_mapping_layers=1)
    assert convert.export(make(usual), tmp_path / "b.pt", "rosinality") == ()


class TestImport:
    def test_the_name_works_wherever_a_network_is_asked_for(
        self, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        generator, mark = make(), tmp_path / "mark"
        (tmp_path / "my faces.pkl").write_bytes(write.ada(generator, mark))
        assert run(["weights", "import", "my faces.pkl", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["name"] == "my-faces" and said["format"] == "stylegan2-ada" and said["notes"] == []
        assert said["config"]["resolution"] == 16 and said["path"] == str(cache / "imported" / "my-faces.safetensors")
        assert pretrained.load_generator("my-faces").fingerprint == generator.fingerprint
        assert run(["sample", "--network", "my-faces", "--seeds", "0", "-o", "one.png", "--quiet"]) == 0
        assert run(["weights", "list", "--json"]) == 0
        assert [each["name"] for each in json.loads(capsys.readouterr().out)["imported"]] == ["my-faces"]
        assert not mark.exists()

    def test_half_precision_halves_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.pt").write_bytes(write.rosinality(make()))
        assert run(["weights", "import", "a.pt", "--as", "whole", "-q"]) == 0
        assert run(["weights", "import", "a.pt", "--as", "half", "--half", "-q"]) == 0
        whole, half = imported.path_of("whole"), imported.path_of("half")
        assert whole and half and half.stat().st_size < 0.7 * whole.stat().st_size
        assert read_checkpoint(half).config == read_checkpoint(whole).config

    def test_notes_are_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "e4e.pt").write_bytes(write.psp(make()))
        assert run(["weights", "import", "e4e.pt"]) == 0
        assert "encoder is not imported" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["synthface-128", "ffhq/1024", "../up", "", "a b", ".hidden"])
    def test_names_that_cannot_be(self, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        write_network(tmp_path / "a.safetensors", "generator", vars(SMALL), make().state_dict())
        assert run(["weights", "import", "a.safetensors", f"--as={name}"]) == 2
        assert imported.names() == []

    def test_a_taken_name(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for seed, file in enumerate(("a.pt", "b.pt")):
            torch.save(make(seed=seed).state_dict(), tmp_path / file)
        assert run(["weights", "import", "a.pt", "--as", "mine"]) == 0
        assert run(["weights", "import", "b.pt", "--as", "mine"]) == 2
        assert "--overwrite" in capsys.readouterr().err
        assert pretrained.load_generator("mine").fingerprint == make(seed=0).fingerprint
        assert run(["weights", "import", "b.pt", "--as", "mine", "--overwrite"]) == 0
        assert pretrained.load_generator("mine").fingerprint == make(seed=1).fingerprint

    def test_an_unusable_file_leaves_with_4(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.pkl").write_text("<!DOCTYPE html><title>Quota exceeded</title>")
        assert run(["weights", "import", "a.pkl"]) == 4
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "web page" in said
        assert imported.names() == []
