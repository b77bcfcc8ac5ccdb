"""H-alpha profiles of chosen stars: which spectrum, its pixels, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.transforms import offset_copy

from becat.publish.report.style import BLUE, GREEN, INK, QUIET, RED, plain
from becat.schema.grid import RED as GRID
from becat.schema.parameters import value
from becat.udfs.bands import repair
from becat.udfs.bartlett import bartlett_peaks, local_extrema, smooth_bartlett

__all__ = [
    "Panel",
    "Spectrum",
    "choose",
    "draw_extrema",
    "draw_profile",
    "draw_smoothed",
    "load_spectrum",
    "peak_band",
    "why_no_profiles",
]

WINDOW_A = (6534.0, 6595.0)
PIXELS = slice(*(round((limit - GRID.start_a) / GRID.step_a) for limit in WINDOW_A))
SPECTRUM_SQL = f"""
    select spectrum.spectrum_id, designation, snr_r, is_simulated, velocity_shift_km_s,
        flux_red.flux[{PIXELS.start + 1}:{PIXELS.stop}], flux_red.ivar[{PIXELS.start + 1}:{PIXELS.stop}]
    from spectrum
    join flux_red using (spectrum_id)
    left join line_measurement using (spectrum_id)
    where spectrum.spectrum_id = ?"""


@dataclass(frozen=True)
class Panel:
    """What a panel shows: its words, the candidates that will do (SQL), and the stars with which the paper shows it."""

    words: str
    condition: str
    shown_in_paper: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spectrum:
    """One rectified spectrum around H-alpha: pixels that must not be used are NaN."""

    spectrum_id: int
    designation: str | None
    snr: float
    is_simulated: bool
    velocity_shift_km_s: float
    wavelength_a: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray

    def words(self, separator: str = ", ") -> str:
        """Name, S/N, and whether it is simulated."""
        name = plain(self.designation or f"spectrum {self.spectrum_id}")
        return f"{name}{separator}S/N {self.snr:.0f}" + (", simulated" if self.is_simulated else "")


def load_spectrum(connection, spectrum_id: int) -> Spectrum:
    """The spectrum of an identity, which must be in flux_red."""
    identity, designation, snr, simulated, velocity, flux, ivar = connection.execute(
        SPECTRUM_SQL, [spectrum_id]
    ).fetchone()
    flux, ivar = np.asarray(flux, dtype=float), np.asarray(ivar, dtype=float)
    flux[~(ivar > 0)] = np.nan
    return Spectrum(
        identity,
        designation,
        float("nan") if snr is None else snr,
        bool(simulated),
        velocity or 0.0,
        GRID.wavelength_a[PIXELS],
        flux,
        ivar,
    )


def choose(connection, panels: Sequence[Panel], order: str) -> list[int | None]:
    """Spectra of the candidates that show something best, all different.

    Parameters
    ----------
    connection : DuckDB connection
    panels : sequence of Panel
    order : str
        SQL over the columns of be_candidate, and peak_flux: the best first. A star that the paper shows goes before all others.

    Returns
    -------
    list of int or None
        One spectrum_id a panel; None where no candidate is left that will do.
    """
    ranked = " union all ".join(
        f"""
        select {i} as panel, spectrum_id,
            row_number() over (order by list_contains(printed, {i}) desc, {order}, spectrum_id) as place
        from candidates where {panel.condition}"""
        for i, panel in enumerate(panels)
    )
    stars = [(i, name) for i, panel in enumerate(panels) for name in panel.shown_in_paper]
    rows = connection.execute(
        f"""
        with
        shown as (select unnest($panel::integer[]) as panel, unnest($name::varchar[]) as designation),
        printed as (select star_id, list(panel) as printed from shown join star_alias using (designation) group by star_id),
        candidates as materialized (
            select be_candidate.*, peak_flux, coalesce(printed, []) as printed
            from be_candidate join line_measurement using (spectrum_id) left join printed using (star_id)
            where spectrum_id in (select spectrum_id from flux_red)
        )
        select panel, spectrum_id from ({ranked}) where place <= {len(panels)} order by panel, place""",
        {"panel": [i for i, _ in stars], "name": [name for _, name in stars]},
    ).fetchall()
    chosen: list[int | None] = []
    for i in range(len(panels)):
        chosen.append(next((identity for panel, identity in rows if panel == i and identity not in chosen), None))
    return chosen


def why_no_profiles(connection) -> str | None:
    """Sentence that says why no profile of a candidate can be drawn; None where one can."""
    if connection.execute("select count(*) from (select spectrum_id from flux_red limit 1)").fetchone() == (0,):
        return "The catalogue holds no rectified spectra (table flux_red is empty): load some (becat load, becat run)."
    if connection.execute("select count(*) from be_candidate").fetchone() == (0,):
        return "No candidate Be star in this catalogue: the view be_candidate is empty."
    return None


def peak_band(connection) -> tuple[float, float]:
    """Limits within which peaks and valleys are looked for, Angstrom."""
    return value("peak_band_min_a", connection), value("peak_band_max_a", connection)


def draw_profile(axes, wavelength_a: np.ndarray, flux: np.ndarray, colour: str = INK) -> None:
    """The rectified flux, with room for the labels, and the continuum."""
    axes.axhline(1, color=QUIET, lw=0.5, zorder=0)
    axes.plot(wavelength_a, flux, color=colour, lw=0.7, label="flux", drawstyle="steps-mid")
    low, high = np.nanmin(flux), np.nanmax(flux)
    low, high = min(low, 0.95), max(high, 1.05)
    axes.set(xlim=WINDOW_A, ylim=(low - 0.06 * (high - low), high + 0.08 * (high - low)))


def draw_extrema(axes, spectrum: Spectrum, band_a: tuple[float, float]) -> None:
    """Local maxima and minima of the pixels themselves."""
    repaired, _ = repair(spectrum.flux[None], spectrum.ivar[None])
    found = local_extrema(repaired)
    there_a = spectrum.wavelength_a[found.pixel]
    inside = (there_a >= band_a[0]) & (there_a <= band_a[1])
    pixel, is_peak = found.pixel[inside], found.is_peak[inside]
    _mark(axes, spectrum.wavelength_a[pixel[is_peak]], repaired[0, pixel[is_peak]], peaks=True)
    _mark(axes, spectrum.wavelength_a[pixel[~is_peak]], repaired[0, pixel[~is_peak]], peaks=False)


def draw_smoothed(axes, spectrum: Spectrum, band_a: tuple[float, float]) -> int:
    """The profile smoothed with the window of its S/N, inside the band, with its extrema; returns the window's pixels."""
    peaks = bartlett_peaks(
        spectrum.flux[None],
        np.array([spectrum.snr]),
        spectrum.wavelength_a,
        band_a,
        inverse_variance=spectrum.ivar[None],
        velocity_shift_km_s=np.array([spectrum.velocity_shift_km_s]),
    )
    smooth = smooth_bartlett(repair(spectrum.flux[None], spectrum.ivar[None])[0], peaks.width_px)[0]
    inside = (spectrum.wavelength_a >= band_a[0]) & (spectrum.wavelength_a <= band_a[1])
    axes.plot(spectrum.wavelength_a[inside], smooth[inside], color=RED, lw=1.0, label="smoothed")
    _mark(axes, peaks.peak_wavelength_a, peaks.peak_flux, peaks=True)
    _mark(axes, peaks.valley_wavelength_a, peaks.valley_flux, peaks=False)
    return int(peaks.width_px[0])


def _mark(axes, wavelength_a, flux, peaks: bool) -> None:
    marker, colour, words = ("^", BLUE, "peak") if peaks else ("v", GREEN, "valley")
    beside = offset_copy(axes.transData, axes.figure, y=2.5 if peaks else -2.5, units="points")
    axes.plot(wavelength_a, flux, marker, ms=3, color=colour, mew=0, ls="none", label=words, transform=beside)
