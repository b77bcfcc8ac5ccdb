"""The epochs of one star of a catalogue: its spectra in time, what was measured of each, its period, and its light curves."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from becat.etl.catalogue.batches import matrix
from becat.publish.epoch_words import epoch_words, missing_words
from becat.schema.grid import RED
from becat.schema.lines import LINES
from becat.schema.parameters import value

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from becat.plot import Picture

__all__ = ["Epochs"]

C_KM_S = 299_792.458
HALPHA_A = LINES["halpha"].wavelength_a
WINDOW_KM_S = 1_300.0  # on both sides of the line
PIXELS = np.flatnonzero(np.abs(RED.wavelength_a / HALPHA_A - 1) * C_KM_S <= WINDOW_KM_S)
_VELOCITIES = ("rv_km_s", "rv_primary_km_s", "rv_secondary_km_s", "rv_release_km_s")
_EPOCHS = "select * exclude (star_id, designation) from epoch where star_id = ? order by mjd nulls last, spectrum_id"
_PERIODS = "select * exclude (star_id, run_id) from star_period where star_id = ? order by false_alarm_probability"
_CHANGE = """
    select star_change.*, variable_be.kind_of_change
    from star_change left join variable_be on variable_be.star_id = star_change.star_id
    where star_change.star_id = ?
"""
_LIGHT_CURVES = """
    select source, band, mjd, time_system, magnitude_mag, e_magnitude_mag, relative_flux, e_relative_flux, is_limit
    from light_curve where star_id = ? order by source, band, mjd
"""


class Epochs:
    """What the catalogue knows of a star in time.

    Attributes
    ----------
    name : str
        Designation of the star.
    table : pandas.DataFrame
        Rows of the view ``epoch`` in the order of time. The figures show the spectra that ``counts`` marks: exposures where a night has
        them, otherwise its coadd.
    periods : pandas.DataFrame
        Rows of ``star_period``, the surest first.
    light_curves : pandas.DataFrame
        Rows of ``light_curve``.
    period : dict or None
        The surest of them, if its false-alarm probability is at most `period_false_alarm_max`.
    change : dict
        The star's row of ``star_change``, with the ``kind_of_change`` of ``variable_be`` if it is a candidate; empty without epochs.
    companion : dict
        The star's row of ``binary_evidence``; empty without epochs.
    profiles : (n_shown, n_pixels) float64 array
        Rectified flux around H-alpha of the epochs in `shown`, at `velocity_km_s`; NaN in masked pixels.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, star_id: int, name: str):
        self.star_id, self.name = star_id, name
        self.table: pd.DataFrame = connection.execute(_EPOCHS, [star_id]).df()
        self.periods: pd.DataFrame = connection.execute(_PERIODS, [star_id]).df()
        self.light_curves: pd.DataFrame = connection.execute(_LIGHT_CURVES, [star_id]).df()
        rows = connection.execute(_CHANGE, [star_id]).to_arrow_table().to_pylist()
        self.change: dict[str, Any] = rows[0] if rows else {}
        rows = connection.execute("from binary_evidence where star_id = ?", [star_id]).to_arrow_table().to_pylist()
        self.companion: dict[str, Any] = rows[0] if rows else {}
        sure = self.periods[self.periods["false_alarm_probability"] <= value("period_false_alarm_max", connection)]
        self.period: dict[str, Any] | None = None if sure.empty else sure.iloc[0].to_dict()
        self.profiles = _profiles(connection, self.shown.loc[:, "spectrum_id"])

    @property
    def shown(self) -> pd.DataFrame:
        """Epochs that are drawn: those that count and have a time."""
        return self.table.loc[self.table["counts"].astype(bool) & self.table["mjd"].notna()]

    @property
    def velocity_km_s(self) -> np.ndarray:
        """(n_pixels,) float64 velocities of the pixels of `profiles`, from H-alpha at rest."""
        return (RED.wavelength_a[PIXELS] / HALPHA_A - 1) * C_KM_S

    def plot(self, path: str | Path | None = None, folded: bool | None = None) -> Picture:
        """H-alpha of all epochs, and its equivalent width, V/R and velocity in time, above the light curves.

        Parameters
        ----------
        path : path, optional
            Where to write it too: PNG, PDF or SVG.
        folded : bool, optional
            Whether to fold with `period`; by default where there is one.

        Returns
        -------
        becat.plot.Picture
            A matplotlib figure, which a notebook shows.

        Raises
        ------
        BecatError
            There is nothing to draw, no period to fold with, or the picture cannot be written.
        """
        from becat.plot import save
        from becat.plot_epochs import picture

        drawn = picture(self, self.period is not None if folded is None else folded)
        if path is not None:
            save(drawn, path)
        return drawn

    @property
    def words(self) -> list[str]:
        """How many epochs there are, whether the star changes, with which period, and what is missing: a sentence each."""
        table, shown = self.table, self.shown
        n_timeless = len(table.loc[table["counts"].astype(bool) & table["mjd"].isna()])
        has_ratio, has_velocity = (
            bool(shown[list(names)].notna().to_numpy().any()) for names in (["violet_red_ratio"], _VELOCITIES)
        )
        return [
            *epoch_words(
                len(table), len(table["night"].dropna().unique()), len(shown), self.change, self.companion, self.period
            ),
            *(missing_words(has_ratio, has_velocity, n_timeless) if len(table) else []),
        ]

    def __repr__(self) -> str:
        return "\n  ".join((f"Epochs of {self.name}", *self.words))

    def _repr_html_(self) -> str:
        lines = (f"<b>Epochs of {html.escape(self.name)}</b>", *map(html.escape, self.words))
        return f"<p>{'<br>'.join(lines)}</p>{self.table.to_html(index=False)}"


def _profiles(connection: duckdb.DuckDBPyConnection, spectrum_ids: pd.Series) -> np.ndarray:
    """(n, n_pixels) float64 rectified flux around H-alpha of some spectra; NaN where there is none."""
    ids = spectrum_ids.tolist()
    found = np.full((len(ids), len(PIXELS)), np.nan)
    sql = "select spectrum_id, flux, ivar from flux_red where spectrum_id in (select unnest(?::bigint[]))"
    rows = connection.execute(sql, [ids]).to_arrow_table()
    if len(rows):
        flux, ivar = (matrix(rows[name])[0] for name in ("flux", "ivar"))
        places = [ids.index(spectrum_id) for spectrum_id in rows["spectrum_id"].to_pylist()]
        found[places] = np.where(ivar > 0, flux, np.nan)[:, PIXELS]
    return found
