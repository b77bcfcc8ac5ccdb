"""CPU time per spectrum of reading, cleaning, rectifying and gridding, beside the package laspec on the same files.

    python -m benchmarks.reduction [--peer-python PATH] [--real-data DIR] [--rounds N]

laspec 2021.508.0 needs an environment of its own:
    python3.11 -m venv DIR && DIR/bin/pip install laspec==2021.508.0 "numpy<1.24" "scipy<1.11" "matplotlib<3.8" \
        "astropy<6" "setuptools<80" joblib
Both run on one core, in turns, so that a busy machine slows both. A spectrum is the coadd of one file, two arms. becat keeps
freed memory as its own programs do (`udfs.memory`); --give-memory-back leaves the C library's default, as the peer has it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy is loaded: CPU per core, not per machine

from etl.readers import read_file  # noqa: E402
from etl.readers.content import read_content  # noqa: E402
from etl.reduce import reduce_batch  # noqa: E402
from etl.reduce.continuum import fit_continuum  # noqa: E402
from etl.reduce.cosmic import flag_cosmic_rays  # noqa: E402
from etl.reduce.rectangle import bridge_gaps, pack  # noqa: E402
from etl.reduce.resample import resample  # noqa: E402
from schema.grid import ARMS  # noqa: E402
from udfs.memory import keep_freed_memory  # noqa: E402

PEER = Path(__file__).with_name("peer_laspec.py")
TURNS = 3
BATCH = 256


def cpu(call):
    """CPU seconds of a call, and what it returns."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def ours(paths, rounds):
    """CPU seconds per file of decompressing alone, of reading and of reducing."""
    gunzip, _ = cpu(lambda: [len(read_content(path)) for _ in range(rounds) for path in paths])
    reading, spectra = cpu(lambda: [read_file(path)[0][0] for _ in range(rounds) for path in paths])

    def reduce_all():
        for start in range(0, len(spectra), BATCH):
            for arm, grid in ARMS.items():
                reduce_batch([s.arms[arm] for s in spectra[start : start + BATCH]], grid, 7500.0)

    reducing, _ = cpu(reduce_all)
    return gunzip / len(spectra), reading / len(spectra), reducing / len(spectra)


def steps(paths, rounds):
    """CPU milliseconds per file of each step of the reduction."""
    spectra = [read_file(path)[0][0] for path in paths]
    total = dict.fromkeys(("pack", "cosmic rays", "gaps", "grid", "continuum"), 0.0)

    def timed(name, call):
        seconds, result = cpu(call)
        total[name] += seconds
        return result

    for _ in range(rounds):
        for arm, grid in ARMS.items():
            arms = [s.arms[arm] for s in (spectra * 8)[:32]]
            rectangle = timed("pack", lambda arms=arms, grid=grid: pack(arms, grid))
            power = 0 * rectangle.flux[:, 0] + 7500.0
            timed("cosmic rays", lambda r=rectangle, p=power: flag_cosmic_rays(r, p))
            timed("gaps", lambda r=rectangle: bridge_gaps(r))
            flux, ivar, _ = timed("grid", lambda r=rectangle, grid=grid: resample(r, grid))
            timed("continuum", lambda f=flux, i=ivar, grid=grid: fit_continuum(f, i, grid))
    return {name: 1e3 * seconds / rounds / 32 for name, seconds in total.items()}


def peer(python, paths, rounds):
    """CPU seconds per file of laspec."""
    command = [python, str(PEER), str(rounds), *map(str, paths)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="python of an environment with laspec")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--real-data", default=os.environ.get("BECAT_REAL_DATA", root / ".." / "shared" / "real"))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--give-memory-back", action="store_true", help="leave the C library's default")
    arguments = parser.parse_args()
    if not arguments.give_memory_back:
        keep_freed_memory()
    paths = sorted(Path(arguments.real_data, "mrs").glob("med-58[2-6]*.gz"))  # DR7, which laspec reads
    paths = [path for path in paths if read_file(path)[0][0].meta["snr_r"] > 10]
    ours(paths, 1)
    mine, theirs = [], []
    for _ in range(TURNS):
        mine.append(ours(paths, arguments.rounds))
        if arguments.peer_python:
            theirs.append(peer(arguments.peer_python, paths, max(arguments.rounds // 6, 1)))
    gunzip, reading, reducing = (1e3 * min(column) for column in zip(*mine, strict=True))
    print(f"{len(paths)} files, CPU milliseconds per coadd of two arms on one core, best of {TURNS} turns")
    print("| step | ms |\n|---|---:|")
    print(
        f"| decompression alone | {gunzip:.2f} |\n| becat: read | {reading:.2f} |\n| becat: clean, rectify, grid | {reducing:.2f} |"
    )
    for name, value in steps(paths, arguments.rounds).items():
        print(f"| &nbsp; of which {name} | {value:.2f} |")
    print(f"| becat: all | {reading + reducing:.2f} |")
    print(f"| all, in units of decompression alone | {(reading + reducing) / gunzip:.2f} |")
    if theirs:
        print(f"| laspec: all | {1e3 * min(theirs):.1f} |")
        print(f"| laspec / becat | {1e3 * min(theirs) / (reading + reducing):.1f} |")


if __name__ == "__main__":
    main()
