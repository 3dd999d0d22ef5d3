"""Casts of rendered people: the same moments for everybody, a person's own look in all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentface.synthface import casts
from latentface.synthface.library import Library
from latentface.synthface.renderer import Renderer
from latentface.training.retargeting_data import load_rendered
from tests.helpers.tiny_head import tiny_library


@pytest.fixture(scope="module")
def library() -> Library:
    return tiny_library()


def test_everybody_shows_the_shared_moments(library: Library, tmp_path: Path) -> None:
    renderer = Renderer(library, size=32)
    paths = casts.render_cast(renderer, tmp_path, people=2, own=4, shared=2, first=4, seed=2)
    assert [path.name for path in paths] == ["person-00004.npz", "person-00005.npz"]
    first, second = (np.load(path) for path in paths)
    assert np.array_equal(first["coefficients"][:2], second["coefficients"][:2])
    assert np.array_equal(first["view"][:2], second["view"][:2])
    same = (first["view"] == second["view"]).all(1)
    assert same[2:].tolist() == [True, True, True, False]  # the last one is shown together with others
    cast = load_rendered(tmp_path)
    assert cast.moment.tolist() == [0, 1, -1, -1, -1, -1] * 2
    before = paths[0].read_bytes()
    paths[1].unlink()
    casts.render_cast(renderer, tmp_path, people=2, own=4, shared=2, first=4, seed=2)
    assert paths[0].read_bytes() == before and paths[1].exists()


def test_a_moment_changes_what_a_person_does_and_nothing_else(library: Library) -> None:
    renderer = Renderer(library, size=16)
    person = casts.person_scene(renderer, 1)
    now = casts.with_moment(person, (0, 3))
    assert now.expression == casts.with_moment(casts.person_scene(renderer, 2), (0, 3)).expression
    assert now.expression != person.expression
    assert (now.skin, now.lights, now.noise <= casts.NOISE) == (person.skin, person.lights, True)
    assert np.abs([now.yaw, now.pitch, now.roll, *now.gaze]).max() <= casts.MOST * casts.TURN.max()


def test_the_command_line_writes_a_cast(library: Library, tmp_path: Path) -> None:
    library.save(tmp_path / "heads.npz")
    words = ["--heads", str(tmp_path / "heads.npz"), "-o", str(tmp_path / "cast"), "--people", "1", "--own", "1"]
    result = CliRunner().invoke(casts.main, [*words, "--shared", "1", "--size", "16"])
    assert result.exit_code == 0, result.output
    assert load_rendered(tmp_path / "cast").images.shape == (2, 3, 16, 16)
