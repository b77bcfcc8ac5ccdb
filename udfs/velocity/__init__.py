"""Radial velocities of rectified spectra, a batch at a time."""

from becat.udfs.velocity.batch import VELOCITY_PARAMETERS, velocity_batch

__all__ = ["VELOCITY_PARAMETERS", "velocity_batch"]
