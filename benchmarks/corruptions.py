"""How many of 40 accidents, and of careless statements of SQL, does `becat verify` see?

    python -m benchmarks.corruptions [--catalogue CATALOGUE] [--sample 20]

Each is planted by itself into a copy of a healthy catalogue: by default one of the demo with 120 spectra, made in a temporary folder
and judged once by eye. Prints which check saw what, and how long `verify` took; exit 1 where the healthy catalogue fails, or fewer than 38 are seen.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import duckdb

from becat.demo import run_demo
from becat.etl.catalogue.connection import Run, open_catalogue
from becat.verify import verify

__all__ = ["CORRUPTIONS", "healthy"]

GOAL = 38
ONE = "(select spectrum_id from spectrum order by hash(spectrum_id) limit 1)"
TWO = "(select spectrum_id from spectrum order by hash(spectrum_id) limit 2)"
STAR = "(select star_id from star order by hash(star_id) limit 1)"
# What happened, and the SQL that does it; those of the report of 28 November 2026 first.
CORRUPTIONS = {
    "MJD of a spectrum 100 days later": f"update spectrum set mjd = mjd + 100 where spectrum_id = {ONE}",
    "right ascension of a star 1 degree more": f"update star set ra_deg = ra_deg + 1 where star_id = {STAR}",
    "declination of a spectrum negated": f"update spectrum set dec_deg = -dec_deg where spectrum_id = {ONE}",
    "S/N of all spectra doubled": "update spectrum set snr_r = 2 * snr_r",
    "T_eff of a spectrum 1 K more": f"update spectrum set teff_k = coalesce(teff_k, 9000) + 1 where spectrum_id = {ONE}",
    "EW(H-alpha) of a spectrum 5 Angstrom less": "update line_measurement set ew_halpha_a = ew_halpha_a - 5"
    f" where spectrum_id = {ONE}",
    "probabilities inverted": "update be_score set be_probability = 1 - be_probability",
    "half the measurements deleted": "delete from line_measurement where hash(spectrum_id) % 2 = 0",
    "one pixel of flux changed": "update flux_red set flux = list_transform(flux, (f, i) -> case when i = 2000"
    f" then f + 0.001 else f end)::float[4001] where spectrum_id = {ONE}",
    "two stars merged": f"update spectrum set star_id = {STAR} where spectrum_id in {TWO}",
    "a view dropped": "drop view runaway",
    "a threshold deleted": "delete from selection_parameter where name = 'be_probability_min'",
    "a literature match deleted": "delete from literature_match where rowid = (select min(rowid) from literature_match)",
    "all matches deleted": "delete from literature_match; delete from cluster_match",
    "a row of an archive changed": "update archive.gaia set parallax = 2 * parallax where rowid = (select min(rowid) from archive.gaia)",
    "a row of an archive deleted": "delete from archive.tmass where rowid = (select min(rowid) from archive.tmass)",
    "peaks moved": f"update line_measurement set peak_wavelength_a = peak_wavelength_a + 1 where spectrum_id = {ONE}",
    "inverse variance scaled": "update flux_blue set ivar = list_transform(ivar, x -> 2 * x)::float[3201]"
    f" where spectrum_id = {ONE}",
    "a mask flipped": "update flux_red set mask = list_transform(mask, m -> 1 - least(m, 1))::utinyint[4001]"
    f" where spectrum_id = {ONE}",
    "flux of two spectra exchanged": f"""update flux_red f
        set flux = o.flux, ivar = o.ivar, mask = o.mask, checksum = o.checksum
        from (select * from flux_red where spectrum_id in {TWO}) o
        where f.spectrum_id in {TWO} and o.spectrum_id <> f.spectrum_id""",
    "a velocity changed": f"update spectrum set rv_km_s = coalesce(rv_km_s, 0) + 100 where spectrum_id = {ONE}",
    "peculiar velocities changed": "update kinematics set v_tp_km_s = v_tp_km_s + 30"
    " where star_id = (select min(star_id) from kinematics)",
    "the row of the model exchanged": "update model set sha256 = reverse(sha256), be_probability_min = 0.1",
    "a model of the Galaxy changed": "update kinematic_model set u_sun_km_s = u_sun_km_s + 1 where is_default",
    "a designation changed": f"update star set designation = 'J000000.00+000000.0' where star_id = {STAR}",
    "stars of two spectra exchanged": f"""update spectrum s set star_id = o.star_id
        from (select * from spectrum where spectrum_id in {TWO}) o
        where s.spectrum_id in {TWO} and o.spectrum_id <> s.spectrum_id""",
    "judgements by eye altered": "update inspection set is_be = not is_be",
    "a macro replaced": "create or replace macro parameter(parameter_name) as (1.0)",
    "a view replaced": "create or replace view oe_star as select * from star",
    "the comment of a column lost": "comment on column spectrum.mjd is null",
    "the unit of a column changed": "comment on column astrometry.parallax_mas is 'Parallax [arcsec]'",
    "the description of a threshold changed": "update selection_parameter set unit = 'mag' where name = 'snr_min'",
    "a threshold out of its range": "update selection_parameter set value = -5 where name = 'be_probability_min'",
    "a row of an archive doubled": "insert into archive.gaia from archive.gaia limit 1",
    "a row of a release catalogue changed": "update release_entry set snr_r = snr_r + 50"
    " where rowid = (select max(rowid) from release_entry)",
    "magnitudes of two bands exchanged": "update photometry set j_mag = k_mag, k_mag = j_mag",
    "reddening halved": "update reddening set ebv_mag = ebv_mag / 2",
    "a spectral type changed": "update spectral_type set spectral_type = 'O9 V' where rowid = (select min(rowid) from spectral_type)",
    "the version of a run changed": "update etl_run set code_version = 'x' where command = 'measure'",
    "wavelengths of the grid shifted": "update wavelength_grid set wavelength_a = wavelength_a + 0.2 where arm = 'red'",
}


def healthy(folder: Path, n_spectra: int = 120) -> Path:
    """A catalogue of the demo, with a judgement by eye."""
    run_demo(folder, n_spectra=n_spectra)
    path = folder / "catalog.duckdb"
    with open_catalogue(path) as connection, Run(connection, "take in inspections") as run:
        connection.execute(
            "insert into inspection by name select star_id::text as inspection_id, star_id, 'Ada' as inspector, true as is_be,"
            " ? as run_id from star limit 3",
            [run.run_id],
        )
    return path


def _seen(path: Path, n_sample: int) -> tuple[list[str], float]:
    start = time.process_time()
    with open_catalogue(path, read_only=True) as connection:
        found = [finding.check for finding in verify(connection, n_sample)]
    return found, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="How many of 40 accidents does `becat verify` see?")
    parser.add_argument(
        "--catalogue", type=Path, help="Healthy catalogue, which is copied; by default one of the demo."
    )
    parser.add_argument("--sample", type=int, default=20, help="Spectra that verify reads again.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        source = arguments.catalogue or healthy(Path(temporary, "demo"))
        found, seconds = _seen(source, arguments.sample)
        print(f"healthy: {', '.join(found) or 'nothing found'} ({seconds:.1f} s CPU)")
        n_seen = 0
        for what, sql in CORRUPTIONS.items():
            path = Path(temporary, "corrupt.duckdb")
            shutil.copy(source, path)
            with duckdb.connect(str(path)) as connection:
                if connection.execute(sql).fetchall() == [(0,)]:
                    raise SystemExit(f"{what}: no row of this catalogue was changed")
            seen, seconds = _seen(path, arguments.sample)
            n_seen += bool(seen)
            print(f"{what}: {'; '.join(seen) or 'NOT SEEN'} ({seconds:.1f} s CPU)", flush=True)
            path.unlink()
    print(f"{n_seen} of {len(CORRUPTIONS)} seen")
    raise SystemExit(bool(found) or n_seen < GOAL)


if __name__ == "__main__":
    main()
