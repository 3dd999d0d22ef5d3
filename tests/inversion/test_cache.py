"""Remembered projections: found again by content alone, never in the place of another, never in the way of a run."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api
from latentface.editing.inverted_face import FaceFinder
from latentface.errors import InputError
from latentface.faces.crop import FaceCrop
from latentface.inversion import cache as projections
from latentface.inversion.cache import ProjectionCache
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator
from latentface.options.projection import ProjectOptions
from latentface.pretrained.native import write_network
from tests.helpers.cli_desk import Desk, draw_photo

QUICK = ProjectOptions(steps=2)
LATENT = Latent(torch.ones(6, 8), "f")


@pytest.fixture
def generator(desk: Desk) -> Generator:
    return api.load_generator(desk.network)


@pytest.fixture
def crop(generator: Generator, desk: Desk) -> FaceCrop:
    return api.align(draw_photo(), generator.config.resolution)[0]


class TestKeys:
    def test_everything_counts(self, crop: FaceCrop, monkeypatch: pytest.MonkeyPatch) -> None:
        def key(
            of: FaceCrop = crop, fingerprint: str = "a", content: dict[str, str] | None = None, **more: object
        ) -> str:
            return ProjectionCache.key(of, fingerprint, ProjectOptions(**more), content or {})

        found = {
            key(), key(fingerprint="b"), key(steps=9), key(tune_steps=1), key(content={"start": "1"}),
            key(content={"start": "2"}), key(replace(crop, image=crop.image + 1)),
            key(replace(crop, landmarks=crop.landmarks + 1)),
        }  # fmt: skip
        monkeypatch.setattr(projections, "FORMAT", projections.FORMAT + 1)
        found.add(key())
        assert len(found) == 9

    def test_a_file_counts_by_its_content(self, crop: FaceCrop, generator: Generator, tmp_path: Path) -> None:
        one, two = tmp_path / "one.latent.safetensors", tmp_path / "two.latent.safetensors"

        def key() -> str:
            return api.projection_key(crop, generator, ProjectOptions(start=str(one)))

        start = Latent(torch.zeros(6, 8), generator.fingerprint)
        start.save(one)
        start.save(two)
        first = key()
        assert api.projection_key(crop, generator, ProjectOptions(start=str(two))) == first
        replace(start, ws=start.ws + 1).save(one)
        assert key() != first
        one.unlink()
        with pytest.raises(InputError, match=r"one\.latent\.safetensors"):
            key()

    def test_a_preconditioner_counts_by_its_content(self, crop: FaceCrop, generator: Generator, tmp_path: Path) -> None:
        path = tmp_path / "p.safetensors"

        def key(shares: float) -> str:
            state = {
                "directions": torch.eye(48)[:2].view(2, 6, 8), "shares": torch.full((2,), shares),
                "deviations": torch.ones(8),
            }  # fmt: skip
            write_network(path, "preconditioner", {"fingerprint": generator.fingerprint}, state)
            return api.projection_key(crop, generator, ProjectOptions(preconditioner=str(path)))

        assert key(0.5) == key(0.5) != key(0.25)

    def test_the_built_in_networks_count(
        self, crop: FaceCrop, generator: Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = api.projection_key(crop, generator, QUICK)
        monkeypatch.setattr("latentface.hub.BUILTIN", ())
        assert api.projection_key(crop, generator, QUICK) != before

    def test_what_files_are_options_is_known(self) -> None:
        """A new option that is text must either be a choice, or be told by content in `projection_key`."""
        free = {f.name for f in fields(ProjectOptions) if isinstance(f.default, str) and not f.metadata["choices"]}
        assert free == {"start", "preconditioner"}


def test_other_content_under_the_same_path_is_projected_anew(generator: Generator, desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "start.latent.safetensors"
    finder = FaceFinder(generator, ProjectOptions(steps=1, start=str(path)), cache=ProjectionCache(tmp_path / "kept"))
    found = []
    for value in (0.0, 0.0, 2.0):
        Latent(torch.full((6, 8), value), generator.fingerprint).save(path)
        found.append(finder.face(draw_photo()))
    assert [face.cached for face in found] == [False, True, False]
    assert found[0].latent == found[1].latent
    assert float((found[2].latent.ws - found[0].latent.ws).abs().min()) > 0.5


def test_damage_and_folders_that_take_nothing(tmp_path: Path) -> None:
    cache = ProjectionCache(tmp_path / "kept")
    tuned = TunedDeltas({"synthesis.b4.const": torch.ones(2)}, "f")
    assert cache.get("k", "f") is None and cache.get_tuned("k", "f") is None
    cache.put("k", LATENT, tuned)
    assert cache.get("k", "f") == LATENT
    kept = cache.get_tuned("k", "f")
    assert kept is not None and torch.equal(kept.values["synthesis.b4.const"], torch.ones(2))
    assert cache.get("k", "another") is None and cache.get_tuned("k", "another") is None
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(b"broken")
    assert cache.get("k", "f") is None and cache.get_tuned("k", "f") is None
    (tmp_path / "file").write_text("")
    ProjectionCache(tmp_path / "file" / "below").put("k", LATENT)
    assert (tmp_path / "file").read_text() == ""


def test_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    cache = ProjectionCache(folder)
    cache.put("size", LATENT)
    (first,) = folder.iterdir()
    size = first.stat().st_size
    first.unlink()
    monkeypatch.setattr(projections, "MOST_BYTES", 2 * size)
    for age, key in enumerate(("a", "b")):
        cache.put(key, LATENT)
        os.utime(folder / f"{key}.latent.safetensors", (1000 + age, 1000 + age))
    assert cache.get("a", "f") == LATENT  # used now, so that b is the oldest
    cache.put("c", LATENT)
    assert sorted(path.name.split(".")[0] for path in folder.iterdir()) == ["a", "c"]


def test_pixels_of_the_crop_count_by_value(crop: FaceCrop) -> None:
    same = replace(crop, image=np.asfortranarray(crop.image))
    assert ProjectionCache.key(crop, "a", QUICK, {}) == ProjectionCache.key(same, "a", QUICK, {})
