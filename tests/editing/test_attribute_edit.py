"""Edits of one face: along which directions, on which rows, into which picture, and what is warned of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentface.directions.scaling import FAR, excess, scaled, w_samples
from latentface.editing.attribute_edit import EXPRESSION, HEAD, Retoucher, shows_drawing, way
from latentface.editing.inverted_face import Face
from latentface.editing.placement import synthesise
from latentface.errors import LatentMismatch, UsageError
from latentface.latents.latent import Direction
from latentface.networks.generator import Generator
from latentface.options.photos import EditOptions


@pytest.fixture
def directions(generator: Generator) -> dict[str, Direction]:
    """`joy`, which moves the expression, and `age`, which does not say what it moves; a deviation long each."""
    source, w = torch.Generator().manual_seed(0), w_samples(generator)
    rows = torch.randn(2, 1, 8, generator=source).expand(2, 6, 8)
    joy = scaled(Direction(rows[0], generator.fingerprint, "joy", {"moves": EXPRESSION}), w)
    return {"joy": joy, "age": scaled(Direction(rows[1], generator.fingerprint, "age"), w)}


def moving(*what: str | None) -> list[Direction]:
    return [Direction(torch.zeros(6, 8), "f", "d", None if each is None else {"moves": each}) for each in what]


@pytest.mark.parametrize(
    ("place", "moves", "expected"),
    [
        ("auto", (EXPRESSION,), "head"), ("auto", (HEAD,), "head"), ("auto", (EXPRESSION, HEAD), "head"),
        ("auto", (None,), "paste"), ("auto", (EXPRESSION, None), "paste"), ("auto", ("hair",), "paste"),
        ("warp", (None,), "warp"), ("paste", (EXPRESSION,), "paste"),
    ],
)  # fmt: skip
def test_what_stays_within_the_face_moves_the_head_and_the_rest_is_pasted(
    place: str, moves: tuple[str | None, ...], expected: str
) -> None:
    assert way(EditOptions(place=place), moving(*moves)) == expected
    assert shows_drawing(EditOptions(place=place), moving(*moves)) == (expected == "paste")


def test_a_crop_always_shows_the_synthesised_face() -> None:
    assert shows_drawing(EditOptions(crop=True), moving(EXPRESSION))


def test_without_a_photo_the_synthesised_face_is_the_result(
    generator: Generator, face: Face, directions: dict[str, Direction]
) -> None:
    made = Retoucher(Face(face.latent), generator, directions).edit({"joy": 1.5, "age": -0.5})
    ws = face.latent.ws + 1.5 * directions["joy"].values - 0.5 * directions["age"].values
    assert torch.allclose(made.latent.ws, ws, atol=1e-6)
    assert np.array_equal(made.image, synthesise(generator, face.latent, made.latent.ws[None])[0])
    assert np.array_equal(made.photo.rgb, made.image)
    assert np.array_equal(made.reference, synthesise(generator, face.latent, face.latent.ws[None])[0])
    assert made.excess == pytest.approx(excess(face.latent, made.latent, w_samples(generator)))


def test_no_change_gives_the_reference_and_the_photo_back(
    generator: Generator, face: Face, directions: dict[str, Direction]
) -> None:
    assert face.photo is not None
    retoucher = Retoucher(face, generator, directions)
    for changes in ({}, {"joy": 0.0}, {"age": 0.0}):  # by the head, by the head, pasted
        made = retoucher.edit(changes)
        assert np.array_equal(made.image, made.reference) and made.excess == 0
        assert np.array_equal(made.photo.rgb, face.photo.rgb)


def test_only_the_rows_that_are_named_move(generator: Generator, face: Face, directions: dict[str, Direction]) -> None:
    made = Retoucher(Face(face.latent), generator, directions, EditOptions(layers="1,3-4")).edit({"age": 2.0})
    moved = (made.latent.ws != face.latent.ws).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 3, 4]


def test_a_crop_is_the_synthesised_face_even_of_a_photo(
    generator: Generator, face: Face, directions: dict[str, Direction]
) -> None:
    made = Retoucher(face, generator, directions, EditOptions(crop=True)).edit({"joy": 2.0})
    assert np.array_equal(made.photo.rgb, made.image) and made.image.shape == (16, 16, 3)


def test_one_retoucher_edits_again_and_again(
    generator: Generator, face: Face, directions: dict[str, Direction]
) -> None:
    retoucher = Retoucher(face, generator, directions)
    first, other, again = (retoucher.edit({name: 2.0}).photo.rgb for name in ("joy", "age", "joy"))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_edits_that_lead_out_of_the_network_are_told_of(
    generator: Generator, face: Face, directions: dict[str, Direction]
) -> None:
    notes: list[str] = []
    retoucher = Retoucher(Face(face.latent), generator, directions, note=notes.append)
    assert retoucher.edit({"joy": 0.5}).excess < FAR and not notes
    far = retoucher.edit({"joy": 40.0})
    assert far.excess > FAR
    assert notes[0].startswith(f"joy 40: the face lies {far.excess:.1f} standard deviations") and len(notes) == 1


def test_directions_that_do_not_fit_are_refused(
    generator: Generator, face: Face, directions: dict[str, Direction]
) -> None:
    retoucher = Retoucher(face, generator, directions)
    with pytest.raises(UsageError, match="did you mean joy"):
        retoucher.edit({"joys": 1.0})
    foreign = {"joy": replace(directions["joy"], fingerprint="another")}
    with pytest.raises(LatentMismatch):
        Retoucher(face, generator, foreign).edit({"joy": 1.0})
    with pytest.raises(UsageError, match="rows 0 to 5"):
        Retoucher(face, generator, directions, EditOptions(layers="9"))
