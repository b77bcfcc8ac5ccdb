"""Whether the errors of EW(H-alpha) are errors: differences of constant stars over their errors.

    python -m benchmarks.ew_errors [--pairs N] [--seed N] [--real FOLDER]

Two visits to a constant star differ by noise and by the instrument's response. A star is a real spectrum of high S/N (stars
of the MILES library at R = 1800; coadds of LAMOST's medium-resolution survey at R = 7500; spectra from Ondrejov at 13,000) or,
without `--real`, a simulated line. Each visit gets a response of its own: a blaze function, a slope, a wave of 300
Angstrom, 2 % high, and bends of 0.25 % from one 25 Angstrom to the next, which is what the ratios of LAMOST's nights show; a
zero level that is wrong by 2 %, as stray light and sky make it; and noise that neighbours share as in LAMOST's coadds. The table gives the width of the distribution of
(EW1 - EW2) / hypot(e1, e2), which should be 1, and the share above 5.

With `--real` the second table gives the same of real repeats: the exposures of a night against each other, nights, and
alpha Dra by several observers.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.schema.grid import RED
from becat.udfs import measure_batch

SNRS = (10, 20, 50, 100, 200)
# Name, files (of MILES those of some types) under the folder of real data, resolving power, native pixel (Angstrom), and the share of its noise that a pixel
# gives to either neighbour: 0.24 and 0.12 make correlations of +0.65 and +0.3, as measured on the coadds.
INSTRUMENTS = [
    ("LRS, types O to F", "miles/* [OBAF]", 1800.0, 1.5, 0.12),
    ("LRS, types G to M", "miles/* [GKM]", 1800.0, 1.5, 0.12),
    ("MRS", "mrs/med-58*", 7500.0, 0.15, 0.24),
    ("Ondrejov", "halpha/[abdgkrtuv]?[!p]*", 13000.0, 0.256, 0.0),
]
BEND, ZERO_LEVEL = 0.0025, 0.02
MIN_SNR = 90.0  # of a spectrum that serves as a star: its own noise is the same in both visits, like weak lines


def lines(power, step_a):
    """Simulated stars, (n, pixels): emission, a hot star's and an A star's absorption, and no line."""
    x = np.arange(6290.0, 6810.0, step_a)
    shapes = [(-10.0, 8.0), (-1.5, 4.0), (0.0, 4.0), (3.0, 10.0), (8.0, 20.0)]
    flux = []
    for width_a, fwhm_a in shapes:
        sigma = np.hypot(fwhm_a, 6565 / power) / 2.3548
        flux.append(1 - width_a * np.exp(-0.5 * ((x - 6564.6) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)))
    return x, np.array(flux)


def real_stars(folder, pattern, step_a):
    """Rectified real spectra on pixels of an instrument, (n, pixels)."""
    x = np.arange(6300.0, 6800.0, step_a)
    arms, power = [], []
    for path in _files(folder, *pattern.split()):
        for spectrum in read_file(path, need_snr=False)[0]:
            arm = spectrum.arms["red"]
            whole = arm.wavelength_a[0] < 6320 and arm.wavelength_a[-1] > 6700
            if whole and (spectrum.meta["snr_r"] or 0) > MIN_SNR:
                arms.append(arm)
                power.append(spectrum.meta["resolving_power"])
    reduced = reduce_batch(arms, RED, np.array(power, float))
    good = (reduced.ivar > 0) & np.isfinite(reduced.flux)
    flux = [np.interp(x, RED.wavelength_a[g], f[g]) for f, g in zip(reduced.flux, good, strict=True)]
    return x, np.array(flux)


def _files(folder, pattern, types=""):
    """Files of a pattern; with `types`, those whose star has one of them."""
    paths = sorted(folder.glob(f"{pattern}.fits*"))
    if not types:
        return paths
    with open(folder / "miles" / "stars.csv", newline="", encoding="utf-8") as file:
        known = {row["file"]: row["spectral_type"] for row in csv.DictReader(file)}
    return [path for path in paths if known.get(path.name, "")[:1] in types[1:-1]]


def visits(x, flux, snr, side, rng):
    """Arms of one visit to each star, with a response and noise of its own."""
    n = len(flux)
    place = (x - 6565) / 300
    a, b, c, d, phase = rng.normal(size=(5, n, 1)) * np.array([0.25, 0.15, 0.1, 0.02, 3.0]).reshape(5, 1, 1)
    response = (1 - (0.45 + b) * place**2 + a * place + c * place**3) * (1 + d * np.sin(2 * np.pi * place + phase))
    knots = np.arange(6275.0, 6826.0, 25.0)
    response *= 1 + np.array([np.interp(x, knots, row) for row in BEND * rng.normal(size=(n, knots.size))])
    expected = response * (flux + ZERO_LEVEL * rng.normal(size=(n, 1)))
    sigma = np.sqrt(np.maximum(expected, 0.02)) / snr
    white = rng.normal(size=(n, x.size + 2))
    # Means of neighbours: the variance of a pixel falls, that of a sum over many stays, as in the coadds.
    noise = side * white[:, :-2] + (1 - 2 * side) * white[:, 1:-1] + side * white[:, 2:]
    bad = np.zeros(x.size, bool)
    return [
        RawArm("red", x, f.astype(np.float32), (1 / s**2).astype(np.float32), bad)
        for f, s in zip(expected + sigma * noise, sigma, strict=True)
    ]


def measured(arms, power, snr):
    """EW(H-alpha) and its error."""
    reduced = reduce_batch(arms, RED, power)
    columns = measure_batch(
        reduced.flux,
        reduced.ivar,
        None,
        None,
        np.full(len(arms), float(snr)),
        continuum_error_red=reduced.continuum_error,
    )
    return columns["ew_halpha_a"], columns["e_ew_halpha_a"]


def width(z):
    """Half the width that holds the middle 68.3 %, and the share above 5, of deviations."""
    low, high = np.percentile(z, (15.87, 84.13))
    return (high - low) / 2, np.mean(np.abs(z) > 5)


def simulated_table(n_pairs, folder, rng):
    """Print the width for each instrument and S/N."""
    print("| instrument | " + " | ".join(f"S/N {snr}" for snr in SNRS) + " |")
    print("|---|" + "---:|" * len(SNRS))
    beyond = []
    for name, pattern, power, step_a, side in INSTRUMENTS:
        x, stars = real_stars(folder, pattern, step_a) if folder else lines(power, step_a)
        cells = []
        for snr in SNRS:
            flux = stars[rng.integers(len(stars), size=n_pairs)]
            (w1, e1), (w2, e2) = (measured(visits(x, flux, snr, side, rng), power, snr) for _ in range(2))
            z = (w1 - w2) / np.hypot(e1, e2)
            beyond.append(z[np.isfinite(z)])
            cells.append(f"{width(beyond[-1])[0]:.2f} ({np.median(e1):.2f})")
        print(f"| {name}, {len(stars)} stars | " + " | ".join(cells) + " |")
    z = np.concatenate(beyond)
    print(
        f"\n{np.sum(np.abs(z) > 5)} of {z.size} pairs differ by more than five errors; errors in Angstrom in brackets."
    )


def real_table(folder):
    """Print the same of real repeats."""
    nights, exposures = [], []
    for path in sorted(folder.glob("mrs/*")):
        found = read_file(path, exposures="all", need_snr=False)[0]
        good = [s for s in found if "red" in s.arms and (s.meta["snr_r"] or 0) > 10]
        nights += [(s.meta["ra_deg"], s.meta["dec_deg"], s) for s in good if s.meta["coadd"]]
        exposures.append((path.name, [s for s in good if not s.meta["coadd"]]))
    print("\n| repeats | differences | width | largest |\n|---|---:|---:|---:|")
    for name, group in exposures:
        if len(group) > 1:
            _print_pairs(name[:9] + ", exposures", group)
    same = [s for ra, dec, s in nights if sum(np.hypot(ra - r, dec - d) < 1e-3 for r, d, _ in nights) > 1]
    _print_pairs("coadds of a double-lined binary, 5 nights", same)
    paths = [*folder.glob("halpha/alphadra*"), *folder.glob("field/halpha/alphadra*")]
    _print_pairs("alpha Dra, several observers", [read_file(path, need_snr=False)[0][0] for path in sorted(paths)])


def _print_pairs(name, group):
    power = np.array([s.meta["resolving_power"] for s in group], float)
    ew, error = measured([s.arms["red"] for s in group], power, 50.0)
    z = [(ew[i] - ew[j]) / np.hypot(error[i], error[j]) for i, j in combinations(range(len(group)), 2)]
    print(f"| {name} | {len(z)} | {np.sqrt(np.mean(np.square(z))):.2f} | {np.abs(z).max():.1f} |")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=300, help="pairs of visits for each entry")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path, help="folder of real data, whose stars are used")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    simulated_table(arguments.pairs, arguments.real, np.random.default_rng(arguments.seed))
    if arguments.real:
        real_table(arguments.real)


if __name__ == "__main__":
    main()
