"""Tables in the style of the CDS and of the AAS: fixed width, with a description byte by byte.

`tableN.dat` and one `ReadMe` are what VizieR takes; `tableN_mrt.txt` is the same table with its description at its head, as
the AAS journals take it. Written here and not by astropy, whose writer (`ascii.mrt` of 8.0) loses the sign of declinations
between -1 and 0 degrees and needs the whole table in memory. Rows are read once and kept on disk, so that a table may be of
any length.
"""

from __future__ import annotations

import re
import tempfile
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from becat.publish.report.tables import Column
from becat.publish.snapshot.formatting import sexagesimal_parts

__all__ = ["FixedTable", "write_readme", "write_table"]

LINE = 80
RULE, DOUBLE_RULE = "-" * LINE, "=" * LINE
CDS_UNITS = {
    "": "---",
    "Angstrom": "0.1nm",
    "km.s**-1": "km/s",
    "mas.yr**-1": "mas/yr",
    "dex": "[-]",
    "dex(yr)": "[yr]",
    "dex(cm.s**-2)": "[cm/s2]",
}


@dataclass
class _Field:
    """A column of the file: Fortran letter, what is known of its values so far."""

    label: str
    letter: str
    unit: str
    description: str
    decimals: int = 0
    has_limits: bool = False
    is_joined: bool = False  # no blank before it: the degrees after the sign of the declination
    width: int = 1
    low: float | None = None
    high: float | None = None
    has_null: bool = False

    def take(self, text: str) -> None:
        """Widen the field for a value."""
        if not text:
            self.has_null = True
            return
        self.width = max(self.width, len(text))
        if self.has_limits:
            value = float(text)
            self.low = value if self.low is None else min(self.low, value)
            self.high = value if self.high is None else max(self.high, value)

    @property
    def format(self) -> str:
        """Fortran format, as in F8.4."""
        if self.letter == "F":
            return f"F{self.width}.{self.decimals}"
        return f"{self.letter}{self.width}"

    @property
    def explanation(self) -> str:
        """Limits, mark of nulls and description, as the standard orders them."""
        limits = ""
        if self.low is not None and self.high is not None:
            limits = f"[{self.low:.{self.decimals}f}/{self.high:.{self.decimals}f}]"
        mark = limits + "?" * self.has_null
        return f"{mark} {self.description}" if mark else self.description


@dataclass(frozen=True)
class FixedTable:
    """A table that has been written."""

    name: str
    title: str
    note: str
    n_rows: int
    length: int
    byte_by_byte: str = field(repr=False)


def write_table(
    folder: Path, number: str, title: str, note: str, columns: Sequence[Column], rows: Iterable[Sequence]
) -> FixedTable | None:
    """Write ``tableN.dat`` and ``tableN_mrt.txt``.

    Parameters
    ----------
    folder : Path
        Existing folder.
    number, title, note : str
        Of the table.
    columns : sequence of Column
    rows : iterable of sequences
        Values in the order of the columns; None is null. Read once.

    Returns
    -------
    FixedTable, or None where there are no rows: then no file is written.
    """
    fields = [each for column in columns for each in _fields(column)]
    n_rows = 0
    with tempfile.TemporaryFile("w+", encoding="ascii") as cells:
        for row in rows:
            texts = _texts(columns, row)
            for each, text in zip(fields, texts, strict=True):
                each.take(text)
            cells.write("\t".join(texts) + "\n")
            n_rows += 1
        if not n_rows:
            return None
        for each in fields:
            if each.letter == "F":
                each.width = max(each.width, each.decimals + 2)
        name = f"table{number}"
        byte_by_byte = "\n".join(_byte_by_byte(f"{name}.dat", fields))
        table = FixedTable(name, title, note, n_rows, _ends(fields)[-1], byte_by_byte)
        _write_lines(folder / f"{name}.dat", [], _lines(cells, fields))
        _write_lines(folder / f"{name}_mrt.txt", _mrt_head(table), _lines(cells, fields))
    return table


def _write_lines(path: Path, head: Iterable[str], lines: Iterable[str]) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{_ascii(line)}\n" for line in head)
        file.writelines(f"{line}\n" for line in lines)


def _lines(cells, fields: Sequence[_Field]) -> Iterator[str]:
    """The rows at their full width, from the cells on disk."""
    cells.seek(0)
    for line in cells:
        texts = line.rstrip("\n").split("\t")
        parts = []
        for each, text in zip(fields, texts, strict=True):
            padded = text.ljust(each.width) if each.letter == "A" else text.rjust(each.width)
            parts.append(padded if each.is_joined or not parts else f" {padded}")
        yield "".join(parts)


def _fields(column: Column) -> list[_Field]:
    unit = CDS_UNITS.get(column.unit, column.unit.replace("**", ""))
    if column.kind == "flag":
        return [_Field(column.name, "I", unit, f"{column.description} (1: yes, 0: no)")]
    letter = {"real": "F", "whole": "I"}.get(column.kind, "A")
    is_key = column.name.endswith("_id")
    own = _Field(
        column.name, letter, unit, column.description, column.decimals, has_limits=letter != "A" and not is_key
    )
    return [own, *_sexagesimal_fields()] if column.name == "dec_deg" else [own]


def _sexagesimal_fields() -> list[_Field]:
    return [
        _Field("RAh", "I", "h", "Right ascension, ICRS (hours)"),
        _Field("RAm", "I", "min", "Right ascension (minutes)"),
        _Field("RAs", "F", "s", "Right ascension (seconds)", 3),
        _Field("DE-", "A", "---", "Sign of the declination, ICRS"),
        _Field("DEd", "I", "deg", "Declination (degrees)", is_joined=True),
        _Field("DEm", "I", "arcmin", "Declination (minutes of arc)"),
        _Field("DEs", "F", "arcsec", "Declination (seconds of arc)", 2),
    ]


def _texts(columns: Sequence[Column], row: Sequence) -> list[str]:
    texts, ra_deg = [], None
    for column, value in zip(columns, row, strict=True):
        texts.append(_text(column, value))
        if column.name == "ra_deg":
            ra_deg = value
        elif column.name == "dec_deg":
            texts += sexagesimal_parts(ra_deg, value)
    return texts


def _text(column: Column, value) -> str:
    if value is None:
        return ""
    if column.kind == "real":
        return f"{round(value, column.decimals) + 0.0:.{column.decimals}f}"  # + 0.0: no minus before a zero
    if column.kind == "text":
        return " ".join(_ascii(str(value)).split())
    return str(int(value))


def _ascii(text: str) -> str:
    """Text without accents; what ASCII cannot say is a question mark, a control character a blank."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[^\x20-\x7e]", " ", plain.encode("ascii", "replace").decode("ascii"))


def _ends(fields: Sequence[_Field]) -> list[int]:
    """Last byte of each field, counted from 1."""
    ends, end = [], 0
    for each in fields:
        end += each.width + (1 if ends and not each.is_joined else 0)
        ends.append(end)
    return ends


def _byte_by_byte(name: str, fields: Sequence[_Field]) -> Iterator[str]:
    label_width = max(len(each.label) for each in fields)
    yield from (f"Byte-by-byte Description of file: {name}", RULE)
    yield f"   Bytes Format Units   {'Label':{label_width}} Explanations"
    yield RULE
    for each, end in zip(fields, _ends(fields), strict=True):
        start = end - each.width + 1
        place = f"{end:8d}" if each.width == 1 else f"{start:4d}-{end:3d}"
        head = f"{place} {each.format:6} {each.unit:7} {each.label:{label_width}} "
        words = _wrap(each.explanation, LINE - len(head))
        yield head + words[0]
        yield from (" " * len(head) + line for line in words[1:])
    yield RULE


def _wrap(text: str, width: int) -> list[str]:
    """Lines none of which but the first begins with a digit: readers would take it for the bytes of the next column."""
    bound = re.sub(r" (?=\d)", "\0", text)
    lines = textwrap.wrap(bound, max(width, 20), break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines] or [""]


def _mrt_head(table: FixedTable) -> Iterator[str]:
    yield from _paragraph(
        "Title: ", "Classical Be stars in LAMOST spectra: the tables of Wang et al. 2022 from a catalogue"
    )
    yield "Authors: becat"
    yield from _paragraph("Table: ", table.title)
    yield DOUBLE_RULE
    yield from table.byte_by_byte.replace(f"file: {table.name}.dat", f"file: {table.name}_mrt.txt").splitlines()
    if table.note:
        yield from _paragraph("Note (1): ", table.note)
        yield RULE


def _paragraph(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, LINE, initial_indent=head, subsequent_indent="    ")


def write_readme(
    path: Path,
    tables: Sequence[FixedTable],
    description: str,
    facts: Sequence[tuple[str, str]],
    citations: Sequence[str],
) -> None:
    """Write the ``ReadMe`` that describes all tables.

    Parameters
    ----------
    path : Path
        File to write.
    tables : sequence of FixedTable
    description : str
        What the tables are.
    facts : sequence of (str, str)
        What made them: program, run, model.
    citations : sequence of str
        Works to cite, one line each.
    """
    _write_lines(path, _readme(tables, description, facts, citations), [])


def _readme(tables, description, facts, citations) -> Iterator[str]:
    yield "becat               Classical Be stars in LAMOST spectra                (becat)"
    yield DOUBLE_RULE
    yield "Classical Be stars in LAMOST spectra:"
    yield "the tables of Wang et al. 2022, ApJS 260, 35, made from a catalogue"
    yield "    becat"
    yield DOUBLE_RULE
    yield "Keywords: Be stars - Emission line stars - Spectroscopy - Surveys"
    yield from ("", "Description:", *_paragraph("    ", description), "")
    for name, value in facts:
        yield from _paragraph("    ", f"{name}: {value}")
    yield from ("", "File Summary:", RULE)
    yield " FileName      Lrecl  Records   Explanations"
    yield RULE
    yield f"{'ReadMe':14} {LINE:5}        .   This file"
    for table in tables:
        yield f"{table.name + '.dat':14} {table.length:5} {table.n_rows:8}   {table.title}"
    yield RULE
    for table in tables:
        yield from ("", *table.byte_by_byte.splitlines())
        if table.note:
            yield from (*_paragraph("Note (1): ", table.note), RULE)
    yield from ("", "References:")
    for citation in citations:
        yield from textwrap.wrap(citation, LINE, initial_indent="    ", subsequent_indent="        ")
    yield from (DOUBLE_RULE, f"(End){'becat':>75}")
