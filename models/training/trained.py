"""What a training has left in its directory: the classifier, and whether it is finished."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from becat.models.training.network import Classifier

__all__ = ["load_trained", "picture_is_finished", "record_of"]


def record_of(training: str | Path) -> dict:
    """Configuration, data and curves of a training that has come to its end.

    Raises
    ------
    FileNotFoundError, ValueError
        The training was stopped before its end.
    """
    training = Path(training)
    if not picture_is_finished(training):
        raise ValueError(
            f"{training}: the training was stopped before its end; `becat train {training}` goes on with it"
        )
    record = json.loads((training / "curves.json").read_text(encoding="utf-8"))
    config = record["config"]["profile"]
    curves = [training / f"profile_{member}_curves.json" for member in range(config["members"])]
    drawn = [json.loads(path.read_text(encoding="utf-8"))["validation"][-1]["drawn"] for path in curves]
    if not drawn:
        raise ValueError(f"{training}: trained without profile networks, as only comparisons of drawings are")
    if min(drawn) < config["n_spectra"]:
        raise ValueError(f"{training}: a profile network is unfinished; `becat train {training}` goes on with it")
    return record


def picture_is_finished(training: Path) -> bool:
    """Whether the network of the drawing has seen all its spectra."""
    record = json.loads((training / "curves.json").read_text(encoding="utf-8"))
    config = record["config"]
    last = sum(stage["n_spectra"] // config["batch"] for stage in config["stages"])
    return bool(record["validation"]) and record["validation"][-1]["step"] >= last


def load_trained(training: str | Path, card: dict | None = None) -> Classifier:
    """The classifier that a training has left, drawing as in its last stage.

    Parameters
    ----------
    training : path
        Directory of `becat.models.training.train.train`.
    card : dict, optional
        Content of the JSON file of a model exported from it: the weights of its log odds are taken.

    Raises
    ------
    FileNotFoundError, ValueError
        The training was stopped before its end.
    """
    training, config = Path(training), record_of(training)["config"]
    stage, members = config["stages"][-1], config["profile"]["members"]
    model = Classifier(stage["size"], stage["line_width"], config["scales"], stage["reduction"], members)
    parts = {"weights.pt": model.network} | {f"profile_{k}.pt": part for k, part in enumerate(model.profile)}
    for name, part in parts.items():
        part.load_state_dict(torch.load(training / name, map_location="cpu", weights_only=True))
    if card is not None:
        model.weight.copy_(torch.tensor([card["log_odds_weight"][name] for name in ("drawing", "profile")]))
    return model.eval()
