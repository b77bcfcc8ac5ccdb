"""The continuum is one between the lines, and the lines keep their strength."""

import astropy.units as u
import numpy as np
import pytest
from astropy.modeling import models
from specutils import SpectralRegion, Spectrum
from specutils.fitting import fit_continuum as specutils_continuum

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.etl.reduce.continuum import line_free
from becat.schema.grid import BLUE, RED
from becat.schema.quality import Quality
from benchmarks.ew_bias import BAND_A, LINES_A, cell


@pytest.mark.parametrize("snr", [10, 50, 200])
@pytest.mark.parametrize("line", [(-10.0, 8.0, "gauss"), (0.5, 2.0, "gauss"), (3.0, 10.0, "gauss")])
def test_equivalent_width_has_no_bias(line, snr):
    truth, bias, e_bias, _, _ = cell(*line, snr, 400 if snr == 10 else 100, np.random.default_rng(7))
    assert abs(bias) < max(0.02, 0.01 * abs(truth)) + 3 * e_bias
    assert e_bias < 0.03


def test_wide_lines_are_not_fitted_away():
    """A 40 A wide absorption and a 30 A wide emission line keep their strength to 1.5 %."""
    for line in ((8.0, 40.0, "gauss"), (-40.0, 30.0, "gauss")):
        truth, bias, _, _, _ = cell(*line, 100, 40, np.random.default_rng(8))
        assert abs(bias) < 0.015 * abs(truth)


def test_agrees_with_a_polynomial_fitted_by_specutils():
    """Where the continuum is a polynomial and the windows are known, a fit that knows both says the same."""
    rng = np.random.default_rng(9)
    x = (RED.wavelength_a - 6550) / 250
    response = 1000 * (1 + 0.2 * x - 0.3 * x**2)
    flux = response * (1 + 2 * np.exp(-0.5 * ((RED.wavelength_a - 6564.6) / 4) ** 2)) + rng.normal(0, 20, x.size)
    arm = RawArm(
        "red", RED.wavelength_a, flux.astype(np.float32), np.full(x.size, 1 / 400, np.float32), np.zeros(x.size, bool)
    )
    reduced = reduce_batch([arm], RED, 7500.0)
    spectrum = Spectrum(spectral_axis=RED.wavelength_a * u.AA, flux=flux * u.Jy)
    fitted = specutils_continuum(
        spectrum, model=models.Chebyshev1D(3), exclude_regions=[SpectralRegion(6515 * u.AA, 6615 * u.AA)]
    )
    theirs = fitted(RED.wavelength_a * u.AA).value
    assert np.abs(flux / reduced.flux[0] / theirs - 1).max() < 0.01


REAL_RED = ["mrs/med-58025*", "mrs/med-58270*", "mrs/med-58408*", "mrs/med-58440*sp11*", "mrs/med-586*"]


def test_real_continuum_is_one(real_data):
    """Median between the lines within 0.5 % of 1, for every spectrum with S/N above 10."""
    paths = [p for pattern in (*REAL_RED, "lrs/*.fits*", "halpha/*.fits") for p in sorted(real_data.glob(pattern))]
    spectra = [s for path in paths for s in read_file(path)[0]]
    spectra = [s for s in spectra if s.meta["snr_r"] > 10]
    assert len(spectra) > 40
    arms = [s.arms["red"] for s in spectra]
    power = np.array([s.meta["resolving_power"] or np.nan for s in spectra], float)
    reduced = reduce_batch(arms, RED, power)
    free = line_free(RED.wavelength_a)
    median = [np.median(f[free & (i > 0)]) for f, i in zip(reduced.flux, reduced.ivar, strict=True)]
    np.testing.assert_allclose(median, 1, atol=0.005)
    assert (reduced.good_fraction > 0.9).all()


def test_double_lined_binary_keeps_both_cores(real_data):
    """The depth of both H-alpha cores and of the ridge between them, against the raw flux."""
    (path,) = real_data.glob("mrs/med-58646*")
    (spectrum,), _ = read_file(path)
    arm = spectrum.arms["red"]
    reduced = reduce_batch([arm], RED, 7500.0)
    near = (RED.wavelength_a > 6555) & (RED.wavelength_a < 6575)
    raw = np.interp(RED.wavelength_a, arm.wavelength_a, arm.flux)
    continuum = raw[near] / reduced.flux[0, near]
    assert np.std(continuum) / np.mean(continuum) < 0.02
    assert (reduced.ivar[0, near] > 0).all()


def test_emission_without_inverse_variance_is_taken_back(real_data):
    """Two Be stars whose H-alpha LAMOST's low-resolution pipeline rejected; Ondrejov saw one of them as well."""
    (low,), _ = read_file(real_data / "lrs/bt-cmi-lamost.fits")
    (high,), _ = read_file(real_data / "halpha/bt-cmi-ondrejov.fits")
    inside = (RED.wavelength_a > BAND_A[0]) & (RED.wavelength_a < BAND_A[1])
    width = []
    for spectrum in (low, high):
        reduced = reduce_batch([spectrum.arms["red"]], RED, spectrum.meta["resolving_power"])
        width.append((1 - reduced.flux[0, inside]).sum() * RED.step_a)
        assert bool(reduced.quality[0] & Quality.EMISSION_RESTORED) == (spectrum is low)
    assert width[0] == pytest.approx(width[1], rel=0.25)  # the star varies


def test_short_spectra_are_flagged():
    """With data on one side of H-alpha only, or too few, the continuum is doubtful; with none, all is NaN."""
    rng = np.random.default_rng(10)

    def arm(low, high):
        wavelength = np.arange(low, high, 0.15)
        flux = 100 + rng.normal(0, 1, wavelength.size)
        good = np.ones(wavelength.size, np.float32)
        return RawArm("red", wavelength, flux.astype(np.float32), good, np.zeros(wavelength.size, bool))

    reduced = reduce_batch([arm(6300, 6800), arm(6545, 6800), arm(6540, 6590), arm(4000, 4500)], RED, 7500.0)
    doubtful = (reduced.quality & Quality.CONTINUUM_DOUBTFUL) > 0
    assert doubtful.tolist() == [False, True, True, True]
    few = (reduced.quality & Quality.FEW_GOOD_PIXELS) > 0
    assert few.tolist() == [False, True, True, True]
    assert np.isnan(reduced.flux[3]).all() and (reduced.ivar[3] == 0).all()


def test_hopeless_input_does_no_harm_to_its_neighbours():
    """Zero, negative, NaN and huge flux beside a good spectrum: no warning, and the good one comes out the same."""
    rng = np.random.default_rng(11)
    wavelength = np.arange(6290.0, 6810.0, 0.15)

    def arm(flux):
        n = wavelength.size
        return RawArm("red", wavelength, np.asarray(flux, np.float32), np.ones(n, np.float32), np.zeros(n, bool))

    good = arm(100 + rng.normal(0, 1, wavelength.size))
    others = [arm(np.full(wavelength.size, value)) for value in (0.0, -5.0, np.nan, 1e30)]
    with np.errstate(all="raise", under="ignore"):
        alone = reduce_batch([good], RED, 7500.0)
    together = reduce_batch([others[0], good, *others[1:]], RED, 7500.0)
    np.testing.assert_allclose(together.flux[1], alone.flux[0], rtol=1e-5)
    assert np.isnan(together.flux[[0, 2, 3]]).all()


def test_empty_batch():
    reduced = reduce_batch([], BLUE)
    assert reduced.flux.shape == (0, BLUE.n_pixels) and reduced.quality.shape == (0,)


def test_table_of_lines_covers_what_the_page_promises():
    widths = [abs(width) for width, _, _ in LINES_A]
    assert min(widths) == 0 and max(widths) == 40


def waves_left(period_a, depth, snr, seed=12):
    """Half the range of means over 25 A of rectified blue arms of stars without lines, behind a response with waves."""
    rng = np.random.default_rng(seed)
    x = np.arange(4930.0, 5370.0, 0.1)
    arms = []
    for phase in np.linspace(0, 2 * np.pi, 16, endpoint=False):
        blaze = 0.35 + 0.65 * np.cos(np.pi * (x - 5150) / 490) ** 2
        expected = 1000 * blaze * (1 + depth * np.sin(2 * np.pi * x / period_a + phase))
        sigma = np.sqrt(1000 * expected) / snr
        flux = (expected + sigma * rng.normal(size=x.size)).astype(np.float32)
        arms.append(RawArm("blue", x, flux, (1 / sigma**2).astype(np.float32), np.zeros(x.size, bool)))
    reduced = reduce_batch(arms, BLUE, 7500.0)
    means = reduced.flux[:, :3200].reshape(len(arms), 16, 200)[:, 1:-1].mean(axis=2)
    return 0.5 * np.ptp(means, axis=1)


@pytest.mark.parametrize("snr", [50, 150])
def test_waves_of_the_response_do_not_stay_in_the_blue_arm(snr):
    """Their troughs are no lines: 2 % high and 130 A long, they were left at 1.5 to 2 %."""
    assert np.median(waves_left(130.0, 0.02, snr)) < 0.006
    assert waves_left(130.0, 0.02, snr).max() < 0.009
