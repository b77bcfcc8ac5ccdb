"""Velocities of rectified spectra: against profiles whose velocity is known, and against Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest

from becat.schema.grid import BLUE, RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.simulate.velocity_templates import TEFF_K, blue_lines
from becat.udfs.velocity import velocity_batch
from becat.udfs.velocity.templates import _read_lines, blue_bank, helium_bank

HALPHA_A = LINES["halpha"].wavelength_a
NO_FLOOR = {"velocity_calibration_elements": 0.0}
METHODS = ("halpha_wing", "halpha_bisector", "hei_6680", "blue")


def red_arm(velocity_km_s, height, fwhm_km_s=300.0, helium=0.0, separation_km_s=0.0):
    """Rectified red arms, (n, 4001): H-alpha as one or two Gaussians, and He I 6678 as one."""
    factor = (1 + np.asarray(velocity_km_s, float) / SPEED_OF_LIGHT_KM_S)[:, None]
    sigma_a = HALPHA_A * fwhm_km_s / SPEED_OF_LIGHT_KM_S / 2.3548
    apart_a = HALPHA_A * separation_km_s / SPEED_OF_LIGHT_KM_S / 2
    line = sum(
        0.5 * np.exp(-0.5 * ((RED.wavelength_a - (HALPHA_A + side) * factor) / sigma_a) ** 2)
        for side in (-apart_a, apart_a)
    )
    other = np.exp(-0.5 * ((RED.wavelength_a - LINES["hei_6680"].wavelength_a * factor) / 1.2) ** 2)
    return 1 + height * line - helium * other


def blue_arm(velocity_km_s, template, share=1.0):
    """Rectified blue arms of a template of the bank, (n, 3201)."""
    bank = blue_bank(7500.0)
    depth = bank.table[bank.names.index(template)]
    rest = BLUE.wavelength_a / (1 + np.asarray(velocity_km_s, float) / SPEED_OF_LIGHT_KM_S)[:, None]
    return 1 - share * np.interp(rest, bank.fine_a, depth)


def observed(flux, snr, seed=1):
    rng = np.random.default_rng(seed)
    return (flux + rng.normal(size=flux.shape) / snr).astype("f4"), np.full(flux.shape, snr**2, "f4")


def test_the_velocity_that_was_put_in_comes_out():
    velocity = np.array([-280.0, -60.0, -3.3, 0.0, 47.1, 250.0])
    red, blue = red_arm(velocity, -0.5, helium=0.2), blue_arm(velocity, "14000 K, v sin i 100 km/s")
    found = velocity_batch(*observed(red, 2000.0), *observed(blue, 2000.0))
    for method in METHODS:
        np.testing.assert_allclose(found[f"rv_{method}_km_s"], velocity, atol=0.5, err_msg=method)
    assert set(found["halpha_wing_of"]) == {"absorption"}
    assert set(found["blue_template"]) == {"14000 K, v sin i 100 km/s"}
    assert list(found["velocity_note"]) == [None] * len(velocity)
    assert np.isnan(found["rv_primary_km_s"]).all()


@pytest.mark.parametrize(("height", "separation_km_s"), [(2.0, 0.0), (1.0, 350.0), (0.3, 250.0)])
def test_emission_with_one_peak_or_two(height, separation_km_s):
    velocity = np.array([-120.0, 0.0, 33.0])
    found = velocity_batch(*observed(red_arm(velocity, height, 220.0, 0, separation_km_s), 1000.0), None, None)
    assert set(found["halpha_wing_of"]) == {"emission"}
    for method in ("halpha_wing", "halpha_bisector"):
        np.testing.assert_allclose(found[f"rv_{method}_km_s"], velocity, atol=1.0)


@pytest.mark.parametrize("snr", [15.0, 60.0])
def test_errors_are_those_of_monte_carlo(snr):
    n = 400
    red, blue = red_arm(np.zeros(n), -0.5, helium=0.3), blue_arm(np.zeros(n), "9000 K, v sin i 100 km/s")
    found = velocity_batch(*observed(red, snr), *observed(blue, snr, 2), parameters=NO_FLOOR)
    for method in METHODS:
        velocity, error = found[f"rv_{method}_km_s"], found[f"e_rv_{method}_km_s"]
        seen = np.isfinite(velocity)
        assert seen.mean() > 0.9, method
        low, high = np.percentile(velocity[seen] / error[seen], (15.87, 84.13))
        assert 0.5 * (high - low) == pytest.approx(1.0, abs=0.2), method


def test_errors_hold_where_noise_chooses_among_templates_and_maxima():
    """Broad, weak lines between two templates, only just measured: the scatter is larger than any one template's error says."""
    n, fast, slow = 500, "14000 K, v sin i 240 km/s", "14000 K, v sin i 160 km/s"
    blue = 0.5 * (blue_arm(np.zeros(n), fast) + blue_arm(np.zeros(n), slow))
    found = velocity_batch(np.ones((n, RED.n_pixels), "f4"), np.zeros((n, RED.n_pixels), "f4"), *observed(blue, 33.0))
    velocity, error = found["rv_blue_km_s"], found["e_rv_blue_km_s"]
    seen = np.isfinite(velocity)
    assert seen.mean() > 0.3 and len(set(found["blue_template"][seen])) > 10
    low, high = np.percentile(velocity[seen] / error[seen], (15.87, 84.13))
    assert 0.5 * (high - low) == pytest.approx(1.0, abs=0.15)
    assert np.mean(np.abs(velocity[seen]) > 4 * error[seen]) < 0.01


@pytest.mark.parametrize(("line_a", "depth"), [(5174.0, 0.3), (5025.0, 0.2)])
def test_errors_hold_where_no_template_fits_and_noise_chooses_among_those_that_fit_as_badly(line_a, depth):
    """A line that no template has: which template and velocity take most of it differs from one exposure to another."""
    n = 100
    line = depth * np.exp(-0.5 * ((BLUE.wavelength_a - line_a) / 1.5) ** 2)
    blue = blue_arm(np.zeros(n), "9000 K, v sin i 160 km/s") - line
    found = velocity_batch(np.ones((n, RED.n_pixels), "f4"), np.zeros((n, RED.n_pixels), "f4"), *observed(blue, 40.0))
    velocity, error = found["rv_blue_km_s"], found["e_rv_blue_km_s"]
    assert np.isfinite(velocity).all() and len(set(found["blue_template"])) > 1
    assert (np.abs(velocity - np.median(velocity)) < 4 * error).all()


def test_a_cosmic_ray_that_was_left_does_not_move_the_blue_arm():
    template = "14000 K, v sin i 100 km/s"
    flux, ivar = (np.repeat(x, 2, axis=0) for x in observed(blue_arm(np.zeros(1), template), 100.0))
    flux[1, np.searchsorted(BLUE.wavelength_a, 5171.0) + np.arange(3)] += 3.0
    found = velocity_batch(np.ones((2, RED.n_pixels), "f4"), np.zeros((2, RED.n_pixels), "f4"), flux, ivar)
    clean, hit = found["rv_blue_km_s"]
    assert abs(hit - clean) < found["e_rv_blue_km_s"][0]


def test_where_a_line_does_not_allow_it_there_is_no_velocity_and_a_reason():
    n = 4
    red, blue = red_arm(np.zeros(n), -0.5, helium=0.2), blue_arm(np.zeros(n), "14000 K, v sin i 100 km/s")
    (flux, ivar), (flux_blue, ivar_blue) = observed(red, 100.0), observed(blue, 100.0)
    flat = np.random.default_rng(3).normal(1, 0.01, RED.n_pixels)
    flux[0], flux_blue[0] = flat, flat[: BLUE.n_pixels]  # no lines
    cut = RED.wavelength_a > HALPHA_A + 1.0  # the red wing lies beyond the data
    flux[1, cut], ivar[1, cut], ivar_blue[1] = np.nan, 0, 0
    flux[2], ivar[2] = 1 + (flux[2] - 1) * 0.01, ivar[2] / 100  # too weak for its noise
    found = velocity_batch(flux, ivar, flux_blue, ivar_blue)
    for method in METHODS:
        velocity, error = found[f"rv_{method}_km_s"], found[f"e_rv_{method}_km_s"]
        assert np.isnan(velocity[:2]).all() and np.isfinite(velocity[3]), method
        assert (np.isnan(velocity) == np.isnan(error)).all()
    assert np.isnan(found["rv_halpha_wing_km_s"][2]) and np.isfinite(found["rv_blue_km_s"][2])
    notes = found["velocity_note"]
    assert (
        notes[0].count("no line") == 3 and "blue arm: no data" in notes[1] and "wings" in notes[2] and notes[3] is None
    )


def test_wings_that_may_be_those_of_either_core_say_by_how_much_they_jump():
    """Emission parts an absorption into two cores equally deep: which is the deepest is noise. One core or one peak cannot jump."""
    found = velocity_batch(*observed(red_arm(np.zeros(20), -0.5, 300.0, 0, 440.0), 40.0), None, None)
    wing, jump = found["rv_halpha_wing_km_s"], found["wing_jump_km_s"]
    assert wing.min() < -150 and wing.max() > 150  # now this core, now that
    assert (np.abs(jump - np.abs(wing)) < 20).all() and (found["e_rv_halpha_wing_km_s"] >= jump).all()
    for single in (red_arm(np.zeros(20), -0.5, 500.0), red_arm(np.zeros(20), 1.0, 300.0, 0, 350.0)):
        assert np.isnan(velocity_batch(*observed(single, 40.0), None, None)["wing_jump_km_s"]).all()


@pytest.mark.parametrize("snr", [11.0, 40.0])
def test_wings_of_two_cores_too_far_apart_to_be_followed_as_one_line_say_by_how_much_they_jump(snr):
    """Cores at 450 km/s on either side, equally deep: which is the deepest is noise."""
    profile = sum(red_arm(np.full(40, velocity), -0.3, 100.0) for velocity in (-450.0, 450.0)) - 1
    found = velocity_batch(*observed(profile, snr), None, None)
    wing = found["rv_halpha_wing_km_s"]
    assert wing.min() < -430 and wing.max() > 430
    assert (np.abs(found["wing_jump_km_s"] - 450) < 20).all()


def test_wings_of_two_peaks_far_apart_say_by_how_much_they_jump():
    """Shoulders of an absorption at 340 km/s on either side, equally high: which is the highest is noise."""
    profile = sum(red_arm(np.full(20, velocity), 0.3, 60.0) for velocity in (-340.0, 340.0)) - 1
    found = velocity_batch(*observed(profile, 40.0), None, None)
    wing = found["rv_halpha_wing_km_s"]
    assert wing.min() < -300 and wing.max() > 300
    assert (np.abs(found["wing_jump_km_s"] - 340) < 20).all()
    single = profile + red_arm(np.full(20, -340.0), 0.3, 60.0) - 1  # the other is half as high
    assert np.isnan(velocity_batch(*observed(single, 40.0), None, None)["wing_jump_km_s"]).all()


def test_a_spike_is_no_emission_line():
    red = red_arm(np.array([0.0]), -0.5)
    red[0, np.searchsorted(RED.wavelength_a, HALPHA_A * 1.001)] += 0.8
    found = velocity_batch(*observed(red, 200.0), None, None)
    assert found["halpha_wing_of"][0] == "absorption" and abs(found["rv_halpha_wing_km_s"][0]) < 8


def test_two_stars_have_two_velocities_and_one_star_has_none():
    template = "7500 K, v sin i 0 km/s"
    one, other = np.array([-70.0, 60.0, 15.0]), np.array([90.0, -110.0, 15.0])
    blue = blue_arm(one, template, 0.65) + blue_arm(other, template, 0.35) - 1
    red = red_arm(one, -0.4)
    found = velocity_batch(*observed(red, 60.0), *observed(blue, 60.0))
    np.testing.assert_allclose(found["rv_primary_km_s"], [-70, 60, np.nan], atol=3)
    np.testing.assert_allclose(found["rv_secondary_km_s"], [90, -110, np.nan], atol=5)
    assert found["secondary_strength_ratio"][:2] == pytest.approx(0.35 / 0.65, abs=0.1)


def test_spectra_do_not_depend_on_their_batch():
    velocity = np.linspace(-200, 200, 300)
    red, blue = red_arm(velocity, 0.5), blue_arm(velocity, "18000 K, v sin i 160 km/s")
    arrays = [*observed(red, 40.0), *observed(blue, 40.0)]
    together, alone = velocity_batch(*arrays), velocity_batch(*(x[130:131] for x in arrays))
    for name, values in together.items():
        if values.dtype == object:
            assert alone[name][0] == values[130]
        else:
            np.testing.assert_allclose(alone[name][0], values[130], atol=1e-3)
    empty = velocity_batch(*(x[:0] for x in arrays))
    assert {len(values) for values in empty.values()} == {0}


def test_low_resolution_has_templates_of_its_own():
    assert blue_bank(1800.0).table.max() < blue_bank(7500.0).table.max()
    assert helium_bank(1800.0).table.max() < helium_bank(7500.0).table.max()


def test_the_file_of_lines_is_what_the_command_makes():
    wavelength_a, fwhm_km_s, width_a = blue_lines()
    lines = _read_lines()
    np.testing.assert_allclose(lines["wavelength_a"], wavelength_a, atol=6e-4)
    np.testing.assert_allclose(lines["fwhm_km_s"], fwhm_km_s)
    for i, teff in enumerate(TEFF_K):
        np.testing.assert_allclose(lines[f"ew_{teff:.0f}_k_a"], width_a[:, i], atol=6e-5)
