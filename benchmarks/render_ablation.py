"""How the profile is best drawn: one short training for each way, everything else the same.

    python -m benchmarks.render_ablation DIRECTORY --imagenet ARCHIVE --size 96 --spectra 6400

Prints, for each combination of flux scales and line width, the errors of the averaged weights on the same simulated spectra.
An hour on two idle cores at the sizes above, minutes on a GPU; a network with one flux scale sees it three times.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from models.render import SCALES
from models.train import Stage, TrainConfig, train

_DRAWINGS = [
    *((2.5, (name, name, name)) for name in SCALES),
    (2.5, SCALES),
    (1.0, SCALES),
    (4.0, SCALES),
]


def main() -> None:
    """Print the table as Markdown."""
    import json

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--imagenet")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--spectra", type=int, default=6400)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    print("| line width (px) | flux scales | missed | false | cross-entropy | of spectra |\n|---|---|---|---|---|---|")
    for width, scales in _DRAWINGS:
        config = TrainConfig(
            stages=(Stage(options.size, options.spectra, 1e-3, width, 1),),
            scales=scales,
            validate_every=options.spectra,
            n_validation=1000,
            imagenet=options.imagenet,
            workers=options.workers,
        )
        directory = options.directory / f"{width:g}-{'-'.join(scales)}"
        train(directory, config)
        last = json.loads((directory / "curves.json").read_text())["validation"][-1]["simulated"]
        named = ", ".join(dict.fromkeys(scales))
        print(
            f"| {width:g} | {named} | {last['missed']} | {last['false']} | {last['loss']} | {last['n']} |", flush=True
        )


if __name__ == "__main__":
    main()
