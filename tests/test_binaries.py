"""Evidence of companions: velocities against scipy and their false alarms, double lines, Gaia, lists, and periods against known orbits."""

from __future__ import annotations

import os
import shutil
import signal

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from scipy.optimize import brentq

from becat.etl.catalogue.connection import Run
from becat.etl.periods import fill
from becat.etl.periods.fill import search_periods
from becat.etl.periods.search import best_period, eccentric_orbit
from becat.etl.velocity_offsets import fill_velocity_offsets
from tests.tools.view_rows import add_astrometry, add_match, add_spectrum, add_star, catalogue, insert


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    with catalogue(tmp_path_factory.mktemp("binaries") / "c.duckdb") as connection:
        yield connection


@pytest.fixture(autouse=True)
def empty(con):
    """Every test has the catalogue to itself."""
    yield
    for table in ("star", "spectrum", "line_measurement", "be_score", "profile_class", "photometry", "reddening", "spectral_type",
                  "radial_velocity", "astrometry", "kinematics", "gaia_parameters", "literature_match", "star_period", "velocity_offset"):  # fmt: skip
        con.execute(f"delete from {table}")
    con.execute("update literature_catalogue set n_rows = null")


def add_velocities(con, star_id, rv_km_s, error_km_s: float = 2.0, mjd=None, **columns: list):
    """A candidate Be star with coadds: velocities of the blue arm, lists of other columns of radial_velocity."""
    mjd = 58000.2 + np.arange(len(rv_km_s)) if mjd is None else mjd
    for n, (velocity, at) in enumerate(zip(rv_km_s, mjd, strict=True)):
        spectrum_id = star_id if n == 0 else 1000 * star_id + n
        add_star(con, star_id, mjd=at) if n == 0 else add_spectrum(con, spectrum_id, star_id, mjd=at)
        own = {name: values[n] for name, values in columns.items()}
        insert(con, "radial_velocity", spectrum_id=spectrum_id, rv_blue_km_s=velocity, e_rv_blue_km_s=error_km_s, **own)


def evidence(con, star_id, columns="evidence, velocity_result"):
    return con.execute(f"select {columns} from binary_evidence where star_id = ?", [star_id]).fetchone()


def test_velocities_against_scipy(con):
    velocities = np.array([10.0, 14.0, 6.0, 21.0, 9.0])
    add_velocities(con, 1, velocities, 3.0)
    (of_noise,) = con.execute("select any_value(e_rv_km_s) from epoch").fetchone()
    error = np.hypot(of_noise, 2.0)  # with rv_floor_error_km_s
    chi2 = np.sum((velocities - velocities.mean()) ** 2) / error**2
    found = con.execute(
        "select rv_chi2, rv_change_sigma, rv_change_probability, rv_difference_km_s, rv_difference_sigma, rv_mean_km_s from velocity_change"
    ).fetchone()
    assert found[0] == pytest.approx(chi2)
    assert found[1] == pytest.approx(stats.norm.isf(stats.chi2.sf(chi2, 4)), abs=0.05)
    assert found[2] == pytest.approx(stats.chi2.sf(chi2, 4), rel=0.3)
    assert found[3:] == pytest.approx((15.0, 15.0 / (error * np.sqrt(2)), velocities.mean()))


def test_the_largest_difference_is_between_those_surely_apart(con):
    """A poor velocity far off is no largest difference."""
    add_velocities(con, 1, [0.0, 40.0, 90.0])
    con.execute("update radial_velocity set e_rv_blue_km_s = 60 where spectrum_id = 1002")
    assert con.execute("select rv_difference_km_s from velocity_change").fetchone() == (40.0,)


@pytest.mark.parametrize("n_epochs", [2, 6, 40])
def test_hardly_any_constant_star_is_a_binary(con, n_epochs):
    """At the default threshold at most one in 1,000; and the probabilities are what they say."""
    n_stars = 12_000 // n_epochs
    rng = np.random.default_rng(n_epochs)
    errors = rng.uniform(1, 20, (n_stars, n_epochs))
    star_id = np.repeat(np.arange(1, n_stars + 1), n_epochs)
    rows = {
        "spectrum_id": np.arange(star_id.size),
        "star_id": star_id,
        "mjd": 58000.2 + np.tile(np.arange(n_epochs), n_stars),
        "rv_blue_km_s": (20 + np.hypot(errors, 2.0) * rng.normal(size=errors.shape)).ravel(),
        "e_rv_blue_km_s": errors.ravel(),
    }
    con.register("rows", pa.table(rows))
    con.execute("""
        insert into star (star_id, ra_deg, dec_deg, is_simulated) select distinct star_id, 1, 1, true from rows;
        insert into spectrum by name select spectrum_id, star_id, mjd, 'LAMOST MRS' as survey, true as is_simulated, 'f' as file,
            true as coadd, true as has_blue, 50 as snr_r, 50 as snr_b from rows;
        insert into radial_velocity by name select spectrum_id, rv_blue_km_s, e_rv_blue_km_s from rows""")
    con.unregister("rows")
    found = con.execute("select rv_change_probability, evidence, velocity_result from binary_evidence").fetchnumpy()
    p = np.asarray(found["rv_change_probability"])
    for limit in (0.1, 0.01):
        assert stats.binomtest(int((p < limit).sum()), n_stars, limit).pvalue > 1e-4
    assert (found["velocity_result"] != "unknown").all()
    assert np.sum(found["velocity_result"] == "changes") <= n_stars / 1000


def test_wings_of_a_disc_that_changes_say_nothing_about_the_star(con):
    """EW, highest peak and V/R tell of the disc; the core an orbit moves as well. Lines of the star itself are believed."""
    moving = [10.0, 60.0, -30.0]
    wings = {"rv_halpha_wing_km_s": moving, "e_rv_halpha_wing_km_s": [1.0] * 3, "halpha_wing_of": ["emission"] * 3}
    for star_id in (1, 2, 3, 4):
        add_velocities(con, star_id, moving, 2.0, **(wings if star_id < 4 else {}))
    con.execute(
        "update line_measurement set ew_halpha_dry_a = -9, e_ew_halpha_dry_a = 0.1 where spectrum_id in (1001, 4001)"
    )
    con.execute("update profile_class set core_flux = 1.5, e_core_flux = 0.01")
    con.execute("update profile_class set core_flux = 1.2 where spectrum_id in (2001)")
    con.execute("update profile_class set violet_red_ratio = 1.1, e_violet_red_ratio = 0.01")
    con.execute("update profile_class set violet_red_ratio = 1.2 where spectrum_id = 3001")
    assert [evidence(con, star_id) for star_id in (1, 2, 3, 4)] == [
        (None, "unknown"), ("velocity changes", "changes"), (None, "unknown"), ("velocity changes", "changes"),
    ]  # fmt: skip
    assert evidence(con, 1, "decided_by, velocity_changes") == (
        "H-alpha changes, and its wings give the velocity: velocities from other lines", None,
    )  # fmt: skip


def test_each_piece_of_evidence_by_itself(con):
    quiet = [10.0, 11.0, 9.0]
    for star_id in range(1, 7):
        add_velocities(con, star_id, quiet)
    add_velocities(con, 7, [10.0, 60.0, -30.0])
    add_velocities(con, 8, [10.0])
    add_velocities(con, 9, [0.0, 9.0, -9.0, 0.0], 0.1)  # sure, and too small: pulsation
    add_astrometry(con, 2, 8.0, ruwe=1.41)
    add_astrometry(con, 1, 8.0, ruwe=1.4)
    insert(con, "gaia_parameters", star_id=3, non_single_star=2)
    insert(con, "gaia_parameters", star_id=1, non_single_star=0)
    add_match(con, 4, "sb9", "spectroscopic binary")
    add_match(con, 5, "sb9", "spectroscopic binary", is_best=False)
    insert(con, "star_period", star_id=7, quantity="rv_km_s", period_d=5.0, false_alarm_probability=1e-5)
    insert(con, "star_period", star_id=6, quantity="rv_km_s", period_d=5.0, false_alarm_probability=1e-5)
    assert [evidence(con, star_id) for star_id in range(1, 10)] == [
        (None, "constant"),
        ("RUWE", "constant"),
        ("non-single in Gaia", "constant"),
        ("published binary", "constant"),
        (None, "constant"),
        (None, "constant"),  # a period in what does not change
        ("velocity changes, period", "changes"),
        (None, "unknown"),
        (None, "constant"),
    ]
    assert {row[0] for row in con.execute("select star_id from be_binary_candidate").fetchall()} == {2, 3, 4, 7}
    assert con.execute("select star_id from be_binary_candidate limit 1").fetchone() == (7,)


def test_what_was_not_looked_at_is_not_no(con):
    add_velocities(con, 1, [10.0])
    columns = "velocity_changes, has_period, has_high_ruwe, is_non_single_in_gaia, is_in_sb_list, n_sb_lists"
    assert evidence(con, 1, columns) == (None,) * 6
    con.execute("update literature_catalogue set n_rows = 9 where object_class = 'mixed'")
    assert evidence(con, 1, "n_sb_lists") == (None,)
    con.execute("update literature_catalogue set n_rows = 9 where catalogue_id = 'sb9'")
    assert evidence(con, 1, "n_sb_lists, is_in_sb_list") == (0, False)


def test_double_lines_and_their_swap(con):
    strong, weak, error = [-60.0, 5.0, 60.0], [60.0, None, -60.0], [5.0] * 3
    lines: dict = {"e_rv_primary_km_s": error, "e_rv_secondary_km_s": error}
    add_velocities(con, 1, [0.0] * 3, rv_primary_km_s=strong, rv_secondary_km_s=weak, **lines)
    add_velocities(con, 2, [0.0] * 3, rv_primary_km_s=[-60.0] * 3, rv_secondary_km_s=[50.0, 60.0, 70.0], **lines)
    add_velocities(con, 3, [0.0] * 3, rv_primary_km_s=strong, rv_secondary_km_s=[60.0, None, None], **lines)
    assert [evidence(con, star_id, "evidence, n_double_lined, lines_swap") for star_id in (1, 2, 3)] == [
        ("double lines that swap", 2, True),
        ("double lines", 3, False),
        (None, 1, False),  # on one night: moonlight
    ]


def test_a_core_that_changes_alone(con):
    """As lines that part and blend; not where the whole line changes, where there is a disc, or in one exposure alone."""
    for star_id in range(1, 7):
        add_velocities(con, star_id, [10.0, 11.0, 9.0, 10.0])
    con.execute("update profile_class set profile_class = 'absorption', core_flux = 0.5, e_core_flux = 0.02")
    con.execute("update be_score set be_probability = 0.1")
    con.execute("update line_measurement set ew_halpha_a = 5, e_ew_halpha_a = 0.1")
    con.execute("update profile_class set core_flux = 0.7 where spectrum_id % 1000 in (2, 3) and spectrum_id > 1000")
    con.execute("update line_measurement set ew_halpha_a = 4 where spectrum_id in (2002, 2003)")
    con.execute("update profile_class set profile_class = 'absorption with shell' where spectrum_id = 3002")
    con.execute("update profile_class set core_flux = 0.5 where spectrum_id between 4000 and 4999")
    con.execute("update profile_class set core_flux = 0.5 where spectrum_id = 5002")
    con.execute("update spectrum set coadd = false")
    con.execute("update profile_class set core_flux = null where spectrum_id = 6 or spectrum_id > 6000")
    columns = "evidence, core_changes_alone, core_flux_change_all_exposures_sigma > 5"
    assert [evidence(con, star_id, columns) for star_id in range(1, 7)] == [
        ("core changes alone", True, True),
        (None, False, True),
        (None, None, True),
        (None, False, False),
        (None, False, True),
        (None, None, None),
    ]


def test_surveys_are_not_compared_with_each_other(con):
    """Their zero points and methods differ."""
    add_velocities(con, 1, [10.0, 11.0, 60.0, 61.0])
    assert evidence(con, 1) == ("velocity changes", "changes")
    con.execute("update spectrum set survey = 'LAMOST LRS' where spectrum_id in (1002, 1003)")
    assert evidence(con, 1) == (None, "constant")


def test_exposures_and_their_coadd_do_not_count_twice(con):
    add_velocities(con, 1, [10.0, 12.0, 11.0], mjd=58000 + np.array([0.60, 0.61, 0.62]))
    con.execute("update spectrum set coadd = false where spectrum_id <> 1")
    assert evidence(con, 1, "n_velocities") == (2,)


def test_zero_points_are_kept_and_follow_what_is_measured(con):
    """They are a table, for all stars must be read for them; epoch_velocity takes them off."""
    for star_id in range(1, 13):
        add_velocities(con, star_id, [10.0 * star_id, 10.0 * star_id + 3.0], 0.5)
    con.execute("update spectrum set plan_id = 'p', spectrograph = 1")
    with Run(con, "measure") as run:
        fill_velocity_offsets(con, run)
    kept = con.execute("select night, arm, n_stars, offset_km_s from velocity_offset order by night").fetchall()
    assert kept == [(58000, "blue", 12, pytest.approx(-1.5)), (58001, "blue", 12, pytest.approx(1.5))]
    assert evidence(con, 1, "rv_difference_km_s")[0] == pytest.approx(0.0, abs=1e-5)
    with Run(con, "measure") as run:
        fill_velocity_offsets(con, run)
        assert not run.has_written
    con.execute("delete from radial_velocity where spectrum_id > 4000")
    with Run(con, "measure") as run:
        fill_velocity_offsets(con, run)
    assert con.execute("from velocity_offset").fetchall() == []


def sine(mjd, period_d, semi_amplitude, mjd_phase_zero, mean=10.0):
    return mean + semi_amplitude * np.cos(2 * np.pi * (mjd - mjd_phase_zero) / period_d)


def test_periods_have_errors_that_are_errors():
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(40):
        mjd, error = np.sort(58000 + rng.uniform(0, 500, 18)), rng.uniform(1, 4, 18)
        period_d = 10 ** rng.uniform(0.8, 2.3)
        found = best_period(mjd, sine(mjd, period_d, 25, 58200) + error * rng.normal(size=18), error, 2.0)
        phase = (found.mjd_phase_zero - 58200) / period_d
        pulls.append((
            (found.period_d - period_d) / found.e_period_d,
            (found.semi_amplitude - 25) / found.e_semi_amplitude,
            (phase - round(phase)) * period_d / found.e_mjd_phase_zero,
        ))  # fmt: skip
        assert found.false_alarm_probability < 1e-3
    low, high = np.percentile(pulls, (15.87, 84.13), axis=0)
    assert ((high - low) / 2 > 0.6).all() and ((high - low) / 2 < 1.25).all()


def orbit_km_s(mjd, period_d, eccentricity, omega, periastron_mjd):
    """Velocity over K1, Kepler's equation solved by brentq."""
    mean = np.mod(2 * np.pi * (mjd - periastron_mjd) / period_d, 2 * np.pi)
    anomaly = np.array([brentq(lambda x, m=m: x - eccentricity * np.sin(x) - m, 0, 2 * np.pi) for m in mean])
    true = 2 * np.arctan2(
        np.sqrt(1 + eccentricity) * np.sin(anomaly / 2), np.sqrt(1 - eccentricity) * np.cos(anomaly / 2)
    )
    return np.cos(true + omega) + eccentricity * np.cos(omega)


def test_an_eccentric_orbit_is_found_where_there_is_one():
    rng = np.random.default_rng(6)
    mjd, error = np.sort(60000 + rng.uniform(0, 110, 24)), np.full(24, 2.0)
    truth = orbit_km_s(mjd, 51.42, 0.43, 0.38, 60030.0)
    velocity = -13 + 47 * truth + error * rng.normal(size=24)
    found = eccentric_orbit(mjd, velocity, error, best_period(mjd, velocity, error, 2.0))
    assert found.period_d == pytest.approx(51.42, abs=max(0.51, 3 * found.e_period_d)) and found.e_period_d < 1
    assert found.eccentricity == pytest.approx(0.43, abs=4 * found.e_eccentricity) and found.e_eccentricity < 0.1
    assert found.semi_amplitude == pytest.approx(47, abs=4 * found.e_semi_amplitude)
    assert found.mean == pytest.approx(-13, abs=3) and found.reduced_chi2 < 2
    dense = np.linspace(60030, 60081.42, 2000)
    highest = dense[np.argmax(orbit_km_s(dense, 51.42, 0.43, 0.38, 60030.0))]
    phase = (found.mjd_phase_zero - highest) / 51.42
    assert abs(phase - round(phase)) < 0.02
    circular = -13 + sine(mjd, 17.0, 40.0, 60030.0, 0.0) + error * rng.normal(size=24)
    assert eccentric_orbit(mjd, circular, error, best_period(mjd, circular, error, 2.0)).eccentricity is None


def test_noise_has_the_false_alarms_that_are_told():
    rng = np.random.default_rng(5)
    told = []
    for _ in range(90):
        mjd = np.sort(58000 + rng.uniform(0, 300, 15))
        told.append(best_period(mjd, rng.normal(size=15), np.ones(15), 2.0).false_alarm_probability)
    assert stats.binomtest(int(np.sum(np.array(told) < 0.1)), 90, 0.1, "greater").pvalue > 1e-3
    assert best_period([1.0, 2.0, 3.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0], 2.0) is None
    assert best_period(np.arange(9) / 10, np.arange(9.0), np.ones(9), 2.0) is None  # a night
    assert best_period([58000.0, 58010.0] * 6, np.arange(12.0), np.ones(12), 2.0) is None  # two times


def test_the_stage_searches_what_is_new_and_takes_out_what_is_gone(con):
    mjd = 58000.2 + np.array([0, 3, 7, 12, 18, 25, 33, 42, 52, 63.0])
    add_velocities(con, 1, sine(mjd, 11.0, 40.0, 58020.0), mjd=mjd)
    add_velocities(con, 2, [10.0] * 5)
    assert search_periods(con) == {"searched": 1, "significant": 1}
    rows = con.execute("select quantity, period_d, e_period_d, n_nights from star_period order by quantity").fetchall()
    assert [row[0] for row in rows] == [
        "ew_halpha_a",
        "rv_km_s",
    ]  # widths that are all the same have no period, and a row
    assert rows[0][1:] == (None, None, 10)
    assert rows[1][1] == pytest.approx(11.0, abs=3 * rows[1][2]) and rows[1][2] < 0.2
    assert evidence(con, 1) == ("velocity changes, period", "changes")
    assert search_periods(con)["searched"] == 0
    con.execute("update line_measurement set ew_halpha_a = 'nan', e_ew_halpha_a = 'inf' where spectrum_id = 1002")
    assert search_periods(con)["searched"] == 1  # without that night
    assert con.execute("select n_nights from star_period order by quantity").fetchall() == [(9,), (10,)]
    con.execute("update radial_velocity set rv_blue_km_s = rv_blue_km_s + 5 where spectrum_id = 1003")
    assert search_periods(con)["searched"] == 1
    con.execute("update selection_parameter set value = 3 where name = 'period_shortest_d'")
    assert search_periods(con)["searched"] == 1
    con.execute("update selection_parameter set value = 11 where name = 'period_nights_min'")
    assert search_periods(con) == {"searched": 0, "significant": 0}
    assert con.execute("select count(*) from star_period").fetchone() == (0,)
    con.execute("update selection_parameter set value = default_value")


def test_a_search_that_was_killed_goes_on(tmp_path, monkeypatch):
    """Within the write of the third star: two are kept, and all ends as without the kill."""
    monkeypatch.setattr(fill, "STARS_PER_BATCH", 1)
    path, uninterrupted = tmp_path / "c.duckdb", tmp_path / "whole.duckdb"
    mjd = 58000.2 + np.array([0, 3, 7, 12, 18, 25, 33, 42, 52, 63.0])
    with catalogue(path) as con:
        for star_id in range(1, 5):
            add_velocities(con, star_id, sine(mjd, 9.0 + star_id, 40.0, 58020.0), mjd=mjd)
    shutil.copy(path, uninterrupted)
    pid = os.fork()
    if not pid:
        write, written = fill.insert_columns, []

        def killed(*words):
            write(*words)
            written.append(words)
            if len(written) == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        fill.insert_columns = killed
        with duckdb.connect(str(path)) as con:
            search_periods(con)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    found = []
    for each, n_left in ((path, 2), (uninterrupted, 4)):
        with duckdb.connect(str(each)) as con:
            assert search_periods(con)["searched"] == n_left
            found.append(con.execute("select * exclude (run_id) from star_period order by all").fetchall())
    assert str(found[0]) == str(found[1]) and len(found[0]) == 8
