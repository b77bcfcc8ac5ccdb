"""How the profile is best drawn: one short training for each way, everything else the same.

    python -m benchmarks.render_ablation DIRECTORY --imagenet ARCHIVE --spectra 9600

Prints, for each combination of flux scales and line width, the errors of the averaged weights on the same simulated spectra.
Three minutes each on an idle core at the sizes above; a network with one flux scale sees it three times. Pictures are drawn at
256 pixels and shown as means of 4 x 4, as in the first stage of the training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from becat.models.training.render import ALL_SCALES, SCALES
from becat.models.training.train import Stage, TrainConfig, train
from becat.models.training.train_profile import ProfileConfig

_DRAWINGS = [
    *((5.0, (name, name, name)) for name in ALL_SCALES),
    (5.0, ("fixed", "zoomed", "compressed")),
    (5.0, SCALES),
    (2.0, SCALES),
    (9.0, SCALES),
]


def main() -> None:
    """Print the table as Markdown."""
    import json

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--imagenet")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--reduction", type=int, default=4)
    parser.add_argument("--spectra", type=int, default=9600)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    print("| line width (px) | flux scales | missed | false | cross-entropy | of spectra |\n|---|---|---|---|---|---|")
    for width, scales in _DRAWINGS:
        config = TrainConfig(
            stages=(Stage(options.size, options.spectra, 1e-3, width, options.reduction),),
            scales=scales,
            validate_every=options.spectra,
            n_validation=4000,
            imagenet=options.imagenet,
            profile=ProfileConfig(members=0),
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
