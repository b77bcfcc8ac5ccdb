"""Whether the errors of what is followed from epoch to epoch are errors: pulls of simulated discs.

    python -m benchmarks.epoch_errors [--stars N] [--visits N] [--seed N] [--power R]

Be stars of the simulator, each rendered once, are visited several times as in `benchmarks.ew_errors`: a response and a zero level of
the visit's own, and noise that neighbours share. The pull is (visit - truth) / error; the truth is what becat measures with the same
smoothing on the star without noise and response. The table gives the width of the pulls (half of what holds the middle 68.3 %), which should be 1,
and the share beyond 5.
"""

from __future__ import annotations

import argparse

import numpy as np

from becat.etl.reduce import reduce_batch
from becat.schema.grid import RED
from becat.schema.parameters import load
from becat.simulate.spectra import GRIDS, draw_stars, render_stars
from becat.udfs import measure_batch, profile_batch
from benchmarks.ew_errors import INSTRUMENTS, visits, width

KINDS = ("emission", "emission_weak", "shell_emission", "shell_absorption")
SNRS = (20, 50, 100, 200)
QUANTITIES = (
    "ew_halpha_a",
    "peak_flux",
    "fwhm_halpha_km_s",
    "core_flux",
    "violet_red_ratio",
    "peak_separation_km_s",
)


def simulated_stars(n, step_a, power, rng):
    """Rectified spectra of Be stars on pixels of an instrument: wavelengths, Angstrom, and (n, pixels) flux."""
    kind = rng.choice(KINDS, n, p=(0.5, 0.15, 0.25, 0.1))
    grid = GRIDS["red" if power > 5000 else "lrs"]
    whole, _, _ = render_stars(draw_stars(kind, rng), grid, rng)
    x = np.arange(6290.0, 6810.0, step_a)
    return x, np.array([np.interp(x, grid.wavelength_a, flux) for flux in whole])


def measured(arms, power, snr):
    """Columns of line_measurement and profile_class of red arms."""
    n = len(arms)
    power, snr = np.full(n, power), np.full(n, float(snr))
    coadd = np.full(n, True)  # their noise is that of `visits`
    reduced = reduce_batch(arms, RED, power)
    lines = measure_batch(
        reduced.flux,
        reduced.ivar,
        None,
        None,
        snr,
        resolving_power=power,
        is_lamost_coadd=coadd,
        continuum_error_red=reduced.continuum_error,
        parameters={"telluric_significance_min": np.inf},
    )
    profiles = profile_batch(
        reduced.flux,
        reduced.ivar,
        snr,
        None,
        power,
        is_lamost_coadd=coadd,
        continuum_error_red=reduced.continuum_error,
        parameters={"telluric_significance_min": np.inf},
    )
    found = lines | profiles
    # As the view `epoch` has it: the continuum and the zero level of the visit too.
    level = found["core_flux"]
    zero = load()["ew_zero_level_error"].value
    found["e_core_flux"] = np.sqrt(
        found["e_core_flux"] ** 2 + (reduced.continuum_error * level) ** 2 + (zero * (level - 1)) ** 2
    )
    return {
        name: np.ma.filled(np.ma.asarray(found[name], dtype=float), np.nan)
        for name in (*QUANTITIES, *(f"e_{q}" for q in QUANTITIES), "n_emission_peaks")
    }


def quiet(x, flux, snr, side):
    """Arms of the stars without noise and response, with the errors of a visit."""
    arms = visits(x, flux, snr, side, np.random.default_rng(0))
    for arm, clean in zip(arms, flux, strict=True):
        arm.flux[:] = clean
        arm.ivar[:] = snr**2 / np.maximum(clean, 0.02)
    return arms


def pulls(n_stars, n_visits, snr, power, rng):
    """Pulls of each quantity, of the visits that show as many emission peaks as the star has."""
    _, _, _, step_a, side = next(row for row in INSTRUMENTS if row[2] == power)
    x, flux = simulated_stars(n_stars, step_a, power, rng)
    truth = measured(quiet(x, flux, snr, side), power, snr)
    found = {name: [] for name in QUANTITIES}
    for _ in range(n_visits):
        seen = measured(visits(x, flux, snr, side, rng), power, snr)
        same = seen["n_emission_peaks"] == truth["n_emission_peaks"]
        for name in QUANTITIES:
            kept = same
            if name == "peak_flux":  # where it is one of emission above the continuum, as in the view
                kept = (
                    same & (seen["n_emission_peaks"] > 0) & (seen["peak_flux"] > 1 + load()["profile_height_min"].value)
                )
            found[name].append(((seen[name] - truth[name]) / seen[f"e_{name}"])[kept])
    return {name: np.concatenate(values) for name, values in found.items()}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=300)
    parser.add_argument("--visits", type=int, default=3, help="visits to each star")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--power", type=float, default=7500.0, help="resolving power: 7500 or 1800")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    table = {snr: pulls(arguments.stars, arguments.visits, snr, arguments.power, rng) for snr in SNRS}
    print("| quantity | " + " | ".join(f"S/N {snr}" for snr in SNRS) + " | beyond 5 | pulls |")
    print("|---|" + "---:|" * (len(SNRS) + 2))
    for name in QUANTITIES:
        kept = {snr: z[name][np.isfinite(z[name])] for snr, z in table.items()}
        every = np.concatenate(list(kept.values()))
        cells = [f"{width(z)[0]:.2f}" if z.size > 20 else "-" for z in kept.values()]
        print(f"| {name} | {' | '.join(cells)} | {width(every)[1]:.4f} | {every.size} |")


if __name__ == "__main__":
    main()
