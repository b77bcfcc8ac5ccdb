"""Figure 1: a spectrum as its file has it, with the continuum that was divided out, and the rectified result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from becat.publish.report.figures.figure import Figure, Shown
from becat.publish.report.style import INK, RED, TWO_COLUMNS_IN, note, panel_title, plain, styled
from becat.schema.grid import ARMS

__all__ = ["ReadArms", "reduction"]

# Gives the arms of a spectrum, as its file has them (`becat.etl.load.arms_of_file.ArmOfFile`), or none and why.
ReadArms = Callable[[str | None, int], tuple[dict[str, Any], str]]

MEDIAN_PX = 41  # 5 Angstrom
PAPERS_STAR = "J060334.97+221938.6"  # HD 250854
# The paper's star, else a known Be star, else a candidate, else any; of those the spectrum of highest S/N, with both arms if
# it can be.
SPECTRUM_SQL = """
    with
    kinds as (
        select star_id, 1 as kind from star_alias where designation = $star
        union all select star_id, 2 from known_be
        union all select star_id, 3 from be_candidate
    )
    select spectrum_id, designation, file, snr_r, is_simulated, coalesce(kind, 4)
    from spectrum
    left join kinds using (star_id)
    where spectrum_id in (select spectrum_id from flux_red)
    order by coalesce(kind, 4), spectrum_id in (select spectrum_id from flux_blue) desc, snr_r desc nulls last, spectrum_id
    limit 1"""
KINDS = {1: "the star of the paper", 2: "the known Be star", 3: "the Be candidate", 4: "the star"}


@styled
def draw(connection, figure, read_arms: ReadArms) -> str | Shown:
    """Two panels an arm: flux with continuum above, rectified flux below."""
    row = connection.execute(SPECTRUM_SQL, {"star": PAPERS_STAR}).fetchone()
    if row is None:
        return "The catalogue holds no rectified spectra (table flux_red is empty): load some (becat load, becat run)."
    spectrum_id, designation, file, snr, is_simulated, kind = row
    rectified = {arm: flux for arm in ("blue", "red") if (flux := _rectified(connection, spectrum_id, arm)) is not None}
    raw_arms, why = read_arms(file, spectrum_id)
    rows = figure.subplots(2 if raw_arms else 1, len(rectified), sharex="col", squeeze=False)
    for place, (arm, flux) in enumerate(rectified.items()):
        _draw_rectified(rows[-1, place], ARMS[arm], flux)
        panel_title(rows[-1, place], place + rows.size - len(rectified), f"{arm} arm, rectified")
        if raw_arms:
            _draw_raw(rows[0, place], ARMS[arm], raw_arms.get(arm), flux)
            panel_title(rows[0, place], place, f"{arm} arm, as in the file")
    if rows[0, 0].get_legend_handles_labels()[0]:
        rows[0, 0].legend(loc="lower center")  # of the first arm alone: in the red one it would cover H-alpha
    rows[0, 0].set_ylabel("flux / (instrument's unit)")
    rows[-1, 0].set_ylabel("flux / continuum")
    figure.supxlabel(
        "vacuum wavelength / Å" + (f"\nflux and continuum are not shown: {why}" if why else ""), fontsize=8
    )
    name = plain(designation or f"spectrum {spectrum_id}")
    figure.suptitle(f"{name}, S/N {snr or float('nan'):.0f}" + (", simulated" if is_simulated else ""), fontsize=8)
    best = "" if kind == 1 else " with the best spectrum of this catalogue; the paper shows HD 250854"
    return Shown(f"{designation or f'Spectrum {spectrum_id}'} is {KINDS[kind]}{best}.")


def _rectified(connection, spectrum_id: int, arm: str) -> np.ndarray | None:
    """Rectified flux of an arm, NaN in masked pixels; None where the catalogue has not that arm."""
    row = connection.execute(f"select flux, ivar from flux_{arm} where spectrum_id = ?", [spectrum_id]).fetchone()
    if row is None:
        return None
    flux, ivar = (np.asarray(column, dtype=float) for column in row)
    return np.where(ivar > 0, flux, np.nan)


def _read_nothing(file: str | None, spectrum_id: int) -> tuple[dict[str, Any], str]:
    return {}, "the files of spectra were not asked for"


def _draw_rectified(axes, grid, rectified) -> None:
    axes.plot(grid.wavelength_a, rectified, color=INK, lw=0.5)
    axes.axhline(1, color=RED, lw=0.8)
    seen = np.isfinite(rectified)
    if seen.any():
        low, high = np.nanpercentile(rectified, 0.05), np.nanmax(rectified)
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        axes.set_xlim(grid.wavelength_a[seen][0] - 5, grid.wavelength_a[seen][-1] + 5)


def _draw_raw(axes, grid, raw, rectified) -> None:
    """Flux of the file, and the continuum: by what the rectified flux has to be multiplied to give it back."""
    if raw is None:
        note(axes, "no such arm in the file")
        return
    axes.plot(raw.wavelength_a, raw.flux, color=INK, lw=0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        continuum = raw.grid_flux / rectified
    known = np.isfinite(continuum) & (np.abs(rectified) > 0.05)
    if known.any() and raw.flux.size:
        # Beside pixels that the cleaning changed, the two fluxes differ: the continuum is smooth over far longer stretches.
        smooth = median_filter(continuum[known], size=MEDIAN_PX, mode="nearest")
        axes.plot(grid.wavelength_a[known], smooth, color=RED, lw=1.0, label="continuum")
        top = max(np.percentile(raw.flux, 99.95), np.max(smooth))
        axes.set_ylim(min(0.0, float(np.percentile(raw.flux, 0.05))), 1.08 * top)


def reduction(read_arms: ReadArms | None = None) -> Figure:
    """Figure 1; without a reader of files only what the catalogue keeps is drawn."""
    return Figure(
        number="1",
        title="From flux to rectified flux",
        caption=(
            "Both arms of one spectrum: above the flux of its file with the pseudo-continuum that was divided out, below the "
            "rectified flux of the catalogue, with 1 marked. Corresponds to Figure 1 of Wang et al. 2022."
        ),
        draw=partial(draw, read_arms=read_arms or _read_nothing),
        width_in=TWO_COLUMNS_IN,
        height_in=4.0,
    )
