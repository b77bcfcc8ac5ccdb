"""The star that a user means: by number, by name or part of one, by position; the same on the terminal and on the site.

A name is compared in capitals and without its spaces, so that ``hd236689`` finds HD 236689. A whole name comes before the
beginning of one, and that before any other part. A Greek letter before a constellation may be written in any of its ways:
``gam Cas``, ``gamma Cas`` and ``γ Cas`` are one star.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from becat.schema.sphere import separation_sql

__all__ = ["NAMES", "RADIUS_ARCSEC", "Question", "questions", "read_position", "squeezed"]

RADIUS_ARCSEC = 60.0
PART_MIN = 3  # letters of a part of a name: of fewer, hundreds of thousands of stars have it
INT64 = 2**63

# Greek letters as names of stars have them, in capitals: the letter, its name, and its abbreviations, SIMBAD's among them.
_GREEK = tuple(
    words.split()
    for words in (
        "Α ALPHA ALP ALF", "Β BETA BET", "Γ GAMMA GAM", "Δ DELTA DEL", "Ε EPSILON EPS", "Ζ ZETA ZET", "Η ETA", "Θ THETA THE TET",
        "Ι IOTA IOT", "Κ KAPPA KAP", "Λ LAMBDA LAM", "Μ MU MU.", "Ν NU NU.", "Ξ XI KSI", "Ο OMICRON OMI", "Π PI PI.", "Ρ RHO",
        "Σ SIGMA SIG", "Τ TAU", "Υ UPSILON UPS", "Φ PHI", "Χ CHI", "Ψ PSI", "Ω OMEGA OME",
    )
)  # fmt: skip
# The letter, the number of a component, and the constellation, abbreviated.
_GREEK_NAME = re.compile(
    rf"({'|'.join(sorted((re.escape(word) for words in _GREEK for word in words), key=len, reverse=True))})(\d{{0,2}}[A-Z]{{3}})"
)

# Every name of every star, for a query of the catalogue.
NAMES = """
    select star_id, designation as name from star where designation is not null
    union select star_id, designation from star_alias
    union select star_id, object_name from literature_match where object_name <> ''
    union select star_id, cast(source_id as varchar) from star where source_id is not null"""
_STAR = "star.star_id, star.designation, star.ra_deg, star.dec_deg"
_BY_NUMBER = f"""
    select {_STAR}, 0 as preference, null as separation_arcsec from star where star_id = $number
    union select {_STAR}, 0, null from spectrum join star using (star_id) where spectrum_id = $number or obsid = $number"""
_BY_POSITION = f"""
    select {_STAR}, 3 as preference,
        3600 * {separation_sql("$ra_deg", "$dec_deg", "ra_deg", "dec_deg")} as separation_arcsec
    from star
    where dec_deg between $dec_deg - $radius / 3600.0 and $dec_deg + $radius / 3600.0"""
# How much of a name was given: 0 all of it, 1 its beginning, 2 a part.
_BY_NAME = {
    "duckdb": f"""
    with names as ({NAMES}),
    found as (
        select
            star_id,
            min(case when word = $name then 0 when starts_with(word, $name) then 1 else 2 end) as preference
        from (select star_id, upper(replace(name, ' ', '')) as word from names)
        where word = $name or ($part <> '' and contains(word, $name))
        group by star_id
    )
    select {_STAR}, found.preference, null as separation_arcsec from found join star using (star_id)""",
    "sqlite": f"""
    select {_STAR},
        case
            when instr(char(10) || squeezed || char(10), char(10) || $name || char(10)) > 0 then 0
            when instr(char(10) || squeezed, char(10) || $name) > 0 then 1
            else 2
        end as preference,
        null as separation_arcsec
    from star_search join star on star.star_id = star_search.rowid
    where star_search match $part and instr(squeezed, $name) > 0""",
}


class Question(NamedTuple):
    """One query with its parameters; rows are star_id, designation, ra_deg, dec_deg, preference, separation_arcsec."""

    sql: str
    parameters: dict[str, int | float | str]


def squeezed(name: str) -> str:
    """A name as names are compared: in capitals, without spaces."""
    return name.upper().replace(" ", "")


def _by_name(name: str, dialect: str, where: str = "") -> Question:
    part = name if len(name) >= PART_MIN else ""
    quoted = '"' + name.replace('"', '""') + '"'
    sql = f"select * from ({_BY_NAME[dialect]}) as named {where}"
    return Question(sql, {"name": name, "part": quoted if dialect == "sqlite" else part})


def _greek_spellings(name: str) -> list[str]:
    """A squeezed name with its Greek letter as it was given, then written in the other ways; empty where it has none."""
    greek = _GREEK_NAME.fullmatch(name)
    if greek is None:
        return []
    letter, rest = greek.groups()
    others = next(words for words in _GREEK if letter in words)
    return [name, *(word + rest for word in others if word != letter)]


def questions(words: str, dialect: str, limit: int) -> list[Question]:
    """Queries that look for a star, to be asked in turn until one finds something.

    Parameters
    ----------
    words : str
        A designation or another name, or a part of it, with or without ``LAMOST``; right ascension and declination in
        degrees or sexagesimal; a star_id, spectrum_id, obsid or Gaia source_id.
    dialect : str
        ``duckdb`` for a catalogue, ``sqlite`` for a snapshot, whose names are in the full-text table ``star_search``.
    limit : int
        Rows at most; the best come first.
    """
    words = words.replace("\0", "").strip()  # which ends a text in the language of SQLite's index
    found = []
    if re.fullmatch(r"[+-]?\d{1,19}", words) and abs(int(words)) < INT64:
        found.append(Question(_BY_NUMBER, {"number": int(words)}))
    name = re.sub(r"^LAMOST(?=J)", "", squeezed(words))
    if name and (dialect == "duckdb" or len(name) >= PART_MIN):
        spellings = _greek_spellings(name)
        # Not as any part of a name: eta Cas would be found in beta Cas.
        found += [_by_name(spelled, dialect, "where preference < 2") for spelled in spellings]
        found += [_by_name(part, dialect) for part in ([f"*{spelled}" for spelled in spellings] or [name])]
    position = read_position(words)
    if position is not None:
        place: dict[str, int | float | str] = {"ra_deg": position[0], "dec_deg": position[1], "radius": RADIUS_ARCSEC}
        near = f"select * from ({_BY_POSITION}) as near where separation_arcsec <= $radius"
        found.append(Question(near, place))
    mark = ":" if dialect == "sqlite" else "$"
    order = f"order by preference, separation_arcsec, designation limit {int(limit)}"
    return [
        Question(f"select * from ({sql.replace('$', mark)}) as found {order}", parameters) for sql, parameters in found
    ]


def read_position(text: str) -> tuple[float, float] | None:
    """Right ascension and declination, degrees, from degrees, sexagesimal or a name JHHMMSS.ss+DDMMSS.s; None where it is none."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    text = re.sub(r"^lamost\s*", "", text.strip(), flags=re.IGNORECASE)
    name = re.fullmatch(r"[Jj]?(\d{2})(\d{2})(\d{2}(?:\.\d+)?)([+-]\d{2})(\d{2})(\d{2}(?:\.\d+)?)", text)
    if name:
        text = "{}:{}:{} {}:{}:{}".format(*name.groups())
    numbers = re.fullmatch(r"([+-]?\d+(?:\.\d*)?)[\s,]+([+-]?\d+(?:\.\d*)?)", text)
    try:
        if numbers:
            found: Any = SkyCoord(float(numbers[1]), float(numbers[2]), unit="deg")
        elif re.search(r"\d", text):
            found = SkyCoord(text, unit=(units.hourangle, units.deg))
        else:
            return None
    except (ValueError, TypeError, units.UnitsError):
        return None
    return float(found.ra.deg), float(found.dec.deg)
