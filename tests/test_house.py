"""The rooms of the house: who may import whom, no circles, and no name of the time before they stood inside `becat`."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Each room and those that it may import, as docs/architecture.md draws them.
MAY_IMPORT = {
    "schema": set(),
    "udfs": {"schema"},
    "simulate": {"schema"},
    "models": {"simulate", "udfs", "schema"},
    "etl": {"models", "udfs", "simulate", "schema"},
    "publish": {"models", "udfs", "simulate", "schema"},
    "becat": {"publish", "etl", "models", "udfs", "simulate", "schema"},
}
FILES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in (() if parts[0] == "becat" else ("becat",)) + parts if part != "__init__")


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """Modules of becat that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module or "" for name in names}
    return {name for name in found if name.split(".")[0] in (*MAY_IMPORT,)}


def room_of(module: str) -> str:
    second = (*module.split("."), "")[1]
    return second if second in MAY_IMPORT else "becat"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room):
    found = {
        f"{module}: {name}"
        for module, path in MODULES.items()
        if room_of(module) == room
        for name in imported(path)
        if room_of(name) not in {room, *MAY_IMPORT[room]}
    }
    assert not found


def test_there_is_no_circle_of_imports():
    graph = {module: imported(path) & MODULES.keys() - {module} for module, path in MODULES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_nothing_imports_a_room_that_is_not_inside_becat():
    for path in [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        bare = {name.split(".")[0] for name in imported(path)} - {"becat"}
        assert not bare, f"{path}: {bare}"


def test_benchmarks_take_only_shared_tools_from_the_tests():
    for path in (ROOT / "benchmarks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests":
                assert (node.module or "").startswith("tests.tools"), path
