"""From a path to spectra: the layout is chosen by what is in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from becat.etl.catalogue.errors import Rejected
from becat.etl.readers.content import read_content
from becat.etl.readers.fits import parse
from becat.etl.readers.lamost import check_checksums, check_complete
from becat.etl.readers.lrs import is_lrs, read_lrs
from becat.etl.readers.mrs import is_mrs, read_mrs
from becat.etl.readers.observatory import read_observatory
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawSpectrum
from becat.etl.readers.text import looks_like_text, read_text

__all__ = ["EXPOSURES", "read_file"]

EXPOSURES = ("coadd", "single", "all")


def read_file(
    path: str | Path, exposures: str = "coadd", need_snr: bool = True
) -> tuple[list[RawSpectrum], list[Rejected]]:
    """Read the spectra of one file, plain or gzipped, in any of the layouts of docs/formats.md.

    Parameters
    ----------
    path : path
    exposures : {'coadd', 'single', 'all'}
        Which spectra of a file of the medium-resolution survey; the others hold one, which counts as a coadd.
    need_snr : bool
        Reject spectra of the medium-resolution survey without S/N in their header. False where a general catalogue
        will give it: their S/N is then None.

    Returns
    -------
    list of RawSpectrum, list of Rejected
        The spectra that can be trusted, and what was left out of a file from which others were taken.

    Raises
    ------
    Rejected
        Nothing in the file can be trusted.
    ValueError
        `exposures` is none of the three.
    """
    if exposures not in EXPOSURES:
        raise ValueError(f"exposures is {exposures!r}: give one of {', '.join(EXPOSURES)}")
    try:
        # Damaged numbers overflow on their way to being refused: numpy shall not warn of it.
        with np.errstate(all="ignore"):
            spectra, problems = _read(path, exposures, need_snr)
    except Problem as problem:
        raise Rejected(path, problem.stage, problem.reason, problem.detail) from problem
    rejected = [Rejected(path, p.stage, p.reason, p.detail) for p in problems]
    if not spectra and len(rejected) == 1:
        raise rejected[0]
    return spectra, rejected


def _read(path: str | Path, exposures: str, need_snr: bool) -> tuple[list[RawSpectrum], list[Problem]]:
    content = read_content(path)
    if not content.startswith(b"SIMPLE") and looks_like_text(content):
        return read_text(content)
    hdus = parse(content)
    if is_mrs(hdus):
        check_checksums(hdus)
        check_complete(hdus)
        return read_mrs(hdus, exposures, need_snr)
    if is_lrs(hdus):
        check_checksums(hdus)
        check_complete(hdus)
        return read_lrs(hdus, exposures)
    return read_observatory(hdus, content)
