"""Distributions of the simulator: read from distributions.toml, drawn in whole arrays."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["distributions", "draw", "interpolate", "line_list"]

_FOLDER = Path(__file__).parent


@cache
def distributions(name: str = "distributions.toml") -> dict[str, Any]:
    """Contents of simulate/distributions.toml, or of another file of that form beside it."""
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


@cache
def line_list(name: str) -> np.ndarray:
    """Structured array of ``stellar_lines.csv``; the first column is the sort of line."""
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if not line.startswith("#")]
    return np.genfromtxt(table, delimiter=",", names=True, dtype=None, encoding="utf-8")


def draw(spec: dict[str, Any], rng: np.random.Generator, n: int) -> np.ndarray:
    """n values of one quantity of distributions.toml.

    Parameters
    ----------
    spec : dict
        One entry: ``{law: [a, b]}`` with law among uniform, log, normal, cosine, or ``{"value": x}``.
    rng : numpy Generator
    n : int

    Returns
    -------
    (n,) float array

    Raises
    ------
    ValueError
        The law is not known.
    """
    ((law, numbers),) = spec.items()
    if law == "value":
        return np.full(n, float(numbers))
    low, high = numbers
    if law == "uniform":
        return rng.uniform(low, high, n)
    if law == "log":
        return np.exp(rng.uniform(np.log(low), np.log(high), n))
    if law == "normal":
        return rng.normal(low, high, n)
    if law == "cosine":
        return np.degrees(np.arccos(rng.uniform(np.cos(np.radians(high)), np.cos(np.radians(low)), n)))
    raise ValueError(f"distributions.toml: the law {law!r} is none of uniform, log, normal, cosine, value")


def interpolate(teff_k: np.ndarray, table: dict[str, Any], column: str) -> np.ndarray:
    """(n,) values of a column tabulated against T_eff, linear in its logarithm, constant beyond the ends."""
    return np.interp(np.log(teff_k), np.log(table["teff_k"]), table[column])
