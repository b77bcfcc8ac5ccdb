"""What a report says, gathered once from a catalogue; the page and the PDF only lay it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from becat.publish.report import cds
from becat.publish.report.tables import PAPER_TABLES, Column, PaperTable, columns_of, lacking, rows_of, why_empty
from becat.publish.snapshot import provenance
from becat.schema.words import counted

__all__ = ["Content", "DrawnFigure", "WrittenTable", "gather"]

HEAD_ROWS = 30  # rows of a table that are shown; the file has all
DPI = 160
VECTOR_BYTES_MAX = 1_500_000  # a drawing of more points than this is shown as a picture in the PDF too


@dataclass(frozen=True)
class DrawnFigure:
    """A figure of the report: its files without their suffix, or why there are none."""

    number: str
    title: str
    caption: str
    width_in: float
    height_in: float
    path: Path | None
    problem: str | None

    @property
    def png(self) -> Path | None:
        """Picture."""
        return self.path.with_suffix(".png") if self.path else None

    @property
    def pdf(self) -> Path | None:
        """Drawing in vectors, None where that would be too large."""
        vector = self.path.with_suffix(".pdf") if self.path else None
        return vector if vector and vector.exists() else None


@dataclass(frozen=True)
class WrittenTable:
    """A table of the report: its first rows, and the file that has all."""

    number: str
    title: str
    note: str
    sql: str
    columns: list[Column]
    rows: list[tuple]
    n_rows: int
    n_simulated: int
    fixed: cds.FixedTable | None
    problem: str | None


@dataclass(frozen=True)
class Content:
    """Everything that a report says."""

    catalogue: str
    facts: list[tuple[str, str | None, str]]
    lacks: list[tuple[str, str]]
    numbers: list[tuple]
    funnel: list[tuple]
    parameters: list[tuple]
    lists: list[tuple]
    citations: list[tuple[str, str, str, str, str]]
    figures: list[DrawnFigure]
    tables: list[WrittenTable]

    @property
    def n_simulated(self) -> int:
        """Simulated spectra of the catalogue."""
        return int(dict((name, value) for name, value, _ in self.facts)["simulated_spectra"] or 0)


NUMBERS = """
    select published_number.place, published_number.description, published, ours, published_number.unit
    from published_number
    join published_value using (name)
    order by published_value.rowid
"""
PARAMETERS = "select name, value, default_value, unit, description, reference from selection_parameter order by rowid"
LISTS = "select catalogue_id, reference, title, n_rows, bibcode from literature_catalogue order by rowid"


def gather(
    connection: duckdb.DuckDBPyConnection, catalogue: str, folder: Path, figures: Sequence, tick: Callable[[str], None]
) -> Content:
    """Draw the figures and write the tables of a catalogue.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue.
    catalogue : str
        Its name, to be printed.
    folder : Path
        Existing folder; figures go to ``figures/``, tables to ``tables/`` in it.
    figures : sequence of becat.publish.report.figures.Figure
    tick : callable
        Told the name of each figure and table before it is made.

    Returns
    -------
    Content
    """
    for name in ("figures", "tables"):
        (folder / name).mkdir()
    facts = provenance.facts(connection)
    content = Content(
        catalogue=catalogue,
        facts=facts,
        lacks=lacking(connection),
        numbers=connection.execute(NUMBERS).fetchall(),
        funnel=connection.execute("select step, name, spectra, stars from funnel order by step").fetchall(),
        parameters=connection.execute(PARAMETERS).fetchall(),
        lists=connection.execute(LISTS).fetchall(),
        citations=list(provenance.citations()),
        figures=[_draw(connection, folder / "figures", figure, tick) for figure in figures],
        tables=[_write(connection, folder / "tables", table, tick) for table in PAPER_TABLES],
    )
    _write_readme(folder / "tables" / "ReadMe", content)
    return content


def _draw(connection, folder: Path, figure, tick) -> DrawnFigure:
    tick(f"figure {figure.number}")
    canvas = Canvas(figsize=(figure.width_in, figure.height_in))
    FigureCanvasAgg(canvas)
    path = folder / f"figure_{figure.number}"
    problem, caption = None, figure.caption
    try:
        told = figure.draw(connection, canvas)
        if isinstance(told, str):
            problem = told
        else:
            caption = f"{told.words} {caption}" if told else caption
            _save(canvas, path)
    except Exception as error:  # the fault of one figure must not cost the others; the report says it in its place
        problem = f"It could not be drawn: {type(error).__name__}: {error}"
    return DrawnFigure(
        figure.number,
        figure.title,
        caption,
        figure.width_in,
        figure.height_in,
        None if problem else path,
        problem,
    )


def _save(canvas: Canvas, path: Path) -> None:
    """PNG, and PDF if it is not too large; no date in them, so that the same catalogue gives the same files."""
    canvas.savefig(path.with_suffix(".png"), dpi=DPI, metadata={"Software": None})
    vector = path.with_suffix(".pdf")
    with mpl.rc_context({"pdf.fonttype": 42}):
        canvas.savefig(vector, dpi=2 * DPI, metadata={"CreationDate": None, "Producer": None})
    if vector.stat().st_size > VECTOR_BYTES_MAX:
        vector.unlink()


def _write(connection, folder: Path, table: PaperTable, tick) -> WrittenTable:
    tick(f"table {table.number}")
    columns = columns_of(connection, table)
    head: list[tuple] = []
    counted = _Counted(rows_of(connection, table), head, [column.name for column in columns])
    fixed = cds.write_table(folder, table.number, table.title, table.note, columns, counted)
    return WrittenTable(
        number=table.number,
        title=table.title,
        note=table.note,
        sql=table.sql,
        columns=columns,
        rows=head,
        n_rows=counted.n_rows,
        n_simulated=counted.n_simulated,
        fixed=fixed,
        problem=None if fixed else why_empty(connection, table),
    )


class _Counted:
    """Rows on their way to a file: the first ones kept, all counted."""

    def __init__(self, rows: Iterable[tuple], head: list[tuple], names: Sequence[str]):
        self._rows, self._head = rows, head
        self._flag = names.index("is_simulated") if "is_simulated" in names else None
        self.n_rows = self.n_simulated = 0

    def __iter__(self) -> Iterator[tuple]:
        for row in self._rows:
            if self.n_rows < HEAD_ROWS:
                self._head.append(row)
            self.n_rows += 1
            self.n_simulated += bool(self._flag is not None and row[self._flag])
            yield row


def _write_readme(path: Path, content: Content) -> None:
    simulated = (
        f" {counted(content.n_simulated, 'of its spectra is', 'of its spectra are')} simulated: see is_simulated."
        if content.n_simulated
        else ""
    )
    description = (
        "The tables of Wang et al. 2022 (ApJS 260, 35), made again from a catalogue of LAMOST spectra. Column names are"
        f" those of the catalogue's views.{simulated} An error is e_ and the name of its column."
    )
    cds.write_readme(
        path,
        [table.fixed for table in content.tables if table.fixed],
        description,
        [(about, value or "") for _, value, about in content.facts],
        [f"{title}: doi:{doi}" for _, _, title, doi, _ in content.citations],
    )
