"""What the classifier is trained on: simulated spectra without end, real ones with and without injected emission."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np

from becat.models.training.facts import FACTS, facts_of
from becat.models.window import PIXELS, bridge, cut_window
from becat.schema.grid import RED
from becat.simulate.injection import Hosts, sample_injected
from becat.simulate.instrument import sky_residuals
from becat.simulate.labels import WINDOW as WIDE
from becat.simulate.labels import Profiles
from becat.simulate.sample import sample_profiles

__all__ = ["Drawn", "Labelled", "Mixture", "labelled_from_catalogue", "simulated", "window_of"]

_FIRST = PIXELS.start - WIDE.start
_N_WINDOW = PIXELS.stop - PIXELS.start
# Of a batch, where labelled real spectra are given: hosts with or without injected emission, and spectra as they are.
SHARE_INJECTED = 0.22
SHARE_REAL = 0.10
_MIN_REAL_SNR = 3.0
_MAX_SHIFT_PX = 24  # of real spectra, to both sides: 137 km/s
_NATIVE_STEP_A = {"LAMOST MRS": 0.137, "LAMOST LRS": 1.5116}
_PIXELS_PER_ELEMENT = 2.4


class Drawn(NamedTuple):
    """Windows (n, 481), labels (n,), -1 for neither class, and facts (n, k), see `becat.models.training.facts`, to train on."""

    flux: np.ndarray
    label: np.ndarray
    facts: np.ndarray


def window_of(profiles: Profiles) -> tuple[np.ndarray, np.ndarray]:
    """The classifier's window of simulated profiles, and whether it is usable."""
    inside = slice(_FIRST, _FIRST + _N_WINDOW)
    return cut_window(profiles.flux[:, inside], profiles.ivar[:, inside])


def simulated(
    n: int, rng: np.random.Generator, generator: str = "a", kinds: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """n simulated spectra that belong to a class.

    Parameters
    ----------
    n : int
    rng : numpy Generator
    generator : {"a", "b", "c"}
        "a" trains; "b" and "c" only test.
    kinds : list of str, optional
        Only these kinds of `becat.simulate.sample`.

    Returns
    -------
    flux : (n, 481) float32 array
    label : (n,) int8 array of 0 and 1
    """
    drawn = _collect(n, lambda wanted: sample_profiles(wanted, rng, generator, kinds))
    return drawn.flux, drawn.label


def _collect(n, sample, neither=False):
    """n usable profiles that belong to a class, or to `neither` too."""
    parts = [Drawn(np.empty((0, _N_WINDOW), np.float32), np.empty(0, np.int8), np.empty((0, len(FACTS)), np.float32))]
    while (found := sum(len(part.label) for part in parts)) < n:
        profiles = sample(max(8, int((n - found) * 1.2)))
        window, usable = window_of(profiles)
        kept = np.flatnonzero(usable & ((profiles.label >= 0) | neither))
        parts.append(Drawn(window[kept], profiles.label[kept], facts_of(profiles)[kept]))
    return Drawn(*(np.concatenate(column)[:n] for column in zip(*parts, strict=True)))


@dataclass
class Labelled:
    """Labelled real spectra.

    Attributes
    ----------
    flux, ivar : (n, 561) float32 arrays
        Rectified flux with bad pixels bridged, and inverse variance, 6525-6595 Angstrom.
    label : (n,) int8 array
        1 Be, 0 not Be, -1 neither class.
    star : (n,) str array
        All spectra of a star are on one side of the split.
    name : (n,) str array
        To name errors by.
    kept : (n,) bool array
        Kept for validation or test, never trained on.
    test : (n,) bool array
        Of these, those that no choice may lean on.
    resolving_power, step_a, snr : (n,) float arrays
        Of the spectrograph; width of its pixels, Angstrom; signal to noise.
    """

    flux: np.ndarray
    ivar: np.ndarray
    label: np.ndarray
    star: np.ndarray
    name: np.ndarray
    kept: np.ndarray
    test: np.ndarray
    resolving_power: np.ndarray
    step_a: np.ndarray
    snr: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> Labelled:
        """These rows only."""
        return Labelled(**{field: getattr(self, field)[rows] for field in self.__dataclass_fields__})

    def trained_on(self) -> Labelled:
        """Those of a class that are kept for nothing else."""
        return self.take(~self.kept & (self.label >= 0))

    def validated_on(self) -> Labelled:
        """Those of a class that choices may lean on, but no training: S/N over 10."""
        return self.take(self.kept & ~self.test & (self.label >= 0) & (self.snr > 10))

    def windows(self) -> tuple[np.ndarray, np.ndarray]:
        """The classifier's windows and whether they are usable."""
        inside = slice(_FIRST, _FIRST + _N_WINDOW)
        return cut_window(self.flux[:, inside], self.ivar[:, inside])

    def hosts(self) -> Hosts:
        """The absorption spectra among them."""
        rows = (self.label == 0) & (self.snr >= 10)
        return Hosts(self.flux[rows], self.ivar[rows], self.resolving_power[rows], self.step_a[rows], self.snr[rows])

    def description(self) -> dict:
        """Counts and hash, for the record of a training."""
        return {
            "real_spectra": len(self),
            "real_be": int((self.label == 1).sum()),
            "real_stars": len(set(self.star)),
            "validation_spectra": int(self.kept.sum()),
            "validation_be": int((self.label[self.kept] == 1).sum()),
            "test_spectra": int(self.test.sum()),
            "sha256": hashlib.sha256(self.flux.tobytes() + self.label.tobytes()).hexdigest(),
        }


class Mixture:
    """Source of training batches.

    Parameters
    ----------
    labelled : Labelled, optional
        Real spectra to train on; without, all spectra are simulated.
    neither : bool
        Draw also spectra whose feature cannot be seen, with label -1: there is no class to learn from them, but facts.
    real_sky : bool
        Put residuals of sky lines into real spectra, too, as the simulated ones have them, beside those that are in them already.
    """

    def __init__(self, labelled: Labelled | None = None, neither: bool = False, real_sky: bool = False):
        self.neither, self.real_sky = neither, real_sky
        self.real = labelled.take(labelled.snr >= _MIN_REAL_SNR) if labelled is not None else None
        self.hosts = self.real.hosts() if self.real is not None else None

    def draw(self, n: int, rng: np.random.Generator) -> Drawn:
        """n spectra, shuffled."""
        hosts = self.hosts
        if hosts is None or not len(hosts.flux):
            return self._simulated(n, rng)
        n_injected, n_real = round(n * SHARE_INJECTED), round(n * SHARE_REAL)
        parts = [
            self._simulated(n - n_injected - n_real, rng),
            _collect(n_injected, lambda wanted: self._injected(wanted, rng, hosts), self.neither),
            self._as_they_are(n_real, rng),
        ]
        order = rng.permutation(n)
        return Drawn(*(np.concatenate(column)[order] for column in zip(*parts, strict=True)))

    def _simulated(self, n, rng):
        return _collect(n, lambda wanted: sample_profiles(wanted, rng), self.neither)

    def _injected(self, n, rng, hosts):
        profiles = sample_injected(n, rng, hosts, be_fraction=0.4)
        if self.real_sky:
            profiles.flux += _sky(rng, RED.wavelength_a[WIDE], profiles.truth["snr"], profiles.truth["resolving_power"])
        return profiles

    def _as_they_are(self, n, rng):
        """Real spectra, a third of them Be where there are any, moved by a velocity and scaled a little."""
        real = self.real
        assert real is not None
        weight = np.where(real.label == 1, 0.5 / max(1, (real.label == 1).sum()), 1 / max(1, (real.label == 0).sum()))
        row = rng.choice(len(real), n, p=weight / weight.sum())
        start = _FIRST + rng.integers(-_MAX_SHIFT_PX, _MAX_SHIFT_PX + 1, n)
        flux = real.flux[row[:, None], start[:, None] + np.arange(_N_WINDOW)]
        tilt = np.linspace(-1, 1, _N_WINDOW) * rng.normal(0, 0.008, (n, 1))
        moved = (flux * (1 + rng.normal(0, 0.012, (n, 1)) + tilt)).astype(np.float32)
        if self.real_sky:
            moved += _sky(rng, RED.wavelength_a[PIXELS], real.snr[row], real.resolving_power[row])
        return Drawn(moved, real.label[row], np.full((n, len(FACTS)), np.nan, np.float32))


def _sky(rng, wavelength_a, snr, resolving_power):
    """(n, m) float32 residuals of sky lines on a continuum of one."""
    everywhere = np.broadcast_to(wavelength_a, (len(snr), len(wavelength_a)))
    return sky_residuals(rng, everywhere, 1 / snr[:, None] ** 2, resolving_power).astype(np.float32)


def labelled_from_catalogue(catalogue: str | Path, labels: str | Path | None = None) -> Labelled:
    """Labelled spectra of a catalogue.

    Parameters
    ----------
    catalogue : path
        DuckDB file; it is only read.
    labels : path, optional
        CSV with a header: ``spectrum_id`` (or ``file``, the file's name without its folder) and ``label`` (1 Be,
        0 not Be, -1 neither class); if wanted also ``star``, a name that keeps spectra of a star without position together,
        ``validation`` (1: never train on this star, 0: do), by default two stars in five, chosen by a hash of the name, and
        ``test`` (1: this star only tests). Without a file, the verdicts of the table `inspection` are the labels.

    Returns
    -------
    Labelled

    Raises
    ------
    ValueError
        The file lacks a column, has another label than 0, 1 and -1, or names no spectrum of the catalogue.
    """
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        if labels is None:
            found = connection.execute(_INSPECTED).fetchall()
        else:
            found = _match(connection, _read_labels(Path(labels)))
        if not found:
            raise ValueError(f"no label belongs to a spectrum of {catalogue} with flux")
        label_of = {row[0]: row for row in found}
        table = connection.execute(
            f"""
            select spectrum_id, coalesce(star_id::text, designation, file), file, coalesce(resolving_power, 7500), survey,
                   coalesce(snr_r, 0), flux[{WIDE.start + 1}:{WIDE.stop}], ivar[{WIDE.start + 1}:{WIDE.stop}]
            from flux_red join spectrum using (spectrum_id)
            where spectrum_id in (select unnest(?)) order by spectrum_id
            """,
            [list(label_of)],
        ).fetchnumpy()
    ids, own_star, file, power, survey, snr = list(table.values())[:6]
    flux, ivar = (np.stack([np.asarray(v, np.float32) for v in column]) for column in list(table.values())[6:])
    good = np.isfinite(flux) & (ivar > 0)
    star = [label_of[i][2] or name for i, name in zip(ids, own_star, strict=True)]
    given = {name: label_of[i][3] for i, name in zip(ids, star, strict=True) if label_of[i][3] is not None}
    tests = {name for i, name in zip(ids, star, strict=True) if label_of[i][4]}
    own_step = RED.wavelength_a[WIDE].mean() / np.asarray(power, float) / _PIXELS_PER_ELEMENT
    return Labelled(
        flux=bridge(np.where(good, flux, 1).astype(np.float32), good),
        ivar=np.where(good, ivar, 0).astype(np.float32),
        label=np.array([label_of[i][1] for i in ids], np.int8),
        star=np.array(star, str),
        kept=np.array([name in tests or given.get(name, _by_hash(name)) for name in star], bool),
        test=np.array([name in tests for name in star], bool),
        name=np.array([Path(f).name for f in file], str),
        resolving_power=np.asarray(power, float),
        step_a=np.array([_NATIVE_STEP_A.get(s, own) for s, own in zip(survey, own_step, strict=True)]),
        snr=np.asarray(snr, float),
    )


# The verdict on a star holds for all its spectra, unless it was given to one of them; the last word counts.
_INSPECTED = """
    select s.spectrum_id, arg_max(i.is_be, i.inspected_at)::tinyint, null, null, null
    from inspection i
    join spectrum s on s.star_id = i.star_id and coalesce(i.spectrum_id, s.spectrum_id) = s.spectrum_id
    where i.is_be is not null
    group by all
"""


def _read_labels(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    columns = set(rows[0]) if rows else set()
    if "label" not in columns or not columns & {"spectrum_id", "file"}:
        raise ValueError(f"{path}: needs the columns spectrum_id (or file) and label, has {sorted(columns)}")
    for number, row in enumerate(rows, 2):
        if row["label"] not in ("0", "1", "-1"):
            raise ValueError(f"{path}, row {number}: label is {row['label']!r}, not 0 or 1, or -1 for neither")
    return rows


def _match(connection, rows) -> list[tuple]:
    """(spectrum_id, label, star, validation, test) of the rows whose spectrum is in the catalogue."""
    if "spectrum_id" in rows[0]:
        known = {r[0]: [r[0]] for r in connection.execute("select spectrum_id from flux_red").fetchall()}
        keys = [int(row["spectrum_id"]) for row in rows]
    else:
        known = {}
        for file, spectrum_id in connection.execute("select file, spectrum_id from spectrum").fetchall():
            known.setdefault(Path(file).name, []).append(spectrum_id)
        keys = [row["file"] for row in rows]
    return [
        (spectrum_id, int(row["label"]), row.get("star") or None, _flag(row.get("validation")), _flag(row.get("test")))
        for key, row in zip(keys, rows, strict=True)
        for spectrum_id in known.get(key, [])
    ]


def _flag(text) -> bool | None:
    return {"1": True, "0": False}.get(text or "")


def _by_hash(star: str) -> bool:
    return hashlib.sha256(f"{star}".encode()).digest()[0] / 256 < 0.4
