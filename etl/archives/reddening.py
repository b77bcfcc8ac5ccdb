"""Colour excess of stars from the three-dimensional dust map of Green et al. 2019 (Bayestar19), at their Gaia distance.

The map is read through `dustmaps`: from its file where that is installed, else from its web service. A star outside the
map, or on a line of sight that did not converge, gets NULL, never zero.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import requests
from tqdm import tqdm

from becat.etl.catalogue.connection import transaction
from becat.schema.errors import BecatError, missing_extra
from becat.schema.words import counted

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["EBV_PER_UNIT", "SERVICE_URL", "ReddeningCounts", "fill_reddening", "forget_reddening", "n_stars_to_fill"]

SERVICE_URL = "http://argonaut.skymaps.info/api/v2/"
MAP = "bayestar2019"

# E(B-V) of one unit of Bayestar19. A unit is E(g-r) = 3.518 - 2.617 in Pan-STARRS 1 (Green et al. 2019, ApJ 887, 93,
# table 1), and E(B-V) = 0.981 E(g-r) for R_V = 3.1 (Schlafly & Finkbeiner 2011, ApJ 737, 103, table 6); the map's own
# page, argonaut.skymaps.info/usage, gives the same product. E(r-z) in place of E(g-r) would give 0.996.
EBV_PER_UNIT = 0.884

# Values of reddening.source for rows written here: only these are ever changed here; rows from a file are not.
RELIABLE, UNRELIABLE, NO_VALUE = (
    "Bayestar19 by dustmaps",
    "Bayestar19 by dustmaps, beyond its reliable distances",
    "Bayestar19 by dustmaps has no value here",
)
OURS = f"('{RELIABLE}', '{UNRELIABLE}', '{NO_VALUE}')"

PERCENTILES = (16.0, 50.0, 84.0)
STARS_PER_BATCH = {"map": 20_000, "service": 500}
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class ReddeningCounts:
    """What `fill_reddening` did: stars asked for, given a value, found without one; and one line about the rest."""

    n_asked: int = 0
    n_filled: int = 0
    n_without_value: int = 0
    message: str = ""


_STARS_TO_FILL = f"""
    from astrometry left join reddening using (star_id)
    where astrometry.distance_pc > 0 and isfinite(astrometry.distance_pc) and astrometry.ra_deg is not null
      and (
          reddening.star_id is null
          or (reddening.source in {OURS} and reddening.distance_pc is distinct from astrometry.distance_pc::real)
      )
"""


def n_stars_to_fill(connection: duckdb.DuckDBPyConnection) -> int:
    """Stars with a distance but no colour excess, or with one that was read at another distance."""
    return connection.execute(f"select count(*) {_STARS_TO_FILL}").fetchall()[0][0]


def forget_reddening(connection: duckdb.DuckDBPyConnection, all_of_it: bool = False) -> int:
    """Delete what the map gave to stars that have no distance any more, or to all; number of rows."""
    placed = "false" if all_of_it else "star_id in (select star_id from astrometry where distance_pc > 0)"
    row = connection.execute(f"delete from reddening where source in {OURS} and not {placed}").fetchone()
    return int(row[0]) if row else 0


def fill_reddening(
    connection: duckdb.DuckDBPyConnection,
    run_id: int,
    map_file: str | Path | None = None,
    service_url: str | None = SERVICE_URL,
    attempts: int = 4,
    wait_s: float = 2.0,
) -> ReddeningCounts:
    """Fill the table `reddening` for the stars that have a distance and no row from a file.

    Written batch by batch, so that an interrupted run goes on where it stopped. E(B-V) is the map's median; its error
    adds half the range between the 16th and 84th percentiles to half of what the map changes between the 16th and 84th
    percentiles of the distance, in quadrature.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing and not in a transaction.
    run_id : int
        Written to the rows that change.
    map_file : path, optional
        The map's HDF5 file; where None, that of the `dustmaps` configuration, if it is there.
    service_url : str or None
        Address of the map's web service, asked where there is no file; None asks no network.
    attempts : int
        How often each batch is asked of the service.
    wait_s : float
        Wait before the second attempt, doubled for each further one.

    Returns
    -------
    ReddeningCounts
        Stars that could not be asked for keep no row, and the message says so.
    """
    forget_reddening(connection)
    n_stars = n_stars_to_fill(connection)
    if n_stars == 0:
        return ReddeningCounts()
    try:
        query, kind = _open_map(map_file, service_url)
    except BecatError as error:
        return ReddeningCounts(message=f"no E(B-V) for {counted(n_stars, 'star')}: {error}")
    tries = attempts if kind == "service" else 1
    n_asked = n_filled = 0
    message = ""
    with tqdm(total=n_stars, desc="E(B-V) from Bayestar19", unit="stars", disable=None, leave=False) as progress:
        while n_asked < n_stars:
            stars = _next_stars(connection, STARS_PER_BATCH[kind])
            n_batch = len(stars["star_id"])
            try:
                values = _ask_again(query, stars, tries, wait_s)
            except BecatError as error:
                message = f"no E(B-V) yet for {counted(n_stars - n_asked, 'star')}: {error}"
                break
            with transaction(connection):
                _write(connection, stars, *values, run_id)
            n_asked += n_batch
            n_filled += int(np.isfinite(values[0]).sum())
            progress.update(n_batch)
    n_without = n_asked - n_filled
    if n_without and not message:
        message = f"{n_without:,} of {counted(n_asked, 'star')}: outside the map, or where it did not converge, E(B-V) is NULL"
    return ReddeningCounts(n_asked, n_filled, n_without, message)


def _open_map(map_file, service_url) -> tuple[Callable[..., Any], str]:
    """The query of `dustmaps`, and whether it asks the map or the service."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dustmaps warns of a configuration that need not be there
            from dustmaps import bayestar
    except ImportError:
        raise missing_extra("dustmaps", "reddening", ", or load a table of E(B-V) from a file") from None
    path = Path(map_file or Path(bayestar.data_dir()) / "bayestar" / f"{MAP}.h5")
    if path.is_file():
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it tells how it loads
                return bayestar.BayestarQuery(map_fname=str(path), version=MAP).query, "map"
        except (OSError, KeyError, ValueError) as error:
            raise BecatError(f"{path} cannot be read as a map ({error}): fetch it again") from None
    if map_file is not None:
        raise BecatError(f"there is no map at {path}")
    if service_url is None:
        raise BecatError(f"there is no map at {path}: fetch it with dustmaps.bayestar.fetch(), or ask the web service")
    return _Service(service_url).query, "service"


class _Service:
    """The map's web service in the words of `dustmaps.bayestar.BayestarWebQuery`, which knows no time-out."""

    def __init__(self, url: str):
        from dustmaps.bayestar import BayestarWebQuery

        self._url = f"{BayestarWebQuery(api_url=url, version=MAP).base_url}/query"

    def query(self, coords: SkyCoord, **how: Any) -> Any:
        from dustmaps.json_serializers import MultiJSONDecoder, get_encoder

        answer = requests.post(
            self._url,
            data=json.dumps({"coords": coords, **how}, cls=get_encoder()),
            headers={"content-type": "application/json"},
            timeout=TIMEOUT_S,
        )
        answer.raise_for_status()
        return json.loads(answer.text, cls=MultiJSONDecoder)


def _next_stars(connection, n_stars) -> dict[str, np.ndarray]:
    found = connection.execute(
        f"""
        select star_id, ra_deg, dec_deg, astrometry.distance_pc,
            coalesce(distance_lo_pc, astrometry.distance_pc) as distance_lo_pc,
            coalesce(distance_hi_pc, astrometry.distance_pc) as distance_hi_pc
        {_STARS_TO_FILL} order by star_id limit {n_stars:d}
        """
    ).fetchnumpy()
    return {name: np.ma.getdata(values) for name, values in found.items()}


def _ask_again(query, stars, attempts, wait_s):
    """Ask, and again after a wait, for servers fail for a while."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(wait_s * 2 ** (attempt - 1))
        try:
            return _ask(query, stars)
        except (requests.RequestException, ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise BecatError(f"the map gave no answer that could be used ({reason}): try again later")


def _ask(query, stars):
    """E(B-V), its error, and whether the distance is one that the map calls reliable; NaN without a value."""
    n = len(stars["star_id"])
    from astropy import units as u  # slow to import
    from astropy.coordinates import SkyCoord

    coordinates = SkyCoord(
        ra=np.tile(stars["ra_deg"], 3) * u.deg,
        dec=np.tile(stars["dec_deg"], 3) * u.deg,
        distance=np.concatenate([stars[f"distance{end}_pc"] for end in ("", "_lo", "_hi")]) * u.pc,
        frame="icrs",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # a star outside the map
        warnings.filterwarnings("ignore", "The get_name method")  # dustmaps with a recent astropy
        reddening, flags = query(coordinates, mode="percentile", pct=list(PERCENTILES), return_flags=True)
    reddening = np.asarray(reddening, float)
    if reddening.shape != (3 * n, 3) or np.shape(flags) != (3 * n,):
        raise ValueError(f"{3 * n} places were asked for, and the answer has the shape {reddening.shape}")
    units = reddening.reshape(3, n, 3)
    converged, reliable = (np.asarray(flags[name], bool)[:n] for name in ("converged", "reliable_dist"))
    by_map = 0.5 * (units[0, :, 2] - units[0, :, 0])
    by_distance = 0.5 * (units[2, :, 1] - units[1, :, 1])
    ebv = np.where(converged, EBV_PER_UNIT * units[0, :, 1], np.nan)
    return ebv, np.where(converged, EBV_PER_UNIT * np.hypot(by_map, by_distance), np.nan), reliable


def _write(connection, stars, ebv, e_ebv, reliable, run_id):
    source = np.where(np.isfinite(ebv), np.where(reliable, RELIABLE, UNRELIABLE), NO_VALUE)
    columns = {
        "star_id": pa.array(stars["star_id"]),
        "ebv_mag": pa.array(ebv, from_pandas=True),  # NaN becomes NULL
        "e_ebv_mag": pa.array(e_ebv, from_pandas=True),
        "distance_pc": pa.array(stars["distance_pc"]),
        "source": pa.array(source.tolist(), pa.string()),
    }
    connection.register("new_reddening", pa.table(columns))
    connection.execute(
        f"insert or replace into reddening ({', '.join(columns)}, run_id) select *, {run_id:d} from new_reddening"
    )
    connection.unregister("new_reddening")
