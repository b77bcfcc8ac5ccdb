"""Generators of other physics than the one that trains: they test the classifier and nothing else."""
