"""Stars that change against truth from elsewhere: orbits against Newton's law, discs and files against what is measured in them."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.integrate import quad, solve_ivp

from becat.cli import becat
from becat.etl.readers import read_file
from becat.etl.reduce import reduce_batch
from becat.schema.grid import ARMS, RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.simulate.changing_stars import draw_changing_stars, scenario_names
from becat.simulate.disc_life import disc_strength
from becat.simulate.draw import distributions
from becat.simulate.epochs import FIRST_EPOCH_OBSID, draw_nights, observe_night, write_epoch_survey
from becat.simulate.moving import expose_moving, move
from becat.simulate.orbit import draw_orbits, eccentric_anomaly, orbital_velocity_km_s, semi_amplitude_km_s
from becat.simulate.spectra import GRIDS, render_stars
from becat.simulate.survey import FIRST_OBSID
from becat.udfs import measure_batch

AU_KM, DAY_S = 149597870.7, 86400.0
SUN_KM3_S2 = 1.32712440018e11  # DE405


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Ten stars, one a scenario, on five nights."""
    folder = tmp_path_factory.mktemp("epochs é")
    return folder, write_epoch_survey(folder, n_stars=10, n_nights=5, seed=4)


@pytest.fixture(scope="module")
def measured(survey):
    """The truth of every coadd beside what `becat measure` makes of the file."""
    folder, truth = survey
    coadds = truth[truth.lmjm == 0].reset_index(drop=True)
    spectra = [read_file(folder / "spectra" / file)[0][0] for file in coadds.file]
    parts = {arm: reduce_batch([s.arms[arm] for s in spectra], grid) for arm, grid in ARMS.items()}
    lines = measure_batch(
        parts["red"].flux, parts["red"].ivar, parts["blue"].flux, parts["blue"].ivar, coadds.snr_r.to_numpy(),
        resolving_power=np.full(len(coadds), 7500.0), continuum_error_red=parts["red"].continuum_error,
    )  # fmt: skip
    return coadds.assign(**{name: np.ma.filled(values, -1) for name, values in lines.items()}), parts["red"].flux


@pytest.mark.parametrize("e", [0.0, 0.1, 0.5, 0.9, 0.97])
def test_keplers_equation_keeps_the_law_of_areas(e):
    """The area swept since periastron, integrated over the true anomaly, is the mean anomaly."""
    true = np.array([0.01, 0.6, 1.5, 2.4, 3.0])
    swept = [(1 - e**2) ** 1.5 * quad(lambda nu: (1 + e * np.cos(nu)) ** -2, 0, nu, epsabs=1e-13)[0] for nu in true]
    anomaly = eccentric_anomaly(np.array(swept), e)
    np.testing.assert_allclose(
        2 * np.arctan2(np.sqrt(1 + e) * np.sin(anomaly / 2), np.sqrt(1 - e) * np.cos(anomaly / 2)), true, atol=1e-9
    )


def test_keplers_equation_is_solved_everywhere():
    mean, e = np.meshgrid(np.linspace(-20, 20, 4001), np.append(np.linspace(0, 0.95, 20), [0.99, 0.9999]))
    found = eccentric_anomaly(mean, e)
    np.testing.assert_allclose(np.mod(found - e * np.sin(found) - mean + 1, 2 * np.pi), 1, atol=1e-11)
    with pytest.raises(ValueError, match="eccentricity"):
        eccentric_anomaly(np.array([1.0]), 1.0)


@pytest.mark.parametrize(("e", "omega_deg"), [(0.0, 0.0), (0.4, 70.0), (0.75, 200.0)])
def test_velocities_are_those_of_newtons_law(e, omega_deg):
    """Two masses pulled by each other, integrated step by step, from periastron."""
    masses, period_d, inclination_deg = np.array([9.0, 3.6]), 20.0, 60.0
    gm = SUN_KM3_S2 * masses
    axis = (gm.sum() * (period_d * DAY_S / (2 * np.pi)) ** 2) ** (1 / 3)
    omega = np.radians(omega_deg)
    # The primary's place is the opposite of the relative orbit's; z points away from us.
    towards, ahead = np.array([np.cos(omega), np.sin(omega)]), np.array([-np.sin(omega), np.cos(omega)])
    place = axis * (1 - e) * towards
    speed = np.sqrt(gm.sum() / axis * (1 + e) / (1 - e)) * ahead
    times = np.linspace(0, 2.3 * period_d, 60)
    solved = solve_ivp(
        lambda _, y: [*y[2:], *(-gm.sum() * y[:2] / np.hypot(*y[:2]) ** 3)],
        (0, times[-1] * DAY_S), [*place, *speed], t_eval=times * DAY_S, rtol=1e-10, atol=1e-6,
    )  # fmt: skip
    expected = masses[1] / masses.sum() * solved.y[3] * np.sin(np.radians(inclination_deg))
    orbit = {
        "period_d": period_d, "eccentricity": e, "omega_deg": omega_deg, "periastron_mjd": 58000.0,
        "k1_km_s": semi_amplitude_km_s(masses[0], masses[1] / masses[0], period_d, e, inclination_deg),
    }  # fmt: skip
    np.testing.assert_allclose(orbital_velocity_km_s(58000.0 + times, orbit), expected, atol=0.01)


def test_the_earthmoves_the_sun_by_nine_centimetres_a_second():
    amplitude = semi_amplitude_km_s(1.0, 3.0035e-6, 365.256, 0.0167, 90.0)
    assert amplitude * 1e5 == pytest.approx(8.95, abs=0.01)


def test_drawn_orbits_are_possible():
    orbit = draw_orbits(np.random.default_rng(1), np.full(3000, 20000.0), np.full(3000, 0.5))
    limit = 1 - (np.maximum(orbit["period_d"], 2.0) / 2.0) ** (-2 / 3)
    assert (orbit["eccentricity"] <= limit + 1e-12).all() and orbit["eccentricity"].max() < 0.7
    assert np.median(orbit["k1_km_s"]) == pytest.approx(40, rel=0.2)
    np.testing.assert_allclose(orbit["k2_km_s"], 2 * orbit["k1_km_s"])


def test_a_disc_is_nothing_then_grows_then_fades():
    life = {"begins_mjd": 58100.0, "ends_mjd": 58400.0, "build_up_d": 100.0, "decay_d": 150.0}
    life = {name: np.array([value]) for name, value in life.items()}
    strength = [disc_strength(mjd, life)[0] for mjd in (58000, 58100, 58200, 58400, 58550)]
    assert strength[:2] == [0, 0]
    assert strength[2] == pytest.approx(1 - np.exp(-1)) and strength[3] == pytest.approx(1 - np.exp(-3))
    assert strength[4] / strength[3] == pytest.approx(np.exp(-1))
    steady = {name: np.array([np.nan]) for name in life}
    assert disc_strength(58000, steady) == [1]


def _red(stars, mjd, seed=0):
    """Noiseless red arms at one time, and their features."""
    rng = np.random.default_rng(seed)
    _, feature, bare = render_stars(stars.at(mjd), GRIDS["red"], rng, np.random.default_rng(1))
    return bare, feature


def test_linesmove_by_the_velocity():
    """The shift between two times, found by the phase of Fourier transforms, of a binary with a disc and of one without."""
    stars = draw_changing_stars(np.repeat(["sb1", "be_sb1"], 6), np.random.default_rng(3))
    grid = GRIDS["red"]
    for first, second in itertools.pairwise((58010.0, 58033.0, 58101.0)):
        a, b = (np.fft.rfft(_red(stars, mjd)[0] - 1, axis=1) for mjd in (first, second))
        rise = slice(5, 60)
        cross = (b * a.conj())[:, rise]
        expected = stars.velocities_km_s(second)[0] - stars.velocities_km_s(first)[0]
        turned = cross * np.exp(1j * grid.frequency[rise] * expected[:, None])
        left = -np.angle(turned) / grid.frequency[rise]
        assert np.abs(left.mean(axis=1)).max() < 0.3


def test_the_two_cores_of_a_double_lined_binary_swap_about_their_mass_ratio():
    stars = draw_changing_stars(np.repeat("sb2", 40), np.random.default_rng(6))
    times = 58000.0 + np.arange(0, 40, 0.37)
    primary, secondary = np.array([stars.velocities_km_s(mjd) for mjd in times]).transpose(1, 0, 2)
    orbit, systemic = stars.orbit, stars.systemic_km_s
    ratio = orbit["mass_ratio"]
    assert ((ratio > 0.5) & (ratio <= 1)).all()
    np.testing.assert_allclose(secondary - systemic, -(primary - systemic) / ratio, atol=1e-9)
    row = int(np.argmax(orbit["k1_km_s"] * (orbit["k1_km_s"] < 300)))
    apart = np.abs(primary[:, row] - secondary[:, row])
    bare, _ = _red(stars, times[int(np.argmax(apart))])
    velocity = (GRIDS["red"].wavelength_a / LINES["halpha"].wavelength_a - 1) * SPEED_OF_LIGHT_KM_S
    near = np.abs(velocity) < 500
    for place in (primary, secondary):
        core = np.abs(velocity - place[int(np.argmax(apart)), row]) < 25
        middle = np.abs(velocity - (primary + secondary)[int(np.argmax(apart)), row] / 2) < 10
        assert bare[row, core & near].min() < bare[row, middle].mean() - 0.01


def test_violet_and_red_swap_as_the_wave_goes_round():
    """The heights of the two peaks, and where the light is: the far side of the wave is the brighter one."""
    stars = draw_changing_stars(np.repeat("vr_cycle", 5), np.random.default_rng(2))
    velocity = (GRIDS["red"].wavelength_a / LINES["halpha"].wavelength_a - 1) * SPEED_OF_LIGHT_KM_S
    for row in range(5):
        cycle, start = stars.life["cycle_d"][row], stars.life["cycle_mjd"][row]
        for turn, sign in ((0.25, -1), (0.75, 1)):  # asymmetry, positive for a brighter red side, goes as a sine
            _, feature = _red(stars, start + turn * cycle)
            blue = (velocity > -700) & (velocity < stars.systemic_km_s[row])
            red = (velocity > stars.systemic_km_s[row]) & (velocity < 700)
            assert sign * (feature[row, blue].max() - feature[row, red].max()) > 0
            assert sign * (feature[row, blue].sum() - feature[row, red].sum()) > 0


def test_a_night_tells_the_same_velocities_but_for_its_zero_point():
    stars = draw_changing_stars(np.repeat("constant", 3), np.random.default_rng(5))
    moved, right = (
        observe_night(stars, np.array([58100.5]), np.full(3, 300.0), np.random.default_rng(9), 1, np.array([zero_km_s]))
        for zero_km_s in (30.0, 0.0)
    )
    ratio = moved.singles[0]["red"].wavelength_a / right.singles[0]["red"].wavelength_a
    np.testing.assert_allclose((ratio - 1) * SPEED_OF_LIGHT_KM_S, 30.0)
    np.testing.assert_array_equal(moved.singles[0]["red"].flux, right.singles[0]["red"].flux)
    np.testing.assert_array_equal(moved.coadd["red"].wavelength_a, right.coadd["red"].wavelength_a)


def test_spectra_that_aremoved_are_those_rendered_at_that_velocity():
    stars = draw_changing_stars(np.repeat(["sb1", "be_sb1"], 3), np.random.default_rng(7))
    still, then = stars.still(), stars.at(58123.4)
    moved = then.truth()["rv_km_s"] - stars.systemic_km_s
    for arm, grid in GRIDS.items():
        if arm != "lrs":
            at_rest, expected = (
                render_stars(seen, grid, np.random.default_rng(1), np.random.default_rng(1))[2]
                for seen in (still, then)
            )
            assert np.abs(move(at_rest, moved, grid) - expected)[:, 100:-100].max() < 0.003
            assert np.abs(at_rest - expected).max() > 0.01


def test_exposures_in_memory_have_the_asked_for_noise_and_a_row_each():
    stars = draw_changing_stars(np.repeat("constant", 2), np.random.default_rng(7))
    snr = np.array([[20.0, 40.0, 80.0], [30.0, 60.0, 120.0]])
    seen = expose_moving(stars, np.zeros((2, 3)), snr, np.random.default_rng(8))
    assert seen["red"].snr.reshape(2, 3) == pytest.approx(snr, rel=0.05)


def test_nights_are_bright_ones_and_not_too_many():
    nights = draw_nights(200, np.random.default_rng(1))
    assert len(np.unique(nights.astype(int))) == 200 and (np.diff(nights) > 0).all()
    # Full moons of 2017 and 2019 (6 September 2017, 21 January 2019).
    for full in (58002.3, 58504.2):
        assert not np.any(np.abs(nights - full - 14.8) < 5)
    with pytest.raises(ValueError, match="nights, not on 2000"):
        draw_nights(2000, np.random.default_rng(1))


def test_files_are_read_with_every_exposure_at_its_time(survey):
    folder, truth = survey
    assert set(truth.scenario) == set(scenario_names())
    for file, rows in list(truth.groupby("file"))[::9]:
        spectra, problems = read_file(folder / "spectra" / file, exposures="all")
        assert not problems and all(spectrum.meta["is_simulated"] for spectrum in spectra)
        found = {(s.meta["obsid"], 0 if s.meta["coadd"] else s.meta["lmjm"]): s for s in spectra}
        assert set(found) == set(zip(rows.obsid, rows.lmjm, strict=True))
        for row in rows.itertuples():
            spectrum = found[row.obsid, row.lmjm]
            assert spectrum.meta["mjd"] == pytest.approx(row.mjd, abs=1.01 / 1440)
            assert spectrum.meta["snr_r"] == pytest.approx(row.snr_r, abs=0.01)
    assert truth.obsid.between(FIRST_EPOCH_OBSID, 9_000_000_000).all() and FIRST_EPOCH_OBSID > FIRST_OBSID


def test_truth_of_stars_and_spectra_agree(survey):
    folder, truth = survey
    stars = pd.read_csv(folder / "truth_stars.csv").set_index("star")
    about = stars[["systemic_km_s", "period_d", "periastron_mjd", "k1_km_s"]]
    spectra = truth[truth.lmjm > 0].join(about, on="star")
    binary = spectra.period_d.notna()
    assert set(spectra.scenario[binary]) == {"sb1", "be_sb1", "sb2"}
    np.testing.assert_allclose(spectra.rv_km_s[~binary], spectra.systemic_km_s[~binary], atol=1e-5)
    assert (np.abs(spectra.rv_km_s - spectra.systemic_km_s)[binary] <= (2 * spectra.k1_km_s)[binary]).all()
    phase = ((spectra.mjd - spectra.periastron_mjd) / spectra.period_d) % 1
    np.testing.assert_allclose(spectra.orbital_phase[binary], phase[binary], atol=1e-5)
    same = spectra.groupby("star").ew_emission_a.agg(np.ptp)
    changes = stars.scenario.isin(["disc_appears", "disc_fades"])
    assert (same[changes] > 1).all() and (same[~changes].fillna(0) == 0).all()


def test_measured_widths_follow_the_discs(measured):
    """Of the emission that a disc gains or loses, the band of 30 Angstrom holds most, and none that is not there."""
    spectra, _ = measured
    for _, rows in spectra[spectra.scenario.isin(["disc_appears", "disc_fades"])].groupby("star"):
        gained = np.polyfit(rows.ew_emission_a, -rows.ew_halpha_dry_a, 1)[0]
        assert 0.7 < gained < 1.1
    for _, rows in spectra[spectra.scenario.isin(["constant", "constant_late", "steady_disc", "sb1"])].groupby("star"):
        spread = (rows.ew_halpha_dry_a - rows.ew_halpha_dry_a.mean()) / rows.e_ew_halpha_dry_a
        assert np.sum(spread**2) < 25  # chi-square of 4 degrees of freedom: 1 in 20,000


def test_measured_profiles_turn_from_violet_to_red_with_the_truth(measured):
    spectra, flux = measured
    rows = np.flatnonzero(spectra.scenario == "vr_cycle")
    velocity = (RED.wavelength_a / LINES["halpha"].wavelength_a - 1) * SPEED_OF_LIGHT_KM_S
    for row in rows:
        shifted = velocity - spectra.rv_km_s[row]
        half = spectra.peak_separation_km_s[row]
        blue, red = ((sign * shifted > 0) & (sign * shifted < half) for sign in (-1, 1))
        ratio = spectra.violet_red_ratio[row]
        if np.isfinite(ratio) and abs(np.log(ratio)) > 0.1:
            assert np.sign(np.nanmax(flux[row, blue]) - np.nanmax(flux[row, red])) == np.sign(np.log(ratio))


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    def digest(folder):
        write_epoch_survey(folder, n_stars=3, n_nights=2, seed=5)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    first = digest(tmp_path / "one")
    assert first == digest(tmp_path / "two") and len(first) == 10


def test_the_command_writes_a_file_a_star_and_night(tmp_path):
    result = CliRunner().invoke(
        becat, ["simulate", str(tmp_path / "s"), "--spectra", "7", "--nights", "3"], catch_exceptions=False
    )
    assert result.exit_code == 0 and "2 stars on 3 nights" in result.output
    assert len(list((tmp_path / "s" / "spectra").iterdir())) == 6
    few = CliRunner().invoke(becat, ["simulate", str(tmp_path / "t"), "--spectra", "2", "--nights", "3"])
    assert few.exit_code and "increase --spectra" in str(few.exception)


def test_what_the_classifier_learns_from_knows_no_scenario():
    kinds = set(distributions()["kinds"])
    assert not kinds & (set(scenario_names()) - {"sb2"})
    assert {table["kind"] for table in distributions("epoch_distributions.toml")["scenarios"].values()} <= kinds
