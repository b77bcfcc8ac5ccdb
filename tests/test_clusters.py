"""Members of open clusters, by identity and by position, from the real lists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from becat.etl.archives.apply import apply
from becat.etl.archives.clusters import cluster_name
from becat.etl.archives.ingest import ingest_file
from becat.etl.archives.sources import source
from becat.etl.match.stars import gather
from tests.tools.view_rows import catalogue


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("NGC_2281", "NGC 2281"),
        ("NGC 2281 ", "NGC 2281"),
        ("FSR_0451", "FSR 0451"),
        ("Czemik 23", "Czernik 23"),
        ("FoF_1809", "LP 1809"),
    ],
)
def test_names(printed, name):
    assert cluster_name(printed) == name


def stars_from(connection, members, folder, same_ids=True, pm_offset=0.0, parallax_offset=0.0):
    """A star and a Gaia source for each member: with the same identifier or another one, and with offsets."""
    connection.execute("""
        insert into spectrum (spectrum_id, ra_deg, dec_deg, designation, is_simulated, survey, file, coadd, has_blue)
        select row_number() over (), RA_ICRS, DE_ICRS, Source::text, false, 'LAMOST MRS', 'f', true, true from members
    """)
    gather(connection, 1)
    gaia = pd.DataFrame({names[0]: np.ones(len(members)) for names in source("gaia").columns.values()})
    gaia = gaia.assign(
        source_id=members.Source + (0 if same_ids else 1), ra=members.RA_ICRS, dec=members.DE_ICRS,
        pmra=members.pmRA + pm_offset, pmdec=members.pmDE, parallax=members.plx + parallax_offset,
        pmra_error=0.1, pmdec_error=0.1, parallax_error=0.05,
    )  # fmt: skip
    gaia.to_parquet(folder / "gaia.parquet")
    ingest_file(connection, "gaia", folder / "gaia.parquet")
    apply(connection, 1)


@pytest.fixture
def connection(tmp_path, real_data):
    connection = catalogue(tmp_path / "catalogue.duckdb")
    ingest_file(connection, "dias_2021", real_data / "catalogues" / "dias_2021_clusters.csv")
    ingest_file(connection, "cantat_gaudin_2018", real_data / "catalogues" / "cantat_gaudin_2018_members")
    yield connection
    connection.close()


@pytest.fixture
def members(connection):
    return connection.execute("from archive.cantat_gaudin_2018").df()


def test_by_identity(connection, members, tmp_path):
    stars_from(connection, members, tmp_path)
    found = connection.execute(
        "select cluster, method, count(*) from cluster_match group by all order by all"
    ).fetchall()
    counts = members.groupby("Cluster").size()
    assert sum(n for *_, n in found) >= len(members) - 12  # members closer than the star radius are one star
    assert {(c, m) for c, m, _ in found} == {(cluster_name(c), "source_id") for c in counts.index}
    probability = connection.execute("""
        select max(abs(membership_probability - PMemb)), max(separation_arcsec), max(pm_difference_sigma)
        from cluster_match join archive.cantat_gaudin_2018 on Source = member_source_id
    """).fetchone()
    assert probability == pytest.approx((0, 0, 0), abs=1e-6)


def test_by_position_with_differences_in_sigma(connection, members, tmp_path):
    stars_from(connection, members, tmp_path, same_ids=False, pm_offset=0.5, parallax_offset=-0.2)
    n, pm, parallax = connection.execute("""
        select count(*), median(pm_difference_sigma), median(parallax_difference_sigma) from cluster_match where method = 'position'
    """).fetchone()
    assert n >= len(members) - 12
    # the list gives no errors: DR2's count as twice those of EDR3
    assert pm == pytest.approx(0.5 / np.hypot(0.1, 0.2), rel=1e-6)
    assert parallax == pytest.approx(-0.2 / np.hypot(0.05, 0.1), rel=1e-6)


def test_an_identifier_far_from_its_member_is_another_star(connection, members, tmp_path):
    stars_from(connection, members.assign(DE_ICRS=members.DE_ICRS - 20 / 3600), tmp_path)
    n = connection.execute("select count(*) from cluster_match where method = 'source_id'").fetchone()[0]
    assert n == 0


def test_parameters_are_those_of_the_table(connection, members, tmp_path):
    stars_from(connection, members, tmp_path)
    row = connection.execute("""
        select distance_pc, e_distance_pc, log_age_yr, fe_h, av_mag, rv_km_s, n_members, reference from cluster where cluster = 'NGC 2281'
    """).fetchone()
    assert row == (518, 2, 8.771, -0.037, 0.426, 17.746, 386, "Dias et al. 2021")
    assert connection.execute("select count(*) from cluster").fetchone() == (1741,)
    assert connection.execute(
        "select count(*) from cluster_match where cluster not in (select cluster from cluster)"
    ).fetchone() == (0,)
    assert connection.execute("select rv_km_s from cluster where cluster = 'COIN-Gaia 4'").fetchone() == (None,)


def test_a_newer_list_with_the_same_columns(connection, members, tmp_path):
    newer = members[["RA_ICRS", "DE_ICRS", "Source", "plx", "pmRA", "pmDE"]].assign(
        Cluster="Theia 1", Pmemb=90.0
    )  # per cent
    newer.rename(columns={"plx": "Plx", "Source": "GaiaDR3"}).rename(columns={"GaiaDR3": "Source"}).to_csv(
        tmp_path / "newer.csv", index=False
    )
    ingest_file(connection, "dias_2021_members", tmp_path / "newer.csv")
    stars_from(connection, members, tmp_path)
    row = connection.execute("""
        select min(membership_probability), max(membership_probability), count(*) > 1000 from cluster_match where cluster = 'Theia 1'
    """).fetchone()
    assert row == (0.9, 0.9, True)
    assert connection.execute("select distance_pc, reference from cluster where cluster = 'Theia 1'").fetchone() == (
        None,
        "Dias et al. 2021",
    )
