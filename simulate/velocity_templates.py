"""Line lists of the templates with which velocities are measured in the blue arm.

    python -m becat.simulate.velocity_templates [FILE]

Writes ``udfs/velocity/blue_templates.csv``: the photospheric lines of the simulator (`stellar_lines.csv`) in the blue arm, with the
equivalent width that each has on average in a dwarf of solar metallicity at each temperature (`distributions.toml`, ``species``).
Rotation and the instrument's resolution are added where the file is read (`becat.udfs.velocity.templates`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from becat.schema.grid import BLUE
from becat.simulate.draw import distributions, interpolate, line_list

__all__ = ["TEFF_K", "blue_lines"]

TEFF_K = np.array([4500, 5500, 6500, 7500, 9000, 11000, 14000, 18000, 24000, 30000], float)
_MARGIN_A = 15.0  # lines beyond the arm that a velocity brings into it
_FOLDER = Path(__file__).resolve().parent.parent / "udfs" / "velocity"
_HEAD = """\
# Photospheric lines of the templates of the blue arm. Made by: python -m becat.simulate.velocity_templates
# wavelength_a: rest wavelength in vacuum, Angstrom; fwhm_km_s: width of the line without rotation and instrument;
# the other columns: equivalent width, Angstrom, in a dwarf of that effective temperature.
"""
_FWHM_KM_S = {"magnesium": 90.0}  # damping wings; thermal and turbulent width else
_NARROW_KM_S = 12.0


def blue_lines() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines of the templates.

    Returns
    -------
    wavelength_a, fwhm_km_s : (n_lines,) float arrays
    width_a : (n_lines, n_temperatures) float array
        Equivalent widths at `TEFF_K`, Angstrom.
    """
    lines = line_list("stellar_lines.csv")
    wavelength = lines["wavelength_a"]
    inside = (wavelength > BLUE.wavelength_a[0] - _MARGIN_A) & (wavelength < BLUE.wavelength_a[-1] + _MARGIN_A)
    lines = lines[np.flatnonzero(inside)[np.argsort(wavelength[inside])]]
    of_species = {name: interpolate(TEFF_K, table, "ew_a") for name, table in distributions()["species"].items()}
    width = np.stack([of_species[str(name)] for name in lines["species"]]) * lines["strength"][:, None]
    fwhm = np.array([_FWHM_KM_S.get(str(name), _NARROW_KM_S) for name in lines["species"]])
    return lines["wavelength_a"], fwhm, width


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=_FOLDER / "blue_templates.csv")
    path = parser.parse_args().file
    rows = [",".join(["wavelength_a", "fwhm_km_s", *(f"ew_{teff:.0f}_k_a" for teff in TEFF_K)])]
    for line_a, fwhm, widths in zip(*blue_lines(), strict=True):
        rows.append(",".join([f"{line_a:.3f}", f"{fwhm:.0f}", *(f"{width:.4f}" for width in widths)]))
    path.write_text(_HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
