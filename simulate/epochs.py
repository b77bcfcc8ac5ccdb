"""A survey of stars that change, in LAMOST's layout: fields seen on many nights, every exposure kept, the truth beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord
from tqdm import tqdm

from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.simulate.changing_stars import ChangingStars, draw_changing_stars
from becat.simulate.draw import distributions, draw
from becat.simulate.files import write_mrs
from becat.simulate.labels import count_peaks
from becat.simulate.places import draw_apart
from becat.simulate.spectra import GRIDS, Exposure, combine, detect, pixels_of, render_stars, shape_of_counts
from becat.simulate.survey import designations, draw_positions, file_name, times_of_night, write_catalogues
from becat.simulate.velocity import VelocityGrid

__all__ = ["FIRST_EPOCH_OBSID", "Night", "draw_nights", "observe_night", "respond", "write_epoch_survey"]

FIRST_EPOCH_OBSID = 8_500_000_000  # beyond those of `survey.FIRST_OBSID`: both surveys fit into one catalogue
FIRST_PLATE = 500_000
_RANGES = "epoch_distributions.toml"
_ARMS = ("blue", "red")
_LUNATION_D = 29.530589
_HALPHA_A = (6525.0, 6595.0)
_TRUTH = ("rv_km_s", "ew_emission_a", "peak_separation_km_s", "shell_optical_depth", "n_peaks", "violet_red_ratio")


@dataclass
class Night:
    """n stars seen in one night.

    Attributes
    ----------
    mjd : (k,) float array
        Middle of each exposure (UTC).
    singles : list of dict of Exposure
        The k exposures, by arm.
    coadd : dict of Exposure
        Of all of them, by arm.
    truth : list of dict of (n,) arrays
        For each exposure: rv_km_s, rv_secondary_km_s, orbital_phase, zero_point_km_s, and what is true of disc and shell.
    """

    mjd: np.ndarray
    singles: list[dict[str, Exposure]]
    coadd: dict[str, Exposure]
    truth: list[dict[str, np.ndarray]]


def write_epoch_survey(
    directory: str | Path, n_stars: int = 50, n_nights: int = 12, seed: int = 1, progress: bool = False
) -> pd.DataFrame:
    """Write files of stars that change and of constant ones; the same seed writes the same bytes.

    Leaves ``spectra/*.fits.gz`` (a file a star and night: the coadd and each exposure), ``mrs_general_catalogue.csv``,
    ``mrs_stellar_parameter_catalogue.csv``, ``truth_stars.csv`` (a row per star) and, last of all, ``truth.csv`` (a row
    per spectrum; lmjm is 0 for a coadd).

    Parameters
    ----------
    directory : path
        Made if it is not there.
    n_stars : int
    n_nights : int
        On which each star is seen.
    seed : int
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        The truth of the spectra, as in truth.csv.
    """
    directory = Path(directory)
    (directory / "spectra").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    table = _draw_table(n_stars, rng)
    stars = draw_changing_stars(table.scenario.to_numpy(), rng)
    size = distributions(_RANGES)["survey"]["stars_a_field"]
    fields = np.array_split(np.arange(n_stars), np.arange(size, n_stars, size))
    parts = []
    with tqdm(total=n_stars * n_nights, unit="file", disable=None if progress else True, desc="simulating") as bar:
        for number, rows in enumerate(fields):
            parts += _write_field(directory / "spectra", number, table.iloc[rows], stars.take(rows), n_nights, rng, bar)
    truth = pd.concat(parts, ignore_index=True)
    coadds = truth[truth.lmjm == 0].merge(table[["star", "l_deg", "b_deg"]], on="star")
    about = pd.DataFrame(stars.truth())
    coadds = coadds.merge(about[["teff_k", "logg_dex"]].assign(star=table.star), on="star")
    has_disc = coadds.ew_emission_a > 0
    seen_km_s = coadds.rv_km_s + coadds.zero_point_km_s
    write_catalogues(directory, coadds.assign(layout="mrs_rows", label=has_disc.astype(int), rv_km_s=seen_km_s))
    about.insert(0, "star", table.star)
    about.insert(1, "designation", table.designation)
    about.to_csv(directory / "truth_stars.csv", index=False, float_format="%.6f")
    truth.to_csv(directory / "truth.csv", index=False, float_format="%.6f")
    return truth


def draw_nights(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) middles of nights on which a field is seen, MJD, ascending: around full moon, over some years.

    Raises
    ------
    ValueError
        More nights than the survey has.
    """
    survey = distributions(_RANGES)["survey"]
    days = survey["first_mjd"] + np.arange(survey["baseline_d"])
    from_full = np.abs((days - survey["full_moon_mjd"] + _LUNATION_D / 2) % _LUNATION_D - _LUNATION_D / 2)
    bright = days[from_full < survey["bright_share"] * _LUNATION_D / 2]
    if not 1 <= n <= len(bright):
        raise ValueError(f"a field is seen on 1 to {len(bright)} nights, not on {n}")
    return np.sort(rng.choice(bright, n, replace=False)) + draw(survey["time_of_day_d"], rng, n)


def observe_night(
    stars: ChangingStars, mjd: np.ndarray, snr: np.ndarray, rng: np.random.Generator, fixed_seed: int,
    zero_point_km_s: np.ndarray,
) -> Night:  # fmt: skip
    """Expose stars several times in one night.

    Parameters
    ----------
    stars : ChangingStars
    mjd : (k,) float array
        Middle of each exposure.
    snr : (n,) float array
        Wanted signal to noise per pixel of the coadd in the red arm; the blue arm is fainter.
    rng : numpy Generator
    fixed_seed : int
        For what is the same on every night of the same stars: flat field, and the points at which discs are sampled.
    zero_point_km_s : (k,) float array
        By which all wavelengths of each exposure are wrong: added to every velocity.

    Returns
    -------
    Night
    """
    n, k = len(stars.scenario), len(mjd)
    share = draw(distributions()["survey"]["blue_over_red"], rng, n)
    night_seed = int(rng.integers(2**62))  # air and response are the same in all exposures of a night
    then = [stars.at(float(time)) for time in mjd]
    truth = [_truth_of(stars, seen.truth(), float(time)) for seen, time in zip(then, mjd, strict=True)]
    for known, zero_point in zip(truth, zero_point_km_s, strict=True):
        known["zero_point_km_s"] = np.full(n, zero_point)
    singles: list[dict[str, Exposure]] = [{} for _ in mjd]
    coadd = {}
    for arm in _ARMS:
        grid = GRIDS[arm]
        wanted = snr * (share if arm == "blue" else 1) / np.sqrt(k)
        for i, seen in enumerate(then):
            fixed, night = np.random.default_rng(fixed_seed), np.random.default_rng(night_seed)
            whole, feature, _ = render_stars(seen, grid, night, fixed)
            light = respond(whole, grid, night) * shape_of_counts(seen, grid, arm, fixed)
            singles[i][arm] = detect(light, grid, arm, wanted, rng, True)
            singles[i][arm].wavelength_a *= 1 + zero_point_km_s[i] / SPEED_OF_LIGHT_KM_S
            if arm == "red":
                near = (grid.wavelength_a > _HALPHA_A[0]) & (grid.wavelength_a < _HALPHA_A[1])
                truth[i]["n_peaks"], truth[i]["violet_red_ratio"] = count_peaks(feature[:, near])
        coadd[arm] = combine([exposure[arm] for exposure in singles], pixels_of(arm, False))
    return Night(np.asarray(mjd, float), singles, coadd, truth)


def respond(flux: np.ndarray, grid: VelocityGrid, rng: np.random.Generator) -> np.ndarray:
    """(n, grid.n_pixels) spectra over the continuum as the response of one night bends them: slope, wave, bends, zero level."""
    table, n = distributions(_RANGES)["night"], len(flux)
    wavelength = grid.wavelength_a
    x = 2 * (wavelength - wavelength.mean()) / np.ptp(wavelength)
    slope, wave, zero = (draw(table[name], rng, n)[:, None] for name in ("slope", "wave", "zero_level"))
    turn = 2 * np.pi * (wavelength / table["wave_a"] + rng.random((n, 1)))
    knots = np.arange(wavelength[0], wavelength[-1] + table["bend_a"], table["bend_a"])
    heights = draw(table["bend"], rng, n * len(knots)).reshape(n, -1)
    bends = np.stack([np.interp(wavelength, knots, row) for row in heights])
    response = np.maximum(1 + slope * x, 0.1) * (1 + wave * np.sin(turn)) * (1 + bends)
    return ((flux + zero) * response).astype(np.float32)


def _truth_of(stars, known, mjd):
    """(n,) columns of what is true in one exposure."""
    _, secondary = stars.velocities_km_s(mjd)
    phase = stars.phase(mjd)
    single = np.isnan(phase)
    return {name: known[name] for name in _TRUTH} | {
        "rv_secondary_km_s": np.where(single, np.nan, secondary),
        "orbital_phase": phase,
    }


def _draw_table(n, rng):
    """One row a star: scenario, kind, position and S/N."""
    scenarios, survey = distributions(_RANGES)["scenarios"], distributions(_RANGES)["survey"]
    share = np.array([table["share"] for table in scenarios.values()])
    names = np.array(list(scenarios))
    scenario = rng.choice(names, n, p=share / share.sum())
    scenario[: min(n, len(names))] = names[:n]  # each at least once
    ra_deg, dec_deg = _in_fields(n, rng)
    galactic: Any = SkyCoord(ra_deg * u.deg, dec_deg * u.deg).galactic
    return pd.DataFrame({
        "star": np.arange(n), "scenario": scenario, "kind": [scenarios[name]["kind"] for name in scenario],
        "designation": designations(ra_deg, dec_deg), "ra_deg": ra_deg, "dec_deg": dec_deg,
        "l_deg": np.round(galactic.l.deg, 6), "b_deg": np.round(galactic.b.deg, 6), "snr": draw(survey["snr"], rng, n),
    })  # fmt: skip


def _in_fields(n, rng):
    """(n,) right ascension and declination, degrees, of stars in fields as large as one spectrograph's."""
    survey = distributions(_RANGES)["survey"]
    field = np.arange(n) // survey["stars_a_field"]
    centre: Any = SkyCoord(*draw_positions(int(field[-1]) + 1, rng), unit="deg")

    def draw_in_field(rows):
        apart = survey["field_radius_deg"] * np.sqrt(rng.random(len(rows)))
        towards = rng.uniform(0, 360, len(rows))
        sky: Any = centre[field[rows]].directional_offset_by(towards * u.deg, apart * u.deg)
        return np.round(sky.ra.deg, 6), np.round(sky.dec.deg, 6)

    return draw_apart(draw_in_field, n)


def _write_field(folder, number, table, stars, n_nights, rng, bar):
    """Observe and write one field; the rows of its truth, a table a night."""
    survey = distributions(_RANGES)["survey"]
    exposure_d = distributions()["survey"]["exposure_s"] / 86400
    low, high = survey["exposures_a_night"]
    fixed_seed = int(rng.integers(2**62))
    parts = []
    for visit, middle in enumerate(draw_nights(n_nights, rng)):
        k = int(rng.integers(low, high + 1))
        mjd = middle + (np.arange(k) - (k - 1) / 2) * exposure_d
        snr = table.snr.to_numpy() * np.exp(draw(survey["snr_scatter"], rng, len(table)))
        zero_point = draw(survey["zero_point_km_s"], rng, 1) + draw(survey["exposure_error_km_s"], rng, k)
        night = observe_night(stars, mjd, snr, rng, fixed_seed, zero_point)
        about = times_of_night(float(middle), k, FIRST_PLATE + number) | {"release": "LAMOST DR7"}
        for row, star in enumerate(table.itertuples()):
            obsid = FIRST_EPOCH_OBSID + number * 1_000_000 + visit * 1000 + row + 1
            meta = about | _meta_of(star, row, obsid, night)
            meta["file"] = file_name(meta, "mrs_rows")
            write_mrs(folder / meta["file"], meta, night.coadd, row, night.singles)
            parts.append(pd.DataFrame(_truth_rows(star, row, meta, night)))
        bar.update(len(table))
    return parts


def _meta_of(star, row, obsid, night):
    """What belongs to one file: `files.write_mrs`."""
    velocity = float(np.mean([truth["rv_km_s"][row] + truth["zero_point_km_s"][row] for truth in night.truth]))
    return {
        "obsid": obsid, "designation": star.designation, "star": str(star.star), "ra_deg": float(star.ra_deg),
        "dec_deg": float(star.dec_deg), "l_deg": float(star.l_deg), "b_deg": float(star.b_deg), "fiber": row + 1,
        "snr_r": round(float(night.coadd["red"].snr[row]), 2), "snr_b": round(float(night.coadd["blue"].snr[row]), 2),
        "subclass": "unknown", "redshift": round(velocity / SPEED_OF_LIGHT_KM_S, 8),
    }  # fmt: skip


def _truth_rows(star, row, meta, night):
    """Rows of truth.csv of one file: the coadd, of which the mean of its exposures is true, and each exposure."""
    common = {
        "file": meta["file"], "obsid": meta["obsid"], "star": star.star, "designation": star.designation,
        "ra_deg": star.ra_deg, "dec_deg": star.dec_deg, "scenario": star.scenario, "kind": star.kind, "lmjd": meta["lmjd"],
        "plan_id": meta["plan_id"], "spectrograph": meta["spectrograph"],
    }  # fmt: skip
    each = [{name: float(values[row]) for name, values in truth.items()} for truth in night.truth]
    mean = {name: float(np.mean([known[name] for known in each])) for name in each[0]}
    mean["orbital_phase"] = each[len(each) // 2]["orbital_phase"]  # no mean across the turn from 1 to 0
    rows = [common | {"lmjm": 0, "mjd": meta["mjd_middle"], "snr_b": meta["snr_b"], "snr_r": meta["snr_r"]} | mean]
    for lmjm, mjd, exposure, known in zip(meta["lmjms"], night.mjd, night.singles, each, strict=True):
        snr = {f"snr_{arm[0]}": round(float(exposure[arm].snr[row]), 2) for arm in _ARMS}
        rows.append(common | {"lmjm": lmjm, "mjd": mjd} | snr | known)
    return rows
