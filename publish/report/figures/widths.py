"""Figure 2: the plane of equivalent widths in which early types are told from late ones."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.density import count_cells, draw_cells
from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, INK, RED, TWO_COLUMNS_IN, styled
from becat.schema.parameters import value
from becat.schema.words import counted

__all__ = ["WIDTHS"]

CROSSES = 3000  # more spectra than this are shown as a density, or by a sample
CELLS = 160  # along each axis of the density
MARGIN = 0.05
LOWEST_A = (-20.0, -2.0)  # few spectra lie below, and they would take half of the frame
WIDTHS_SQL = """
    select cast(ew_halpha_a as double) as x, cast(ew_mgb_a as double) as y
    from step_20_teff join line_measurement using (spectrum_id)
    where ew_halpha_a is not null and ew_mgb_a is not null"""
LATE_SQL = """
    select cast(ew_halpha_a as double) as x, cast(ew_mgb_a as double) as y, spectrum_id
    from step_30_early_by_lines join infrared_colour using (star_id)
    where ew_mgb_a is not null and not passes_q(q_mag)"""
# Scrambled identities: the same sample on every visit, whatever the order of the rows.
SCRAMBLED = "(abs(spectrum_id) % 1000003 * 2654435761) % 4294967296"


@styled
def draw(connection, figure) -> str | None:
    """The plane with its two limits; spectra of K and M stars by their Q as crosses."""
    limits = value("ew_halpha_max_a", connection), value("ew_mgb_max_a", connection)
    found = connection.execute(
        f"select count(*), quantile_cont(x, [0.001, 0.999]), quantile_cont(y, [0.001, 0.999]) from ({WIDTHS_SQL})"
    ).fetchone()
    n_spectra = found[0]
    if n_spectra == 0:
        return "No spectrum has both equivalent widths: load spectra with a blue arm and measure them (becat run)."
    frame = [_frame(*of_axis) for of_axis in zip(found[1:], limits, LOWEST_A, strict=True)]
    axes = figure.subplots()
    axes.set(xlim=frame[0], ylim=frame[1])
    n_shown = _draw_crowd(connection, figure, axes, frame, n_spectra)
    _draw_late(connection, axes)
    axes.axhline(limits[1], color=RED, lw=1.2, label=f"EW(Mg b) = {limits[1]:g} Å")
    axes.axvline(limits[0], color=RED, lw=1.2, ls="--", label=f"EW(Hα) = {limits[0]:g} Å")
    axes.set(xlabel="EW(Hα) / Å   (emission < 0 < absorption)", ylabel="EW(Mg b) / Å")
    axes.set_title(
        f"{n_spectra:,} spectra with both widths after the test of $T_\\mathrm{{eff}}$; {n_spectra - n_shown:,} outside the frame"
    )
    axes.legend(loc="upper left")
    return None


def _frame(quantiles, limit, lowest) -> tuple[float, float]:
    """Limits of an axis: nearly all spectra, and the threshold."""
    low, high = max(min(quantiles[0], 0.0), lowest), max(quantiles[1], limit)
    pad = MARGIN * (high - low)
    return low - pad, high + pad


def _draw_crowd(connection, figure, axes, frame, n_spectra) -> int:
    """All spectra, as crosses or as a density; returns how many lie inside the frame."""
    if n_spectra <= CROSSES:
        points = connection.execute(WIDTHS_SQL).fetchnumpy()
        axes.plot(
            points["x"], points["y"], "x", ms=2.5, mew=0.5, color=INK, ls="none", label=counted(n_spectra, "spectrum")
        )
        inside = [(points[name] >= low) & (points[name] <= high) for name, (low, high) in zip("xy", frame, strict=True)]
        return int((inside[0] & inside[1]).sum())
    cell = tuple((high - low) / CELLS for low, high in frame)
    edges_x, edges_y, counts = count_cells(connection, WIDTHS_SQL, cell, frame)
    mesh = draw_cells(axes, edges_x, edges_y, counts)
    figure.colorbar(mesh, ax=axes, label="spectra per cell", pad=0.01)
    return int(np.nansum(counts))


def _draw_late(connection, axes) -> None:
    """Spectra that pass the widths and fail Q, as crosses."""
    (n_late,) = connection.execute(f"select count(*) from ({LATE_SQL})").fetchone()
    if n_late == 0:
        return
    points = connection.execute(f"{LATE_SQL} order by {SCRAMBLED} limit {CROSSES}").fetchnumpy()
    sample = f" ({CROSSES:,} shown)" if n_late > CROSSES else ""
    axes.plot(
        points["x"],
        points["y"],
        "x",
        ms=3,
        mew=0.6,
        color=BLUE,
        ls="none",
        label=f"{counted(n_late, 'spectrum')} of K, M stars by Q{sample}",
    )


WIDTHS = Figure(
    number="2",
    title="Equivalent widths of Hα and Mg b",
    caption=(
        "Equivalent widths of Hα and of the Mg b triplet of the spectra that are left after the test of the LASP "
        "temperature, one mark or one count per spectrum. The lines are the limits in force: spectra below the solid and left "
        "of the dashed line are of early type. Blue crosses pass both limits but belong to stars whose reddening-free 2MASS "
        "colour Q is that of a K or M star. Corresponds to Figure 2 of Wang et al. 2022."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.4,
)
