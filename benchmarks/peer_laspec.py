"""laspec's way through the same files: run by `benchmarks.reduction` in laspec's own environment.

    python peer_laspec.py FILE ...

For each line that it is given it goes through the files once (read, remove cosmic rays, interpolate to the grid, normalise,
both arms of the coadd) and answers with the CPU seconds per file.
"""

import sys
import time
import warnings

import numpy as np
from laspec.mrs import MrsFits

warnings.simplefilter("ignore")
GRIDS = {"B": 4950.0 + 0.125 * np.arange(3201), "R": 6300.0 + 0.125 * np.arange(4001)}


def reduce_file(path):
    """Both arms of the coadd; nothing of laspec's that becat does not do as well (no times, no epochs)."""
    file = MrsFits(path)
    reduced = [
        file.get_one_spec("COADD", band).reduce(wave_new=grid, npix_cushion=0, norm_type="spline")
        for band, grid in GRIDS.items()
    ]
    file.close()
    return reduced


paths = sys.argv[1:]
for path in paths:
    reduce_file(path)
for _ in sys.stdin:
    start = time.process_time()
    for path in paths:
        reduce_file(path)
    print((time.process_time() - start) / len(paths), flush=True)
