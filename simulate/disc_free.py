"""How far a spectrum is from every star without a disc: what decides whether its feature could be seen at all.

A feature is evidence only if no star without one looks the same. So a simulated spectrum, noiseless, is compared with a
library of simulated stars without disc, shell or nebula (fast and slow rotators, binaries and composite spectra among
them) at its own resolution; what is left after the nearest of them is judged against the noise and against the errors
that a fitted continuum has. Each star of a pair may move and widen by itself: pairs have too many parameters for a library that holds them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from becat.schema.grid import RED
from becat.schema.lines import SPEED_OF_LIGHT_KM_S, telluric_lines
from becat.simulate.draw import distributions
from becat.simulate.instrument import gather, resolution_sigma_km_s, sky_lines, variance_of_means, water_opacity
from becat.simulate.labels import window_wavelength_a
from becat.simulate.photosphere import HALPHA_A, irregular_shapes
from becat.simulate.systems import absorbed_light, draw_systems
from becat.simulate.velocity import VelocityGrid, fourier_gaussian, multiply

__all__ = ["FIRST", "GRID", "REST_A", "DiscFree", "first_stars", "of_pairs"]

# The window with margins for 400 km/s of rotation and 300 km/s of velocity.
GRID = VelocityGrid(start_a=6506.0, n_pixels=1080)
_STRIDE = 2  # of the window's pixels: enough for a comparison of noiseless spectra
# Wavelengths in the star's frame at which spectra are compared, vacuum Angstrom.
REST_A = window_wavelength_a()[::_STRIDE]
# A pixel of `GRID` is 5 km/s: above the last of these, nothing more is resolved.
_RESOLVING_POWERS = np.geomspace(1600, 48000, 21)
# How many of each kind: enough that hardly a star outside the library is five sigma from it (tests/test_simulate.py).
_LIBRARY = {
    "absorption": 1000, "absorption_core": 800, "supergiant": 250, "late": 500, "weak": 200, "sb2": 4000, "composite": 1500,
}  # fmt: skip
# Of the nearest stars: how many are begun from, how many are mixed in, and the deviation of each one's amount. Chosen so that few
# stars outside the library look like discs (benchmarks/label_rule.py), and seven in eight bare shells of S/N 100 still do.
_BASES, _NEIGHBOURS, _MIXED = 8, 10, 0.4
# Rotation washes out the irregularities that are nearer to the centre of a line than so many times the half width of its bottom.
_WASHED = 2.5
_SEED = 20221
_ROWS_AT_ONCE = 512  # stars of a library: as many as stay in the cache of a processor


def first_stars() -> np.ndarray:
    """(2, n_stars, GRID.n_pixels) what stars without a disc of the first generator and their companions absorb, at rest."""
    rng = np.random.default_rng(_SEED)
    systems = [draw_systems(kind, rng, np.zeros(n)) for kind, n in _LIBRARY.items()]
    for star, _, _ in (component for each in systems for component in each.stars):
        star["line_scatter"][:] = 0  # no disc makes metal lines, and no library would hold how they scatter
    return np.concatenate([of_pairs(absorbed_light(each, GRID)) for each in systems], axis=1)


def of_pairs(absorbed: np.ndarray) -> np.ndarray:
    """(2, n, p) array of a (1, n, p) or (2, n, p) one: a star without a companion has one that absorbs nothing."""
    return absorbed if len(absorbed) == 2 else np.concatenate([absorbed, np.zeros_like(absorbed)])


class DiscFree:
    """Library of stars without a disc at every resolving power.

    Parameters
    ----------
    *stars : callable
        Each gives (2, n_stars, GRID.n_pixels): what each star and its companion take from the continuum, at rest, infinitely
        resolved. Called once in a process, when first needed.
    foreground : bool
        The spectra have water lines and residuals of sky lines (`schema/telluric_lines.csv`): what these may explain is no feature.
    """

    def __init__(self, *stars: Callable[[], np.ndarray], foreground: bool = False):
        self._stars = stars
        self._foreground = foreground

    def significance(self, flux: np.ndarray, pixel_of: Callable, truth: dict[str, np.ndarray]) -> np.ndarray:
        """Significance of what no star without a disc has.

        Parameters
        ----------
        flux : (n, p) float array
            Noiseless spectra over the continuum at their resolution.
        pixel_of : callable
            Fractional pixel of `flux` of wavelengths in Angstrom.
        truth : dict of (n,) arrays
            rv_km_s, resolving_power, snr (per detector pixel), step_a (of that pixel, Angstrom) and noise_correlation.

        Returns
        -------
        (n,) float64 array
            Least of ``sqrt(r C^-1 r)`` over the nearest stars: r is the difference, C the noise, the errors of the
            continuum (`simulate/distributions.toml`, tables ``continuum`` and ``labels``), the foreground and what lies
            between neighbouring stars of the library.
        """
        found = np.empty(len(flux))
        for rows, _, comparisons in self.comparisons(flux, pixel_of, truth):
            found[rows] = np.sqrt(np.min([left for *_, left in comparisons], axis=0))
        return found

    def comparisons(self, flux: np.ndarray, pixel_of: Callable, truth: dict[str, np.ndarray]) -> Iterator[tuple]:
        """What the nearest stars leave of spectra, which need not be noiseless.

        Parameters
        ----------
        flux, pixel_of, truth
            As for `significance`.

        Yields
        ------
        rows : (k,) int array
            Spectra of one resolving power.
        resolving_power : float
        comparisons : iterable of (weight, rest, shapes, left)
            One for each of the nearest stars, on `REST_A`: weight (k, m), one over the noise; rest (k, m), the difference from the
            star, and shapes (k, j, m), what may explain it, both times weight, the latter of one standard deviation;
            left (k,), the ``r C^-1 r`` of the difference.
        """
        moved = REST_A * (1 + truth["rv_km_s"][:, None] / SPEED_OF_LIGHT_KM_S)
        rest = gather(flux, pixel_of(moved))
        noise = np.maximum(rest, 0.05) / truth["snr"][:, None] ** 2
        broad = truth["step_a"] / (RED.step_a * _STRIDE) * variance_of_means(truth["noise_correlation"])
        foreground = (
            _foreground(moved, rest, noise, truth["resolving_power"]) if self._foreground else _no_foreground(rest)
        )
        bins = np.abs(np.log(truth["resolving_power"][:, None] / _RESOLVING_POWERS)).argmin(axis=1)
        for number in np.unique(bins):
            rows = np.flatnonzero(bins == number)
            variance = noise[rows] * broad[rows, None]
            libraries = [_resolved(stars, int(number)) for stars in self._stars]
            near = _nearest(rest[rows], variance, libraries)
            weight = 1 / np.sqrt(variance + distributions()["labels"]["disc_free_floor"] ** 2)
            common = _times(weight, *_continuum(rest[rows])), foreground[rows] * weight[:, None]
            every = (_compare(rest[rows], weight, near, base, *common) for base in range(_BASES))
            yield rows, float(_RESOLVING_POWERS[number]), every


FIRST = DiscFree(first_stars, foreground=True)


@cache
def _transforms(stars):
    """What stars and their companions absorb, each as its Fourier transform and the rows that are not zero; and how many stars there are."""
    absorbed = stars()
    rows = [np.flatnonzero(component.any(axis=1)) for component in absorbed]
    transforms = [np.fft.rfft(component[some], axis=1) for component, some in zip(absorbed, rows, strict=True)]
    return transforms, rows, absorbed.shape[1]


@cache
def _resolved(stars, number):
    """(2, n_stars, m) float32 absorbed light at one of `_RESOLVING_POWERS`, on the places of the window's pixels."""
    transforms, rows, n_stars = _transforms(stars)
    blur = fourier_gaussian(GRID, resolution_sigma_km_s(_RESOLVING_POWERS[number : number + 1]))
    found = np.zeros((2, n_stars, len(REST_A)), np.float32)
    for component, transform, row in zip(found, transforms, rows, strict=True):
        for start in range(0, len(row), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            light = np.fft.irfft(transform[some] * blur, n=GRID.n_pixels, axis=1)
            component[row[some]] = gather(light, GRID.pixel(REST_A))
    return found


def _no_foreground(rest):
    return np.empty((len(rest), 0, rest.shape[1]), np.float32)


def _foreground(wavelength_a, rest, noise, resolving_power):
    """(n, k, m) what water lines and residuals of sky lines add at the observed wavelengths (n, m), each of one standard deviation."""
    table = distributions()["defects"]
    water = water_opacity(GRID)[None, :] * np.ones((len(rest), 1), np.float32)
    water = multiply(water, fourier_gaussian(GRID, resolution_sigma_km_s(resolving_power)))
    (low, high), (blue, red) = table["telluric_strength"]["log"], table["telluric_shift_km_s"]["uniform"]
    ratio = np.log(high / low)
    spread = np.sqrt((high**2 - low**2) / (2 * ratio) - ((high - low) / ratio) ** 2)
    wet = [
        spread / np.sqrt(3) * gather(water, GRID.pixel(wavelength_a) - shift / GRID.step_km_s) * rest
        for shift in np.linspace(blue, red, 3)
    ]
    sky = _sky(wavelength_a, resolving_power, np.linspace(blue, red, 5)[1:-1]) * np.sqrt(noise)
    return np.concatenate([np.stack(wet), sky]).transpose(1, 0, 2).astype(np.float32)


def _sky(wavelength_a, resolving_power, shifts_km_s):
    """(k, n, m) residuals of each sky line, and of all together, at some velocities of the Earth, in units of the noise."""
    table, strength = distributions()["defects"], telluric_lines("sky")["strength"]
    each = np.stack(
        [sky_lines(wavelength_a * (1 - shift / SPEED_OF_LIGHT_KM_S), resolving_power) for shift in shifts_km_s]
    ) / np.sqrt(len(shifts_km_s))
    together = np.sqrt(table["sky_common_fraction"]) * np.einsum("skij,k->sij", each, strength)
    own_sigma, common_sigma = (table[name]["normal"][1] for name in ("sky_residual_sigma", "sky_common_sigma"))
    return np.concatenate([own_sigma * np.concatenate(each), common_sigma * together])


def _nearest(flux, variance, libraries):
    """(2, n, _NEIGHBOURS, m) absorbed light of the nearest stars of the libraries, the nearest first."""
    weight = (1 / (variance + distributions()["labels"]["systematic_floor"] ** 2 + 0.01**2)).astype(np.float32)
    distance = np.concatenate([_distance(weight, weight * flux, absorbed) for absorbed in libraries], axis=1)
    nearest = np.argpartition(distance, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    order = np.take_along_axis(distance, nearest, axis=1).argsort(axis=1)
    chosen = np.take_along_axis(nearest, order, axis=1)
    near, first = np.empty((2, *chosen.shape, flux.shape[1]), np.float32), 0
    for absorbed in libraries:
        here = (chosen >= first) & (chosen < first + absorbed.shape[1])
        near[:, here] = absorbed[:, chosen[here] - first]
        first += absorbed.shape[1]
    return near


def _distance(weight, weighted, absorbed):
    """(n, n_stars) squares of distances from some stars, but for a term of the spectrum alone."""
    library = 1 - (absorbed[0] + absorbed[1])
    return weight @ (library**2).T - 2 * weighted @ library.T


def _compare(flux, weight, near, base, continuum, foreground):
    """Difference from one neighbour, and everything that may explain it: see `DiscFree.comparisons`."""
    whole = 1 - near.sum(axis=0)
    star = whole[:, base]
    others = np.delete(whole, base, axis=1) - star[:, None]
    rest = (flux - star) * weight
    own = _times(weight, *_of_the_stars(near[:, :, base]))
    scaled = np.concatenate([continuum, own, others * weight[:, None] * _MIXED, foreground], axis=1)
    gram = scaled @ scaled.transpose(0, 2, 1) + np.eye(scaled.shape[1])
    products = np.einsum("nkm,nm->nk", scaled, rest)
    explained = np.einsum("nk,nk->n", products, np.linalg.solve(gram, products[:, :, None])[:, :, 0])
    return weight, rest, scaled, np.maximum(np.einsum("nm,nm->n", rest, rest) - explained, 0)


def _times(weight, shapes, sigma):
    """(n, k, m) shapes of one standard deviation each, (n, k) or (k,), over the noise."""
    return shapes * weight[:, None] * sigma[..., None]


def _continuum(flux):
    """Shapes (n, k, m) that the continuum may add, and the deviation (k,) of each amount."""
    table = distributions()["continuum"]
    x = (REST_A - HALPHA_A) / 35
    level = np.concatenate([flux[:, :20], flux[:, -20:]], axis=1).mean(axis=1, keepdims=True)
    waves = [wave(2 * np.pi * 35 * x / period) for period in (18.0, 35.0, 70.0) for wave in (np.sin, np.cos)]
    pairs = [
        (flux, table["scale"]["normal"][1]),
        (flux * x, table["tilt"]["normal"][1]),
        (flux * x**2, table["curvature"]["normal"][1]),
        *((flux * wave, table["wiggle"]["normal"][1]) for wave in waves),
        (flux * (1 - level), 0.5),  # wings taken for continuum
    ]
    return np.stack([shape for shape, _ in pairs], axis=1), np.array([deviation for _, deviation in pairs])


def _of_the_stars(absorbed):
    """Shapes (n, k, m) that either star of a pair may add, and the deviation (n, k) of each amount."""
    x = (REST_A - HALPHA_A) / 35
    pairs = []
    for line in absorbed:
        slope = np.gradient(line, axis=1)
        pairs += [
            (line, 0.1),
            (line * np.abs(x), 0.2),
            (slope, 2.0),  # velocity: pixels
            (np.gradient(slope, axis=1), 2.0),  # width: pixels squared
        ]
    shapes = np.stack([shape for shape, _ in pairs], axis=1)
    sigma = np.broadcast_to([deviation for _, deviation in pairs], shapes.shape[:2])
    irregular, deviation = zip(*(_irregular(line, np.abs(35 * x)) for line in absorbed), strict=True)
    return np.concatenate([shapes, *irregular], axis=1), np.concatenate([sigma, *deviation], axis=1)


def _irregular(line, distance_a):
    """Irregularities that lines (n, m) may have, (n, k, m), and their deviations (n, k): what rotation washes out, no star has."""
    table = distributions()["photosphere"]
    at_a = np.array(table["irregular_at_a"]) + 0.1
    bottom = (line > 0.9 * line.max(axis=1, keepdims=True) - 1e-6).sum(axis=1) * (RED.step_a * _STRIDE / 2)
    deviation = table["irregularity"]["normal"][1] / (1 + (_WASHED * bottom[:, None] / at_a) ** 2)
    return line[:, None] * irregular_shapes(distance_a), deviation
