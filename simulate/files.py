"""Simulated spectra written in the layouts of LAMOST's files, and as a plain 1-D image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from isal import igzip

from becat.schema.lines import vacuum_to_air
from becat.simulate.fits_bytes import image_hdu, table_hdu
from becat.simulate.headers import primary_cards
from becat.simulate.spectra import Exposure

__all__ = ["LAYOUTS", "write_image", "write_lrs", "write_mrs"]

LAYOUTS = ("mrs_rows", "mrs_vector", "lrs_old", "lrs_image", "lrs_table", "image")
_BANDS = (("B", "blue"), ("R", "red"))
_UNFILLED = -9999.0  # what the survey writes where no normalised flux exists


def write_mrs(
    path: Path,
    meta: dict,
    coadd: dict[str, Exposure],
    row: int,
    singles: Sequence[dict[str, Exposure]] = (),
    layout: str = "mrs_rows",
) -> None:
    """Write a file of the medium-resolution survey.

    Parameters
    ----------
    path : Path
        Ends in .fits or .fits.gz.
    meta : dict
        What `headers.primary_cards` asks for, and lmjms, exposure_s, n_exposures, date_obs, date_beg, date_end.
    coadd : dict of Exposure
        Arms ``blue`` and ``red``.
    row : int
        Which of the spectra in the exposures.
    singles : sequence of dict of Exposure
        Single exposures, in the order of ``meta["lmjms"]``.
    layout : {"mrs_rows", "mrs_vector"}
        Row per pixel with LOGLAM, where single red exposures run from red to blue; or one row of vector cells with
        WAVELENGTH.
    """
    tables = [_mrs_table(band, coadd[arm], row, layout, meta, None) for band, arm in _BANDS]
    for band, arm in _BANDS:
        tables += [
            _mrs_table(band, exposure[arm], row, layout, meta, lmjm)
            for lmjm, exposure in zip(meta["lmjms"], singles, strict=False)
        ]
    cards = primary_cards(layout, meta | {"n_hdus": len(tables) + 1, "file": path.name.removesuffix(".gz")})
    _write(path, image_hdu(None, cards), *tables)


def _mrs_table(band, exposure, row, layout, meta, lmjm):
    """One arm of a coadd (lmjm None) or of a single exposure."""
    vector = layout == "mrs_vector"
    mask = exposure.mask[row]
    wavelength = exposure.wavelength_a if vector else np.log10(exposure.wavelength_a)
    columns = [("FLUX", exposure.flux[row], ">f4"), ("IVAR", exposure.ivar[row], ">f4")]
    columns += [("WAVELENGTH" if vector else "LOGLAM", wavelength, ">f4")]
    columns += (
        [("PIXMASK", mask, ">i2")] if lmjm else [("ANDMASK", np.zeros_like(mask), ">i2"), ("ORMASK", mask, ">i2")]
    )
    if vector:
        columns += [("NORMALIZATION", np.full(len(wavelength), _UNFILLED), ">f4")]
    elif lmjm and band == "R":
        columns = [(key, values[::-1], form) for key, values, form in columns]
    name = f"{band}-{lmjm}" if lmjm else f"COADD_{band}"
    return table_hdu(name, columns, vector, _mrs_cards(exposure.snr[row], vector, meta, lmjm))


def _mrs_cards(snr, vector, meta, lmjm):
    """Keywords of a table of the medium-resolution survey."""
    cards = [("NORM", 0, "1 if there exists a normalizated spectrum")] if vector else []
    if not lmjm:
        cards += [(key, value, "Local Modified Julian Minute list") for key, value in _minutes(meta["lmjms"], vector)]
    if vector:
        cards += [(key.upper().replace("_", "-"), meta[key], "") for key in ("date_obs", "date_beg", "date_end")]
    if lmjm:
        cards += [("LMJM", str(lmjm), "Local Modified Julian Minute")]
        cards += [("EXPTIME", round(meta["exposure_s"] / meta["n_exposures"]), "[s] Exposure duration time")]
    cards += [("SNR", round(float(snr), 2), "Signal to noise ratio")]
    return [*cards, ("LAMPLIST", "lampthar.dat", "Arc lamp emission line list")]


def _minutes(lmjms, vector):
    """Keywords that list the exposures: one in the vector layout, three to a keyword in the other."""
    if vector:
        return [("LMJMLIST", "-".join(str(lmjm) for lmjm in lmjms))]
    triples = [lmjms[start : start + 3] for start in range(0, len(lmjms), 3)]
    return [(f"LMJMLIS{i}", "-".join(str(lmjm) for lmjm in triple)) for i, triple in enumerate(triples)]


def write_lrs(path: Path, meta: dict, coadd: dict[str, Exposure], row: int, layout: str = "lrs_image") -> None:
    """Write a file of the low-resolution survey.

    Parameters
    ----------
    path, meta, row
        As in `write_mrs`.
    coadd : dict of Exposure
        Arm ``lrs``.
    layout : {"lrs_old", "lrs_image", "lrs_table"}
        DR1 and DR2 (image of five rows, the third holds no wavelength, no OBSID); DR3 to DR8 (the third row is the
        wavelength); from DR9 on (table COADD).
    """
    exposure = coadd["lrs"]
    meta = meta | {"n_hdus": 2 if layout == "lrs_table" else 1, "file": path.name.removesuffix(".gz")}
    cards = primary_cards(layout, meta)
    flux, ivar, mask = exposure.flux[row], exposure.ivar[row], exposure.mask[row].astype(np.float32)
    if layout != "lrs_table":
        third = np.ones_like(flux) if layout == "lrs_old" else exposure.wavelength_a
        _write(path, image_hdu(np.stack([flux, ivar, third, np.zeros_like(mask), mask]), cards))
        return
    columns = {"FLUX": flux, "IVAR": ivar, "WAVELENGTH": exposure.wavelength_a, "ANDMASK": np.zeros_like(mask)}
    columns |= {"ORMASK": mask, "NORMALIZATION": np.full(len(flux), _UNFILLED)}
    table = table_hdu("COADD", [(name, values, ">f4") for name, values in columns.items()], True, [])
    _write(path, image_hdu(None, cards), table)


def write_image(path: Path, meta: dict, coadd: dict[str, Exposure], row: int) -> None:
    """Write the red arm as a 1-D image on even wavelengths in air, with CRVAL1 and CDELT1, as small observatories do."""
    exposure = coadd["red"]
    air_a = vacuum_to_air(exposure.wavelength_a)
    even_a = np.linspace(air_a[5], air_a[-6], len(air_a) - 10)
    cards = {
        "OBJECT": meta["designation"], "RA": meta["ra_deg"], "DEC": meta["dec_deg"], "DATE-OBS": meta["date_obs"],
        "EXPTIME": meta["exposure_s"], "CRPIX1": 1.0, "CRVAL1": even_a[0], "CDELT1": even_a[1] - even_a[0],
        "CTYPE1": "AWAV", "CUNIT1": "Angstrom", "VACUUM": False, "SIMULAT": True,
    }  # fmt: skip
    image = np.interp(even_a, air_a, exposure.flux[row])
    _write(path, image_hdu(image, [(key, value, "") for key, value in cards.items()]))


def _write(path, *hdus):
    """Gzipped where the name says so; the same bytes for the same content."""
    content = b"".join(hdus)
    path.write_bytes(igzip.compress(content, compresslevel=1, mtime=0) if path.suffix == ".gz" else content)
