"""The wheel: every file of the rooms is in it, under `becat`, and nothing else; unpacked elsewhere, it works."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_house import MAY_IMPORT


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Files under version control, by their paths in the checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: which files belong to it is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked, tmp_path_factory) -> Path:
    """A wheel of the tracked files alone, built without a network."""
    pytest.importorskip("setuptools", minversion="77", reason="the wheel is built with setuptools 77 or later")
    pytest.importorskip("pip", reason="the wheel is built with pip")
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked:
        target = folder / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, "-w", folder, folder / "checkout"], check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_rooms_under_becat_and_nothing_else(wheel, tracked):
    rooms = {name for name in tracked if name.split("/")[0] in MAY_IMPORT}
    expected = {name if name.startswith("becat/") else f"becat/{name}" for name in rooms}
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    metadata = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    assert held - metadata == expected
    assert any(name.endswith("/entry_points.txt") for name in metadata)


def test_unpacked_elsewhere_it_makes_a_catalogue(wheel, tmp_path):
    place = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    code = f"import sys; sys.path.insert(0, {str(place)!r}); import becat; print(becat.__file__); from becat.__main__ import main; main()"
    made = subprocess.run(
        [sys.executable, "-I", "-c", code, "init", "catalog.duckdb"], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(str(place))
    assert (tmp_path / "catalog.duckdb").stat().st_size > 0
