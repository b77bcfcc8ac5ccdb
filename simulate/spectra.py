"""Spectra in instrument counts, both arms, coadds and single exposures, with known truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from becat.schema.lines import LINES
from becat.simulate.disc_free import FIRST
from becat.simulate.draw import OwnDraws, distributions, draw
from becat.simulate.instrument import feature_significance, gather, resolution_sigma_km_s, telluric_transmission
from becat.simulate.labels import count_peaks, empty_truth, label_by_visibility
from becat.simulate.systems import Systems, draw_radial_velocities, draw_systems, render
from becat.simulate.velocity import VelocityGrid, fourier_gaussian, multiply

__all__ = [
    "GRIDS",
    "Exposure",
    "Simulated",
    "Stars",
    "at_resolution",
    "combine",
    "detect",
    "draw_stars",
    "expose",
    "pixels_of",
    "render_stars",
    "shape_of_counts",
]

# Model grids with margins beyond the survey's arms; the low-resolution one covers its whole range.
GRIDS = {
    "blue": VelocityGrid(start_a=4880.0, n_pixels=6144),
    "red": VelocityGrid(start_a=6240.0, n_pixels=5632),
    "lrs": VelocityGrid(start_a=3640.0, n_pixels=14080, step_km_s=20.0),
}
_RESOLVING_POWER = {"blue": 7500.0, "red": 7500.0, "lrs": 1800.0}
_HALPHA_WINDOW_A = (6525.0, 6595.0)


@dataclass
class Exposure:
    """n spectra of one arm, on one set of pixels.

    Attributes
    ----------
    wavelength_a : (p,) float64 array
        Vacuum, heliocentric, ascending.
    flux, ivar : (n, p) float32 arrays
        Counts and their inverse variance.
    mask : (n, p) int16 array
        Not zero where the pixel must not be used.
    snr : (n,) float array
        Median of flux over its error.
    """

    wavelength_a: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    snr: np.ndarray


@dataclass
class Stars:
    """n stars of several kinds, to be exposed any number of times.

    Attributes
    ----------
    kind : (n,) str array
    groups : list of (rows, Systems)
        The systems of each kind and where they stand among the n.
    reddening_mag, slope : (n,) float arrays
        E(B-V) that the diffuse bands show, and slope of the continuum over an arm.
    seed : (n,) int array, optional
        What is random in a star itself comes from it, and is the same whenever it is exposed: the points at which its disc is
        sampled, the waves of its fibre. Without seeds these are drawn anew for each exposure.
    """

    kind: np.ndarray
    groups: list[tuple[np.ndarray, Systems]]
    reddening_mag: np.ndarray
    slope: np.ndarray
    seed: np.ndarray | None = None

    def own_draws(self, rows: np.ndarray | slice, grid: VelocityGrid) -> OwnDraws | None:
        """Random numbers of some of the stars on one grid, if they have seeds."""
        of = next(i for i, known in enumerate(GRIDS.values()) if known is grid)
        return None if self.seed is None else OwnDraws(self.seed[rows], of)

    def take(self, rows: np.ndarray, velocity_factor: np.ndarray) -> Stars:
        """Some of the stars, each as often as wanted; binaries at another phase of their orbit.

        Parameters
        ----------
        rows : (m,) int array
        velocity_factor : (m,) float array
            Velocity of the second star from the first, times what was drawn.
        """
        groups = []
        for where, systems in self.groups:
            order = {star: i for i, star in enumerate(where)}
            wanted = np.flatnonzero(np.isin(rows, where))
            if len(wanted):
                picked = np.array([order[star] for star in rows[wanted]])
                groups.append((wanted, systems.take(picked, velocity_factor[wanted])))
        seed = None if self.seed is None else self.seed[rows]
        return Stars(self.kind[rows], groups, self.reddening_mag[rows], self.slope[rows], seed)

    def truth(self) -> dict[str, np.ndarray]:
        """Table of `labels.empty_truth`, filled with what was drawn."""
        table = empty_truth(len(self.kind))
        for where, systems in self.groups:
            for name, values in systems.truth.items():
                table[name][where] = values
        return table


@dataclass
class Simulated:
    """n spectra with their truth.

    Attributes
    ----------
    coadd : dict of Exposure
        By arm: ``blue`` and ``red``, or ``lrs``.
    singles : list of dict of Exposure
        The exposures that went into the coadd; empty if not asked for.
    kind : (n,) str array
    label : (n,) int8 array
    truth : dict of (n,) arrays
    """

    coadd: dict[str, Exposure]
    singles: list[dict[str, Exposure]]
    kind: np.ndarray
    label: np.ndarray
    truth: dict[str, np.ndarray] = field(repr=False)


def draw_stars(kind: np.ndarray, rng: np.random.Generator) -> Stars:
    """Stars of the given kinds, (n,) names of distributions.toml."""
    kind = np.asarray(kind)
    n = len(kind)
    groups = []
    for name in np.unique(kind):
        rows = np.flatnonzero(kind == name)
        groups.append((rows, draw_systems(str(name), rng, draw_radial_velocities(rng, len(rows)))))
    survey = distributions()["survey"]
    late = kind == "late"
    reddening = np.where(late, 0.3, 1.0) * draw(survey["reddening_mag"], rng, n)
    return Stars(kind, groups, reddening, draw(survey["slope"], rng, n) - 0.25 * late)


def expose(
    stars: Stars, snr: np.ndarray, rng: np.random.Generator, arms: tuple[str, ...] = ("blue", "red"), n_singles: int = 0
) -> Simulated:
    """Observe stars once.

    Parameters
    ----------
    stars : Stars
    snr : (n,) float array
        Wanted signal to noise per pixel of the coadd in the red arm; the blue arm is fainter.
    rng : numpy Generator
    arms : tuple of str
        ``("blue", "red")`` of the medium-resolution survey, or ``("lrs",)``.
    n_singles : int
        With 2 or more, that many exposures are made and combined; with 0 the coadd is made by itself.

    Returns
    -------
    Simulated
    """
    n = len(stars.kind)
    truth = stars.truth()
    share = draw(distributions()["survey"]["blue_over_red"], rng, n)
    coadd, exposures = {}, []
    for arm in arms:
        grid = GRIDS[arm]
        whole, feature, bare = render_stars(stars, grid, rng)
        if arm != "blue":
            _judge(truth, whole, feature, snr, grid, arm)
            _judge_against_all(truth, bare, stars.kind, grid)
        light = whole * shape_of_counts(stars, grid, arm, stars.own_draws(slice(None), grid) or rng)
        wanted = snr * share if arm == "blue" else snr
        if n_singles:
            parts = [detect(light, grid, arm, wanted / np.sqrt(n_singles), rng, True) for _ in range(n_singles)]
            exposures.append((arm, parts))
            coadd[arm] = combine(parts, pixels_of(arm, False))
        else:
            coadd[arm] = detect(light, grid, arm, wanted, rng, False)
    singles = [{arm: parts[i] for arm, parts in exposures} for i in range(n_singles)]
    label = label_by_visibility(stars.kind, truth, distributions()["kinds"])
    return Simulated(coadd, singles, stars.kind, label, truth)


def render_stars(
    stars: Stars, grid: VelocityGrid, rng: np.random.Generator, points: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra over the continuum at the instrument's resolution, the feature in them, and they without what lies between.

    Parameters
    ----------
    stars : Stars
    grid : VelocityGrid
    rng : numpy Generator
    points : numpy Generator, optional
        For the points at which discs are sampled: those of a disc that is seen again should be the same. Default: of the
        stars' seeds, else `rng`.

    Returns
    -------
    (n, grid.n_pixels) float32 array, three times
    """
    bare = np.empty((len(stars.kind), grid.n_pixels), dtype=np.float32)
    feature = np.empty_like(bare)
    for rows, systems in stars.groups:
        bare[rows], feature[rows] = render(systems, grid, points or stars.own_draws(rows, grid) or rng)
    whole = bare * telluric_transmission(rng, len(bare), grid) * _diffuse_bands(stars.reddening_mag, grid)
    return at_resolution(whole, grid), multiply(feature, _blur(feature, grid)), at_resolution(bare, grid)


def at_resolution(flux: np.ndarray, grid: VelocityGrid) -> np.ndarray:
    """(n, p) spectra over the continuum, or transmissions, as the instrument of this grid resolves them."""
    return 1 - multiply(1 - flux, _blur(flux, grid))


def _blur(flux, grid):
    arm = next(name for name, known in GRIDS.items() if known is grid)
    return fourier_gaussian(grid, resolution_sigma_km_s(np.full(len(flux), _RESOLVING_POWER[arm])))


def _diffuse_bands(reddening_mag, grid):
    """(n, n_pixels) transmission of the diffuse interstellar bands."""
    table = distributions()["diffuse_bands"]
    opacity = np.zeros(grid.n_pixels)
    for name, ew_a, fwhm_a in zip(table["line"], table["ew_a_per_mag"], table["fwhm_a"], strict=True):
        sigma = fwhm_a / 2.3548
        shape = np.exp(-0.5 * ((grid.wavelength_a - LINES[name].wavelength_a) / sigma) ** 2)
        opacity += ew_a / (sigma * np.sqrt(2 * np.pi)) * shape
    return np.exp(-np.asarray(reddening_mag)[:, None] * opacity).astype(np.float32)


def shape_of_counts(stars: Stars, grid: VelocityGrid, arm: str, rng: np.random.Generator | OwnDraws) -> np.ndarray:
    """(n, n_pixels) shape of the counts: the star's slope, the blaze of the grating, and waves of flat field and fibre."""
    survey = distributions()["survey"]
    n = len(stars.kind)
    first, last = pixels_of(arm, True)[[0, -1]]
    x = 2 * (grid.wavelength_a - first) / (last - first) - 1
    shape = 1 + stars.slope[:, None] * x
    shape *= (
        1 if arm == "lrs" else survey["edge_response"] + (1 - survey["edge_response"]) * np.cos(0.5 * np.pi * x) ** 2
    )
    for _ in range(3):
        size, waves = draw(survey["ripple"], rng, n), draw(survey["ripple_waves"], rng, n)
        shape *= 1 + size[:, None] * np.sin(np.pi * waves[:, None] * x + rng.uniform(0, 2 * np.pi, n)[:, None])
    return np.maximum(shape, 0.02).astype(np.float32)


def _judge(truth, whole, feature, snr, grid, arm):
    """Fill S/N, resolution, peaks and the significance of the feature in H-alpha's neighbourhood."""
    truth["snr"], truth["resolving_power"][:] = snr.copy(), _RESOLVING_POWER[arm]
    native = pixels_of(arm, False)
    native = native[(native > _HALPHA_WINDOW_A[0]) & (native < _HALPHA_WINDOW_A[1])]
    place = grid.pixel(native)
    seen, part = gather(whole, place), gather(feature, place)
    truth["step_a"][:] = native[1] - native[0]
    truth["noise_correlation"][:] = 0
    truth |= feature_significance(seen - part, part, np.maximum(seen, 0.05) / snr[:, None] ** 2, native)
    truth["n_peaks"], truth["violet_red_ratio"] = count_peaks(part)


def _judge_against_all(truth, bare, kind, grid):
    """Fill the significance of the feature against every star without one."""
    rows = np.array([distributions()["kinds"][name]["label"] == 1 for name in kind])
    known = {name: values[rows] for name, values in truth.items()}
    truth["disc_free_significance"][rows] = FIRST.significance(bare[rows], grid.pixel, known)


def pixels_of(arm: str, single: bool) -> np.ndarray:
    """(p,) wavelengths of the detector's pixels (or of the coadd's), vacuum Angstrom."""
    table = distributions()["pixels"][arm]
    start, step, count = table["single" if single and "single" in table else "coadd"]
    return 10 ** (start + step * np.arange(count))


def detect(
    light: np.ndarray, grid: VelocityGrid, arm: str, snr: np.ndarray, rng: np.random.Generator, single: bool
) -> Exposure:
    """Counts of one exposure (or of a coadd made by itself) with noise, hits and bad pixels.

    Parameters
    ----------
    light : (n, grid.n_pixels) float array
        Spectra at the instrument's resolution, times `shape_of_counts`.
    grid : VelocityGrid
    arm : str
    snr : (n,) float array
        Wanted signal to noise of the median pixel.
    rng : numpy Generator
    single : bool
        On the pixels of a single exposure, else on those of a coadd.
    """
    survey = distributions()["survey"]
    pixels = pixels_of(arm, single)
    shape = gather(light, grid.pixel(pixels))
    gain, read = survey["variance_per_count"], survey["read_variance"]
    # Counts at which the median pixel has the wanted S/N: the root of F^2 / (gain F + read) = S/N^2.
    level = (gain * snr**2 + np.sqrt(gain**2 * snr**4 + 4 * read * snr**2)) / 2
    mean = shape / np.median(shape, axis=1, keepdims=True) * level[:, None]
    variance = gain * np.maximum(mean, 0) + read
    flux = mean + np.sqrt(variance) * rng.standard_normal(mean.shape, dtype=np.float32)
    mask = np.zeros(mean.shape, dtype=np.int16)
    _hit(flux, mask, level, rng, survey["hits_per_exposure"] if single else survey["hits_per_coadd"])
    bad = rng.random((len(flux), 1)) * len(pixels) + np.arange(3)
    broken = np.flatnonzero(rng.random(len(flux)) < survey["bad_run_fraction"])
    columns = np.minimum(bad[broken].astype(int), len(pixels) - 1)
    flux[broken[:, None], columns] *= 0.1
    mask[broken[:, None], columns] = 1
    ivar = np.where(mask > 0, 0, 1 / variance)
    ivar[:, :2] = ivar[:, -2:] = 0  # as at the ends of real coadds
    return Exposure(
        pixels, flux.astype(np.float32), ivar.astype(np.float32), mask, np.median(flux / np.sqrt(variance), 1)
    )


def _hit(flux, mask, level, rng, rate):
    """Cosmic rays: one to three pixels wide, high; most of them flagged, as the pipeline's own mask does."""
    survey = distributions()["survey"]
    count = rng.poisson(rate, len(flux))
    row = np.repeat(np.arange(len(flux)), count)
    column = rng.integers(2, flux.shape[1] - 4, len(row))
    height = draw(survey["hit_height"], rng, len(row)) * level[row]
    width = rng.integers(1, 4, len(row))
    flagged = rng.random(len(row)) < survey["hit_flagged_fraction"]
    for offset, share in enumerate((1.0, 0.6, 0.25)):
        wide = width > offset
        flux[row[wide], column[wide] + offset] += share * height[wide]
        mask[row[wide & flagged], column[wide & flagged] + offset] = 1


def combine(parts: list[Exposure], pixels: np.ndarray) -> Exposure:
    """Coadd of exposures on its own pixels; flagged pixels of an exposure are left out."""
    total = weight = mask = 0
    for part in parts:
        step = np.log(part.wavelength_a[1] / part.wavelength_a[0])
        place = np.log(pixels / part.wavelength_a[0]) / step
        # An exposure reaches a pixel only with both of its neighbours good.
        good = (
            (gather((part.ivar > 0).astype(np.float32), place) > 0.999)
            & (place >= 0)
            & (place <= part.flux.shape[1] - 1)
        )
        share = np.where(good, gather(part.ivar, place), 0)
        total, weight = total + share * gather(part.flux, place), weight + share
        mask = mask | (gather((part.mask > 0).astype(np.float32), place) > 0)
    flux = total / np.where(weight > 0, weight, 1)
    snr = np.median(flux * np.sqrt(weight), axis=1)
    return Exposure(pixels, flux.astype(np.float32), np.asarray(weight, np.float32), np.asarray(mask, np.int16), snr)
