"""Archive tables for the demonstration: the stars printed in Wang et al. 2022, and the simulated ones around them.

What the paper prints is taken as printed. Where it prints nothing, values are made that agree with what it says of the
star, and rows that hold any are marked `is_simulated`: colours and magnitudes of a star of its temperature
(`becat.demo_sky`), with a disc where it has one; types; proper
motions that follow the rotation of the Galaxy with the paper's Maxwellian of peculiar velocities; members and clusters at the printed distance.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.coordinates import SkyCoord

import becat.etl as etl
from becat.demo_sky import Intrinsic, distances, intrinsic, peculiar_velocities, spectral_types
from becat.etl.kinematics.velocity import KinematicModel, peculiar_velocity
from becat.simulate.places import star_of_place

__all__ = ["demo_stars", "designation_position", "write_demo_archives"]

DATA = Path(etl.__file__).parent / "data" / "wang2022"
_PAPER = "2022ApJS..260...35W"
_MADE = "simulated"
_R_V, _A_J, _A_H, _A_K, _A_W1 = 3.1, 0.282, 0.190, 0.114, 0.061  # Wang et al. 2022, section 5.3
_GAIA_YEARS = 16.0  # from the epoch of the printed positions, taken as 2000, to that of Gaia EDR3
_MADE_TYPES = ("B1Ve", "B2Vne", "B3IVe", "B5Ve", "B7IVe", "B8Ve")
_LISTS = ("neiner_2011", "chojnowski_2015", "lin_2015", "chen_2016", "hou_2016", "vioque_2020")

# What becomes of the simulated emission stars, in turn: each step of the selection has some that fail at it.
_FATES = (
    {"type": "B2Ve"},
    {"type": None},
    {"type": "B1Ib"},
    {"type": "O5Ve"},
    {"type": "A5Ve"},
    {"type": "B3Ve", "disc": "herbig"},
    {"type": "B4Ve", "disc": "between"},
    {"type": "B6Ve", "list": "vieira_2003"},
    {"type": "B0Ve", "list": "hou_2016", "class": "HII-region"},
    {"type": "B2IVe", "list": "neiner_2011", "class": "CBe"},
    {"type": "B8Ve", "tmass": False},
    {"type": "B9Ve", "gaia": False},
    {"type": "B5Ve", "ruwe": 2.5},
)
_HOT_K = 9000
_DISCS = {"be": (0.06, 0.15), "herbig": (0.65, 1.15), "between": (0.30, 0.60), "giant": (0.12, 0.05)}


def designation_position(designation: str) -> tuple[float, float]:
    """Right ascension and declination, degrees, from ``JHHMMSS.ss+DDMMSS.s``."""
    digits = designation.removeprefix("J")
    at = max(digits.find("+"), digits.find("-"))
    hours, degrees = digits[:at], digits[at + 1 :]
    ra = 15 * (int(hours[:2]) + int(hours[2:4]) / 60 + float(hours[4:]) / 3600)
    dec = int(degrees[:2]) + int(degrees[2:4]) / 60 + float(degrees[4:]) / 3600
    return round(ra, 7), round(-dec if digits[at] == "-" else dec, 7)


def demo_stars() -> list[dict]:
    """The printed stars as the simulated survey is to observe them.

    Returns
    -------
    list of dict
        designation, ra_deg, dec_deg, kind (of `becat.simulate.survey`), snr, n_epochs, and table: where it is printed. A star
        printed under two designations comes twice.
    """
    rows: Iterable[Any] = _printed().itertuples()
    kinds = {"A1": "shell_emission", "A2": "shell_absorption"}
    return [
        {
            "designation": row.designation,
            "ra_deg": row.ra_deg,
            "dec_deg": row.dec_deg,
            "kind": next((kind for table, kind in kinds.items() if row.tables == table), "emission_clear"),
            "snr": 60.0 + 7.0 * (i % 11),
            "n_epochs": 1 + (i % 4 == 0),
            "table": row.tables,
        }
        for i, row in enumerate(rows)
    ]


def write_demo_archives(directory: str | Path, extra_stars: str | Path | pd.DataFrame | None = None) -> dict[str, Path]:
    """Write the archive tables of the demonstration, with the archives' own column names.

    Parameters
    ----------
    directory : path
        Made if it is not there.
    extra_stars : path or table, optional
        Stars besides the printed ones, with designation, ra_deg, dec_deg and kind: the truth table of a simulated
        survey. Its emission stars are given fates in turn, so that each step of the selection has some that fail.

    Returns
    -------
    dict
        File of each source, as `becat.etl.archives.ingest.ingest_file` takes them in.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    stars = _with_astrometry(_with_colours(_with_types(_all_stars(extra_stars))))
    tables = {
        "tmass": _tmass(stars),
        "allwise": _allwise(stars),
        "gaia": _gaia(stars),
        "gaia_distance": _distances(stars),
        "reddening": _reddening(stars),
        "skiff_2014": _types(stars),
        "cantat_gaudin_2018": _members(stars),
        "dias_2021": _clusters(stars),
        **_lists(stars),
    }
    files = {}
    for name, table in tables.items():
        suffix = "csv" if name in ("skiff_2014", "dias_2021", *_LISTS, "vieira_2003") else "parquet"
        files[name] = directory / f"{name}.{suffix}"
        if suffix == "csv":
            table.to_csv(files[name], index=False)
        else:
            table.to_parquet(files[name], index=False)
    return files


@cache
def _printed() -> pd.DataFrame:
    """One row a printed designation: position, the tables that print it, and their values."""
    parts = []
    for file in sorted(DATA.glob("table*.csv")):
        table = pd.read_csv(file)
        parts.append(table.assign(tables=file.stem.split("_")[0].removeprefix("table")))
    rows = pd.concat(parts, ignore_index=True).drop(columns=["ra_deg", "dec_deg", "v_tp_km_s", "e_v_tp_km_s", "z_pc"])
    merged = rows.groupby("designation").agg({c: "first" for c in rows if c not in ("designation", "tables")})
    merged["tables"] = rows.groupby("designation").tables.agg(" ".join)
    merged = merged.reset_index()
    merged["ra_deg"], merged["dec_deg"] = zip(*map(designation_position, merged.designation), strict=True)
    return merged


def _all_stars(extra_stars) -> pd.DataFrame:
    """Printed and extra stars, each once; what one star has under two designations is put together."""
    printed = _printed().assign(kind="printed")
    # of designations at one place the first stands for all
    groups = printed.groupby(star_of_place(printed.ra_deg.to_numpy(), printed.dec_deg.to_numpy()), sort=True)
    tables = groups.tables.agg(" ".join).to_numpy()
    printed = groups.first().assign(tables=tables).reset_index(drop=True)
    rng = np.random.default_rng(20220516)
    if extra_stars is None:
        return _with_atmospheres(printed, rng)
    extra: Any = extra_stars
    if isinstance(extra, str | Path):
        with open(extra, "rb") as file:  # opened here: pandas would fetch what looks like an address
            extra = pd.read_csv(file)
    known = [name for name in ("designation", "ra_deg", "dec_deg", "kind", "teff_k", "logg_dex") if name in extra]
    extra = extra[known].drop_duplicates("designation")
    extra = extra[~extra.designation.isin(_printed().designation)]
    return _with_atmospheres(pd.concat([printed, extra.sort_values("designation")], ignore_index=True), rng)


def _with_atmospheres(stars, rng):
    """Temperature and gravity: those with which the star was simulated, or of a B dwarf (of a late one, a giant)."""
    late = (stars.kind == "late").to_numpy()
    made = {
        "teff_k": np.where(late, 4600, 10 ** rng.uniform(4.08, 4.43, len(stars))),
        "logg_dex": np.where(late, 2.5, rng.uniform(3.6, 4.2, len(stars))),
    }
    for name, values in made.items():
        stars[name] = stars[name].fillna(pd.Series(values, stars.index)) if name in stars else values
    return stars


def _with_types(stars):
    """Spectral type, list and disc of each star: printed, or made."""
    number = np.arange(len(stars))
    is_printed = (stars.kind == "printed").to_numpy()
    in_table = {
        n: stars.tables.fillna("").str.split().map(lambda t, n=n: n in t).to_numpy() for n in ("5", "6", "7", "8", "9")
    }
    made = np.array(_MADE_TYPES)[number % len(_MADE_TYPES)]
    stars["made_type"] = stars.spectral_type.isna().to_numpy()
    stars["type"] = stars.spectral_type.where(~stars.made_type, made)
    stars["disc"], stars["has_tmass"], stars["has_gaia"], stars["ruwe"] = "be", True, True, 1.0
    stars["list"] = pd.Series(np.array(_LISTS)[number % len(_LISTS)]).where(in_table["6"])
    # every second cluster star is put on a list, so that known stars are members too; a printed new one is on none
    listed = in_table["8"] & ~in_table["6"] & ~in_table["7"] & ~in_table["5"] & ~in_table["9"] & (number % 2 == 0)
    stars.loc[listed, "list"] = "neiner_2011"
    stars["class"] = pd.Series("CBe", index=stars.index).where(stars.list.notna())
    stars.loc[in_table["6"] & stars.made_type, "type"] = None  # no type is printed, and a known star needs none
    extra = stars.index[~is_printed]
    emits = stars.kind.str.contains("emission|nebular").to_numpy()
    quiet = extra[~emits[extra]]
    stars.loc[quiet, "disc"] = "none"
    stars.loc[quiet, "type"] = spectral_types(stars.teff_k[quiet].to_numpy(), stars.logg_dex[quiet].to_numpy())
    hot = quiet[stars.teff_k[quiet] > _HOT_K]
    stars.loc[hot[::6], "disc"] = "giant"  # hot by their lines, but the nearest 2MASS source is a red giant
    for order, index in enumerate(stars.index[~is_printed & emits]):
        fate = _FATES[order % len(_FATES)]
        stars.loc[index, "type"] = fate["type"]
        stars.loc[index, "disc"] = fate.get("disc", "be")
        stars.loc[index, "list"], stars.loc[index, "class"] = fate.get("list"), fate.get("class")
        stars.loc[index, "has_tmass"], stars.loc[index, "has_gaia"] = fate.get("tmass", True), fate.get("gaia", True)
        stars.loc[index, "ruwe"] = fate.get("ruwe", 1.0)
    return stars


def _with_colours(stars):
    """Distance, reddening and magnitudes in J, H, Ks, W1, G, BP, RP: printed, or those of a star of its temperature."""
    n = len(stars)
    rng = np.random.default_rng(20220513)
    made = intrinsic(stars.teff_k.to_numpy(), stars.logg_dex.to_numpy())
    distance, a_v = distances(made.abs_g, _latitude_deg(stars), rng)
    distance = np.where(stars.distance_pc.notna(), stars.distance_pc, np.round(distance))
    distance = np.where(stars.parallax_mas.notna(), 1000 / stars.parallax_mas.fillna(1), distance)
    ebv = np.where(stars.ebv_mag.notna(), stars.ebv_mag, np.round(stars.av_mag.fillna(0) / _R_V, 3))
    ebv = np.where(ebv > 0, ebv, np.round(np.clip(a_v / _R_V, 0.005, 2.0), 3))
    a_v = _R_V * ebv
    jh, hk, kw = _infrared_colours(stars, made)
    k0 = made.abs_ks + rng.normal(0, 0.2, n) + 5 * np.log10(distance / 10)
    magnitudes = {
        "k_mag": k0 + _A_K * a_v,
        "h_mag": k0 + hk + _A_H * a_v,
        "j_mag": k0 + hk + jh + _A_J * a_v,
        "w1_mag": k0 - kw + _A_W1 * a_v,
    }
    stars["made_colours"] = stars.j_mag.isna()
    for name, values in magnitudes.items():
        stars[name] = stars[name].where(stars[name].notna(), np.round(values, 3))
        stars[f"e_{name}"] = stars[f"e_{name}"].where(stars[f"e_{name}"].notna(), 0.023)
    stars["distance"], stars["ebv"], stars["made_ebv"] = distance, ebv, stars.ebv_mag.isna()
    colour0 = made.bp_rp + rng.normal(0, 0.03, n)
    stars["g_mag"] = np.round(k0 + made.abs_g - made.abs_ks + 0.86 * a_v, 4)
    stars["bp_mag"] = np.round(stars.g_mag + 0.4 * (colour0 + 0.42 * a_v), 4)
    stars["rp_mag"] = np.round(stars.bp_mag - (colour0 + 0.42 * a_v), 4)
    return stars


def _infrared_colours(stars, made: Intrinsic):
    """J - H, H - Ks and Ks - W1 without reddening: of the photosphere, or of the disc that the star's fate asks for."""
    n = len(stars)
    # discs differ: a spread that leaves each star on its side of the criteria, the two excesses going together
    more_dust, more_light, hotter = np.clip(np.random.default_rng(20220515).normal(0, 1, (3, n)), -2, 2)
    hk, kw = (np.array([_DISCS.get(disc, (0.0, 0.0))[i] for disc in stars.disc]) for i in (0, 1))
    hk, kw = hk + 0.03 * more_dust, kw + 0.06 * more_dust + 0.05 * more_light
    jh = np.where(stars.disc == "giant", 0.80, -0.05 + 0.01 * hotter)
    own = (stars.disc == "none").to_numpy()
    jh, hk, kw = (
        np.where(own, values + 0.015 * noise, disc)
        for values, noise, disc in (
            (made.j_h, hotter, jh),
            (made.h_ks, more_dust, hk),
            (made.ks_w1, more_light, kw),
        )
    )
    return jh, hk, kw


def _latitude_deg(stars) -> np.ndarray:
    place: Any = SkyCoord(stars.ra_deg, stars.dec_deg, unit="deg")
    return place.galactic.b.deg


def _with_astrometry(stars):
    """Gaia positions of 2016, proper motions and parallaxes: printed, or turning with the Galaxy."""
    n = len(stars)
    rng = np.random.default_rng(20220514)
    model = KinematicModel("wang_2022", 11.10, 12.24, 7.25, 8.5, 220.0, 0.0, 20.5)
    stars["made_motion"] = stars.pmra_mas_yr.isna()
    parallax = 1000 / stars.distance.to_numpy()
    # the members of a cluster move as its centre does
    centre = stars.groupby(stars.cluster.fillna(stars.designation))[["ra_deg", "dec_deg"]].transform("mean").to_numpy()
    together = pd.factorize(stars.cluster.fillna(stars.designation))[0]
    wanted = peculiar_velocities(n, rng)[together]

    def velocity(pmra, pmdec):
        ra, dec = centre[:, 0], centre[:, 1]
        found = peculiar_velocity(ra, dec, np.full(n, pmra), np.full(n, pmdec), parallax, model)
        return np.stack([found.v_l_km_s, found.v_b_km_s], axis=-1)

    at_rest = velocity(0.0, 0.0)
    slope = np.stack([velocity(1.0, 0.0) - at_rest, velocity(0.0, 1.0) - at_rest], axis=-1)
    motion = np.linalg.solve(slope, (wanted - at_rest)[..., None])[..., 0]
    for name, error, values in (
        ("pmra_mas_yr", "e_pmra", motion[:, 0]),
        ("pmdec_mas_yr", "e_pmdec", motion[:, 1]),
        ("parallax_mas", "e_parallax", parallax),
    ):
        stars[name] = stars[name].where(stars[name].notna(), np.round(values, 4))
        stars[error] = stars[error].where(stars[error].notna(), 0.0180)
    years = _GAIA_YEARS / 3.6e6
    stars["gaia_dec"] = stars.dec_deg + years * stars.pmdec_mas_yr
    stars["gaia_ra"] = (stars.ra_deg + years * stars.pmra_mas_yr / np.cos(np.radians(stars.dec_deg))) % 360
    # identifiers above every real one (Gaia's end near 6.9e18)
    stars["source_id"] = 8_000_000_000_000_000_000 + np.arange(n, dtype=np.int64) * 128
    return stars


def _tmass(stars):
    kept = stars[stars.has_tmass]
    return pd.DataFrame({
        "2MASS": kept.designation.str[1:].str.replace(r"\.", "", regex=True), "RAJ2000": kept.ra_deg, "DEJ2000": kept.dec_deg,
        "Jmag": kept.j_mag, "e_Jmag": kept.e_j_mag, "Hmag": kept.h_mag, "e_Hmag": kept.e_h_mag,
        "Kmag": kept.k_mag, "e_Kmag": kept.e_k_mag, "Qfl": "AAA", "is_simulated": kept.made_colours,
    })  # fmt: skip


def _allwise(stars):
    years = 10.5589 / 3.6e6
    return pd.DataFrame({
        "AllWISE": stars.designation, "RAJ2000": stars.ra_deg + years * stars.pmra_mas_yr / np.cos(np.radians(stars.dec_deg)),
        "DEJ2000": stars.dec_deg + years * stars.pmdec_mas_yr, "W1mag": stars.w1_mag, "e_W1mag": stars.e_w1_mag, "qph": "AAAA",
        "is_simulated": stars.made_colours,
    })  # fmt: skip


def _gaia(stars):
    kept = stars[stars.has_gaia]
    colour = kept.bp_mag - kept.rp_mag
    return pd.DataFrame({
        "source_id": kept.source_id, "ra": kept.gaia_ra, "dec": kept.gaia_dec,
        "parallax": kept.parallax_mas, "parallax_error": kept.e_parallax,
        "pmra": kept.pmra_mas_yr, "pmra_error": kept.e_pmra, "pmdec": kept.pmdec_mas_yr, "pmdec_error": kept.e_pmdec,
        "pmra_pmdec_corr": 0.0, "parallax_pmra_corr": 0.0, "parallax_pmdec_corr": 0.0, "ruwe": kept.ruwe,
        # not printed: of made stars alone, by the mean relation of wavenumber and colour (Lindegren et al. 2021, A&A 649, A2, equation 4)
        "nu_eff_used_in_astrometry": np.round(1.76 - 1.61 / np.pi * np.arctan(0.531 * colour), 4).where(kept.made_motion), "astrometric_params_solved": 31,
        "phot_g_mean_mag": kept.g_mag, "phot_bp_mean_mag": kept.bp_mag, "phot_rp_mean_mag": kept.rp_mag,
        "phot_bp_rp_excess_factor": np.round(1.15 + 0.03 * colour**2, 4), "is_simulated": kept.made_motion,
    })  # fmt: skip


def _distances(stars):
    kept = stars[stars.has_gaia]
    error = kept.e_parallax / kept.parallax_mas
    return pd.DataFrame({
        "source_id": kept.source_id, "r_med_geo": np.round(kept.distance, 1),
        "r_lo_geo": np.round(kept.distance * (1 - error), 1), "r_hi_geo": np.round(kept.distance * (1 + error), 1),
        "is_simulated": True,
    })  # fmt: skip


def _reddening(stars):
    return pd.DataFrame({
        "ra_deg": stars.ra_deg, "dec_deg": stars.dec_deg, "ebv_mag": stars.ebv, "e_ebv_mag": 0.03,
        "distance_pc": np.round(stars.distance, 1),
        "source": np.where(stars.made_ebv, "simulated", "Wang et al. 2022, table 7"), "is_simulated": stars.made_ebv,
    })  # fmt: skip


def _types(stars):
    kept = stars[stars.type.notna()]
    return pd.DataFrame({
        "Name": kept.star_name.fillna(kept.designation), "RAJ2000": kept.ra_deg, "DEJ2000": kept.dec_deg,
        "SpType": kept.type, "Bibcode": np.where(kept.made_type, _MADE, _PAPER), "is_simulated": kept.made_type,
    })  # fmt: skip


def _members(stars):
    kept = stars[stars.cluster.notna()]
    return pd.DataFrame({
        "RA_ICRS": kept.gaia_ra, "DE_ICRS": kept.gaia_dec, "Source": kept.source_id,
        "plx": kept.parallax_mas, "pmRA": kept.pmra_mas_yr, "pmDE": kept.pmdec_mas_yr,
        "PMemb": 0.9, "Cluster": kept.cluster.str.replace(" ", "_"), "is_simulated": True,
    })  # fmt: skip


def _clusters(stars):
    kept = stars[stars.cluster.notna()]
    mean = kept.groupby("cluster", sort=True).agg({
        "ra_deg": "mean", "dec_deg": "mean", "designation": "size", "pmra_mas_yr": "mean", "pmdec_mas_yr": "mean",
        **{c: "first" for c in ("rv_km_s", "e_rv_km_s", "distance_pc", "e_distance_pc", "log_age_yr", "e_log_age",
                                "fe_h", "e_fe_h", "av_mag", "e_av_mag")},
    }).reset_index()  # fmt: skip
    return pd.DataFrame({
        "Cluster": mean.cluster.str.replace(" ", "_"), "RA_ICRS": mean.ra_deg.round(4), "DE_ICRS": mean.dec_deg.round(4),
        "r50": 0.1, "N": mean.designation, "pmRA": mean.pmra_mas_yr.round(3), "e_pmRA": 0.1, "pmDE": mean.pmdec_mas_yr.round(3),
        "e_pmDE": 0.1, "Plx": (1000 / mean.distance_pc).round(3), "e_Plx": 0.05, "RV": mean.rv_km_s, "e_RV": mean.e_rv_km_s,
        "Dist": mean.distance_pc, "e_Dist": mean.e_distance_pc, "logage": mean.log_age_yr, "e_logage": mean.e_log_age,
        "[Fe/H]": mean.fe_h, "e_[Fe/H]": mean.e_fe_h, "Av": mean.av_mag, "e_Av": mean.e_av_mag, "is_simulated": True,
    })  # fmt: skip


def _lists(stars):
    """The literature lists that name any of the stars, each with its own column names."""
    names = {
        "hou_2016": ("ID", "objtype_Hou"),
        "vieira_2003": ("PDS", None),
        "neiner_2011": ("Name", "Type"),
        "vioque_2020": ("Name", "Type"),
    }
    lists = {}
    for name in (*_LISTS, "vieira_2003"):
        kept = stars[stars.list == name]
        object_name, object_class = names.get(name, ("Name", None))
        position = ("RAdeg", "DEdeg") if name == "vioque_2020" else ("RAJ2000", "DEJ2000")
        columns = {
            object_name: kept.star_name.fillna(kept.designation),
            position[0]: kept.ra_deg,
            position[1]: kept.dec_deg,
        }
        if object_class:
            columns[object_class] = kept["class"]
        lists[name] = pd.DataFrame(columns | {"is_simulated": True})
    return lists
