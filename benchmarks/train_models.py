"""Train the models that come with becat again, from real spectra and the model before them, with one command.

    python -m benchmarks.train_models FOLDER --real REAL --imagenet resnet18_imagenet.npz

It runs the commands of `STEPS` in FOLDER, in turn, and prints each. REAL holds the spectra that `models/real_labels.csv` names, IMAGENET the weights
of torchvision's ResNet-18. The model before, which is the teacher and where the profile networks begin, comes out of the history of this checkout.
The same command goes on after an interruption. On one core of 2026 it takes three to five hours; the models land in FOLDER/models/.
``--only-print`` prints the commands and runs none.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
# The last commit whose models/becat_resnet18.onnx is the model before.
_BEFORE = "dba1e50"
_REAL = ("miles", "halpha", "mrs", "lrs", "field/lrs", "field/halpha", "field/odd")
_LABELLED = "--catalog real.duckdb --labels {labels}"
STEPS = (
    "becat load --exposures all {real} --catalog real.duckdb",
    f"becat train first --network resnet18 --teacher before/becat_resnet18.onnx --seed 20 --workers 1 --imagenet {{imagenet}} {_LABELLED}",
    f"becat train resnet18 --network resnet18 --start-from first --teacher before/becat_resnet18.onnx --seed 21 --spectra 64000 --workers 1 {_LABELLED}",
    f"becat train profile --network profile --start-from before/becat_resnet18.onnx --seed 5 --spectra 163840 --workers 1 {_LABELLED}",
    "becat export model resnet18 models --name becat",
    "becat export model profile models --name becat",
    f"becat export both models/becat_resnet18.onnx models/becat_profile.onnx {_LABELLED}",
)


def main() -> None:
    """Run the steps in turn; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--imagenet", type=Path, required=True)
    parser.add_argument("--only-print", action="store_true")
    options = parser.parse_args()
    filled = {
        "real": shlex.join(str(options.real.resolve() / name) for name in _REAL),
        "imagenet": shlex.quote(str(options.imagenet.resolve())),
        "labels": shlex.quote(str(_ROOT / "models" / "real_labels.csv")),
    }
    if not options.only_print:
        _restore(options.folder / "before")
    for step in STEPS:
        command = step.format(**filled)
        print(command, flush=True)
        if not options.only_print:
            done = subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=options.folder)
            if done.returncode:
                sys.exit(
                    f"{' '.join(command.split()[:3])}: exit {done.returncode}; mend it and begin again, what is done stays"
                )


def _restore(folder: Path) -> None:
    """The model before, with its card."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("becat_resnet18.onnx", "becat_resnet18.json"):
        told = ["git", "-C", str(_ROOT), "show", f"{_BEFORE}:models/{name}"]
        (folder / name).write_bytes(subprocess.run(told, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    main()
