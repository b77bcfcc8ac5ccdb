"""Simulated H-alpha profiles on the catalogue's red grid, with labels and truth: what the classifier learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from schema.grid import RED
from simulate.disc import disc_emission, draw_disc, shell_absorption
from simulate.draw import distributions, draw
from simulate.instrument import draw_instruments, observe, resolution_sigma_km_s, telluric_transmission
from simulate.photosphere import HALPHA_A, draw_star, photosphere
from simulate.velocity import VelocityGrid, fourier_gaussian, multiply

__all__ = ["WINDOW", "Profiles", "kind_names", "sample_profiles", "window_wavelength_a"]

# Pixels of the red grid from 6525 to 6595 Angstrom.
WINDOW = slice(round((6525.0 - RED.start_a) / RED.step_a), round((6595.0 - RED.start_a) / RED.step_a) + 1)
# Model grid: the window with margins for 400 km/s of rotation and 300 km/s of velocity.
_GRID = VelocityGrid(start_a=6506.0, n_pixels=1080)
_CHUNK = 256
_NII_A = np.array([6549.86, 6585.27])


@dataclass
class Profiles:
    """Simulated profiles of n spectra.

    Attributes
    ----------
    flux, ivar : (n, n_window) float32 arrays
        Rectified flux and its inverse variance (zero: do not use) on ``schema.grid.RED`` pixels ``WINDOW``.
    label : (n,) int8 array
        1 Be, 0 not Be, -1 neither: there is a feature, but it cannot be seen.
    kind : (n,) str array
        Kind of distributions.toml, table ``[kinds]``.
    truth : dict of (n,) arrays
        ew_emission_a (positive size of the emission), v_sin_i_km_s, peak_separation_km_s, violet_red_ratio, n_peaks,
        inclination_deg, shell_fwhm_km_s, rv_km_s, teff_k, logg_dex, snr, resolving_power, step_a, instrument,
        feature_significance, feature_significance_marginal. NaN where a quantity does not exist.
    """

    flux: np.ndarray
    ivar: np.ndarray
    label: np.ndarray
    kind: np.ndarray
    truth: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.label)


def window_wavelength_a() -> np.ndarray:
    """(n_window,) vacuum wavelengths of the profiles' pixels, Angstrom."""
    return RED.wavelength_a[WINDOW]


def kind_names() -> list[str]:
    """Kinds of profile, in the order of distributions.toml."""
    return list(distributions()["kinds"])


def sample_profiles(
    n: int,
    rng: np.random.Generator,
    generator: str = "a",
    kinds: Sequence[str] | None = None,
) -> Profiles:
    """Draw labelled profiles.

    Parameters
    ----------
    n : int
        Number of profiles.
    rng : numpy Generator
        The same state gives the same profiles.
    generator : {"a", "b"}
        "a" is for training; "b" has other physics and other ranges and is for testing only.
    kinds : sequence of str, optional
        Draw only these kinds, in the shares that their weights give; default all of them.

    Returns
    -------
    Profiles

    Raises
    ------
    ValueError
        A kind or the generator is unknown.
    """
    if generator != "a":
        raise ValueError(f"generator {generator!r} is not known")
    table = distributions()["kinds"]
    names = list(table) if kinds is None else list(kinds)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ValueError(f"unknown kinds {unknown}; distributions.toml has {list(table)}")
    weight = np.array([table[name]["weight"] for name in names])
    kind = np.array(names)[rng.choice(len(names), n, p=weight / weight.sum())]
    parts = [_sample_chunk(kind[start : start + _CHUNK], rng) for start in range(0, n, _CHUNK)]
    return _join(parts)


def _join(parts: list[Profiles]) -> Profiles:
    return Profiles(
        flux=np.concatenate([part.flux for part in parts]),
        ivar=np.concatenate([part.ivar for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        truth={name: np.concatenate([part.truth[name] for part in parts]) for name in parts[0].truth},
    )


def _sample_chunk(kind, rng):
    """Profiles of one chunk: model by kind, observation by instrument."""
    n = len(kind)
    setup = draw_instruments(rng, n)
    truth = {name: np.full(n, np.nan) for name in _TRUTH}
    truth["rv_km_s"] = _radial_velocities(rng, n)
    model = np.empty((n, _GRID.n_pixels), dtype=np.float32)
    feature = np.zeros_like(model)
    for name in np.unique(kind):
        rows = np.flatnonzero(kind == name)
        part, found = _model(distributions()["kinds"][name], truth["rv_km_s"][rows], rng)
        model[rows], feature[rows] = part
        for key, values in found.items():
            (setup if key == "snr" else truth)[key][rows] = values
    model *= telluric_transmission(rng, n, _GRID)
    blur = fourier_gaussian(_GRID, resolution_sigma_km_s(setup["resolving_power"]))
    model, feature = 1 - multiply(1 - model, blur), multiply(feature, blur)
    truth["n_peaks"], truth["violet_red_ratio"] = _count_peaks(feature)
    flux = np.empty((n, WINDOW.stop - WINDOW.start), dtype=np.float32)
    ivar = np.empty_like(flux)
    for name in np.unique(setup["instrument"]):
        rows = np.flatnonzero(setup["instrument"] == name)
        seen = observe(
            model[rows],
            feature[rows],
            {key: values[rows] for key, values in setup.items()},
            _GRID,
            window_wavelength_a(),
            rng,
        )
        flux[rows], ivar[rows] = seen["flux"], seen["ivar"]
        truth["feature_significance"][rows] = seen["feature_significance"]
        truth["feature_significance_marginal"][rows] = seen["feature_significance_marginal"]
    truth.update(setup)
    return Profiles(flux, ivar, _labels(kind, truth), kind, truth)


_TRUTH = (
    "ew_emission_a", "v_sin_i_km_s", "peak_separation_km_s", "violet_red_ratio", "n_peaks", "inclination_deg",
    "shell_fwhm_km_s", "shell_optical_depth", "rv_km_s", "teff_k", "logg_dex", "feature_significance",
    "feature_significance_marginal",
)  # fmt: skip


def _radial_velocities(rng, n):
    """(n,) velocities, km/s: most near zero, some anywhere up to the limit."""
    table = distributions()["velocity"]
    limit = table["rv_limit_km_s"]
    near = np.clip(draw(table["rv_km_s"], rng, n), -limit, limit)
    return np.where(rng.random(n) < table["wide_fraction"], rng.uniform(-limit, limit, n), near)


def _model(kind, rv_km_s, rng):
    """Spectra of one kind before the instrument, the feature in them that makes the label, and their truth."""
    n = len(rv_km_s)
    star = draw_star(kind["star"], rng, n)
    disc = draw_disc(rng, n, kind) if "ew_a" in kind and "nebular_fwhm_km_s" not in kind else None
    if disc is not None and kind["star"] == "hot":
        star["v_sin_i_km_s"] = _equatorial_speed(disc)
    spectrum = photosphere(star, rv_km_s, _GRID)
    truth = {name: star[name] for name in ("v_sin_i_km_s", "teff_k", "logg_dex")}
    if "snr" in kind:
        truth["snr"] = draw(kind["snr"], rng, n)
    if "companion" in kind:
        return (_binary(kind, star, spectrum, rv_km_s, rng), 0), truth
    if disc is None and "ew_a" not in kind:
        return (spectrum, 0), truth
    truth["ew_emission_a"] = draw(kind["ew_a"], rng, n)
    if disc is None:
        light = _nebula(kind, truth["ew_emission_a"], rv_km_s, rng)
        return (spectrum + light, light), truth
    light = disc_emission(disc, truth["ew_emission_a"], rv_km_s, _GRID, rng)
    truth |= {name: disc[name] for name in ("peak_separation_km_s", "inclination_deg")}
    passed, shell = _shell(kind, rv_km_s, rng)
    with_feature = (spectrum + light) * passed
    return (with_feature, with_feature - spectrum), truth | shell


def _equatorial_speed(disc):
    """(n,) v sin i, km/s, of stars that their discs surround."""
    return disc["rotation_fraction"] * disc["orbital_speed_km_s"] * np.sin(np.radians(disc["inclination_deg"]))


def _shell(kind, rv_km_s, rng):
    """Transmission of the shell (1 where the kind has none) and its truth."""
    n = len(rv_km_s)
    if "shell_fwhm_km_s" not in kind:
        return np.float32(1), {}
    depth, fwhm = draw(kind["shell_optical_depth"], rng, n), draw(kind["shell_fwhm_km_s"], rng, n)
    centre = rv_km_s + draw(kind["shell_offset_km_s"], rng, n)
    skew = np.clip(rng.normal(0, 0.25, n), -0.7, 0.7)
    passed = shell_absorption(depth, fwhm, centre, skew, _GRID)
    return passed, {"shell_fwhm_km_s": fwhm, "shell_optical_depth": depth}


def _binary(kind, star, spectrum, rv_km_s, rng):
    """Light of two stars at two velocities."""
    n = len(rv_km_s)
    second = draw_star(kind["star"], rng, n)
    companion = kind["companion"]
    second["v_sin_i_km_s"] = draw(companion["v_sin_i_km_s"], rng, n)
    if np.max(kind["velocity_difference_km_s"]["uniform"]) > 100:  # two cores are seen only where both turn slowly
        star = star | {"v_sin_i_km_s": draw(companion["v_sin_i_km_s"], rng, n)}
        spectrum = photosphere(star, rv_km_s, _GRID)
    second["teff_k"] = np.clip(star["teff_k"] * draw(companion["teff_ratio"], rng, n), 7000, 33000)
    apart = draw(kind["velocity_difference_km_s"], rng, n) * np.where(rng.random(n) < 0.5, -1, 1)
    share = draw(kind["light_fraction"], rng, n)[:, None].astype(np.float32)
    return (1 - share) * spectrum + share * photosphere(second, rv_km_s + apart, _GRID)


def _nebula(kind, ew_a, rv_km_s, rng):
    """(n, n_pixels) narrow H-alpha and [N II] of a nebula."""
    n = len(rv_km_s)
    sigma = draw(kind["nebular_fwhm_km_s"], rng, n) / 2.3548 / _GRID.step_km_s
    ratio = draw(kind["nii_ratio"], rng, n)
    place = np.arange(_GRID.n_pixels)[None, :] - (rv_km_s / _GRID.step_km_s)[:, None]
    light = np.zeros((n, _GRID.n_pixels))
    for line_a, strength in zip([HALPHA_A, *_NII_A], [1.0, ratio / 2.96, ratio], strict=True):
        shape = np.exp(-0.5 * ((place - _GRID.pixel(line_a)) / sigma[:, None]) ** 2)
        light += np.reshape(strength * np.ones(n), (n, 1)) * shape
    pixel_a = HALPHA_A * _GRID.step_km_s / 299792.458
    return (light * (ew_a / (sigma * np.sqrt(2 * np.pi) * pixel_a))[:, None]).astype(np.float32)


def _count_peaks(feature):
    """Number of emission peaks of each noiseless feature, and the height of the bluest over that of the reddest."""
    count, ratio = np.zeros(len(feature)), np.full(len(feature), np.nan)
    for row in np.flatnonzero(feature.max(axis=1) > 0):
        profile = feature[row]
        top = float(profile.max())
        peaks, _ = find_peaks(profile, height=0.15 * top, prominence=0.06 * top)
        count[row] = len(peaks)
        if len(peaks) > 1:
            ratio[row] = profile[peaks[0]] / profile[peaks[-1]]
    return count, ratio


def _labels(kind, truth):
    """(n,) int8: the kind's label where its feature could be seen, else -1."""
    table, rule = distributions()["kinds"], distributions()["labels"]
    label = np.array([table[name]["label"] for name in kind], dtype=np.int8)
    hidden = truth["feature_significance_marginal"] < rule["significance_min"]
    blurred = (kind == "shell_absorption") & (truth["resolving_power"] < rule["shell_resolving_power_min"])
    label[(label == 1) & (hidden | blurred)] = -1
    return label
