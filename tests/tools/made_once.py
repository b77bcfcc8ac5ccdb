"""What several test files need and take long to make is made once in a test run, by the process that asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from becat.publish.snapshot import write as snapshot
from tests.tools.pipeline_tools import becat
from tests.tools.site_fixture import make_catalogue

__all__ = ["demo_of_150", "made_once", "site_of_its_own"]


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all test files share: to be read only, or copied.

    Parameters
    ----------
    tmp_path_factory : pytest.TempPathFactory
    name : str
        The same name is the same folder.
    make : callable
        Fills the folder that it is given.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / f"shared-{name}"
    with (base / f"shared-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


def demo_of_150(tmp_path_factory) -> Path:
    """A small demonstration in ``demo``, what it said in ``stdout`` and ``stderr``, and ``copy.duckdb``, which nobody changes."""

    def make(folder: Path) -> None:
        done = becat("demo", "--dir", folder / "demo", "--spectra", 150)
        (folder / "stdout").write_text(done.stdout)
        (folder / "stderr").write_text(done.stderr)
        shutil.copyfile(folder / "demo" / "catalog.duckdb", folder / "copy.duckdb")

    return made_once(tmp_path_factory, "demo", make)


def site_of_its_own(tmp_path_factory, n_stars: int, **words) -> Path:
    """Copies of a catalogue (catalog.duckdb) and its snapshot (catalog.sqlite) in a new folder; they are made once.

    Parameters
    ----------
    tmp_path_factory : pytest.TempPathFactory
    n_stars : int
    **words
        As `make_catalogue` takes them.
    """

    def make(folder: Path) -> None:
        catalogue = make_catalogue(folder / "catalog.duckdb", n_stars=n_stars, **words)
        snapshot.write(catalogue, folder / "catalog.sqlite", progress=False)

    told = "-".join(
        f"{key}-{''.join(map(str, value)) if isinstance(value, tuple) else value}" for key, value in words.items()
    )
    shared = made_once(tmp_path_factory, f"site-{n_stars}-{told}", make)
    return Path(shutil.copytree(shared, tmp_path_factory.mktemp("site") / "own"))
