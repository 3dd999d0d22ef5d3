"""The head library built from a head and MakeHuman's assets: everything is in it, and in the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentface.synthface import accessories, bake, build, wardrobe
from latentface.synthface.accessories import BEARDS, GLASSES
from latentface.synthface.bake import harmonics
from latentface.synthface.head import HeadModel, vertex_normals
from latentface.synthface.library import Library, load_library


@pytest.fixture(scope="module")
def built(long_head: HeadModel, makehuman: Path) -> Library:
    """With an atlas of a sixteenth of the texels, each of which costs time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (bake, wardrobe, accessories):
            patch.setattr(module, "ATLAS_SIZE", (128, 256))
        return build.build_library(long_head, makehuman)


def test_the_library_holds_everything_a_scene_can_choose(built: Library) -> None:
    assert built.sizes == {"hair": 1, "brow": 0, "lash": 0, "glasses": len(GLASSES), "beard": len(BEARDS), "skin": 1}
    assert built.wardrobe.skin_names == ("halves",)
    assert len(built.wardrobe.of_kind("torso")) == 1
    assert built.visibility.shape == (len(built.head.vertices), 9)


def test_the_crown_sees_more_of_the_sky_than_the_teeth(built: Library) -> None:
    head = built.head
    seen = (built.visibility * harmonics(vertex_normals(head, head.vertices))).sum(1)
    crown = head.vertices[:, 1] > head.vertices[:, 1].max() - 1
    teeth = np.unique(head.triangles_of("M_Teeth"))
    assert seen[crown].mean() > 0.8 > 0.5 > seen[teeth].mean()


def test_the_command_line_reads_the_head_and_writes_the_library(
    built: Library, long_head: HeadModel, makehuman: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(build, "build_library", lambda *these: given.append(these) or built)
    arrays = {f.name: np.asarray(getattr(long_head, f.name)) for f in dataclasses.fields(HeadModel)}
    np.savez(tmp_path / "head.npz", **arrays)
    out = tmp_path / "heads.npz"
    words = ["--head", str(tmp_path / "head.npz"), "--makehuman", str(makehuman), "-o", str(out)]
    result = CliRunner().invoke(build.main, words)
    assert result.exit_code == 0, result.output
    ((head, folder),) = given
    assert np.array_equal(head.vertices, long_head.vertices) and folder == makehuman
    assert f"{len(built.head.vertices)} vertices" in result.output
    assert load_library(out).sizes == built.sizes
