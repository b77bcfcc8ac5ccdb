"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real spectra and catalogues; the test is skipped where it is absent."""
    folder = Path(os.environ.get("BECAT_REAL_DATA", ROOT / ".." / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set BECAT_REAL_DATA")
    return folder.resolve()
