"""Figures of docs/reduction.md, from real spectra.

    python -m benchmarks.reduction_figures DIR [--real-data DIR]

Writes reduction_steps.png (flux of the file with the fitted continuum, and the rectified spectrum beside it, for seven
stars) and reduction_gallery.png (rectified H-alpha of twenty).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from becat.etl.readers import read_file
from becat.etl.reduce import reduce_batch
from becat.etl.reduce.continuum import fit_continuum
from becat.etl.reduce.rectangle import bridge_gaps, pack
from becat.etl.reduce.resample import resample
from becat.schema.grid import ARMS

STEPS = [
    ("mrs/med-58440*sp11-073*", "red", "MRS, Be star"),
    ("mrs/med-58646*", "red", "MRS, double-lined binary"),
    ("mrs/med-58408*", "blue", "MRS, late type"),
    ("mrs/med-58440*sp11-073*", "blue", "MRS, Be star, blue"),
    ("lrs/spec-56284*", "red", "LRS, Be star, H-alpha without inverse variance"),
    ("halpha/alpha-lyr*", "red", "Ondrejov, Vega"),
    ("halpha/alphadra_20230417*", "red", "amateur, alpha Dra, short coverage"),
]
GALLERY = [
    ("mrs/med-58440*sp11-073*", "MRS Be"),
    ("mrs/med-58646*", "MRS SB2"),
    ("mrs/med-58625*", "MRS SB2"),
    ("mrs/med-58408*", "MRS late"),
    ("mrs/med-58025*", "MRS late"),
    ("lrs/bt-cmi*", "LRS BT CMi"),
    ("lrs/spec-56284*", "LRS Be"),
    ("lrs/spec-56094*", "LRS A"),
    ("lrs/spec-56317*", "LRS S/N 19"),
    ("lrs/spec-55862-B6202_sp01-005*", "LRS late"),
    ("halpha/gamma-cas*", "gamma Cas"),
    ("halpha/bt-cmi*", "BT CMi"),
    ("halpha/ub240016*", "Ondrejov Be"),
    ("halpha/kozajaku*", "Ondrejov emission"),
    ("halpha/alpha-lyr*", "Vega"),
    ("halpha/td240024*", "Ondrejov S/N 17"),
    ("halpha/alphadra_20230406*", "alpha Dra"),
    ("halpha/alphadra_20230417*", "alpha Dra, short"),
    ("miles/*m0345V*", "MILES"),
    ("miles/*m0055V*", "MILES"),
]


def spectrum(folder, pattern):
    """First spectrum of the only file that the pattern names."""
    return read_file(min(folder.glob(pattern)))[0][0]


def power(raw):
    """Resolving power, NaN where it is not known."""
    return np.nan if raw.meta.get("resolving_power") is None else raw.meta["resolving_power"]


def draw_steps(folder, path):
    """Flux and continuum at the left, rectified flux at the right."""
    figure, axes = plt.subplots(len(STEPS), 2, figsize=(10, 1.9 * len(STEPS)), layout="constrained")
    for (left, right), (pattern, arm, label) in zip(axes, STEPS, strict=True):
        raw, grid = spectrum(folder, pattern), ARMS[arm]
        reduced = reduce_batch([raw.arms[arm]], grid, power(raw))
        rectangle = pack([raw.arms[arm]], grid)
        bridge_gaps(rectangle)
        continuum = fit_continuum(*resample(rectangle, grid)[:2], grid).continuum
        shown = np.isfinite(reduced.flux[0])
        native = raw.arms[arm]
        inside = (native.wavelength_a > grid.wavelength_a[shown][0]) & (
            native.wavelength_a < grid.wavelength_a[shown][-1]
        )
        left.plot(native.wavelength_a[inside], native.flux[inside], lw=0.5, color="0.3")
        left.plot(grid.wavelength_a[shown], continuum[0, shown], lw=1, color="tab:red")
        left.set_title(label, fontsize=8, loc="left")
        right.plot(grid.wavelength_a, reduced.flux[0], lw=0.5, color="0.3")
        right.axhline(1, lw=0.8, color="tab:red")
        for axis in (left, right):
            axis.tick_params(labelsize=6)
    axes[-1, 0].set_xlabel("vacuum wavelength, Angstrom", fontsize=7)
    save(figure, path)


def draw_gallery(folder, path):
    """Twenty rectified spectra around H-alpha."""
    figure, axes = plt.subplots(4, 5, figsize=(10, 7), layout="constrained", sharex=True)
    grid = ARMS["red"]
    for axis, (pattern, label) in zip(axes.ravel(), GALLERY, strict=True):
        raw = spectrum(folder, pattern)
        reduced = reduce_batch([raw.arms["red"]], grid, power(raw))
        axis.plot(grid.wavelength_a, reduced.flux[0], lw=0.6, color="0.2")
        axis.axhline(1, lw=0.6, color="tab:red")
        near = (grid.wavelength_a > 6450) & (grid.wavelength_a < 6700)
        low, high = np.nanpercentile(reduced.flux[0, near], (0.05, 99.95))
        axis.set(xlim=(6450, 6700), ylim=(min(low, 0.85) - 0.05, max(high, 1.1) + 0.05))
        axis.set_title(label, fontsize=7, loc="left", pad=2)
        axis.tick_params(labelsize=6)
    save(figure, path)


def save(figure, path):
    """A palette of 32 colours makes the file a third as large."""
    figure.savefig(path, dpi=90)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(32).save(path, optimize=True)


def main():
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--real-data", default=os.environ.get("BECAT_REAL_DATA", root / ".." / "shared" / "real"))
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    draw_steps(Path(arguments.real_data), arguments.directory / "reduction_steps.png")
    draw_gallery(Path(arguments.real_data), arguments.directory / "reduction_gallery.png")


if __name__ == "__main__":
    main()
