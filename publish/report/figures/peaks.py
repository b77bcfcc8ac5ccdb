"""Figure 3: peaks and valleys of H-alpha before and after smoothing."""

from __future__ import annotations

from becat.publish.report.figures.figure import Figure, Shown
from becat.publish.report.figures.galleries import OF_A_STAR, STRONG_FROM, WEAK
from becat.publish.report.figures.panels import (
    Panel,
    choose,
    draw_extrema,
    draw_profile,
    draw_smoothed,
    load_spectrum,
    peak_band,
    why_no_profiles,
)
from becat.publish.report.style import TWO_COLUMNS_IN, panel_title, styled
from becat.schema.grid import RED as GRID

__all__ = ["PEAKS"]

# A noisy and a good spectrum, as in the paper, with narrow emission in absorption if there is one.
ROWS = (
    Panel("low S/N", "snr_r >= 10 and snr_r < 20", ("J023209.36+560939.5",)),
    Panel("middle S/N", "snr_r >= 40 and snr_r < 60", ("J071536.32-001018.3",)),
)
ORDER = (
    f"coalesce({WEAK} and peak_flux < {STRONG_FROM}, false) desc, coalesce({OF_A_STAR}, false) desc,"
    " least(abs(snr_r - 13), abs(snr_r - 50))"
)


@styled
def draw(connection, figure) -> str | Shown:
    """Extrema of the pixels at the left, of the smoothed profile at the right."""
    reason = why_no_profiles(connection)
    if reason:
        return reason
    band_a = peak_band(connection)
    found = [identity for identity in choose(connection, ROWS, ORDER) if identity is not None]
    if not found:
        return "No candidate has a spectrum of S/N 10 to 20 or 40 to 60, which the figure compares."
    panels = figure.subplots(len(found), 2, sharex=True, sharey="row", squeeze=False)
    shown = []
    for row, (pair, identity) in enumerate(zip(panels, found, strict=True)):
        spectrum = load_spectrum(connection, identity)
        _draw_row(pair, row, spectrum, band_a)
        shown.append(f"({'ac'[row]}) {spectrum.words()}, {_kind(connection, identity)}")
    lacking = "" if len(found) == len(ROWS) else "\nthe other range of S/N has no candidate in this catalogue"
    figure.supxlabel(f"vacuum wavelength / Å{lacking}", fontsize=8)
    figure.supylabel("rectified flux", fontsize=8)
    return Shown(f"{'; '.join(shown)}.")


def _kind(connection, spectrum_id: int) -> str:
    """Type or class of a candidate's profile, in words."""
    sql = "select coalesce(profile_type, profile_class, 'of no class') from be_candidate where spectrum_id = ?"
    return connection.execute(sql, [spectrum_id]).fetchone()[0]


def _draw_row(pair, row: int, spectrum, band_a) -> None:
    left, right = pair
    draw_profile(left, spectrum.wavelength_a, spectrum.flux)
    draw_extrema(left, spectrum, band_a)
    draw_profile(right, spectrum.wavelength_a, spectrum.flux)
    width_px = draw_smoothed(right, spectrum, band_a)
    panel_title(left, 2 * row, spectrum.words())
    panel_title(right, 2 * row + 1, f"Bartlett window {width_px} px ({width_px * GRID.step_a:.2f} Å)")
    handles = {text: artist for artist, text in zip(*right.get_legend_handles_labels(), strict=True)}
    if row == 0:
        right.legend(handles.values(), handles.keys(), loc="best", handlelength=1.2)


PEAKS = Figure(
    number="3",
    title="Peaks of Hα before and after smoothing",
    caption=(
        "Candidates of low and of middle S/N. Left: every local maximum (triangle up) and "
        "minimum (triangle down) of the pixels in the stretch where peaks are counted. Right: those that are left after "
        "smoothing with the Bartlett window for the S/N. Widths are those of Table 1 of the paper, as pixels of "
        f"{GRID.step_a:g} Å of this catalogue. Corresponds to Figure 3 of Wang et al. 2022."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.4,
)
