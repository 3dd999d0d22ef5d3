"""Wavefront meshes and MakeHuman's fitting files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.synthface.wavefront import read_fitting, read_obj


def test_obj_polygons_become_fans(tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\ng body\nf 1/1 2/2 3/3 4/4\n"
    )
    mesh = read_obj(tmp_path / "m.obj")
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.groups == ("body", "body")
    (tmp_path / "empty.obj").write_text("# nothing\n")
    with pytest.raises(InputError, match="no vertices"):
        read_obj(tmp_path / "empty.obj")


def test_fitting_follows_its_base(tmp_path: Path) -> None:
    (tmp_path / "g.mhclo").write_text(
        "name g\nx_scale 0 1 2.0\ny_scale 0 2 4.0\nz_scale 0 3 1.0\nverts 0\nmaterial g.mhmat\n"
        "0 1 2 0.5 0.25 0.25 1 2 3\n2\ndelete_verts\n5 6 7\n"
    )
    base = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 5]], np.float32)
    fitted = read_fitting(tmp_path / "g.mhclo").apply(base)
    # 0.5 * v0 + 0.25 * v1 + 0.25 * v2 + offset * (4 / 2, 4 / 4, 5 / 1); then the vertex that sits on v2
    np.testing.assert_allclose(fitted, [[1 + 2, 1 + 2, 15], [0, 4, 0]], atol=1e-6)
    (tmp_path / "bad.mhclo").write_text("name x\n")
    with pytest.raises(InputError, match="fitting"):
        read_fitting(tmp_path / "bad.mhclo")
