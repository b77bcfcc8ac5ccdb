"""The light curves that the configuration of `becat run` names, by star."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb

from becat.etl.light_curves.named import find_light_curves, name_of, refresh_light_curves
from becat.named import withdraw_unnamed
from becat.schema.errors import BecatError
from becat.show import named_star

__all__ = ["take_light_curves"]


def take_light_curves(
    connection: duckdb.DuckDBPyConnection, named: Mapping[str, Sequence[Path]], tell: Callable[[str], None]
) -> dict[str, int]:
    """Bring the light curves in step with the configuration; a star that is not in the catalogue is told and does not stop the others.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    named : mapping of str to sequence of Path
        Files and folders by star, which is named as for `becat why`.
    tell : callable
        Is given a line for whatever is read, rejected or taken out.

    Returns
    -------
    dict
        As `refresh_light_curves`; files of stars that are not there count as rejected.
    """
    names = [name_of(path, star) for star, paths in named.items() for path in paths]
    withdraw_unnamed(connection, "light curve", names, tell)
    star_of: dict[Path, int] = {}
    n_starless = 0
    for name, paths in named.items():
        files = find_light_curves(paths, tell)
        try:
            star_id, _ = named_star(connection, name)
        except BecatError as error:
            tell(f"no light curve of {name}: {error}")
            n_starless += len(files)
            continue
        for file in files:
            if star_of.setdefault(file, star_id) != star_id:
                tell(f"{file} is named for two stars, and was loaded for the first: star {star_of[file]}")
    counts = refresh_light_curves(connection, star_of, tell)
    return counts | {"rejected": counts["rejected"] + n_starless}
