"""What `becat load` costs beside reading and reducing alone: CPU, bytes written, size and memory, by number of workers.

Then what the stages after it cost on the catalogue that was loaded last: gathering stars, measuring, scoring.

    python -m benchmarks.loading [--files 6144] [--distinct 64] [--workers 1 2] [--dir DIR]

`--distinct` files are simulated and written again and again under new names with a new OBSID. They are read and reduced alone, by one
process, and nothing is kept; then loaded into a new catalogue, with each number of workers, by processes of their own. CPU time
is told of the process that writes (with one worker it reads, too) and of its readers. To the disk goes what they wrote, less what was deleted before
the system had written it; Linux adds the bytes of a child to its parent's once it has ended, so the parent's alone are asked, after its readers. Memory is the largest sum over the processes, shared pages counted once. On a machine with other work only
the CPU times of one run are to be compared, not the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from becat.schema import build
from benchmarks.long_run import N_SURVEY, copies, simulated

FIRST_OBSID = 0
ALONE = """
from becat.etl.load.load import FILES_PER_BATCH, Options, read_and_reduce
n = 0
for i in range(0, len(files), FILES_PER_BATCH):
    n += sum(len(read.spectra) for read in read_and_reduce(files[i : i + FILES_PER_BATCH], Options(need_snr=False)).files)
"""
LOAD = """
from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
with open_catalogue({catalogue!r}) as connection:
    n = load_spectra(connection, [{folder!r}], workers={workers})["spectra"]
"""
# What `becat run` does once the files are loaded; scoring with `--all` takes every spectrum, else those that reach the classifier.
STAGES = {
    "gather stars": "from becat.etl.match.gather import gather_stars as stage\nkeywords = {}",
    "measure": "from becat.etl.measure import measure_spectra as stage\nkeywords = {}",
    "score": "from becat.etl.score import score_spectra as stage\nkeywords = {}",
    "score --all": "from becat.etl.score import score_spectra as stage\nkeywords = {'every': True}",
}
STAGE = """
from becat.etl.catalogue.connection import open_catalogue
{stage}
with open_catalogue({catalogue!r}) as connection:
    stage(connection, **keywords)
    n = connection.execute("select count(*) from spectrum").fetchone()[0]
"""
# The imports of becat are not counted; readers are forked, and have them already.
PROGRAM = """
import time, becat.etl.load.load
from pathlib import Path
from becat.udfs.memory import keep_freed_memory
keep_freed_memory()
files = sorted(str(path) for path in Path({folder!r}).iterdir())
start = time.process_time()
{what}
spent = time.process_time() - start
io = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
print(n, spent, start, int(io["write_bytes"]) - int(io["cancelled_write_bytes"]))
"""
EVERY_S = 0.25


class Cost(NamedTuple):
    """What a program took, for one spectrum where no other unit is told."""

    n_spectra: int
    writer_cpu_ms: float
    readers_cpu_ms: float
    written_kb: float
    memory_mb: float


class Watch(threading.Thread):
    """Looks at the memory of a process and its children until it ends (Linux)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.peak_mb = 0.0

    def run(self) -> None:
        while _numbers(f"/proc/{self._pid}/status"):
            memory_kb = 0
            for pid in (self._pid, *_children(self._pid)):
                memory_kb += _numbers(f"/proc/{pid}/smaps_rollup").get("Pss", 0)
            self.peak_mb = max(self.peak_mb, memory_kb / 1024)
            time.sleep(EVERY_S)


def _numbers(path: str) -> dict[str, int]:
    """Words and numbers of a file of /proc; none where the process has ended."""
    found = {}
    with contextlib.suppress(OSError):
        for line in Path(path).read_text().splitlines():
            word, _, rest = line.partition(":")
            if rest.split() and rest.split()[0].isdigit():
                found[word] = int(rest.split()[0])
    return found


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def cost(what: str, folder: Path) -> Cost:
    """Run a program over the files of a folder in a process of its own."""
    program = PROGRAM.format(what=what, folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    watch = Watch(process.pid)
    watch.start()
    assert process.stdout is not None
    words = process.stdout.read().split()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"exit {os.waitstatus_to_exitcode(status)}")
    n, cpu_s, before_s, written = int(words[0]), float(words[1]), float(words[2]), int(words[3])
    readers_s = used.ru_utime + used.ru_stime - cpu_s - before_s
    return Cost(n, 1e3 * cpu_s / n, 1e3 * readers_s / n, written / n / 1e3, watch.peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=6144)
    parser.add_argument("--distinct", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dir", type=Path, help="where files and catalogues are made and deleted again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as place:
        folder, originals = Path(place, "spectra"), Path(place, "simulated")
        folder.mkdir()
        originals.mkdir()
        copies(folder, simulated(originals, options.distinct), FIRST_OBSID, options.files)
        shutil.rmtree(originals)
        alone = cost(ALONE, folder)
        print(f"{alone.n_spectra:,} spectra, load of the machine {os.getloadavg()[0]:.1f}\n")
        print(
            "| | read and reduce, CPU ms | write, CPU ms | of reading alone | to disk, kB | size, kB | memory, MB |\n"
            "|---|---:|---:|---:|---:|---:|---:|"
        )
        only = alone.writer_cpu_ms
        print(f"| reading and reducing alone | {only:.2f} | - | - | - | - | {alone.memory_mb:.0f} |", flush=True)
        for workers in options.workers:
            catalogue = Path(place, f"{workers}.duckdb")
            build.create(catalogue)
            empty = catalogue.stat().st_size
            done = cost(LOAD.format(catalogue=str(catalogue), folder=str(folder), workers=workers), folder)
            if done.n_spectra != alone.n_spectra:
                raise SystemExit(f"{done.n_spectra} spectra were loaded, and {alone.n_spectra} read")
            size_kb = (catalogue.stat().st_size - empty) / done.n_spectra / 1e3
            read_ms = only if workers == 1 else done.readers_cpu_ms
            write_ms = done.writer_cpu_ms + done.readers_cpu_ms - read_ms
            total_ms = done.writer_cpu_ms + done.readers_cpu_ms
            print(
                f"| `becat load --workers {workers}` | {read_ms:.2f} | {write_ms:.2f} | {only / total_ms:.0%} |"
                f" {done.written_kb:.1f} | {size_kb:.1f} | {done.memory_mb:.0f} |"
            )
            print(
                f"  {N_SURVEY:,} spectra: {N_SURVEY * total_ms / 3.6e6:.1f} h of one core, {N_SURVEY * size_kb / 1e6:.0f} GB;"
                f" the one writer bounds any number of readers at {N_SURVEY * write_ms / 3.6e6:.1f} h",
                flush=True,
            )
            if workers == options.workers[-1]:
                show_stages(catalogue, folder, total_ms)
            catalogue.unlink()


def show_stages(catalogue: Path, folder: Path, load_ms: float) -> None:
    """A line for each stage after loading, and the projection of the whole chain."""
    print("\n| stage | CPU ms | to disk, kB | memory, MB |\n|---|---:|---:|---:|")
    spent = {}
    for name, stage in STAGES.items():
        done = cost(STAGE.format(stage=stage, catalogue=str(catalogue)), folder)
        spent[name] = done.writer_cpu_ms + done.readers_cpu_ms
        print(f"| {name} | {spent[name]:.2f} | {done.written_kb:.1f} | {done.memory_mb:.0f} |", flush=True)
    chain_ms = load_ms + sum(spent.values())
    print(f"  {N_SURVEY:,} spectra, files to scores of every one: {N_SURVEY * chain_ms / 3.6e6:.1f} h of one core")


if __name__ == "__main__":
    sys.exit(main())
