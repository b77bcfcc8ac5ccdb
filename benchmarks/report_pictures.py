"""The pictures of docs/report.md: pages and figures of a report, small.

becat report demo/report --catalog demo/catalog.duckdb
python -m benchmarks.report_pictures demo/report docs/figures

The pages are drawn by `pdftoppm` (Debian: poppler-utils).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from pypdf import PdfReader

GAP, PAPER = 10, "#e4e7ea"
COLOURS = 96
PAGES = ("The paper's numbers beside ours", "Figure 9.", "Table 9.")


def main(report: Path, folder: Path) -> None:
    """Write `report_pages.png` and `report_figures.png`.

    Parameters
    ----------
    report : Path
        Directory that `becat report` wrote.
    folder : Path
        Directory for the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _save(_sheet(_pages(report / "report.pdf"), (500, 560), columns=3), folder / "report_pages.png")
    figures = sorted((report / "figures").glob("figure_*.png"), key=_printed_order)
    pictures = [Image.open(path).convert("RGB") for path in figures]
    _save(_sheet(pictures, (300, 230), columns=5), folder / "report_figures.png")


def _printed_order(path: Path) -> tuple[str, int]:
    found = re.fullmatch(r"figure_([A-Z]?)(\d+)", path.stem)
    assert found
    return found[1], int(found[2])


def _pages(path: Path) -> list[Image.Image]:
    """The pages on which the headings of `PAGES` first stand."""
    texts = [page.extract_text() for page in PdfReader(path).pages]
    numbers = [next(n for n, text in enumerate(texts, 1) if heading in text) for heading in PAGES]
    with tempfile.TemporaryDirectory() as place:
        for number in numbers:
            page = ["-f", str(number), "-l", str(number), "-singlefile", str(path), f"{place}/{number}"]
            subprocess.run(["pdftoppm", "-r", "80", "-png", *page], check=True)
        return [Image.open(f"{place}/{number}.png").convert("RGB") for number in numbers]


def _sheet(pictures: Sequence[Image.Image], room: tuple[int, int], columns: int) -> Image.Image:
    """Pictures made small enough for their room, in rows, each in the middle of its place."""
    width, height = room
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    for n, picture in enumerate(pictures):
        small = picture.copy()
        small.thumbnail(room, Image.Resampling.LANCZOS)
        x, y = GAP + n % columns * (width + GAP), GAP + n // columns * (height + GAP)
        sheet.paste(small, (x + (width - small.width) // 2, y + (height - small.height) // 2))
    return sheet


def _save(sheet: Image.Image, path: Path) -> None:
    """With few colours, those of small areas among them: a page on the web should be light."""
    sheet.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
