"""What atmosphere, spectrograph and reduction do to a spectrum: resolution, sampling, noise, defects, continuum errors."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from becat.schema.lines import SPEED_OF_LIGHT_KM_S, telluric_lines
from becat.simulate.draw import distributions, draw
from becat.simulate.photosphere import HALPHA_A
from becat.simulate.velocity import VelocityGrid, fourier_gaussian

__all__ = [
    "add_noise_on_grid",
    "draw_instruments",
    "feature_significance",
    "gather",
    "line_spread",
    "observe",
    "resolution_sigma_km_s",
    "significance",
    "sky_lines",
    "sky_residuals",
    "telluric_transmission",
    "variance_of_means",
    "water_opacity",
]

_FWHM_OF_SIGMA = 2.3548


def resolution_sigma_km_s(resolving_power: np.ndarray) -> np.ndarray:
    """Sigma of the Gaussian line-spread function, km/s."""
    return SPEED_OF_LIGHT_KM_S / np.asarray(resolving_power) / _FWHM_OF_SIGMA


def line_spread(rng: np.random.Generator, resolving_power: np.ndarray, grid: VelocityGrid) -> np.ndarray:
    """(n, n_frequency) transforms of line-spread functions: a Gaussian, and a share of the light in wider wings."""
    sigma = resolution_sigma_km_s(resolving_power)
    share = draw(distributions()["line_spread"]["wing_share"], rng, len(sigma))[:, None].astype(np.float32)
    half_width = (_FWHM_OF_SIGMA / 2 * sigma)[:, None]
    wings = np.exp(-grid.frequency * half_width).astype(np.float32)
    return (1 - share) * fourier_gaussian(grid, sigma) + share * wings


def draw_instruments(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """For n spectra: instrument (name), step_a (pixel at H-alpha, one value a call and instrument), resolving_power, snr, noise_correlation."""
    table, noise = distributions()["instrument"], distributions()["noise"]
    names = list(table)
    share = np.array([table[name]["fraction"] for name in names])
    which = rng.choice(len(names), n, p=share / share.sum())
    power = np.stack([draw(table[name]["resolving_power"], rng, n) for name in names])
    step = np.stack([np.full(n, draw(table[name]["step_a"], rng, 1)[0]) for name in names])
    rows = np.arange(n)
    return {
        "instrument": np.array(names)[which],
        "resolving_power": power[which, rows],
        "step_a": step[which, rows],
        "snr": draw(noise["snr"], rng, n),
        "noise_correlation": draw(noise["correlation"], rng, n) * (rng.random(n) < noise["correlated_fraction"]),
    }


def variance_of_means(noise_correlation: np.ndarray) -> np.ndarray:
    """(n,) variance of a mean over many pixels, in units of what white noise of the same pixels gives.

    Parameters
    ----------
    noise_correlation : (n,) float array
        Share of its neighbour's noise that each pixel has beside its own: see `distributions.toml`, table ``noise``.
    """
    return (1 + noise_correlation) ** 2 / (1 + noise_correlation**2)


def water_opacity(grid: VelocityGrid) -> np.ndarray:
    """(grid.n_pixels,) optical depth of a wet night's water vapour, heliocentric at rest."""
    lines = telluric_lines("h2o")
    place = np.arange(grid.n_pixels)
    return lines["strength"] @ np.exp(-0.5 * ((place - grid.pixel(lines["wavelength_a"])[:, None]) / 1.6) ** 2)


def sky_lines(wavelength_a: np.ndarray, resolving_power: np.ndarray) -> np.ndarray:
    """(n_lines, n, m) profiles of sky lines of height 1 at wavelengths (n, m), each as wide as the resolution."""
    lines = telluric_lines("sky")["wavelength_a"]
    sigma = HALPHA_A / np.asarray(resolving_power) / _FWHM_OF_SIGMA
    return np.stack([np.exp(-0.5 * ((wavelength_a - line) / sigma[:, None]) ** 2) for line in lines])


def telluric_transmission(rng: np.random.Generator, n: int, grid: VelocityGrid) -> np.ndarray:
    """(n, grid.n_pixels) transmission of water vapour in the heliocentric frame, n nights."""
    defects = distributions()["defects"]
    strength = draw(defects["telluric_strength"], rng, n)
    shift = draw(defects["telluric_shift_km_s"], rng, n) / grid.step_km_s
    # One template, moved by whole pixels: the lines are resolved by none of the instruments.
    template = water_opacity(grid)
    place = np.arange(grid.n_pixels)
    rolled = (place[None, :] - np.rint(shift).astype(int)[:, None]) % grid.n_pixels
    return np.exp(-strength[:, None] * template[rolled]).astype(np.float32)


def gather(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(n, m) linear interpolation of each row of `values` (n, p) at its own fractional pixels `place` (n, m), or at the same, (m,)."""
    place = np.clip(place, 0, values.shape[1] - 1.001)
    left = place.astype(np.int64)
    share = (place - left).astype(np.float32)
    if left.ndim == 1:
        low, high = np.take(values, left, axis=1), np.take(values, left + 1, axis=1)
    else:
        low, high = np.take_along_axis(values, left, axis=1), np.take_along_axis(values, left + 1, axis=1)
    return low + share * (high - low)


def significance(feature: np.ndarray, variance: np.ndarray, nuisance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matched-filter significance of features, and what is left of it when similar shapes are allowed for.

    Parameters
    ----------
    feature, variance : (n, m) float arrays
        Noiseless feature and variance of each pixel (inf where masked).
    nuisance : (n, k, m) float array
        Shapes that the star or the continuum could make by themselves.

    Returns
    -------
    (n,) float array, twice
        ``sqrt(sum(feature^2 / variance))`` of the feature, and of its part orthogonal to the nuisance shapes.
    """
    weight = 1 / np.sqrt(variance)
    feature = (feature * weight).astype(np.float64)
    shapes = (nuisance * weight[:, None, :]).astype(np.float64)
    shapes /= np.sqrt(np.einsum("nkm,nkm->nk", shapes, shapes))[:, :, None] + 1e-30
    total = np.einsum("nm,nm->n", feature, feature)
    products = np.einsum("nkm,nm->nk", shapes, feature)
    gram = shapes @ shapes.transpose(0, 2, 1) + 1e-6 * np.eye(shapes.shape[1])
    explained = np.einsum("nk,nk->n", products, np.linalg.solve(gram, products[:, :, None])[:, :, 0])
    return np.sqrt(total), np.sqrt(np.maximum(total - explained, 0))


def observe(
    model: np.ndarray,
    feature: np.ndarray,
    setup: dict[str, np.ndarray],
    grid: VelocityGrid,
    window_a: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Spectra of one sampling as the reduction would leave them on the catalogue's grid.

    Noise is added on the detector's own pixels and then carried to the grid by linear interpolation, so that it is
    correlated on the fine grid just as it is in real data.

    Parameters
    ----------
    model, feature : (n, grid.n_pixels) float arrays
        Spectra over the continuum at the instrument's resolution, and the part of them that makes the label.
    setup : dict of (n,) arrays
        step_a (one value), resolving_power, snr and noise_correlation, as made by `draw_instruments`.
    grid : VelocityGrid
        Of the model.
    window_a : (p,) float array
        Wavelengths wanted, Angstrom, uniform.
    rng : numpy Generator

    Returns
    -------
    dict
        flux, ivar: (n, p) float32; feature_significance, feature_significance_marginal: (n,) float64.
    """
    n, step = len(model), float(setup["step_a"][0])
    start = window_a[0] - step * (1 + rng.random(n))
    pixels = int(np.ceil((window_a[-1] - window_a[0]) / step)) + 4
    native_a = start[:, None] + step * np.arange(pixels)
    place = grid.pixel(native_a)
    truth, part = gather(model, place), gather(feature, place)
    read = draw(distributions()["noise"]["read_fraction"], rng, n)[:, None]
    variance = (np.maximum(truth, 0) * (1 - read) + read) / setup["snr"][:, None] ** 2
    broad = variance * variance_of_means(setup["noise_correlation"])[:, None]
    found = feature_significance(truth - part, part, broad, native_a)
    noise = _noise(rng, setup["noise_correlation"], pixels)
    flux = truth + noise * np.sqrt(variance) + sky_residuals(rng, native_a, variance, setup["resolving_power"])
    error = np.exp(draw(distributions()["noise"]["ivar_error"], rng, n))[:, None]
    flux, ivar = _defects(rng, flux, error / variance)
    continuum = _continuum_error(rng, native_a, truth)
    flux, ivar = flux * continuum, ivar / continuum**2
    back = (window_a[None, :] - start[:, None]) / step
    usable = gather((ivar > 0).astype(np.float32), back) > 0.999
    weight = gather(ivar.astype(np.float32), back) * ((window_a[1] - window_a[0]) / step)
    return {"flux": gather(flux.astype(np.float32), back), "ivar": np.where(usable, weight, 0), **found}


def feature_significance(
    star: np.ndarray, feature: np.ndarray, variance: np.ndarray, wavelength_a: np.ndarray
) -> dict[str, np.ndarray]:
    """How well a feature could be seen.

    Parameters
    ----------
    star, feature, variance : (n, m) float arrays
        Star without the feature, the noiseless feature, and the variance of each pixel (inf: masked).
    wavelength_a : (m,) or (n, m) float array
        Angstrom, uniform.

    Returns
    -------
    dict of (n,) float64 arrays
        ``feature_significance``, the plain matched filter, and ``feature_significance_marginal``, what remains of it
        when continuum level and slope, and depth, width, velocity and rotation of the photosphere are free.
    """
    floor = distributions()["labels"]["systematic_floor"] ** 2
    x = np.broadcast_to((wavelength_a - HALPHA_A) / 35, star.shape)
    absorbed = 1 - star
    step = 35 * float(x[0, 1] - x[0, 0])
    # As if it turned faster: what two rates of rotation do to the core.
    turned = [uniform_filter1d(absorbed, max(3, round(width_a / step)), axis=1) for width_a in (5.0, 10.0)]
    slope = np.gradient(absorbed, axis=1)
    shapes = np.stack([np.ones_like(x), x, absorbed, absorbed * np.abs(x), slope, *turned], axis=1)
    plain, marginal = significance(feature, variance + floor, shapes)
    return {"feature_significance": plain, "feature_significance_marginal": marginal}


def add_noise_on_grid(
    rng: np.random.Generator, sigma: np.ndarray, step_a: np.ndarray, grid_step_a: float, n_pixels: int
) -> np.ndarray:
    """(n, n_pixels) noise of detector pixels of ``step_a`` (n,) and deviation ``sigma`` (n,), interpolated to a grid."""
    count = int(np.ceil(n_pixels * grid_step_a / float(np.min(step_a)))) + 3
    native = rng.standard_normal((len(sigma), count), dtype=np.float32)
    place = rng.random((len(sigma), 1)) + np.arange(n_pixels) * (grid_step_a / step_a[:, None])
    return gather(native, place) * sigma[:, None].astype(np.float32)


def _noise(rng, noise_correlation, pixels):
    """(n, pixels) noise of unit variance; in some spectra neighbours share part of it, as in coadds."""
    white = rng.standard_normal((len(noise_correlation), pixels), dtype=np.float32)
    share = noise_correlation[:, None].astype(np.float32)
    return (white + share * np.roll(white, 1, axis=1)) / np.sqrt(1 + share**2)


def sky_residuals(
    rng: np.random.Generator, wavelength_a: np.ndarray, variance: np.ndarray, resolving_power: np.ndarray
) -> np.ndarray:
    """What is left of badly subtracted sky lines, each as wide as the resolution: some of each, and some of all together.

    Parameters
    ----------
    rng : numpy Generator
    wavelength_a : (n, m) float array
        Heliocentric, Angstrom.
    variance : (n, m) or (n, 1) float array
        Of a detector's pixel; `distributions.toml`, table ``defects``, has the heights in units of its root.
    resolving_power : (n,) float array

    Returns
    -------
    (n, m) float array
    """
    table, strength = distributions()["defects"], telluric_lines("sky")["strength"]
    n = len(wavelength_a)
    shift = draw(table["telluric_shift_km_s"], rng, n)[:, None]
    lines = sky_lines(wavelength_a * (1 - shift / SPEED_OF_LIGHT_KM_S), resolving_power)
    own = draw(table["sky_residual_sigma"], rng, n * len(lines)).reshape(n, -1)
    common = draw(table["sky_common_sigma"], rng, n) * (rng.random(n) < table["sky_common_fraction"])
    return np.einsum("nk,knm->nm", own + common[:, None] * strength, lines) * np.sqrt(variance)


def _defects(rng, flux, ivar):
    """Leave cosmic-ray hits, dead pixels and masked pixels in spectra."""
    table = distributions()["defects"]
    n, pixels = flux.shape
    hit = rng.random(flux.shape) < table["cosmic_rays_per_100_pixels"] / 100
    flux[hit] += draw(table["cosmic_ray_height"], rng, int(hit.sum()))
    dead = np.flatnonzero(rng.random(n) < table["dead_pixel_fraction"])
    flux[dead, rng.integers(0, pixels, len(dead))] *= 0.05
    bad = rng.random(flux.shape) < table["bad_pixels_per_100_pixels"] / 100
    bad[:, 1:] |= bad[:, :-1] & (rng.random((n, pixels - 1)) < 0.4)  # defects come in short runs
    between = 0.5 * (np.roll(flux, 1, axis=1) + np.roll(flux, -1, axis=1))
    return np.where(bad, between, flux), np.where(bad, 0, ivar)


def _continuum_error(rng, native_a, truth):
    """(n, m) factor by which a fitted continuum is wrong: scale, tilt, curvature, a wave, and wings taken for continuum."""
    table = distributions()["continuum"]
    n = len(native_a)
    x = native_a - HALPHA_A
    scale, tilt, bend, wave = (draw(table[name], rng, n)[:, None] for name in ("scale", "tilt", "curvature", "wiggle"))
    period = draw(table["wiggle_period_a"], rng, n)[:, None]
    phase = rng.uniform(0, 2 * np.pi, n)[:, None]
    factor = 1 + scale + tilt * x / 35 + bend * (x / 35) ** 2 + wave * np.sin(2 * np.pi * x / period + phase)
    edge = draw(table["wing_edge_a"], rng, n)[:, None]
    loss = draw(table["wing_loss"], rng, n)[:, None]
    level = np.concatenate([_mean_near(x, truth, -edge), _mean_near(x, truth, edge)], axis=1)
    line = level[:, :1] + (level[:, 1:] - level[:, :1]) * (x + edge) / (2 * edge)
    return factor / (1 + loss * (line - 1))


def _mean_near(x, truth, place):
    """(n, 1) mean of the spectrum within 4 Angstrom of a place."""
    near = np.abs(x - place) < 4
    return (truth * near).sum(axis=1, keepdims=True) / np.maximum(near.sum(axis=1, keepdims=True), 1)
