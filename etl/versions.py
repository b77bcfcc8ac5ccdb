"""Versions of the stages: a hash of their code and parameters, so that changed code redoes just what depends on it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["code_version"]

ROOT = Path(__file__).resolve().parent.parent

# What the result of a stage depends on: files, or folders whose Python files count.
DEPENDS_ON = {
    "reduce": ("etl/readers", "etl/reduce", "etl/quality.py", "schema/grid.py", "schema/lines.csv", "schema/lines.py"),
    "release": ("etl/release_catalogues.py",),
    "match": ("etl/archives", "etl/match", "etl/clusters.py", "etl/spectral_types.py", "schema/catalogues.toml"),
    "kinematics": ("etl/kinematics.py",),
    "measure": ("udfs", "schema/grid.py", "schema/lines.csv", "schema/lines.py"),
}


@cache
def _code_hash(stage: str) -> str:
    digest = hashlib.sha256()
    for entry in DEPENDS_ON[stage]:
        path = ROOT / entry
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(ROOT).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def code_version(stage: str, parameters: dict[str, float] | None = None) -> str:
    """Twelve hexadecimal digits that change when the code or the parameters of a stage change.

    Parameters
    ----------
    stage : str
        A key of `DEPENDS_ON`.
    parameters : dict, optional
        Name and value of the selection parameters that the stage reads.
    """
    digest = hashlib.sha256(_code_hash(stage).encode())
    for name, value in sorted((parameters or {}).items()):
        digest.update(f"{name}={value!r};".encode())
    return digest.hexdigest()[:12]
