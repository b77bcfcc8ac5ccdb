"""Profile classes against profiles of known shape, simulated truth and real stars."""

import numpy as np
import pytest

from benchmarks.profile_classes import classify
from etl.readers import read_file
from etl.reduce import reduce_batch
from schema.grid import RED
from schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from udfs import profile_batch

HALPHA_A = LINES["halpha"].wavelength_a


def _line(velocity_km_s, height, fwhm_km_s):
    """A Gaussian component: place and width in km/s, height over the continuum."""
    sigma_a = fwhm_km_s / 2.3548 / SPEED_OF_LIGHT_KM_S * HALPHA_A
    centre_a = HALPHA_A * (1 + velocity_km_s / SPEED_OF_LIGHT_KM_S)
    return height * np.exp(-0.5 * ((RED.wavelength_a - centre_a) / sigma_a) ** 2)


PHOTOSPHERE = _line(0, -0.25, 900) + _line(0, -0.25, 400)

# Name: components added to the continuum; class, type, shell type.
SHAPES = {
    "plain absorption": ([PHOTOSPHERE], "absorption", None, None),
    "deep narrow core": ([PHOTOSPHERE, _line(0, -0.3, 60)], "absorption", None, None),
    "single": ([_line(0, 3.0, 250)], "emission", "single peak", None),
    "double": ([_line(-110, 1.5, 180), _line(110, 1.5, 180)], "emission", "double symmetric", None),
    "double asymmetric": ([_line(-110, 2.0, 180), _line(110, 1.2, 180)], "emission", "double asymmetric", None),
    "narrow in absorption": ([PHOTOSPHERE, _line(0, 0.3, 120)], "emission", "narrow emission in absorption", None),
    "P Cygni": ([_line(80, 2.0, 200), _line(-300, -0.4, 100)], "emission", "single peak", None),
    "shell, narrow": ([_line(0, 1.5, 400), _line(0, -1.8, 60)], "emission with shell", None, 1),
    "shell, broad": ([_line(0, 2.5, 600), _line(0, -3.0, 160)], "emission with shell", None, 2),
    "shell, asymmetric": (
        [_line(0, 2.5, 500), _line(-20, -2.0, 60), _line(60, -1.7, 130)],
        "emission with shell",
        None,
        3,
    ),
    "absorption shell, above": (
        [PHOTOSPHERE, _line(-150, 0.75, 110), _line(150, 0.75, 110), _line(0, -0.3, 60)],
        "absorption with shell",
        None,
        1,
    ),
    "absorption shell, below": (
        [PHOTOSPHERE, _line(-110, 0.2, 70), _line(110, 0.2, 70), _line(0, -0.3, 60)],
        "absorption with shell",
        None,
        2,
    ),
    "two cores": ([_line(-150, -0.4, 150), _line(150, -0.3, 150)], "absorption", None, None),
    "two Stark cores": (
        [0.5 * PHOTOSPHERE, _line(-120, -0.3, 150), _line(130, -0.2, 150)],
        "absorption",
        None,
        None,
    ),
}


def _observe(components, snr, n, seed=0):
    rng = np.random.default_rng(seed)
    flux = 1 + sum(components) + rng.normal(0, 1 / snr, (n, RED.n_pixels))
    return flux, np.full(flux.shape, snr**2), np.full(n, snr)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("snr", [60.0, 150.0])
def test_shapes_of_known_class(name, snr):
    components, expected_class, expected_type, expected_shell = SHAPES[name]
    found = profile_batch(*_observe(components, snr, 40))
    assert np.mean(found["profile_class"] == expected_class) >= 0.95
    assert np.mean(found["profile_type"] == np.array(expected_type, dtype=object)) >= 0.9
    if expected_shell is None:
        assert np.ma.getmaskarray(found["shell_type"]).mean() >= 0.95
    else:
        assert np.mean(np.ma.filled(found["shell_type"], 0) == expected_shell) >= 0.9
        assert all(found["evidence"])


def test_noise_is_not_emission():
    for snr in (10.0, 30.0, 200.0):
        found = profile_batch(*_observe([PHOTOSPHERE], snr, 500))
        assert np.mean(found["n_emission_peaks"] == 0) > 0.99


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.4])
def test_violet_red_ratio_and_its_error(ratio):
    """Known V/R and separation come back; the error agrees with the scatter to 25 % (peaks are picked, which adds some)."""
    components = [_line(-150, ratio, 150), _line(150, 1.0, 150)]
    clean = 1 + sum(components)
    found = profile_batch(*_observe(components, 80.0, 600))
    true = (clean[RED.wavelength_a < HALPHA_A].max() - 1) / (clean[RED.wavelength_a > HALPHA_A].max() - 1)
    assert np.median(found["violet_red_ratio"]) == pytest.approx(true, rel=0.02)
    assert found["violet_red_ratio"].std() == pytest.approx(np.median(found["e_violet_red_ratio"]), rel=0.25)
    assert np.median(found["peak_separation_km_s"]) == pytest.approx(300, abs=8)


def test_shell_width_and_asymmetry():
    found = profile_batch(*_observe([_line(0, 3.0, 700), _line(0, -3.4, 100)], 200.0, 50))
    # Half depth is counted from the peaks beside the core, a little below the emission that the core is cut into.
    assert np.median(found["shell_fwhm_km_s"]) == pytest.approx(100, rel=0.15)
    assert abs(np.median(found["shell_asymmetry"])) < 0.05


def test_helium_rotation_makes_a_narrow_core_a_shell_line():
    """Type 3 of absorption with shell: only beside a He I 6678 far broader than the core."""
    helium_a = LINES["hei_6680"].wavelength_a
    sigma_a = 400 / 2.3548 / SPEED_OF_LIGHT_KM_S * helium_a
    helium = -0.2 * np.exp(-0.5 * ((RED.wavelength_a - helium_a) / sigma_a) ** 2)
    core = [PHOTOSPHERE, _line(0, -0.3, 50)]
    with_rotation = profile_batch(*_observe([*core, helium], 150.0, 20))
    assert np.mean(with_rotation["profile_class"] == "absorption with shell") == 1
    assert np.mean(with_rotation["shell_type"] == 3) == 1
    assert "He I 6678" in with_rotation["evidence"][0]
    assert np.mean(profile_batch(*_observe(core, 150.0, 20))["profile_class"] == "absorption") == 1


def test_bad_spectra_have_no_class():
    flux, ivar, snr = _observe([PHOTOSPHERE], 50.0, 4)
    flux[0], ivar[1], snr[2] = np.nan, 0.0, np.nan
    found = profile_batch(flux, ivar, snr)
    assert list(found["profile_class"]) == [None, None, None, "absorption"]
    assert np.ma.getmaskarray(found["n_emission_peaks"]).tolist() == [True, True, True, False]


def test_simulated_truth():
    """Of what a Be profile shows visibly most is found; of ordinary stars next to nothing is called emission or shell."""
    profiles, found = classify(2500, seed=4)
    names = found["profile_class"].astype(str)
    shell = np.isin(names, ["emission with shell", "absorption with shell"])
    high = profiles.truth["snr"] > 30

    def fraction(kind, label, what):
        chosen = (profiles.kind == kind) & (profiles.label == label) & high
        return what[chosen].mean()

    emission = names != "absorption"
    for kind in ("absorption", "absorption_core", "sb2"):
        assert fraction(kind, 0, emission) < 0.05
        assert fraction(kind, 0, shell) < 0.01
    assert fraction("emission_single", 1, names == "emission") > 0.8
    assert fraction("emission", 1, emission) > 0.8
    assert fraction("shell_emission", 1, shell) > 0.45


def _real(path):
    spectra, _ = read_file(path)
    arm, meta = spectra[0].arms["red"], spectra[0].meta
    reduced = reduce_batch([arm], RED, resolving_power=meta["resolving_power"])
    snr, power = np.array([meta["snr_r"]], float), np.array([meta["resolving_power"]], float)
    return {name: x[0] for name, x in profile_batch(reduced.flux, reduced.ivar, snr, None, power).items()}


def test_real_emission_stars(real_data):
    found = _real(real_data / "halpha" / "gamma-cas-emission.fits")
    assert (found["profile_class"], found["profile_type"]) == ("emission", "single peak")
    found = _real(real_data / "halpha" / "bt-cmi-ondrejov.fits")
    assert (found["profile_class"], found["n_emission_peaks"]) == ("emission", 2)
    assert found["peak_separation_km_s"] == pytest.approx(177, abs=12)
    found = _real(real_data / "mrs" / "med-58440-NT222300N571704C01_sp11-073.fits")
    assert (found["profile_class"], found["profile_type"]) == ("emission", "double symmetric")


def test_real_absorption_stars_are_not_shell_stars(real_data):
    """Vega and alpha Dra: a deep narrow core by itself; the double-lined binary: a ridge between two cores."""
    files = [
        real_data / "halpha" / "alpha-lyr-absorption.fits",
        *sorted((real_data / "halpha").glob("alphadra_*.fits")),
        *sorted((real_data / "mrs").glob("med-586*_sp12-076.fits.gz")),
        *sorted((real_data / "mrs").glob("med-58025*")),
    ]
    assert len(files) >= 10
    for path in files:
        found = _real(path)
        assert (path.name, found["profile_class"]) == (path.name, "absorption")
