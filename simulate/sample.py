"""Simulated H-alpha profiles on the catalogue's red grid, with labels and truth: what the classifier learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from becat.simulate.disc_free import FIRST, GRID
from becat.simulate.draw import distributions
from becat.simulate.injection import Hosts, sample_injected
from becat.simulate.instrument import (
    draw_instruments,
    line_spread,
    observe,
    resolution_sigma_km_s,
    telluric_transmission,
)
from becat.simulate.labels import (
    WINDOW,
    Profiles,
    count_peaks,
    empty_truth,
    join,
    label_by_visibility,
    window_wavelength_a,
)
from becat.simulate.systems import draw_radial_velocities, draw_systems, render
from becat.simulate.testing import second_generator, third_generator
from becat.simulate.velocity import fourier_gaussian, multiply

__all__ = [
    "GENERATORS",
    "WINDOW",
    "Hosts",
    "Profiles",
    "kind_names",
    "sample_injected",
    "sample_profiles",
    "window_wavelength_a",
]

_CHUNK = 256
_TEST_GENERATORS = {"b": second_generator, "c": third_generator}
GENERATORS = ("a", *_TEST_GENERATORS)


def kind_names(generator: str = "a") -> list[str]:
    """Kinds of profile of a generator."""
    return list(_kinds(generator))


def sample_profiles(
    n: int,
    rng: np.random.Generator,
    generator: str = "a",
    kinds: Sequence[str] | None = None,
    hosts: Hosts | None = None,
    host_fraction: float = 0.5,
) -> Profiles:
    """Draw labelled profiles.

    Parameters
    ----------
    n : int
        Number of profiles.
    rng : numpy Generator
        The same state gives the same profiles.
    generator : {"a", "b", "c"}
        "a" is for training; "b" and "c" have other physics and other ranges and are for testing only.
    kinds : sequence of str, optional
        Draw only these kinds, in the shares that their weights give; default all of them.
    hosts : Hosts, optional
        Real absorption spectra; the last ``host_fraction`` of the profiles are made from them (see `sample_injected`).
    host_fraction : float
        Share of the profiles made from hosts, if there are any.

    Returns
    -------
    Profiles

    Raises
    ------
    ValueError
        A kind or the generator is unknown.
    """
    from_hosts = round(n * host_fraction) if hosts is not None else 0
    names = _weights(generator, kinds)
    kind = rng.choice(list(names), n - from_hosts, p=np.array(list(names.values())))
    chunk = _sample_chunk if generator == "a" else _TEST_GENERATORS[generator].sample_chunk
    parts = [chunk(kind[start : start + _CHUNK], rng) for start in range(0, len(kind), _CHUNK)]
    if hosts is not None and from_hosts:
        parts.append(sample_injected(from_hosts, rng, hosts))
    return join(parts)


def _weights(generator, kinds):
    """Probability of each kind asked for."""
    table = _kinds(generator)
    names = list(table) if kinds is None else list(kinds)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ValueError(f"unknown kinds {unknown}; generator {generator!r} has {list(table)}")
    total = sum(table[name]["weight"] for name in names)
    return {name: table[name]["weight"] / total for name in names}


def _kinds(generator):
    """Table of the kinds of a generator."""
    if generator == "a":
        return distributions()["kinds"]
    if generator not in _TEST_GENERATORS:
        raise ValueError(f"generator {generator!r} is none of {', '.join(GENERATORS)}")
    return _TEST_GENERATORS[generator].KINDS


def _sample_chunk(kind, rng):
    """Profiles of one chunk: models by kind, then observation by instrument."""
    n = len(kind)
    truth = empty_truth(n) | draw_instruments(rng, n)
    model = np.empty((n, GRID.n_pixels), dtype=np.float32)
    feature = np.zeros_like(model)
    for name in np.unique(kind):
        rows = np.flatnonzero(kind == name)
        systems = draw_systems(str(name), rng, draw_radial_velocities(rng, len(rows)))
        model[rows], feature[rows] = render(systems, GRID, rng)
        for key, values in systems.truth.items():
            truth[key][rows] = values
    # What could be seen is judged with a Gaussian line-spread function, as the library of stars has it.
    blur = fourier_gaussian(GRID, resolution_sigma_km_s(truth["resolving_power"]))
    featured = np.array([distributions()["kinds"][name]["label"] == 1 for name in kind])
    known = {name: values[featured] for name, values in truth.items()}
    resolved = 1 - multiply(1 - model[featured], blur[featured])
    truth["disc_free_significance"][featured] = FIRST.significance(resolved, GRID.pixel, known)
    model *= telluric_transmission(rng, n, GRID)
    blur = line_spread(rng, truth["resolving_power"], GRID)
    model, feature = 1 - multiply(1 - model, blur), multiply(feature, blur)
    truth["n_peaks"], truth["violet_red_ratio"] = count_peaks(feature)
    flux, ivar = _observe_all(model, feature, truth, rng)
    return Profiles(flux, ivar, label_by_visibility(kind, truth, distributions()["kinds"]), kind, truth)


def _observe_all(model, feature, truth, rng):
    """Flux and inverse variance on the window, one sampling after another; fills the significances in truth."""
    flux = np.empty((len(model), WINDOW.stop - WINDOW.start), dtype=np.float32)
    ivar = np.empty_like(flux)
    for name in np.unique(truth["instrument"]):
        rows = np.flatnonzero(truth["instrument"] == name)
        setup = {key: truth[key][rows] for key in ("step_a", "resolving_power", "snr", "noise_correlation")}
        seen = observe(model[rows], feature[rows], setup, GRID, window_wavelength_a(), rng)
        flux[rows], ivar[rows] = seen["flux"], seen["ivar"]
        truth["feature_significance"][rows] = seen["feature_significance"]
        truth["feature_significance_marginal"][rows] = seen["feature_significance_marginal"]
    return flux, ivar
