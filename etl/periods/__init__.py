"""Periods of what changes in stars with enough epochs."""
