"""Scoring the stored spectra with the classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from scipy.special import expit

from becat.etl.catalogue.batches import arrow_columns, flux_batches, insert_columns, matrix
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.memory import need_address_space
from becat.etl.catalogue.versions import code_version
from becat.etl.catalogue.workers import Pool, Tables, Work, open_pool, partition_table, work_through
from becat.etl.missing import missing_table, write_missing
from becat.models.classifiers import Both, Classifiers, decides, load
from becat.models.score import FOLDER, Scorer
from becat.models.window import WINDOW_A
from becat.schema.errors import BecatError
from becat.schema.parameters import load as load_parameters
from becat.schema.parameters import value
from becat.schema.selection import SELECTION
from becat.schema.words import counted

__all__ = ["Asked", "score_partition", "score_spectra"]

# The spectra that the steps before the classifier leave in, or of which they cannot tell yet.
_AT = next(n for n, step in enumerate(SELECTION.steps) if step.name == "be_probability")
_REACHES_CLASSIFIER = f"""(r.spectrum_id in (select spectrum_id from {SELECTION.steps[_AT - 1].view})
    or r.spectrum_id not in (select spectrum_id from line_measurement where ew_halpha_a is not null))"""


def score_spectra(
    connection: duckdb.DuckDBPyConnection,
    model: str | Path | None = None,
    scheduler: str | None = None,
    *,
    every: bool = False,
) -> dict[str, int | str]:
    """Score the spectra that the classifiers and this code have not scored yet, and make these the ones that the views use.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    model : path, optional
        An ONNX model; by default those that come with becat, and both as one.
    scheduler : str, optional
        Address of a Dask scheduler whose workers score instead of this process, each with the provider that it has.
    every : bool
        Score also the spectra that an earlier step of the selection has taken out, which no view asks for.

    Returns
    -------
    dict
        ``scored`` spectra, ``models`` in words, ``model_id`` of the one that decides and the execution ``provider`` that ran.

    Raises
    ------
    BecatError
        A model cannot be used.
    """
    need_address_space()
    classifiers = load(model)
    wanted = load_parameters()["be_classifier"].words[int(value("be_classifier", connection))]
    asked = Asked.of(classifiers)
    _keep(classifiers)
    n_scored = 0
    providers = set()
    version = code_version("score")
    with Run(connection, "score", version) as run, _pool(connection, scheduler) as pool:
        _make_current(connection, classifiers, run)
        where = "" if every else f"and {_REACHES_CLASSIFIER}"
        todo = f"""
            (exists (from (select unnest($1) as model_id) m where not exists (
                from be_score k join etl_run e using (run_id)
                where k.spectrum_id = r.spectrum_id and k.model_id = m.model_id and e.code_version = $2
            ))
            or exists (from be_score k where k.spectrum_id = r.spectrum_id and k.model_id in $1 and k.be_probability is null
                and not exists (from missing_result x where x.spectrum_id = r.spectrum_id and x.stage = 'score')))
            {where}
        """
        batches = flux_batches(
            connection, todo, [asked.model_ids, version], "spectrum_id, r.flux, r.ivar", "scoring", "flux_red r"
        )
        partitions = ((pool.give(table), asked) for table in batches)
        for _, tables in work_through(pool, score_partition, partitions):
            rows = dict(zip(tables["be_score"].column_names, tables["be_score"].columns, strict=True))
            ids = rows["spectrum_id"].unique()
            with transaction(connection):
                connection.register("scored", pa.table({"spectrum_id": ids}))
                connection.execute(
                    "delete from be_score where model_id in ? and spectrum_id in (select spectrum_id from scored)",
                    [asked.model_ids],
                )
                connection.unregister("scored")
                insert_columns(connection, "be_score", {**rows, "run_id": [run.run_id] * len(rows["spectrum_id"])})
                write_missing(connection, "score", ids, tables["missing_result"], run.run_id)
            providers.update(rows["provider"].unique().to_pylist())
            n_scored += len(ids)
            run.n_done = n_scored
        deciding = decides(classifiers, wanted)
        provider = ", ".join(sorted(providers)) or deciding.provider
        run.message = f"{counted(n_scored, 'spectrum')} scored by {_told(classifiers)} on {provider}"
    return {
        "scored": n_scored,
        "model_id": deciding.model_id,
        "models": _told(classifiers),
        "provider": provider,
    }


def _told(classifiers: Classifiers) -> str:
    """The models in words."""
    return ", ".join(f"{name} {scorer.model_id}" for name, scorer in classifiers.items())


@dataclass(frozen=True)
class Asked:
    """The classifiers as a worker on another machine finds them: files and identities, and how both are weighed."""

    paths: dict[str, str]
    ids: dict[str, str]
    weight: dict[str, float] | None

    @classmethod
    def of(cls, classifiers: Classifiers) -> Asked:
        both = classifiers.get("both")
        parts = {name: scorer for name, scorer in classifiers.items() if isinstance(scorer, Scorer)}
        return cls(
            {name: str(scorer.path.resolve()) for name, scorer in parts.items()},
            {name: scorer.model_id for name, scorer in classifiers.items()},
            both.weight if isinstance(both, Both) else None,
        )

    @property
    def model_ids(self) -> list[str]:
        return list(self.ids.values())


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


# The sessions of this process: opening one takes a second, and memory for the weights.
_loaded: dict[str, Scorer] = {}


def _keep(classifiers: Classifiers) -> None:
    _loaded.clear()
    _loaded.update({scorer.model_id: scorer for scorer in classifiers.values() if isinstance(scorer, Scorer)})


def _scorer(model_path: str, model_id: str) -> Scorer:
    """The model of this identity, loaded on the first call."""
    if model_id not in _loaded:
        scorer = Scorer(model_path)
        _loaded[scorer.model_id] = scorer
    if model_id not in _loaded:
        raise BecatError(f"the worker's {model_path} is another model: bring the same file to every machine")
    return _loaded[model_id]


def score_partition(partition: tuple[pa.Table | str, Asked]) -> Tables:
    """Rows of `be_score` and `missing_result` for one batch (the work of one process).

    Parameters
    ----------
    partition : (table or path of one, classifiers)
        spectrum_id, flux and ivar of the red arm; which models score it.

    Returns
    -------
    dict of str to pyarrow.Table
    """
    given, asked = partition
    table = partition_table(given)
    flux, ivar = matrix(table["flux"])[0], matrix(table["ivar"])[0]
    parts = {name: _scorer(path, asked.ids[name]) for name, path in asked.paths.items()}
    if asked.weight is None:
        told = {name: scorer.score(flux, ivar) for name, scorer in parts.items()}
    else:
        log_odds = {name: scorer.log_odds(flux, ivar) for name, scorer in parts.items()}
        log_odds["both"] = Both(parts, asked.weight).combine(log_odds)
        told = {name: expit(each) for name, each in log_odds.items()}
    provider = ", ".join(sorted({scorer.provider for scorer in parts.values()}))
    n = len(table)
    ids = table["spectrum_id"].to_numpy()
    return {
        "be_score": arrow_columns(
            {
                "spectrum_id": np.tile(ids, len(told)),
                "model_id": [asked.ids[name] for name in told for _ in range(n)],
                "be_probability": np.concatenate(list(told.values())),
                "provider": [provider] * (n * len(told)),
            }
        ),
        "missing_result": missing_table(
            table["spectrum_id"],
            flux,
            ivar,
            np.isnan(next(iter(told.values()))),
            WINDOW_A,
            "H-alpha could not be scored",
        ),
    }


def _make_current(connection, classifiers: Classifiers, run: Run) -> None:
    current = {row[0] for row in connection.execute("select model_id from model where is_current").fetchall()}
    if current == {scorer.model_id for scorer in classifiers.values()}:
        return
    with transaction(connection):
        connection.execute("update model set is_current = false where is_current")
        for scorer in classifiers.values():
            connection.execute("delete from model where model_id = ?", [scorer.model_id])
            row = {**scorer.description, "is_current": True, "run_id": run.run_id}
            insert_columns(connection, "model", {name: [found] for name, found in row.items()})
            _fill_completeness(connection, scorer, run)


def _fill_completeness(connection, scorer: Scorer | Both, run: Run) -> None:
    """What the evaluation of this model found of injected emission, where its card has a table of it."""
    table = (FOLDER if isinstance(scorer, Both) else scorer.path.parent) / "completeness.csv"
    if table.is_file():
        connection.execute(
            "insert or replace into completeness by name select *, ? as run_id from read_csv(?) where model_id = ?",
            [run.run_id, str(table), scorer.model_id],
        )
