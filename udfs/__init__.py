"""Measurements of rectified spectra as array functions, and their registration in DuckDB."""

from udfs.measure import MEASURE_PARAMETERS, measure_batch

__all__ = ["MEASURE_PARAMETERS", "measure_batch"]
