"""Residuals of night-sky lines in real LAMOST spectra: what `simulate/distributions.toml` draws is set by this.

    python -m benchmarks.sky_residuals real.duckdb --labels models/real_labels.csv

Each low-resolution spectrum without emission is fitted with a mean and ten principal components of the MILES stars of the same
catalogue at its resolution, moved by a velocity, a polynomial, and a Gaussian at each sky line, moved as the Earth moved. Spectra of the
test part are left out. Heights are in units of the noise of a pixel; so is their own error, which comes from the fit.
"""

from __future__ import annotations

import argparse

import astropy.units as u
import duckdb
import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from scipy.ndimage import gaussian_filter1d

from becat.models.training.training_data import labelled_from_catalogue
from becat.schema.grid import RED
from becat.schema.lines import SPEED_OF_LIGHT_KM_S, telluric_lines

_SPAN = slice(*(round((a - RED.start_a) / RED.step_a) for a in (6500.0, 6640.0)))
_WAVELENGTH_A = RED.wavelength_a[_SPAN]
_LAMOST = EarthLocation.from_geodetic(117.5775 * u.deg, 40.3933 * u.deg, 960 * u.m)
_FWHM_OF_SIGMA = 2.3548
_SHIFTS_A = np.arange(-5, 5.1, 0.5)
_N_COMPONENTS = 10


def main() -> None:
    """Print a line of the table for each sky line, and the share of spectra in which all lines are off together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue")
    parser.add_argument("--labels", required=True)
    options = parser.parse_args()
    labelled = labelled_from_catalogue(options.catalogue, options.labels)
    names = set(labelled.name[~labelled.test & (labelled.label == 0)])
    with duckdb.connect(options.catalogue, read_only=True) as connection:
        table = connection.execute(
            f"""select parse_filename(file) as name, survey, ra_deg, dec_deg, mjd, resolving_power, snr_r,
                flux[{_SPAN.start + 1}:{_SPAN.stop}] as flux, ivar[{_SPAN.start + 1}:{_SPAN.stop}] as ivar
            from flux_red join spectrum using (spectrum_id) where snr_r > 10 order by spectrum_id"""
        ).fetchnumpy()
    known = np.array([name in names for name in table["name"]])
    components = _components(table, known)
    rows = np.flatnonzero(known & (table["survey"] == "LAMOST LRS"))
    found = [part for row in rows if (part := _fit(table, row, components)) is not None]
    height, error = (np.stack(column) for column in zip(*found, strict=True))
    print(
        f"{len(found)} spectra\n| line (A) | strength | median | scatter | error | over 3 errors |\n|---|---|---|---|---|---|"
    )
    lines = telluric_lines("sky")
    for line, h, e in zip(lines, height.T, error.T, strict=True):
        scatter = 1.4826 * np.median(np.abs(h - np.median(h)))
        print(
            f"| {line['wavelength_a']:.2f} | {line['strength']:.2f} | {np.median(h):.2f} | {scatter:.2f} | {np.median(e):.2f} | {np.mean(np.abs(h) > 3 * e):.1%} |"
        )
    away = np.abs(lines["wavelength_a"] - 6564.6) > 8  # what lies on H-alpha is the star's
    weight = lines["strength"][away] / error[:, away] ** 2
    together = (weight * height[:, away]).sum(axis=1) / (weight * lines["strength"][away]).sum(axis=1)
    print(
        f"all lines together, in units of the noise: percentiles 5, 16, 50, 84, 95: {np.percentile(together, [5, 16, 50, 84, 95]).round(2)}"
    )


def _components(table, known):
    """Mean and principal components of the MILES stars at LAMOST's low resolution."""
    miles = np.array([name.startswith("MILES") for name in table["name"]]) & known
    flux = np.stack(table["flux"][miles]).astype(float)
    flux = flux[np.isfinite(flux).all(axis=1)]
    extra_a = np.sqrt((_WAVELENGTH_A.mean() / 1800) ** 2 - 2.5**2) / _FWHM_OF_SIGMA
    flux = gaussian_filter1d(flux, extra_a / RED.step_a, axis=1)
    vectors = np.linalg.svd(flux - flux.mean(axis=0), full_matrices=False)[2]
    return np.concatenate([flux.mean(axis=0)[None], vectors[:_N_COMPONENTS]])


def _fit(table, row, components):
    """Heights of the sky lines and their errors, times S/N, at the velocity that fits best; None where pixels are missing."""
    flux, ivar = (np.asarray(table[name][row], float) for name in ("flux", "ivar"))
    good = np.isfinite(flux) & (ivar > 0)
    if good.mean() < 0.9:
        return None
    place = SkyCoord(table["ra_deg"][row] * u.deg, table["dec_deg"][row] * u.deg)
    when = Time(table["mjd"][row], format="mjd")
    earth = place.radial_velocity_correction("heliocentric", obstime=when, location=_LAMOST).to_value(u.km / u.s)
    sigma_a = _WAVELENGTH_A.mean() / table["resolving_power"][row] / _FWHM_OF_SIGMA
    lines_a = telluric_lines("sky")["wavelength_a"] * (1 + earth / SPEED_OF_LIGHT_KM_S)
    sky = np.exp(-0.5 * ((_WAVELENGTH_A - lines_a[:, None]) / sigma_a) ** 2)
    x = (_WAVELENGTH_A - _WAVELENGTH_A.mean()) / 70
    weight = np.where(good, np.sqrt(ivar), 0)
    flux = np.where(good, flux, 0)
    # Amounts of the components are held near zero, so that the least of them cannot make sky lines.
    prior = np.diag([1e-6] * 4 + [1.0] * len(components) + [1e-9] * len(sky))
    best, found = np.inf, ()
    for shift in _SHIFTS_A:
        stars = np.stack([np.interp(_WAVELENGTH_A - shift, _WAVELENGTH_A, part) for part in components])
        shapes = np.concatenate([[x**k for k in range(4)], stars, sky])
        normal = (shapes * weight) @ (shapes * weight).T + prior
        amount = np.linalg.solve(normal, (shapes * weight**2) @ flux)
        chi2 = (((flux - amount @ shapes) * weight) ** 2).sum()
        if chi2 < best:
            best, found = chi2, (amount[-len(sky) :], np.sqrt(np.diag(np.linalg.inv(normal)))[-len(sky) :])
    return tuple(part * table["snr_r"][row] for part in found)


if __name__ == "__main__":
    main()
