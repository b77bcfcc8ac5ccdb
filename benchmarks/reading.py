"""What reading a LAMOST file costs, beside astropy, fitsio and decompression alone.

    python -m benchmarks.reading [--repeats 15] [FILE ...]

Every reader takes the two coadds of a medium-resolution file (flux, inverse variance, wavelength, mask of both arms) and
the header values that go into the catalogue. Times are CPU time, the shortest of several readings, so that other work on
the machine counts little; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from astropy.io import fits

from becat.etl.readers import read_file
from becat.etl.readers.content import read_content
from becat.etl.readers.fits import parse
from becat.etl.readers.mrs import read_mrs

COLUMNS = ("FLUX", "IVAR", "LOGLAM", "ORMASK")


def with_astropy(path: Path) -> list:
    """The eight columns through astropy, nothing checked."""
    with fits.open(path) as hdus:
        _ = dict(hdus[0].header)
        return [hdus[name].data[column] for name in ("COADD_B", "COADD_R") for column in COLUMNS]


def with_fitsio(path: Path) -> list:
    """The two tables through fitsio (cfitsio), nothing checked."""
    import fitsio

    with fitsio.FITS(str(path)) as hdus:
        hdus[0].read_header()
        return [hdus[i].read(columns=list(COLUMNS)) for i in (1, 2)]


def with_zlib(path: Path) -> bytes:
    """Decompression alone by the standard library."""
    return zlib.decompressobj(31).decompress(path.read_bytes())


def shortest(read: Callable[[Path], object], paths: list[Path], repeats: int) -> float:
    """Milliseconds of CPU a file: the mean over files of the shortest of several readings."""
    total = 0.0
    for path in paths:
        times = []
        for _ in range(repeats):
            began = time.process_time()
            read(path)
            times.append(time.process_time() - began)
        total += min(times)
    return 1e3 * total / len(paths)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="medium-resolution files, gzipped, one row per pixel")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    paths = options.files or sorted(Path(str(files("laspec")), "data").rglob("med-*.fits.gz"))
    contents = {path: read_content(path) for path in paths}
    parsed = {path: parse(content) for path, content in contents.items()}
    size = sum(len(c) for c in contents.values()) / len(paths) / 2**20
    rows = {
        "gunzip alone, zlib": with_zlib,
        "gunzip alone, as becat does": read_content,
        "headers of all HDUs": lambda path: parse(contents[path]),
        "columns, checks, epoch, identity": lambda path: read_mrs(parsed[path], "coadd", False, True),
        "becat read_file, coadd": read_file,
        "becat read_file, coadd and all exposures": lambda path: read_file(path, "all"),
        "astropy": with_astropy,
    }
    if importlib.util.find_spec("fitsio"):
        rows["fitsio"] = with_fitsio
    cost = {name: shortest(read, paths, options.repeats) for name, read in rows.items()}
    ours, alone = cost["becat read_file, coadd"], cost["gunzip alone, as becat does"]
    print(
        f"{len(paths)} gzipped MRS files of {size:.2f} MiB and {sum(map(len, parsed.values())) / len(paths):.0f} HDUs on average\n"
    )
    print(f"{'':42}{'ms a file':>10}{'/ becat':>10}{'/ gunzip':>10}")
    for name, ms in cost.items():
        print(f"{name:42}{ms:10.2f}{ms / ours:10.2f}{ms / alone:10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
