"""Measurements of rectified spectra as array functions, and their registration in DuckDB."""

from becat.udfs.measure import MEASURE_PARAMETERS, measure_batch
from becat.udfs.profile_class import PROFILE_PARAMETERS, profile_batch
from becat.udfs.register import register
from becat.udfs.velocity import VELOCITY_PARAMETERS, velocity_batch

__all__ = [
    "MEASURE_PARAMETERS",
    "PARAMETERS",
    "PROFILE_PARAMETERS",
    "VELOCITY_PARAMETERS",
    "measure_batch",
    "profile_batch",
    "register",
    "velocity_batch",
]

# Selection parameters on which any measurement depends.
PARAMETERS = tuple(dict.fromkeys((*MEASURE_PARAMETERS, *PROFILE_PARAMETERS, *VELOCITY_PARAMETERS)))
