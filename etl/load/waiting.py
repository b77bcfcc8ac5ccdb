"""What was not taken from a file for a cause that lies outside of it, and whether that cause has ended."""

from __future__ import annotations

from pathlib import Path

import duckdb

__all__ = ["cause_has_ended", "lacks_snr", "snr_given"]

# S/N of each spectrum as the release's catalogues give it.
GIVEN = (
    "select survey, obsid, lmjm, max(snr_r) as snr_r, max(snr_b) as snr_b from release_entry"
    " where obsid in (select obsid from {wanted}) group by survey, obsid, lmjm"
)

NO_SNR = "no S/N in"  # and the arms: b, r, or b and r
SNR_CAME = f"""
    select file from waiting_input w join ({GIVEN.format(wanted="waiting_input")}) g using (survey, obsid, lmjm)
    where (g.snr_b is not null or w.cause = '{NO_SNR} r') and (g.snr_r is not null or w.cause = '{NO_SNR} b')
        and w.cause like '{NO_SNR}%'
"""
SNR_WENT = f"""
    with depending as (
        select s.file, s.survey, s.obsid, case when s.coadd then 0 else s.lmjm end as lmjm, s.has_blue, a.snr_r, a.snr_b
        from spectrum s join spectrum_as_read a using (spectrum_id)
        where a.snr_r is null or (s.has_blue and a.snr_b is null)
    )
    select d.file from depending d
    left join ({GIVEN.format(wanted="depending")}) g using (survey, obsid, lmjm)
    where coalesce(d.snr_r, g.snr_r) is null or (d.has_blue and coalesce(d.snr_b, g.snr_b) is null)
"""
HOLDER_LEFT = """
    select w.file from waiting_input w
    left join spectrum s on s.spectrum_id = w.held_as and s.file = w.held_by and s.content_hash = w.held_content
    left join input_file i on i.file = w.held_by
    where w.cause = 'other file' and (s.spectrum_id is null or i.status = 'missing')
"""
STALE = "'stale:' || split_part(version, ':', 2)"  # of a file in the ledger that is to be read again, as it was before
LOST_ONE = "select file from input_file where kind = 'spectra' and version like 'stale:%'"
UNREADABLE = "select file from waiting_input where cause = 'unreadable'"


def lacks_snr(row: dict) -> str:
    """The arms of which a spectrum's file leaves out the S/N, in words; empty where there is none."""
    arms = ["b"] * (row["has_blue"] and row.get("snr_b") is None) + ["r"] * (row.get("snr_r") is None)
    return " and ".join(arms)


def snr_given(connection: duckdb.DuckDBPyConnection, rows: list[dict]) -> set[tuple]:
    """Survey, obsid and minute of those spectra of which the release's catalogues give the S/N that their files lack."""
    if not rows:
        return set()
    connection.execute(
        "create or replace temp table wanted_snr as select unnest(?::bigint[]) as obsid",
        [[row["obsid"] for row in rows]],
    )
    found = connection.execute(GIVEN.format(wanted="wanted_snr")).fetchall()
    given = {tuple(key): (snr_r, snr_b) for *key, snr_r, snr_b in found}
    complete = set()
    for row in rows:
        key = row["survey"], row["obsid"], 0 if row["coadd"] else row["lmjm"]
        snr_r, snr_b = given.get(key, (None, None))
        from_file = {name: value for name, value in row.items() if value is not None}
        if not lacks_snr({"snr_r": snr_r, "snr_b": snr_b, **from_file}):
            complete.add(key)
    return complete


def cause_has_ended(connection: duckdb.DuckDBPyConnection, with_unreadable: bool = True) -> dict[Path, str]:
    """Files to be read again, though they have not changed themselves, and which exposures were taken from them.

    A file that could not be read; one whose spectrum lacks the S/N that a catalogue gives now, or that no catalogue gives any
    more; one whose spectrum another file had that has it no more, has gone, or has another content now; one that has lost
    a spectrum.

    Parameters
    ----------
    connection : duckdb connection
    with_unreadable : bool
        False leaves out those that could not be read: once in a run is enough.

    Returns
    -------
    dict of Path to str
        The exposures are empty where the file was never read.
    """
    causes = [SNR_CAME, SNR_WENT, HOLDER_LEFT, LOST_ONE, *([UNREADABLE] if with_unreadable else [])]
    rows = connection.execute(
        f"select file, coalesce(split_part(version, ':', 2), '') from ({' union '.join(f'({sql})' for sql in causes)})"
        " left join input_file using (file)"
    ).fetchall()
    return {Path(file): exposures for file, exposures in rows if Path(file).exists()}
