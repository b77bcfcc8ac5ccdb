"""Whether the errors of velocities, widths and peaks are errors: exposures of simulated constant stars, each in another night.

    python -m benchmarks.epoch_pulls [--stars N] [--exposures N] [--seed N]

Each star is exposed in several nights, which differ by noise, water, the response of the fibre (the law of `benchmarks/ew_errors.py`) and an
error of the wavelengths; the reduction and the measurement are those of `becat load` and `becat measure`, in memory. A pull is the difference of
an exposure from the weighted mean of the others of its star, over the error of that difference. The tables give the half width that holds the middle
68.3 % of the pulls, which should be 1, the share of pulls above 3 (by chance 0.3 %), the median error, and in how many of the exposures there is a value.
V/R and separation are those of profiles with two peaks: view star_change compares them only with each other.
"""

from __future__ import annotations

import argparse

import numpy as np

from becat.etl.readers.spectrum import RawArm
from becat.etl.reduce import Reduced, reduce_batch
from becat.schema.grid import ARMS
from becat.simulate.changing_stars import draw_changing_stars
from becat.simulate.moving import expose_moving
from becat.simulate.spectra import Exposure
from becat.udfs import measure_batch, profile_batch
from becat.udfs.velocity import velocity_batch

KINDS = {"constant": "B and A stars", "steady_disc": "Be stars", "constant_late": "late types"}
SNRS = ((10, 20), (20, 40), (40, 80), (80, 160))
QUANTITIES = {
    "rv_halpha_wing_km_s": "velocity of the H-alpha wings", "rv_halpha_bisector_km_s": "velocity of the H-alpha bisector",
    "rv_hei_6680_km_s": "velocity of He I 6678", "rv_blue_km_s": "velocity of the blue arm", "ew_halpha_dry_a": "EW(H-alpha)",
    "peak_flux": "height of the highest peak", "violet_red_ratio": "V/R", "peak_separation_km_s": "separation of the peaks", "fwhm_halpha_km_s": "FWHM",
}  # fmt: skip
OF_DISCS = {"peak_flux", "violet_red_ratio", "peak_separation_km_s", "fwhm_halpha_km_s"}
OF_PAIRS = {"violet_red_ratio", "peak_separation_km_s"}
STARS_AT_ONCE = 24


def measured(exposures: dict[str, Exposure], n_exposures: int) -> dict[str, np.ndarray]:
    """(n, n_exposures) columns of what becat measures in the exposures of n stars, as `becat.simulate.moving` makes them, and of spectrum."""
    red, blue = (_reduced(exposures[arm], arm) for arm in ("red", "blue"))
    arms = (red.flux, red.ivar, blue.flux, blue.ivar)
    snr_r = exposures["red"].snr
    power = np.full(len(snr_r), 7500.0)
    columns = velocity_batch(*arms, power, continuum_error_red=red.continuum_error)
    columns |= measure_batch(*arms, snr_r, resolving_power=power, continuum_error_red=red.continuum_error)
    columns |= profile_batch(red.flux, red.ivar, snr_r, resolving_power=power, continuum_error_red=red.continuum_error)
    columns |= {"snr_r": snr_r, "continuum_error_red": red.continuum_error}
    return {name: np.ma.filled(values, -1).reshape(-1, n_exposures) for name, values in columns.items()}


def _reduced(exposure, arm) -> Reduced:
    rows = zip(exposure.flux, exposure.ivar, exposure.mask, exposure.snr, strict=True)
    raw = [RawArm(arm, exposure.wavelength_a, flux, ivar, mask > 0, snr) for flux, ivar, mask, snr in rows]
    return reduce_batch(raw, ARMS[arm], 7500.0)


def pulls(value: np.ndarray, error: np.ndarray) -> np.ndarray:
    """(n, k) difference of each exposure from the weighted mean of the others of its star, over its error; NaN without."""
    value, error = np.asarray(value, float), np.asarray(error, float)
    weight = np.where(np.isfinite(value) & (error > 0), error, np.inf) ** -2.0
    filled = np.nan_to_num(value)
    others = np.sum(weight, axis=1, keepdims=True) - weight
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (np.sum(weight * filled, axis=1, keepdims=True) - weight * filled) / others
        z = (filled - mean) / np.sqrt(1 / weight + 1 / others)
    return np.where((weight > 0) & (others > 0), z, np.nan)


def constant_stars(kind: str, n: int, k: int, limits: tuple[float, float], rng: np.random.Generator) -> dict:
    """(n, k) columns of k exposures of n stars that do not change, in batches."""
    parts = []
    for start in range(0, n, STARS_AT_ONCE):
        stars = draw_changing_stars(np.repeat(kind, min(STARS_AT_ONCE, n - start)), rng)
        still = np.repeat(stars.systemic_km_s[:, None], k, axis=1)
        snr = np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), (len(still), 1))) * np.ones(k)
        parts.append(measured(expose_moving(stars, still, snr, rng), k))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def main():
    """Print a table for each kind of star."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stars", type=int, default=48, help="stars of each kind and S/N")
    parser.add_argument("--exposures", type=int, default=6, help="of each star")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for number, (kind, words) in enumerate(KINDS.items()):
        print(f"\n| {words} | " + " | ".join(f"S/N {low}-{high}" for low, high in SNRS) + " |")
        print("|---|" + "---|" * len(SNRS))
        found = [
            constant_stars(
                kind, arguments.stars, arguments.exposures, limits, np.random.default_rng([arguments.seed, number, i])
            )
            for i, limits in enumerate(SNRS)
        ]
        for name, title in QUANTITIES.items():
            if name in OF_DISCS and kind != "steady_disc":
                continue
            print(f"| {title} | " + " | ".join(_cell(columns, name) for columns in found) + " |")


def _cell(columns, name):
    error = np.asarray(columns[f"e_{name}"], float)
    if name in OF_PAIRS:
        error = np.where(columns["n_emission_peaks"] == 2, error, np.nan)
    z = pulls(columns[name], error)
    z = z[np.isfinite(z)]
    if len(z) < 30:
        return f"({len(z) / error.size:.0%})"
    low, high = np.percentile(z, (15.87, 84.13))
    return f"{(high - low) / 2:.2f}, {np.mean(np.abs(z) > 3):.1%}; {np.nanmedian(error):.2g}; {np.isfinite(error).mean():.0%}"


if __name__ == "__main__":
    main()
