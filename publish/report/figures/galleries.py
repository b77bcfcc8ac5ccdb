"""Figures 4, 5, 7, A1 and A2: H-alpha profiles of each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from becat.publish.report.figures.figure import Figure, Shown
from becat.publish.report.figures.panels import (
    Panel,
    choose,
    draw_profile,
    draw_smoothed,
    load_spectrum,
    peak_band,
    why_no_profiles,
)
from becat.publish.report.style import TWO_COLUMNS_IN, panel_title, styled

__all__ = ["GALLERIES"]


# Not of a nebula, whose narrow lines can be far above the continuum; where the sky was taken too high they are far below it.
OF_A_STAR = (
    "profile_class = 'emission' and abs(coalesce(nebular_significance, 0)) < parameter('nebular_significance_max')"
)
SINGLE = f"{OF_A_STAR} and profile_type = 'single peak'"
SYMMETRIC = f"{OF_A_STAR} and profile_type = 'double symmetric'"
ASYMMETRIC = f"{OF_A_STAR} and profile_type = 'double asymmetric'"
WEAK = f"{OF_A_STAR} and profile_type = 'narrow emission in absorption'"
STRONG_FROM = (
    1.3  # flux, in units of the continuum, from which narrow emission fills the absorption more than it lies in it
)
ON_EMISSION, ON_ABSORPTION = "profile_class = 'emission with shell'", "profile_class = 'absorption with shell'"
BEST_FIRST = "snr_r desc"
# A good spectrum that is still noisy, so that the smoothing can be seen.
MIDDLING_FIRST = (
    f"profile_type = 'narrow emission in absorption' and peak_flux >= {STRONG_FROM}, abs(ln(greatest(snr_r, 1) / 45))"
)

BE_SPECTRA = (
    Panel("single peak", SINGLE),
    Panel("double peak", f"({SYMMETRIC}) or ({ASYMMETRIC})"),
    Panel("narrow emission in absorption", f"{WEAK} and ew_halpha_a > 0"),
    Panel("narrow emission in absorption", f"{WEAK} and ew_halpha_a > 0"),
    Panel("shell line on emission", ON_EMISSION),
    Panel("shell line on absorption", ON_ABSORPTION),
)
EMISSION = (
    Panel("single peak", SINGLE, ("J000003.86+635429.6",)),
    Panel("two symmetric peaks", SYMMETRIC, ("J011902.35+581920.2",)),
    Panel("two asymmetric peaks", ASYMMETRIC, ("J021126.95+575606.1",)),
    Panel("narrow emission in absorption", WEAK, ("J023542.54+503801.6",)),
)
SHELL_ON_EMISSION = (
    Panel("type 1: narrow", f"{ON_EMISSION} and shell_type = 1", ("J000025.64+623946.1",)),
    Panel("type 2: broad", f"{ON_EMISSION} and shell_type = 2", ("J011341.79+590557.3",)),
    Panel("type 3: asymmetric", f"{ON_EMISSION} and shell_type = 3", ("J021815.09+571016.0",)),
    Panel("type 3: asymmetric", f"{ON_EMISSION} and shell_type = 3", ("J052101.98+280757.3",)),
)
SHELL_ON_ABSORPTION = (
    Panel("type 1: peaks above 1", f"{ON_ABSORPTION} and shell_type = 1", ("J051301.34+393000.7",)),
    Panel("type 2: peaks below 1", f"{ON_ABSORPTION} and shell_type = 2", ("J000237.33+582833.3",)),
    Panel("type 3: narrow, no peak", f"{ON_ABSORPTION} and shell_type = 3", ("J033334.11+493245.1",)),
)
# Spectra that reach the classifier and that it calls not Be; deciles of EW tell deep lines from shallow ones.
NOT_BE_SQL = """
    with
    scored as (
        select spectrum_id, star_id, snr_r, ew_halpha_a
        from step_40_q_index join current_score using (spectrum_id)
        where not passes_be_probability(be_probability) and spectrum_id in (select spectrum_id from flux_red)
    ),
    deciles as (select quantile_cont(ew_halpha_a, [0.1, 0.9]) as q from scored)
    select spectrum_id
    from scored cross join deciles
    where case when $deep then ew_halpha_a >= q[2] else ew_halpha_a <= q[1] end
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
    order by snr_r >= 40 desc, (abs(spectrum_id) % 1000003 * 2654435761) % 4294967296
    limit 2"""


def _panels(panels: Sequence[Panel], order: str = BEST_FIRST, *, smoothed: bool = False) -> Callable:
    """What draws one profile a panel, of stars that are all different."""

    @styled
    def draw(connection, figure) -> str | Shown:
        reason = why_no_profiles(connection)
        if reason:
            return reason
        chosen: dict[int, str] = {}
        missing = []
        for panel, identity in zip(panels, choose(connection, panels, order), strict=True):
            if identity is None:
                missing.append(("another of " if panel.words in chosen.values() else "") + panel.words)
            else:
                chosen[identity] = panel.words
        if not chosen:
            kinds = "; ".join(dict.fromkeys(missing))
            return f"None of the candidates of this catalogue has a profile of these kinds: {kinds}."
        _draw_grid(connection, figure, chosen, smoothed, missing)
        best = "of highest S/N" if order == BEST_FIRST else "of middling S/N"
        return Shown(
            _which(connection, list(chosen), {star for panel in panels for star in panel.shown_in_paper}, best)
        )

    return draw


def _which(connection, spectra: Sequence[int], printed: set[str], best: str) -> str:
    """Which panels show the star that the paper shows, in a sentence; the others show the best of this catalogue."""
    sql = """
        select distinct spectrum_id from spectrum join star_alias using (star_id)
        where spectrum_id in (select unnest($spectra)) and star_alias.designation in (select unnest($printed))"""
    found = {row[0] for row in connection.execute(sql, {"spectra": spectra, "printed": list(printed)}).fetchall()}
    letters = [f"({'abcdefghijkl'[place]})" for place, identity in enumerate(spectra) if identity in found]
    if not letters:
        return f"Each panel shows the candidate {best} of its kind in this catalogue."
    if len(letters) == len(spectra):
        return "Each panel shows a star that the paper shows."
    verb = "shows a star" if len(letters) == 1 else "show stars"
    return f"{', '.join(letters)} {verb} of the paper, each other panel the candidate {best} of its kind in this catalogue."


def _draw_grid(connection, figure, chosen: dict[int, str], smoothed: bool, missing: Sequence[str] = ()) -> None:
    """Profiles with their words, two a row, or three where that fills the rows."""
    n_columns = 3 if len(chosen) > 4 or (len(chosen) == 3 and not missing) else min(len(chosen), 2)
    n_rows = -(-len(chosen) // n_columns)
    grid = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False).ravel()
    for axes in grid[len(chosen) :]:
        axes.set_axis_off()
    for place, (axes, (identity, words)) in enumerate(zip(grid, chosen.items(), strict=False)):
        spectrum = load_spectrum(connection, identity)
        draw_profile(axes, spectrum.wavelength_a, spectrum.flux)
        if smoothed:
            draw_smoothed(axes, spectrum, peak_band(connection))
        panel_title(axes, place, words + "\n" + spectrum.words("\n" if n_columns == 3 else ", "))
    lacking = f"\nnone in this catalogue: {'; '.join(dict.fromkeys(missing))}" if missing else ""
    figure.supxlabel(f"vacuum wavelength / Å{lacking}", fontsize=8)
    figure.supylabel("rectified flux", fontsize=8)


@styled
def draw_not_be(connection, figure) -> str | None:
    """Two deep and two shallow profiles of spectra that are not Be."""
    chosen = {
        row[0]: words
        for words, deep in (("deep Hα", True), ("shallow Hα", False))
        for row in connection.execute(NOT_BE_SQL, {"deep": deep}).fetchall()
    }
    if not chosen:
        return (
            "No rectified spectrum of an early type was called not Be: the catalogue holds none, or none has a score "
            "(becat score)."
        )
    _draw_grid(connection, figure, chosen, smoothed=False)
    return None


_CLASSES = "Classes and types are those measured, or given by eye."
GALLERIES = (
    Figure(
        number="4",
        title="Profiles of Be stars",
        caption=(
            "Hα of Be candidates by the kind of profile, with the smoothed profile, its peaks and its valleys as in Figure 3. Corresponds to Figure 4 of Wang et al. 2022, which shows Be spectra of the training sample."
        ),
        draw=_panels(BE_SPECTRA, MIDDLING_FIRST, smoothed=True),
        width_in=TWO_COLUMNS_IN,
        height_in=4.6,
    ),
    Figure(
        number="5",
        title="Profiles of stars that are not Be",
        caption=(
            "Hα of early-type spectra that the classifier calls not Be, drawn at random: two from the tenth with the "
            "largest equivalent widths, two from that with the smallest. Corresponds to Figure 5 of Wang et al. 2022."
        ),
        draw=draw_not_be,
        width_in=TWO_COLUMNS_IN,
        height_in=4.4,
    ),
    Figure(
        number="7",
        title="Types of Hα emission",
        caption=(
            "The types of Hα emission without a shell line, one star each. "
            f"{_CLASSES} Corresponds to Figure 7 of Wang et al. 2022."
        ),
        draw=_panels(EMISSION),
        width_in=TWO_COLUMNS_IN,
        height_in=4.4,
    ),
    Figure(
        number="A1",
        title="Shell lines on Hα emission",
        caption=(
            "The three types of a shell line on Hα emission: narrow, broad and asymmetric. "
            f"{_CLASSES} Corresponds to Figure A1 of Wang et al. 2022."
        ),
        draw=_panels(SHELL_ON_EMISSION),
        width_in=TWO_COLUMNS_IN,
        height_in=4.4,
    ),
    Figure(
        number="A2",
        title="Shell lines on Hα absorption",
        caption=(
            "The three types of a shell line on Hα absorption: with emission above the continuum, with emission below it, and "
            f"narrow with none. {_CLASSES} Corresponds to Figure A2 of Wang et al. 2022."
        ),
        draw=_panels(SHELL_ON_ABSORPTION),
        width_in=TWO_COLUMNS_IN,
        height_in=2.8,
    ),
)
