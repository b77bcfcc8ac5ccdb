"""The Datasette application for one snapshot: our templates, plugins and static files, and limits for strangers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from datasette.app import Datasette

from becat.publish.readonly import Snapshot
from becat.publish.snapshot import metadata
from becat.publish.snapshot.address import address_of

__all__ = ["Site", "create"]

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
    "allow_signed_tokens": False,
    "truncate_cells_html": 200,
}


READING = frozenset(
    {"view-instance", "view-database", "view-database-download", "view-table", "view-query", "execute-sql"}
)


class Site(Datasette):
    """Datasette whose visitors may all read everything: that is known without asking each plugin for each table."""

    async def permission_allowed(self, actor, action, resource=None, default=False):
        """Reading what is published is open to all; whatever else is asked goes Datasette's own way."""
        database = resource[0] if isinstance(resource, tuple) else resource
        if action in READING and not (isinstance(database, str) and database.startswith("_")):
            return True
        return await super().permission_allowed(actor, action, resource, default)


def create(
    snapshot: str | Path, *, labels: str | Path | None = None, secret: str | None = None, settings: dict | None = None
) -> Datasette:
    """Make the application for one snapshot.

    Parameters
    ----------
    snapshot : path
        The SQLite file; it is opened as immutable, so it must not be changed in place while it is served.
    labels : path, optional
        SQLite file of people and judgements; without it nobody can sign in.
    secret : str, optional
        Key that signs cookies; a new one is drawn by default.
    settings : dict, optional
        Datasette settings that replace ours.

    Returns
    -------
    Datasette
        Its database is called as the file, without the ending.
    """
    path = Path(snapshot)
    known = _inspect(path)
    application = Site(
        [],
        inspect_data={path.stem: known},
        metadata=metadata.describe(snapshot, with_columns=False),
        template_dir=str(HERE / "templates"),
        plugins_dir=str(HERE / "plugins"),
        static_mounts=[("assets", str(HERE / "static"))],
        settings=SETTINGS | (settings or {}),
        secret=secret,
    )
    application.remove_database("_memory")
    application.add_database(Snapshot(application, str(path), known["tables"]))
    application.becat_at_end = []  # pyright: ignore[reportAttributeAccessIssue] - what plugins do when the server ends
    application.becat_labels = labels  # pyright: ignore[reportAttributeAccessIssue] - read by plugins/inspecting.py
    return application


def _inspect(snapshot: Path) -> dict:
    """Counts of tables and views that Datasette would take anew for each page; the hash stands for the content, unread."""
    with closing(sqlite3.connect(address_of(snapshot), uri=True)) as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        counts = {name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for (name,) in tables}
        counts |= dict(connection.execute("select name, n_rows from view_definition where kind = 'view'").fetchall())
    status = snapshot.stat()
    mark = f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
    return {
        "hash": sha256(mark.encode()).hexdigest(),
        "size": status.st_size,
        "tables": {name: {"count": count} for name, count in counts.items()},
    }
