"""The selection counted with other thresholds, in milliseconds: the numbers that thresholds are compared with, as arrays.

The catalogue's own macros say once, when a snapshot is made, what does not move with a slider; what does is a number for
each spectrum or star, and a comparison here. `tests/test_recount.py` holds it against the views.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from becat.publish.snapshot.address import address_of

__all__ = ["THRESHOLDS", "Columns", "Counted", "count", "load", "write"]

THRESHOLDS = (
    "snr_min", "teff_late_min_k", "teff_late_max_k", "ew_halpha_max_a", "ew_mgb_max_a", "q_late_min_mag", "be_probability_min",
    "nebular_significance_max", "cbe_hk_max_mag", "cbe_kw1_max_mag",
)  # fmt: skip
# Spectra of a star stand together, the one of highest S/N first; those of no star at the end. A number that always
# passes is infinite, one that never passes is null. Spectra of no star have a row of their own at the end of the stars.
SPECTRA_SQL = """
select
    spectrum.star_id,
    case
        when not spectrum.has_blue then spectrum.snr_r
        when spectrum.snr_r is not null and spectrum.snr_b is not null then least(spectrum.snr_r, spectrum.snr_b)
    end as snr,
    coalesce(spectrum.teff_k, '-inf') as teff_k,
    ew_halpha_a,
    case when ew_mgb_a is null and not spectrum.has_blue then '-inf' else ew_mgb_a end as ew_mgb_a,
    be_probability,
    coalesce(passes_emission(coalesce(profile_class_by_eye, profile_class.profile_class)), false) as is_emission,
    case
        when parameter('exclude_contaminants') = 1 and fwhm_halpha_km_s < parameter('nebular_fwhm_max_km_s')
            then nebular_significance
    end as nebular_significance
from spectrum
left join line_measurement using (spectrum_id)
left join current_score using (spectrum_id)
left join profile_class using (spectrum_id)
left join inspection_tally on inspection_tally.star_id = spectrum.star_id
order by spectrum.star_id nulls last, spectrum.snr_r desc, spectrum.spectrum_id"""
STARS_SQL = """
select
    stars.star_id,
    coalesce(q_mag, '-inf') as q_mag,
    passes_inspection(n_be, n_not_be) as is_kept_by_eye,
    coalesce(n_cbe_lists, 0) > 0 as is_known,
    coalesce(
        parameter('exclude_contaminants') = 0 or (herbig_list is null and hii_list is null), false
    ) as is_unlisted,
    coalesce(passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar), false) as is_typed,
    hk0_mag,
    kw10_mag
from (select distinct star_id from spectrum) as stars
left join infrared_colour on infrared_colour.star_id = stars.star_id
left join inspection_tally on inspection_tally.star_id = stars.star_id
left join literature_flag on literature_flag.star_id = stars.star_id
left join spectral_type on spectral_type.star_id = stars.star_id and is_adopted
order by stars.star_id nulls last"""
TABLE_SQL = (
    "create table recount_column (of text, name text, type text, bytes blob, primary key (of, name)) without rowid"
)


@dataclass(frozen=True)
class Columns:
    """Arrays with an entry for each spectrum and for each star, and the place of each spectrum's star (-1: it has none)."""

    spectra: dict[str, np.ndarray]
    stars: dict[str, np.ndarray]
    star_of_spectrum: np.ndarray


@dataclass(frozen=True)
class Counted:
    """Spectra and stars left after each step, and the stars of three of the views."""

    funnel: list[tuple[int, str, int, int]]
    be_candidate: np.ndarray
    new_cbe: np.ndarray
    classical_be: np.ndarray


def write(source, target: sqlite3.Connection) -> None:
    """Put the arrays into the snapshot, packed.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot, without a table ``recount_column``.
    """
    target.execute(TABLE_SQL)
    for of, sql in (("spectrum", SPECTRA_SQL), ("star", STARS_SQL)):
        for name, values in source.execute(sql).fetchnumpy().items():
            array = _plain(values)
            target.execute(
                "insert into recount_column values (?, ?, ?, ?)",
                (of, name, array.dtype.str, zlib.compress(array.tobytes(), 1)),
            )


def _plain(values: np.ndarray) -> np.ndarray:
    """Flags as bytes, whole numbers of 8 bytes (missing: the lowest), others of 4 bytes where these hold them exactly."""
    if values.dtype.kind == "b":
        return np.ma.filled(values, False).astype(np.uint8)
    if values.dtype.kind in "iu":
        return np.ma.filled(values.astype(np.int64), np.iinfo(np.int64).min)
    whole = np.ma.filled(values.astype(np.float64), np.nan)
    short = whole.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), whole, equal_nan=True) else whole


def load(snapshot: str | Path) -> Columns | None:
    """The arrays of a snapshot; None where it has none, because an older becat made it."""
    with closing(sqlite3.connect(address_of(snapshot), uri=True)) as connection:
        try:
            rows = connection.execute("select of, name, type, bytes from recount_column").fetchall()
        except sqlite3.OperationalError:
            return None
    found: dict[str, dict[str, np.ndarray]] = {"spectrum": {}, "star": {}}
    for of, name, kind, packed in rows:
        array = np.frombuffer(zlib.decompress(packed), dtype=kind)
        found[of][name] = array.view(bool) if kind == "|u1" else array
    of_spectrum, no_star = found["spectrum"].pop("star_id"), np.iinfo(np.int64).min
    stars = found["star"]["star_id"]
    place = np.searchsorted(stars[stars != no_star], of_spectrum).astype(np.int32)
    place[of_spectrum == no_star] = -1
    return Columns(found["spectrum"], found["star"], place)


def count(columns: Columns, limits: dict[str, float]) -> Counted:
    """Count the selection.

    Parameters
    ----------
    columns : Columns
    limits : dict of str to float
        A value for each of `THRESHOLDS`.

    Returns
    -------
    Counted
        As the views ``funnel``, ``be_candidate``, ``new_cbe`` and ``classical_be`` would say.
    """
    at = {name: np.float64(value) for name, value in limits.items()}  # so that numbers of 4 bytes are compared in 8
    spectra, stars, place = columns.spectra, columns.stars, columns.star_of_spectrum
    funnel = [_step(0, "spectra", place)]

    def keep(step: int, name: str, left: np.ndarray, passes: np.ndarray) -> np.ndarray:
        left = left[passes]
        funnel.append(_step(step, name, place[left]))
        return left

    left = keep(10, "good_snr", np.arange(len(place)), spectra["snr"] > at["snr_min"])
    teff_k = spectra["teff_k"][left]
    left = keep(20, "teff", left, (teff_k < at["teff_late_min_k"]) | (teff_k > at["teff_late_max_k"]))
    is_weak = spectra["ew_mgb_a"][left] < at["ew_mgb_max_a"]
    left = keep(30, "early_by_lines", left, is_weak & (spectra["ew_halpha_a"][left] < at["ew_halpha_max_a"]))
    left = keep(40, "q_index", left, (stars["q_mag"] < at["q_late_min_mag"])[place[left]])
    left = keep(50, "be_probability", left, spectra["be_probability"][left] >= at["be_probability_min"])
    left = keep(60, "inspection", left, stars["is_kept_by_eye"][place[left]])
    return _judge_stars(columns, left[place[left] >= 0], at, funnel)


def _step(step: int, name: str, place: np.ndarray) -> tuple[int, str, int, int]:
    """Number of spectra, and of the stars that they belong to: places of the same star stand together."""
    changes = np.count_nonzero(np.diff(place)) + 1 if len(place) else 0
    return step, name, len(place), int(changes - (len(place) > 0 and place[-1] < 0))


def _judge_stars(columns: Columns, left: np.ndarray, at: dict[str, np.float64], funnel: list) -> Counted:
    """The steps from 70 on: the first spectrum of each star that is left, the one of highest S/N, stands for it."""
    stars = columns.stars
    place, first, n_spectra = np.unique(columns.star_of_spectrum[left], return_index=True, return_counts=True)
    best = left[first]
    is_known = stars["is_known"][place]
    is_nebular = columns.spectra["nebular_significance"][best] > at["nebular_significance_max"]
    passes = columns.spectra["is_emission"][best]
    is_known_be = passes & is_known
    funnel.append((70, "emission", int(n_spectra[passes].sum()), int(passes.sum())))
    for step, name, test in (
        (80, "contaminant", ~is_known & stars["is_unlisted"][place] & ~is_nebular),
        (90, "spectral_type", stars["is_typed"][place]),
        (
            100,
            "infrared",
            (stars["hk0_mag"] < at["cbe_hk_max_mag"])[place] & (stars["kw10_mag"] < at["cbe_kw1_max_mag"])[place],
        ),
    ):
        passes = passes & test
        funnel.append((step, name, int(n_spectra[passes].sum()), int(passes.sum())))
    ids = stars["star_id"][place]
    return Counted(funnel, be_candidate=ids, new_cbe=ids[passes], classical_be=ids[passes | is_known_be])
