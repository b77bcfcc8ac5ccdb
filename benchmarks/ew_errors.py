"""Whether the errors of equivalent widths are errors: differences of constant stars over their errors.

    python -m benchmarks.ew_errors [--pairs N] [--visits N] [--seed N] [--real FOLDER] [--line mgb] [--windows]

Two visits to a constant star differ by noise and by the instrument's response. A star is a real spectrum of high S/N (stars
of the MILES library at R = 1800; coadds of LAMOST's medium-resolution survey at R = 7500; spectra from Ondrejov at 13,000) or,
without `--real`, a simulated line. Each visit gets a response of its own: a blaze function, a slope, a wave of 300
Angstrom, 2 % high, and bends of 0.25 % from one 25 Angstrom to the next, which is what the ratios of LAMOST's nights show; a
zero level that is wrong by 2 %, as stray light and sky make it; and noise that neighbours share as in LAMOST's coadds. The table gives the width of the distribution of
(EW1 - EW2) / hypot(e1, e2), which should be 1; below it stands how many stars seem to vary by more than 5 sigma: chi-square
about the mean of all visits, as in `star_visits`.

With `--real` the second table gives the same of real repeats: the exposures of a night against each other, nights, and
alpha Dra by several observers. `--line mgb` does it for EW(Mg b), without repeats. `--windows` compares a visit of which the whole arm is
known with one that reaches only so far beyond H-alpha.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.schema.grid import ARMS
from becat.schema.lines import LINES
from becat.udfs import measure_batch

HALPHA_A = LINES["halpha"].wavelength_a
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
CENTRE_A = {"red": 6565.0, "blue": 5150.0}  # of the responses
ARM_OF = {"halpha": "red", "mgb": "blue"}
WHOLE_A = {"red": (6320.0, 6700.0), "blue": (4960.0, 5340.0)}  # what a spectrum must cover to serve as a star
WINDOWS_A = ((6480, 6660), (6500, 6632), (6510, 6620), (6520, 6605), (6527, 6593))
WINDOW_STARS = {
    "gamma Cas": "halpha/gamma-cas-emission.fits",
    "BT CMi": "halpha/bt-cmi-ondrejov.fits",
    "Vega": "halpha/alpha-lyr-absorption.fits",
    "alpha Dra": "halpha/alphadra_20230406203307_bchristian.fits",
    "HD 886, B2": "miles/MILES_res2.50_star_m0011V.fits",
    "HD 249, K1": "miles/MILES_res2.50_star_m0005V.fits",
}
REACHES_A = (30, 35, 42, 50, 65, 80, 110)  # of the windows, on either side of H-alpha
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


def real_stars(folder, pattern, step_a, arm="red"):
    """Rectified real spectra on pixels of an instrument, (n, pixels)."""
    grid, (low_a, high_a) = ARMS[arm], WHOLE_A[arm]
    x = np.arange(grid.wavelength_a[0], grid.wavelength_a[-1], step_a)
    arms, power = [], []
    for path in _files(folder, *pattern.split()):
        for spectrum in read_file(path, need_snr=False)[0]:
            found = spectrum.arms.get(arm)
            if found is None or found.wavelength_a[0] > low_a or found.wavelength_a[-1] < high_a:
                continue
            if (spectrum.meta["snr_r"] or 0) > MIN_SNR:
                arms.append(found)
                power.append(spectrum.meta["resolving_power"])
    reduced = reduce_batch(arms, grid, np.array(power, float))
    good = (reduced.ivar > 0) & np.isfinite(reduced.flux)
    flux = [np.interp(x, grid.wavelength_a[g], f[g]) for f, g in zip(reduced.flux, good, strict=True)]
    return x, np.array(flux).reshape(len(flux), x.size)


def _files(folder, pattern, types=""):
    """Files of a pattern; with `types`, those whose star has one of them."""
    paths = sorted(folder.glob(f"{pattern}.fits*"))
    if not types:
        return paths
    with open(folder / "miles" / "stars.csv", newline="", encoding="utf-8") as file:
        known = {row["file"]: row["spectral_type"] for row in csv.DictReader(file)}
    return [path for path in paths if known.get(path.name, "")[:1] in types[1:-1]]


def visits(x, flux, snr, side, rng, arm="red"):
    """Arms of one visit to each star, with a response and noise of its own."""
    n = len(flux)
    place = (x - CENTRE_A[arm]) / 300
    a, b, c, d, phase = rng.normal(size=(5, n, 1)) * np.array([0.25, 0.15, 0.1, 0.02, 3.0]).reshape(5, 1, 1)
    response = (1 - (0.45 + b) * place**2 + a * place + c * place**3) * (1 + d * np.sin(2 * np.pi * place + phase))
    knots = np.arange(x[0] - 25, x[-1] + 26, 25.0)
    response *= 1 + np.array([np.interp(x, knots, row) for row in BEND * rng.normal(size=(n, knots.size))])
    expected = response * (flux + ZERO_LEVEL * rng.normal(size=(n, 1)))
    sigma = np.sqrt(np.maximum(expected, 0.02)) / snr
    white = rng.normal(size=(n, x.size + 2))
    # Means of neighbours: the variance of a pixel falls, that of a sum over many stays, as in the coadds.
    noise = side * white[:, :-2] + (1 - 2 * side) * white[:, 1:-1] + side * white[:, 2:]
    bad = np.zeros(x.size, bool)
    return [
        RawArm(arm, x, f.astype(np.float32), (1 / s**2).astype(np.float32), bad)
        for f, s in zip(expected + sigma * noise, sigma, strict=True)
    ]


def measured(arms, power, snr, with_water=False):
    """EW(H-alpha) of red arms, EW(Mg b) of blue ones, and its error.

    The water of a real star's spectrum is the same in all its simulated visits: its error counts among real ones only.
    """
    arm = arms[0].arm
    reduced = reduce_batch(arms, ARMS[arm], power)
    flux = {name: np.full((len(arms), grid.n_pixels), np.nan) for name, grid in ARMS.items()} | {arm: reduced.flux}
    ivar = {name: np.zeros(flux[name].shape) for name in ARMS} | {arm: reduced.ivar}
    columns = measure_batch(
        flux["red"],
        ivar["red"],
        flux["blue"],
        ivar["blue"],
        np.full(len(arms), float(snr)),
        resolving_power=np.broadcast_to(power, len(arms)),
        parameters={} if with_water else {"telluric_significance_min": np.inf},
        **{f"continuum_error_{arm}": reduced.continuum_error},
    )
    name = next(line for line, its_arm in ARM_OF.items() if its_arm == arm)
    return columns[f"ew_{name}_a"], columns[f"e_ew_{name}_a"]


def width(z):
    """Half the width that holds the middle 68.3 %, and the share above 5, of deviations."""
    low, high = np.percentile(z, (15.87, 84.13))
    return (high - low) / 2, np.mean(np.abs(z) > 5)


def variability_sigma(width_a, error_a):
    """Significance of the scatter of visits (n_visits, n_stars) about their mean, in standard deviations."""
    weight = error_a**-2
    mean = np.sum(weight * width_a, axis=0) / np.sum(weight, axis=0)
    return norm.isf(chi2.sf(np.sum(weight * (width_a - mean) ** 2, axis=0), len(width_a) - 1))


def simulated_table(n_pairs, n_visits, folder, rng, arm):
    """Print the width for each instrument and S/N."""
    print("| instrument | " + " | ".join(f"S/N {snr}" for snr in SNRS) + " |")
    print("|---|" + "---:|" * len(SNRS))
    sigmas = []
    for name, pattern, power, step_a, side in INSTRUMENTS:
        x, stars = real_stars(folder, pattern, step_a, arm) if folder else lines(power, step_a)
        cells = []
        if not len(stars):
            continue
        for snr in SNRS:
            flux = stars[rng.integers(len(stars), size=n_pairs)]
            seen = [measured(visits(x, flux, snr, side, rng, arm), power, snr) for _ in range(n_visits)]
            ew, error = np.array(seen).transpose(1, 0, 2)
            z = (ew[0] - ew[1]) / np.hypot(error[0], error[1])
            sigmas.append(variability_sigma(ew, error))
            cells.append(f"{width(z[np.isfinite(z)])[0]:.2f} ({np.median(error):.2f})")
        print(f"| {name}, {len(stars)} stars | " + " | ".join(cells) + " |")
    sigma = np.concatenate(sigmas)
    print(
        f"\n{np.sum(sigma > 5)} of {np.sum(np.isfinite(sigma))} stars of {n_visits} visits vary by more than 5 sigma;"
        " errors in Angstrom in brackets."
    )


def window_table(n_pairs, folder, rng, snr):
    """Print how far the width in a window is from that of the whole arm, in errors: median, width, and share above 5."""
    print(f"\n| S/N {snr} | " + " | ".join(f"6,564.6 ± {reach}" for reach in REACHES_A) + " |")
    print("|---|" + "---:|" * len(REACHES_A))
    for name, pattern, power, step_a, side in INSTRUMENTS:
        x, stars = real_stars(folder, pattern, step_a) if folder else lines(power, step_a)
        cells = []
        for reach_a in REACHES_A:
            flux = stars[rng.integers(len(stars), size=n_pairs)]
            w1, e1 = measured(visits(x, flux, snr, side, rng), power, snr)
            inside = np.abs(x - HALPHA_A) < reach_a
            w2, e2 = measured(visits(x[inside], flux[:, inside], snr, side, rng), power, snr)
            z = (w2 - w1) / np.hypot(e1, e2)
            cells.append(f"{np.median(z):+.2f} {np.sqrt(np.mean(z**2)):.2f} {np.mean(np.abs(z) > 5):.3f}")
        print(f"| {name}, {len(stars)} stars | " + " | ".join(cells) + " |")


def cut_table(folder):
    """Print widths and errors of real spectra cut to windows."""
    print("\n| star | whole | " + " | ".join(f"{low:,}-{high:,}" for low, high in WINDOWS_A) + " |")
    print("|---|" + "---:|" * (1 + len(WINDOWS_A)))
    for name, path in WINDOW_STARS.items():
        spectrum = read_file(folder / path, need_snr=False)[0][0]
        arm, cells = spectrum.arms["red"], []
        for low_a, high_a in ((0, np.inf), *WINDOWS_A):
            kept = (arm.wavelength_a > low_a) & (arm.wavelength_a < high_a)
            part = {each: getattr(arm, each)[kept] for each in ("wavelength_a", "flux", "ivar", "bad")}
            (ew,), (error,) = measured([replace(arm, **part)], spectrum.meta["resolving_power"], 100.0)
            cells.append(f"{ew:.2f} ± {error:.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


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
    ew, error = measured([s.arms["red"] for s in group], power, 50.0, with_water=True)
    z = [(ew[i] - ew[j]) / np.hypot(error[i], error[j]) for i, j in combinations(range(len(group)), 2)]
    print(f"| {name} | {len(z)} | {np.sqrt(np.mean(np.square(z))):.2f} | {np.abs(z).max():.1f} |")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=300, help="pairs of visits for each entry")
    parser.add_argument("--visits", type=int, default=2, help="visits to each star")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path, help="folder of real data, whose stars are used")
    parser.add_argument("--line", choices=ARM_OF, default="halpha")
    parser.add_argument("--windows", action="store_true", help="windows around H-alpha instead of whole arms")
    arguments = parser.parse_args()
    if arguments.line == "mgb" and (arguments.windows or not arguments.real):
        parser.error("EW(Mg b) is measured of whole arms of real stars: give --real")
    warnings.simplefilter("ignore", UserWarning)
    rng = np.random.default_rng(arguments.seed)
    if arguments.windows:
        for snr in (20, 100):
            window_table(arguments.pairs, arguments.real, rng, snr)
        if arguments.real:
            cut_table(arguments.real)
        return
    simulated_table(arguments.pairs, arguments.visits, arguments.real, rng, ARM_OF[arguments.line])
    if arguments.real and arguments.line == "halpha":
        real_table(arguments.real)


if __name__ == "__main__":
    main()
