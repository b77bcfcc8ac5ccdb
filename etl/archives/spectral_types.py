"""Reading published spectral types into ranges of temperature class and luminosity class.

A type is read from left to right: temperature class with its range, luminosity class with its range, peculiarities.
A vague type stands for a range (`B` for B0 to B9.9, `OB` for O0 to B9.9). What is not a normal star (white dwarfs,
subdwarfs, Wolf-Rayet and carbon stars) is marked; where it has no place on the scale the range is left open.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import duckdb
import pyarrow as pa

__all__ = ["SpectralType", "parse", "parse_table"]


class SpectralType(NamedTuple):
    """A spectral type as ranges.

    Subtypes are on the scale O0 = 0, B0 = 10, A0 = 20, F0 = 30, G0 = 40, K0 = 50, M0 = 60; luminosity classes on
    Ia = 1.0, Iab = 1.3, Ib = 1.6, II = 2 to V = 5. None where the type does not say.
    """

    subtype_min: float | None
    subtype_max: float | None
    luminosity_min: float | None
    luminosity_max: float | None
    is_emission: bool
    is_shell: bool
    is_peculiar: bool


CLASSES = "OBAFGKM"
LAST_SUBTYPE = 9.9
PARTS_OF_CLASS = {"early": (0.0, 3.9), "mid": (3.0, 6.9), "late": (6.0, LAST_SUBTYPE)}

# Luminosity classes, the longest first, so that `III` is not read as `I`. `I` alone may be Ia to Ib.
LUMINOSITY = {
    "Ia-0": (1.0, 1.0),
    "Ia0": (1.0, 1.0),
    "Ia+": (1.0, 1.0),
    "Iab": (1.3, 1.3),
    "III": (3.0, 3.0),
    "Ia": (1.0, 1.0),
    "Ib": (1.6, 1.6),
    "II": (2.0, 2.0),
    "IV": (4.0, 4.0),
    "VI": (6.0, 6.0),
    "ab": (1.3, 1.3),  # the second half of `Ia-ab`
    "I": (1.0, 1.6),
    "V": (5.0, 5.0),
}

NOT_NORMAL = re.compile(
    r"^\s*(sd|esd|usd|D[ABCOQXZ]|W[NCOR]|WD|PN|CV|Nova|AGB|GB|HB|[CSNR]\b|[CSNR]\d|C-|[LTY]\d|PG|BHB)"
)
# Forbidden emission lines and young stars: no classical Be star, whatever the temperature.
OTHER_EMISSION = re.compile(r"\[e\]|Herbig|HAe|HBe|FS CMa|T Tau", re.IGNORECASE)
# Objects of two lists whose distances from the star differ by less may be one: positions of old lists are no better.
SAME_OBJECT_ARCSEC = 1.0
_LETTER = rf"[{CLASSES}]"
_NUMBER = r"\d(?:\.\d+)?"
_JOIN = r"\s*[:?]?\s*[-/,]\s*"
# B2, B1/2, B8/A0, O9.5-B0, A5,F, OB, B
_TEMPERATURE = re.compile(
    rf"(?P<first>{_LETTER})(?P<second>{_LETTER})?\s?(?P<number>{_NUMBER})?[a-z@]{{0,4}}?"
    rf"(?:{_JOIN}(?:(?P<to>{_LETTER})(?P<to_number>{_NUMBER})?|(?P<only>{_NUMBER})))?"
)
_LUMINOSITY_WORD = "|".join(re.escape(word) for word in LUMINOSITY if word != "ab")
_LUMINOSITY = re.compile(
    rf"^[\s:?,.*@(-]*(?:[npqews@]+\s*[:?]?\s*[,]?\s*)?"
    rf"(?P<from>{_LUMINOSITY_WORD})[ab]?[:?]?(?:\s*[-/,]\s*(?P<to>{_LUMINOSITY_WORD}|ab)[ab]?[:?]?)?"
)
_METALLIC = re.compile(r"k(?P<k>[A-M]\d?(?:\.\d)?)?-?(?:h(?P<h>[A-M]\d?(?:\.\d)?))?(?:m(?P<m>[A-M]\d?(?:\.\d)?))?")
_WORDS_WITH_E = re.compile(r"He|Be\b|shell|early|late|neb|Hel|Fe|Ce|Ne|Se|Ge|wea?k|\(Li\??\)|eclipsing")
_EMISSION = re.compile(r"e")
_SHELL = re.compile(r"sh(?:e?ll?)?\b|_sh")


def parse(text: str | None) -> SpectralType | None:
    """Read one spectral type.

    Parameters
    ----------
    text : str or None
        A type as published, such as `B1.5 Vep_sh`, `O5: Iafpe`, `B0/1 III/V`, `OBe`, `kA5hA9mF2` or `sdB`.

    Returns
    -------
    SpectralType or None
        None where nothing in the text is a type.
    """
    words = (text or "").strip().strip("'\"")
    if not words:
        return None
    if NOT_NORMAL.match(words):
        return _not_normal(words)
    metallic = _METALLIC.match(words)
    if metallic and any(metallic.groups()):
        return _metallic(metallic, words)
    part, words = _part_of_class(words)
    found = _TEMPERATURE.search(_primary(words))
    if found is None:
        return None
    rest = _primary(words)[found.end() :]
    low, high = _range(found, part)
    luminosity = _luminosity(rest)
    tail = words[found.end("second" if found["second"] else "first") :]
    is_other = bool(OTHER_EMISSION.search(words))
    return SpectralType(low, high, *luminosity, _is_emission(tail), bool(_SHELL.search(tail)), is_other)


def _not_normal(words: str) -> SpectralType:
    """A subdwarf keeps its subtype, for it is on the scale; the others have none."""
    found = _TEMPERATURE.search(words[2:]) if words.startswith(("sd", "esd", "usd")) else None
    low, high = _range(found, None) if found else (None, None)
    return SpectralType(low, high, None, None, _is_emission(words[2:]), False, True)


def _metallic(found: re.Match, words: str) -> SpectralType:
    """An Am star has one type by K line, hydrogen and metals: hydrogen tells the temperature, else all that is given."""
    given = [found["h"]] if found["h"] else [word for word in (found["k"], found["m"]) if word]
    matches = [match for match in (_TEMPERATURE.match(word) for word in given) if match]
    if not matches:
        return SpectralType(None, None, None, None, False, False, True)
    ranges = [_range(match, None) for match in matches]
    return SpectralType(
        min(r[0] for r in ranges), max(r[1] for r in ranges), *_luminosity(words[found.end() :]), False, False, False
    )


def _part_of_class(words: str) -> tuple[tuple[float, float] | None, str]:
    """`late K`, `B early`: the part of the class, and the type without the word."""
    for name, part in PARTS_OF_CLASS.items():
        if name in words:
            return part, words.replace(name, " ").strip(" -")
    return None, words


def _primary(words: str) -> str:
    """The first star of a composite type; a plus before a peculiarity, or at the end, joins no second star."""
    return re.split(rf"\s*[+&]\s*(?={_LETTER}|[CSW]|\?|sd|D[A-Z])", words, maxsplit=1)[0]


def _range(found: re.Match, part: tuple[float, float] | None) -> tuple[float, float]:
    low, high = _of_class(found["first"], found["number"], part)
    if found["second"]:  # OB, BA
        high = max(high, _of_class(found["second"], found["number"], part)[1])
        if found["number"]:
            low = _of_class(found["first"], None, part)[0]
    if found["to"]:
        low, high = _hull((low, high), _of_class(found["to"], found["to_number"], part))
    elif found["only"]:
        low, high = _hull((low, high), _of_class(found["second"] or found["first"], found["only"], part))
    return low, high


def _hull(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _of_class(letter: str, number: str | None, part: tuple[float, float] | None) -> tuple[float, float]:
    start = 10.0 * CLASSES.index(letter)
    if number is not None:
        return start + float(number), start + float(number)
    low, high = part or (0.0, LAST_SUBTYPE)
    return start + low, start + high


def _luminosity(rest: str) -> tuple[float | None, float | None]:
    found = _LUMINOSITY.match(rest)
    if found is None:
        return None, None
    low, high = LUMINOSITY[found["from"]]
    if found["to"]:
        low, high = _hull((low, high), LUMINOSITY[found["to"]])
    return low, high


def _is_emission(tail: str) -> bool:
    return bool(_EMISSION.search(_WORDS_WITH_E.sub("", tail)))


def parse_table(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Fill the ranges of the table `spectral_type`, and mark the one type of each star that the views use.

    Adopted is the latest publication of those on the star's nearest object, never a neighbour's; SIMBAD only where no
    catalogue of types has the star. Of types of one year the narrowest range is taken, then the first in the alphabet of
    catalogue and type. Each distinct text is read once.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing, inside the caller's transaction.

    Returns
    -------
    list of str
        Texts that could not be read; their rows keep NULL and are not adopted.
    """
    texts = [row[0] for row in connection.execute("select distinct spectral_type from spectral_type").fetchall()]
    found = {text: parse(text) for text in texts}
    read = {text: value for text, value in found.items() if value is not None}
    columns = {"text": pa.array(list(read), pa.string())}
    for i, name in enumerate(SpectralType._fields):
        type_ = pa.bool_() if name.startswith("is_") else pa.float64()
        columns[name] = pa.array([value[i] for value in read.values()], type_)
    connection.register("read_type", pa.table(columns))
    given = ", ".join(f"{name} = t.{name}" for name in SpectralType._fields)
    changed = " or ".join(f"s.{name} is distinct from t.{name}" for name in SpectralType._fields)
    connection.execute(
        f"update spectral_type s set {given} from read_type t where s.spectral_type = t.text and ({changed})"
    )
    connection.unregister("read_type")
    connection.execute(
        f"""
        create or replace temp table adopted as
        with nearest as (select star_id, min(coalesce(separation_arcsec, 0)) as nearest_arcsec from spectral_type group by star_id)
        select star_id, catalogue_id, spectral_type, reference,
            (subtype_min is not null or is_peculiar) and row_number() over (
                partition by star_id
                order by coalesce(separation_arcsec, 0) > nearest_arcsec + {SAME_OBJECT_ARCSEC},
                    subtype_min is null and not coalesce(is_peculiar, false), catalogue_id = 'simbad',
                    year desc nulls last, subtype_max - subtype_min nulls last, catalogue_id, spectral_type, reference
            ) = 1 as is_adopted
        from spectral_type
        join nearest using (star_id)
        """
    )
    connection.execute(
        """
        update spectral_type s set is_adopted = coalesce(a.is_adopted, false) from adopted a
        where (s.star_id, s.catalogue_id, s.spectral_type, s.reference)
            = (a.star_id, a.catalogue_id, a.spectral_type, a.reference)
          and s.is_adopted is distinct from coalesce(a.is_adopted, false)
        """
    )
    return sorted(text for text, value in found.items() if value is None)
