"""Export to HATS: Parquet partitioned by position on the sky, as LSDB and other survey tools read it.

The sky is cut into HEALPix pixels (nested), finer where there are more rows, so that each file holds about as many. A
catalogue of HATS is a directory:

    properties                                   what it is, as text
    partition_info.csv                           the pixels that have a file
    dataset/_common_metadata, _metadata          the schema; the row groups of all files
    dataset/Norder=k/Dir=d/Npix=p.parquet        rows of pixel p of order k, sorted by position

See https://hats.readthedocs.io and the IVOA note "HATS" (2025).
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy_healpix import HEALPix
from tqdm import tqdm

from becat.schema.errors import BecatError
from becat.schema.grid import ARMS
from becat.schema.version import becat_version

__all__ = ["EXPORTS", "export_hats", "healpix29", "partition"]

POSITION = "_healpix_29"  # the column that LSDB sorts and cuts by: the nested pixel of order 29
MAX_ORDER = 10

# What is exported: the key, and a query with it that gives ra_deg and dec_deg. A row without a position is left out.
EXPORTS = {
    "stars": ("star_id", "select v.* from verdict v"),
    "spectra": (
        "spectrum_id",
        """select s.*, m.* exclude (spectrum_id, run_id), b.be_probability, b.model_id
        from spectrum s
        left join line_measurement m using (spectrum_id)
        left join (select k.* from be_score k join current_model using (model_id)) b using (spectrum_id)""",
    ),
    **{
        f"flux_{arm}": (
            "spectrum_id",
            f"select s.star_id, s.ra_deg, s.dec_deg, s.mjd, s.is_simulated, f.* from flux_{arm} f join spectrum s using (spectrum_id)",
        )
        for arm in ARMS
    },
}
# Rows of a file at most: spectra are large, and a reader takes a file at once.
ROWS_PER_FILE = {"stars": 500_000, "spectra": 500_000, "flux_red": 5000, "flux_blue": 5000}


def healpix29(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Nested HEALPix pixel of order 29 of positions.

    Parameters
    ----------
    ra_deg, dec_deg : (n,) float arrays
        ICRS, degrees.

    Returns
    -------
    (n,) int64 array
    """
    grid = HEALPix(nside=2**29, order="nested")
    return np.asarray(grid.lonlat_to_healpix(np.asarray(ra_deg) * u.deg, np.asarray(dec_deg) * u.deg), np.int64)


def partition(pixels29: np.ndarray, n_max: int) -> list[tuple[int, int, int]]:
    """Pixels, as large as possible, of at most `n_max` rows each.

    Parameters
    ----------
    pixels29 : (n,) int64 array
        Pixels of order 29 of the rows.
    n_max : int
        Rows that a pixel may have, unless it is of the highest order, 10.

    Returns
    -------
    list of (order, pixel, n_rows)
        Disjoint, without empty ones, in the order of the sky.
    """
    fine, counts = np.unique(pixels29 >> 2 * (29 - MAX_ORDER), return_counts=True)
    return list(_split(0, fine, counts, n_max))


def _split(order: int, fine: np.ndarray, counts: np.ndarray, n_max: int) -> Iterator[tuple[int, int, int]]:
    coarse = fine >> 2 * (MAX_ORDER - order)
    for pixel in np.unique(coarse):
        inside = coarse == pixel
        n_rows = int(counts[inside].sum())
        if n_rows <= n_max or order == MAX_ORDER:
            yield order, int(pixel), n_rows
        else:
            yield from _split(order + 1, fine[inside], counts[inside], n_max)


def export_hats(connection: duckdb.DuckDBPyConnection, directory: Path, name: str, n_max: int | None = None) -> int:
    """Write one of `EXPORTS` as a HATS catalogue.

    Parameters
    ----------
    connection : duckdb connection
    directory : Path
        New directory; it appears when it is complete.
    name : str
        A key of `EXPORTS`.
    n_max : int, optional
        Rows of a file at most; by default `ROWS_PER_FILE`.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    BecatError
        The directory exists, or there is no row with a position.
    """
    if directory.exists():
        raise BecatError(f"{directory} exists already: choose another name or delete it first")
    key, query = EXPORTS[name]
    where = connection.execute(f"select {key}, ra_deg, dec_deg from ({query}) where ra_deg is not null").fetchnumpy()
    if not len(where[key]):
        raise BecatError(f"there is nothing to export: no row of {name} has a position")
    pixels29 = healpix29(np.asarray(where["ra_deg"]), np.asarray(where["dec_deg"]))
    pieces = partition(pixels29, n_max or ROWS_PER_FILE[name])
    unfinished = directory.with_name(directory.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "dataset").mkdir(parents=True)
    connection.register("hats_place", pa.table({key: where[key], POSITION: pixels29}))
    _write_files(connection, f"from ({query}) q join hats_place using ({key})", pieces, unfinished / "dataset", name)
    connection.unregister("hats_place")
    _write_partition_info(unfinished / "partition_info.csv", pieces)
    _write_properties(unfinished, name, pieces)
    unfinished.rename(directory)
    return len(pixels29)


def _write_files(connection, rows: str, pieces: list[tuple[int, int, int]], dataset: Path, name: str) -> None:
    """A file a pixel, and the files that tell of them all."""
    footers = []
    schema = None
    for order, pixel, _ in tqdm(pieces, desc=f"exporting {name}", unit=" files", disable=None):
        shift = 2 * (29 - order)
        table = connection.execute(
            f"select {POSITION}, q.* {rows} where {POSITION} between ? and ? order by {POSITION}",
            [pixel << shift, (pixel + 1 << shift) - 1],
        ).to_arrow_table(ROWS_PER_FILE["flux_red"])
        schema = schema or table.schema
        path = Path(f"Norder={order}", f"Dir={pixel // 10_000 * 10_000}", f"Npix={pixel}.parquet")
        (dataset / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, dataset / path, compression="zstd", metadata_collector=footers)
        except RuntimeError as error:  # pyarrow asks for the footer of a file that could not be written
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
        footers[-1].set_file_path(path.as_posix())
    pq.write_metadata(schema, dataset / "_common_metadata")
    pq.write_metadata(schema, dataset / "_metadata", metadata_collector=footers)


def _write_partition_info(path: Path, pieces: list[tuple[int, int, int]]) -> None:
    lines = [f"{order},{pixel},{n_rows}" for order, pixel, n_rows in pieces]
    path.write_text("\n".join(["Norder,Npix,num_rows", *lines, ""]))


def _write_properties(directory: Path, name: str, pieces: list[tuple[int, int, int]]) -> None:
    orders = [order for order, _, _ in pieces]
    size_kb = sum(path.stat().st_size for path in directory.rglob("*.parquet")) // 1024
    entries = {
        "obs_collection": f"becat_{name}",
        "dataproduct_type": "object",
        "hats_nrows": sum(n_rows for _, _, n_rows in pieces),
        "hats_col_ra": "ra_deg",
        "hats_col_dec": "dec_deg",
        "hats_col_healpix": POSITION,
        "hats_col_healpix_order": 29,
        "hats_max_rows": max(n_rows for _, _, n_rows in pieces),
        "hats_order": max(orders),
        "moc_sky_fraction": f"{sum(1 / (12 * 4**order) for order in orders):0.5f}",
        "hats_builder": f"becat {becat_version()}",
        "hats_creation_date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%MUTC}",
        "hats_estsize": size_kb,
        "hats_release_date": "2024-09-18",
        "hats_version": "v0.1",
    }
    text = "".join(f"{key}={value}\n" for key, value in entries.items())
    for file in ("properties", "hats.properties"):
        (directory / file).write_text(f"#HATS catalog\n{text}")
