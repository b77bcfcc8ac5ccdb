"""Digests of code: what a file does, not how it is written.

What cannot change a result does not change the digest: comments, docstrings, annotations, imports, the order of functions and
the files in which they stand.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

__all__ = ["digest_of_files", "schema_digest"]

# Where a syntax tree says how something is written, not what it does.
_HOW_WRITTEN = {"annotation", "returns", "type_comment", "type_params", "type_ignores", "kind", "ctx", "simple"}
HERE = Path(__file__).parent
# What a catalogue is made from (`becat.schema.build`).
SCHEMA = ("bind.py", "build.py", "grid.py", "selection.py", "tables.py", "view_text.py", "macros.sql", "parameters.toml",
          "catalogues.toml", "kinematic_models.toml", "published.toml")  # fmt: skip


@cache
def schema_digest() -> str:
    """Twelve hexadecimal digits of the schema: tables, views, macros, thresholds and constants."""
    return digest_of_files([*(HERE / name for name in SCHEMA), *(HERE / "views").glob("*.sql")])[:12]


def digest_of_files(files: Iterable[Path]) -> str:
    """SHA-256 of what Python files do, and of what other files hold, wherever they lie.

    Parameters
    ----------
    files : iterable of Path
        Python files count by their statements, in no order; others by their bytes.
    """
    parts = sorted(part for file in files for part in _parts(file))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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
