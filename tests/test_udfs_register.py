"""The SQL functions against the array functions, on connections as users have them."""

import math
from contextlib import closing

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from becat import udfs
from becat.schema.grid import BLUE, RED
from becat.schema.lines import LINES
from becat.schema.tables import TABLES
from becat.udfs.bartlett import bartlett_peaks
from becat.udfs.colour import q_index
from becat.udfs.equivalent_width import equivalent_width
from becat.udfs.nebular import local_equivalent_width
from tests.tools.pipeline_tools import new_catalogue


def _arrays(matrix, present):
    n, n_pixels = matrix.shape
    values = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(values, n_pixels, mask=pa.array(~present)) if n else None


@pytest.fixture(scope="module")
def spectra():
    """Five thousand would be more than a call takes; 2,500 are enough to cross DuckDB's vector size."""
    rng = np.random.default_rng(1)
    n = 2500
    red = np.ones((n, RED.n_pixels), dtype=np.float32)
    window = slice(1700, 2460)
    depth = rng.uniform(-3, 0.8, n)[:, None]
    red[:, window] = 1 - depth * np.exp(-0.5 * ((RED.wavelength_a[window] - 6564.6) / 4.0) ** 2)
    red[:, window] += rng.normal(0, 0.02, (n, 760))
    ivar = np.full_like(red, 2500.0)
    ivar[5, 2000:2010] = 0  # a masked stretch that can be bridged
    ivar[6, 2000:2200] = 0  # one that cannot
    red[7], ivar[7] = np.nan, 0
    blue = np.full((n, BLUE.n_pixels), 0.9, dtype=np.float32)
    snr = rng.uniform(10, 200, n)
    return {"red": red, "ivar": ivar, "blue": blue, "blue_ivar": np.full_like(blue, 100.0), "snr": snr}


@pytest.fixture(scope="module")
def catalogue(spectra, tmp_path_factory):
    path = tmp_path_factory.mktemp("register") / "spectra.duckdb"
    present = np.ones(len(spectra["snr"]), dtype=bool)
    present[8] = False
    columns = {name: _arrays(spectra[name], present) for name in ("red", "ivar", "blue", "blue_ivar")}
    table = pa.table({"id": np.arange(len(present)), **columns, "snr": spectra["snr"]})
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", table)
        types = {"red": RED, "ivar": RED, "blue": BLUE, "blue_ivar": BLUE}
        chosen = ", ".join(f"{name}::float[{grid.n_pixels}] as {name}" for name, grid in types.items())
        connection.execute(f"create table spectra as select id, snr, {chosen} from rows")
    return path


@pytest.fixture
def connection(catalogue):
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        udfs.register(connection)
        yield connection


def _fetch(connection, sql):
    return {name: np.ma.filled(x, np.nan) for name, x in connection.sql(sql).fetchnumpy().items()}


def test_equivalent_width_is_that_of_the_array_function(connection, spectra):
    found = _fetch(
        connection,
        """select equivalent_width(red, ivar, 6548, 6578).ew_a as ew, equivalent_width(red, ivar, 6548, 6578).e_ew_a as e,
           equivalent_width(blue, blue_ivar, 5160, 5193).ew_a as mgb,
           equivalent_width_at(red, ivar, 6548, 6578, 150).ew_a as moved from spectra order by id""",
    )
    width, error = equivalent_width(spectra["red"], spectra["ivar"], RED.wavelength_a, (6548.0, 6578.0))
    width[8] = error[8] = np.nan
    assert found["ew"] == pytest.approx(width, rel=1e-5, abs=1e-5, nan_ok=True)
    assert found["e"] == pytest.approx(error, rel=1e-5, nan_ok=True)
    assert list(np.flatnonzero(np.isnan(found["ew"]))) == [6, 7, 8]
    assert found["mgb"][0] == pytest.approx(3.3, rel=1e-5)
    velocity = np.full(len(width), 150.0)
    moved, _ = equivalent_width(
        spectra["red"], spectra["ivar"], RED.wavelength_a, (6548.0, 6578.0), velocity_shift_km_s=velocity
    )
    moved[8] = np.nan
    assert found["moved"] == pytest.approx(moved, rel=1e-5, abs=1e-5, nan_ok=True)


def test_nothing_leaves_as_nan(connection):
    sql = """select count(*) filter (isnan(x.ew_a) or isnan(x.e_ew_a)) as nan_count, count(x.ew_a) as known,
             count(x) as known_structs from (select equivalent_width(red, ivar, 6548, 6578) as x from spectra)"""
    assert connection.sql(sql).fetchone() == (0, 2497, 2497)
    assert connection.sql("select q_index(1, null, 2), q_index(1, 'nan', 2), e_q_index(0.1, 0.1, null)").fetchone() == (
        None,
        None,
        None,
    )
    assert connection.sql("select equivalent_width(red, null, 6548, 6578) from spectra limit 1").fetchone() == (None,)
    assert connection.sql("select bartlett_peaks(red, null) from spectra limit 1").fetchone() == (None,)
    assert connection.sql(
        "select count(*) from spectra where list_contains(smooth_bartlett(red, snr), 'nan')"
    ).fetchone() == (0,)


def test_peaks_are_those_of_the_array_function(connection, spectra):
    rows = connection.sql("select bartlett_peaks(red, snr) from spectra where id < 300 order by id").fetchall()
    peaks = bartlett_peaks(spectra["red"][:300], spectra["snr"][:300], RED.wavelength_a, (6551.0, 6579.0))
    for row, (found,) in enumerate(rows):
        if row in (7, 8):
            assert found is None
            continue
        assert (found["n_peaks"], found["n_valleys"]) == (peaks.n_peaks[row], peaks.n_valleys[row])
        assert found["peak_wavelength_a"] == list(peaks.peak_wavelength_a[peaks.peak_row == row])
        assert found["peak_flux"] == pytest.approx(peaks.peak_flux[peaks.peak_row == row])
        assert found["valley_wavelength_a"] == list(peaks.valley_wavelength_a[peaks.valley_row == row])


def test_windows_measure_the_same(connection):
    sql = """with windows as (select *, halpha_window(red) as w, halpha_window(ivar) as v from spectra where id < 500)
             select max(abs(equivalent_width(w, v, 6548, 6578).ew_a - equivalent_width(red, ivar, 6548, 6578).ew_a)),
             count(*) filter (bartlett_peaks(w, snr) is distinct from bartlett_peaks(red, snr)) from windows"""
    difference, n_different = connection.sql(sql).fetchone()
    assert difference < 1e-4 and n_different == 0


def test_line_width_and_colours(connection, spectra):
    found = _fetch(connection, "select line_width(red, ivar, 'nii_6585').ew_a as ew from spectra order by id")
    width, _ = local_equivalent_width(spectra["red"], spectra["ivar"], RED.wavelength_a, LINES["nii_6585"])
    width[8] = np.nan
    assert found["ew"] == pytest.approx(width, rel=1e-4, abs=1e-5, nan_ok=True)
    assert connection.sql("select q_index(10.0, 9.9, 9.85)").fetchone()[0] == pytest.approx(q_index(10.0, 9.9, 9.85)[0])


def test_registering_twice_and_on_two_connections(connection, catalogue):
    udfs.register(connection)
    with duckdb.connect() as other:
        udfs.register(other)
        udfs.register(other)
        assert other.sql("select q_index(10.0, 9.0, 9.0)").fetchone() == (1.0,)
    assert connection.sql("select count(equivalent_width(red, ivar, 6548, 6578).ew_a) from spectra").fetchone() == (
        2497,
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("equivalent_width([1.0, 2.0]::float[2], ivar, 1, 2)", "does not support the supplied arguments"),
        ("equivalent_width(snr, ivar, 1, 2)", "does not support the supplied arguments"),
        ("equivalent_width(red, ivar, 6200, 6310)", "do not cover the band"),
        ("line_width(red, ivar, 'xi_9')", "choose one of halpha"),
        ("q_index('blue', 1, 2)", "Could not convert string"),
    ],
)
def test_wrong_calls_say_what_is_wrong(connection, call, message):
    with pytest.raises(duckdb.Error, match=message):
        connection.sql(f"select {call} from spectra").fetchall()


def test_measure_batch_fills_the_table(spectra):
    """Every column of line_measurement and profile_class, save what the stage itself adds; no NaN where data are good."""
    n = 100
    arrays = [spectra[name][:n] for name in ("red", "ivar", "blue", "blue_ivar")]
    lines = udfs.measure_batch(*arrays, spectra["snr"][:n], np.full(n, np.nan))
    profiles = udfs.profile_batch(*arrays[:2], spectra["snr"][:n])
    for table, columns, version in (
        ("line_measurement", lines, "measure_version"),
        ("profile_class", profiles, "profile_version"),
        ("radial_velocity", udfs.velocity_batch(*arrays), "velocity_version"),
    ):
        assert set(columns) | {"spectrum_id", version, "run_id"} == set(TABLES[table].columns.keys())
        assert all(len(values) == n for values in columns.values())
    assert np.isnan(lines["ew_halpha_a"][7]) and np.ma.is_masked(lines["n_peaks"][7])
    assert np.isfinite(lines["ew_mgb_a"][:5]).all() and np.isfinite(lines["nebular_significance"][:5]).all()
    without_blue = udfs.measure_batch(*arrays[:2], None, None, spectra["snr"][:n])
    assert np.isnan(without_blue["ew_mgb_a"]).all()
    assert without_blue["ew_halpha_a"] == pytest.approx(lines["ew_halpha_a"], nan_ok=True)
    empty = udfs.measure_batch(*(array[:0] for array in arrays), np.zeros(0))
    assert all(len(values) == 0 for values in empty.values())
    assert all(len(values) == 0 for values in udfs.profile_batch(arrays[0][:0], arrays[1][:0], np.zeros(0)).values())
    with pytest.raises(ValueError, match="must be"):
        udfs.measure_batch(arrays[2], arrays[3], None, None, spectra["snr"][:n])


def test_parameters_are_followed(spectra):
    arrays = spectra["red"][:3], spectra["ivar"][:3], None, None, spectra["snr"][:3]
    narrow = udfs.measure_batch(*arrays, parameters={"ew_halpha_band_min_a": 6560.0, "ew_halpha_band_max_a": 6570.0})
    expected, _ = equivalent_width(*arrays[:2], RED.wavelength_a, (6560.0, 6570.0))
    assert narrow["ew_halpha_a"] == pytest.approx(expected)


def test_thresholds_are_those_of_the_catalogue(tmp_path):
    with closing(duckdb.connect(str(new_catalogue(tmp_path / "c.duckdb")))) as connection:
        found = []
        for ratio in (1.7, 2.0):
            connection.execute("update selection_parameter set value = ? where name = 'q_reddening_ratio'", [ratio])
            udfs.register(connection)
            found += connection.execute("select q_index(10.0, 9.5, 9.0), e_q_index(0.1, 0.2, 0.3)").fetchall()
    assert [row[0] for row in found] == pytest.approx([0.5 - 1.7 * 0.5, 0.5 - 2.0 * 0.5])
    assert [row[1] for row in found] == pytest.approx([math.hypot(0.1, (1 + r) * 0.2, r * 0.3) for r in (1.7, 2.0)])
