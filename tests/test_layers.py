"""Which module may import which: the architecture, enforced by reading every import statement."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "latentface"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
VALUES = {"images", "latent", "face", "emotion", "clip", "files", "options", "tensorfile", "subspace",
          "preconditioner"}  # fmt: skip
ALGORITHMS = {
    "alignment", "driving", "camera", "headpose", "overlay", "inversion", "projector", "tuning", "fuser", "directions",
    "sequencer", "animator", "compositor", "forecasting", "recognition", "smoothing", "tracking", "journal",
    "video", "decoding", "encoding", "disclosure", "blending", "masking", "warping", "metrics", "expression",
    "appraisal", "selection", "projections", "expression_map", "stylespace", "steering", "precision", "schedule",
    "displacement", "relief", "surroundings",
}  # fmt: skip
VERBS = {"api", "loading"}
EDITORS = {"editor", "finder", "transferrer", "performer", "retoucher", "labelling"}
MEMBERS = {"values": VALUES, "algorithms": ALGORITHMS, "api": VERBS, "editor": EDITORS}
LOW = {"errors", "values"}
ALLOWED = {
    "errors": set(),
    "values": LOW,
    "ops": {"ops"},
    "networks": LOW | {"ops", "networks"},
    "algorithms": LOW | {"ops", "networks", "algorithms"},
    "pretrained": LOW | {"ops", "networks", "pretrained"},
    "api": LOW | {"ops", "networks", "algorithms", "pretrained", "api"},
    "synthface": LOW | {"ops", "networks", "algorithms", "pretrained", "api", "synthface"},
    "training": LOW | {"ops", "networks", "algorithms", "pretrained", "api", "synthface", "training"},
    "editor": LOW | {"ops", "networks", "algorithms", "pretrained", "api", "editor"},
    "cli": LOW | {"ops", "networks", "algorithms", "pretrained", "api", "editor", "synthface", "training", "cli"},
    "__main__": {"cli"},
    "": set(),
}


def layer(module: str) -> str:
    """The layer of `latentface.x.y`; the package itself is the layer ''."""
    name = module.split(".")[1] if "." in module else ""
    return next((layer for layer, names in MEMBERS.items() if name in names), name)


def imports(path: Path, module: str) -> list[tuple[int, str]]:
    """(line, absolute module) of every import of our own in a file, wherever in the file it stands."""
    return own_imports(path.read_text(encoding="utf-8"), module)


def own_imports(source: str, module: str) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively: write the full name"
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.append((node.lineno, full if full in MODULES else base))
    return [(line, name) for line, name in found if name.split(".")[0] == "latentface"]


def violations(source: str, module: str) -> list[str]:
    allowed = ALLOWED[layer(module)]
    return [
        f"{module}:{line} imports {name}"
        for line, name in own_imports(source, module)
        if layer(name) and layer(name) not in allowed
    ]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"latentface"}))
def test_module_imports_only_what_its_layer_may(module: str) -> None:
    assert layer(module) in ALLOWED, f"{module} belongs to no layer: name one in this test"
    assert violations(MODULES[module].read_text(encoding="utf-8"), module) == []


def test_package_itself_imports_nothing_of_ours_at_run_time() -> None:
    tree = ast.parse(MODULES["latentface"].read_text(encoding="utf-8"))
    statements = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in statements]
    assert set(names) == {"__future__", "importlib", "typing"}


def test_operations_import_torch_and_the_standard_library_only() -> None:
    roots = set()
    for module, path in MODULES.items():
        if layer(module) == "ops":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    roots.add((node.module or "").split(".")[0])
                elif isinstance(node, ast.Import):
                    roots |= {alias.name.split(".")[0] for alias in node.names}
    assert roots <= sys.stdlib_module_names | {"torch", "latentface"}


def test_the_rule_catches_a_forbidden_import() -> None:
    source = "from latentface import pretrained\nfrom latentface.networks import layers\nimport latentface.cli\n"
    assert violations(source, "latentface.projector") == [
        "latentface.projector:1 imports latentface.pretrained",
        "latentface.projector:3 imports latentface.cli",
    ]
    assert violations("from latentface.errors import InputError\n", "latentface.ops.filtering") != []
