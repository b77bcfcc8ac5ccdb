"""Scoring the stored spectra with the classifier."""

from __future__ import annotations

from pathlib import Path

import duckdb

from etl.catalogue import Run, transaction
from etl.stages.flux_batches import flux_batches, insert_columns, matrix
from models.score import Scorer

__all__ = ["score_spectra"]


def score_spectra(connection: duckdb.DuckDBPyConnection, model: str | Path | None = None) -> dict[str, int | str]:
    """Score every spectrum that the model has not scored yet, and make it the model that the views use.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    model : path, optional
        An ONNX model; by default the one that comes with becat.

    Returns
    -------
    dict
        ``scored`` spectra, ``model_id`` and the execution ``provider`` that ran.
    """
    scorer = Scorer(model)
    n_scored = 0
    with Run(connection, "score", scorer.model_id) as run:
        _make_current(connection, scorer, run)
        todo = "not exists (from be_score k where k.spectrum_id = r.spectrum_id and k.model_id = ?)"
        for table in flux_batches(connection, todo, [scorer.model_id], "spectrum_id, r.flux, r.ivar", "scoring"):
            probability = scorer.score(matrix(table["flux"])[0], matrix(table["ivar"])[0])
            n = len(table)
            with transaction(connection):
                insert_columns(
                    connection,
                    "be_score",
                    {
                        "spectrum_id": table["spectrum_id"],
                        "model_id": [scorer.model_id] * n,
                        "be_probability": probability,
                        "provider": [scorer.provider] * n,
                        "run_id": [run.run_id] * n,
                    },
                )
            n_scored += n
            run.n_done = n_scored
        run.message = f"{n_scored} spectra scored by model {scorer.model_id} on {scorer.provider}"
    return {"scored": n_scored, "model_id": scorer.model_id, "provider": scorer.provider}


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
