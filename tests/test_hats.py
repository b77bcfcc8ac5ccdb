"""The HATS export, read back by the tools it is for (hats, lsdb) and compared with the catalogue."""

from __future__ import annotations

import itertools

import duckdb
import numpy as np
import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.match.gather import gather_stars
from becat.etl.measure import measure_spectra
from becat.publish.hats import export_hats, healpix29, partition
from tests.tools.pipeline_tools import becat, new_catalogue, real_spectra


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    path = new_catalogue(tmp_path_factory.mktemp("hats") / "c.duckdb")
    with open_catalogue(path) as connection:
        load_spectra(connection, real_spectra(), workers=1)
        gather_stars(connection)
        measure_spectra(connection)
    return path


def test_pixels_are_those_of_cdshealpix():
    cdshealpix = pytest.importorskip("cdshealpix", reason="cdshealpix is not installed")
    from astropy.coordinates import Latitude, Longitude

    rng = np.random.default_rng(1)
    ra_deg, dec_deg = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    expected = cdshealpix.lonlat_to_healpix(Longitude(ra_deg, "deg"), Latitude(dec_deg, "deg"), 29).astype(np.int64)
    found = healpix29(ra_deg, dec_deg)
    # A pixel of order 29 is 0.4 mas wide, near the rounding of a double: the pixel of order 24, 13 mas, must agree.
    assert np.mean(found >> 10 == expected >> 10) > 0.999
    assert np.array_equal(found >> 20, expected >> 20)


def test_partitions_are_disjoint_complete_and_small():
    rng = np.random.default_rng(2)
    pixels = np.concatenate([rng.integers(0, 12 * 4**29, 5000), rng.integers(10**15, 10**15 + 4**20, 5000)])
    pieces = partition(pixels, 700)
    assert sum(n for _, _, n in pieces) == len(pixels)
    assert all(n <= 700 or order == 10 for order, _, n in pieces)
    bounds = sorted((p << 2 * (29 - k), (p + 1) << 2 * (29 - k)) for k, p, _ in pieces)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(bounds))
    for k, p, n in pieces:
        assert np.sum(pixels >> 2 * (29 - k) == p) == n


def test_lsdb_opens_the_stars(catalogue, tmp_path):
    lsdb = pytest.importorskip("lsdb", reason="lsdb is not installed: pip install --group cluster-test")
    done = becat("partition", tmp_path / "stars", "-c", catalogue)
    assert "lsdb.open_catalog" in done.stdout
    frame = lsdb.open_catalog(tmp_path / "stars").compute()
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        expected = connection.execute("select star_id, ra_deg, dec_deg, step from verdict order by star_id").fetchall()
    found = frame.sort_values("star_id")[["star_id", "ra_deg", "dec_deg", "step"]].astype(object)
    assert [tuple(row) for row in found.to_numpy().tolist()] == expected


def test_lsdb_finds_flux_by_position(catalogue, tmp_path):
    lsdb = pytest.importorskip("lsdb", reason="lsdb is not installed: pip install --group cluster-test")
    with open_catalogue(catalogue, read_only=True) as connection:
        n_rows = export_hats(connection, tmp_path / "flux", "flux_red", n_max=2)
        spectrum_id, ra_deg, dec_deg, flux = connection.execute(
            "select spectrum_id, ra_deg, dec_deg, flux from flux_red join spectrum using (spectrum_id) order by 1 limit 1"
        ).fetchone()
    whole = lsdb.open_catalog(tmp_path / "flux")
    assert len(whole) == n_rows
    near = whole.cone_search(ra_deg, dec_deg, 2.0).compute()
    row = near[near.spectrum_id == spectrum_id].iloc[0]
    assert np.array_equal(np.asarray(row.flux, np.float32), np.asarray(flux, np.float32), equal_nan=True)


def test_hats_says_that_the_directory_is_valid(catalogue, tmp_path):
    pytest.importorskip("hats", reason="hats is not installed: pip install --group cluster-test")
    from hats.io.validation import is_valid_catalog

    with open_catalogue(catalogue, read_only=True) as connection:
        export_hats(connection, tmp_path / "spectra", "spectra", n_max=3)
    assert is_valid_catalog(tmp_path / "spectra", strict=True)
