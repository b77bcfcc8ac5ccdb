"""Cosmic rays found, and lines lost to them, on simulated spectra of four instruments.

python -m benchmarks.cosmic_rays [--seed N]
"""

from __future__ import annotations

import argparse

import numpy as np

from becat.etl.readers import RawArm
from becat.etl.reduce.cosmic import flag_cosmic_rays
from becat.etl.reduce.rectangle import pack
from becat.schema.grid import RED
from becat.schema.quality import PixelMask

# Native pixel at H-alpha, Angstrom, and resolving power.
INSTRUMENTS = {
    "MRS red": (0.151, 7500.0),
    "MRS blue": (0.100, 7500.0),
    "Ondrejov": (0.256, 12784.0),
    "LRS": (1.5, 1800.0),
}
SNRS = (10, 30, 100, 300)
LINES_PER_SPECTRUM, SPECTRA = 25, 20
HIT_WIDTHS, HIT_SIGMAS, HIT_SNR = (1, 2, 3, 4), (8, 15, 30, 100), 50


def arm(step_a, snr, rng, lines=None):
    """A sloping continuum with the lines (a function of wavelength) and photon noise."""
    wavelength = np.exp(np.arange(np.log(6290.0), np.log(6810.0), step_a / 6550))
    expected = 1 + 0.2 * (wavelength - 6550) / 250 + (0 if lines is None else lines(wavelength))
    noise = np.sqrt(np.maximum(expected, 0.05)) / snr
    flux = (expected + noise * rng.normal(size=wavelength.size)).astype(np.float32)
    return RawArm("red", wavelength, flux, (noise**-2).astype(np.float32), np.zeros(wavelength.size, bool))


def unresolved_lines(height, resolving_power, rng):
    """Lines as narrow as the instrument can show, anywhere."""
    centres, fwhm = rng.uniform(6310, 6790, LINES_PER_SPECTRUM), 6560 / resolving_power
    return lambda wavelength: sum(height * np.exp(-4 * np.log(2) * ((wavelength - c) / fwhm) ** 2) for c in centres)


def flagged(arms, resolving_power):
    """Pixels taken for hits, and the first native pixel of the rectangle."""
    rectangle = pack(arms, RED)
    flag_cosmic_rays(rectangle, np.full(len(arms), resolving_power))
    return (rectangle.mask & PixelMask.COSMIC_RAY) > 0, np.searchsorted(arms[0].wavelength_a, rectangle.edges_a[0, 0])


def recovery(step_a, resolving_power, width, sigma, rng):
    """Share of the pixels of injected hits that are found, away from H-alpha."""
    arms = [arm(step_a, HIT_SNR, rng) for _ in range(SPECTRA)]
    hit = np.zeros((SPECTRA, arms[0].flux.size), bool)
    for row, one in zip(hit, arms, strict=True):
        free = np.flatnonzero(np.abs(one.wavelength_a - 6565) > 25)[30:-30:30]
        for first in rng.choice(free, min(10, free.size), replace=False):
            one.flux[first : first + width] += sigma / HIT_SNR
            row[first : first + width] = True
    found, first = flagged(arms, resolving_power)
    return found[hit[:, first : first + found.shape[1]]].mean()


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    rng = np.random.default_rng(parser.parse_args().seed)
    n_lines = len(SNRS) ** 2 * SPECTRA * LINES_PER_SPECTRUM
    print(f"| instrument | pixels removed from {n_lines:,} lines | from noise |\n|---|---:|---:|")
    for name, (step, power) in INSTRUMENTS.items():
        lost = 0
        for snr in SNRS:
            for height in (0.3, 1, 5, 20):
                arms = [arm(step, snr, rng, unresolved_lines(height, power, rng)) for _ in range(SPECTRA)]
                lost += flagged(arms, power)[0].sum()
        noise = [flagged([arm(step, snr, rng) for _ in range(64)], power)[0] for snr in SNRS]
        print(f"| {name} | {lost} | {sum(n.sum() for n in noise)} of {sum(n.size for n in noise):,} |")
    print("\nPixels of hits found, %\n")
    print("| instrument | width, px | " + " | ".join(f"{s} sigma" for s in HIT_SIGMAS) + " |")
    print("|---|---:|" + "---:|" * len(HIT_SIGMAS))
    for name, (step, power) in INSTRUMENTS.items():
        for width in HIT_WIDTHS:
            shares = [100 * recovery(step, power, width, sigma, rng) for sigma in HIT_SIGMAS]
            print(f"| {name} | {width} | " + " | ".join(f"{s:.0f}" for s in shares) + " |")


if __name__ == "__main__":
    main()
