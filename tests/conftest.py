"""Fixtures shared by all tests."""

from __future__ import annotations

import os

# As the command sets it, before numpy is loaded: threads of BLAS that wait for each other more than double the processor time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
import gc
import shutil
from pathlib import Path

import pytest

from becat.etl.catalogue.connection import open_catalogue
from tests.tools import view_rows
from tests.tools.pipeline_tools import new_catalogue

ROOT = Path(__file__).resolve().parent.parent
LONG = ("crash", "demo", "docs", "incremental", "lamost_run", "models_evaluate", "models_train", "report", "report_figures", "run",
        "selection", "simulate", "site", "verify", "vo_services")  # fmt: skip


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that no process is left with one when the others have ended."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


def pytest_collection(session):
    """What tests import stays: Python need not look through it for what nobody needs, again and again."""
    gc.disable()


def pytest_collection_finish(session):
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers(config):
    """One process more than there are cores: for a tenth of their time tests wait for servers and programs."""
    return (os.cpu_count() or 1) + 1


def pytest_make_parametrize_id(config, val, argname):
    """Name packed bytes after their argument: gzip holds the time, and all processes must collect the same names."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real spectra and catalogues; the test is skipped where it is absent."""
    folder = Path(os.environ.get("BECAT_REAL_DATA", ROOT / ".." / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set BECAT_REAL_DATA")
    return folder.resolve()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def loop():
    """An event loop, for what is awaited by tests that are not."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """An empty catalogue, made once; to be copied, not written to."""
    return new_catalogue(tmp_path_factory.mktemp("blank") / "c.duckdb")


@pytest.fixture
def catalogue(blank, tmp_path):
    """A connection to an empty catalogue of the test's own; test files with stars or spectra have one of theirs."""
    shutil.copy(blank, tmp_path / "c.duckdb")
    with open_catalogue(tmp_path / "c.duckdb") as connection:
        yield connection


@pytest.fixture(scope="module")
def rows_of_views(tmp_path_factory):
    """A catalogue without stars, for all tests of a file."""
    with view_rows.catalogue(tmp_path_factory.mktemp("views") / "c.duckdb") as connection:
        yield connection


@pytest.fixture
def con(rows_of_views):
    """The file's catalogue; what a test writes there is taken back after it."""
    rows_of_views.execute("begin")
    yield rows_of_views
    rows_of_views.execute("rollback")
