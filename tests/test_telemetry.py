"""Nothing that becat loads tells anybody of it."""

from __future__ import annotations

import os
import subprocess
import sys


def test_the_classifier_leaves_no_mark_of_the_machine(tmp_path):
    code = "from becat.models.score import Scorer; import time; Scorer(); time.sleep(1)"
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code], env=kept | home, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if "icrosoft" in str(path) or "onnxruntime" in str(path)] == []
