"""Adopted velocities and zero points, as the views give them, on hand-made rows."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, get_body_barycentric_posvel
from astropy.time import Time

from tests.tools.view_rows import insert

SPECTRUM = {"is_simulated": False, "file": "f", "coadd": True, "has_blue": True, "snr_r": 50.0, "snr_b": 50.0}
NIGHT_ERROR_KM_S = 0.025 * 299792.458 / 7500


def add(con, spectrum_id, star_id, velocities, **changes):
    """A spectrum and its velocities: pairs of value and error by the name of the method."""
    row = {
        "mjd": 58000.2,
        "survey": "LAMOST MRS",
        "plan_id": "p",
        "spectrograph": 1,
        "ra_deg": 30.0,
        "dec_deg": 40.0,
    } | changes
    insert(con, "spectrum", spectrum_id=spectrum_id, star_id=star_id, **(SPECTRUM | row))
    columns = {}
    for name, (value, error) in velocities.items():
        columns |= {f"rv_{name}_km_s": value, f"e_rv_{name}_km_s": error}
    if "halpha_wing" in velocities:
        columns["halpha_wing_of"] = "absorption"
    insert(con, "radial_velocity", spectrum_id=spectrum_id, **columns)


def rows(con, columns):
    return con.execute(f"select {columns} from epoch_velocity order by spectrum_id").fetchall()


def test_all_spectra_of_a_star_have_one_method(con):
    """The method that weighs most over the star's spectra, also where another has the smaller error in one of them."""
    add(con, 1, 7, {"blue": (10.0, 1.0), "halpha_wing": (12.0, 3.0)})
    add(con, 2, 7, {"blue": (11.0, 3.0), "halpha_wing": (13.0, 2.0)}, mjd=58001.2)
    add(con, 3, 7, {"halpha_wing": (14.0, 2.0)}, mjd=58002.2)
    add(con, 4, 8, {"hei_6680": (20.0, 5.0)})
    found = rows(con, "spectrum_id, rv_km_s, rv_method, e_rv_km_s")
    assert [row[:3] for row in found] == [
        (1, 10.0, "blue arm"), (2, 11.0, "blue arm"), (3, None, None), (4, 20.0, "He I 6678"),
    ]  # fmt: skip
    assert found[0][3] == pytest.approx(np.hypot(1.0, NIGHT_ERROR_KM_S))
    assert found[2][3] is None


def test_wings_that_jump_in_one_spectrum_may_jump_in_all(con):
    """What one exposure shows of the line's peaks holds for the others, whose errors do not tell."""
    for number, wing in enumerate((10.0, 190.0, 12.0)):
        add(con, number, 7, {"halpha_wing": (wing, 2.0), "hei_6680": (20.0 + number, 15.0)}, mjd=58000.2 + number)
        add(con, number + 10, 8, {"halpha_wing": (wing, 2.0)}, mjd=58000.2 + number)
        add(con, number + 20, 9, {"halpha_wing": (12.0, 2.0), "hei_6680": (20.0, 15.0)}, mjd=58000.2 + number)
    con.execute("update radial_velocity set wing_jump_km_s = 90 where spectrum_id in (2, 12)")
    found = rows(con, "star_id, rv_km_s, rv_method, e_rv_km_s")
    assert [row[1:3] for row in found[:3]] == [(20.0, "He I 6678"), (21.0, "He I 6678"), (22.0, "He I 6678")]
    assert [row[3] for row in found[3:6]] == pytest.approx([np.hypot(90.0, NIGHT_ERROR_KM_S)] * 3)
    assert [row[2] for row in found[6:]] == ["H-alpha wings, absorption"] * 3


def test_two_velocities_and_the_release_stand_beside(con):
    add(con, 1, 7, {"blue": (10.0, 1.0), "primary": (-60.0, 1.0), "secondary": (90.0, 2.0)}, rv_km_s=9.0, e_rv_km_s=1.5)
    ((primary, secondary, error, release, e_release),) = rows(
        con, "rv_primary_km_s, rv_secondary_km_s, e_rv_secondary_km_s, rv_release_km_s, e_rv_release_km_s"
    )
    assert (primary, secondary, release, e_release) == (-60.0, 90.0, 9.0, 1.5)
    assert error == pytest.approx(np.hypot(2.0, NIGHT_ERROR_KM_S))


@pytest.mark.parametrize(
    ("cards", "added"),
    [
        ({"bss_vhel_km_s": -12.5}, 0.0),
        ({"bss_vhel_km_s": 0.0, "bss_rqvh_km_s": 8.25}, 8.25),
        ({"bss_rqvh_km_s": 8.25}, 8.25),
        ({}, None),
    ],
    ids=["applied", "both", "still to be applied", "not said"],
)
def test_the_frame_is_that_which_the_header_says(con, cards, added):
    """BSS_VHEL was applied, BSS_RQVH is still to be; where nobody says what the wavelengths are, there is no velocity."""
    add(con, 1, 7, {"halpha_wing": (10.0, 1.0)}, survey="other", **cards)
    assert rows(con, "rv_km_s, e_rv_km_s, heliocentric_correction_km_s") == (
        [(None, None, None)] if added is None else [(10.0 + added, 1.0, added)]
    )


def test_the_earths_motion_is_that_of_an_ephemeris(con):
    rng = np.random.default_rng(1)
    mjd, ra = rng.uniform(51000, 63000, 200), rng.uniform(0, 360, 200)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    time = Time(mjd, format="mjd", scale="tdb")
    earth, sun = (get_body_barycentric_posvel(body, time)[1].xyz.to_value(u.km / u.s) for body in ("earth", "sun"))
    expected = ((earth - sun) * SkyCoord(ra, dec, unit="deg").cartesian.xyz.value).sum(axis=0)
    asked = ", ".join(f"({i}, {m}, {a}, {d})" for i, (m, a, d) in enumerate(zip(mjd, ra, dec, strict=True)))
    found = con.execute(
        f"select heliocentric_correction_km_s(mjd, ra, dec) from (values {asked}) t(i, mjd, ra, dec) order by i"
    ).fetchnumpy()
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=0.05)


def test_a_spectrum_as_seen_from_the_earth_is_made_heliocentric(con):
    add(con, 1, 7, {"halpha_wing": (10.0, 1.0)}, survey="other", bss_vhel_km_s=0.0, mjd=60000.0)
    ((rv, added),) = rows(con, "rv_km_s, heliocentric_correction_km_s")
    assert rv == pytest.approx(10.0 + added) and -30 < added < -10  # at the end of winter Andromeda sets in the evening


def add_nights(con, n_stars, offset_km_s, rng, binary_km_s=0.0):
    """Stars seen in two nights, the second of which has a zero point; one of them may be a binary."""
    for star in range(n_stars):
        for night in (0, 1):
            velocity = 5.0 * star + night * offset_km_s + rng.normal(0, 0.5) + (night * binary_km_s if star == 0 else 0)
            add(
                con,
                1000 * night + star,
                100 + star,
                {"blue": (velocity, 0.5)},
                mjd=58000.2 + night,
                plan_id=f"p{night}",
            )


def test_zero_points_of_nights_are_taken_off(con):
    add_nights(con, 12, 3.0, np.random.default_rng(2), binary_km_s=80.0)
    zero = con.execute(
        "select night, arm, n_stars, offset_km_s, e_offset_km_s from velocity_zero_point order by night"
    ).fetchall()
    assert [row[:3] for row in zero] == [(58000, "blue", 11), (58001, "blue", 11)]  # the binary does not count
    assert zero[1][3] - zero[0][3] == pytest.approx(3.0, abs=0.5) and 0.05 < zero[0][4] < 1.0
    con.execute("insert into velocity_offset by name select * from velocity_zero_point")
    found = con.execute(
        "select star_id, max(rv_km_s) - min(rv_km_s) from epoch_velocity group by star_id order by star_id"
    ).fetchall()
    assert found[0][1] == pytest.approx(80.0, abs=3)
    assert max(change for _, change in found[1:]) < 2.5


def test_too_few_constant_stars_give_no_zero_point(con):
    add_nights(con, 9, 3.0, np.random.default_rng(2))
    assert con.execute("from velocity_zero_point").fetchall() == []
    assert {row[0] for row in rows(con, "rv_zero_point_km_s")} == {None}
