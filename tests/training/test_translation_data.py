"""Pictures of two kinds from shards, from folders of faces, and from photos of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentface.errors import InputError
from latentface.training.translation_data import find_faces, load_photographs, load_renders, of_equal_weight
from tests.helpers.portrait_folder import person, write_driven, write_folder

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def test_renders_are_shrunk_and_counted(tmp_path: Path) -> None:
    kind = load_renders(write_driven(tmp_path / "renders", 5), 64, 3)
    assert kind.images.shape == (3, 3, 64, 64) and kind.images.dtype == torch.uint8
    means = kind.images.float().mean((1, 2, 3))
    for k in range(3):
        assert abs(float(means[k]) - person(k, 1).mean()) < 0.5
    assert np.allclose(kind.weights, 1 / 3)


def test_held_out_photographs_are_apart(tmp_path: Path) -> None:
    training, held = load_photographs(write_folder(tmp_path / "faces", 14), 128)
    assert (len(training), len(held)) == (12, 2)
    assert torch.equal(held.images[1], torch.from_numpy(person(12, 0).copy()).permute(2, 0, 1))
    assert np.isclose(training.weights.sum(), 1)


def test_samples_repeat_from_their_seed_and_some_are_mirrored() -> None:
    image = torch.arange(3 * 8 * 8, dtype=torch.uint8).reshape(1, 3, 8, 8)
    kind = of_equal_weight(image)
    found = kind.sample(16, np.random.default_rng(0))
    assert torch.equal(found, kind.sample(16, np.random.default_rng(0)))
    plain = image[0].float() / 127.5 - 1
    mirrored = [torch.equal(each, plain.flip(2)) for each in found]
    assert 0 < sum(mirrored) < 16
    assert all(other or torch.equal(each, plain) for each, other in zip(found, mirrored, strict=True))


def test_faces_are_cut_out_and_pictures_without_one_are_named(tmp_path: Path) -> None:
    with Image.open(ASTRONAUT) as picture:
        small = picture.convert("RGB").crop((60, 0, 400, 300))
    for k in range(4):
        small.save(tmp_path / f"face{k}.png")
    Image.new("RGB", (64, 64), (90, 120, 90)).save(tmp_path / "lawn.png")
    told: dict[str, str | None] = {}
    kind = find_faces(tmp_path, 32, lambda path, reason: told.update({path.name: reason}))
    assert kind.images.shape == (4, 3, 32, 32) and torch.equal(kind.images[0], kind.images[3])
    assert len(told) == 5 and "no face" in str(told["lawn.png"]) and told["face0.png"] is None
    (tmp_path / "face0.png").unlink()
    with pytest.raises(InputError, match="3 pictures show a face, expected 4 or more"):
        find_faces(tmp_path, 32)
