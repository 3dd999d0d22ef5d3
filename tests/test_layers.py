"""What the contracts in pyproject.toml cannot say of the package's imports; `make lint` checks those."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

import grimp
import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "latentface"
MOST_FLOORS = 15
#: Folders whose every module has a test file of its own, at the same place below tests/.
MIRRORED = (
    "compositing", "directions", "editing", "emotions", "fusion", "inversion", "latents", "motion", "networks", "ops",
    "retargeting", "runtime", "styles", "synthface", "training",
)  # fmt: skip


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


def test_operations_import_nothing_else_of_the_package() -> None:
    names = set().union(*(imported(path) for path in (PACKAGE / "ops").rglob("*.py")))
    ours = {name for name in names if name.split(".")[0] == "latentface"}
    assert all(name == "latentface.ops" or name.startswith("latentface.ops.") for name in ours)
    assert {name.split(".")[0] for name in names - ours} <= sys.stdlib_module_names | {"filelock", "numpy", "torch"}


def test_no_module_imports_relatively() -> None:
    for path in PACKAGE.rglob("*.py"):
        imported(path)


def defines_something(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in body)


def mirrored(module: Path) -> Path:
    """Where the tests of a module are: a/b/c.py has a/b/test_c.py, and the package a/b has a/b/test_b.py."""
    home = module.relative_to(PACKAGE).parent
    return TESTS / home / f"test_{module.parent.name if module.stem == '__init__' else module.stem.lstrip('_')}.py"


def test_tests_mirror_the_package() -> None:
    modules = [path for folder in MIRRORED for path in sorted((PACKAGE / folder).rglob("*.py"))]
    missing = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules
        if defines_something(path) and not mirrored(path).exists()
    }
    assert not missing, "a module without tests: give it the test file of its name"


def floors(imports: Mapping[str, Set[str]]) -> list[str]:
    """The longest chain of imports, from the top floor down."""
    active: list[str] = []

    @cache
    def below(name: str) -> list[str]:
        assert name not in active, f"a circle of imports: {' -> '.join([*active, name])}"
        active.append(name)
        chain = max((below(each) for each in sorted(imports[name])), key=len, default=[])
        active.pop()
        return [name, *chain]

    return max((below(name) for name in sorted(imports)), key=len)


def test_rooms_stand_on_few_floors() -> None:
    """A room is a folder or a module of the package itself; an import counts wherever in a file it is written."""
    graph = grimp.build_graph("latentface", cache_dir=None)

    def room(module: str) -> str:
        return ".".join(module.split(".")[:2])

    imports: dict[str, set[str]] = {}
    for module in graph.modules:
        other = {room(each) for each in graph.find_modules_directly_imported_by(module)}
        imports.setdefault(room(module), set()).update(other - {room(module)})
    chain = floors(imports)
    assert len(chain) <= MOST_FLOORS, " -> ".join(chain)


def at_import(statements: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is loaded: outside functions, and not for the type checker alone."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_import(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            yield from at_import([*node.body, *getattr(node, "orelse", [])])


def test_loading_a_module_goes_down_few_floors() -> None:
    """Module by module, as they are loaded: what is imported later, inside functions, does not count."""
    graph = grimp.build_graph("latentface", cache_dir=None)
    imports: dict[str, set[str]] = {}
    for name in graph.modules:
        path = PACKAGE.parent / Path(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        found = set[str]()
        for node in at_import(ast.parse(file.read_text(encoding="utf-8")).body):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                whole = [f"{node.module}.{each}" for each in names]
                found |= {each if each in graph.modules else str(node.module) for each in whole}
            else:
                found |= set(names)
        imports[name] = found & graph.modules - {name}
    chain = floors(imports)
    assert len(chain) <= MOST_FLOORS, " -> ".join(chain)


@pytest.mark.parametrize(
    ("imports", "chain"),
    [
        ({"a": set(), "b": {"a"}, "c": {"a"}}, ["b", "a"]),
        ({"a": {"c"}, "b": {"a", "c"}, "c": set()}, ["b", "a", "c"]),
    ],
)
def test_floors_are_the_longest_chain(imports: dict[str, set[str]], chain: list[str]) -> None:
    assert floors(imports) == chain
    with pytest.raises(AssertionError, match="a circle of imports: a -> b -> a"):
        floors({"a": {"b"}, "b": {"a"}})
