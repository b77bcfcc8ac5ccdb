"""What the configuration of `becat run` names no more is taken out of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb

from becat.etl.archives.stage import withdraw_archives
from becat.etl.catalogue.connection import transaction
from becat.etl.light_curves.named import withdraw_light_curves
from becat.etl.load.positions import withdraw_positions
from becat.etl.load.release import withdraw_release_catalogues

__all__ = ["withdraw_unnamed"]

WITHDRAW: dict[str, Callable[[duckdb.DuckDBPyConnection, list[str]], None]] = {
    "archive": withdraw_archives,
    "release catalogue": withdraw_release_catalogues,
    "positions": withdraw_positions,
    "light curve": withdraw_light_curves,
}


def withdraw_unnamed(
    connection: duckdb.DuckDBPyConnection, kind: str, names: Sequence[str], tell: Callable[[str], None]
) -> None:
    """Take out what an earlier run named and this one does not, and keep what this one names.

    What came by other commands (`becat load --release-catalogue`, `becat fetch`) was never named, and stays.

    Parameters
    ----------
    connection : duckdb connection
    kind : str
        A key of `WITHDRAW`.
    names : sequence of str
        What the configuration names.
    tell : callable
        Is given a line for what is taken out.
    """
    before = {name for (name,) in connection.execute("select name from named_input where kind = ?", [kind]).fetchall()}
    gone = sorted(before - set(names))
    if gone:
        WITHDRAW[kind](connection, gone)
        tell(f"removed, because the configuration no longer names it: {', '.join(gone)}")
    if before != set(names):
        with transaction(connection):
            connection.execute("delete from named_input where kind = ?", [kind])
            for name in sorted(set(names)):
                connection.execute("insert into named_input values (?, ?, null)", [kind, name])
