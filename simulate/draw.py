"""Distributions of the simulator: read from distributions.toml, drawn in whole arrays."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["OwnDraws", "distributions", "draw", "interpolate", "line_list"]

_FOLDER = Path(__file__).parent


class OwnDraws:
    """Random numbers of n stars that are seen again: each star's are its own, whatever stars are drawn beside it.

    Takes the place of a numpy Generator where that draws for n stars at once.

    Parameters
    ----------
    seeds : (n,) sequence of int
    of : int
        What is drawn: other numbers for other things.
    """

    def __init__(self, seeds: Sequence[int] | np.ndarray, of: int):
        self._each = [np.random.default_rng((of, int(seed))) for seed in seeds]

    def random(self, size: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
        """`size` of them, the first axis that of the stars, between 0 and 1."""
        return self._stack(lambda rng: rng.random(size[1:], dtype=dtype), size[0])

    def uniform(self, low: float, high: float, n: int) -> np.ndarray:
        """(n,) numbers between two limits."""
        return self._stack(lambda rng: rng.uniform(low, high), n)

    def normal(self, mean: float, deviation: float, n: int) -> np.ndarray:
        """(n,) numbers of a normal distribution."""
        return self._stack(lambda rng: rng.normal(mean, deviation), n)

    def _stack(self, one: Callable[[np.random.Generator], Any], n: int) -> np.ndarray:
        return np.stack([one(rng) for rng, _ in zip(self._each, range(n), strict=True)])


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


def draw(spec: dict[str, Any], rng: np.random.Generator | OwnDraws, n: int) -> np.ndarray:
    """n values of one quantity of distributions.toml.

    Parameters
    ----------
    spec : dict
        One entry: ``{law: [a, b]}`` with law among uniform, log, normal, cosine, or ``{"value": x}``.
    rng : numpy Generator or OwnDraws
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
