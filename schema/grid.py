"""The uniform vacuum wavelength grid of each arm, on which every spectrum is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ARMS", "BLUE", "RED", "Grid"]


@dataclass(frozen=True)
class Grid:
    """Pixel centres ``start_a + step_a * i``, Angstrom in vacuum."""

    arm: str
    start_a: float
    step_a: float
    n_pixels: int

    @property
    def wavelength_a(self) -> np.ndarray:
        """(n_pixels,) float64 array of pixel centres, Angstrom."""
        return self.start_a + self.step_a * np.arange(self.n_pixels)

    @property
    def edges_a(self) -> np.ndarray:
        """(n_pixels + 1,) float64 array of pixel limits, Angstrom."""
        return self.start_a + self.step_a * (np.arange(self.n_pixels + 1) - 0.5)


# The two windows of LAMOST's medium-resolution survey (Liu et al. 2020, arXiv:2005.07210). A pixel of the
# survey is 0.12 Angstrom wide at H-alpha and 0.09 to 0.10 in the blue: the step keeps its resolution.
RED = Grid("red", 6300.0, 0.125, 4001)
BLUE = Grid("blue", 4950.0, 0.125, 3201)
ARMS = {"red": RED, "blue": BLUE}
