"""The notebooks run from top to bottom, and are kept with small outputs that came without an error."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.snippets import hurry

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_BYTES = 600_000
#: What a notebook does for good results, and what shows that it runs.
QUICKER = {"for seed in range(120)": "for seed in range(40)"}


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def run_cell(source: str, name: str, space: dict[str, Any]) -> object:
    """The value of the cell's last line where that is an expression, as a notebook shows it."""
    tree = ast.parse(source, filename=name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), space)
    return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), space)  # type: ignore[attr-defined]


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["direction", "edit", "transfer"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs(path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    hurry(monkeypatch)
    space: dict[str, Any] = {}
    for number, cell in enumerate(cells(path)):
        source = "".join(cell["source"])
        for slow, quick in QUICKER.items():
            source = source.replace(slow, quick)
        shown = run_cell(source, f"{path.name}, cell {number}", space)
        assert (shown is not None) == bool(cell["outputs"]), f"cell {number} shows something else than it kept"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_what_a_notebook_keeps_is_small_and_came_without_an_error(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    kinds = {output["output_type"] for cell in cells(path) for output in cell["outputs"]}
    assert kinds <= {"execute_result", "display_data"}
    assert all(cell["execution_count"] == number for number, cell in enumerate(cells(path), 1))
