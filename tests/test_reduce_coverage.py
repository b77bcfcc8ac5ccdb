"""Spectra that reach little beyond H-alpha, and spectra with holes, are measured with an error that says how well."""

import dataclasses

import numpy as np
import pytest

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.models.score import Scorer
from becat.schema.grid import BLUE, RED
from becat.schema.quality import Quality
from becat.udfs import measure_batch
from becat.udfs.bands import bridgeable
from becat.udfs.equivalent_width import equivalent_width
from benchmarks.ew_errors import INSTRUMENTS, lines, measured, visits, width


def cut(arm: RawArm, low_a: float, high_a: float) -> RawArm:
    kept = (arm.wavelength_a > low_a) & (arm.wavelength_a < high_a)
    parts = {name: getattr(arm, name)[kept] for name in ("wavelength_a", "flux", "ivar", "bad")}
    return dataclasses.replace(arm, **parts)


def read(path) -> tuple[RawArm, float]:
    (spectrum,), _ = read_file(path, need_snr=False)
    return spectrum.arms["red"], spectrum.meta["resolving_power"]


def result(arm, power, normalised=False):
    """EW(H-alpha), its error, probability and quality."""
    reduced = reduce_batch([arm], RED, power, normalised)
    columns = measure_batch(
        reduced.flux, reduced.ivar, None, None, np.array([100.0]), continuum_error_red=reduced.continuum_error
    )
    probability = Scorer().score(reduced.flux, reduced.ivar)[0]
    return columns["ew_halpha_a"][0], columns["e_ew_halpha_a"][0], probability, Quality(int(reduced.quality[0]))


@pytest.fixture(scope="module")
def gamma_cas(real_data):
    arm, power = read(real_data / "halpha/gamma-cas-emission.fits")
    return arm, power, result(arm, power)


@pytest.mark.parametrize("window", [(6450, 6700), (6500, 6632), (6510, 6620), (6520, 6600), (6526, 6594)])
def test_gamma_cas_is_a_be_star_however_little_is_seen(gamma_cas, window):
    arm, power, (whole, e_whole, _, _) = gamma_cas
    ew, e_ew, probability, quality = result(cut(arm, *window), power)
    assert probability > 0.99
    assert ew == pytest.approx(whole, rel=0.1)
    assert abs(ew - whole) < 3 * np.hypot(e_ew, e_whole)
    assert (Quality.CONTINUUM_IN_WINGS in quality) == (window[0] > 6490)


def test_the_narrower_the_larger_the_error(gamma_cas):
    arm, power, (_, e_whole, _, _) = gamma_cas
    errors = [e_whole, *(result(cut(arm, *w), power)[1] for w in ((6500, 6632), (6515, 6612), (6526, 6594)))]
    assert (np.diff(errors) > 0).all()


def test_real_stars_of_all_types_stay_within_the_errors_of_narrow_windows(real_data):
    """Spectra from Ondrejov, amateurs and MILES, cut to windows that amateurs observe."""
    paths = [*sorted(real_data.glob("halpha/*.fits")), *sorted(real_data.glob("miles/*star_m00[0-4]*"))]
    deviations = []
    for path in paths:
        arm, power = read(path)
        arms = [arm, *(cut(arm, 6564.6 - reach, 6564.6 + reach) for reach in (35, 45, 55, 65))]
        reduced = reduce_batch(arms, RED, power)
        columns = measure_batch(
            reduced.flux, reduced.ivar, None, None, np.full(5, 100.0), continuum_error_red=reduced.continuum_error
        )
        ew, e_ew = columns["ew_halpha_a"], columns["e_ew_halpha_a"]
        deviations.append((ew[1:] - ew[0]) / np.hypot(e_ew[1:], e_ew[0]))
    deviations = np.abs(deviations)
    assert np.isfinite(deviations).all() and len(paths) > 20
    assert np.quantile(deviations, 0.68) < 1.5 and deviations.max() < 4


def test_windows_of_the_field_are_measured_and_scored(real_data):
    """As `field/README.md` says: gamma Cas is a Be star of about -34.5 A in each, alpha Dra is none."""
    for path in sorted(real_data.glob("field/made/r30_window_*")):
        ew, _, probability, _ = result(*read(path))
        assert probability > 0.99 and ew == pytest.approx(-34.46, rel=0.1), path.name
    paths = sorted(real_data.glob("field/halpha/alphadra_window_*"))
    assert len(paths) > 20
    for path in paths:
        ew, _, probability, _ = result(*read(path))
        assert probability < 0.5 and ew == pytest.approx(7.7, rel=0.1), path.name


def test_a_normalised_spectrum_keeps_its_own_continuum(gamma_cas):
    """Where it is cut so close that a fit would be worse; one of another level is not believed."""
    arm, power, (truth, *_) = gamma_cas
    reduced = reduce_batch([arm], RED, power)
    own = np.interp(arm.wavelength_a, RED.wavelength_a, np.nan_to_num(reduced.flux[0], nan=1.0)).astype(np.float32)
    flat = dataclasses.replace(arm, flux=own, ivar=np.full(own.size, 1e4, np.float32))
    narrow = cut(flat, 6526, 6594)
    ew, _, _, quality = result(narrow, power, normalised=True)
    assert Quality.OWN_CONTINUUM_KEPT in quality
    assert ew == pytest.approx(truth, abs=0.1)
    *_, quality = result(dataclasses.replace(narrow, flux=1000 * narrow.flux), power, normalised=True)
    assert Quality.OWN_CONTINUUM_KEPT not in quality
    assert Quality.OWN_CONTINUUM_KEPT not in result(flat, power, normalised=True)[3]


def test_without_anything_beside_the_line_there_is_no_continuum(gamma_cas):
    arm, power, _ = gamma_cas
    ew, _, probability, quality = result(cut(arm, 6546, 6582), power)
    assert np.isnan(ew) and np.isnan(probability) and Quality.NO_CONTINUUM in quality


@pytest.mark.parametrize(
    ("name", "ew", "flag"),
    [
        ("spec-56351-*sp14-219*", -3.8, Quality.EMISSION_RESTORED),
        ("spec-55959-*sp16-125*", -4.8, Quality.HOLES_BRIDGED),
    ],
)
def test_be_stars_with_masked_pixels_are_found(real_data, name, ew, flag):
    """A line rejected over eight pixels, 12.1 A; and every fifth pixel without inverse variance."""
    (path,) = real_data.glob(f"field/lrs/{name}")
    found, _, probability, quality = result(*read(path))
    assert found == pytest.approx(ew, abs=0.1) and probability > 0.99
    assert flag in quality


def test_isolated_holes_are_bridged_and_long_gaps_are_not():
    good = np.ones((4, 100), bool)
    good[0, ::3] = False
    good[1, 40:52] = False
    good[2, ::2] = good[2, 1::50] = False
    good[3, :10] = False
    assert bridgeable(good, 0.1).tolist() == [True, False, False, True]


def test_the_width_of_a_line_with_holes_is_that_without():
    """Every fifth native pixel of the low-resolution survey, as in spec-55959."""
    flux = (1 + 2 * np.exp(-0.5 * ((RED.wavelength_a - 6564.6) / 3) ** 2))[None]
    ivar = np.full(flux.shape, 1e4)
    whole, e_whole = equivalent_width(flux, ivar, RED.wavelength_a, (6548.0, 6578.0))
    ivar[:, (np.arange(RED.n_pixels) // 12) % 5 == 0] = 0
    holed, e_holed = equivalent_width(flux, ivar, RED.wavelength_a, (6548.0, 6578.0))
    assert holed == pytest.approx(whole, rel=0.03) and e_holed > e_whole


def test_dead_pixels_at_the_ends_of_an_arm_are_trimmed():
    """Zeros, and beside them two pixels of ordinary weight and wild flux, as at the red end of LAMOST's arms."""
    x = np.arange(6300.0, 6701.0, 0.15)
    flux = np.ones(x.size, np.float32)
    flux[-5:], flux[-7:-5] = 0, (-10, 40)
    arm = RawArm("red", x, flux, np.full(x.size, 1e4, np.float32), np.zeros(x.size, bool))
    reduced = reduce_batch([arm], RED, 7500.0)
    assert np.nanmax(np.abs(reduced.flux[0, reduced.ivar[0] > 0] - 1)) < 0.01
    beyond = RED.wavelength_a > x[-8] + 0.2
    assert (reduced.ivar[0, beyond] == 0).all()


def test_windows_of_every_reach_keep_within_their_errors():
    """A hot star's line behind a blazed response: the whole arm against what reaches less and less beyond the line."""
    _, _, power, step_a, side = INSTRUMENTS[2]
    rng = np.random.default_rng(6)
    x, stars = lines(power, step_a)
    flux = np.repeat(stars[[0, 3]], 100, axis=0)
    for reach_a in (35, 50, 65, 80, 110):
        inside = np.abs(x - 6564.6) < reach_a
        w1, e1 = measured(visits(x, flux, 20, side, rng), power, 20)
        w2, e2 = measured(visits(x[inside], flux[:, inside], 20, side, rng), power, 20)
        z = (w2 - w1) / np.hypot(e1, e2)
        assert np.sqrt(np.mean(z**2)) < 1.25 and np.abs(z).max() < 5, reach_a


def test_no_noise_decides_between_two_continua_in_the_blue():
    """Weak lines 2 % deep at S/N 10 to 100, the blue arm of the low-resolution survey: one width, within its errors."""
    rng = np.random.default_rng(4)
    x = np.arange(BLUE.wavelength_a[0], BLUE.wavelength_a[-1], 1.5)
    depth = np.zeros(x.size)
    for centre_a in rng.uniform(x[0], x[-1], 80):
        depth += 0.05 * rng.exponential() * np.exp(-0.5 * ((x - centre_a) / 1.4) ** 2)
    flux = np.repeat((1 - depth)[None], 150, axis=0)
    for snr in (20, 50, 100):
        w1, e1 = measured(visits(x, flux, snr, 0.12, rng, "blue"), 1800.0, snr)
        w2, e2 = measured(visits(x, flux, snr, 0.12, rng, "blue"), 1800.0, snr)
        z = (w1 - w2) / np.hypot(e1, e2)
        assert 0.75 < width(z)[0] < 1.25 and np.abs(z).max() < 5, snr


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i[0])
@pytest.mark.parametrize("snr", [20, 200])
def test_differences_of_constant_stars_are_as_large_as_their_errors(instrument, snr):
    """Noise that neighbours share, and another response at each visit: `python -m benchmarks.ew_errors`."""
    _, _, power, step_a, side = instrument
    rng = np.random.default_rng(5)
    x, stars = lines(power, step_a)
    flux = stars[rng.integers(len(stars), size=200)]
    (w1, e1), (w2, e2) = (measured(visits(x, flux, snr, side, rng), power, snr) for _ in range(2))
    z = (w1 - w2) / np.hypot(e1, e2)
    assert 0.8 < width(z)[0] < 1.2 and width(z)[1] == 0
