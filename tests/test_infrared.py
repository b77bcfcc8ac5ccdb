"""Dereddened colours, infrared classes and their probabilities, against Monte Carlo and the ten printed rows of Table 7."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tools.view_rows import add_star, insert, printed

# The criteria and extinction ratios as the paper prints them (section 5.3).
R_V, H, K, W1 = 3.1, 0.190, 0.114, 0.061
CBE, HERBIG = (0.2, 0.5), (0.4, 0.8)


def add_colours(con, star_id, hk_mag, kw1_mag, ebv_mag=0.0, **more):
    """A star of given observed colours."""
    insert(con, "star", star_id=star_id, ra_deg=10.0, dec_deg=60.0, is_simulated=False)
    errors = {name: more.get(name, 0.02) for name in ("e_h_mag", "e_k_mag", "e_w1_mag")}
    insert(con, "photometry", star_id=star_id, h_mag=10.0 + hk_mag, k_mag=10.0, w1_mag=10.0 - kw1_mag, **errors)
    insert(con, "reddening", star_id=star_id, ebv_mag=ebv_mag, e_ebv_mag=more.get("e_ebv_mag"))


def classes(con):
    return dict(con.execute("select star_id, infrared_class from infrared_class").fetchall())


def monte_carlo(magnitudes, errors, ebv, e_ebv, rng, n=200_000):
    """Colours of many stars with the errors of one: fractions inside the two regions, and the spread of the colours."""
    h, k, w1 = (m + e * rng.normal(size=n) for m, e in zip(magnitudes, errors, strict=True))
    a_v = R_V * (ebv + e_ebv * rng.normal(size=n))
    hk, kw1 = h - k - (H - K) * a_v, k - w1 - (K - W1) * a_v
    cbe = (hk < CBE[0]) & (kw1 < CBE[1])
    herbig = (hk > HERBIG[0]) & (kw1 > HERBIG[1])
    return cbe.mean(), herbig.mean(), hk.std(), kw1.std()


def test_all_ten_printed_rows_of_table_7(con):
    rows = printed("7")
    assert len(rows) == 10
    rng = np.random.default_rng(1)
    for star_id, row in enumerate(rows):
        names = ("j_mag", "e_j_mag", "h_mag", "e_h_mag", "k_mag", "e_k_mag", "w1_mag", "e_w1_mag")
        value = {name: float(row[name]) for name in (*names, "ebv_mag")}
        add_star(con, star_id, e_ebv_mag=0.03, **value)
        found = con.execute("select * from infrared_class where star_id = ?", [star_id])
        found = dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))
        a_v = R_V * value["ebv_mag"]
        assert found["hk0_mag"] == pytest.approx(value["h_mag"] - value["k_mag"] - (H - K) * a_v, abs=2e-6)
        assert found["kw10_mag"] == pytest.approx(value["k_mag"] - value["w1_mag"] - (K - W1) * a_v, abs=2e-6)
        assert found["infrared_class"] == "classical Be"
        magnitudes, errors = ([value[f"{e}{band}_mag"] for band in ("h", "k", "w1")] for e in ("", "e_"))
        cbe, herbig, e_hk, e_kw1 = monte_carlo(magnitudes, errors, value["ebv_mag"], 0.03, rng)
        assert found["cbe_colour_probability"] == pytest.approx(cbe, abs=0.005)
        assert found["herbig_colour_probability"] == pytest.approx(herbig, abs=0.005)
        assert (found["e_hk0_mag"], found["e_kw10_mag"]) == pytest.approx((e_hk, e_kw1), rel=0.01)
    listed = {row[0] for row in con.execute("select star_id from new_cbe").fetchall()}
    assert listed == set(range(10))


@pytest.mark.parametrize(("factor", "n_pass"), [(0.0, 4), (0.884, 10), (1.0, 10)])
def test_table_7_with_other_units_of_reddening(con, factor, n_pass):
    for star_id, row in enumerate(printed("7")):
        value = {name: float(row[name]) for name in ("j_mag", "h_mag", "k_mag", "w1_mag")}
        add_star(con, star_id, ebv_mag=factor * float(row["ebv_mag"]), **value)
    assert list(classes(con).values()).count("classical Be") == n_pass


def test_probabilities_against_monte_carlo_over_the_plane(con):
    rng = np.random.default_rng(2)
    stars = []
    for star_id in range(60):
        hk, kw1, ebv = rng.uniform(0.05, 0.6), rng.uniform(0.2, 1.1), rng.uniform(0, 1.5)
        errors, e_ebv = rng.uniform(0.01, 0.2, 3), float(rng.choice([0.0, 0.05, 0.4]))
        stars.append(((10 + hk, 10.0, 10 - kw1), errors, ebv, e_ebv))
        named = dict(zip(("e_h_mag", "e_k_mag", "e_w1_mag"), errors.tolist(), strict=True))
        add_colours(con, star_id, hk, kw1, ebv, e_ebv_mag=e_ebv, **named)
    found = con.execute(
        "select cbe_colour_probability, herbig_colour_probability from infrared_class order by star_id"
    ).fetchnumpy()
    drawn = np.array([monte_carlo(*star, rng, n=40_000)[:2] for star in stars]).T
    assert np.abs(found["cbe_colour_probability"] - drawn[0]).max() < 0.012  # 4.8 standard errors of 40,000 draws
    assert np.abs(found["herbig_colour_probability"] - drawn[1]).max() < 0.012
    assert drawn[0].min() < 0.05 and drawn[0].max() > 0.95 and drawn[1].max() > 0.5


def test_edges_of_the_regions_belong_to_neither(con):
    edge = 1e-5  # magnitudes are kept as 4-byte numbers
    cases = {
        (CBE[0] - edge, CBE[1] - edge): "classical Be",
        (CBE[0] + edge, CBE[1] - edge): "neither",
        (CBE[0] - edge, CBE[1] + edge): "neither",
        (HERBIG[0] + edge, HERBIG[1] + edge): "Herbig Ae/Be",
        (HERBIG[0] - edge, HERBIG[1] + edge): "neither",
        (HERBIG[0] + edge, HERBIG[1] - edge): "neither",
        (0.0, 1.5): "neither",
        (0.6, 0.0): "neither",
        (-0.3, -0.5): "classical Be",
    }
    for star_id, colours in enumerate(cases):
        add_colours(con, star_id, *colours)
    assert list(classes(con).values()) == list(cases.values())
    # Exactly on a limit: both regions are open. Limits that a 4-byte number holds exactly.
    for name, value in (
        ("cbe_hk_max_mag", 0.25),
        ("cbe_kw1_max_mag", 0.5),
        ("herbig_hk_min_mag", 0.5),
        ("herbig_kw1_min_mag", 0.75),
    ):
        con.execute("update selection_parameter set value = ? where name = ?", [value, name])
    for star_id, colours in {50: (0.25, 0.0), 51: (0.0, 0.5), 52: (0.5, 1.0), 53: (1.0, 0.75)}.items():
        add_colours(con, star_id, *colours)
        assert classes(con)[star_id] == "neither"


def test_on_a_limit_the_probability_is_a_half(con):
    add_colours(con, 1, CBE[0], -3.0)
    add_colours(con, 2, HERBIG[0], 3.0)
    found = con.execute(
        "select cbe_colour_probability, herbig_colour_probability from infrared_class order by star_id"
    ).fetchall()
    assert found[0] == pytest.approx((0.5, 0.0), abs=1e-4) and found[1] == pytest.approx((0.0, 0.5), abs=1e-4)


@pytest.mark.parametrize("missing", ["h_mag", "k_mag", "w1_mag"])
def test_no_photometry_no_class(con, missing):
    add_star(con, 1, **{missing: None})
    assert classes(con) == {}
    assert con.execute("select count(*) from new_cbe").fetchone() == (0,)
    assert con.execute("select step from verdict where star_id = 1").fetchone() == (100,)


def test_no_reddening_no_class(con):
    add_star(con, 1, ebv_mag=None)
    add_star(con, 2)
    con.execute("delete from reddening where star_id = 2")
    assert classes(con) == {}
    assert con.execute("select count(*) from new_cbe").fetchone() == (0,)
    assert con.execute("select star_id, q_mag is null, hk0_mag is null from infrared_colour order by 1").fetchall() == [
        (1, False, True),
        (2, False, True),
    ]


def test_a_class_needs_no_errors_but_a_probability_does(con):
    add_star(con, 1, e_h_mag=None)
    add_star(con, 2, e_ebv_mag=None)
    rows = con.execute(
        "select infrared_class, cbe_colour_probability is null from infrared_class order by star_id"
    ).fetchall()
    assert rows == [("classical Be", True), ("classical Be", False)]


@pytest.mark.parametrize(
    "zero", [("e_h_mag",), ("e_k_mag",), ("e_h_mag", "e_w1_mag"), ("e_h_mag", "e_k_mag", "e_w1_mag")]
)
def test_errors_of_zero_are_unknown_and_break_no_view(con, zero):
    for star_id in range(40):
        errors = {name: 0.0 if name in zero else 0.01 + 0.001 * star_id for name in ("e_h_mag", "e_k_mag", "e_w1_mag")}
        add_star(con, star_id, **errors)
    assert con.execute(
        "select distinct infrared_class, cbe_colour_probability, herbig_colour_probability from infrared_class"
    ).fetchall() == [("classical Be", None, None)]


@pytest.mark.parametrize("source", ["e_k_mag", "e_ebv_mag"])
def test_colours_that_hang_together_wholly_have_a_probability(con, source):
    """Correlation of -1 (only Ks is uncertain) and +1 (only E(B-V) is)."""
    for star_id in range(40):
        errors = {name: 1e-9 for name in ("e_h_mag", "e_k_mag", "e_w1_mag")}
        errors[source] = 0.01 + 0.001 * star_id
        add_star(con, star_id, **errors)
    found = con.execute("select cbe_colour_probability from infrared_class").fetchnumpy()["cbe_colour_probability"]
    assert len(found) == 40 and np.abs(np.ma.getdata(found) - 1).max() < 1e-4


def test_reddening_moves_a_star_along_the_extinction_vector(con):
    for star_id, ebv in enumerate((0.0, 0.5, 1.0, 2.0)):
        add_colours(con, star_id, 0.3, 0.6, ebv)
    rows = con.execute("select hk0_mag, kw10_mag, infrared_class from infrared_class order by star_id").fetchall()
    steps = np.diff([row[:2] for row in rows], axis=0) / np.diff([0.0, 0.5, 1.0, 2.0])[:, None]
    assert steps == pytest.approx(np.tile([-R_V * (H - K), -R_V * (K - W1)], (3, 1)), abs=1e-5)
    assert [row[2] for row in rows] == ["neither", "neither", "classical Be", "classical Be"]
