"""Whether the errors of velocities are errors, how the velocities compare with laspec's, and what they cost.

    python -m benchmarks.velocities [--stars N] [--seed N] [--real FOLDER] [--laspec PYTHON]

Two visits to a star of constant velocity differ by noise, by the instrument's response and by the calibration of its wavelengths. Stars of the simulator
are observed twice, each visit with noise, response, cosmic rays, telluric lines and wavelengths of its own (0.02 resolution elements, as of real
exposures). The first table gives for each kind of star, method and S/N the width of the distribution of (v1 - v2) / hypot(e1, e2), which should be 1, in
brackets the median error in km/s and the share of spectra that have a velocity; the second how far velocities lie from the truth, in km/s.

With `--real` a third table gives the same widths of the exposures of real stars within a night. With `--laspec`, a Python that has laspec, its
velocities of the same simulated spectra stand beside, with scatter and CPU time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.schema.grid import ARMS, BLUE
from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.schema.parameters import load
from becat.simulate.spectra import draw_stars, expose
from becat.udfs import measure_batch, profile_batch, velocity_batch
from becat.udfs.velocity.templates import blue_bank

SNRS = (10, 20, 50, 100)
KINDS = ("emission", "emission_weak", "shell_emission", "absorption", "absorption_core", "late")
METHODS = ("halpha_wing", "halpha_bisector", "hei_6680", "blue")
POWER = {"mrs": 7500.0, "lrs": 1800.0}
RANGE_A = {"red": (6290.0, 6810.0), "blue": (4940.0, 5360.0)}


def visits(kind, n_stars, snr, rng, survey="mrs", n_visits=2):
    """Rectified visits to stars of a kind: a list of (red, blue) reduced arms, and the true velocities."""
    stars = draw_stars(np.repeat(kind, n_stars), rng)
    calibration = load()["velocity_calibration_elements"].value * SPEED_OF_LIGHT_KM_S / POWER[survey]
    found = []
    for _ in range(n_visits):
        arms = ("lrs",) if survey == "lrs" else ("blue", "red")
        seen = expose(stars, np.full(n_stars, float(snr)), rng, arms)
        off = 1 + calibration * rng.standard_normal(n_stars) / SPEED_OF_LIGHT_KM_S
        found.append({arm: _reduced(seen.coadd, arm, off, POWER[survey]) for arm in ARMS})
    return found, stars.truth()["rv_km_s"]


def _reduced(coadd, arm, off, power):
    seen = coadd.get(arm) or coadd["lrs"]
    low, high = RANGE_A[arm]
    inside = (seen.wavelength_a > low) & (seen.wavelength_a < high)
    raw = [
        RawArm(arm, seen.wavelength_a[inside] * factor, flux[inside], ivar[inside], mask[inside] > 0)
        for factor, flux, ivar, mask in zip(off, seen.flux, seen.ivar, seen.mask, strict=True)
    ]
    return reduce_batch(raw, ARMS[arm], power)


def measured(arms, power):
    """Columns of radial_velocity of reduced arms."""
    red, blue = arms["red"], arms["blue"]
    n = len(red.flux)
    return velocity_batch(
        red.flux, red.ivar, blue.flux, blue.ivar, np.full(n, power), continuum_error_red=red.continuum_error
    )


def width(z):
    """Half the width that holds the middle 68.3 % of deviations."""
    low, high = np.percentile(z, (15.87, 84.13)) if len(z) else (np.nan, np.nan)
    return (high - low) / 2


def pull_table(n_stars, rng, survey):
    """Print widths, errors and shares for each kind, method and S/N, and then the offsets from the truth."""
    print(f"\n| {survey}: kind, method | " + " | ".join(f"S/N {snr}" for snr in SNRS) + " |")
    print("|---|" + "---:|" * len(SNRS))
    cells, offsets, all_z = {}, {}, {}
    for kind in KINDS:
        for snr in SNRS:
            seen, truth = visits(kind, n_stars, snr, rng, survey)
            one, other = (measured(arms, POWER[survey]) for arms in seen)
            for method in METHODS:
                v1, v2 = one[f"rv_{method}_km_s"], other[f"rv_{method}_km_s"]
                e1, e2 = one[f"e_rv_{method}_km_s"], other[f"e_rv_{method}_km_s"]
                both = np.isfinite(v1 + v2)
                if method.startswith("halpha"):
                    both &= one["halpha_wing_of"] == other["halpha_wing_of"]
                share = np.mean(np.isfinite(v1))
                if both.sum() < 20:
                    cells.setdefault((kind, method), []).append(f"– ({share:.0%})")
                    offsets.setdefault((kind, method), []).append("–")
                    continue
                z = ((v1 - v2) / np.hypot(e1, e2))[both]
                all_z.setdefault(method, []).append(z)
                cells.setdefault((kind, method), []).append(
                    f"{width(z):.2f} ({np.median(e1[both]):.1f}, {share:.0%}; >5: {np.mean(np.abs(z) > 5):.3f})"
                )
                off = (v1 - truth)[both & (np.abs(truth) < 250)]
                offsets.setdefault((kind, method), []).append(f"{np.median(off):+.1f} ± {width(off):.1f}")
    for (kind, method), row in cells.items():
        print(f"| {kind}, {method} | " + " | ".join(row) + " |")
    for method, parts in all_z.items():
        z = np.concatenate(parts)
        print(f"| all, {method} | {width(z):.2f}; above 5: {np.mean(np.abs(z) > 5):.4f} |")
    print("\n| offset from the truth, km/s | " + " | ".join(f"S/N {snr}" for snr in SNRS) + " |")
    print("|---|" + "---:|" * len(SNRS))
    for (kind, method), row in offsets.items():
        print(f"| {kind}, {method} | " + " | ".join(row) + " |")


def real_table(folder):
    """Print the width of the exposures of a night about their mean, in errors, for real stars of good S/N."""
    print("\n| star, exposures | " + " | ".join(METHODS) + " |")
    print("|---|" + "---:|" * len(METHODS))
    for path in sorted(folder.glob("mrs/*")):
        found = [s for s in read_file(path, exposures="all", need_snr=False)[0] if "blue" in s.arms]
        found = [s for s in found if not s.meta["coadd"] and (s.meta["snr_r"] or 0) > 10]
        if len(found) < 3:
            continue
        arms = {arm: reduce_batch([s.arms[arm] for s in found], grid, POWER["mrs"]) for arm, grid in ARMS.items()}
        columns = measured(arms, POWER["mrs"])
        cells = []
        for method in METHODS:
            v, e = columns[f"rv_{method}_km_s"], columns[f"e_rv_{method}_km_s"]
            if not np.isfinite(v).all():
                cells.append("–")
                continue
            weight = e**-2
            chi2 = np.sum(weight * (v - np.sum(weight * v) / np.sum(weight)) ** 2)
            cells.append(f"{np.sqrt(chi2 / (len(v) - 1)):.2f} ({np.std(v, ddof=1):.2f} km/s)")
        print(f"| {path.name[:9]}, {len(found)} | " + " | ".join(cells) + " |")


def peer_table(n_stars, python, rng):
    """Print velocities of the blue arm beside laspec's of the same spectra with the same templates: scatter and CPU time."""
    bank = blue_bank(POWER["mrs"])
    inside = slice(20, -20)
    print("\n| kind, S/N | becat: offset, scatter | ms | laspec, all templates | ms | laspec, one template | ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in ("late", "absorption_core", "absorption"):
        for snr in (20, 50):
            (arms,), truth = visits(kind, n_stars, snr, rng, n_visits=1)
            known = arms["blue"].ivar > 0
            flux = [
                np.interp(BLUE.wavelength_a, BLUE.wavelength_a[k], f[k])
                for k, f in zip(known, arms["blue"].flux, strict=True)
            ]
            columns, ms = timed(arms)
            with tempfile.TemporaryDirectory() as folder:
                given, answer = Path(folder, "in.npz"), Path(folder, "out.npz")
                np.savez(
                    given,
                    wavelength_a=BLUE.wavelength_a[inside],
                    flux=np.array(flux)[:, inside],
                    template_wavelength_a=bank.fine_a,
                    template_flux=1 - bank.table,
                )
                script = Path(__file__).with_name("peer_laspec_velocity.py")
                subprocess.run([python, script, given, answer], check=True, stdout=subprocess.DEVNULL, env=os.environ)
                peer = dict(np.load(answer))
            seen = np.isfinite(columns["rv_blue_km_s"])
            cells = [_scatter(columns["rv_blue_km_s"][seen] - truth[seen]), f"{ms:.2f}"]
            for name, seconds in zip(("rv", "rv_one"), 1e3 * peer["seconds"].mean(axis=0), strict=True):
                cells += [_scatter(peer[name][seen] - truth[seen]), f"{seconds:.0f}"]
            print(f"| {kind}, {snr}, {seen.sum()} of {n_stars} | " + " | ".join(cells) + " |")


def _scatter(off):
    return f"{np.median(off):+.2f}, {width(off):.2f} ({np.std(off):.1f})" if len(off) > 3 else "–"


def timed(arms):
    """Velocities of all methods of many spectra, and the CPU time that each takes, milliseconds."""
    red, blue = arms["red"], arms["blue"]
    times = max(1, 256 // len(red.flux))
    many = [np.repeat(x, times, axis=0) for x in (red.flux, red.ivar, blue.flux, blue.ivar)]
    columns, spent = {}, []
    for _ in range(3):
        began = time.process_time()
        columns = velocity_batch(*many, np.full(len(many[0]), POWER["mrs"]))
        spent.append((time.process_time() - began) / len(many[0]))
    return {name: values[::times] for name, values in columns.items()}, 1e3 * min(spent)


def cost_table(n_stars, rng):
    """Print what the velocities cost beside the other measurements of a spectrum."""
    print("\n| kind | velocities, ms | widths, peaks and profile, ms |\n|---|---:|---:|")
    for kind in KINDS:
        (arms,), _ = visits(kind, n_stars, 50, rng, n_visits=1)
        _, ms = timed(arms)
        red, blue = arms["red"], arms["blue"]
        snr, spent = np.full(n_stars, 50.0), []
        for _ in range(3):
            began = time.process_time()
            measure_batch(red.flux, red.ivar, blue.flux, blue.ivar, snr, continuum_error_red=red.continuum_error)
            profile_batch(red.flux, red.ivar, snr)
            spent.append((time.process_time() - began) / n_stars)
        print(f"| {kind} | {ms:.2f} | {1e3 * min(spent):.2f} |")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=200, help="stars of each kind and S/N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--survey", choices=POWER, default="mrs")
    parser.add_argument("--real", type=Path, help="folder of real data: the widths of real exposures")
    parser.add_argument("--laspec", type=Path, help="Python that has laspec: only the comparison and the cost")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    rng = np.random.default_rng(arguments.seed)
    if arguments.laspec:
        peer_table(arguments.stars, arguments.laspec, rng)
        cost_table(arguments.stars, rng)
        return
    if arguments.real:
        real_table(arguments.real)
        return
    pull_table(arguments.stars, rng, arguments.survey)


if __name__ == "__main__":
    main()
