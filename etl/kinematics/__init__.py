"""Peculiar velocities of the stars, and the table that holds them."""
