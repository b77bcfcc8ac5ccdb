"""How far simulated stars without a disc are from the library of such stars that labels are judged against.

    python -m benchmarks.label_rule --stars 12000

A feature belongs to class Be where it is five sigma from every star of the library (`simulate/disc_free.py`). The library is a
sample: a star that is not in it, has no disc and is yet further away than that from all of it looks, to the rule, like a disc. The table says how many
there are, at the resolutions and S/N that spectra are drawn with.
"""

from __future__ import annotations

import argparse

import numpy as np

from becat.simulate.disc_free import FIRST, GRID
from becat.simulate.draw import distributions
from becat.simulate.instrument import draw_instruments, resolution_sigma_km_s
from becat.simulate.systems import draw_radial_velocities, draw_systems, render
from becat.simulate.velocity import fourier_gaussian, multiply

_SEED = 5
_CHUNK = 256


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stars", type=int, default=12000, help="of all kinds, in the shares that are trained on")
    options = parser.parse_args()
    rng = np.random.default_rng(_SEED)
    kinds = {
        name: table["weight"]
        for name, table in distributions()["kinds"].items()
        if table["label"] == 0 and "snr" not in table
    }
    share = np.array(list(kinds.values())) / sum(kinds.values())
    print("| kind | stars | median | 99 % | over 5 sigma |\n|---|---|---|---|---|")
    for name, n in zip(kinds, rng.multinomial(options.stars, share), strict=True):
        sigma = np.concatenate([_significance(name, min(_CHUNK, n - k), rng) for k in range(0, n, _CHUNK)])
        middle, high = np.quantile(sigma, [0.5, 0.99])
        print(f"| {name} | {n} | {middle:.1f} | {high:.1f} | {(sigma > 5).mean():.1%} |", flush=True)


def _significance(kind, n, rng):
    """(n,) significance against the library of stars of a kind."""
    truth = draw_instruments(rng, n) | {"rv_km_s": draw_radial_velocities(rng, n)}
    flux, _ = render(draw_systems(kind, rng, truth["rv_km_s"]), GRID, rng)
    blur = fourier_gaussian(GRID, resolution_sigma_km_s(truth["resolving_power"]))
    return FIRST.significance(1 - multiply(1 - flux, blur), GRID.pixel, truth)


if __name__ == "__main__":
    main()
