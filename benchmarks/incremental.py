"""Random histories of a catalogue against one fresh run: files come, change, go and come back, values are withdrawn, runs killed.

    python -m benchmarks.incremental [--sequences 200] [--seed 1] [--steps 6]

Each sequence is a folder of simulated spectra with its configuration. A step adds, copies, changes, damages, renames or removes a
file, writes or removes a release's catalogue, a table of positions or an archive, changes a threshold, runs becat, or runs it in
a process that gets SIGKILL at a random moment: while the catalogue is created, too. At its end what is missing is
forgotten, becat runs once more, and every table is compared, row by row, with that of a new catalogue which one run makes of the
same folder; a run after that must find nothing to do. Exit 1 where a table differs; the steps of that sequence are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits

from becat.demo_archives import write_demo_archives
from becat.etl import score
from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.forget import chosen, forget
from becat.pipeline import Configuration, run_pipeline
from becat.schema import build
from becat.schema.parameters import change
from becat.schema.tables import TABLES
from becat.simulate.survey import write_survey

load_models = score.load
# A score that was given stays when its spectrum does not reach the classifier any more: no view asks for it.
MAY_HAVE_MORE = {"main.be_score", "main.missing_result"}
RUN_COLUMNS = {"run_id", "modified_ns"}  # by which run a row was written, and when a file that is the same was touched
LOGS = {"etl_run", "table_checksum"}
NEAR_ARCSEC = (0.0, 1.3, 2.6, 5.0, 15.0)  # places of the stars: more and fewer are one, as the radius is
THRESHOLDS = {
    "star_radius_arcsec": (1.0, 2.0, 4.0),
    "star_radius_other_arcsec": (1.0, 20.0),
    "ew_halpha_band_min_a": (6548.0, 6549.0),
    "bands_follow_velocity": (0.0, 1.0),
    "be_probability_min": (0.5, 0.9),
    "gaia_radius_max_arcsec": (0.5, 1.0),
}
ARCHIVES = ("tmass", "gaia", "gaia_distance", "hou_2016", "cantat_gaudin_2018", "dias_2021", "skiff_2014")
NAMES = ("a", "b", "sub/c", "sub/d", "x", "y", "z")


class Material:
    """Files from which the sequences take theirs, made once: spectra in several forms, and archives, whole and in part."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        stars = [
            {"designation": f"star {i}", "ra_deg": 85.0 + arcsec / 3600, "dec_deg": 0.0, "n_epochs": 2}
            for i, arcsec in enumerate(NEAR_ARCSEC)
        ]
        write_survey(folder, n=3, seed=seed, stars=stars)
        self.spectra = sorted((folder / "spectra").iterdir())
        for path in [path for path in self.spectra if path.name.startswith("med")][:6]:
            self.spectra += [_variant(path, "other", _brighter), _variant(path, "bare", _without_snr)]
        self.obsids = [int(n) for n in pd.read_csv(folder / "truth.csv")["obsid"]]
        self.archives = write_demo_archives(folder / "archives", folder / "truth.csv")


def _variant(path: Path, word: str, change_arms: Callable) -> Path:
    made = path.with_name(f"{word}-{path.name}")
    with fits.open(path) as hdus:
        change_arms([hdu for hdu in hdus if hdu.name.startswith("COADD")])
        hdus.writeto(made)
    return made


def _brighter(arms) -> None:
    arms[-1].data["FLUX"] *= 1.01


def _without_snr(arms) -> None:
    for hdu in arms:
        del hdu.header["SNR"]


class History:
    """One folder and what happens to it; every step is a method whose name begins with ``do_``."""

    def __init__(self, folder: Path, material: Material, template: Path, seed: int) -> None:
        self.folder, self.material, self.template = folder, material, template
        self.random = random.Random(seed)
        self.steps: list[str] = []
        self.thresholds: dict[str, float] = {}
        self.archives: dict[str, Path] = {}
        self.catalogues: set[str] = set()
        self.seconds_a_run = 3.0
        (folder / "spectra" / "sub").mkdir(parents=True)
        for _ in range(3):
            self.do_add()

    def step(self) -> None:
        doings = [name for name in dir(self) if name.startswith("do_")]
        more_often = ["do_add", "do_release", "do_run", "do_run", "do_kill"]
        name = self.random.choice(doings + more_often)
        self.steps.append(name)
        getattr(self, name)()

    def _files(self) -> list[Path]:
        return sorted(path for path in (self.folder / "spectra").rglob("*.fits*") if path.is_file())

    def _some_file(self) -> Path | None:
        found = self._files()
        return self.random.choice(found) if found else None

    def _new_place(self, like: Path) -> Path:
        ending = ".fits.gz" if like.name.endswith(".gz") else ".fits"
        return self.folder / "spectra" / f"{self.random.choice(NAMES)}{self.random.randrange(3)}{ending}"

    def _note(self, *words: object) -> None:
        self.steps[-1:] = [" ".join(map(str, (*self.steps[-1:], *words)))]

    def do_add(self) -> None:
        source = self.random.choice(self.material.spectra)
        place = self._new_place(source)
        shutil.copyfile(source, place)
        self._note(source.name, place.name)

    def do_copy(self) -> None:
        if source := self._some_file():
            place = self._new_place(source)
            self._note(source.name, place.name)
            if place != source:
                shutil.copyfile(source, place)

    def do_damage(self) -> None:
        if path := self._some_file():
            path.write_bytes(path.read_bytes()[:-3000])
            self._note(path.name)

    def do_remove(self) -> None:
        if path := self._some_file():
            path.unlink()
            self._note(path.name)

    def do_rename(self) -> None:
        if path := self._some_file():
            place = self._new_place(path)
            self._note(path.name, place.name)
            path.rename(place)

    def do_release(self) -> None:
        """A general and a stellar-parameter catalogue of some of the spectra, or one of them taken out again."""
        name = self.random.choice(["dr9_general.csv", "dr10_general.csv", "dr10_stellar.csv"])
        if name in self.catalogues and self.random.random() < 0.4:
            self.catalogues.discard(name)
            self._note(name, "taken out")
            return
        lines = ["obsid|lmjm|band|coadd|snr|teff_lasp|teff_lasp_err|rv_br0"]
        for obsid in self.random.sample(self.material.obsids, len(self.material.obsids) // 2):
            for band in "BR":
                snr = self.random.choice(["-9999", "30.5", "99.0"])
                teff = self.random.choice(["-9999", "12000", "9000"]) if "stellar" in name else "-9999"
                lines.append(f"{obsid}|0|{band}|1|{snr}|{teff}|50|{self.random.choice(['-9999', '12.5', '-40'])}")
        (self.folder / name).write_text("\n".join(lines) + "\n")
        self.catalogues.add(name)
        self._note(name)

    def do_positions(self) -> None:
        table = self.folder / "spectra" / "positions.csv"
        if table.exists() and self.random.random() < 0.4:
            table.unlink()
            return
        rows = [f"{path.name},{85 + self.random.choice(NEAR_ARCSEC) / 3600},0.0" for path in self._files()[:3]]
        table.write_text("\n".join(["file,ra,dec", *rows]) + "\n")

    def do_archive(self) -> None:
        name = self.random.choice(ARCHIVES)
        if name in self.archives and self.random.random() < 0.5:
            del self.archives[name]
            self._note(name, "taken out")
            return
        path = self.material.archives[name]
        if path.suffix == ".parquet" and self.random.random() < 0.3:
            part = self.folder / path.name
            pd.read_parquet(path).iloc[::2].to_parquet(part)
            path = part
        self.archives[name] = path
        self._note(name, path.parent.name)

    def do_threshold(self) -> None:
        name = self.random.choice(list(THRESHOLDS))
        self.thresholds[name] = self.random.choice(THRESHOLDS[name])
        self._note(name, self.thresholds[name])
        if self.catalogue.exists():
            with open_catalogue(self.catalogue) as connection:
                change(connection, {name: self.thresholds[name]})

    def do_forget(self) -> None:
        if self.catalogue.exists():
            with open_catalogue(self.catalogue) as connection:
                forget(connection, [one.file for one in chosen(connection, [], missing=True)])

    def do_run(self) -> None:
        started = time.monotonic()
        self.run(self.catalogue)
        self.seconds_a_run = max(time.monotonic() - started, 0.5)

    def do_kill(self) -> None:
        """A run in a process of its own that is killed; the first one finds no catalogue, and is killed while it makes one."""
        is_new = not self.catalogue.exists()
        after_s = self.random.uniform(0, 5.0 if is_new else min(self.seconds_a_run, 5.0))
        if is_new and self.random.random() < 0.7:
            shutil.copyfile(self.template, self.catalogue)
            self._set_thresholds(self.catalogue)
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                score.load = load_models  # their threads did not come along
                self.run(self.catalogue)
            os._exit(0)
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._note(f"after {after_s:.2f} s")
        if is_new and self.catalogue.exists():
            self._set_thresholds(self.catalogue)

    @property
    def catalogue(self) -> Path:
        return self.folder / "grown.duckdb"

    def _set_thresholds(self, catalogue: Path) -> None:
        with open_catalogue(catalogue) as connection:
            change(connection, self.thresholds)

    def run(self, catalogue: Path) -> str:
        """`becat run` in this process; what it says."""
        if not catalogue.exists() and catalogue.stem == "fresh":
            shutil.copyfile(self.template, catalogue)
            self._set_thresholds(catalogue)
        configuration = Configuration(
            catalog=catalogue,
            spectra=[self.folder / "spectra"],
            release_catalogues=sorted(self.folder / name for name in self.catalogues),
            archives=dict(self.archives),
            workers=1,
        )
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            run_pipeline(configuration)
        return said.getvalue()

    def differences(self) -> list[str]:
        """Finish, and compare with a fresh run: names of tables with some of the rows that differ."""
        if self.catalogue.exists():
            self._set_thresholds(self.catalogue)
        self.do_forget()
        if not self.catalogue.exists():
            shutil.copyfile(self.template, self.catalogue)
            self._set_thresholds(self.catalogue)
        self.run(self.catalogue)
        fresh = self.folder / "fresh.duckdb"
        self.run(fresh)
        found = compare(self.catalogue, fresh)
        if "nothing is new or stale" not in (said := self.run(self.catalogue)):
            found.append(f"the run after the last found something to do: {said}")
        return found


def rows(catalogue: Path) -> dict[str, dict[tuple, dict]]:
    """Every row of every table by its key, without what tells the run; a row of an archive is its own key."""
    with open_catalogue(catalogue, read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not temporary order by all"
        ).fetchall()
        found = {}
        for schema, table in tables:
            if table in LOGS:
                continue
            rows = connection.execute(f'select * from {schema}."{table}"').to_arrow_table().to_pylist()
            kept = [{name: value for name, value in row.items() if name not in RUN_COLUMNS} for row in rows]
            key = [column.name for column in TABLES[table].primary_key] if schema == "main" else []
            name = f"{schema}.{table}"
            found[name] = {tuple(row[k] for k in key) or (str(row),): row for row in kept}
            assert len(found[name]) == len(kept), f"{name} has a row twice"
        return found


def _same(one: object, other: object) -> bool:
    """Whether two values are the same; sums of 4-byte numbers differ in their last digits with the batch that they are in."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=isinstance(one[0], float))
    return one == other


def compare(one: Path, other: Path) -> list[str]:
    """Names of the tables whose rows are not the same, each with what differs in the first of them."""
    mine, theirs = rows(one), rows(other)
    found = []
    for table in sorted(mine.keys() | theirs.keys()):
        a, b = mine.get(table, {}), theirs.get(table, {})
        if table in MAY_HAVE_MORE:
            a = {key: row for key, row in a.items() if key in b}
        for word, only in ((one.stem, a.keys() - b.keys()), (other.stem, b.keys() - a.keys())):
            found += [f"{table}: only in {word}: {str(key)[:300]}" for key in sorted(only, key=str)[:2]]
        for key in sorted(a.keys() & b.keys(), key=str):
            differing = [name for name in a[key] if not _same(a[key][name], b[key].get(name))]
            if differing:
                values = ", ".join(f"{n}: {str(a[key][n])[:80]} | {str(b[key].get(n))[:80]}" for n in differing[:6])
                found.append(f"{table} {key}: {values}")
                break
    return found


def play(n_sequences: int, n_steps: int, seed: int, tell: Callable[[str], None] = print) -> int:
    """Number of sequences that did not end as a fresh run."""
    score.load = cache(load_models)  # one session for all runs
    n_wrong = 0
    with tempfile.TemporaryDirectory() as place:
        material, template = Material(Path(place, "material")), Path(place, "template.duckdb")
        build.create(template)
        for i in range(n_sequences):
            history = History(Path(place, str(i)), material, template, seed * 100_000 + i)
            for _ in range(n_steps):
                history.step()
            if wrong := history.differences():
                n_wrong += 1
                tell(f"sequence {i} ({'; '.join(history.steps)}):\n  " + "\n  ".join(wrong[:12]))
            shutil.rmtree(history.folder)
            if (i + 1) % 10 == 0:
                tell(f"{i + 1} sequences, {n_wrong} did not end as a fresh run")
    score.load = load_models
    return n_wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    n_wrong = play(options.sequences, options.steps, options.seed, lambda words: print(words, flush=True))
    print(f"{n_wrong} of {options.sequences} sequences did not end as a fresh run ({time.monotonic() - started:.0f} s)")
    sys.exit(bool(n_wrong))


if __name__ == "__main__":
    main()
