"""What the epochs of a star say, in sentences: the same in Python, on the terminal, and on the site."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10
from typing import Any

from becat.schema.words import counted

__all__ = ["epoch_words", "missing_words", "period_words"]

QUANTITIES = {
    "rv_km_s": "the velocity",
    "ew_halpha_a": "EW(H-alpha)",
    "violet_red_ratio": "V/R",
}  # of the table star_period


def epoch_words(
    n_spectra: int,
    n_nights: int,
    n_shown: int,
    change: Mapping[str, Any],
    companion: Mapping[str, Any],
    period: Mapping[str, Any] | None,
) -> list[str]:
    """How many epochs there are, whether the star changes, and with which period.

    Parameters
    ----------
    n_spectra, n_nights : int
        Rows of the view ``epoch``, and their nights.
    n_shown : int
        How many of them count and have a time.
    change : mapping
        The star's row of ``star_change``, with the ``kind_of_change`` of ``variable_be``; empty if it has none.
    companion : mapping
        The star's row of ``binary_evidence``; empty if it has none.
    period : mapping or None
        The row of ``star_period`` to fold with.
    """
    if not n_spectra:
        return ["No spectrum has enough S/N to say anything about its epoch"]
    spectra = f"{counted(n_spectra, 'spectrum')} from {counted(n_nights, 'night')} with enough S/N"
    if n_shown < 2:
        return [f"{spectra}: {'one epoch' if n_shown else 'no epoch with a time'}, which says nothing about change"]
    found = [f"{spectra}, {n_shown:,} of them independent epochs"]
    if change.get("change_result") == "changes":
        what = change.get("kind_of_change") or f"{change['surest_quantity']} varies"
        found.append(f"H-alpha changes: {what} ({change['change_sigma']:.1f} standard deviations)")
    elif change.get("change_result") == "constant":
        found.append("EW, peaks, V/R and core of H-alpha do not change significantly")
    if companion.get("velocity_result") == "changes":
        found.append(f"The velocity changes by {companion['rv_difference_km_s']:.0f} km/s")
    elif companion.get("velocity_result") == "constant":
        found.append("The velocity does not change significantly")
    elif companion.get("n_velocities"):
        found.append(f"It is unknown whether the velocity changes ({companion['decided_by']} would tell)")
    if companion.get("evidence"):
        found.append(f"Evidence of a companion: {companion['evidence']}")
    return [*found, period_words(period)] if period else found


def period_words(period: Mapping[str, Any]) -> str:
    """A period with its error, the quantity in which it was found, and how likely chance gives one."""
    error = period.get("e_period_d") or 0.0
    digits = max(0, 1 - floor(log10(error))) if error > 0 else 2
    spread = f" ± {error:.{digits}f}" if error > 0 else ""
    chance = period["false_alarm_probability"]
    quantity = QUANTITIES.get(period["quantity"], period["quantity"])
    return f"Period {period['period_d']:.{digits}f}{spread} d in {quantity}, false-alarm probability {chance:.1g}"


def missing_words(has_ratio: bool, has_velocity: bool, n_timeless: int) -> list[str]:
    """What the epochs do not have, and why.

    Parameters
    ----------
    has_ratio, has_velocity : bool
        Whether any epoch has a V/R, and a velocity.
    n_timeless : int
        Epochs without a time.
    """
    found = [] if has_ratio else ["No V/R: no epoch has two emission peaks"]
    if not has_velocity:
        found.append("No velocity: no line is suitable, or it is unknown whether the wavelengths are heliocentric")
    if n_timeless:
        found.append(f"Not drawn: {counted(n_timeless, 'epoch')} without a time")
    return found
