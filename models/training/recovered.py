"""An exported model as a training that can be gone on with: whoever has only the ONNX file trains it further, too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from becat.models.training.network import DrawingClassifier, ProfileClassifier
from becat.models.training.training_data import simulated

__all__ = ["recover_training"]

_N_STATISTICS = 1024
_STATISTICS_SEED = [20260101, 98]


def recover_training(model: str | Path, directory: str | Path) -> Path:
    """Write the networks of an exported model as `becat.models.training.train.train` leaves them.

    Parameters
    ----------
    model : path
        ONNX file of `becat.models.training.export.export`, of any precision; its JSON file must lie beside it.
    directory : path
        Receives ``weights.pt``, ``profile_0.pt`` and so on, and the curves, as far as the file holds them and they are known.

    Returns
    -------
    pathlib.Path
        `directory`, for ``start_from`` of `becat.models.training.train_profile.ProfileConfig`.

    Raises
    ------
    FileNotFoundError
        The model or its JSON file is missing.
    ValueError
        The file does not hold the networks that its JSON file names.

    Notes
    -----
    Batch normalisations were melted into their convolutions. Each is made again from what goes through it, so that the
    networks say what they said and can be trained further. Facts (`becat.models.training.facts`) are not exported: they are learned anew, from zero.
    """
    model, directory = Path(model), Path(directory)
    card = json.loads(model.with_name(model.name.replace("_fp16", "")).with_suffix(".json").read_text(encoding="utf-8"))
    config = card["training"]["config"]
    graph, members = onnx.load(str(model)).graph, config["profile"]["members"]
    # A network that looks at several views is called as often, always with the same weights.
    last_layers = {node.input[1] for node in graph.node if _layer(node.name)[0] == "log_odds"}
    if len(last_layers) != members:
        raise ValueError(f"{model} holds {len(last_layers)} profile networks, its JSON file names {members}")
    drawing, profiles = DrawingClassifier().eval(), ProfileClassifier(members).eval()
    try:
        tensors = _tensors(graph)
        if config["stages"]:
            _fill(drawing.network, {name[len("network.") :]: found for (name, _), found in tensors.items()})
        for member, network in enumerate(profiles.profile):
            _fill(network, {name: found for (name, call), found in tensors.items() if call == member})
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{model} does not hold the networks that its JSON file names: {error}") from error
    flux, _ = simulated(_N_STATISTICS, np.random.default_rng(_STATISTICS_SEED))
    for network in profiles.profile:
        _normalise(network, torch.from_numpy(flux))
        nn.init.zeros_(network.facts.weight)
        nn.init.zeros_(network.facts.bias)
    directory.mkdir(parents=True, exist_ok=True)
    if config["stages"]:
        torch.save(drawing.network.state_dict(), directory / "weights.pt")
    for member, network in enumerate(profiles.profile):
        torch.save(network.state_dict(), directory / f"profile_{member}.pt")
        drawn = {"rounds": [], "validation": [{"drawn": config["profile"]["n_spectra"]}]}
        (directory / f"profile_{member}_curves.json").write_text(json.dumps(drawn), encoding="utf-8")
    record = card["training"] | {"steps": [], "validation": [{"step": card["steps"]}]}
    (directory / "curves.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return directory


def _tensors(graph) -> dict[tuple[str, int], tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of the layers in single precision, by the layer's name and how often it was called before in the graph."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}

    def value(name):
        if name in stored:
            return stored[name]
        parts = [value(part) for part in maker[name].input]
        if maker[name].op_type != "DequantizeLinear":  # the same numbers in another place, or in another precision
            return parts[0]
        number, scale, zero = parts
        along = (-1,) + (1,) * (number.ndim - 1)  # one scale a channel, or one for all
        return (number.astype(np.float32) - zero.reshape(along)) * scale.reshape(along)

    return {
        _layer(node.name): tuple(torch.from_numpy(np.array(value(name), np.float32)) for name in node.input[1:3])
        for node in graph.node
        if node.op_type in ("Conv", "Gemm")
    }


def _layer(node_name):
    """Name of a layer in PyTorch, and its call, from the exporter's name of a node: ``/features/features.3/change/change.0_1/Conv``."""
    parts = node_name.strip("/").split("/")[:-1] or [""]
    *parts, last = [
        part for part, following in zip(parts, [*parts[1:], ""], strict=True) if not following.startswith(f"{part}.")
    ]
    name, _, call = last.rpartition("_")
    last, call = (name, int(call)) if call.isdigit() else (last, 0)
    return ".".join([*parts, last]), call


def _fill(module, tensors):
    """Weights and biases of a network; the normalisation after a convolution does nothing yet but add the bias."""
    layers = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    for (name, convolution), (_, normalisation) in zip(layers[::2], layers[1::2], strict=True):
        weight, bias = tensors[name]
        convolution.load_state_dict({"weight": weight})
        normalisation.running_var.fill_(1 - normalisation.eps)
        normalisation.bias.data.copy_(bias)
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear) and name != "facts":
            part.load_state_dict(dict(zip(("weight", "bias"), tensors[name], strict=True)))


@torch.no_grad()
def _normalise(network, flux):
    """Batch normalisations that say the same, by the mean and variance of what goes through them."""
    seen = {}

    def look(part, inputs):
        seen[part] = torch.var_mean(inputs[0], dim=(0, 2, 3))

    parts = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    hooks = [part.register_forward_pre_hook(look) for part in parts]
    network(flux)
    for hook in hooks:
        hook.remove()
    for part in parts:
        variance, mean = seen[part]
        part.running_mean.copy_(mean)
        part.running_var.copy_(variance)
        part.weight.copy_(torch.sqrt(variance + part.eps))
        part.bias.add_(mean)
