"""A long load of simulated spectra: is the memory flat and the rate constant, and what would the whole survey take?

    python -m benchmarks.long_run [--files 20000] [--distinct 200] [--workers N] [--steps 10]

`--distinct` files are simulated; they are written again and again under new names with a new OBSID and position, so that
making them costs little; each is read, cleaned, rectified and stored like any other. At every tenth of the run a line
tells the rate since the last one, the time that the writer spent in the catalogue, the memory of this process and of its
largest reader, and the size of the catalogue. The projection to 2,260,387 spectra uses the last tenth.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from etl.catalogue import open_catalogue
from etl.stages import load
from schema import build
from simulate.survey import write_survey

N_SURVEY = 2_260_387
CARD = 80


def copies(folder: Path, originals: list[Path], first: int, n: int) -> list[Path]:
    """Files `first` to `first + n`, each with an OBSID of its own."""
    made = []
    for i in range(first, first + n):
        original = originals[i % len(originals)]
        content = original.read_bytes()
        zipped = content[:2] == b"\x1f\x8b"
        content = gzip.decompress(content) if zipped else content
        place = content.find(b"OBSID   =")
        card = f"OBSID   = {8_500_000_000 + i:>20d}".ljust(CARD).encode()
        # The checksum cards no longer fit the header and go; what a reader does is the same without them.
        content = content[:place] + card + content[place + CARD :]
        content = content.replace(b"CHECKSUM=", b"HIERARCH ").replace(b"DATASUM =", b"HIERARCH ")
        path = folder / f"{i:07d}-{original.name}"
        path.write_bytes(gzip.compress(content, 1) if zipped else content)
        made.append(path)
    return made


def memory_mb(of: str = "VmRSS") -> float:
    """Memory of this process now (Linux), MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(of):
            return int(line.split()[1]) / 1024
    return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_survey(folder / "survey", n=options.distinct, seed=1)
        originals = sorted((folder / "survey/spectra").glob("med-*"))
        catalogue = folder / "c.duckdb"
        build.create(catalogue)
        writing = measured_writer()
        step = options.files // options.steps
        print(
            f"{'spectra':>9s} {'per s':>7s} {'write ms':>9s} {'MB':>6s} {'reader MB':>9s} {'catalogue kB/spectrum':>22s}"
        )
        rate = 0.0
        with open_catalogue(catalogue) as connection:
            for i in range(options.steps):
                fresh = folder / f"step-{i}"
                fresh.mkdir()
                files = copies(fresh, originals, i * step, step)
                writing.clear()
                start = time.perf_counter()
                counts = load.load_spectra(connection, list(files), workers=options.workers)
                rate = counts["spectra"] / (time.perf_counter() - start)
                reader_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                size_kb = sum(p.stat().st_size for p in folder.glob("c.duckdb*")) / 1024
                print(
                    f"{(i + 1) * step:9,d} {rate:7.1f} {1e3 * sum(writing) / max(counts['spectra'], 1):9.2f}"
                    f" {memory_mb():6.0f} {reader_mb:9.0f} {size_kb / ((i + 1) * step):22.1f}",
                    flush=True,
                )
                shutil.rmtree(fresh)
    print(
        f"{N_SURVEY:,} spectra at the last rate: {N_SURVEY / rate / 3600:.1f} h; {size_kb / ((i + 1) * step) * N_SURVEY / 1e6:.0f} GB"
    )
    spent = sum(writing) * rate / counts["spectra"]
    print(
        f"the writer is busy for {spent:.0%} of the time: " + ("it" if spent > 0.8 else "the reading") + " is the bound"
    )


def measured_writer() -> list[float]:
    """Seconds of each transaction of `load`, from now on."""
    seconds: list[float] = []
    write = load._write_committed

    def timed(*words):
        start = time.perf_counter()
        result = write(*words)
        seconds.append(time.perf_counter() - start)
        return result

    load._write_committed = timed
    return seconds


if __name__ == "__main__":
    sys.exit(main())
