"""`latentface weights get, list, verify`: what they say, write and refuse. The server is local."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from latentface import pretrained
from latentface.cli import run
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained import published
from latentface.pretrained.native import write_network
from tests.helpers.weight_server import CONTENT, WeightHandler, entry

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(autouse=True)
def one_entry(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = (entry(f"{server}/file"), replace(entry(), name="by-hand", file="hand.pkl"))
    for module in (published, pretrained):
        monkeypatch.setattr(module, "PUBLISHED", known)


def test_get_list_verify(capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
    assert run(["weights", "get", "faces"]) == 0
    said = capsys.readouterr()
    assert "Some Licence; no commercial use" in said.err and "downloading faces, 1 MB" in said.err
    assert said.out == f"faces: {own_cache / 'networks' / 'faces.pkl'}\n"
    assert run(["weights", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["published"]}
    assert (rows["faces"]["state"], rows["by-hand"]["state"]) == ("here", "absent")
    assert (rows["faces"]["bytes"], rows["faces"]["commercial"]) == (len(CONTENT), False)
    assert run(["weights", "verify", "faces"]) == 0
    assert capsys.readouterr().out.startswith("faces: verified, ")
    (own_cache / "networks" / "faces.pkl").write_bytes(b"something else")
    assert run(["weights", "verify", "--json"]) == 4
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["weights"]}
    assert not rows["faces"]["verified"] and rows["synthface-128"]["verified"] and "by-hand" not in rows


def test_get_by_hand(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    assert run(["weights", "get", "by-hand"]) == 4
    assert "then run latentface weights get by-hand --from FILE" in capsys.readouterr().err
    assert run(["weights", "get", "by-hand", "--from", str(tmp_path / "x")]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["facse"], 4, "did you mean faces?"),
        (["synthface-128"], 2, "is built in"),
        (["faces", "by-hand", "--from", "x"], 2, "name one network"),
        (["faces", "--offline"], 4, "downloads are switched off"),
    ],
)
def test_get_wrongly(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "get", *words]) == code
    assert message in capsys.readouterr().err and WeightHandler.asked == []


def test_a_url_is_a_network(server: str, tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=64, channel_max=8)
    made = tmp_path / "tiny.safetensors"
    write_network(made, "generator", asdict(config), Generator(config, seed=1).state_dict(), torch.float32)
    WeightHandler.content = made.read_bytes()
    url = f"{server}/file/tiny.safetensors"
    words = ["sample", "--network", url, "--seeds", "1", "-o", str(tmp_path / "sheet.png")]
    assert run([*words, "--offline"]) == 4 and WeightHandler.asked == []
    assert run(words) == 0 and (tmp_path / "sheet.png").exists()
    assert run([*words, "--offline"]) == 0 and len(WeightHandler.asked) == 1
    capsys.readouterr()
    assert run(["weights", "verify"]) == 0
    assert f"{url}: verified" in capsys.readouterr().out


def test_a_quiet_command_keeps_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "get", "faces", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
