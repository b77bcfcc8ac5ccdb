"""`becat compare`: a published list against ours, star by star, with the reason of each miss."""

from __future__ import annotations

import shutil

import duckdb
import pandas as pd
import pytest

from becat.compare import compare_with
from becat.schema.errors import BecatError
from tests.tools.pipeline_tools import becat
from tests.tools.site_fixture import make_catalogue


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return make_catalogue(tmp_path_factory.mktemp("compare") / "c.duckdb", n_stars=150)


@pytest.fixture(scope="module")
def listed(catalogue, tmp_path_factory):
    """Three of our classical Be stars, every star that fails at S/N or by its score, and a place without a spectrum."""
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        ours = connection.execute("select star_id, ra_deg, dec_deg from classical_be order by 1 limit 3").df()
        fail = connection.execute("select star_id, ra_deg, dec_deg, step from verdict where step in (10, 50)").df()
    assert len(ours) == 3 and set(fail.step) == {10, 50}
    frame = pd.concat([ours.assign(type="CBe"), fail.assign(type="star")])
    frame = pd.concat([frame, pd.DataFrame({"star_id": [-1], "ra_deg": [3.0], "dec_deg": [-80.0], "type": ["star"]})])
    path = tmp_path_factory.mktemp("list") / "published.csv"
    frame.assign(name=frame.star_id, dec_deg=frame.dec_deg + 1 / 3600)[["name", "type", "ra_deg", "dec_deg"]].to_csv(
        path, index=False
    )
    return path, frame


def test_every_star_is_told_and_every_miss_has_its_reason(catalogue, listed, tmp_path):
    path, frame = listed
    out = becat("compare", path, "-c", catalogue, "--out", tmp_path / "out.csv").stdout
    found = pd.read_csv(tmp_path / "out.csv")
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        verdicts = (
            connection.execute("select star_id, step, value, threshold, detail from verdict").df().set_index("star_id")
        )
        ours = {row[0] for row in connection.execute("select star_id from classical_be").fetchall()}
    by = found.groupby("found_by").size()
    assert (by["both"], by["only in the list"], by["only here"]) == (3, len(frame) - 3, len(ours) - 3)
    missed = found[found.found_by == "only in the list"]
    assert missed.reason.notna().all() and (missed[missed.star_id.isna()].reason == "no spectrum here").tolist() == [
        True
    ]
    for row in missed.dropna(subset="star_id").itertuples():
        assert row.step == verdicts.step[row.star_id] and f"{verdicts.threshold[row.star_id]:.4g}" in row.reason
        assert (
            row.reason_kind.endswith((": no value", f": {verdicts.detail[row.star_id]}"))
            or f"{verdicts.value[row.star_id]:.4g}" in row.reason
        )
    words = (
        f"completeness {3 / (len(frame) - 1):.1%} of {len(frame) - 1:,}, purity {3 / len(ours):.1%} of {len(ours):,}"
    )
    assert f"stars with a spectrum here: {words}" in out
    assert "class of the list CBe: completeness 100.0% of 3" in out


def test_rates_add_up(catalogue, listed):
    with duckdb.connect(str(catalogue)) as connection:
        found = compare_with(connection, str(listed[0]))
    of_snr = [row for row in found.rates if row[0] == "S/N"]
    n_seen = found.counts["both"] + found.counts["only in the list"] - dict(found.reasons)["no spectrum here"]
    assert [sum(row[i] for row in of_snr) for i in (3, 5)] == [n_seen, found.counts["both"] + found.counts["only here"]]


def test_a_list_compared_again_replaces_its_rows(catalogue, listed):
    with duckdb.connect(str(catalogue)) as connection:
        counted = "select list, count(*), count(distinct row_in_list) from list_comparison group by all order by all"
        compare_with(connection, str(listed[0]))
        before = connection.execute(counted).fetchall()
        compare_with(connection, str(listed[0]))
        assert connection.execute(counted).fetchall() == before
        assert dict((row[0], row[1] == row[2]) for row in before)["published"]


def test_a_view_against_itself_is_complete_and_pure(catalogue):
    with duckdb.connect(str(catalogue)) as connection:
        found = compare_with(connection, "emission_star", "emission_star", radius_arcsec=0.5)
    assert set(found.counts) == {"both"} and found.reasons == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no table nowhere"),
        (["zhang_2022"], "becat fetch zhang_2022"),
        (["classical_be", "--view", "nowhere"], "no table nowhere"),
        (["classical_be", "--view", "funnel"], "not a view of stars"),
        (["funnel"], "right ascension"),
    ],
)
def test_what_cannot_be_compared_is_named_in_one_line(catalogue, words, said):
    stderr = becat("compare", *words, "-c", catalogue, check=1).stderr
    assert said in stderr and stderr.count("\n") == 1


def test_a_view_of_any_name_is_compared_and_a_radius_that_is_no_number_is_told(catalogue, listed, tmp_path):
    copy = tmp_path / "c.duckdb"
    shutil.copy(catalogue, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("""create table "it's so" as select star_id from star""")
        found = compare_with(connection, str(listed[0]), "it's so")
        assert found.counts["both"] == len(listed[1]) - 1
        compare_with(connection, str(listed[0]), "herbig_aebe")
        reasons = connection.execute("select reason from list_comparison where reason like '%not in %'").fetchall()
        assert {reason for (reason,) in reasons} == {"a classical Be star here, but not in herbig_aebe"}
        with pytest.raises(BecatError, match="radius of nan"):
            compare_with(connection, str(listed[0]), radius_arcsec=float("nan"))
