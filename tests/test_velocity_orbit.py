"""The velocities of real stars in the catalogue: the orbit of alpha Dra, a double-lined binary, and constant stars."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.timeseries import LombScargle
from scipy.optimize import least_squares

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.load.positions import give_positions, take_sidecars
from becat.etl.match.gather import gather_stars
from becat.etl.measure import measure_spectra
from becat.sample_spectra import real_spectra
from tests.tools.pipeline_tools import new_catalogue

# Pavlovski et al. 2022, A&A 658, A92.
PERIOD_D, ECCENTRICITY, K1_KM_S = 51.41891, 0.43, 48.5
RA_DEG, DEC_DEG = 211.09729, 64.37585


def kepler(parameters, mjd):
    """Radial velocities of an orbit: period, periastron, eccentricity, its argument, semi-amplitude and systemic velocity."""
    period, mjd0, e, omega, k, gamma = parameters
    mean = 2 * np.pi * (((mjd - mjd0) / period) % 1)
    anomaly = mean.copy()
    for _ in range(50):
        anomaly -= (anomaly - e * np.sin(anomaly) - mean) / (1 - e * np.cos(anomaly))
    true = 2 * np.arctan2(np.sqrt(1 + e) * np.sin(anomaly / 2), np.sqrt(1 - e) * np.cos(anomaly / 2))
    return gamma + k * (np.cos(true + omega) + e * np.cos(omega))


def fitted(mjd, rv, error, period_d):
    """Best orbit from several starts; far-off velocities count little."""
    starts = [
        (period_d, mjd.min() + phase * period_d, 0.3, 0.3, np.ptp(rv) / 2, rv.mean()) for phase in np.arange(0, 1, 0.1)
    ]
    bounds = ([0.7 * period_d, -np.inf, 0, -7, 5, -200], [1.4 * period_d, np.inf, 0.9, 7, 200, 200])
    fits = [
        least_squares(lambda p: (rv - kepler(p, mjd)) / error, start, bounds=bounds, loss="soft_l1") for start in starts
    ]
    return min(fits, key=lambda fit: fit.cost).x


@pytest.fixture(scope="module")
def alpha_dra(real_data, tmp_path_factory):
    """Rows of epoch_velocity of the 29 spectra, and of radial_velocity beside them."""
    folder = tmp_path_factory.mktemp("alpha_dra")
    files = sorted([*real_data.glob("halpha/alphadra*"), *real_data.glob("field/halpha/alphadra*")])
    lines = ["file,name,ra,dec", *(f"{path.name},alpha Dra,{RA_DEG},{DEC_DEG}" for path in files)]
    (folder / "positions.csv").write_text("\n".join(lines) + "\n")
    with open_catalogue(new_catalogue(folder / "c.duckdb")) as connection:
        load_spectra(connection, files, workers=1)
        take_sidecars(connection, [folder / "positions.csv"])
        give_positions(connection)
        gather_stars(connection)
        measure_spectra(connection)
        return connection.execute(
            "from epoch_velocity join radial_velocity using (spectrum_id) order by mjd"
        ).fetchnumpy()


def test_alpha_dra_has_its_published_period(alpha_dra):
    """By Lomb-Scargle and by a Kepler orbit; two observers' wavelengths are off, as the telluric lines in them are too."""
    assert len(alpha_dra["mjd"]) == 29 and len(set(alpha_dra["star_id"])) == 1
    assert set(alpha_dra["rv_method"]) == {"H-alpha wings, absorption"}
    mjd, rv, error = (np.asarray(alpha_dra[name], float) for name in ("mjd", "rv_km_s", "e_rv_km_s"))
    frequency, power = LombScargle(mjd, rv, error, nterms=2).autopower(
        minimum_frequency=1 / 100, maximum_frequency=1 / 5, samples_per_peak=20
    )
    period_d = 1 / frequency[power.argmax()]
    period_d, _, eccentricity, _, k1_km_s, gamma_km_s = fitted(mjd, rv, error, period_d)
    assert period_d == pytest.approx(PERIOD_D, rel=0.01)
    assert eccentricity == pytest.approx(ECCENTRICITY, abs=0.1)
    # The companion's lines, hidden in the broad H-alpha, take some of the amplitude.
    assert 0.75 * K1_KM_S < k1_km_s < 1.05 * K1_KM_S
    assert gamma_km_s == pytest.approx(-13.5, abs=3)


def test_wavelengths_as_seen_from_the_earth_are_made_heliocentric(alpha_dra):
    """BSS_VHEL = 0 says that nothing was applied: the view adds the Earth's motion, the table keeps what was measured."""
    added = np.asarray(alpha_dra["rv_km_s"] - alpha_dra["rv_halpha_wing_km_s"], float)
    np.testing.assert_allclose(added, alpha_dra["heliocentric_correction_km_s"], atol=1e-4)
    assert added.min() < -11 and added.max() > -5


@pytest.fixture(scope="module")
def real_nights(tmp_path_factory):
    """Coadds and exposures of the real files of laspec, S/N above 10: rows of epoch_velocity."""
    files = real_spectra()
    with open_catalogue(new_catalogue(tmp_path_factory.mktemp("nights") / "c.duckdb")) as connection:
        load_spectra(connection, files, exposures="all", workers=1)
        gather_stars(connection)
        measure_spectra(connection)
        return connection.execute(
            """select v.*, s.coadd, s.snr_r, s.snr_b, parse_filename(s.file) as file
            from epoch_velocity v join spectrum s using (spectrum_id) where snr_r > 10 order by v.mjd"""
        ).fetchnumpy()


BINARY = ("58270", "58625", "58644", "58646", "58649")  # nights of the double-lined star, S/N above 10
# On two of them its lines are apart; which star is the brighter one is seen from the depths of the lines, and the two have changed sides.
APART = {"58644": (-62, 61), "58646": (57, -83)}


def of_night(rows, night):
    return {name: values[np.char.find(rows["file"].astype(str), night) >= 0] for name, values in rows.items()}


def test_the_double_lined_star_has_two_velocities(real_nights):
    for night in BINARY:
        seen = of_night(real_nights, night)
        coadd = seen["coadd"].astype(bool)
        assert coadd.sum() == 1
        two = [seen[f"rv_{name}_km_s"][coadd].filled(np.nan)[0] for name in ("primary", "secondary")]
        if night in APART:
            assert two == pytest.approx(APART[night], abs=6)
        else:
            assert np.isnan(two).all()


def test_a_double_lined_star_changes_and_a_constant_one_does_not(real_nights):
    """Chi-square of the adopted velocities about their mean: exposures of a night of the constant star, nights of the binary."""
    single = of_night(real_nights, "58408")
    rv, error = (np.asarray(single[name], float) for name in ("rv_km_s", "e_rv_km_s"))
    assert len(rv) == 8 and np.abs(rv - rv.mean()).max() < 1.0 and np.all(error < 1.5)
    binary = np.concatenate([np.asarray(of_night(real_nights, night)["rv_km_s"], float) for night in BINARY])
    assert np.ptp(binary) > 100
