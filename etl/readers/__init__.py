"""Reading spectra: six layouts, chosen by what is in the file, and nothing taken that cannot be trusted."""

from becat.etl.readers.read import read_file
from becat.etl.readers.spectrum import RawArm, RawSpectrum

__all__ = ["RawArm", "RawSpectrum", "read_file"]
