"""The SQL of docs/measurements.md runs, on a catalogue with spectra in it, and names every function."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from becat import udfs
from becat.schema import build
from becat.schema.grid import RED
from becat.udfs.register import FUNCTIONS

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "measurements.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def catalogue(tmp_path):
    """A catalogue with twenty spectra in emission, opened as the page says."""
    path = tmp_path / "catalog.duckdb"
    build.create(path)
    rng = np.random.default_rng(0)
    flux = 1 + np.exp(-0.5 * ((RED.wavelength_a - 6564.6) / 3) ** 2) + rng.normal(0, 0.02, (20, RED.n_pixels))
    lists = [
        pa.FixedSizeListArray.from_arrays(pa.array(x.astype("f4").ravel()), RED.n_pixels)
        for x in (flux, 0 * flux + 2500)
    ]
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", pa.table([pa.array(range(20)), *lists], ["spectrum_id", "flux", "ivar"]))
        connection.execute("insert into flux_red by name select * from rows")
        connection.execute(
            """insert into spectrum by name select spectrum_id, 'other' as survey, true as is_simulated, 'x' as file,
               true as coadd, false as has_blue, 50.0 as snr_r, 100.0 as rv_km_s from rows"""
        )
    with duckdb.connect(str(path), read_only=True) as connection:
        udfs.register(connection)
        yield connection


def test_examples_run(catalogue):
    assert len(EXAMPLES) >= 5
    for sql in EXAMPLES:
        rows = catalogue.execute(sql).fetchall()
        assert rows and None not in rows[0], sql


def test_every_function_is_documented():
    for function in FUNCTIONS:
        assert f"`{function.name}(" in TEXT, function.name
        for name, _ in function.arguments:
            assert name in TEXT, (function.name, name)
