"""The picture of a star in time: its H-alpha profiles, and equivalent width, V/R and velocity of each epoch, above its light curves."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from becat.plot import LEGEND, LINE_WIDTH_CHARACTERS, Picture
from becat.publish.report.style import BLUE, GREEN, INK, ORANGE, QUIET, RC, RED, invert_magnitudes, plain
from becat.schema.errors import BecatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["picture"]

WIDTH_IN, PROFILES_IN, PANEL_IN, LIGHT_CURVE_IN, WORDS_IN = 7.2, 4.2, 1.5, 1.7, 0.6
OVERPLOTTED_MAX = 12  # profiles; more are drawn as a dynamic spectrum
# Without the last tenth, which is too light for a line on white.
COLOURS_OF_TIME = ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 0.9, 256)))
SHOWN_KM_S = 800.0
PERCENT_SHOWN = (0.5, 99.5)  # of the flux of a dynamic spectrum
BANDS = (INK, ORANGE, GREEN, BLUE, RED)
HEADROOM = 0.2  # of the height of a panel, for its legend


class Epochs(Protocol):
    """What is drawn of a star, as `becat.epochs.Epochs` has it."""

    name: str
    table: pd.DataFrame
    light_curves: pd.DataFrame
    period: dict[str, Any] | None
    profiles: np.ndarray

    @property
    def shown(self) -> pd.DataFrame: ...

    @property
    def velocity_km_s(self) -> np.ndarray: ...

    @property
    def words(self) -> list[str]: ...


@dataclass(frozen=True)
class Time:
    """Where epochs stand on the axis: MJD, or the phase of a period, where every point is drawn twice."""

    label: str
    period_d: float | None = None
    mjd_0: float = 0.0

    def of(self, mjd: np.ndarray) -> np.ndarray:
        """Place of some times; between 0 and 1 if folded."""
        return mjd if self.period_d is None else ((mjd - self.mjd_0) / self.period_d) % 1

    def twice(self, mjd: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
        """Places of some times, and what was measured then, for two cycles if folded."""
        place = self.of(mjd)
        if self.period_d is None:
            return place, *columns
        return np.concatenate([place, place + 1]), *(np.concatenate([column, column]) for column in columns)


def picture(epochs: Epochs, folded: bool) -> Picture:
    """Draw the epochs of a star.

    Parameters
    ----------
    epochs : Epochs
    folded : bool
        Draw against the phase of its period.

    Raises
    ------
    BecatError
        No epoch can be drawn, or there is no period.
    """
    if epochs.shown.empty:
        raise BecatError(f"{epochs.name} has no spectrum with a time and enough S/N: there is nothing to draw")
    time = _time(epochs, folded)
    curves, light = _curves(epochs.shown), _light_curves(epochs.light_curves)
    heights_in = [max(PROFILES_IN, PANEL_IN * len(curves)), *[LIGHT_CURVE_IN] * len(light)]
    with mpl.rc_context(RC):  # pyright: ignore[reportArgumentType]
        figure = Picture(figsize=(WIDTH_IN, sum(heights_in) + WORDS_IN), layout="constrained")
        rows = figure.add_gridspec(len(heights_in), 1, height_ratios=heights_in)
        above = rows[0].subgridspec(max(1, len(curves)), 2, width_ratios=(1, 1.35 if curves else 1e-3))
        colours = _draw_profiles(figure, figure.add_subplot(above[:, 0]), epochs, time)
        axes: list[Axes] = []
        for row, draw in enumerate(curves):
            axes.append(figure.add_subplot(above[row, 1], sharex=axes[0] if axes else None))
            draw(axes[-1], epochs.shown, time, colours)
            axes[-1].tick_params(labelbottom=row == len(curves) - 1)
        for row, (unit, found) in enumerate(light.items(), start=1):
            axes.append(figure.add_subplot(rows[row]))
            _draw_light(axes[-1], unit, found, time, epochs.shown["mjd"].to_numpy(float))
        for one in axes[max(0, len(curves) - 1) :]:
            one.set_xlabel(time.label)
            one.ticklabel_format(axis="x", useOffset=False, style="plain")
        if time.period_d is not None:
            for one in axes:
                one.set_xlim(0, 2)
        simulated = ", simulated" if epochs.table["is_simulated"].to_numpy(bool).all() else ""
        figure.suptitle(plain(f"{epochs.name}{simulated}"), fontsize=9)
        lines = textwrap.wrap(". ".join(epochs.words), LINE_WIDTH_CHARACTERS)
        figure.supxlabel("\n".join(map(plain, lines)), fontsize=8)
    return figure


def _time(epochs: Epochs, folded: bool) -> Time:
    if not folded:
        return Time("MJD / d")
    if epochs.period is None:
        raise BecatError(f"{epochs.name} has no significant period to fold on")
    period_d, mjd_0 = epochs.period["period_d"], epochs.period.get("mjd_phase_zero")
    return Time(
        f"phase of the period of {period_d:.6g} d", period_d, 0.0 if mjd_0 is None or np.isnan(mjd_0) else mjd_0
    )


def _curves(shown: pd.DataFrame) -> list[Callable[[Axes, pd.DataFrame, Time, np.ndarray | None], None]]:
    """What is drawn against time, from the top down: only what was measured."""
    wanted = {
        _draw_width: ["ew_halpha_a"],
        _draw_ratio: ["violet_red_ratio"],
        _draw_velocities: [name for name, *_ in DRAWN_VELOCITIES],
    }
    return [draw for draw, columns in wanted.items() if shown[columns].notna().to_numpy().any()]


def _light_curves(curves: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Light curves by the column that they are given in: magnitudes first."""
    found = {unit: curves.loc[curves[unit].notna()] for unit in ("magnitude_mag", "relative_flux")}
    return {unit: rows for unit, rows in found.items() if len(rows)}


def _draw_profiles(figure: Figure, axes: Axes, epochs: Epochs, time: Time) -> np.ndarray | None:
    """H-alpha of all epochs, with time as colour, or as a dynamic spectrum; (n_shown, 4) colours of the epochs if they have any."""
    axes.set(xlabel="velocity from Hα / (km/s)", xlim=(-SHOWN_KM_S, SHOWN_KM_S))
    axes.xaxis.set_major_locator(MultipleLocator(400))
    axes.axvline(0, color=QUIET, lw=0.6, ls=":", zorder=3)
    if len(epochs.shown) > OVERPLOTTED_MAX:
        _draw_dynamic(figure, axes, epochs, time)
        return None
    axes.set_ylabel("flux / continuum")
    axes.axhline(1, color=QUIET, lw=0.5, zorder=0)
    mjd = epochs.shown["mjd"].to_numpy(float)
    colours = COLOURS_OF_TIME(np.linspace(0, 1, len(mjd))) if len(mjd) > 1 else np.array([to_rgba(INK)])
    for flux, colour, when in zip(epochs.profiles, colours, mjd, strict=True):
        axes.plot(epochs.velocity_km_s, flux, color=colour, lw=0.8, drawstyle="steps-mid", label=f"{when:.2f}")
    if len(mjd) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, title="MJD / d", title_fontsize=7, **LEGEND)
    return colours


def _draw_dynamic(figure: Figure, axes: Axes, epochs: Epochs, time: Time) -> None:
    """A row for each epoch, in the order of time or phase; lines part the nights."""
    place = time.of(epochs.shown["mjd"].to_numpy(float))
    order = np.argsort(place, kind="stable")
    flux, place = epochs.profiles[order], place[order]
    seen = flux[:, np.abs(epochs.velocity_km_s) <= SHOWN_KM_S]
    low, high = np.nanpercentile(seen, PERCENT_SHOWN) if np.isfinite(seen).any() else (1.0, 1.0)
    low, high = min(low, 0.95), max(high, 1.05)
    mesh = axes.pcolormesh(
        epochs.velocity_km_s,
        np.arange(len(flux)),
        flux,
        cmap=_about_one(low, high),
        norm=Normalize(low, high),
        shading="nearest",
        rasterized=True,
    )
    figure.colorbar(mesh, ax=axes, location="top", aspect=40, pad=0.02).set_label("flux / continuum")
    if time.period_d is None:
        night = epochs.shown["night"].to_numpy(float)[order]
        axes.hlines(np.flatnonzero(np.diff(night)) + 0.5, -SHOWN_KM_S, SHOWN_KM_S, color=INK, lw=0.5)
    rows = np.unique(np.linspace(0, len(flux) - 1, 9).round().astype(int))
    axes.set_yticks(rows, [f"{place[row]:.2f}" for row in rows])
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylabel(f"epochs in the order of {'MJD / d' if time.period_d is None else 'phase'}")


def _about_one(low: float, high: float) -> ListedColormap:
    """Colours of flux between two limits: white is the continuum, red is emission, blue absorption, equally strong for equal differences."""
    most = max(high - 1, 1 - low)
    return ListedColormap(mpl.colormaps["RdBu_r"](0.5 + np.linspace(low - 1, high - 1, 256) / (2 * most)))


def _draw_width(axes: Axes, shown: pd.DataFrame, time: Time, colours: np.ndarray | None) -> None:
    axes.set_ylabel("EW(Hα) / Å")
    _draw_points(axes, shown, "ew_halpha_a", time, colours)
    axes.invert_yaxis()


def _draw_ratio(axes: Axes, shown: pd.DataFrame, time: Time, colours: np.ndarray | None) -> None:
    axes.set_ylabel("V/R")
    axes.axhline(1, color=QUIET, lw=0.5, zorder=0)
    _draw_points(axes, shown, "violet_red_ratio", time, colours)


# Columns of velocities, how they are drawn, and what they are called; the adopted one is called after its method.
DRAWN_VELOCITIES: tuple[tuple[str, str, str, str | None], ...] = (
    ("rv_release_km_s", "x", QUIET, "release"),
    ("rv_km_s", "o", INK, None),
    ("rv_primary_km_s", "^", BLUE, "primary"),
    ("rv_secondary_km_s", "v", RED, "secondary"),
)


def _draw_velocities(axes: Axes, shown: pd.DataFrame, time: Time, colours: np.ndarray | None) -> None:
    axes.set_ylabel("velocity / (km/s)")
    for name, marker, colour, label in DRAWN_VELOCITIES:
        words = label or ", ".join(sorted(shown["rv_method"].dropna().unique()))
        _draw_points(axes, shown, name, time, None if label else colours, marker, colour, words)
    _legend(axes)


def _draw_points(
    axes: Axes,
    shown: pd.DataFrame,
    name: str,
    time: Time,
    colours: np.ndarray | None,
    marker: str = "o",
    colour: str = INK,
    label: str | None = None,
) -> None:
    """The values of a column with their errors."""
    known = shown[name].notna().to_numpy(bool)
    if not known.any():
        return
    mjd, value, error = (shown[column].to_numpy(float)[known] for column in ("mjd", name, f"e_{name}"))
    place, value, error = time.twice(mjd, value, np.nan_to_num(error))
    paint = np.array([to_rgba(colour)] * len(mjd)) if colours is None else colours[known]
    paint = np.tile(paint, (len(place) // len(mjd), 1))
    bars: Any = list(map(tuple, paint))  # a colour each
    axes.errorbar(place, value, error, fmt="none", ecolor=bars, elinewidth=0.7, zorder=1)
    axes.scatter(place, value, s=14, c=paint, marker=marker, lw=0.8 if marker == "x" else 0, zorder=2, label=label)


def _draw_light(axes: Axes, unit: str, rows: pd.DataFrame, time: Time, spectra_mjd: np.ndarray) -> None:
    """Light curves of all sources and bands that are given in one unit, with the times of the spectra where they fall into them."""
    axes.set_ylabel("magnitude" if unit == "magnitude_mag" else "relative flux")
    limit = rows["is_limit"].to_numpy(bool)
    groups: Any = rows[~limit].groupby(["source", "band"], dropna=False)
    for i, ((source, band), curve) in enumerate(groups):
        _dots(
            axes,
            curve,
            unit,
            time,
            ".",
            BANDS[i % len(BANDS)],
            f"{source} {band}" if band not in (None, source) else source,
        )
    if limit.any():
        _dots(axes, rows.loc[limit], unit, time, "v", QUIET, "upper limits (fainter than this)")
    first, last = axes.get_xlim()
    if time.period_d is None and (inside := spectra_mjd[(spectra_mjd >= first) & (spectra_mjd <= last)]).size:
        axes.plot(
            inside,
            np.full(inside.size, 0.03),
            "|",
            color=RED,
            ms=6,
            transform=axes.get_xaxis_transform(),
            label="spectra",
        )
    if unit == "magnitude_mag":
        invert_magnitudes(axes)
    _legend(axes)


def _dots(axes: Axes, curve: pd.DataFrame, unit: str, time: Time, marker: str, colour: str, label: str) -> None:
    place, value = time.twice(curve["mjd"].to_numpy(float), curve[unit].to_numpy(float))
    axes.plot(place, value, marker, ms=2.5, color=colour, alpha=0.6, mew=0, ls="none", label=label, rasterized=True)


def _legend(axes: Axes) -> None:
    """Names above the points."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + HEADROOM * (top - bottom))
    axes.legend(loc="upper left", ncols=4, **LEGEND)
