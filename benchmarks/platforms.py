"""Which platforms have wheels of everything that becat needs: `python -m benchmarks.platforms` writes docs/platforms.md.

pip resolves pyproject.toml under constraints.txt for each platform and Python, from wheels alone, and installs nothing. Its
`--platform` chooses wheels but leaves environment markers as on this machine, so they are set to the platform's here.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "platforms.md"
PYTHONS = ("3.11", "3.12", "3.13")
PATCH = 9  # some packages want a later Python than the first of its line
TIMEOUT_S = 300
GLIBC = ("2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")  # of Debian 10, RHEL 8 and what came before them
# Name: platform tags, and what environment markers see.
PLATFORMS = {
    "Linux x86-64": ([f"manylinux_{v}_x86_64" for v in GLIBC], "linux", "Linux", "x86_64", "posix"),
    "Linux arm64": ([f"manylinux_{v}_aarch64" for v in GLIBC], "linux", "Linux", "aarch64", "posix"),
    "macOS arm64": (["macosx_14_0_arm64"], "darwin", "Darwin", "arm64", "posix"),
    "Windows x86-64": (["win_amd64"], "win32", "Windows", "AMD64", "nt"),
}
PIP = """
import json, sys
from pip._vendor.packaging import markers
of_this_machine, target = markers.default_environment(), json.loads(sys.argv.pop(1))
markers.default_environment = lambda: {**of_this_machine, **target}
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def requirements() -> dict[str, list[str]]:
    """What the default install needs, and what the extras do that are no matter of gigabytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return {"becat": project["dependencies"]} | {f"extra {name}": extras[name] for name in ("reddening", "cluster")}


def resolve(wanted: list[str], name: str, python: str, cache: str) -> tuple[dict[str, str], str]:
    """Versions that pip would install, and what it says where it can resolve nothing."""
    tags, sys_platform, system, machine, os_name = PLATFORMS[name]
    markers = {
        "sys_platform": sys_platform, "platform_system": system, "platform_machine": machine, "os_name": os_name,
        "python_version": python, "python_full_version": f"{python}.{PATCH}",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = [
            "--dry-run",
            "--ignore-installed",
            "--only-binary=:all:",
            "--target",
            folder,
            "--report",
            str(report),
        ]
        options += [
            "--python-version",
            f"{python}.{PATCH}",
            "--implementation",
            "cp",
            "-c",
            str(ROOT / "constraints.txt"),
        ]
        options += [word for tag in tags for word in ("--platform", tag)]
        command = [sys.executable, "-c", PIP, json.dumps(markers), "install", *options, *wanted]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return {}, f"pip took more than {TIMEOUT_S} s"
        if run.returncode:
            said = run.stdout + run.stderr
            lacking = re.search(r"have no matching distributions available for your environment:\s+(\S.*)", said)
            errors = re.findall(r"^ERROR: (.*)", said, re.MULTILINE)
            return {}, f"no wheel of {lacking[1]}" if lacking else (errors or ["pip gives no reason"])[0]
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in items}, ""


def _cell(found: dict[str, str], error: str) -> str:
    runtime = "".join(f", {name} {version}" for name, version in found.items() if name.startswith("onnxruntime"))
    return f"{len(found)} wheels{runtime}" if found else f"**no**: {error}"


def main() -> None:
    """Resolve for every platform and write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:  # indexes that serve no metadata send whole wheels: each of them once
        for label, wanted in requirements().items():
            for name in PLATFORMS:
                cells = [_cell(*resolve(wanted, name, python, cache)) for python in PYTHONS]
                print(label, name, *cells, sep=" | ", flush=True)
                rows.append(f"| {label} | {name} | {' | '.join(cells)} |")
    head = f"| what | platform | {' | '.join(f'Python {python}' for python in PYTHONS)} |"
    page = PAGE.read_text(encoding="utf-8").split("<!-- table -->")[0]
    made = (
        f"<!-- table -->\nMade by `python -m benchmarks.platforms` on {datetime.now(UTC):%Y-%m-%d}, with pip of Python"
        f" {platform.python_version()} on {platform.system()} {platform.machine()}.\n"
    )
    PAGE.write_text("\n".join([page + made, head, "|---" * (2 + len(PYTHONS)) + "|", *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
