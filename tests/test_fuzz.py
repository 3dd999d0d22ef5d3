"""Damaged latents, directions, settings and weights: one of our errors that names the file, or a value; nothing else.

`make fuzz` runs the same for long. Pictures and clips are in `tests/io/test_fuzz.py`.
"""

from __future__ import annotations

import functools
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from latentface import hub
from latentface.cli.directions import read_array
from latentface.cli.outputs import read_made
from latentface.cli.presets import load_preset
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.errors import LatentfaceError
from latentface.head.coefficients import parse_coefficients
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.latents.latent import Direction, Latent
from latentface.pretrained import read_expressions, read_preconditioner
from latentface.pretrained.directions import read_directions, write_directions
from latentface.pretrained.encoders import read_encoder
from latentface.pretrained.native import read_network, write_network
from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as writers
from tests.helpers.damage import LONG_OR_SHORT, ODD, bounded, damaged, damaged_json
from tests.helpers.head_picture import model, picture

PRESET = b'[set]\nhappiness = 2.0\n"odd name" = -1\n'


def written(save: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save(path)
        return path.read_bytes()


@functools.cache
def tensors() -> tuple[bytes, ...]:
    """A latent with noise, tuned weights, a file of directions and a network."""
    ws = torch.linspace(-1, 1, 48).reshape(6, 8)
    latent = Latent(ws, "f" * 64, (torch.zeros(4, 4), torch.ones(8, 8)), {"face": "1", "options": "{}"})
    direction = Direction(ws, "f" * 64, "happiness", {"moves": "expression"})
    return (
        written(latent.save),
        written(TunedDeltas({"synthesis.a": ws}, "f" * 64).save),
        written(lambda path: write_directions(path, [direction])),
        written(lambda path: write_network(path, "generator", {"resolution": 16}, {"a": ws})),
    )


@functools.cache
def weights() -> tuple[bytes, ...]:
    """A small generator in every published format, and an encoder."""
    generator, mark = writers.make(), Path("/nonexistent/mark")
    state = {name: value.clone() for name, value in generator.state_dict().items()}
    return (
        writers.ada(generator, mark), writers.tensorflow(generator, mark), writers.rosinality(generator),
        writers.rosinality(generator, legacy=True), writers.safetensors_bytes(generator), writers.psp(generator),
        writers.torch_bytes(state),
    )  # fmt: skip


@functools.cache
def arrays() -> tuple[bytes, ...]:
    files = []
    for save in (np.save, lambda file, value: np.savez(file, a=value)):
        file = io.BytesIO()
        save(file, np.ones((6, 8), np.float32))
        files.append(file.getvalue())
    return (*files, writers.torch_bytes({"a": torch.ones(6, 8)}), writers.torch_bytes(torch.ones(6, 8), legacy=True))


@functools.cache
def head() -> Any:
    points = picture().before[model().landmarks, :2].astype(np.float64)
    return json.loads(fit_head(model(), points).to_json())


def sequence() -> Any:
    return json.loads(EmotionSequence((EmotionSegment(Emotion.of("happiness"), 1.5, 2.0),) * 2).to_json())


def check(content: bytes, name: str, read: Callable[[Path], object]) -> None:
    """Reading gives a value or one of our errors, in one line that names the file, within bounds."""
    with tempfile.TemporaryDirectory() as folder, bounded():
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            read(path)
        except LatentfaceError as error:
            assert str(path) in str(error) and "\n" not in str(error) and len(str(error)) < 2000
        assert [each.name for each in Path(folder).iterdir()] == [name]


TENSOR_READERS = (
    Latent.load, TunedDeltas.load, read_directions, read_network, read_checkpoint, read_made, hub.load_latent,
    read_expressions, read_preconditioner,
)  # fmt: skip


@LONG_OR_SHORT
@given(damaged(tensors()))
def test_damaged_latents_and_directions(content: bytes) -> None:
    for read in TENSOR_READERS:
        check(content, "a.safetensors", read)


@pytest.mark.filterwarnings("ignore")
@LONG_OR_SHORT
@given(damaged(weights()))
def test_damaged_weights(content: bytes) -> None:
    check(content, "a.pt", read_checkpoint)
    check(content, "a.pt", read_encoder)


@pytest.mark.filterwarnings("ignore")
@LONG_OR_SHORT
@given(damaged(arrays()))
def test_damaged_arrays(content: bytes) -> None:
    check(content, "a.npy", read_array)
    check(content, "a.pt", read_array)


@LONG_OR_SHORT
@given(damaged_json(sequence()))
def test_odd_sequences(content: bytes) -> None:
    check(content, "a.json", EmotionSequence.load)


def test_every_odd_value_in_every_place() -> None:
    for odd in ODD:
        for key in ("emotion", "strength", "duration", "other"):
            content = sequence()
            content["segments"][1][key] = odd
            check(json.dumps(content).encode(), "a.json", EmotionSequence.load)
    for odd in ("1" + "0" * 400, "nan", "inf", "true", '"2"', "[" * 50_000, "1979-05-27", "1" * 5000):
        check(f"[set]\nhappiness = {odd}\n".encode(), "a.toml", load_preset)


@LONG_OR_SHORT
@given(damaged((json.dumps(sequence()).encode(), PRESET)))
def test_damaged_text(content: bytes) -> None:
    check(content, "a.json", EmotionSequence.load)
    check(content, "a.toml", load_preset)


@LONG_OR_SHORT
@given(damaged_json(head()))
def test_odd_heads(content: bytes) -> None:
    with bounded():
        for read in (HeadFit.from_json, lambda text: parse_coefficients(text, model().expression_names)):
            try:
                read(content.decode())
            except LatentfaceError as error:
                assert "\n" not in str(error) and len(str(error)) < 1000


def test_all_is_sound_before(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(tensors()[0])
    assert Latent.load(tmp_path / "a.safetensors").ws.shape == (6, 8)
    (tmp_path / "a.toml").write_bytes(PRESET)
    assert load_preset(tmp_path / "a.toml") == {"happiness": 2.0, "odd name": -1.0}
    assert HeadFit.from_json(json.dumps(head())).scale > 0
    for k, content in enumerate(weights()[:5]):
        (tmp_path / str(k)).write_bytes(content)
        assert read_checkpoint(tmp_path / str(k)).config.resolution == 16
