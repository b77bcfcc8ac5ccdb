"""Reading spectra of files in Python: what `becat load` does to a file, without a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from becat.arm import Arm
from becat.etl.catalogue.errors import Rejected
from becat.etl.load.load import reduce_spectra, spectrum_row
from becat.etl.readers import RawSpectrum, read_file
from becat.schema import parameters
from becat.schema.errors import BecatError
from becat.spectrum import THRESHOLDS, Spectra, Spectrum

__all__ = ["read_spectra", "read_spectrum"]


def read_spectrum(path: str | Path) -> Spectrum:
    """Read the spectrum of a file, of any layout of docs/formats.md, plain or gzipped.

    Of a file with several it is the coadd, or, where that cannot be trusted or is not there, the first exposure (`left_out` then
    says why).

    Parameters
    ----------
    path : path

    Returns
    -------
    Spectrum
        Cleaned, gridded, rectified, with the thresholds that becat came with.

    Raises
    ------
    BecatError
        There is no spectrum in the file that can be trusted.
    """
    try:
        raw, rejected = _read(path, "coadd")
    except Rejected as error:
        raw, rejected = _first_exposures(path, error), [error]
    return _spectrum_of(path, raw[0], rejected)


def read_spectra(path: str | Path) -> Spectra:
    """Read all spectra of a file: the coadd and the single exposures.

    Parameters
    ----------
    path : path

    Returns
    -------
    Spectra
        A list, the coadd first; `left_out` says what could not be trusted.

    Raises
    ------
    BecatError
        There is no spectrum in the file that can be trusted.
    """
    try:
        raw, rejected = _read(path, "all")
    except Rejected as error:
        raise BecatError(str(error)) from None
    return Spectra((_spectrum_of(path, one, ()) for one in raw), [str(error) for error in rejected])


def _read(path: str | Path, exposures: str) -> tuple[list[RawSpectrum], list[Rejected]]:
    """Spectra of a file, one at least."""
    try:
        raw, rejected = read_file(path, exposures=exposures, need_snr=False)
    except (OSError, TypeError) as error:
        raise BecatError(f"{path} cannot be read: {error}") from None
    if not raw:
        raise rejected[0] if rejected else Rejected(path, "read", "there is no spectrum in the file")
    return raw, rejected


def _first_exposures(path: str | Path, no_coadd: Rejected) -> list[RawSpectrum]:
    try:
        return _read(path, "single")[0]
    except Rejected:
        raise BecatError(str(no_coadd)) from None


def _spectrum_of(path: str | Path, raw: RawSpectrum, rejected: Sequence[Rejected]) -> Spectrum:
    row = spectrum_row(str(path), raw)
    arms = {}
    for name, (_, flux, ivar, mask) in reduce_spectra([raw], [row]).items():
        arms[name] = Arm(name, flux[0], ivar[0], mask[0], raw.arms[name])
    shipped = {name: parameters.value(name) for name in THRESHOLDS}
    return Spectrum(row, arms, shipped, [str(error) for error in rejected])
