"""What the contracts in pyproject.toml cannot say of the package's imports; `make lint` checks those."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "latentface"


def imported(path: Path) -> set[str]:
    """Names of modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: write the full name"
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_the_package_itself_imports_its_version_alone_at_run_time() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    statements = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in statements}
    assert names == {"__future__", "importlib", "typing", "latentface._version"}


def test_operations_import_torch_and_the_standard_library_only() -> None:
    names = set().union(*(imported(path) for path in (PACKAGE / "ops").rglob("*.py")))
    ours = {name for name in names if name.split(".")[0] == "latentface"}
    assert all(name == "latentface.ops" or name.startswith("latentface.ops.") for name in ours)
    assert {name.split(".")[0] for name in names - ours} <= sys.stdlib_module_names | {"torch"}


def test_no_module_imports_relatively() -> None:
    for path in PACKAGE.rglob("*.py"):
        imported(path)
