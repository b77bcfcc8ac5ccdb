"""A simulated survey: files in LAMOST's layouts, its catalogues, and the truth beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from tqdm import tqdm

from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.simulate.draw import distributions, draw
from becat.simulate.files import write_image, write_lrs, write_mrs
from becat.simulate.places import draw_apart, star_of_place
from becat.simulate.spectra import Simulated, Stars, draw_stars, expose

__all__ = [
    "FIRST_OBSID",
    "designations",
    "draw_positions",
    "file_name",
    "times_of_night",
    "write_catalogues",
    "write_survey",
]

FIRST_OBSID = 8_000_000_000  # beyond any that the survey has given
_PLATE = 64  # spectra made at once: one plate, one night, one layout
_RELEASE = {"mrs_rows": "DR7", "mrs_vector": "DR9", "lrs_old": "DR1", "lrs_image": "DR5", "lrs_table": "DR9"}
_TRUTH_COLUMNS = (
    "ew_emission_a", "v_sin_i_km_s", "peak_separation_km_s", "violet_red_ratio", "n_peaks", "inclination_deg",
    "shell_fwhm_km_s", "shell_optical_depth", "rv_km_s", "teff_k", "logg_dex", "feature_significance",
    "feature_significance_marginal", "disc_free_significance",
)  # fmt: skip


def write_survey(
    directory: str | Path,
    n: int = 1000,
    seed: int = 1,
    stars: pd.DataFrame | Sequence[Mapping] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Write a simulated survey; the same seed writes the same bytes.

    Leaves ``spectra/*.fits*``, ``mrs_general_catalogue.csv``, ``mrs_stellar_parameter_catalogue.csv`` and, last of all,
    ``truth.csv`` (a row per spectrum).

    Parameters
    ----------
    directory : path
        Made if it is not there.
    n : int
        Number of spectra, besides those of the given stars.
    seed : int
    stars : table or sequence of mappings, optional
        Stars that must be in it: designation, ra_deg, dec_deg and, where wanted, kind, snr, n_epochs. A missing kind is
        ``emission``, a missing S/N is drawn, a missing number of epochs is 1. They are observed as ``mrs_rows``. Entries
        at one place, as the catalogue tells stars apart, are one star, of the kind of the first of them.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        The truth table, as in truth.csv.

    Raises
    ------
    ValueError
        A given star has a kind that does not exist.
    """
    directory = Path(directory)
    (directory / "spectra").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    table = _plan(n, rng, stars)
    parents = draw_stars(table.groupby("star").kind.first().to_numpy(), rng)
    parents.seed = rng.integers(2**62, size=len(parents.kind))
    parts = []
    with tqdm(total=len(table), unit="spectrum", disable=None if progress else True, desc="simulating") as bar:
        for _, plate in table.groupby("plate", sort=True):
            parts.append(_write_plate(directory / "spectra", plate, parents, rng))
            bar.update(len(plate))
    truth = pd.concat(parts, ignore_index=True)
    write_catalogues(directory, truth)
    truth.to_csv(directory / "truth.csv", index=False, float_format="%.6f")
    return truth


def _plan(n, rng, stars):
    """One row a spectrum: star, visit, kind, position, S/N, layout and plate."""
    fixed = _fixed_stars(stars, rng)
    drawn = _draw_plan(n, rng, fixed)
    table = pd.concat([fixed, drawn], ignore_index=True) if len(fixed) else drawn
    # A plate has one layout and no star twice: the visits of a star are on different nights.
    table = table.sort_values(["layout", "visit", "star"], kind="stable", ignore_index=True)
    position = table.groupby(["layout", "visit"], sort=False).cumcount() // _PLATE
    table["plate"] = pd.factorize(pd.Series(list(zip(table.layout, table.visit, position, strict=True))))[0]
    galactic: Any = SkyCoord(table.ra_deg, table.dec_deg, unit="deg").galactic
    table["l_deg"], table["b_deg"] = np.round(galactic.l.deg, 6), np.round(galactic.b.deg, 6)
    table["obsid"] = FIRST_OBSID + 1000 * (table.plate + 1) + table.groupby("plate").cumcount() + 1
    return table


def _fixed_stars(stars, rng):
    """Spectra of the stars that were asked for."""
    frame = pd.DataFrame([] if stars is None else stars).copy()
    if frame.empty:
        return frame
    n = len(frame)
    defaults = {"kind": "emission", "snr": np.nan, "n_epochs": 1}
    for name, value in defaults.items():
        frame[name] = frame[name].fillna(value) if name in frame else value
    unknown = sorted(set(frame.kind) - set(distributions()["kinds"]))
    if unknown:
        raise ValueError(f"unknown kinds of star {unknown}: use {list(distributions()['kinds'])}")
    frame["snr"] = frame.snr.fillna(pd.Series(draw({"log": [20, 120]}, rng, n), index=frame.index))
    frame["designation"] = frame.designation.str.removeprefix("LAMOST ").str.strip()
    frame["star"], frame["layout"] = star_of_place(frame.ra_deg.to_numpy(), frame.dec_deg.to_numpy()), "mrs_rows"
    repeated = frame.loc[frame.index.repeat(frame.n_epochs.astype(int))]
    repeated = repeated.assign(visit=repeated.groupby("star").cumcount())
    return repeated[["star", "visit", "kind", "designation", "ra_deg", "dec_deg", "snr", "layout"]]


def _draw_plan(n, rng, fixed):
    """n spectra of stars drawn along the northern plane, some visited more than once; none is at the place of a fixed one."""
    first, taken = 0, np.empty((2, 0))
    if len(fixed):
        first, taken = int(fixed.star.max()) + 1, fixed[["ra_deg", "dec_deg"]].to_numpy(float).T
    survey = distributions()["survey"]
    epochs = rng.choice(len(survey["epochs"]), n, p=survey["epochs"]) + 1
    n_stars = int(np.searchsorted(np.cumsum(epochs), n)) + 1
    star = np.repeat(np.arange(n_stars), epochs[:n_stars])[:n]
    kinds, layouts = survey["kinds"], survey["layouts"]
    kind = rng.choice(list(kinds), n_stars, p=_shares(kinds))
    kind[: min(n_stars, len(kinds))] = list(kinds)[:n_stars]  # each kind at least once
    layout = rng.choice(list(layouts), n_stars, p=_shares(layouts))
    ra_deg, dec_deg = draw_apart(lambda rows: draw_positions(len(rows), rng), n_stars, (taken[0], taken[1]))
    snr = draw(survey["snr"], rng, n_stars)
    noise = kind == "noise"
    snr[noise] = draw(distributions()["kinds"]["noise"]["snr"], rng, int(noise.sum()))
    table = pd.DataFrame({
        "star": star + first, "kind": kind[star], "designation": designations(ra_deg, dec_deg)[star],
        "ra_deg": ra_deg[star], "dec_deg": dec_deg[star], "snr": snr[star] * np.exp(rng.normal(0, 0.1, n)),
        "layout": layout[star],
    })  # fmt: skip
    table["visit"] = table.groupby("star").cumcount()
    return table


def _shares(table):
    values = np.array(list(table.values()))
    return values / values.sum()


def draw_positions(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n,) right ascension and declination, degrees, along the part of the Galactic plane that LAMOST sees."""
    longitude = rng.uniform(60, 220, n)
    latitude = np.clip(rng.laplace(0, 4, n), -30, 30)
    sky: Any = SkyCoord(longitude, latitude, unit="deg", frame="galactic").icrs
    return np.round(sky.ra.deg, 6), np.round(np.maximum(sky.dec.deg, -9.9), 6)


def designations(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """LAMOST's names JHHMMSS.ss+DDMMSS.s: the position cut off, not rounded."""
    centiseconds = np.floor(ra_deg / 15 * 360000 + 1e-6).astype(int)
    deciseconds = np.floor(np.abs(dec_deg) * 36000 + 1e-6).astype(int)
    names = [
        f"J{a // 360000:02d}{a // 6000 % 60:02d}{a % 6000 / 100:05.2f}"
        f"{'-' if negative else '+'}{d // 36000:02d}{d // 600 % 60:02d}{d % 600 / 10:04.1f}"
        for a, d, negative in zip(centiseconds, deciseconds, dec_deg < 0, strict=True)
    ]
    return np.array(names)


def _write_plate(folder, plate, parents: Stars, rng):
    """Make and write the spectra of one plate; its part of the truth table."""
    survey = distributions()["survey"]
    layout = plate.layout.iloc[0]
    arms = ("lrs",) if layout.startswith("lrs") else ("blue", "red")
    with_singles = arms != ("lrs",) and layout != "image" and rng.random() < survey["singles_fraction"]
    n_exposures = int(rng.integers(2, 4))
    factor = np.where(plate.visit == 0, 1.0, rng.uniform(-1, 1, len(plate)))
    stars = parents.take(plate.star.to_numpy(), factor)
    seen = expose(stars, plate.snr.to_numpy(float), rng, arms, n_exposures if with_singles else 0)
    night = times_of_night(_middle_of_night(plate, rng), n_exposures, int(plate.plate.iloc[0]))
    night["release"] = f"LAMOST {_RELEASE.get(layout, 'DR7')}"
    rows = []
    for row, spectrum in enumerate(plate.itertuples()):
        meta = night | _spectrum_meta(spectrum, row, seen, arms)
        meta["file"] = file_name(meta, layout)
        path = folder / meta["file"]
        if layout == "image":
            write_image(path, meta, seen.coadd, row)
        elif layout.startswith("lrs"):
            write_lrs(path, meta, seen.coadd, row, layout)
        else:
            write_mrs(path, meta, seen.coadd, row, seen.singles, layout)
        rows.append(_truth_row(spectrum, meta, seen, row, bool(with_singles)))
    return pd.DataFrame(rows)


def _middle_of_night(plate, rng):
    """Middle of the exposures of a plate, MJD."""
    layout = plate.layout.iloc[0]
    first = {"mrs_rows": 58000, "mrs_vector": 58500, "lrs_old": 55900, "lrs_image": 56300, "lrs_table": 59900}
    return first.get(layout, 59000) + 37 * int(plate.visit.iloc[0]) + int(rng.integers(0, 30)) + rng.uniform(0.45, 0.75)


def times_of_night(middle_mjd: float, n_exposures: int, plate: int) -> dict:
    """What all spectra of a plate share: times, plan and number of exposures.

    Parameters
    ----------
    middle_mjd : float
        Middle of the exposures, which follow one another without a pause (UTC).
    n_exposures : int
    plate : int
        Names the plan and the spectrograph.

    Returns
    -------
    dict
        What `files.write_mrs` asks of ``meta`` and is not of one spectrum alone.
    """
    exposure_s = distributions()["survey"]["exposure_s"]
    span = n_exposures * exposure_s / 86400
    utc: Any = Time([middle_mjd, middle_mjd - span / 2, middle_mjd + span / 2], format="mjd", scale="utc")
    local: Any = utc + 8 * u.hour
    begin = int(local[1].mjd * 1440)
    lmjms = [begin + i * exposure_s // 60 for i in range(n_exposures)]
    return {
        "plan_id": f"SM{plate:06d}", "spectrograph": plate % 16 + 1, "mjd": int(middle_mjd), "mjd_middle": middle_mjd,
        "lmjd": int(local[0].mjd + 0.5), "date_obs": utc[0].isot[:19], "date_beg": local[1].isot[:21],
        "date_end": local[2].isot[:21], "date": "2026-01-01T00:00:00", "exposure_s": float(n_exposures * exposure_s),
        "n_exposures": n_exposures, "lmjms": lmjms, "helio_rv_km_s": 0.0, "lmjm": begin,
        "lmjm_list": "-".join(str(lmjm) for lmjm in lmjms),
    }  # fmt: skip


def _spectrum_meta(spectrum, row, seen: Simulated, arms):
    """What belongs to one spectrum of a plate."""
    red, blue = (seen.coadd[arm].snr[row] for arm in (arms[-1], arms[0]))
    return {
        "obsid": int(spectrum.obsid), "designation": spectrum.designation, "star": str(spectrum.star),
        "ra_deg": float(spectrum.ra_deg), "dec_deg": float(spectrum.dec_deg), "fiber": row + 1,
        "l_deg": float(spectrum.l_deg), "b_deg": float(spectrum.b_deg),
        "snr_r": round(float(red), 2), "snr_b": round(float(blue), 2), "subclass": "unknown",
        "redshift": round(float(seen.truth["rv_km_s"][row]) / SPEED_OF_LIGHT_KM_S, 8),
    }  # fmt: skip


def file_name(meta: dict, layout: str) -> str:
    """File names as the survey gives them; simulated ones cannot be mistaken, since no plan is called SM."""
    if layout == "image":
        return f"{meta['designation']}_{meta['lmjd']}.fits"
    survey = "med" if layout.startswith("mrs") else "spec"
    place = f"{meta['lmjd']}-{meta['plan_id']}_sp{meta['spectrograph']:02d}-{meta['fiber']:03d}"
    return f"{survey}-{place}.fits.gz"


def _truth_row(spectrum, meta, seen: Simulated, row, with_singles):
    """One row of truth.csv."""
    known = {name: float(seen.truth[name][row]) for name in _TRUTH_COLUMNS}
    return {
        "file": meta["file"], "obsid": meta["obsid"], "layout": spectrum.layout, "star": spectrum.star,
        "designation": spectrum.designation, "ra_deg": spectrum.ra_deg, "dec_deg": spectrum.dec_deg,
        "mjd": meta["mjd_middle"], "lmjd": meta["lmjd"], "plan_id": meta["plan_id"], "visit": spectrum.visit,
        "has_singles": with_singles, "kind": seen.kind[row], "label": int(seen.label[row]), "snr_b": meta["snr_b"],
        "snr_r": meta["snr_r"], **known,
    }  # fmt: skip


def write_catalogues(directory: Path, truth: pd.DataFrame) -> None:
    """General and stellar-parameter catalogue of the medium-resolution spectra, a row a band, as LAMOST releases them."""
    mrs = truth[truth.layout.str.startswith("mrs")]
    bands = pd.concat([
        mrs.assign(band=band, snr=mrs[column], order=order)
        for order, (band, column) in enumerate((("B", "snr_b"), ("R", "snr_r")))
    ]).sort_values(["obsid", "order"], kind="stable")  # fmt: skip
    bands = bands.assign(lmjm=0, coadd=1, obsdate=Time(bands.mjd.to_numpy(), format="mjd").strftime("%Y-%m-%d"))
    bands[["spid", "fiberid"]] = bands.file.str.extract(r"_sp(\d+)-(\d+)").astype(int)
    bands = bands.rename(columns={"plan_id": "planid"})
    of_file, of_band = ["lmjd", "planid", "spid", "fiberid"], ["lmjm", "band", "coadd", "snr"]
    general = bands.rename(columns={"ra_deg": "ra", "dec_deg": "dec"})
    columns = ["obsid", "designation", "obsdate", *of_file, *of_band, "ra", "dec"]
    _csv(general[columns], directory / "mrs_general_catalogue.csv")
    # LASP gives parameters from 3100 to 8500 K, and none to stars whose H-alpha is in emission.
    cool = bands[bands.teff_k.between(3100, 8500) & (bands.label == 0) & (bands.snr > 5)]
    rng = np.random.default_rng(len(cool))
    noise = 1 / np.maximum(cool.snr.to_numpy(), 10)
    parameters = cool[["obsid", *of_file, *of_band]].copy()
    for name, values, error in (
        ("teff_lasp", cool.teff_k, 600 * noise),
        ("logg_lasp", cool.logg_dex, 1.5 * noise),
        ("rv_b0", cool.rv_km_s, 30 * noise),
    ):
        parameters[name] = (values + error * rng.standard_normal(len(cool))).round(3)
        parameters[f"{name}_err"] = np.round(error, 3)
    parameters["feh_lasp"], parameters["feh_lasp_err"] = -0.15, 0.1
    _csv(parameters, directory / "mrs_stellar_parameter_catalogue.csv")


def _csv(table, path):
    table.to_csv(path, sep="|", index=False, float_format="%.6f")
