"""What the drawing tells, what the flux tells, and what both tell together: errors of each part of the classifier.

    python -m benchmarks.classifier_parts TRAINING --model models/becat_resnet18.onnx --spectra 4000 \\
        --catalog real.duckdb --labels models/real_labels.csv

TRAINING is the directory of `becat train` that the model was exported from; its parts are asked in PyTorch, in single precision, with
the weights of the model's card. Simulated spectra are of every S/N that the simulator draws; real ones are those kept for validation
that have more than 10.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from becat.models.score import DEFAULT_MODEL
from becat.models.training.export import apply
from becat.models.training.trained import load_trained
from becat.models.training.training_data import labelled_from_catalogue, simulated
from becat.simulate.sample import GENERATORS

_SEED = 40  # of draws that no training and no evaluation has seen


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--spectra", type=int, default=4000)
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--labels", type=Path)
    options = parser.parse_args()
    card = json.loads(options.model.with_suffix(".json").read_text(encoding="utf-8"))
    model = load_trained(options.training, card)
    networks = [f"flux, network {k + 1}" for k in range(len(model.profile))]
    columns = [
        "spectra",
        "number",
        "drawing: missed, false",
        *networks,
        "flux, all networks",
        "the same in four views",
        "closer look where in doubt",
        "in doubt",
    ]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name, (flux, label) in _sets(options).items():
        alone = [apply(part, flux) for part in model.profile]
        first = np.mean(alone, axis=0)
        closer = apply(lambda part: model.closer(part, model.by_flux(part)[0]), flux)
        all_parts = model.combine(torch.from_numpy(first), torch.from_numpy(closer)).numpy()
        doubt = model.in_doubt(torch.from_numpy(first)).numpy()
        counts = [
            f"{((o < 0) & (label == 1)).sum()}, {((o >= 0) & (label == 0)).sum()}"
            for o in (closer[:, 0], *alone, first, closer[:, 1], all_parts)
        ]
        print(f"| {name} | {len(label)} | " + " | ".join(counts) + f" | {doubt.mean():.1%} |", flush=True)


def _sets(options):
    """Flux and label by name."""
    sets = {}
    for generator in GENERATORS:
        rng = np.random.default_rng([_SEED, ord(generator)])
        sets[f"simulated, generator {generator}"] = simulated(options.spectra, rng, generator)
    if options.catalog:
        labelled = labelled_from_catalogue(options.catalog, options.labels)
        kept = labelled.validated_on()
        windows, usable = kept.windows()
        sets["real, stars never trained on"] = windows[usable], kept.label[usable]
    return sets


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
