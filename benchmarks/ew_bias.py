"""Bias of the equivalent width of H-alpha through cleaning, gridding and rectifying, on simulated spectra.

    python -m benchmarks.ew_bias [--trials N] [--seed N]

Lines of known equivalent width are put on simulated continua (a slope and a blaze function, bent at random), seen at
R = 7500 in pixels of LAMOST's red arm with noise, and go through `becat.etl.reduce.reduce_batch`. The width measured over
6548-6578 A is compared with that of the injected profile over the same band: what a broad line loses outside the band
is no bias of the reduction.
"""

from __future__ import annotations

import argparse

import numpy as np

from becat.etl.readers import RawArm
from becat.etl.reduce import reduce_batch
from becat.schema.grid import RED
from becat.schema.lines import LINES

BAND_A = (6548.0, 6578.0)
# Equivalent width (positive in absorption) and full width at half maximum, Angstrom; the last is Lorentzian, like the
# Stark wings of an A star.
LINES_A = [
    (-40.0, 12.0, "gauss"),
    (-10.0, 8.0, "gauss"),
    (-2.0, 6.0, "gauss"),
    (-0.5, 2.0, "gauss"),
    (0.0, 2.0, "gauss"),
    (0.5, 2.0, "gauss"),
    (3.0, 10.0, "gauss"),
    (8.0, 20.0, "gauss"),
    (8.0, 40.0, "gauss"),
    (10.0, 12.0, "lorentz"),
]
SNRS = (10, 20, 50, 100, 200)
BATCH = 200
# A pixel of the red arm of LAMOST's medium-resolution files.
NATIVE_A = 6265.0 * 10 ** (1e-5 * np.arange(3880))


def profile(width_a, fwhm_a, shape):
    """Depth of the line below the continuum at the native pixels."""
    offset = NATIVE_A - LINES["halpha"].wavelength_a
    fwhm_a = np.hypot(fwhm_a, LINES["halpha"].wavelength_a / 7500)
    if shape == "gauss":
        sigma = fwhm_a / 2.3548
        return width_a * np.exp(-0.5 * (offset / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return width_a * (fwhm_a / 2) / np.pi / (offset**2 + (fwhm_a / 2) ** 2)


def simulate(n, snr, depth, rng):
    """Arms with the line, noise and a random response; signal to noise as given at H-alpha's continuum."""
    x = (NATIVE_A - 6565) / 300
    a, b, c, d = rng.normal(size=(4, n, 1)) * np.array([0.25, 0.15, 0.1, 0.02]).reshape(4, 1, 1)
    response = (1 - (0.45 + b) * x**2 + a * x + c * x**3) * (1 + d * np.sin(2 * np.pi * x + 10 * a))
    expected = response * (1 - depth)
    noise = np.sqrt(np.maximum(expected, 0.02)) / snr
    flux = expected + noise * rng.normal(size=expected.shape)
    good = np.zeros(len(NATIVE_A), bool)
    return [
        RawArm("red", NATIVE_A, f.astype(np.float32), (1 / s**2).astype(np.float32), good)
        for f, s in zip(flux, noise, strict=True)
    ]


def measure(flux, ivar):
    """Equivalent width over the band and the error that the inverse variance predicts."""
    inside = (RED.wavelength_a > BAND_A[0]) & (RED.wavelength_a < BAND_A[1])
    with np.errstate(divide="ignore"):
        variance = np.where(ivar[:, inside] > 0, 1 / ivar[:, inside], 0)
    return (1 - flux[:, inside]).sum(axis=1) * RED.step_a, np.sqrt(variance.sum(axis=1)) * RED.step_a


def cell(width_a, fwhm_a, shape, snr, n_trials, rng):
    """Mean bias, its standard error, scatter and predicted error, Angstrom."""
    depth = profile(width_a, fwhm_a, shape)
    clean = np.interp(RED.wavelength_a, NATIVE_A, 1 - depth)[None]
    truth = measure(clean, np.ones_like(clean))[0][0]
    widths, errors = [], []
    for start in range(0, n_trials, BATCH):
        reduced = reduce_batch(simulate(min(BATCH, n_trials - start), snr, depth, rng), RED, 7500.0)
        width, error = measure(reduced.flux, reduced.ivar)
        widths.append(width)
        errors.append(error)
    widths, errors = np.concatenate(widths), np.concatenate(errors)
    return truth, widths.mean() - truth, widths.std() / np.sqrt(n_trials), widths.std(), errors.mean()


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=400, help="spectra for each entry, four times as many at S/N 10")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    print(
        "| injected EW | FWHM | shape | EW in the band | S/N | bias | its error | scatter | predicted | scatter/predicted |"
    )
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for width_a, fwhm_a, shape in LINES_A:
        for snr in SNRS:
            n_trials = arguments.trials * (4 if snr == 10 else 1)
            truth, bias, e_bias, scatter, error = cell(width_a, fwhm_a, shape, snr, n_trials, rng)
            print(
                f"| {width_a:g} | {fwhm_a:g} | {shape} | {truth:.3f} | {snr} | {bias:+.4f} | {e_bias:.4f}"
                f" | {scatter:.4f} | {error:.4f} | {scatter / error:.2f} |"
            )


if __name__ == "__main__":
    main()
