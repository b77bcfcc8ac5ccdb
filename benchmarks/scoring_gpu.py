"""Scoring on a GPU: the session alone for growing batches, and from DuckDB to DuckDB.

    python -m benchmarks.scoring_gpu --model MODEL_fp16.onnx --spectra 200000

MODEL_fp16 is written by `becat export`. For each provider that really runs (TensorRT, CUDA) it prints spectra per second of
the session with its input already on the device (IO binding), of `Scorer.score` on arrays in memory, and of `becat score`
on a catalogue of that many simulated spectra, with the share of the chip's half-precision peak (--peak-tflops) that the
session reaches: ResNet-18 needs 4.74 GFLOP at 256 x 256, twice its multiply-adds.
It ends with a message and exit status 1 where there is no GPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

from etl.stages.score import score_spectra
from models.score import Scorer
from models.training_data import simulated
from models.window import PIXELS
from schema import build
from schema.grid import RED

_GFLOP = 4.74
_BATCHES = (64, 256, 1024, 2048)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--peak-tflops", type=float, default=990.0, help="dense fp16 peak of the chip")
    options = parser.parse_args()
    flux, _ = simulated(4096, np.random.default_rng(8))
    tried = [Scorer(options.model, [name, "CPUExecutionProvider"]) for name in _gpu_providers()]
    scorers = [scorer for scorer in tried if scorer.provider != "CPUExecutionProvider"]
    if not scorers:
        sys.exit("no GPU provider of onnxruntime runs here: nothing was measured")
    for scorer in scorers:
        for batch in _BATCHES:
            rate = _session_rate(options.model, scorer.provider, flux[:batch])
            share = rate * _GFLOP / 1000 / options.peak_tflops
            print(f"{scorer.provider}, session, batch {batch}: {rate:,.0f} spectra/s, {share:.0%} of the peak")
        start = time.perf_counter()
        scorer.score(flux, np.ones_like(flux))
        print(f"{scorer.provider}, arrays: {len(flux) / (time.perf_counter() - start):,.0f} spectra/s")
    rate, provider = _catalogue_rate(options.model, flux, options.spectra)
    print(f"{provider}, DuckDB to DuckDB: {rate:,.0f} spectra/s")


def _gpu_providers() -> list[str]:
    return [
        p for p in onnxruntime.get_available_providers() if p in ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    ]


def _session_rate(model: Path, provider: str, flux: np.ndarray, repeats: int = 20) -> float:
    """Spectra per second with input and output on the device."""
    session = onnxruntime.InferenceSession(str(model), providers=[provider, "CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input("flux", onnxruntime.OrtValue.ortvalue_from_numpy(flux, "cuda", 0))
    binding.bind_output("probability", "cuda")
    for _ in range(3):
        session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    start = time.perf_counter()
    for _ in range(repeats):
        session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return repeats * len(flux) / (time.perf_counter() - start)


def _catalogue_rate(model: Path, flux: np.ndarray, n: int) -> tuple[float, str]:
    """Spectra per second of the stage `score`, from `flux_red` to `be_score`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.duckdb"
        build.create(path)
        import duckdb

        with duckdb.connect(str(path)) as connection:
            _fill(connection, flux, n)
            start = time.perf_counter()
            result = score_spectra(connection, model)
            return n / (time.perf_counter() - start), str(result["provider"])


def _fill(connection, flux: np.ndarray, n: int) -> None:
    """n spectra in `spectrum` and `flux_red`; the windows of `flux` in turn."""
    import pyarrow as pa

    for start in range(0, n, 2048):
        ids = np.arange(start, min(n, start + 2048))
        whole = np.ones((len(ids), RED.n_pixels), np.float32)
        whole[:, PIXELS] = flux[ids % len(flux)]
        arrays = pa.FixedSizeListArray.from_arrays(whole.ravel(), RED.n_pixels)
        ones = pa.FixedSizeListArray.from_arrays(np.ones(whole.size, np.float32), RED.n_pixels)
        batch = pa.table({"spectrum_id": ids, "flux": arrays, "ivar": ones})
        connection.register("batch", batch)
        connection.execute(
            "insert into spectrum by name select spectrum_id, 'other' as survey, true as is_simulated, 'simulated' as file,"
            " true as coadd, false as has_blue from batch"
        )
        connection.execute("insert into flux_red by name select * from batch")
        connection.unregister("batch")


if __name__ == "__main__":
    main()
