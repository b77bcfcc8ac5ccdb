"""Scoring on a CPU: an exported model against PyTorch in single precision, the drawing included.

    python -m benchmarks.scoring --training TRAINING --spectra 10000 --store scoring.csv

TRAINING is the directory of the training that the model was exported from (`becat train`); without it only the exported model
is timed. Both run in this process, on the same spectra, in turns of 100 spectra, on as many threads as the process may use. The ratio of speeds
is that of the whole times, and the middle of the turns' own ratios beside it, which a busy moment does not move. The processor time of a
spectrum tells on a busy machine what the clock cannot. A decision differs where one is on the other side of the model's threshold.

Each turn is appended to the file of ``--store``, so that the same command goes on after an interruption and more spectra can be
added to those that were done. Ten thousand take a quarter of an hour on two idle cores.

Memory: ``--memory 2000 20000`` measures instead the peak of `becat score` in a process of its own for each number of spectra.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from becat.models.score import DEFAULT_MODEL, Scorer
from becat.models.training.training_data import simulated

TURN = 100
_SEED = 8
_COLUMNS = ("model_id", "turn", "n", "exported_s", "exported_cpu_s", "torch_s", "n_differ", "largest_difference")


def main() -> None:
    """Print spectra per second and the share of decisions that differ, or the peak of the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=1000)
    parser.add_argument("--training", type=Path)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--memory", type=int, nargs="+", metavar="SPECTRA")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(_peak_of_scoring(options.model, options.memory_of))
        return
    if options.memory:
        for n in options.memory:
            command = [sys.executable, "-m", "benchmarks.scoring", "--memory-of", str(n), "--model", str(options.model)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"becat score of {n} spectra: peak {float(done.stdout.split()[-1]):.0f} MB", flush=True)
        return
    _report(_turns(options), options.training is not None)


def _turns(options) -> list[dict[str, float]]:
    """Times and differences of each turn, those of the store included."""
    scorer = Scorer(options.model)
    done = _stored(options.store, scorer.model_id)
    threshold = scorer.description["be_probability_min"] or 0.5
    ways: dict[str, Callable[..., np.ndarray]] = {"exported": lambda flux: scorer.score(flux, np.ones_like(flux))}
    if options.training:
        ways["torch"] = _pytorch(options.training, scorer)
    print(f"{scorer.path.name} on {scorer.provider}, {len(os.sched_getaffinity(0))} threads", flush=True)
    warmed = False
    for turn in range(-(-options.spectra // TURN)):
        if turn in done:
            continue
        flux, _ = simulated(TURN, np.random.default_rng([_SEED, turn]))
        if not warmed:
            for score in ways.values():
                score(flux[:32])
            warmed = True
        row = {"model_id": scorer.model_id, **_turn(ways, flux, threshold, turn)}
        done[turn] = row
        _append(options.store, row)
    return [done[turn] for turn in sorted(done)]


def _turn(ways, flux, threshold, turn) -> dict:
    """All on the same spectra; every other turn the other way round."""
    seconds, found = {}, {}
    for name in sorted(ways, reverse=turn % 2 == 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        found[name] = ways[name](flux)
        seconds[f"{name}_s"], seconds[f"{name}_cpu_s"] = time.perf_counter() - start, time.process_time() - start_cpu
    mine = found["exported"]
    other = found.get("torch", mine)
    return {
        "turn": turn,
        "n": len(flux),
        **{column: seconds.get(column, float("nan")) for column in ("exported_s", "exported_cpu_s", "torch_s")},
        "n_differ": int(((mine >= threshold) != (other >= threshold)).sum()),
        "largest_difference": float(np.abs(mine - other).max()),
    }


def _stored(store, model_id) -> dict[int, dict]:
    """Turns that the store holds of this model."""
    if store is None or not store.is_file():
        return {}
    with store.open(encoding="utf-8", newline="") as stream:
        rows = [{k: v if k == "model_id" else float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    if any(row["model_id"] != model_id for row in rows):
        sys.exit(f"{store} is of another model: name another file")
    return {int(row["turn"]): row for row in rows}


def _append(store, row) -> None:
    if store is None:
        return
    new = not store.is_file()
    with store.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _report(turns, with_torch) -> None:
    n = sum(row["n"] for row in turns)
    exported_s = np.array([row["exported_s"] for row in turns])
    cpu_s = sum(row["exported_cpu_s"] for row in turns)
    print(
        f"exported: {n / exported_s.sum():.1f} spectra/s, {1000 * cpu_s / n:.2f} ms of processor time a spectrum, {n:.0f} spectra"
    )
    if not with_torch:
        return
    torch_s = np.array([row["torch_s"] for row in turns])
    low, middle, high = np.percentile(torch_s / exported_s, [16, 50, 84])
    print(f"PyTorch eager fp32: {n / torch_s.sum():.1f} spectra/s; the exported model is")
    print(
        f"  {torch_s.sum() / exported_s.sum():.2f} times as fast (turns: {middle:.2f}, two in three {low:.2f}-{high:.2f})"
    )
    differ = sum(row["n_differ"] for row in turns)
    largest = max(row["largest_difference"] for row in turns)
    print(f"decisions that differ: {differ:.0f} of {n:.0f} ({differ / n:.3%}); largest difference {largest:.3f}")


def _pytorch(training: Path, scorer: Scorer) -> Callable[[np.ndarray], np.ndarray]:
    """The classifier before export, weight of the log odds as on the model's card."""
    from becat.models.training.export import apply
    from becat.models.training.trained import load_drawing, load_profiles

    card = json.loads(scorer.path.with_suffix(".json").read_text(encoding="utf-8"))
    load = {"resnet18": load_drawing, "profile": load_profiles}[scorer.network]
    model = load(training, card["log_odds_weight"])
    return lambda flux: apply(lambda part: model(part)[0], flux)


def _peak_of_scoring(model: Path, n: int) -> float:
    """Peak of this process's memory, MB, after `becat score` of a catalogue of n spectra, filled by another process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.duckdb"
        fill = f"from benchmarks.scoring_gpu import fill_catalogue; fill_catalogue({str(path)!r}, {n})"
        subprocess.run([sys.executable, "-c", fill], check=True)
        import duckdb

        from becat.etl.score import score_spectra

        with duckdb.connect(str(path)) as connection:
            score_spectra(connection, model)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
