"""A catalogue in Python: SQL with becat's functions, and the spectra of its stars."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

import becat.udfs as udfs
from becat.arm import Arm
from becat.epochs import Epochs
from becat.etl.catalogue import connection as opening
from becat.etl.catalogue.batches import matrix
from becat.etl.load.arms_of_file import find_in_file
from becat.etl.load.load import spectrum_row
from becat.schema.errors import BecatError
from becat.schema.grid import ARMS
from becat.schema.parameters import in_force
from becat.schema.words import counted
from becat.show import find_spectrum, print_why
from becat.spectrum import Spectra, Spectrum

if TYPE_CHECKING:
    import pandas as pd

    from becat.etl.readers import RawArm

__all__ = ["Catalogue", "open_catalogue"]

# The one that decides comes first; none where it said nothing.
_SCORES = """
    select network, be_score.model_id, be_probability, provider
    from be_score join model using (model_id)
    where is_current and spectrum_id = $1 and exists (from current_score where spectrum_id = $1)
    order by be_score.model_id not in (select model_id from current_model), network
"""


def open_catalogue(path: str | Path, read_only: bool = True) -> Catalogue:
    """Open a catalogue, with becat's functions in its SQL and its own thresholds in force.

    Parameters
    ----------
    path : path
        The DuckDB file.
    read_only : bool
        True lets others read the file at the same time; False lets you write, and nobody else open it.

    Returns
    -------
    Catalogue
        To be closed at the end (``with`` does it).

    Raises
    ------
    BecatError
        There is no such file, it is no catalogue of becat, or another process writes to it.
    """
    return Catalogue(path, read_only)


class Catalogue:
    """An open catalogue.

    Attributes
    ----------
    path : Path
    connection : duckdb.DuckDBPyConnection
        For all that DuckDB can do; the functions of `becat.udfs.register` are there.
    """

    def __init__(self, path: str | Path, read_only: bool = True):
        self.path = Path(path)
        with ExitStack() as stack:
            self.connection = stack.enter_context(opening.open_catalogue(path, read_only))
            udfs.register(self.connection)
            # What is not closed by hand is closed with the notebook: a file stays locked as long as it is open.
            self._close = weakref.finalize(self, stack.pop_all().close)

    def query(self, sql: str, parameters: object = None) -> pd.DataFrame:
        """The answer to SQL as a table of pandas.

        Parameters
        ----------
        sql : str
            DuckDB's SQL; becat's functions and views are there.
        parameters : sequence or mapping, optional
            Values of ``?`` or ``$name``.

        Raises
        ------
        BecatError
            The query is wrong or cannot be answered.
        """
        self._need_open()
        try:
            return self.connection.execute(sql, parameters).df()
        except duckdb.Error as error:
            raise BecatError(opening.what_went_wrong(error)) from error

    @property
    def thresholds(self) -> dict[str, float]:
        """Every threshold as it stands in this catalogue."""
        self._need_open()
        return in_force(self.connection)

    def funnel(self) -> pd.DataFrame:
        """Spectra and stars that pass each step of the selection."""
        return self.query("select step, name, spectra, stars from funnel order by step")

    def why(self, star: str | int) -> None:
        """Print why a star is or is not a Be star, as `becat why` does.

        Raises
        ------
        BecatError
            No star is found.
        """
        self._need_open()
        print_why(self.connection, str(star))

    def spectrum(self, star: str | int) -> Spectrum:
        """The spectrum that stands for a star, or the one of a number.

        Parameters
        ----------
        star : str or int
            A name or a part of one, a position ("292.0587 43.9253"), or the number of a spectrum or star, as for `becat why`.

        Returns
        -------
        Spectrum
            With the thresholds of this catalogue.

        Raises
        ------
        BecatError
            No star is found, or several have such a name.
        """
        self._need_open()
        return self._spectrum(find_spectrum(self.connection, str(star)))

    def spectra(self, star: str | int) -> Spectra:
        """All spectra of a star, in the order of time.

        Raises
        ------
        BecatError
            No star is found.
        """
        chosen = self.spectrum(star)
        found = self.connection.execute(
            "select spectrum_id from spectrum where star_id = ? order by mjd, spectrum_id", [chosen.star_id]
        ).fetchall()
        return Spectra([self._spectrum(row[0]) for row in found] or [chosen])

    def epochs(self, star: str | int) -> Epochs:
        """A star in time: what was measured of each of its spectra, its velocities, period and light curves.

        Parameters
        ----------
        star : str or int
            As for `spectrum`.

        Raises
        ------
        BecatError
            No star is found, or several have such a name.
        """
        self._need_open()
        spectrum_id = find_spectrum(self.connection, str(star))
        row = self._row("select star_id, designation from spectrum where spectrum_id = ?", spectrum_id)
        if row is None or row["star_id"] is None:
            raise BecatError(f"{star} has no position and belongs to no star: it has no epochs")
        return Epochs(self.connection, row["star_id"], row["designation"] or f"star {row['star_id']}")

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        self._close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _need_open(self) -> None:
        if not self._close.alive:
            raise BecatError(f"{self.path} was closed: open it again with becat.open_catalogue")

    def _row(self, sql: str, spectrum_id: int) -> dict | None:
        rows = self.connection.execute(sql, [spectrum_id]).to_arrow_table().to_pylist()
        return rows[0] if rows else None

    def _spectrum(self, spectrum_id: int) -> Spectrum:
        columns = self._row("select * from spectrum where spectrum_id = ?", spectrum_id)
        assert columns is not None
        raw, why = _raw_arms(columns)
        arms = {}
        for name in ARMS:
            sql = f"select flux, ivar, mask from flux_{name} where spectrum_id = ?"
            table = self.connection.execute(sql, [spectrum_id]).to_arrow_table(1)
            if len(table):
                flux, ivar, mask = (matrix(table[column])[0][0] for column in ("flux", "ivar", "mask"))
                arms[name] = Arm(name, flux, ivar, mask, raw.get(name))
        if "red" not in arms:
            raise BecatError(f"the catalogue has no flux for spectrum {spectrum_id}: load its file again")
        scores = self.connection.execute(_SCORES, [spectrum_id]).to_arrow_table().to_pylist()
        missing = self._row("select reason from missing_result where stage = 'score' and spectrum_id = ?", spectrum_id)
        kept = {score["network"]: {**score, **(missing or {})} for score in scores}
        left_out = [f"the flux as in the file: {why}"] if why else []
        return Spectrum(columns, arms, self.thresholds, left_out, kept)

    def __repr__(self) -> str:
        if not self._close.alive:
            return f"Catalogue {self.path} (closed)"
        spectra, stars = self.connection.execute(
            "select (select count(*) from spectrum), (select count(*) from star)"
        ).fetchall()[0]
        return f"Catalogue {self.path}: {counted(spectra, 'spectrum')}, {counted(stars, 'star')}"

    def _repr_html_(self) -> str:
        if not self._close.alive:
            return f"<code>{self!r}</code>"
        return f"<code>{self!r}</code>{self.funnel().to_html(index=False)}"


def _raw_arms(columns: dict) -> tuple[dict[str, RawArm], str]:
    """Arms of a catalogue's spectrum as its file has them, or none and why."""
    raw, why = find_in_file(columns["file"], columns["spectrum_id"])
    if raw is None:
        return {}, why
    if spectrum_row(columns["file"], raw)["content_hash"] != columns["content_hash"]:
        return {}, "the file has changed since it was loaded"
    return raw.arms, ""
