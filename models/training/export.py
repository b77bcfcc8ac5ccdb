"""Export of the trained classifiers to ONNX: ResNet-18 with half-precision weights for GPUs and in static int8 for CPUs, the drawing inside."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from becat.models.evaluation.calibration import fit_weights
from becat.models.training.network import Classifier
from becat.models.training.trained import load_drawing, load_profiles, networks_of, record_of
from becat.models.training.training_data import simulated
from becat.models.training.warp import warp_profiles
from becat.models.window import PIXELS, WINDOW_A

__all__ = ["OPSET", "apply", "export", "to_half_weights", "to_int8", "to_onnx"]

# Read by onnxruntime 1.20 and later.
OPSET = 18
_N_RANGES = 192
CALIBRATION_SEED = [20260101, 99]
_IR_VERSION = 10


def to_onnx(model: Classifier, path: str | Path) -> None:
    """Write a classifier as an ONNX graph in single precision.

    The graph takes ``flux`` (n, 481) and gives ``probability`` (n,), ``features`` (n, k) and ``log_odds`` (n,).

    Parameters
    ----------
    model : Classifier
    path : path
        Result.
    """
    example = torch.ones(2, PIXELS.stop - PIXELS.start)
    outputs = ["probability", "features", "log_odds"]
    with _quiet():
        torch.onnx.export(
            model.cpu().eval(),
            (example,),
            str(path),
            input_names=["flux"],
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in ("flux", *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    graph.ir_version = _IR_VERSION
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


@contextlib.contextmanager
def _quiet():
    """The exporters talk: tracing, deprecations, quantisation hints."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def to_half_weights(source: str | Path, path: str | Path) -> None:
    """Store the network's weights as fp16, and let the network compute in it; drawing and probability stay fp32.

    A cast stands after the drawing and another after the last layer, so that a GPU runs the convolutions in half precision
    and a CPU still runs the file.
    """
    model = onnx.load(str(source))
    graph = model.graph
    network = _network_nodes(graph)
    inside = {output for node in network for output in node.output}
    used = {name for node in network for name in node.input}
    for index, tensor in enumerate(list(graph.initializer)):
        if tensor.name in used and tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
            graph.initializer[index].CopyFrom(half)
    constants = {t.name for t in graph.initializer}
    entering = sorted(used - inside - constants)
    leaving = sorted(
        {name for node in graph.node if node not in network for name in node.input if name in inside}
        | {out.name for out in graph.output if out.name in inside}
    )
    _recast(graph, network, entering, leaving)
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _network_nodes(graph):
    """Nodes of ResNet-18."""
    return [node for node in graph.node if node.name.startswith("/network/")]


def _recast(graph, network, entering, leaving):
    """Cast to fp16 where the network begins and back to fp32 where it ends."""
    for node in network:
        for k, name in enumerate(node.input):
            if name in entering:
                node.input[k] = f"{name}_half"
        for k, name in enumerate(node.output):
            if name in leaving:
                node.output[k] = f"{name}_half"
    for node in network:
        for k, name in enumerate(node.input):
            if name in leaving:
                node.input[k] = f"{name}_half"
    casts_in = [helper.make_node("Cast", [name], [f"{name}_half"], to=TensorProto.FLOAT16) for name in entering]
    casts_out = [helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT) for name in leaving]
    first = list(graph.node).index(network[0])
    last = list(graph.node).index(network[-1])
    nodes = list(graph.node)
    ordered = nodes[:first] + casts_in + nodes[first : last + 1] + casts_out + nodes[last + 1 :]
    del graph.node[:]
    graph.node.extend(ordered)


class _Spectra(CalibrationDataReader):
    """Calibration spectra, a few at a time."""

    def __init__(self, flux: np.ndarray, batch: int = 16):
        self._batches = iter([{"flux": flux[k : k + batch]} for k in range(0, len(flux), batch)])

    def get_next(self):
        return next(self._batches, None)


def to_int8(source: str | Path, path: str | Path, flux: np.ndarray) -> None:
    """Quantise ResNet-18 but its first convolution statically to int8, weights per channel.

    The first convolution stays in single precision: it is a tenth of the time, and quantised it made more than half of
    the error of the log odds. So does the pooling after it, since a maximum is the same before and after rounding.

    Parameters
    ----------
    source : path
        Graph in single precision.
    path : path
        Result.
    flux : (n, 481) float32 array
        Spectra on which the ranges of the activations are measured: a few hundred of all kinds.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(path),
            _Spectra(np.ascontiguousarray(flux, np.float32)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "Add", "GlobalAveragePool"],
            nodes_to_quantize=_nodes_to_quantize(prepared),
            per_channel=True,
            reduce_range=False,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


def _nodes_to_quantize(path):
    """Names of the nodes of ResNet-18 after its first convolution."""
    nodes = _network_nodes(onnx.load(str(path)).graph)
    first = [node.op_type for node in nodes].index("Conv")
    return [node.name for node in nodes[first + 1 :]]


def export(
    training: str | Path,
    directory: str | Path,
    *,
    n_calibration: int = 6000,
    threshold: float = 0.5,
    name: str = "becat",
) -> dict[str, Path]:
    """Write the models of a training, each with the JSON file that `becat.models.score` checks it against.

    The weight of the log odds and the ranges of int8 are found on simulated spectra that no training draws, half of them warped.

    Parameters
    ----------
    training : path
        Directory of `becat.models.training.train.train`.
    directory : path
        Where the models go.
    n_calibration : int
        Simulated spectra for the weights; 192 of them, from the surest Be to the surest not Be, give the ranges of int8.
    threshold : float
        Probability from which a spectrum is called Be, told to `Scorer` and written to table `model`.
    name : str
        First part of the file names.

    Returns
    -------
    dict of str to pathlib.Path
        By what they hold: of ResNet-18 ``resnet18 int8``, ``resnet18 fp16`` and ``resnet18 json``, of the profile networks
        ``profile fp32`` and ``profile json``, as far as the training has them.

    Raises
    ------
    FileNotFoundError, ValueError
        The training was stopped before its end.
    """
    training, directory = Path(training), Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    record = record_of(training)
    rng = np.random.default_rng(CALIBRATION_SEED)
    flux, label = simulated(n_calibration, rng)
    # Real stars are not quite as simulated: half of these are not either.
    flux[::2] = warp_profiles(flux[::2], rng)
    written = {}
    for network in networks_of(training):
        model = _LOAD[network](training)
        first = apply(lambda part, model=model: model.look(part)[0], flux)
        model.weight.fill_(float(fit_weights(first[:, None], label)[0]))
        # From the surest of one class to the surest of the other: a range that lacks the ends clips the log odds.
        evenly = first.argsort()[np.linspace(0, len(first) - 1, _N_RANGES).round().astype(int)]
        files = _WRITE[network](model, directory / f"{name}_{network}", flux[evenly])
        card = _card(network, model, record, files) | {"be_probability_min": threshold}
        files["json"] = directory / f"{name}_{network}.json"
        files["json"].write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        written |= {f"{network} {precision}": path for precision, path in files.items()}
    return written


def _write_drawing(model, stem, ranges) -> dict[str, Path]:
    files = {"int8": stem.with_name(f"{stem.name}.onnx"), "fp16": stem.with_name(f"{stem.name}_fp16.onnx")}
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder) / "fp32.onnx"
        to_onnx(model, single)
        to_half_weights(single, files["fp16"])
        to_int8(single, files["int8"], ranges)
    return files


def _write_profiles(model, stem, _) -> dict[str, Path]:
    files = {"fp32": stem.with_name(f"{stem.name}.onnx")}
    model.sparing = True
    to_onnx(model, files["fp32"])
    return files


_LOAD = {"resnet18": load_drawing, "profile": load_profiles}
_WRITE = {"resnet18": _write_drawing, "profile": _write_profiles}


def _card(network, model, record, files) -> dict:
    """What the JSON file says; of the training only what concerns this network."""
    config = record["config"]
    if network == "resnet18":
        told = "ResNet-18 on a drawing of {size}x{size}, shown as means of {reduction}x{reduction}".format(
            **config["stages"][-1]
        )
        config = config | {"profile": config["profile"] | {"members": 0}}
    else:
        told = (
            f"{len(model.profile)} one-dimensional residual networks on the flux; where in doubt, in four views of it"
        )
        config = config | {"stages": []}
    return {
        "network": network,
        "architecture": told,
        "training_data": _training_data(network, record),
        "window_a": list(WINDOW_A),
        "log_odds_weight": float(model.weight),
        "training": {"config": config} | {key: record[key] for key in ("data", "torch", "device", "imagenet")},
        "steps": record["validation"][-1]["step"] if network == "resnet18" else 0,
        "opset": OPSET,
        "files": {
            precision: {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for precision, path in files.items()
        },
    }


@torch.inference_mode()
def apply(part: Callable[[torch.Tensor], torch.Tensor], flux: np.ndarray) -> np.ndarray:
    """(n,) what a part of the classifier gives for (n, 481) flux, in bounded batches."""
    return np.concatenate([part(torch.from_numpy(flux[k : k + 32])).numpy() for k in range(0, len(flux), 32)])


def _training_data(network, record) -> str:
    """One sentence for table `model`."""
    config, data = record["config"], record["data"]
    trained = config if network == "resnet18" else config["profile"]
    further = " more than in the training before" if trained.get("start_from") else ""
    if network == "resnet18":
        seen = f"{record['validation'][-1]['step'] * config['batch']} spectra{further}"
        seen += ", and what profile networks say of them" if config.get("teacher") else ""
    else:
        seen = f"{config['profile']['n_spectra']} spectra for each network{further}"
    if not data["real_spectra"]:
        return f"{seen}: simulated (becat.simulate.sample, generator a)"
    n_train = data["real_spectra"] - data["validation_spectra"]
    return (
        f"{seen}: simulated (becat.simulate.sample, generator a), and {n_train} real spectra"
        f" ({data['real_be'] - data['validation_be']} of them Be) as they are and as hosts of injected emission"
    )
