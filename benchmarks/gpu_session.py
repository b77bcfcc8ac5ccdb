"""All that is to be measured on a GPU, as one command that needs no network there.

    python -m benchmarks.gpu_session bring wheels/                       # with a network: what the other machine lacks
    python -m benchmarks.gpu_session run wheels/ --minutes 12            # there: install beside, measure, compare
    python -m benchmarks.gpu_session run wheels/ --minutes 12 --train resnet18/ -- --network resnet18 --teacher becat

``bring`` takes wheels of the Python version and platform named, and one of this checkout; ``--tensorrt`` adds TensorRT, ``--cuda`` CUDA and
cuDNN, for a machine that does not have them with its PyTorch. PyTorch itself is not brought. ``run`` unpacks them into a folder of their own,
which goes at the end, and in turn, as far as the minutes reach: what runs (providers, driver), how many decisions of the GPU differ from the CPU's on the same simulated
spectra, spectra a second of each model alone, of arrays, and from DuckDB to DuckDB (`benchmarks.scoring_gpu`), and, with ``--train``, a training,
which stops at a checkpoint when the time is over. Each step is a process of its own: one that fails is told, and the next begins.

On a machine without a GPU all of it runs on the CPU with few spectra, as a test of this script.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_MODELS = ("becat_resnet18_fp16.onnx", "becat_resnet18.onnx", "becat_profile.onnx")
_VERSIONS = """
from importlib.metadata import distributions
import onnxruntime
print(onnxruntime.get_available_providers())
print(*sorted({f"{d.name} {d.version}" for d in distributions() if d.name.startswith(("onnx", "torch", "nvidia", "tensorrt"))}), sep=", ")
"""
_PARITY = """
import sys
import numpy as np
from becat.models.score import Scorer
from becat.models.training.training_data import simulated
flux, _ = simulated(int(sys.argv[3]), np.random.default_rng(8))
good = np.ones_like(flux)
here, cpu = Scorer(sys.argv[1]), Scorer(sys.argv[2], ["CPUExecutionProvider"])
p, q = here.score(flux, good), cpu.score(flux, good)
print(f"{here.path.name} on {here.provider} against {cpu.path.name} on the CPU: {((p >= 0.5) != (q >= 0.5)).sum()} of {len(p)}"
      f" decisions differ, largest difference of a probability {abs(p - q).max():.4f}")
"""


def main() -> None:
    """Bring wheels, or run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    bring = commands.add_parser("bring")
    bring.add_argument("wheels", type=Path)
    bring.add_argument("--python", default="3.12")
    bring.add_argument("--platform", nargs="+", default=["manylinux_2_28_x86_64", "manylinux_2_17_x86_64"])
    bring.add_argument("--cuda", action="store_true")
    bring.add_argument("--tensorrt", action="store_true")
    bring.set_defaults(run=_bring)
    run = commands.add_parser("run")
    run.add_argument("wheels", type=Path)
    run.add_argument("--models", type=_absolute, default=_ROOT / "models")
    run.add_argument("--spectra", type=int, default=200_000)
    run.add_argument("--minutes", type=float, default=12.0)
    run.add_argument("--train", type=_absolute, metavar="DIRECTORY")
    run.set_defaults(run=_run)
    options, rest = parser.parse_known_args()
    options.rest = [word for word in rest if word != "--"]
    options.run(options)


def _absolute(path: str) -> Path:
    return Path(path).absolute()


def _bring(options) -> None:
    """Download wheels with what they need; pip says which it cannot find."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(["onnxruntime-gpu[cuda,cudnn]"] if options.cuda else [])]
    wanted += ["tensorrt"] if options.tensorrt else []
    platforms = [word for name in options.platform for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--only-binary=:all:", "--python-version", options.python]
    command += ["--implementation", "cp", *platforms, "-c", str(_ROOT / "constraints.txt"), "-d", str(options.wheels)]
    subprocess.run([*command, *wanted], check=True)
    own = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(options.wheels), str(_ROOT)]
    subprocess.run(own, check=True)
    total = sum(path.stat().st_size for path in options.wheels.glob("*.whl"))
    print(f"{len(list(options.wheels.glob('*.whl')))} wheels, {total / 2**20:.0f} MiB in {options.wheels}")


def _run(options) -> None:
    """Install and go through the steps."""
    deadline = time.monotonic() + 60 * options.minutes
    gpu = Path("/dev/nvidia0").exists()
    with tempfile.TemporaryDirectory() as folder:
        paths = [folder, os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
        wheels = [str(path) for path in sorted(options.wheels.glob("*.whl"))]
        if wheels:
            install = ["-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile", "--target", folder]
            _step("install", [*install, *wheels], environment, deadline)
            shutil.copytree(_ROOT / "benchmarks", Path(folder) / "benchmarks")
        os.chdir(folder if wheels else _ROOT)
        for name, arguments in _steps(options, gpu):
            _step(name, arguments, environment, deadline)
        os.chdir(_ROOT)


def _steps(options, gpu: bool):
    """Names and arguments of Python, in the order of what matters."""
    yield "versions", ["-c", _VERSIONS]
    models = [options.models / name for name in _MODELS if (options.models / name).is_file()]
    for model in models:
        cpu = model.with_name(model.name.replace("_fp16", ""))
        yield f"parity of {model.name}", ["-c", _PARITY, str(model), str(cpu), "10000" if gpu else "200"]
    for model in models:
        n = str(options.spectra if gpu else 200)
        yield f"speed of {model.name}", ["-m", "benchmarks.scoring_gpu", "--model", str(model), "--spectra", n]
    if options.train:
        becat = "from becat.cli import main; main()"
        yield "training", ["-c", becat, "train", str(options.train), *options.rest]


def _step(name: str, arguments: list[str], environment: dict[str, str], deadline: float) -> None:
    """One process, which ends with the time at the latest."""
    left_s = deadline - time.monotonic()
    if left_s < 1:
        print(f"-- {name}: no time left", flush=True)
        return
    start = time.monotonic()
    print(f"-- {name}", flush=True)
    try:
        done = subprocess.run([sys.executable, *arguments], env=environment, timeout=left_s)
        ended = "done" if done.returncode == 0 else f"failed with {done.returncode}"
    except subprocess.TimeoutExpired:
        ended = "stopped: the time is over"
    print(f"-- {name}: {ended} after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
