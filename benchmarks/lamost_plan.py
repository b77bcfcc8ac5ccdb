"""Plans a made release of 13 million catalogue rows, as many as DR11 has, and says how long it takes and how much memory.

    python -m benchmarks.lamost_plan [--rows N] [--keep FOLDER]

The release has a general and a stellar-parameter catalogue (gzipped text, under the columns of DR10 v2.0) of MRS files with the
coadds and one to ten exposures of both arms, on 4,000 plates. The S/N of the coadds is spread like that of the survey, and an
eighth of the good ones passes T_eff, as of the spectra of Wang et al. 2022 (286,501 of 2,260,387). The plan runs in a process of
its own, on two cores. Goals (exit 1 where one is missed): a minute of processor time, 2 GB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from becat.schema import build

N_ROWS = 13_156_050  # MRS of DR11 v2.0
ROWS_A_FILE = 13  # on the average: the coadd and five or six exposures of two arms
GOAL_CPU_S, GOAL_GB = 60, 2.0
NAMES = ("dr11_v2.0_MRS_catalogue.csv.gz", "dr11_v2.0_MRS_stellar.csv.gz")

FILES = """
create table file as
select
    i as obsid, 58000 + i // 3300 % 1500 as lmjd, printf('HD%06dN%06dM01', i // 3300, i // 3300 % 900000) as planid,
    1 + i % 3300 // 207 as spid, 1 + i % 3300 % 207 as fiberid, 1 + hash(i) % 10 as n_exposures,
    360 * random() as ra, degrees(asin(-0.17 + 1.17 * random())) as dec, 9 + 6 * random() as g,
    exp(3.2 + 0.9 * sqrt(-2 * ln(random() + 1e-12)) * cos(2 * pi() * random())) as snr,
    if(random() < 0.875, 6500 + 1500 * random(), if(random() < 0.5, -9999, 3500 + 3000 * random())) as teff
from range({n_files}) as t(i)
"""
ROWS = """
create view spectrum_row as
select * replace (snr / if(coadd = 1, 1, sqrt(n_exposures)) as snr) from (
    select *, if(turn = 0, 1, 0) as coadd, lmjd * 1440 + 600 + greatest(turn, 1) * 22 as lmjm
    from (select *, unnest(range(n_exposures::bigint + 1)) as turn from (select *, unnest(['B', 'R']) as band from file))
)
"""
# The columns that a plan reads have values; the others of the 52 are filled with what many rows have.
COLUMNS = """
    obsid || '' || lmjm || band as mobsid, obsid, 'G' || obsid as uid, 605945363488930688 as gp_id,
    'J091240.85+125805.4' as designation, '2019-12-26' as obsdate, lmjd, lmjd - 1 as mjd, planid, spid, fiberid, lmjm, band,
    round(ra, 6) as ra_obs, round(dec, 6) as dec_obs, round(snr * if(band = 'B', 0.6, 1), 2) as snr,
    '605945363488930688' as gaia_source_id, round(g, 4) as gaia_g_mean_mag, round(g + 0.4, 4) as gaia_bp_mean_mag,
    round(g - 0.5, 4) as gaia_rp_mean_mag, 'Obj' as fibertype, 0 as offsets, '0.000' as offsets_v, round(ra, 6) as ra,
    round(dec, 6) as dec
"""
VELOCITIES = ", ".join(
    f"'-9999.00' as rv_{arm}{kind}, '-9999.00' as rv_{arm}{kind}_err"
    for arm in ("b", "r", "br", "lasp")
    for kind in "01"
)


def make_release(folder: Path, n_rows: int) -> list[Path]:
    """Write the two catalogues; those that are there stay."""
    paths = [folder / name for name in NAMES]
    if all(path.is_file() for path in paths):
        return paths
    with duckdb.connect(str(folder / "made.duckdb")) as connection:
        connection.execute("set memory_limit = '2GB'; select setseed(0.5)")
        connection.execute(FILES.format(n_files=n_rows // ROWS_A_FILE))
        connection.execute(ROWS)
        last = "0 as fibermask, 0 as bad_b, 0 as bad_r, 50.5 as moon_angle, 12 as lunardate, 0 as moon_flg, 'non' as subproject"
        general = f"select {COLUMNS}, {VELOCITIES}, coadd, {last} from spectrum_row limit {n_rows}"
        stellar = f"select {COLUMNS}, round(teff, 2) as teff_lasp, {VELOCITIES}, coadd from spectrum_row where coadd = 1 and teff > 0"
        for path, query in zip(paths, (general, stellar), strict=True):
            part = path.with_suffix(".part")
            connection.execute(f"copy ({query}) to '{part}' (format csv, delimiter '|', header, compression gzip)")
            part.replace(path)
    (folder / "made.duckdb").unlink()
    return paths


def plan(catalog: Path, paths: list[Path]) -> int:
    """Plan in this process, and print what it took."""
    from becat.etl.catalogue.connection import open_catalogue
    from becat.etl.lamost.plan import make_plan
    from becat.etl.lamost.wishes import Wishes
    from becat.schema.releases import find, shipped

    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.monotonic()
    with open_catalogue(catalog) as connection:
        connection.execute("set threads = 2")
        for line in make_plan(connection, paths, find(shipped(), "dr11", "v2.0"), "mrs", Wishes()).lines():
            print(line)
    wall_s = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    gigabytes = after.ru_maxrss * 1024 / 1e9
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"plan: {wall_s:.1f} s, {cpu_s:.1f} s of processors, {gigabytes:.2f} GB at most; load {load}")
    return int(cpu_s > GOAL_CPU_S or gigabytes > GOAL_GB)


def main() -> int:
    """Make the release, plan it, and say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=N_ROWS, help="rows of the general catalogue")
    parser.add_argument("--keep", type=Path, help="folder for the catalogues, which stay there for another run")
    parser.add_argument("--plan", nargs=3, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plan:
        return plan(given.plan[0], given.plan[1:])
    with tempfile.TemporaryDirectory(prefix="becat-") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        paths = make_release(folder, given.rows)
        print(f"made: {', '.join(f'{path.name} {path.stat().st_size / 1e6:,.0f} MB' for path in paths)}", flush=True)
        catalog = Path(scratch, "catalog.duckdb")
        build.create(catalog)
        command = [sys.executable, "-m", "benchmarks.lamost_plan", "--plan", str(catalog), *map(str, paths)]
        return subprocess.run(command, cwd=Path(__file__).resolve().parent.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
