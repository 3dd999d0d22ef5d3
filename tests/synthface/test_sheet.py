"""The contact sheet: samples above, one person through the emotions in each row below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from latentface.io.images import read_image
from latentface.synthface.library import Library
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import EMOTIONS
from latentface.synthface.sheet import contact_sheet, main


def test_tiles_are_samples_and_then_the_emotions_of_two_people(renderer: Renderer) -> None:
    columns, side = len(EMOTIONS), renderer.size
    sheet = contact_sheet(renderer, rows=1, columns=columns, people=1, seed=5)
    assert sheet.shape == (3 * side, columns * side, 3) and sheet.dtype == np.uint8

    def tile(row: int, column: int) -> np.ndarray:
        return sheet[row * side : (row + 1) * side, column * side : (column + 1) * side].astype(int)

    assert np.array_equal(tile(0, 2), renderer.sample(7).image)
    for row in (1, 2):
        calm, surprised = tile(row, EMOTIONS.index("neutral")), tile(row, EMOTIONS.index("surprise"))
        assert 0.5 < np.abs(calm - surprised).mean() < 30  # another expression of the same person in the same light
    assert np.abs(tile(1, 0) - tile(2, 0)).mean() > 5


def test_the_command_line_writes_a_picture(library: Library, tmp_path: Path) -> None:
    library.save(tmp_path / "heads.npz")
    out = tmp_path / "sheet.png"
    result = CliRunner().invoke(main, ["--heads", str(tmp_path / "heads.npz"), "-o", str(out), "--size", "16"])
    assert result.exit_code == 0, result.output
    assert read_image(out).shape == (8 * 16, 14 * 16, 3)
