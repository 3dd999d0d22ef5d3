"""Directions and expressions from driven people whose codes are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.emotion import Emotion
from latentface.networks.generator import Generator
from latentface.options.projection import DirectionOptions
from latentface.pretrained.directions import read_directions, write_directions
from latentface.training import portrait_directions as recipe
from tests.helpers.portrait_folder import places, write_driven
from tests.helpers.tiny_portraits import TINY, start

NAMES = (
    "jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUpLeft",
    "browOuterUpLeft", "browDownLeft", "browDownRight", "eyeLookOutLeft", "eyeLookInRight", "eyeLookUpLeft",
)  # fmt: skip
COUNT = 600


@pytest.fixture(scope="module")
def codes() -> recipe.DrivenCodes:
    """Codes that are a linear map of what is known, and of the person."""
    rng = np.random.default_rng(0)
    kinds = rng.choice([*(emotion.value for emotion in Emotion), "speech"], COUNT)
    expression = rng.random((COUNT, len(NAMES))) * (rng.random((COUNT, len(NAMES))) < 0.5)
    expression[kinds == "happiness", 1:3] += 1.0
    others = {name: rng.normal(size=COUNT) for name in (*recipe.CONTROLS, "light 0")}
    known = np.concatenate([expression, np.stack(list(others.values()), 1)], 1)
    way = rng.normal(size=(known.shape[1], 16))
    w = 0.3 * known @ way + 0.05 * rng.normal(size=(COUNT, 16))
    ws = torch.from_numpy(w).float()[:, None].expand(-1, 12, -1).contiguous()
    return recipe.DrivenCodes(ws, kinds, expression, NAMES, others)


def test_each_direction_moves_what_it_is_named_after(codes: recipe.DrivenCodes) -> None:
    generator = Generator(TINY, seed=0)
    found = {each.name: each for each in recipe.learn(codes, generator, DirectionOptions(folds=2))}
    emotions = {emotion.value for emotion in Emotion} - {"neutral"}
    assert set(found) == emotions | set(recipe.SHAPES) | set(recipe.CONTROLS)
    flat = codes.ws[:, 0].double().numpy()
    design = np.concatenate([codes.expression, np.stack(list(codes.others.values()), 1), np.ones((COUNT, 1))], 1)
    way = np.linalg.lstsq(design, flat, rcond=None)[0]  # what each number moves

    def alignment(direction: str, of: list[int]) -> float:
        moved, true = found[direction].values[0].double().numpy(), way[of].sum(0)
        return float(moved @ true / np.linalg.norm(moved) / np.linalg.norm(true))

    assert alignment("smile", [1, 2]) > 0.95 and alignment("mouth-open", [0]) > 0.95
    assert alignment("yaw", [len(NAMES) + list(codes.others).index("yaw")]) > 0.95
    assert alignment("happiness", [1, 2]) > 0.9
    assert found["yaw"].metadata is not None and found["yaw"].metadata["moves"] == "head"
    assert bool((found["skin-light"].values[-1] != 0).any()) and not bool(found["smile"].values[-1].any())


def test_the_subspace_reads_expressions_and_no_turn(codes: recipe.DrivenCodes) -> None:
    space = recipe.learn_expressions(codes, "0" * 64)
    assert space.basis.shape == (len(NAMES), 12, 16)
    smiling, turned = (int(np.argmax(values)) for values in (codes.expression[:, 1], codes.others["yaw"]))
    calm = int(np.argmin(codes.expression.sum(1)))
    assert float(space.read(codes.ws[smiling] - codes.ws[calm]).norm()) > 0.1
    assert turned != smiling


def test_pictures_become_codes_with_all_that_is_known(tmp_path: Path) -> None:
    folder = write_driven(tmp_path / "driven", 5)
    encoder = start().encoder.requires_grad_(False).eval()
    codes = recipe.load_codes(folder, encoder)
    assert codes.ws.shape == (5, 12, 16) and codes.kinds.tolist() == ["happiness"] * 5
    assert codes.others["yaw"].tolist() == [20.0] * 5 and codes.others["gaze-right"].tolist() == [0.0] * 5
    assert codes.expression[:, 1].tolist() == [1.0] * 5


def test_lightness_is_that_of_cheeks_and_of_what_is_above_the_brows() -> None:
    image = np.full((128, 128, 3), 40, np.uint8)
    points = places().astype(np.float32)
    image[int(points[27, 1]) :] = 200
    skin, hair = recipe.lightness(image, points)
    assert skin == pytest.approx(200 / 255) and hair == pytest.approx(40 / 255)


def test_they_are_written_and_read(codes: recipe.DrivenCodes, tmp_path: Path) -> None:
    found = recipe.learn(codes, Generator(TINY, seed=0), DirectionOptions(folds=2))
    write_directions(tmp_path / "d.safetensors", found)
    assert sorted(read_directions(tmp_path / "d.safetensors")) == [each.name for each in found]
