"""Encoders out of pSp and e4e files, with their mean code; files that hold something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from latentface import pretrained
from latentface.errors import UnknownNetwork, WeightsError
from latentface.networks.config import GeneratorConfig
from latentface.networks.encoder import EncoderConfig, LatentEncoder
from latentface.networks.psp_encoder import PspConfig
from latentface.pretrained.encoders import DELTAS, read_encoder
from latentface.pretrained.readers import read_checkpoint
from tests.helpers.checkpoint_writers import make, rosinality_state
from tests.networks.test_psp_encoder import SMALL, State, build, random_state


def write(path: Path, state: State, *, average: Any = "own", **options: Any) -> Path:
    """A file as pSp and e4e publish them, with a small generator."""
    config = GeneratorConfig(resolution=64, z_dim=64, w_dim=64, num_mapping_layers=2, channel_base=512, channel_max=16)
    parts = {f"decoder.{name}": value for name, value in rosinality_state(make(config)).items()}
    parts |= {f"encoder.{name}": value for name, value in state.items() if name != "latent_avg"}
    average = state["latent_avg"] if average == "own" else average
    opts = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, **options}
    torch.save({"state_dict": parts, "latent_avg": average, "opts": opts}, path)
    return path


@pytest.mark.parametrize(("kind", "deltas"), [("GradualStyleEncoder", False), ("Encoder4Editing", True)])
def test_a_file_is_loaded(tmp_path: Path, kind: str, deltas: bool) -> None:
    state = random_state()
    encoder = pretrained.load_encoder(write(tmp_path / "encoder.pt", state, encoder_type=kind))
    assert encoder.config == PspConfig(10, deltas, 32, SMALL.widths, SMALL.units)
    assert not encoder.training and not any(parameter.requires_grad for parameter in encoder.parameters())
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    torch.testing.assert_close(encoder(images), build(encoder.config, state)(images))


@pytest.mark.parametrize("shape", [(64,), (1, 64)])
def test_one_mean_code_serves_every_row(tmp_path: Path, shape: tuple[int, ...]) -> None:
    state = random_state()
    average = state["latent_avg"][0].reshape(shape)
    encoder = pretrained.load_encoder(write(tmp_path / "encoder.pt", state, average=average))
    assert torch.equal(encoder.latent_avg, average.reshape(1, 64).expand(10, 64))


def test_an_encoder_that_answers_with_the_code_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "encoder.pt", random_state(), start_from_latent_avg=False)
    assert not pretrained.load_encoder(path).latent_avg.any()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"encoder_type": "BackboneEncoder"}, "type BackboneEncoder, expected one of GradualStyleEncoder"),
        ({}, {"encoder_type": None}, "type None"),
        ({}, {"average": None}, "without the mean code"),
        ({}, {"average": torch.zeros(9, 64)}, r"latent_avg \[9, 64\] instead of \[10, 64\]"),
        ({"input_layer.0.weight": torch.zeros(16, 6, 3, 3)}, {}, "6 input channels"),
        ({"latlayer2.weight": None}, {}, "without feature pyramid"),
        ({"latlayer2.bias": None}, {}, r"1 missing \(latlayer2.bias\)"),
        ({"body.1.extra": torch.zeros(3)}, {}, r"1 unexpected \(body.1.extra\)"),
        ({"styles.9.linear.bias": torch.full((64,), torch.nan)}, {}, "NaN or infinity"),
        ({"styles.9.linear.weight": torch.zeros(64, 32)}, {}, "1 misshapen"),
        ({"body.0.res_layer.3.weight": torch.zeros(32, 16, 3, 3)}, {}, "3 scales"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(
    tmp_path: Path, change: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    state = {name: value for name, value in (random_state() | change).items() if value is not None}
    path = write(tmp_path / "encoder.pt", state, **options)
    with pytest.raises(WeightsError, match=message) as caught:
        pretrained.load_encoder(path)
    assert "encoder.pt" in str(caught.value) and "\n" not in str(caught.value)


def test_a_generator_alone_is_no_encoder(tmp_path: Path) -> None:
    torch.save({"g_ema": rosinality_state(make())}, tmp_path / "faces.pt")
    with pytest.raises(WeightsError, match=r"faces\.pt contains a generator but no encoder"):
        pretrained.load_encoder(tmp_path / "faces.pt")


def test_the_designs_differ_in_what_their_rows_mean() -> None:
    assert DELTAS == {"GradualStyleEncoder": False, "Encoder4Editing": True}


def test_the_generator_of_the_same_file_draws_what_the_encoder_answers(tmp_path: Path) -> None:
    path = write(tmp_path / "encoder.pt", random_state())
    encoder, generator = read_encoder(path), read_checkpoint(path).generator()
    ws = encoder(torch.zeros(1, 3, 32, 32))
    assert ws.shape == (1, generator.config.num_ws, generator.config.w_dim)
    assert generator.synthesis(ws).shape == (1, 3, 64, 64)


def test_an_encoder_of_ours_is_told_by_its_file() -> None:
    found = pretrained.load_encoder("synthface-128-encoder")
    assert isinstance(found, LatentEncoder) and isinstance(found.config, EncoderConfig)
    with pytest.raises(UnknownNetwork, match=r"did you mean .*synthface-128-encoder"):
        pretrained.load_encoder("synthface-128-encodr")
