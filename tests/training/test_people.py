"""People for the recipe of the identity embedding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.training.people import load_people, same_picture
from tests.helpers.portrait_folder import write_driven, write_folder


def test_people_with_several_photographs_are_held_out_with_all_their_pictures(tmp_path: Path) -> None:
    faces, driven = write_folder(tmp_path / "faces", 8), write_driven(tmp_path / "driven", 8)
    with pytest.raises(InputError, match="nobody has several"):
        load_people(faces, driven)
    rows = [json.loads(line) for line in (faces / "faces.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["person"] = f"p{number // 2}"  # the first of four is held out
    (faces / "faces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    learnt, held = load_people(faces, driven)
    assert held.labels["person"].tolist() == [0, 0] and len(learnt) == 6 + 6
    assert learnt.labels["person"].tolist() == [1, 1, 2, 2, 3, 3] * 2
    with pytest.raises(InputError, match="no picture shows a person"):
        load_people(faces, write_driven(tmp_path / "held", 2))


def test_one_photograph_is_known_in_other_colours() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.rand(3, 8, 8, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2) for _ in "ab"
    )
    pictures = (torch.stack([first, 0.7 * first + 0.1, second]) * 255).to(torch.uint8)
    assert same_picture(pictures).tolist() == np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool).tolist()
