"""The infrared criteria on the observed colours of the H-alpha emission stars of Hou et al. 2016.

    python -m benchmarks.hou_infrared [FILE]

The stars (LAMOST DR2, classed by Hou et al. from profile, infrared colours and surroundings) go through the view
`infrared_class` of a new catalogue, once with no reddening and once with one value of E(B-V) for all. FILE is
`catalogues/hou_2016_subset.csv` of the folder BECAT_REAL_DATA (default `../shared/real` from the project's root).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import duckdb

from becat.schema import build

DEFAULT = Path(os.environ.get("BECAT_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "real"))
FILE = DEFAULT / "catalogues" / "hou_2016_subset.csv"
EBV_MAG = (0.0, 0.5, 1.0)
HEADER = """\
| label of Hou et al. | rows | stars | E(B-V) | classical Be | neither | Herbig Ae/Be | no H, K or W1 |
|---|---:|---:|---:|---:|---:|---:|---:|"""


def load(connection: duckdb.DuckDBPyConnection, file: str | Path) -> None:
    """Put the stars of the list, each once, into `star` and `photometry`, their labels into the table `label`."""
    connection.execute(
        """
        create temp table label as
        select row_number() over (order by ID) as star_id, objtype_Hou as label, count(*) over (partition by ID) as n_rows, *
        from read_csv(?)
        where objtype_Hou is not null
        qualify row_number() over (partition by ID) = 1
        """,
        [str(file)],
    )
    connection.execute(
        "insert into star by name select star_id, ID as designation, RAJ2000 as ra_deg, DEJ2000 as dec_deg,"
        " false as is_simulated from label"
    )
    connection.execute(
        "insert into photometry by name select star_id, h as h_mag, h_err as e_h_mag, k as k_mag, k_err as e_k_mag,"
        " w1 as w1_mag, w1_err as e_w1_mag from label"
    )


def confusion(connection: duckdb.DuckDBPyConnection, ebv_mag: float) -> list[tuple]:
    """Label, rows of the list, stars, E(B-V), and the number of stars by infrared class, at one E(B-V) for all."""
    connection.execute("delete from reddening")
    connection.execute("insert into reddening by name select star_id, ? as ebv_mag from star", [ebv_mag])
    return connection.execute(
        """
        select label, sum(n_rows), count(*), ?,
            count(*) filter (infrared_class = 'classical Be'),
            count(*) filter (infrared_class = 'neither'),
            count(*) filter (infrared_class = 'Herbig Ae/Be'),
            count(*) filter (infrared_class is null)
        from label left join infrared_class using (star_id)
        group by label
        """,
        [ebv_mag],
    ).fetchall()


def table(file: str | Path) -> str:
    """The confusion table, in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hou.duckdb"
        build.create(path)
        with duckdb.connect(str(path)) as connection:
            load(connection, file)
            rows = sorted(row for ebv_mag in EBV_MAG for row in confusion(connection, ebv_mag))
    return "\n".join([HEADER, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def main() -> None:
    """Print the confusion table."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    if not file.is_file():
        sys.exit(f"no file {file}: give it, or set BECAT_REAL_DATA")
    print(table(file))


if __name__ == "__main__":
    main()
