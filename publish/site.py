"""The Datasette application for one snapshot: our templates, plugins and static files, and limits for strangers."""

from __future__ import annotations

from pathlib import Path

from datasette.app import Datasette

from publish import metadata

__all__ = ["create"]

HERE = Path(__file__).parent
SETTINGS = {
    "sql_time_limit_ms": 3000,
    "max_returned_rows": 5000,
    "max_csv_mb": 500,
    "default_page_size": 50,
    "default_facet_size": 12,
    "facet_time_limit_ms": 300,
    "suggest_facets": False,
    "allow_download": True,
    "default_cache_ttl": 5,
    "num_sql_threads": 4,
    "truncate_cells_html": 200,
}


def create(snapshot: str | Path, *, secret: str | None = None, settings: dict | None = None) -> Datasette:
    """Make the application for one snapshot.

    Parameters
    ----------
    snapshot : path
        The SQLite file; it is opened as immutable, so it must not be changed in place while it is served.
    secret : str, optional
        Key that signs cookies; a new one is drawn by default.
    settings : dict, optional
        Datasette settings that replace ours.

    Returns
    -------
    Datasette
        Its database is called as the file, without the ending.
    """
    return Datasette(
        immutables=[str(snapshot)],
        metadata=metadata.describe(snapshot),
        template_dir=str(HERE / "templates"),
        plugins_dir=str(HERE / "plugins"),
        static_mounts=[("assets", str(HERE / "static"))],
        settings=SETTINGS | (settings or {}),
        secret=secret,
    )
