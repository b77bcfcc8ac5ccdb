"""Spectra in Python, of a file or of a catalogue, with what was done to them; measured, scored and drawn.

Nothing here computes by itself. What `becat.etl.load` read and reduced is measured by `becat.etl.measure` and scored by
`becat.models.score`: the numbers are those that a catalogue gets for the same file.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
from sqlalchemy import REAL

from becat.arm import Arm, Smoothed
from becat.etl.catalogue.batches import EVERYTHING
from becat.etl.measure import COLUMNS, FOLLOW, THRESHOLDS, measure_partition
from becat.etl.missing import why_missing
from becat.models.window import WINDOW_A
from becat.rows import Row
from becat.schema.errors import BecatError
from becat.schema.grid import ARMS, RED
from becat.schema.quality import DESCRIPTIONS, Quality
from becat.schema.tables import TABLES
from becat.udfs.bands import repair
from becat.udfs.bartlett import bartlett_peaks, smooth_bartlett, smoothed_error
from becat.udfs.equivalent_width import shifted_band

if TYPE_CHECKING:
    from becat.models.classifiers import Both, Classifiers
    from becat.models.score import Scorer
    from becat.plot import Picture, Profile

__all__ = ["THRESHOLDS", "Spectra", "Spectrum"]


class Spectrum:
    """One spectrum: what its file says of it (`columns`), its arms, and what can be asked of them.

    Every column of the table ``spectrum`` that is known is an attribute too: ``snr_r``, ``mjd``, ``ra_deg``, ``file``, …

    Parameters
    ----------
    columns : mapping of str to object
        Columns of the table ``spectrum``.
    arms : dict of str to Arm
    thresholds : mapping of str to float
        Values of `THRESHOLDS` with which it is measured.
    left_out : sequence of str
        What of its file could not be trusted, and why.
    kept_scores : mapping of str to mapping, optional
        Its scores in the catalogue that it is from, by classifier, the one that decides first: rows of ``be_score``, and the reason in
        ``missing_result`` where they are NULL.
    """

    def __init__(
        self,
        columns: Mapping[str, object],
        arms: dict[str, Arm],
        thresholds: Mapping[str, float],
        left_out: Sequence[str] = (),
        kept_scores: Mapping[str, Mapping[str, object]] | None = None,
    ):
        self.columns = Row(columns, "spectrum")
        self.arms = arms
        self.thresholds = {name: thresholds[name] for name in THRESHOLDS}
        self.left_out = list(left_out)
        self._kept_scores = kept_scores or {}

    def __getattr__(self, name: str) -> Any:
        columns = self.__dict__.get("columns", {})
        if name not in columns:
            raise AttributeError(f"a spectrum has no {name}")
        return columns[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns]

    @property
    def name(self) -> str:
        """Designation of the star, or the name of the file."""
        return self.columns["designation"] or Path(self.columns["file"]).name

    @property
    def red(self) -> Arm:
        """The arm with H-alpha."""
        return self.arms["red"]

    @property
    def blue(self) -> Arm | None:
        """The arm with Mg b; None where there is none."""
        return self.arms.get("blue")

    @property
    def flags(self) -> list[str]:
        """What was done to the spectrum and what is wrong with it, in words (the bits of ``quality``)."""
        return [DESCRIPTIONS[str(bit.name)] for bit in Quality if self.columns["quality"] & bit]

    @property
    def what_was_done(self) -> list[str]:
        """The flags, what was done to the pixels of each arm, and what of the file was left out."""
        return [*self.flags, *(words for arm in self.arms.values() for words in arm.what_was_done), *self.left_out]

    def measure(self, thresholds: Mapping[str, float] | None = None) -> Row:
        """Equivalent widths with errors, peaks, nebular lines, the class of the profile, and velocities.

        Parameters
        ----------
        thresholds : mapping of str to float, optional
            Other values for some of `THRESHOLDS`, as in ``{"ew_halpha_band_min_a": 6555.0}``.

        Returns
        -------
        Row
            Columns of ``line_measurement``, ``profile_class`` and ``radial_velocity``. A width is positive in absorption, negative in emission;
            None where it cannot be measured: ``reason`` is there then, and says why.

        Raises
        ------
        BecatError
            A threshold decides no measurement.
        """
        tables = measure_partition((self._given, self._with(thresholds)))
        rows = [row for table in tables.values() for row in table.to_pylist()]
        found = {name: value for row in rows for name, value in row.items() if name != "spectrum_id"}
        return Row(found, *tables)

    def score(self, model: str | Path | None = None) -> Row:
        """Probability that H-alpha is that of a Be star.

        Parameters
        ----------
        model : path, optional
            An ONNX model. By default the score that the catalogue keeps, for a spectrum of a catalogue that has one, else that
            of the two classifiers that come with becat, as one.

        Returns
        -------
        Row
            ``be_probability``, ``model_id`` and ``provider``. The probability is None where pixels are missing: ``reason`` is
            there then, and says which.

        Raises
        ------
        BecatError
            The model cannot be used.
        """
        if model is None and self._kept_scores:
            return Row(next(iter(self._kept_scores.values())), "be_score", "missing_result")
        from becat.models.classifiers import decides

        return self._scored(decides(_classifiers(None if model is None else str(model)), "both"))

    def scores(self) -> dict[str, Row]:
        """What each classifier says, where `score` gives the one that decides.

        Returns
        -------
        dict of str to Row
            By classifier, the one that decides first: ``both``, ``resnet18`` and ``profile``, or the one model with which a catalogue was
            scored.
        """
        if self._kept_scores:
            return {name: Row(kept, "be_score", "missing_result") for name, kept in self._kept_scores.items()}
        return {name: self._scored(scorer) for name, scorer in reversed(_classifiers(None).items())}

    def _scored(self, scorer: Scorer | Both) -> Row:
        probability = scorer.score(self.red.flux[None], self.red.ivar[None])[0]
        found = {"model_id": scorer.model_id, "be_probability": probability, "provider": scorer.provider}
        if np.isnan(probability):
            found["reason"] = f"H-alpha could not be scored: {why_missing(self.red.flux, self.red.ivar, WINDOW_A)}"
        return Row(found, "be_score", "missing_result")

    def smoothed(self, thresholds: Mapping[str, float] | None = None) -> Smoothed | None:
        """The smoothed profile with all its peaks and valleys; None where S/N or too many pixels are missing."""
        limits = self._with(thresholds)
        flux, ivar = self.red.flux[None], self.red.ivar[None]
        found = bartlett_peaks(
            flux,
            np.array([_or_nan(self.columns["snr_r"])]),
            RED.wavelength_a,
            (limits["peak_band_min_a"], limits["peak_band_max_a"]),
            inverse_variance=ivar,
            velocity_shift_km_s=self._velocity(limits),
            masked_fraction_max=limits["ew_masked_fraction_max"],
        )
        if found.n_peaks[0] < 0:
            return None
        return Smoothed(
            RED.wavelength_a,
            smooth_bartlett(repair(flux, ivar)[0], found.width_px)[0],
            smoothed_error(ivar, found.width_px)[0],
            int(found.width_px[0]),
            found.peak_wavelength_a,
            found.peak_flux,
            found.valley_wavelength_a,
            found.valley_flux,
        )

    def plot(self, path: str | Path | None = None, thresholds: Mapping[str, float] | None = None) -> Picture:
        """H-alpha with its error, smoothed profile, peaks and numbers, above both arms.

        Parameters
        ----------
        path : path, optional
            Where to write it too: PNG, PDF or SVG.
        thresholds : mapping of str to float, optional
            As for `measure`.

        Returns
        -------
        becat.plot.Picture
            A matplotlib figure, which a notebook shows.

        Raises
        ------
        BecatError
            The picture cannot be written.
        """
        from becat.plot import picture, save

        profile, score = self._profile(thresholds), self.score()
        missing = [row["reason"] for row in (profile.measured, score) if row.get("reason")]
        remarks = [*missing, *self.flags, *self.left_out]
        drawn = picture(self._title(score), profile, self.arms, self._band("mgb", thresholds), remarks)
        if path is not None:
            save(drawn, path)
        return drawn

    def plot_halpha(self, axes, thresholds: Mapping[str, float] | None = None) -> None:
        """Draw H-alpha alone into axes of matplotlib; ``axes.legend()`` says what is what."""
        from becat.plot import draw_halpha

        draw_halpha(axes, self._profile(thresholds))

    def _profile(self, thresholds: Mapping[str, float] | None) -> Profile:
        """What is drawn of H-alpha."""
        from becat.plot import Profile

        return Profile(self.red, self.measure(thresholds), self.smoothed(thresholds), self._band("halpha", thresholds))

    def _band(self, line: str, thresholds: Mapping[str, float] | None) -> tuple[float, float]:
        """Observed limits of the band of an equivalent width, Angstrom."""
        limits = self._with(thresholds)
        band_a = (limits[f"ew_{line}_band_min_a"], limits[f"ew_{line}_band_max_a"])
        low_a, high_a = shifted_band(band_a, self._velocity(limits), 1)
        return float(low_a[0]), float(high_a[0])

    def _velocity(self, limits: Mapping[str, float]) -> np.ndarray | None:
        """(1,) velocity with which bands move, km/s; None where they do not."""
        return self._given["rv_km_s"].to_numpy().astype(float) if limits[FOLLOW] else None

    def _title(self, score: Row) -> str:
        """Name, epoch, S/N, score, and whether it is simulated."""
        probability = score["be_probability"]
        return ", ".join(
            (
                self.name,
                *([] if self.mjd is None else [f"MJD {self.mjd:.2f}"]),
                "S/N unknown" if self.snr_r is None else f"S/N {self.snr_r:.0f}",
                "not scored" if probability is None else f"probability of Be {probability:.3f}",
                *(["simulated"] if self.columns.get("is_simulated") else []),
            )
        )

    def _with(self, thresholds: Mapping[str, float] | None) -> dict[str, float]:
        """The thresholds in force, some of them other than they are."""
        unknown = set(thresholds or ()) - set(THRESHOLDS)
        if unknown:
            raise BecatError(
                f"{', '.join(sorted(unknown))} affects no measurement: those that do are {', '.join(THRESHOLDS)}"
            )
        return {**self.thresholds, **(thresholds or {})}

    @cached_property
    def _given(self) -> pa.Table:
        """The one row that the stage `measure` takes, asked as of a catalogue."""
        columns = {c.name: _arrow(self.columns.get(c.name), c.type) for c in TABLES["spectrum"].columns}
        with duckdb.connect() as connection:
            connection.register("spectrum", pa.table(columns))
            for name in ARMS:
                connection.register(f"flux_{name}", self._flux_table(name))
            return connection.execute(f"select {COLUMNS} from {EVERYTHING}").to_arrow_table(1)

    def _flux_table(self, name: str) -> pa.Table:
        """The row of an arm in its table of the catalogue; no row without that arm."""
        arms = [self.arms[name]] if name in self.arms else []
        kind = pa.list_(pa.float32(), ARMS[name].n_pixels)
        columns = {what: pa.array([getattr(arm, what).tolist() for arm in arms], kind) for what in ("flux", "ivar")}
        return pa.table({"spectrum_id": pa.array([self.spectrum_id] * len(arms), pa.int64()), **columns})

    def _heading(self) -> list[str]:
        """What it is, in a few lines."""
        has = self.columns
        kind = "coadd" if has["coadd"] else f"single exposure {has['lmjm']}"
        simulated = ", SIMULATED" if has.get("is_simulated") else ""
        place = "no position" if has["ra_deg"] is None else f"RA {has['ra_deg']:.5f} deg, Dec {has['dec_deg']:+.5f} deg"
        snr = ", ".join(
            f"{has[f'snr_{arm[0]}']:.1f} {arm}" for arm in self.arms if has.get(f"snr_{arm[0]}") is not None
        )
        return [
            f"{has['survey']} ({has['layout']}), {kind}{simulated}, spectrum_id {has['spectrum_id']}",
            f"{place}, MJD {'unknown' if has['mjd'] is None else format(has['mjd'], '.4f')}",
            f"S/N {snr or 'not in the file: no peaks are counted'}",
            *map(repr, self.arms.values()),
            *self.flags,
            *(f"left out: {words}" for words in self.left_out),
        ]

    def __repr__(self) -> str:
        return "\n  ".join((f"Spectrum {self.name}", *self._heading()))

    def _repr_html_(self) -> str:
        lines = "<br>".join(html.escape(line) for line in self._heading())
        return f"<b>{html.escape(self.name)}</b><br>{lines}"


class Spectra(list[Spectrum]):
    """Spectra of a file or a star, in a list.

    Attributes
    ----------
    left_out : list of str
        What could not be trusted, and why.
    """

    def __init__(self, spectra: Iterable[Spectrum] = (), left_out: Sequence[str] = ()):
        super().__init__(spectra)
        self.left_out = list(left_out)

    def _lines(self) -> list[tuple[str, ...]]:
        return [
            (
                str(i),
                spectrum.name,
                "coadd" if spectrum.coadd else "single",
                "–" if spectrum.mjd is None else f"{spectrum.mjd:.4f}",
                "–" if spectrum.snr_r is None else f"{spectrum.snr_r:.1f}",
                str(len(spectrum.flags)),
            )
            for i, spectrum in enumerate(self)
        ]

    def __repr__(self) -> str:
        lines = [_HEAD, *self._lines()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join((*rows, *(f"left out: {words}" for words in self.left_out)))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{cell}</th>" for cell in _HEAD)
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in self._lines()
        )
        left_out = "".join(f"<p>left out: {html.escape(words)}</p>" for words in self.left_out)
        return f"<table><tr>{head}</tr>{rows}</table>{left_out}"


_HEAD = ("", "name", "kind", "mjd", "snr_r", "flags")


@cache
def _classifiers(model: str | None) -> Classifiers:
    """The classifiers, loaded once: that takes a second, and so does onnxruntime."""
    from becat.models.classifiers import load

    return load(model)


def _arrow(value: object, kind: object) -> pa.Array:
    """A value of a column as a catalogue would hand it out."""
    return pa.array([value], pa.float32() if isinstance(kind, REAL) else None)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
