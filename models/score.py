"""Scoring rectified spectra with the exported classifier through onnxruntime."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np
import onnxruntime

from becat.models.window import cut_window
from becat.schema.errors import BecatError

__all__ = ["DEFAULT_MODEL", "FOLDER", "NETWORKS", "RESTORE", "Scorer", "own_model"]

FOLDER = Path(__file__).parent
NETWORKS = ("resnet18", "profile")
DEFAULT_MODEL = FOLDER / "becat_resnet18.onnx"
_GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
# Spectra a run. A CPU wants its activations in the cache; a GPU wants work for all of its processors.
_CPU_BATCH = 32
_GPU_BATCH = 2048
_ONLY_FATAL = 4


def own_model(network: str) -> Path:
    """The file of a network of `NETWORKS` that comes with becat, for CPUs."""
    return FOLDER / f"becat_{network}.onnx"


class Scorer:
    """A loaded classifier.

    Parameters
    ----------
    model_path : path, optional
        An ONNX model with ``flux`` (n, 481) in and ``probability`` (n,) out; by default that of `network` that comes with becat.
    providers : list of str, optional
        onnxruntime execution providers to try, in order; by default TensorRT, CUDA and CPU, as far as they are there.
    binding : bool, optional
        Whether input and output lie in memory of the device that is taken once and used again for each batch; by default
        on a GPU only, since a CPU reads the arrays where they are.
    network : {"resnet18", "profile"}
        Which of becat's own models, where no path is given: of ResNet-18 that in half precision on a GPU (where that file is
        installed), in int8 on a CPU.

    Attributes
    ----------
    provider : str
        Execution provider that runs the model: the one that onnxruntime took, which is not always the first asked for.
    network : str
        ``resnet18`` or ``profile``, by its card; ``profile`` for a model of before there were two.
    outputs : set of str
        What the model gives: ``probability``, and of models that `becat.models.training.export` writes now ``features`` and ``log_odds``.
    sha256, model_id : str
        Hash of the file and its first 12 digits.
    description : dict
        The row of table `model`, without run and currency.

    Raises
    ------
    BecatError
        The file is missing or damaged.
    """

    def __init__(
        self,
        model_path: str | Path | None = None,
        providers: list[str] | None = None,
        *,
        binding: bool | None = None,
        network: str = "resnet18",
    ):
        wanted = providers or _available_providers()
        self.path = Path(model_path) if model_path is not None else _default_model(network, wanted)
        content, self.sha256 = _read_checked(self.path)
        self._session = _open_session(self.path, content, wanted)
        for_cpu = own_model(network)
        if model_path is None and self.path != for_cpu and self._session.get_providers()[0] not in _GPU_PROVIDERS:
            # A GPU that onnxruntime cannot use: a CPU computes in half precision ten times more slowly than in int8.
            self.path = for_cpu
            content, self.sha256 = _read_checked(self.path)
            self._session = _open_session(self.path, content, ["CPUExecutionProvider"])
        self.model_id = self.sha256[:12]
        self.provider: str = self._session.get_providers()[0]
        on_gpu = self.provider in _GPU_PROVIDERS
        self._batch = _GPU_BATCH if on_gpu else _CPU_BATCH
        bind = on_gpu if binding is None else binding
        shapes = {output.name: output.shape[1:] for output in self._session.get_outputs()}
        self._bound = _Bound(self._session, shapes, "cuda" if on_gpu else "cpu") if bind else None
        self.outputs = set(shapes)
        self._n_features = int(*shapes.get("features", [0]))
        card = _card_of(self.path, self.sha256)
        self.network: str = card.get("network", "profile")
        self.description = {
            "network": self.network,
            "model_id": self.model_id,
            "name": self.path.name,
            "sha256": self.sha256,
            "architecture": card.get("architecture"),
            "precision": card.get("precision"),
            "training_data": card.get("training_data"),
            "be_probability_min": card.get("be_probability_min"),
        }

    def score(self, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """Probability that the H-alpha profile is that of a Be star.

        Parameters
        ----------
        flux, ivar : (n_spectra, 4001) float arrays
            Rectified red-arm flux and inverse variance on `becat.schema.grid.RED`, or only the 481 pixels of the window.

        Returns
        -------
        (n_spectra,) float32 array
            NaN where `becat.models.window.cut_window` finds too long a gap.
        """
        return self._run("probability", flux, ivar, np.full(len(flux), np.nan, np.float32))

    def log_odds(self, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """(n_spectra,) float32 log odds of `score`, which tell sure from surer where a probability is 1 to seven digits.

        Raises
        ------
        BecatError
            The model does not give them.
        """
        if "log_odds" not in self.outputs:
            raise BecatError(f"{self.path} gives no log odds: export it again with `becat export model`")
        return self._run("log_odds", flux, ivar, np.full(len(flux), np.nan, np.float32))

    def features(self, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """(n_spectra, k) float32 activations before the last layers: near each other for profiles that look alike."""
        return self._run("features", flux, ivar, np.full((len(flux), self._n_features), np.nan, np.float32))

    def device_rate(self, flux: np.ndarray, repeats: int = 20) -> float:
        """Spectra per second of the session alone, its (n, 481) input already where the device wants it.

        Raises
        ------
        ValueError
            The scorer was made without binding, as it is by default on a CPU.
        """
        if self._bound is None:
            raise ValueError("without binding the input is not on the device: Scorer(binding=True)")
        return self._bound.rate(flux, repeats)

    def _run(self, output, flux, ivar, result):
        for start in range(0, len(flux), self._batch):
            part = slice(start, start + self._batch)
            window, usable = cut_window(flux[part], ivar[part])
            if usable.any():
                result[start + np.flatnonzero(usable)] = self._infer(output, window[usable])
        return result

    def _infer(self, output, window):
        if self._bound is not None:
            return self._bound.run(output, window)
        return self._session.run([output], {"flux": window})[0]


class _Bound:
    """A session whose input and output lie in memory of the device, taken once for each size of batch.

    Batches are filled up to a power of two: a device prepares itself anew for each size that it meets, which takes
    TensorRT a minute.
    """

    def __init__(self, session: onnxruntime.InferenceSession, shapes: dict[str, list[int]], device: str):
        self._session, self._shapes, self._device = session, shapes, device
        self._places: dict[tuple[str, int], tuple] = {}

    def run(self, output: str, window: np.ndarray) -> np.ndarray:
        """One output of the (n, 481) windows."""
        size = 1 << (len(window) - 1).bit_length()
        if (output, size) not in self._places:
            self._places[output, size] = self._take(output, size, window.shape[1])
        filled, flux, found, binding = self._places[output, size]
        filled[: len(window)] = window
        flux.update_inplace(filled)
        self._session.run_with_iobinding(binding)
        return found.numpy()[: len(window)].copy()

    def rate(self, flux: np.ndarray, repeats: int) -> float:
        """Spectra per second of runs that copy nothing."""
        for _ in range(3):
            self.run("probability", flux)
        binding = self._places["probability", 1 << (len(flux) - 1).bit_length()][-1]
        start = time.perf_counter()
        for _ in range(repeats):
            self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return repeats * len(flux) / (time.perf_counter() - start)

    def _take(self, output, size, n_pixels):
        """Array to fill, its place and that of the output on the device, and the binding of both."""
        shape = (size, *self._shapes[output])
        filled = np.ones((size, n_pixels), np.float32)
        flux = onnxruntime.OrtValue.ortvalue_from_numpy(filled, self._device, 0)
        found = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, self._device, 0)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("flux", flux)
        binding.bind_ortvalue_output(output, found)
        return filled, flux, found, binding


def _available_providers() -> list[str]:
    """Providers that this build has and whose hardware is there, fastest first."""
    built = onnxruntime.get_available_providers()
    gpu = [name for name in _GPU_PROVIDERS if name in built] if _has_nvidia_gpu() else []
    return [*gpu, "CPUExecutionProvider"]


def _has_nvidia_gpu() -> bool:
    """The kernel driver's device file: asking onnxruntime itself prints errors where there is none."""
    return os.path.exists("/dev/nvidia0") or os.path.exists("/dev/dxg")


def _load_gpu_libraries() -> None:
    """CUDA, cuDNN and TensorRT where they were installed as Python packages: onnxruntime does not look there by itself."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        onnxruntime.preload_dlls(directory="")
    with contextlib.suppress(Exception):
        importlib.import_module("tensorrt")


def _engine_options() -> dict[str, str]:
    """TensorRT: keep the engines that it builds, a minute each, for the next process."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "becat" / "tensorrt"
    cache.mkdir(parents=True, exist_ok=True)
    return {"trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache)}


def _default_model(network: str, providers: list[str]) -> Path:
    half = FOLDER / f"becat_{network}_fp16.onnx"
    return half if providers[0] in _GPU_PROVIDERS and half.is_file() else own_model(network)


RESTORE = "install becat again (in a checkout: `git restore models`)"


def _read_checked(path: Path) -> tuple[bytes, str]:
    """Content of a model file and its SHA-256, which for becat's own models must be the one on their card."""
    if not path.is_file():
        raise BecatError(f"no model at {path}: {RESTORE}, or name another with --model")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    wanted = {entry["name"]: entry["sha256"] for entry in _card_beside(path).get("files", {}).values()}
    if path.resolve().parent == FOLDER.resolve() and wanted.get(path.name, found) != found:
        raise BecatError(
            f"{path} is damaged: its SHA-256 is {found[:12]}, the card says {wanted[path.name][:12]}; {RESTORE}"
        )
    return content, found


def _card_beside(path: Path) -> dict:
    """The JSON file beside a model, as `becat.models.training.export` names it; empty where there is none."""
    beside = path.with_name(path.stem.removesuffix("_fp16") + ".json")
    return json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}


def _card_of(path: Path, sha256: str) -> dict:
    """Card of a model: the one beside it, or, for a copy of becat's own, becat's."""
    for card in map(_card_beside, (path, *(own_model(network) for network in NETWORKS))):
        for precision, entry in card.get("files", {}).items():
            if entry["sha256"] == sha256:
                return {**card, "precision": precision}
    return {}


def _open_session(path: Path, content: bytes, providers: list[str]) -> onnxruntime.InferenceSession:
    onnxruntime.set_default_logger_severity(_ONLY_FATAL)
    if os.environ["ORT_DISABLE_TELEMETRY"] != "0":
        onnxruntime.disable_telemetry_events()  # where onnxruntime was loaded before becat
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_FATAL
    # Threads that spin while they wait take the processor from others, and from each other where cores are busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    asked: list = list(providers)
    if any(name in _GPU_PROVIDERS for name in providers) and _has_nvidia_gpu():
        _load_gpu_libraries()
        asked = [(name, _engine_options()) if name == "TensorrtExecutionProvider" else name for name in providers]
    try:
        # Where TensorRT is not installed, onnxruntime prints so at length and goes on with the next provider.
        with contextlib.redirect_stdout(io.StringIO()):
            session = onnxruntime.InferenceSession(content, options, providers=asked)
    except Exception as error:
        raise BecatError(f"{path} is not a model that onnxruntime can open: {str(error).splitlines()[0]}") from None
    names = {put.name for put in session.get_inputs()}, {put.name for put in session.get_outputs()}
    if "flux" not in names[0] or "probability" not in names[1]:
        raise BecatError(f"{path} is not a classifier of becat: it must take flux and give probability")
    return session
