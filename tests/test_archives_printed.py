"""The stars printed in Wang et al. 2022, through files, matching and views, where the paper puts them."""

from __future__ import annotations

import pandas as pd
import pytest

from becat.demo_archives import DATA, demo_stars, designation_position, write_demo_archives
from becat.etl.archives.apply import apply
from becat.etl.archives.clusters import cluster_name
from becat.etl.archives.ingest import ingest_file
from becat.etl.kinematics.fill import compute_kinematics
from becat.etl.match.stars import gather
from tests.tools.view_rows import add_spectrum, catalogue

CLASSES = {"A1": "emission with shell", "A2": "absorption with shell"}


def printed(name):
    (path,) = DATA.glob(f"table{name}_*.csv")
    return pd.read_csv(path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A catalogue in which every printed star, and some simulated ones, have a spectrum that passes."""
    folder = tmp_path_factory.mktemp("printed")
    extra = pd.DataFrame({
        "designation": [f"J0000{i:02d}.00+300000.0" for i in range(40)],
        "ra_deg": [0.3 * i for i in range(40)],
        "dec_deg": 30.0,
        "kind": (["emission"] * 26 + ["late"] * 7 + ["absorption"] * 7),
    })  # fmt: skip
    connection = catalogue(folder / "catalogue.duckdb")
    for i, star in enumerate([*demo_stars(), *extra.assign(table="extra").to_dict("records")]):
        place = {k: star[k] for k in ("designation", "ra_deg", "dec_deg")}
        add_spectrum(connection, i + 1, None, profile_class=CLASSES.get(star["table"], "emission"), **place)
    gather(connection, 1)
    for name, path in write_demo_archives(folder / "archives", extra).items():
        ingest_file(connection, name, path, 1)
    apply(connection, 1)
    compute_kinematics(connection)
    yield connection
    connection.close()


def in_view(connection, view):
    """Designations, and all aliases, of the stars of a view."""
    return {
        row[0]
        for row in connection.execute(
            f"select designation from star_alias where star_id in (select star_id from {view})"
        ).fetchall()
    }


def test_positions_follow_from_designations():
    for name in ("5", "6", "7", "A1", "A2"):
        for row in printed(name).itertuples():
            ra, dec = designation_position(row.designation)
            assert (ra, dec) == pytest.approx((row.ra_deg, row.dec_deg), abs=1e-4)
    assert designation_position("J184244.50-060913.6") == pytest.approx((280.6854167, -6.1537778))


@pytest.mark.parametrize(
    ("table", "view", "n"),
    [
        ("5", "oe_star", 8),
        ("6", "known_be", 10),
        ("7", "new_cbe", 10),
        ("8", "cluster_member_be", 41),
        ("9", "runaway", 16),
    ],
)
def test_printed_rows_are_in_their_view(filled, table, view, n):
    names = set(printed(table).designation)
    assert len(names) == n
    assert names <= in_view(filled, view)


def test_no_other_printed_star_runs_away(filled):
    every = {star["designation"] for star in demo_stars()}
    assert in_view(filled, "runaway") & every == set(printed("9").designation)


def test_new_stars_are_on_no_list_and_known_ones_are_not_new(filled):
    assert not in_view(filled, "known_be") & set(printed("7").designation)
    assert not in_view(filled, "new_cbe") & set(printed("6").designation)


def test_velocities_of_table_9(filled):
    found = dict(
        filled.execute(  # with the pole as the paper prints it
            "select designation, v_tp_km_s from runaway_by_model"
            " where kinematic_model = 'wang_2022_printed_pole' and is_runaway"
        ).fetchall()
    )
    for row in printed("9").itertuples():
        assert found[row.designation] == pytest.approx(row.v_tp_km_s, abs=0.1)


def test_clusters_of_table_8(filled):
    found = filled.execute("""
        select star_alias.designation, cluster, rv_km_s, distance_pc, log_age_yr, fe_h, av_mag, method
        from cluster_member_be join star_alias using (star_id)
    """).df().set_index("designation")  # fmt: skip
    for row in printed("8").itertuples():
        member = found.loc[row.designation]
        assert member.cluster == cluster_name(row.cluster)
        for name in ("rv_km_s", "distance_pc", "log_age_yr", "fe_h", "av_mag"):
            assert member[name] == pytest.approx(getattr(row, name), nan_ok=True)
        assert member.method == "source_id"


def test_simulated_stars_fail_at_every_step(filled):
    steps = dict(
        filled.execute(
            "select coalesce(name, 'classical Be'), count(*) from verdict where designation like 'J0000__.00%' group by all"
        ).fetchall()
    )
    assert {"q_index", "contaminant", "spectral_type", "infrared"} <= set(steps), steps
    assert steps["classical Be"] > 0


def test_printed_photometry_and_types_come_through(filled):
    rows = filled.execute("""
        select star.designation, j_mag, e_j_mag, h_mag, k_mag, w1_mag, ebv_mag, spectral_type
        from star join photometry using (star_id) join reddening using (star_id)
        join spectral_type using (star_id) where is_adopted
    """).df().set_index("designation")  # fmt: skip
    for row in printed("7").itertuples():
        for name in ("j_mag", "e_j_mag", "h_mag", "k_mag", "w1_mag", "ebv_mag"):
            assert rows.loc[row.designation][name] == pytest.approx(getattr(row, name), abs=1e-5)
        assert rows.loc[row.designation].spectral_type == row.spectral_type


def test_again_changes_nothing(filled):
    assert apply(filled, 2) == {}
    assert filled.execute("select max(run_id) from photometry").fetchone() == (1,)
