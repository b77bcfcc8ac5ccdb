"""Versions of the stages: a digest of their code and parameters, so that changed code redoes just what depends on it.

What cannot change a result does not change the digest: comments, docstrings, annotations, imports, the order of functions and
the files in which they stand. A change that alters code but no result is declared in ``versions.toml``.
"""

from __future__ import annotations

import ast
import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

__all__ = ["DEPENDS_ON", "RECORD", "code_version", "digest_of_files", "stage_digest"]

RECORD = Path(__file__).with_name("versions.toml")

# What the result of a stage depends on, by room: files, or folders whose Python files count.
DEPENDS_ON = {
    "reduce": (
        "etl/readers",
        "etl/reduce",
        "schema/quality.py",
        "schema/grid.py",
        "schema/lines.csv",
        "schema/lines.py",
        "udfs/bands.py",
    ),
    "release": ("etl/load/release_files.py",),
    "match": ("etl/archives", "etl/match", "schema/catalogues.toml"),
    "kinematics": ("etl/kinematics/velocity.py",),
    "measure": ("udfs", "schema/grid.py", "schema/lines.csv", "schema/lines.py", "schema/telluric_lines.csv"),
    "score": ("models/score.py", "models/window.py", "schema/grid.py", "udfs/bands.py"),
}
# Where a syntax tree says how something is written, not what it does.
_HOW_WRITTEN = {"annotation", "returns", "type_comment", "type_params", "type_ignores", "kind", "ctx", "simple"}


@cache
def stage_digest(stage: str) -> str:
    """SHA-256 of the code and the data files on which the result of a stage depends.

    Parameters
    ----------
    stage : str
        A key of `DEPENDS_ON`.
    """
    return digest_of_files(_files(stage))


def digest_of_files(files: Iterable[Path]) -> str:
    """SHA-256 of what Python files do, and of what other files hold, wherever they lie.

    Parameters
    ----------
    files : iterable of Path
        Python files count by their statements, in no order; others by their bytes.
    """
    parts = sorted(part for file in files for part in _parts(file))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _files(stage: str) -> Iterator[Path]:
    for entry in DEPENDS_ON[stage]:
        room, _, rest = entry.partition("/")
        path = Path(import_module(f"becat.{room}").__path__[0], rest)
        yield from path.rglob("*.py") if path.is_dir() else [path]


def _parts(file: Path) -> Iterator[str]:
    content = file.read_bytes()
    if file.suffix != ".py":
        yield hashlib.sha256(content).hexdigest()
        return
    for statement in ast.parse(content).body:
        if not (_is_import(statement) or _is_text(statement) or _is_list_of_names(statement)):
            yield _dump(statement)


def _is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_text(node: ast.AST) -> bool:
    """A docstring, or another string that stands alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_list_of_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]


def _dump(node: object) -> str:
    """A syntax tree as text that is the same in every version of Python: what is empty is left out, as newer ones do."""
    if isinstance(node, list):
        return "[" + ",".join(_dump(item) for item in node if not (_is_text(item) or _is_import(item))) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _HOW_WRITTEN)
    return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields if value not in (None, []))})"


@cache
def _seed(stage: str) -> str:
    """The digest of the code that first gave the results that the code as it is still gives."""
    digest = stage_digest(stage)
    record = tomllib.loads(RECORD.read_text(encoding="utf-8")).get(stage, {})
    return record["same_as"] if record.get("digest") == digest else digest


def code_version(stage: str, parameters: dict[str, float] | None = None) -> str:
    """Twelve hexadecimal digits that change when the code or the parameters of a stage change.

    Parameters
    ----------
    stage : str
        A key of `DEPENDS_ON`.
    parameters : dict, optional
        Name and value of the selection parameters that the stage reads.
    """
    digest = hashlib.sha256(_seed(stage).encode())
    for name, value in sorted((parameters or {}).items()):
        digest.update(f"{name}={value!r};".encode())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    for name in DEPENDS_ON:
        print(f'[{name}]\ndigest = "{stage_digest(name)}"')
