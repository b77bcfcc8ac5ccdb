"""Scoring the stored spectra with the classifier."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from becat.etl.catalogue.batches import arrow_columns, flux_batches, insert_columns, matrix
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.memory import need_address_space
from becat.etl.catalogue.versions import code_version
from becat.etl.catalogue.workers import Pool, Tables, Work, open_pool, partition_table, work_through
from becat.etl.missing import missing_table, write_missing
from becat.models.score import Scorer
from becat.models.window import WINDOW_A
from becat.schema.errors import BecatError

__all__ = ["score_spectra"]


def score_spectra(
    connection: duckdb.DuckDBPyConnection, model: str | Path | None = None, scheduler: str | None = None
) -> dict[str, int | str]:
    """Score every spectrum that the model and this code have not scored yet, and make it the model that the views use.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    model : path, optional
        An ONNX model; by default the one that comes with becat.
    scheduler : str, optional
        Address of a Dask scheduler whose workers score instead of this process, each with the provider that it has.

    Returns
    -------
    dict
        ``scored`` spectra, ``model_id`` and the execution ``provider`` that ran.

    Raises
    ------
    BecatError
        The model cannot be used.
    """
    need_address_space()
    scorer = Scorer(model)
    model_path = str(scorer.path.resolve())
    _keep(scorer)
    n_scored = 0
    providers = set()
    version = code_version("score")
    with Run(connection, "score", version) as run, _pool(connection, scheduler) as pool:
        _make_current(connection, scorer, run)
        todo = """
            not exists (
                from be_score k join etl_run e using (run_id)
                where k.spectrum_id = r.spectrum_id and k.model_id = $1 and e.code_version = $2
            )
            or exists (from be_score k where k.spectrum_id = r.spectrum_id and k.model_id = $1 and k.be_probability is null
                and not exists (from missing_result x where x.spectrum_id = r.spectrum_id and x.stage = 'score'))
        """
        batches = flux_batches(
            connection, todo, [scorer.model_id, version], "spectrum_id, r.flux, r.ivar", "scoring", "flux_red r"
        )
        partitions = ((pool.give(table), model_path, scorer.model_id) for table in batches)
        for _, tables in work_through(pool, score_partition, partitions):
            rows = dict(zip(tables["be_score"].column_names, tables["be_score"].columns, strict=True))
            n = len(tables["be_score"])
            with transaction(connection):
                connection.register("scored", pa.table({"spectrum_id": rows["spectrum_id"]}))
                connection.execute(
                    "delete from be_score where model_id = ? and spectrum_id in (select spectrum_id from scored)",
                    [scorer.model_id],
                )
                connection.unregister("scored")
                insert_columns(connection, "be_score", {**rows, "run_id": [run.run_id] * n})
                write_missing(connection, "score", rows["spectrum_id"], tables["missing_result"], run.run_id)
            providers.update(rows["provider"].unique().to_pylist())
            n_scored += n
            run.n_done = n_scored
        provider = ", ".join(sorted(providers)) or scorer.provider
        run.message = f"{n_scored} spectra scored by model {scorer.model_id} on {provider}"
    return {"scored": n_scored, "model_id": scorer.model_id, "provider": provider}


class Beside:
    """A thread that scores a batch while this one writes the last and reads the next; only this one uses the catalogue."""

    n_ahead = 2

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def give(self, table: pa.Table) -> pa.Table:
        return table

    def submit(self, work: Work, partition: tuple) -> Future:
        return self._thread.submit(work, partition)

    def result(self, handle: Future) -> Tables:
        return handle.result()

    def restart(self) -> None: ...

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)


@contextmanager
def _pool(connection: duckdb.DuckDBPyConnection, scheduler: str | None) -> Iterator[Pool]:
    """Where the batches are scored: on a cluster, or beside this thread."""
    if scheduler:
        with open_pool(connection, scheduler) as pool:
            yield pool
        return
    beside = Beside()
    try:
        yield beside
    finally:
        beside.close()


# The session of this process: opening one takes a second, and memory for the weights.
_loaded: dict[str, Scorer] = {}


def _keep(scorer: Scorer) -> None:
    _loaded.clear()
    _loaded[scorer.model_id] = scorer


def _scorer(model_path: str, model_id: str) -> Scorer:
    """The model of this identity, loaded on the first call."""
    if model_id not in _loaded:
        _keep(Scorer(model_path))
    if model_id not in _loaded:
        raise BecatError(f"the worker's {model_path} is another model: bring the same file to every machine")
    return _loaded[model_id]


def score_partition(partition: tuple[pa.Table | str, str, str]) -> Tables:
    """Rows of `be_score` and `missing_result` for one batch (the work of one process).

    Parameters
    ----------
    partition : (table or path of one, str, str)
        spectrum_id, flux and ivar of the red arm; the model's file; the identity that it must have.

    Returns
    -------
    dict of str to pyarrow.Table
    """
    given, model_path, model_id = partition
    scorer = _scorer(model_path, model_id)
    table = partition_table(given)
    flux, ivar = matrix(table["flux"])[0], matrix(table["ivar"])[0]
    probability = scorer.score(flux, ivar)
    n = len(table)
    return {
        "be_score": arrow_columns(
            {
                "spectrum_id": table["spectrum_id"],
                "model_id": [model_id] * n,
                "be_probability": probability,
                "provider": [scorer.provider] * n,
            }
        ),
        "missing_result": missing_table(
            table["spectrum_id"], flux, ivar, np.isnan(probability), WINDOW_A, "H-alpha could not be scored"
        ),
    }


def _make_current(connection, scorer: Scorer, run: Run) -> None:
    current = connection.execute("select model_id from model where is_current").fetchall()
    if current == [(scorer.model_id,)]:
        return
    with transaction(connection):
        connection.execute("update model set is_current = false where is_current")
        connection.execute("delete from model where model_id = ?", [scorer.model_id])
        insert_columns(
            connection,
            "model",
            {name: [value] for name, value in {**scorer.description, "is_current": True, "run_id": run.run_id}.items()},
        )
        _fill_completeness(connection, scorer, run)


def _fill_completeness(connection, scorer: Scorer, run: Run) -> None:
    """What the evaluation of this model found of injected emission, where its card has a table of it."""
    table = scorer.path.with_name("completeness.csv")
    if table.is_file():
        connection.execute(
            "insert or replace into completeness by name select *, ? as run_id from read_csv(?) where model_id = ?",
            [run.run_id, str(table), scorer.model_id],
        )
