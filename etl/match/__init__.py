"""Matching on the sphere: any two tables with each other, and spectra with stars."""
