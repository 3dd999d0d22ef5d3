"""The head library: one file with all that the renderer needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentface.synthface.library import Library, load_library


def test_library_round_trip(library: Library, tmp_path: Path) -> None:
    library.save(tmp_path / "heads.npz")
    again = load_library(tmp_path / "heads.npz")
    assert again.sizes == library.sizes == {"hair": 1, "brow": 0, "lash": 0, "glasses": 0, "beard": 0, "skin": 1}
    assert again.head.expression_names == library.head.expression_names
    np.testing.assert_array_equal(again.wardrobe.garments[0].rest, library.wardrobe.garments[0].rest)
    np.testing.assert_allclose(again.visibility, library.visibility, atol=2e-3)
