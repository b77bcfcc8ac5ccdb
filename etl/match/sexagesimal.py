"""Positions written as text: degrees, or hours (degrees), minutes and seconds."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["to_degrees"]


def to_degrees(words: Iterable[str | float | None], *, is_ra: bool) -> list[float | None]:
    """Degrees of each word; None and blanks stay None.

    Parameters
    ----------
    words : iterable of str, float or None
        A plain number is degrees. Anything else is read by `astropy.coordinates.Angle`: ``00:42:44.3``, ``00 42 44.3``,
        ``0h42m44.3s``, ``+41d16m09s``.
    is_ra : bool
        Sexagesimal numbers without units are hours, as right ascensions are printed.

    Raises
    ------
    ValueError
        A word is no angle; the message is the word.
    """
    return [_degrees(word, "hourangle" if is_ra else "deg") for word in words]


def _degrees(word: str | float | None, unit: str) -> float | None:
    if word is None or (isinstance(word, str) and not word.strip()):
        return None
    try:
        return float(word)
    except ValueError:
        pass
    from astropy.coordinates import Angle  # slow to import, and rarely needed
    from astropy.units import UnitsError

    try:
        return float(Angle(word, unit).deg)  # pyright: ignore[reportArgumentType]
    except (ValueError, UnitsError):
        raise ValueError(str(word)) from None
