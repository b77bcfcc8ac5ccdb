"""What is wanted of a release of LAMOST: what the command line and a configuration ask, and the plan follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SERVICES", "Wishes"]

SERVICES = ("lamost", "vizier", "gaia")  # that can be asked for the rows of a release's catalogues


@dataclass(frozen=True)
class Wishes:
    """What is wanted of a release.

    Attributes
    ----------
    exposures : {'coadd', 'single', 'all'}
        Which spectra will be loaded: a file is wanted if one of them is.
    regions : sequence of (float, float, float)
        Circles on the sky: right ascension, declination, radius, degrees. None: the whole sky.
    brightest_mag, faintest_mag : float, optional
        Gaia G, as the release gives it; a star without one stays.
    stars : Path, optional
        Table of positions: only these stars.
    view : str
        View or table of the catalogue with positions: only its stars.
    radius_arcsec : float
        How near to such a position.
    all_epochs : bool
        Every spectrum of a star of which one is chosen, also those that fail the steps.
    steps : bool
        Whether the steps S/N, T_eff and Q are asked.
    anew : bool
        Fetch also what an older release has brought and this one lists unchanged.
    """

    exposures: str = "coadd"
    regions: Sequence[tuple[float, float, float]] = ()
    brightest_mag: float | None = None
    faintest_mag: float | None = None
    stars: Path | None = None
    view: str = ""
    radius_arcsec: float = 3.0
    all_epochs: bool = False
    steps: bool = True
    anew: bool = False
