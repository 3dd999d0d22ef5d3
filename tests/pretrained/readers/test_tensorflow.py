"""What TensorFlow's layout means, computed with scipy from the paper's operations and not from our own conversion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from latentface import pretrained
from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_refusals import refused
from tests.helpers.checkpoint_writers import SMALL, make

Arrays = dict[str, np.ndarray]
BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def correlate(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x [I, H, W] with weight [3, 3, I, O], as tf.nn.conv2d does, zeros around: [O, H, W]."""
    maps = [
        sum(convolve2d(x[i], weight[::-1, ::-1, i, o], mode="same") for i in range(x.shape[0]))
        for o in range(weight.shape[3])
    ]
    return np.stack(maps)


def up_convolve(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Zeros between the pixels, convolution by tf.nn.conv2d with the weight as stored, blur times 4: [O, 2H, 2W].

    This is what the transposed convolution of the TensorFlow code stands for ("upsample, then convolve").
    """
    spread = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
    spread[:, ::2, ::2] = x
    wide = np.pad(spread, ((0, 0), (1, 1), (1, 1)))
    full = np.stack([
        sum(convolve2d(wide[i], weight[::-1, ::-1, i, o], mode="same") for i in range(x.shape[0]))
        for o in range(weight.shape[3])
    ])  # fmt: skip
    # the blur of even length is centred between pixels: one row and column more before than behind
    blurred = np.stack([convolve2d(each, BLUR * 4, mode="full") for each in full])
    return blurred[:, 2 : 2 + spread.shape[1], 2 : 2 + spread.shape[2]]


def layer(x: np.ndarray, w: np.ndarray, arrays: Arrays, name: str, noise: np.ndarray, up: bool = False) -> np.ndarray:
    """A modulated layer of the paper (section 2.2): modulate, demodulate, convolve, add noise and bias, lrelu."""
    style = w @ arrays[f"{name}/mod_weight"] / np.sqrt(len(w)) + arrays[f"{name}/mod_bias"] + 1
    weight = arrays[f"{name}/weight"].astype(float)
    weight = weight / np.sqrt(np.prod(weight.shape[:3])) * style[None, None, :, None]
    weight = weight / np.sqrt((weight**2).sum((0, 1, 2)) + 1e-8)
    y = up_convolve(x, weight) if up else correlate(x, weight)
    y = y + noise[0, 0] * arrays[f"{name}/noise_strength"] + arrays[f"{name}/bias"][:, None, None]
    return np.where(y < 0, 0.2 * y, y) * np.sqrt(2)


def to_rgb(x: np.ndarray, w: np.ndarray, arrays: Arrays, name: str) -> np.ndarray:
    style = w @ arrays[f"{name}/mod_weight"] / np.sqrt(len(w)) + arrays[f"{name}/mod_bias"] + 1
    weight = arrays[f"{name}/weight"][0, 0] * style[:, None] / np.sqrt(x.shape[0])
    return np.einsum("ihw,io->ohw", x, weight) + arrays[f"{name}/bias"][:, None, None]


def upsample(image: np.ndarray) -> np.ndarray:
    spread = np.zeros((image.shape[0], 2 * image.shape[1], 2 * image.shape[2]))
    spread[:, ::2, ::2] = image
    blurred = np.stack([convolve2d(each, BLUR * 4, mode="full") for each in spread])
    return blurred[:, 1 : 1 + spread.shape[1], 1 : 1 + spread.shape[2]]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Random variables in TensorFlow's names and layout, with no symmetry that would hide a flip."""
    source = np.random.default_rng(3)
    config = replace(SMALL, resolution=8)
    shapes = {name: np.shape(v) for name, v in write.tensorflow_variables(make(config).state_dict(), config).items()}
    return {name: source.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_pictures_are_those_of_the_paper_s_operations(tmp_path: Path, arrays: Arrays) -> None:
    (tmp_path / "a.pkl").write_bytes(write.tensorflow_pickle(arrays, {"resolution": 8}, tmp_path / "mark"))
    generator = read_checkpoint(tmp_path / "a.pkl").generator()
    ws = np.random.default_rng(4).standard_normal((4, 8)).astype(np.float32)
    s = {name.removeprefix("synthesis/"): value for name, value in arrays.items() if name.startswith("synthesis/")}
    x = layer(s["4x4/Const/const"][0], ws[0], s, "4x4/Conv", s["noise0"])
    image = to_rgb(x, ws[1], s, "4x4/ToRGB")
    x = layer(x, ws[1], s, "8x8/Conv0_up", s["noise1"], up=True)
    x = layer(x, ws[2], s, "8x8/Conv1", s["noise2"])
    image = upsample(image) + to_rgb(x, ws[3], s, "8x8/ToRGB")
    drawn = generator.synthesis(torch.from_numpy(ws)[None])[0].numpy()
    assert np.abs(drawn - image).max() <= 1e-4 * np.ptp(image)


def test_the_mapping_is_that_of_the_paper(tmp_path: Path, arrays: Arrays) -> None:
    (tmp_path / "a.pkl").write_bytes(write.tensorflow_pickle(arrays, {"resolution": 8}, tmp_path / "mark"))
    generator = read_checkpoint(tmp_path / "a.pkl").generator()
    z = np.random.default_rng(5).standard_normal((3, 8)).astype(np.float32)
    y = z / np.sqrt((z**2).mean(1, keepdims=True) + 1e-8)
    for k in range(SMALL.num_mapping_layers):
        y = y @ arrays[f"mapping/Dense{k}/weight"] * 0.01 / np.sqrt(8) + 0.01 * arrays[f"mapping/Dense{k}/bias"]
        y = np.where(y < 0, 0.2 * y, y) * np.sqrt(2)
    w = generator.mapping(torch.from_numpy(z))[:, 0].numpy()
    np.testing.assert_allclose(w, y, atol=1e-6)
    truncated = generator.mapping(torch.from_numpy(z), truncation_psi=0.5)[:, 0].numpy()
    average = arrays["dlatent_avg"]
    np.testing.assert_allclose(truncated, average + 0.5 * (y - average), atol=1e-6)


def test_merged_names_are_read_too(tmp_path: Path, arrays: Arrays) -> None:
    """Some tools keep the merged view, `G_synthesis/4x4/Const/const`, in one network."""
    merged = [(name if "/" not in name else f"G_{name}", value) for name, value in arrays.items()]
    network = write.Network(version=4, name="Gs", static_kwargs={}, components={}, variables=merged)
    (tmp_path / "a.pkl").write_bytes(write.dumps((network,), write.TF_GLOBALS))
    (tmp_path / "b.pkl").write_bytes(write.tensorflow_pickle(arrays, {}, tmp_path / "mark"))
    first, second = read_checkpoint(tmp_path / "a.pkl"), read_checkpoint(tmp_path / "b.pkl")
    assert first.generator().fingerprint == second.generator().fingerprint


def test_unknown_tensorflow_settings_are_warned_of(tmp_path: Path) -> None:
    content = write.tensorflow(make(), tmp_path / "mark", conditioning=True, fused_modconv=True)
    (tmp_path / "a").write_bytes(content)
    assert read_checkpoint(tmp_path / "a").notes == ("unknown settings, ignored: conditioning",)
    with pytest.warns(UserWarning, match="conditioning"):
        pretrained.load_generator(tmp_path / "a")


@pytest.mark.parametrize("change", [{"nonlinearity": "relu"}, {"normalize_latents": False}, {"fmap_decay": 2.0}])
def test_settings_of_another_arithmetic_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "a").write_bytes(write.tensorflow(make(), tmp_path / "mark", **change))
    refused(tmp_path / "a", next(iter(change)))
