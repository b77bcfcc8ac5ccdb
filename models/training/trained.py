"""What a training has left in its directory: the networks, and whether it is finished."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from becat.models.training.network import DrawingClassifier, ProfileClassifier

__all__ = ["load_drawing", "load_profiles", "networks_of", "picture_is_finished", "record_of"]


def networks_of(training: str | Path) -> list[str]:
    """Names of the networks that a training has: ``resnet18``, ``profile`` or both.

    Raises
    ------
    FileNotFoundError
        The directory holds no training.
    """
    config = _read(training)["config"]
    return [
        *(["resnet18"] if config["stages"] else []),
        *(["profile"] if config["profile"]["members"] else []),
    ]


def record_of(training: str | Path) -> dict:
    """Configuration, data and curves of a training that has come to its end.

    Raises
    ------
    FileNotFoundError, ValueError
        The training was stopped before its end.
    """
    training = Path(training)
    if not picture_is_finished(training):
        raise ValueError(f"{training}: the training is unfinished; `becat train {training}` resumes it")
    record = _read(training)
    config = record["config"]["profile"]
    curves = [training / f"profile_{member}_curves.json" for member in range(config["members"])]
    drawn = [json.loads(path.read_text(encoding="utf-8"))["validation"][-1]["drawn"] for path in curves]
    if min(drawn, default=0) < config["n_spectra"] and config["members"]:
        raise ValueError(f"{training}: a profile network is unfinished; `becat train {training}` resumes it")
    return record


def picture_is_finished(training: Path) -> bool:
    """Whether the network of the drawing has seen all its spectra, if any."""
    record = _read(training)
    config = record["config"]
    last = sum(stage["n_spectra"] // config["batch"] for stage in config["stages"])
    return not last or (bool(record["validation"]) and record["validation"][-1]["step"] >= last)


def load_drawing(training: str | Path, weight: float = 1.0) -> DrawingClassifier:
    """ResNet-18 as a training has left it, drawing as in its last stage.

    Parameters
    ----------
    training : path
        Directory of `becat.models.training.train.train`.
    weight : float
        Of its log odds: ``log_odds_weight`` on the card of the model exported from it.

    Raises
    ------
    FileNotFoundError, ValueError
        The training was stopped before its end, or has no such network.
    """
    training, config = Path(training), record_of(training)["config"]
    if not config["stages"]:
        raise ValueError(f"{training}: its ResNet-18 was not trained")
    stage = config["stages"][-1]
    model = DrawingClassifier(stage["size"], stage["line_width"], config["scales"], stage["reduction"])
    model.network.load_state_dict(torch.load(training / "weights.pt", map_location="cpu", weights_only=True))
    model.weight.fill_(weight)
    return model.eval()


def load_profiles(training: str | Path, weight: float = 1.0) -> ProfileClassifier:
    """The profile networks of a training; parameters and errors as for `load_drawing`."""
    training, config = Path(training), record_of(training)["config"]
    if not config["profile"]["members"]:
        raise ValueError(f"{training}: it trained no profile networks")
    model = ProfileClassifier(config["profile"]["members"])
    for member, part in enumerate(model.profile):
        state = torch.load(training / f"profile_{member}.pt", map_location="cpu", weights_only=True)
        part.load_state_dict(state)
    model.weight.fill_(weight)
    return model.eval()


def _read(training: str | Path) -> dict:
    return json.loads((Path(training) / "curves.json").read_text(encoding="utf-8"))
