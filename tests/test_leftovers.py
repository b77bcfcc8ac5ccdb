"""What a killed publication or server leaves beside the snapshot goes with the next; what lives stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from becat.publish.snapshot import write as snapshot
from becat.schema import leftovers
from tests.tools.site_fixture import make_catalogue

ROOT = Path(__file__).resolve().parent.parent
HOLD = """
import sys, tempfile, time
from pathlib import Path
from becat.schema.leftovers import own_prefix
path = Path(sys.argv[1])
path.with_name(own_prefix(path) + "tmp").write_text("half")
folder = Path(tempfile.mkdtemp(prefix=own_prefix(path), dir=path.parent))
(folder / "catalog.sqlite").write_text("linked")
print("ready", flush=True)
time.sleep(600)
"""


SCRATCH = """
import time
from becat.schema.leftovers import scratch
with scratch("becat-test") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def hold(path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


def test_a_killed_process_leaves_nothing_beyond_the_next_snapshot(tmp_path):
    out = tmp_path / "catalog.sqlite"
    killed, living = hold(out), hold(out)
    killed.kill()
    killed.wait()
    other = tmp_path / ".catalog.sqlite.notes"
    other.write_text("somebody's own")
    try:
        assert len([path for path in tmp_path.iterdir() if f".{killed.pid}." in path.name]) == 2
        snapshot.write(make_catalogue(tmp_path / "c.duckdb", n_stars=20), out, progress=False)
        left = {path.name for path in tmp_path.iterdir()}
        assert not [name for name in left if f".{killed.pid}." in name]
        assert len([name for name in left if f".{living.pid}." in name]) == 2
        assert other.name in left and out.name in left
        assert not [name for name in left if name.startswith(leftovers.own_prefix(out))]
    finally:
        living.kill()
        living.wait()


def test_a_killed_process_leaves_nothing_among_the_temporary_files_beyond_the_next(tmp_path, monkeypatch):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    words = [sys.executable, "-c", SCRATCH]
    killed = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert killed.stdout
    left = Path(killed.stdout.readline().strip())
    killed.kill()
    killed.wait()
    assert left.is_dir() and left.parent == tmp_path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with leftovers.scratch("becat-test") as folder:
        assert [*tmp_path.iterdir()] == [folder]
    assert [*tmp_path.iterdir()] == []
