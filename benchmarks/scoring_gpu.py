"""Scoring on a GPU: the session alone for growing batches, and from DuckDB to DuckDB.

    python -m benchmarks.scoring_gpu --model MODEL_fp16.onnx --spectra 200000 --peak-tflops 990

MODEL_fp16 is written by `becat export model`. For each provider that really runs (TensorRT, CUDA) it prints spectra per second of
the session with input and output on the device (IO binding), of `Scorer.score` on arrays in memory, and of `becat score`
on a catalogue of that many simulated spectra. Beside the session stands its share of the chip's dense half-precision peak
(--peak-tflops; 990 is an H100's or H200's), by the multiply-adds of the file's own convolutions and matrix products, two
operations each. Then the parts of the way from DuckDB to DuckDB by themselves: reading, cutting the window, writing. The
slowest part, or the session, is what bounds it.

Where no GPU runs it says so, measures the same on the CPU with few spectra, and ends with status 0: what it prints then is
a test of this script.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa

from becat.etl.catalogue.batches import flux_batches, matrix
from becat.etl.score import score_spectra
from becat.models.score import DEFAULT_MODEL, Scorer
from becat.models.training.training_data import simulated
from becat.models.window import PIXELS, cut_window
from becat.schema import build
from becat.schema.grid import RED

_BATCHES = (64, 256, 1024, 2048, 4096)
_GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
_CPU = "CPUExecutionProvider"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--peak-tflops", type=float, default=990.0, help="dense fp16 peak of the chip")
    options = parser.parse_args()
    available = [name for name in _GPU_PROVIDERS if name in onnxruntime.get_available_providers()]
    scorers = {scorer.provider: scorer for scorer in (Scorer(options.model, [name, _CPU]) for name in available)}
    scorers.pop(_CPU, None)
    batches, n = _BATCHES, options.spectra
    if not scorers:
        print(
            "No GPU provider of onnxruntime runs here: what follows is the CPU's, a test of this script and no result."
        )
        scorers, batches, n = {_CPU: Scorer(options.model, [_CPU], binding=True)}, (16, 32), min(n, 200)
    flux, _ = simulated(max(batches), np.random.default_rng(8))
    gflop = 2e-9 * multiply_adds(options.model)
    print(
        f"{options.model.name}: {gflop:.2f} GFLOP a spectrum; ceiling {1000 * options.peak_tflops / gflop:,.0f} spectra/s"
    )
    for provider, scorer in scorers.items():
        for batch in batches:
            rate = scorer.device_rate(flux[:batch])
            share = rate * gflop / 1000 / options.peak_tflops
            print(
                f"{provider}, session alone, batch {batch}: {rate:,.0f} spectra/s, {share:.1%} of the ceiling",
                flush=True,
            )
        start = time.perf_counter()
        scorer.score(flux, np.ones_like(flux))
        print(f"{provider}, arrays: {len(flux) / (time.perf_counter() - start):,.0f} spectra/s", flush=True)
    _from_duckdb(options.model, n)


def multiply_adds(path: Path) -> int:
    """Multiply-adds of a graph's convolutions and matrix products for one spectrum, from its inferred shapes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    shape = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    shape |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}

    def weights(name):
        """Shape of the weights, through the node that dequantises them."""
        return shape.get(name) or shape[made_by[name].input[0]]

    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(weights(node.input[1]))) * int(np.prod(shape[node.output[0]][2:]))
        elif node.op_type == "Gemm":
            total += int(np.prod(weights(node.input[1])))
    return total


def _from_duckdb(model: Path, n: int) -> None:
    """Spectra per second of the stage `score`, from `flux_red` to `be_score`, and of its parts."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.duckdb"
        fill_catalogue(path, n)
        with duckdb.connect(str(path)) as connection:
            start = time.perf_counter()
            result = score_spectra(connection, model)
            rate = n / (time.perf_counter() - start)
            print(f"{result['provider']}, DuckDB to DuckDB: {rate:,.0f} spectra/s of {n:,}", flush=True)
            reading = cutting = 0.0
            start = time.perf_counter()
            for table in flux_batches(connection, "true", [], "spectrum_id, r.flux, r.ivar", "reading", "flux_red r"):
                read = time.perf_counter()
                cut_window(matrix(table["flux"])[0], matrix(table["ivar"])[0])
                reading += read - start
                start = time.perf_counter()
                cutting += start - read
            print(f"its parts: reading {n / reading:,.0f}, cutting the window {n / cutting:,.0f} spectra/s")


def fill_catalogue(path: str | Path, n: int) -> None:
    """A new catalogue of n spectra in `spectrum` and `flux_red`; simulated windows in turn, continuum elsewhere.

    Parameters
    ----------
    path : path
    n : int
    """
    import duckdb

    build.create(Path(path))
    flux, _ = simulated(min(n, 512), np.random.default_rng(8))
    rng = np.random.default_rng(9)
    with duckdb.connect(str(path)) as connection:
        # Each checkpoint writes the unfinished row group again, which holds up to 60 batches.
        connection.execute("set checkpoint_threshold = '2GB'")
        for start in range(0, n, 2048):
            ids = np.arange(start, min(n, start + 2048))
            # Noise everywhere: DuckDB would store constant pixels in no space at all.
            whole = rng.normal(1, 0.02, (len(ids), RED.n_pixels)).astype(np.float32)
            whole[:, PIXELS] = flux[ids % len(flux)]
            arrays = pa.FixedSizeListArray.from_arrays(whole.ravel(), RED.n_pixels)
            ivar = rng.uniform(2000, 3000, whole.size).astype(np.float32)
            weights = pa.FixedSizeListArray.from_arrays(ivar, RED.n_pixels)
            connection.register("batch", pa.table({"spectrum_id": ids, "flux": arrays, "ivar": weights}))
            connection.execute(
                "insert into spectrum by name select spectrum_id, 'other' as survey, true as is_simulated,"
                " 'simulated' as file, true as coadd, false as has_blue from batch"
            )
            connection.execute("insert into flux_red by name select * from batch")
            connection.unregister("batch")


if __name__ == "__main__":
    main()
