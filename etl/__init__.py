"""Filling the catalogue: reading, reducing, archives, cross-matching, measuring and scoring."""
