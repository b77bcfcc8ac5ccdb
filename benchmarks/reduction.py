"""CPU time per spectrum of reading, cleaning, rectifying and gridding, beside the package laspec on the same files.

    python -m benchmarks.reduction [--peer-python PATH] [--real-data DIR] [--rounds N]

laspec 2021.508.0 needs an environment of its own:
    python3.11 -m venv DIR && DIR/bin/pip install laspec==2021.508.0 "numpy<1.24" "scipy<1.11" "matplotlib<3.8" \
        "astropy<6" "setuptools<80" joblib
In each round becat goes through a batch as `becat load` does (64 files), then laspec through the files once, both on one core:
what disturbs the machine disturbs both. CPU time of the process, not time on the clock; medians over the rounds, and quartiles of
the ratios within rounds. A spectrum is the coadd of one file, two arms. becat keeps freed memory as its own programs do
(`becat.udfs.memory`); --give-memory-back leaves the C library's default, as the peer has it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy is loaded: CPU per core, not per machine

import numpy as np  # noqa: E402

from becat.etl.load.load import FILES_PER_BATCH  # noqa: E402
from becat.etl.readers import read_file  # noqa: E402
from becat.etl.readers.content import read_content  # noqa: E402
from becat.etl.readers.fits import parse  # noqa: E402
from becat.etl.readers.mrs import read_mrs  # noqa: E402
from becat.etl.reduce import reduce_batch  # noqa: E402
from becat.etl.reduce.continuum import fit_continuum  # noqa: E402
from becat.etl.reduce.cosmic import flag_cosmic_rays  # noqa: E402
from becat.etl.reduce.rectangle import bridge_gaps, pack  # noqa: E402
from becat.etl.reduce.resample import resample  # noqa: E402
from becat.etl.reduce.restore import restore_emission  # noqa: E402
from becat.schema.grid import ARMS  # noqa: E402
from becat.udfs.memory import keep_freed_memory  # noqa: E402

PEER = Path(__file__).with_name("peer_laspec.py")
RESOLVING_POWER = 7500.0


class Times:
    """CPU milliseconds per file of each step, one number a round."""

    def __init__(self, n_files):
        self.n_files = n_files
        self.ms = {}

    def of(self, step, call):
        """What a call returns; its time is noted."""
        start = time.process_time()
        result = call()
        self.ms.setdefault(step, []).append(1e3 * (time.process_time() - start) / self.n_files)
        return result

    def all(self, *steps):
        """Sums of the steps, round by round."""
        return np.sum([self.ms[step] for step in steps], axis=0)


def ours(batch, times):
    """One batch, as `becat load` does it."""
    times.of("decompression alone", lambda: [len(read_content(path)) for path in batch])
    spectra = times.of("read", lambda: [read_file(path)[0][0] for path in batch])

    def reduce_all():
        return [reduce_batch([s.arms[arm] for s in spectra], grid, RESOLVING_POWER) for arm, grid in ARMS.items()]

    times.of("clean, rectify, grid", reduce_all)


def steps_of_reading(batch, times):
    """The same reading, one step after the other."""
    contents = times.of("file and decompression", lambda: [read_content(path) for path in batch])
    hdus = times.of("headers", lambda: [parse(content) for content in contents])
    times.of("columns, checks, epoch, identity", lambda: [read_mrs(h, "coadd", need_snr=True) for h in hdus])


def steps_of_reducing(spectra, times):
    """The same reduction, one step after the other, of both arms."""
    rectangles = times.of("pack", lambda: [pack([s.arms[arm] for s in spectra], grid) for arm, grid in ARMS.items()])
    power = np.full(len(spectra), RESOLVING_POWER)
    times.of("emission taken back", lambda: [restore_emission(r, power) for r in rectangles])
    times.of("cosmic rays", lambda: [flag_cosmic_rays(r, power) for r in rectangles])
    times.of("gaps", lambda: [bridge_gaps(r) for r in rectangles])
    gridded = times.of("grid", lambda: [resample(r, grid) for r, grid in zip(rectangles, ARMS.values(), strict=True)])
    times.of(
        "continuum",
        lambda: [fit_continuum(f, i, grid) for (f, i, _), grid in zip(gridded, ARMS.values(), strict=True)],
    )


class Peer:
    """laspec in a process of its own, which goes through the files when it is told to."""

    def __init__(self, python, paths):
        self._process = subprocess.Popen(
            [python, str(PEER), *map(str, paths)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ms(self):
        """CPU milliseconds per file."""
        assert self._process.stdin and self._process.stdout
        print("again", file=self._process.stdin, flush=True)
        return 1e3 * float(self._process.stdout.readline())


def row(name, values):
    """A line of the table."""
    print(f"| {name} | {np.median(values):.2f} |")


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
    batch = (paths * FILES_PER_BATCH)[: FILES_PER_BATCH // len(paths) * len(paths)]
    peer = Peer(arguments.peer_python, paths) if arguments.peer_python else None
    spectra = [read_file(path)[0][0] for path in batch]
    ours(batch, Times(1))
    times, theirs = Times(len(batch)), []
    for _ in range(arguments.rounds):
        ours(batch, times)
        steps_of_reading(batch, times)
        steps_of_reducing(spectra, times)
        if peer:
            theirs.append(peer.ms())
    whole = times.all("read", "clean, rectify, grid")
    print(f"{len(paths)} files, CPU ms per coadd of two arms on one core, medians of {arguments.rounds} rounds\n")
    print("| step | ms |\n|---|---:|")
    row("becat: read", times.ms["read"])
    for name in ("file and decompression", "headers", "columns, checks, epoch, identity"):
        row(f"&nbsp; of which {name}", times.ms[name])
    row("becat: clean, rectify, grid", times.ms["clean, rectify, grid"])
    for name in ("pack", "emission taken back", "cosmic rays", "gaps", "grid", "continuum"):
        row(f"&nbsp; of which {name}", times.ms[name])
    row("becat: all", whole)
    row("all, in units of decompression alone", whole / times.ms["decompression alone"])
    if theirs:
        row("laspec: all", theirs)
        ratios = np.array(theirs) / whole
        row("laspec / becat", ratios)
        print(f"\nquartiles of the ratio: {np.quantile(ratios, 0.25):.1f} and {np.quantile(ratios, 0.75):.1f}")


if __name__ == "__main__":
    main()
