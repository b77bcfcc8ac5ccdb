"""Simulated emission put into real absorption spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from becat.simulate.disc import disc_emission, draw_disc, draw_shell, shell_absorption
from becat.simulate.draw import distributions, draw
from becat.simulate.instrument import add_noise_on_grid, feature_significance, gather, resolution_sigma_km_s
from becat.simulate.labels import Profiles, count_peaks, empty_truth, join, label_by_visibility, window_wavelength_a
from becat.simulate.velocity import VelocityGrid, fourier_gaussian, multiply

__all__ = ["INJECTED_KINDS", "Hosts", "inject", "sample_injected"]

INJECTED_KINDS = ("emission", "emission_single", "emission_weak", "shell_emission")
_GRID = VelocityGrid(start_a=6506.0, n_pixels=1080)
_CHUNK = 256


@dataclass
class Hosts:
    """Real absorption spectra on the window of `labels.window_wavelength_a`, without gaps.

    Attributes
    ----------
    flux, ivar : (k, n_window) float arrays
        Rectified flux and inverse variance.
    resolving_power, step_a, snr : (k,) float arrays
        Of the spectrograph; width of its pixels, Angstrom; signal to noise per such pixel.
    """

    flux: np.ndarray
    ivar: np.ndarray
    resolving_power: np.ndarray
    step_a: np.ndarray
    snr: np.ndarray


def inject(
    host_flux: np.ndarray, emission: np.ndarray, transmission: np.ndarray | float, resolving_power: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Put emission and a shell into observed spectra.

    Parameters
    ----------
    host_flux : (n, n_window) float array
        Rectified spectra.
    emission : (n, n_model) float array
        Emission over the continuum on the model grid, infinitely resolved.
    transmission : (n, n_model) float array or 1.0
        Of the shell, on the same grid.
    resolving_power : (n,) float array
        To which both are blurred.

    Returns
    -------
    (n, n_window) float32 array, twice
        Spectrum with the feature, and the feature alone.
    """
    blur = fourier_gaussian(_GRID, resolution_sigma_km_s(resolving_power))
    place = np.broadcast_to(_GRID.pixel(window_wavelength_a()), host_flux.shape)
    light = gather(multiply(np.asarray(emission * transmission), blur), place)
    if np.ndim(transmission):
        passed = 1 - gather(multiply(1 - np.asarray(transmission), blur), place)
    else:
        passed = np.float32(transmission)
    whole = host_flux * passed + light
    return whole.astype(np.float32), (whole - host_flux).astype(np.float32)


def sample_injected(
    n: int,
    rng: np.random.Generator,
    hosts: Hosts,
    kinds: Sequence[str] = INJECTED_KINDS,
    be_fraction: float = 0.5,
) -> Profiles:
    """Profiles made from real absorption spectra: some get emission, the rest stay as they are (kind ``host``, label 0).

    Noise is added so that the signal to noise follows distributions.toml as far as the host's own allows.

    Parameters
    ----------
    n : int
    rng : numpy Generator
    hosts : Hosts
    kinds : sequence of str
        Kinds of emission, drawn by their weights.
    be_fraction : float
        Share of profiles that get emission.

    Returns
    -------
    Profiles
        ``truth["host"]`` is the row of the host.
    """
    table = distributions()["kinds"]
    weight = np.array([table[name]["weight"] for name in kinds])
    kind = rng.choice(list(kinds), n, p=weight / weight.sum()).astype("U24")
    kind[rng.random(n) >= be_fraction] = "host"
    return join([_inject_chunk(kind[start : start + _CHUNK], hosts, rng) for start in range(0, n, _CHUNK)])


def _inject_chunk(kind, hosts, rng):
    """One chunk of hosts with their emission, noise and labels."""
    n = len(kind)
    row = rng.integers(0, len(hosts.flux), n)
    host = hosts.flux[row].astype(np.float32)
    truth = empty_truth(n) | {"host": row}
    truth |= {name: getattr(hosts, name)[row].astype(float) for name in ("resolving_power", "step_a", "snr")}
    truth["instrument"][:] = "host"
    truth["noise_correlation"][:] = 0
    emission = np.zeros((n, _GRID.n_pixels), dtype=np.float32)
    passed = np.ones_like(emission)
    for name in np.unique(kind[kind != "host"]):
        rows = np.flatnonzero(kind == name)
        emission[rows], passed[rows], found = _draw_feature(str(name), rng, len(rows))
        for key, values in found.items():
            truth[key][rows] = values
    flux, feature = inject(host, emission, passed, truth["resolving_power"])
    truth["n_peaks"], truth["violet_red_ratio"] = count_peaks(feature)
    flux, ivar = _lower_snr(flux, hosts.ivar[row], truth, rng)
    with np.errstate(divide="ignore"):
        truth |= feature_significance(host, feature, 1 / ivar, window_wavelength_a())
    # A real star is its own reference: its noise would count against a library.
    truth["disc_free_significance"] = truth["feature_significance_marginal"]
    kinds = distributions()["kinds"] | {"host": {"label": 0}}
    return Profiles(flux, ivar, label_by_visibility(kind, truth, kinds), kind, truth)


def _draw_feature(name, rng, n):
    """Emission and shell of one kind on the model grid, and their truth. The host's own velocity is near zero."""
    table = distributions()["kinds"][name]
    disc = draw_disc(rng, n, table)
    truth = {"ew_emission_a": draw(table["ew_a"], rng, n), "rv_km_s": rng.normal(0, 15, n)}
    truth |= {key: disc[key] for key in ("peak_separation_km_s", "inclination_deg")}
    light = disc_emission(disc, truth["ew_emission_a"], truth["rv_km_s"], _GRID, rng)
    if "shell_fwhm_km_s" not in table:
        return light, np.float32(1), truth
    shell = draw_shell(rng, truth["rv_km_s"], table)
    truth |= {key: shell[key] for key in ("shell_optical_depth", "shell_fwhm_km_s")}
    return light, shell_absorption(shell, _GRID), truth


def _lower_snr(flux, ivar, truth, rng):
    """Add noise down to a drawn S/N where the host is better than that."""
    wanted = draw(distributions()["noise"]["snr"], rng, len(flux))
    extra = np.sqrt(np.maximum(1 / wanted**2 - 1 / truth["snr"] ** 2, 0))
    window = window_wavelength_a()
    step = window[1] - window[0]
    noise = add_noise_on_grid(rng, extra, truth["step_a"], step, len(window))
    truth["snr"] = np.minimum(wanted, truth["snr"])
    added = (extra**2 * truth["step_a"] / step)[:, None]
    return flux + noise, (ivar / (1 + ivar * added)).astype(np.float32)
