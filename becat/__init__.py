"""becat: a catalogue of classical Be stars from LAMOST spectra, as one DuckDB file.

In Python, without a catalogue:

>>> import becat
>>> spectrum = becat.read_spectrum("med-58440-NT222300N571704C01_sp11-073.fits")
>>> spectrum.measure().ew_halpha_a, spectrum.score().be_probability
>>> spectrum.plot()

and with one:

>>> with becat.open_catalogue("catalog.duckdb") as catalogue:
...     catalogue.query("select designation, spectral_type from classical_be")
...     catalogue.spectrum("J192814.09+435531.0").plot()

Names end in their unit (``_a`` is Angstrom, in vacuum), as the columns of the catalogue do. What cannot be done is a `BecatError`
of one line. Each name is imported at its first use, so that ``import becat`` is quick. See docs/python.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from becat.arm import Arm, Smoothed
    from becat.catalogue import Catalogue, open_catalogue
    from becat.epochs import Epochs
    from becat.reading import read_spectra, read_spectrum
    from becat.schema.errors import BecatError
    from becat.spectrum import Spectra, Spectrum

    __version__: str

__all__ = [
    "Arm",
    "BecatError",
    "Catalogue",
    "Epochs",
    "Smoothed",
    "Spectra",
    "Spectrum",
    "__version__",
    "open_catalogue",
    "read_spectra",
    "read_spectrum",
]

_HOME = {
    "Arm": "becat.arm",
    "BecatError": "becat.schema.errors",
    "Catalogue": "becat.catalogue",
    "Epochs": "becat.epochs",
    "Smoothed": "becat.arm",
    "Spectra": "becat.spectrum",
    "Spectrum": "becat.spectrum",
    "open_catalogue": "becat.catalogue",
    "read_spectra": "becat.reading",
    "read_spectrum": "becat.reading",
}


def __getattr__(name: str):
    if name == "__version__":
        return import_module("becat.schema.version").becat_version()
    if name not in _HOME:
        raise AttributeError(f"becat has no {name}: it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
