"""`becat report`: figures, tables, a page and a PDF of a catalogue, put into a directory as a whole."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tqdm import tqdm

from becat.publish.report import html, pdf
from becat.publish.report.content import Content, gather
from becat.publish.report.tables import PAPER_TABLES
from becat.schema import leftovers
from becat.schema.errors import BecatError
from becat.schema.version import becat_version

__all__ = ["Report", "make_report"]

MANIFEST = ".becat-report.json"


@dataclass(frozen=True)
class Report:
    """What was written."""

    directory: Path
    files: list[str]
    n_figures: int
    n_tables: int
    problems: list[str]
    size_bytes: int


def make_report(
    connection: duckdb.DuckDBPyConnection,
    directory: str | Path,
    *,
    catalogue: str = "catalog.duckdb",
    figures: Sequence | None = None,
    progress: bool = True,
) -> Report:
    """Write the report of a catalogue.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue; it is only read.
    directory : path
        Made if it is not there. Files of an earlier report that nobody has changed are replaced; nothing else is touched.
    catalogue : str
        Name of the catalogue, to be printed.
    figures : sequence of Figure, optional
        By default those of the paper, without what only the files of spectra have (`becat.publish.report.figures.figures`).
    progress : bool
        Show a progress bar.

    Returns
    -------
    Report

    Raises
    ------
    BecatError
        A file in the way is not becat's, the directory cannot be written, or the catalogue is of an older becat.
    """
    directory = Path(directory).absolute()
    if figures is None:
        from becat.publish.report.figures import figures as all_figures

        figures = all_figures()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        leftovers.remove_stale(directory / "report")
        known = _known_files(directory)
        _refuse_foreign(directory, known, _wanted(figures))
        with tempfile.TemporaryDirectory(prefix=leftovers.own_prefix(directory / "report"), dir=directory) as workplace:
            content = _write(connection, Path(workplace), catalogue, figures, progress)
            files = sorted(str(path.relative_to(workplace)) for path in Path(workplace).rglob("*") if path.is_file())
            _refuse_foreign(directory, known, files)
            sizes = _move(Path(workplace), directory, files, known)
    except duckdb.CatalogException as error:
        raise BecatError(
            f"the catalogue lacks something that this becat needs: `becat run` brings it up to date ({_line(error)})"
        ) from None
    except OSError as error:
        raise BecatError(f"{directory} cannot be written: {error.strerror or error}") from None
    return Report(
        directory=directory,
        files=files,
        n_figures=sum(figure.path is not None for figure in content.figures),
        n_tables=sum(table.fixed is not None for table in content.tables),
        problems=_problems(content),
        size_bytes=sizes,
    )


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _problems(content: Content) -> list[str]:
    drawn = [f"Figure {figure.number}: {figure.problem}" for figure in content.figures if figure.problem]
    return drawn + [f"Table {table.number}: {table.problem}" for table in content.tables if table.problem]


def _write(connection, folder: Path, catalogue: str, figures: Sequence, progress: bool) -> Content:
    steps = len(figures) + len(PAPER_TABLES) + 2
    with tqdm(total=steps, desc="report", unit="", disable=None if progress else True) as bar:
        tick = _ticker(bar)
        content = gather(connection, catalogue, folder, figures, tick)
        tick("page")
        html.write(folder / "report.html", content)
        tick("PDF")
        pdf.write(folder / "report.pdf", content)
        entries = "\n\n".join(entry for *_, entry in content.citations)
        (folder / "citations.bib").write_text(f"{entries}\n", encoding="utf-8")
        bar.update()
    return content


def _ticker(bar: tqdm) -> Callable[[str], None]:
    """Says what is being made; the step before it is done."""
    started = False

    def tick(name: str) -> None:
        nonlocal started
        if started:
            bar.update()
        started = True
        bar.set_postfix_str(name)

    return tick


def _wanted(figures: Sequence) -> list[str]:
    """Files that a report may write: known before it is made, so that a refusal comes at once."""
    pictures = [f"figures/figure_{figure.number}.{suffix}" for figure in figures for suffix in ("png", "pdf")]
    tables = [f"tables/table{table.number}{end}" for table in PAPER_TABLES for end in (".dat", "_mrt.txt")]
    return ["report.html", "report.pdf", "citations.bib", "tables/ReadMe", *pictures, *tables]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _known_files(directory: Path) -> dict[str, list[str]]:
    """Files of an earlier report with their hashes: two where a move was stopped half way."""
    try:
        return json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        raise BecatError(f"{directory / MANIFEST} is not as becat wrote it: choose another directory") from None


def _refuse_foreign(directory: Path, known: dict[str, list[str]], wanted: Sequence[str]) -> None:
    """Stop where a file in the way was not written by becat, or was changed since."""
    for name in wanted:
        path = directory / name
        if not os.path.lexists(path):
            continue
        if name not in known:
            raise BecatError(f"{path} exists already and is not part of a becat report: choose another directory")
        if not path.is_file() or _hash(path) not in known[name]:
            raise BecatError(f"{path} was changed since becat wrote it: move it away, or choose another directory")


def _move(workplace: Path, directory: Path, files: Sequence[str], known: dict[str, list[str]]) -> int:
    """Put the files in place, those of an earlier report that are no more away; return their size in bytes."""
    made = {name: [_hash(workplace / name)] for name in files}
    size = sum((workplace / name).stat().st_size for name in files)
    _write_manifest(directory, {name: known.get(name, []) + made.get(name, []) for name in known | made})
    for name in files:
        (directory / name).parent.mkdir(exist_ok=True)
        os.replace(workplace / name, directory / name)
    for name in known.keys() - made.keys():
        path = directory / name
        if path.is_file() and _hash(path) in known[name]:
            path.unlink()
    _write_manifest(directory, made)
    return size


def _write_manifest(directory: Path, files: dict[str, list[str]]) -> None:
    fresh = directory / f"{MANIFEST}.new"
    fresh.write_text(json.dumps({"becat": becat_version(), "files": files}, indent=1), encoding="utf-8")
    os.replace(fresh, directory / MANIFEST)
