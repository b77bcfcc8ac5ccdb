"""Damage real files in two thousand ways and count what the readers make of them.

    python -m benchmarks.fuzz_readers [--files 2000] [--seed 1]

Every fifth mutant is damaged gzip, two of five carry CHECKSUM and DATASUM made before the damage: of these, none may be
accepted with altered arrays. The rest are plain files in which nothing but sense can tell. Exit 1 where a reader
crashes, takes more than five seconds, believes altered data under a checksum, or lets a spectrum through that is not finite
and in order.

As many headers are then written over one spectrum (units, steps, epochs, equinoxes: the same said otherwise, said twice and
differently, or rubbish): exit 1 too where one gives another wavelength, epoch or position without a word.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from becat.etl.catalogue.errors import Rejected
from becat.etl.readers import RawSpectrum, read_file
from tests.tools.header_mutations import header_mutants, verdict
from tests.tools.mutations import Mutant, mutants, packaged_spectra

SLOW_S = 5.0


def sources() -> list[Path]:
    """The packaged LAMOST files, and one of every other layout where the real data are there."""
    real = Path(os.environ.get("BECAT_REAL_DATA", Path(__file__).parent.parent / ".." / "shared" / "real"))
    patterns = ("mrs/med-58440*073*", "lrs/bt-cmi*", "lrs/spec-60591*", "halpha/gamma*", "halpha/alphadra_20230322*")
    return packaged_spectra() + [path for pattern in patterns for path in sorted(real.glob(pattern))]


def arrays(spectra: list[RawSpectrum]) -> set[bytes]:
    """Every array that was read, as bytes."""
    return {
        a.tobytes() for s in spectra for raw in s.arms.values() for a in (raw.wavelength_a, raw.flux, raw.ivar, raw.bad)
    }


def believable(spectra: list[RawSpectrum]) -> bool:
    """Ascending wavelengths and finite arrays."""
    return all(
        np.all(np.diff(raw.wavelength_a) > 0) and np.isfinite(raw.flux).all() and np.isfinite(raw.ivar).all()
        for s in spectra
        for raw in s.arms.values()
    )


def outcome(mutant: Mutant, exposures: str, truth: set[bytes], target: Path) -> tuple[str, str]:
    """What became of one mutant, and the reason where it was rejected."""
    target.write_bytes(mutant.content)
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            spectra, _ = read_file(target, exposures)
    except Rejected as error:
        return "rejected", re.sub(r"'.*'|[-+]?\d[\d.e+-]*", "…", error.reason)[:60]
    except Exception as error:  # what this program is here to find
        return "CRASHED", f"{mutant.name}: {error!r}"
    if time.perf_counter() - began > SLOW_S:
        return "TOO SLOW", mutant.name
    if not believable(spectra):
        return "NOT BELIEVABLE", mutant.name
    if arrays(spectra) <= truth:
        return "read, equal to the original", ""
    return ("ALTERED UNDER A CHECKSUM", mutant.name) if mutant.sealed else ("read, altered, no checksum", "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    paths = sources()
    counts: collections.Counter[tuple[str, bool]] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for i, path in enumerate(paths):
            exposures = "all" if path.name.startswith("med-") else "coadd"
            truth = arrays(read_file(path, exposures)[0])
            n = options.files // len(paths) + (i < options.files % len(paths))
            for mutant in mutants(path, n, rng):
                what, reason = outcome(mutant, exposures, truth, Path(folder, "mutant.fits"))
                counts[what, mutant.sealed] += 1
                reasons[reason] += 1
    print(f"{options.files} damaged versions of {len(paths)} files, {time.perf_counter() - began:.0f} s,", end=" ")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB\n")
    print(f"{'outcome':32}{'with CRC or checksum':>22}{'without':>10}")
    for what in sorted({what for what, _ in counts}):
        print(f"{what:32}{counts[what, True]:22}{counts[what, False]:10}")
    print("\nreasons")
    for reason, n in reasons.most_common(25):
        print(f"{n:6}  {reason}")
    return any(what.isupper() for what, _ in counts) or headers(options.files, rng)


def headers(n: int, rng: np.random.Generator) -> bool:
    """Write headers over one spectrum and count what becomes of them; true where the readers were wrong."""
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for mutant in header_mutants(n, rng):
            counts[mutant.name.split(":")[0], verdict(mutant, Path(folder, "mutant.fits"))] += 1
    print(f"\n{n} headers of one spectrum")
    for (kind, what), count in sorted(counts.items()):
        print(f"{kind:14}{what:40}{count:8}")
    return any(what[:4].isupper() for _, what in counts)


if __name__ == "__main__":
    sys.exit(main())
