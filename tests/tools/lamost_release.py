"""A made release of LAMOST: its catalogues, under their real columns, of spectra whose files are at hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
from astropy.io import fits

from becat.schema.releases import shipped

__all__ = ["as_csv", "as_gzip", "catalogue_rows", "recorded_versions"]


def recorded_versions() -> list[dict]:
    """The list of releases in the form in which the service gives it."""
    return [
        {
            "base_url": one.address,
            "dr_version": one.release.lower(),
            "has_mrs": one.has_mrs,
            "public_status": "public" if one.is_public else "internal",
            "sub_version": one.version,
        }
        for one in shipped()
    ]


def catalogue_rows(files: list[Path], teff: dict[int, float] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the general and of the stellar-parameter catalogue of some MRS files, in the columns of DR10 v2.0.

    Parameters
    ----------
    files : list of Path
    teff : dict, optional
        Temperature that LASP is to have found, by obsid; else it has found none.
    """
    general, stellar = [], []
    for file in files:
        with fits.open(file) as hdus:
            head = hdus[0].header
            for hdu in hdus[1:]:
                band, _, minute = hdu.name.rpartition("_" if hdu.name.startswith("COADD") else "-")
                coadd = band == "COADD"
                snr = hdu.header.get("SNR", -9999.0)
                row = {
                    "mobsid": f"{head['OBSID']}{minute}",
                    "obsid": head["OBSID"],
                    "designation": head.get("DESIG", "").removeprefix("LAMOST ").strip(),
                    "obsdate": head["DATE-OBS"][:10],
                    "lmjd": head["LMJD"],
                    "mjd": head["MJD"],
                    "planid": head["PLANID"],
                    "spid": head["SPID"],
                    "fiberid": head["FIBERID"],
                    "lmjm": 0 if coadd else int(minute),
                    "band": minute if coadd else band,
                    "ra_obs": head["RA"],
                    "dec_obs": head["DEC"],
                    "snr": snr,
                    "gaia_g_mean_mag": 10.5,
                    "fibertype": "Obj",
                    "ra": head["RA"],
                    "dec": head["DEC"],
                    "rv_b0": -9999.0,
                    "rv_b0_err": -9999.0,
                    "coadd": int(coadd),
                }
                general.append(row)
                if coadd:
                    stellar.append({**row, "teff_lasp": (teff or {}).get(head["OBSID"], -9999.0), "logg_lasp": -9999.0,
                                    "feh_lasp": -9999.0})  # fmt: skip
    return pd.DataFrame(general), pd.DataFrame(stellar)


def as_csv(rows: pd.DataFrame) -> bytes:
    """A catalogue as LAMOST gives it: gzipped text."""
    return gzip.compress(rows.to_csv(index=False, sep="|").encode(), compresslevel=1, mtime=0)


def as_gzip(file: Path) -> bytes:
    """A spectrum's file as the service sends it."""
    content = file.read_bytes()
    return content if content.startswith(b"\x1f\x8b") else gzip.compress(content, compresslevel=1, mtime=0)
