"""A small catalogue with plausible stars, made from a seed, for the tests of publication.

All of it is simulated. Two stars carry names that would break a careless page or query.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from becat.schema import build
from becat.schema.grid import RED

HTML_NAME = "<script>alert('becat')</script>"
SQL_NAME = "x'; drop table star; --"
KINDS = ("be", "shell", "herbig", "b", "late", "noise")
SHARES = (0.22, 0.06, 0.02, 0.35, 0.30, 0.05)
HALPHA_A = 6564.614


def make_catalogue(path: Path, n_stars: int = 300, seed: int = 7, shares=SHARES, flux_of=KINDS) -> Path:
    """A DuckDB catalogue of simulated stars with one to four spectra each.

    Parameters
    ----------
    path : path
        File to make.
    n_stars, seed : int
    shares : sequence of float
        Fraction of each kind of `KINDS`.
    flux_of : sequence of str
        Kinds whose rectified flux is stored.
    """
    rng = np.random.default_rng(seed)
    build.create(path)
    stars = _stars(rng, n_stars, shares)
    spectra = _spectra(rng, stars)
    tables = {
        "etl_run": _run(),
        "star": stars[["star_id", "designation", "ra_deg", "dec_deg", "source_id", "is_simulated", "run_id"]],
        "star_alias": stars[["star_id", "designation", "run_id"]],
        "spectrum": spectra.drop(columns=["kind", "strength"]),
        "line_measurement": _lines(rng, spectra),
        "profile_class": _profiles(rng, spectra),
        "model": pd.DataFrame(
            {
                "model_id": ["abcdef012345"],
                "name": ["becat_resnet18.onnx"],
                "sha256": ["abcdef012345" + "0" * 52],
                "architecture": ["ResNet-18"],
                "precision": ["fp32"],
                "be_probability_min": [0.5],
                "is_current": [True],
                "run_id": [1],
            }
        ),
        "be_score": _scores(rng, spectra),
        "photometry": _photometry(rng, stars),
        "reddening": pd.DataFrame(
            {
                "star_id": stars.star_id,
                "ebv_mag": np.abs(rng.normal(0.4, 0.2, n_stars)),
                "e_ebv_mag": 0.03,
                "distance_pc": stars.distance_pc,
                "source": "simulated",
                "run_id": 1,
            }
        ),
        "astrometry": _astrometry(rng, stars),
        "kinematics": _kinematics(rng, stars),
        "spectral_type": _types(rng, stars),
        "literature_match": _matches(rng, stars),
        "cluster": pd.DataFrame(
            {
                "cluster": ["NGC 457"],
                "ra_deg": [19.89],
                "dec_deg": [58.28],
                "n_members": [200],
                "distance_pc": [2540.0],
                "log_age_yr": [7.373],
                "reference": ["Dias et al. 2021"],
                "run_id": [1],
            }
        ),
        "cluster_match": pd.DataFrame(
            {
                "star_id": stars.star_id[:3],
                "cluster": "NGC 457",
                "catalogue_id": "dias_2021",
                "membership_probability": [0.9, 0.8, 0.7],
                "separation_arcsec": 0.2,
                "run_id": 1,
            }
        ),
        "rejected_input": pd.DataFrame(
            {
                "file": ["/data/dr7/bad.fits.gz"],
                "stage": ["open"],
                "detail": [""],
                "reason": ["not FITS"],
                "run_id": [1],
            }
        ),
    }
    with duckdb.connect(str(path)) as connection:
        for name, frame in tables.items():
            connection.register("frame", frame)
            connection.execute(f'insert or replace into "{name}" by name select * from frame')
            connection.unregister("frame")
        _insert_flux(connection, rng, spectra[spectra.kind.isin(flux_of)])
    return path


def _run() -> pd.DataFrame:
    when = datetime(2026, 1, 2, 3, 4, 5)
    return pd.DataFrame(
        {
            "run_id": [1],
            "command": ["run"],
            "started_at": [when],
            "ended_at": [when],
            "status": ["done"],
            "becat_version": ["test"],
            "n_done": [1],
            "n_rejected": [1],
        }
    )


def _stars(rng, n: int, shares) -> pd.DataFrame:
    kind = rng.choice(KINDS, n, p=shares)
    kind[:6] = ["be", "be", "shell", "be", "herbig", "late"]
    ra, dec = rng.uniform(0, 360, n), np.clip(rng.normal(45, 20, n), -9, 80)
    names = [f"J{a / 15:09.5f}".replace(".", "") + f"{d:+09.5f}".replace(".", "") for a, d in zip(ra, dec, strict=True)]
    names[0], names[1] = HTML_NAME, SQL_NAME
    return pd.DataFrame(
        {
            "star_id": 10_000 + np.arange(n),
            "designation": names,
            "ra_deg": ra,
            "dec_deg": dec,
            "kind": kind,
            "source_id": 3_800_000_000_000_000_001 + np.arange(n) * 10_007,
            "distance_pc": rng.gamma(3, 600, n) + 150,
            "is_simulated": True,
            "run_id": 1,
        }
    )


def _spectra(rng, stars: pd.DataFrame) -> pd.DataFrame:
    frame = stars.loc[stars.index.repeat(rng.integers(1, 5, len(stars)))].reset_index(drop=True)
    n = len(frame)
    snr = np.where(frame.kind == "noise", rng.uniform(1, 9, n), rng.lognormal(4, 0.5, n) + 10)
    teff = np.where(frame.kind == "late", rng.uniform(4000, 9000, n), np.nan)
    return pd.DataFrame(
        {
            "spectrum_id": 600_000_000 + np.arange(n) * 137,
            "star_id": frame.star_id,
            "survey": "LAMOST MRS",
            "release": "DR7",
            "layout": "mrs_dr7",
            "is_simulated": True,
            "designation": frame.designation,
            "file": [f"/data/dr7/med-{i:05d}.fits.gz" for i in range(n)],
            "obsid": 600_000_000 + np.arange(n) * 137,
            "coadd": True,
            "mjd": rng.uniform(58000, 58900, n),
            "exposure_time_s": 1200.0,
            "n_exposures": 3,
            "ra_deg": frame.ra_deg,
            "dec_deg": frame.dec_deg,
            "has_blue": True,
            "snr_b": snr * 0.7 + 3,
            "snr_r": snr,
            "snr_source": "header",
            "resolving_power": 7500.0,
            "teff_k": teff,
            "quality": 0,
            "good_fraction_red": 1.0,
            "run_id": 1,
            "kind": frame.kind,
            "strength": rng.uniform(0.3, 2.5, n),
        }
    )


def _lines(rng, spectra: pd.DataFrame) -> pd.DataFrame:
    n, kind = len(spectra), spectra.kind
    emission = kind.isin(["be", "herbig"])
    ew = np.where(
        emission, 2 - 10 * spectra.strength, np.where(kind == "late", rng.uniform(1, 4, n), rng.uniform(3, 11, n))
    )
    ew = np.where(kind == "shell", rng.uniform(-2, 4, n), ew)
    return pd.DataFrame(
        {
            "spectrum_id": spectra.spectrum_id,
            "ew_halpha_a": ew,
            "e_ew_halpha_a": 5 / spectra.snr_r,
            "ew_mgb_a": np.where(kind == "late", rng.uniform(1.5, 5, n), rng.normal(0.2, 0.1, n)),
            "e_ew_mgb_a": 3 / spectra.snr_b,
            "n_peaks": np.where(emission, rng.integers(1, 3, n), 0),
            "n_valleys": 1,
            "bartlett_width_px": 9,
            "peak_wavelength_a": np.where(emission, HALPHA_A + rng.normal(0, 2, n), np.nan),
            "peak_flux": np.where(emission, 1 + spectra.strength, np.nan),
            "velocity_shift_km_s": 0.0,
            "nebular_significance": rng.normal(0, 1, n),
            "run_id": 1,
        }
    )


def _profiles(rng, spectra: pd.DataFrame) -> pd.DataFrame:
    classes = {"be": "emission", "herbig": "emission", "shell": "emission with shell"}
    return pd.DataFrame(
        {
            "spectrum_id": spectra.spectrum_id,
            "profile_class": [classes.get(kind, "absorption") for kind in spectra.kind],
            "profile_type": [("double symmetric" if kind == "be" else None) for kind in spectra.kind],
            "shell_type": pd.array([1 if kind == "shell" else None for kind in spectra.kind], dtype="Int64"),
            "violet_red_ratio": rng.normal(1, 0.1, len(spectra)),
            "run_id": 1,
        }
    )


def _scores(rng, spectra: pd.DataFrame) -> pd.DataFrame:
    be = spectra.kind.isin(["be", "shell", "herbig"])
    probability = np.where(be, rng.beta(20, 1, len(be)), rng.beta(1, 20, len(be)))
    return pd.DataFrame(
        {
            "spectrum_id": spectra.spectrum_id,
            "model_id": "abcdef012345",
            "be_probability": probability,
            "provider": "CPUExecutionProvider",
            "run_id": 1,
        }
    )


def _photometry(rng, stars: pd.DataFrame) -> pd.DataFrame:
    n, late, herbig = len(stars), stars.kind == "late", stars.kind == "herbig"
    k = rng.uniform(7, 13, n)
    h = k + np.where(late, 0.18, np.where(herbig, 0.8, 0.05)) + rng.normal(0, 0.03, n)
    j = h + np.where(late, 0.75, np.where(herbig, 0.9, 0.12)) + rng.normal(0, 0.03, n)
    bp_rp = np.where(late, rng.uniform(0.8, 2, n), rng.normal(0.5, 0.25, n))
    g = k + 1.5 + bp_rp
    frame = {
        "star_id": stars.star_id,
        "j_mag": j,
        "h_mag": h,
        "k_mag": k,
        "w1_mag": k - np.where(herbig, 1.1, 0.08),
        "g_mag": g,
        "bp_mag": g + 0.4 * bp_rp,
        "rp_mag": g - 0.6 * bp_rp,
        "bp_rp_excess_factor": 1.15 + 0.03 * bp_rp**2,
        "tmass_quality": "AAA",
        "run_id": 1,
    }
    errors = {f"e_{band}_mag": 0.02 for band in ("j", "h", "k", "w1")}
    separations = {
        "tmass_separation_arcsec": 0.2,
        "allwise_separation_arcsec": 0.3,
        "tmass_ambiguous": False,
        "allwise_ambiguous": False,
    }
    return pd.DataFrame(frame | errors | separations)


def _astrometry(rng, stars: pd.DataFrame) -> pd.DataFrame:
    n = len(stars)
    return pd.DataFrame(
        {
            "star_id": stars.star_id,
            "source_id": stars.source_id,
            "release": "EDR3",
            "ra_deg": stars.ra_deg,
            "dec_deg": stars.dec_deg,
            "epoch_yr": 2016.0,
            "pmra_mas_yr": rng.normal(0, 2, n),
            "e_pmra_mas_yr": 0.02,
            "pmdec_mas_yr": rng.normal(-1, 2, n),
            "e_pmdec_mas_yr": 0.02,
            "parallax_mas": 1000 / stars.distance_pc,
            "e_parallax_mas": 0.02,
            "ruwe": rng.gamma(40, 1 / 38, n),
            "distance_pc": stars.distance_pc,
            "separation_arcsec": 0.1,
            "is_ambiguous": False,
            "run_id": 1,
        }
    )


def _kinematics(rng, stars: pd.DataFrame) -> pd.DataFrame:
    n = len(stars)
    v_l, v_b = rng.normal(0, 6.2, n), rng.normal(0, 6.2, n)
    v_l[:2] += 40
    return pd.DataFrame(
        {
            "star_id": stars.star_id,
            "kinematic_model": DEFAULT_MODEL,
            "l_deg": rng.uniform(80, 210, n),
            "b_deg": rng.normal(0, 5, n),
            "v_l_km_s": v_l,
            "v_b_km_s": v_b,
            "v_tp_km_s": np.hypot(v_l, v_b),
            "e_v_tp_km_s": 1.5,
            "z_pc": rng.normal(0, 90, n),
            "e_z_pc": 5.0,
            "run_id": 1,
        }
    )


DEFAULT_MODEL = "wang_2022"


def _types(rng, stars: pd.DataFrame) -> pd.DataFrame:
    hot = stars[stars.kind != "late"].reset_index(drop=True)
    subtype = rng.integers(8, 20, len(hot)).astype(float)
    letters = [f"{'OBA'[int(s // 10)]}{int(s % 10)}V" for s in subtype]
    return pd.DataFrame(
        {
            "star_id": hot.star_id,
            "catalogue_id": "skiff_2014",
            "spectral_type": letters,
            "reference": "simulated",
            "year": 2000,
            "subtype_min": subtype,
            "subtype_max": subtype,
            "luminosity_min": 5.0,
            "luminosity_max": 5.0,
            "is_emission": False,
            "is_shell": False,
            "is_peculiar": False,
            "separation_arcsec": 0.3,
            "is_adopted": True,
            "run_id": 1,
        }
    )


def _matches(rng, stars: pd.DataFrame) -> pd.DataFrame:
    known = stars[(stars.kind == "be") & (rng.random(len(stars)) < 0.3)]
    return pd.DataFrame(
        {
            "star_id": known.star_id,
            "catalogue_id": "neiner_2011",
            "object_name": [f"EM* SIM {i}" for i in known.star_id],
            "object_class": "CBe",
            "separation_arcsec": 0.4,
            "match_rank": 1,
            "is_best": True,
            "is_ambiguous": False,
            "run_id": 1,
        }
    )


def _insert_flux(connection, rng, spectra: pd.DataFrame) -> None:
    """Gaussian profiles: absorption for all, one or two emission peaks for Be stars, a narrow core for shell stars."""
    x = RED.wavelength_a - HALPHA_A
    for start in range(0, len(spectra), 200):
        part = spectra.iloc[start : start + 200]
        strength, kind = part.strength.to_numpy()[:, None], part.kind.to_numpy()[:, None]
        flux = 1 - 0.35 * np.exp(-0.5 * (x / 7) ** 2)
        peaks = np.exp(-0.5 * ((x - 2.5) / 1.8) ** 2) + np.exp(-0.5 * ((x + 2.5) / 1.8) ** 2)
        flux = flux + np.where(np.isin(kind, ["be", "herbig", "shell"]), strength * peaks, 0)
        flux = flux - np.where(kind == "shell", 0.9 * np.exp(-0.5 * (x / 0.8) ** 2), 0)
        snr = part.snr_r.to_numpy()[:, None]
        flux = (flux + rng.normal(0, 1, flux.shape) / snr).astype(np.float32)
        frame = pd.DataFrame(
            {
                "spectrum_id": part.spectrum_id,
                "flux": list(flux),
                "ivar": list(np.repeat(snr**2, x.size, 1).astype(np.float32)),
                "mask": list(np.zeros(flux.shape, np.uint8)),
                "run_id": 1,
            }
        )
        connection.register("frame", frame)
        connection.execute("insert into flux_red by name select * from frame")
        connection.unregister("frame")
