"""Versions of the stages: a digest of their code and parameters, so that changed code redoes just what depends on it.

What cannot change a result does not change the digest (`becat.schema.digest`). A change that alters code but no result is
declared in ``versions.toml``.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from becat.schema.digest import digest_of_files

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
    "match": ("etl/archives", "etl/archives/sources.toml", "etl/match", "schema/catalogues.toml"),
    "kinematics": ("etl/kinematics/velocity.py",),
    "light-curve": ("etl/light_curves",),
    "measure": (
        "udfs",
        "udfs/velocity/blue_templates.csv",
        "schema/grid.py",
        "schema/lines.csv",
        "schema/lines.py",
        "schema/telluric_lines.csv",
    ),
    "periods": ("etl/periods",),
    "score": ("models/score.py", "models/classifiers.py", "models/window.py", "schema/grid.py", "udfs/bands.py"),
}


@cache
def stage_digest(stage: str) -> str:
    """SHA-256 of the code and the data files on which the result of a stage depends.

    Parameters
    ----------
    stage : str
        A key of `DEPENDS_ON`.
    """
    return digest_of_files(_files(stage))


def _files(stage: str) -> Iterator[Path]:
    for entry in DEPENDS_ON[stage]:
        room, _, rest = entry.partition("/")
        path = Path(import_module(f"becat.{room}").__path__[0], rest)
        yield from path.rglob("*.py") if path.is_dir() else [path]


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
