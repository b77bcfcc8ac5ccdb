"""The report as a PDF: text and tables by ReportLab, the figures put on its pages as vectors by pypdf.

Letters are those of DejaVu, which comes with matplotlib and has the Greek and the signs that astronomers write.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib as mpl
from pypdf import PdfReader, PdfWriter, Transformation
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from becat.publish.report.content import Content, DrawnFigure, WrittenTable
from becat.publish.report.html import cell_text, number_text, ratio_text, shown
from becat.publish.report.tables import Column
from becat.publish.snapshot.formatting import UNITS
from becat.schema.selection import LABELS
from becat.schema.words import counted

__all__ = ["write"]

MARGIN, FOOT = 42.0, 26.0
SIZES = {"portrait": A4, "landscape": landscape(A4)}
INK, MUTED, LINE, MARK = HexColor("#1a1f27"), HexColor("#545d69"), HexColor("#c9cfd6"), HexColor("#fff4d6")
SMALLEST, LARGEST = 4.6, 7.0  # letters of a table, points
SMALLEST_SCALE = 0.8  # of a figure that is to share a page
ROOM_FOR_ROWS = 160.0  # heading and some rows of a table, points
TEXT_WIDTH_MAX = 22.0  # of a column of words, in letter sizes; longer ones are broken
LEVELS = {"h1": 0, "h2": 1}  # of headings in the outline
FONTS = {"Text": "DejaVuSans", "Bold": "DejaVuSans-Bold", "Italic": "DejaVuSans-Oblique", "Mono": "DejaVuSansMono"}
BODY = ParagraphStyle("body", fontName="Text", fontSize=8, leading=11, textColor=INK, splitLongWords=1)
STYLES = {
    "title": ParagraphStyle("title", BODY, fontName="Bold", fontSize=15, leading=19),
    "h1": ParagraphStyle("h1", BODY, fontName="Bold", fontSize=12, leading=16, spaceBefore=4, spaceAfter=4),
    "h2": ParagraphStyle("h2", BODY, fontName="Bold", fontSize=9.5, leading=13, spaceBefore=10, spaceAfter=2),
    "body": BODY,
    "note": ParagraphStyle("note", BODY, textColor=MUTED, fontSize=7.3, leading=9.8, spaceAfter=3),
    "warning": ParagraphStyle("warning", BODY, backColor=MARK, borderPadding=4, spaceBefore=6, spaceAfter=7),
    "caption": ParagraphStyle("caption", BODY, fontSize=7.6, leading=10.2, spaceBefore=4, spaceAfter=14),
    "cell": ParagraphStyle("cell", BODY, fontSize=6.3, leading=8),
}


def write(path: Path, content: Content) -> None:
    """Write the PDF.

    Parameters
    ----------
    path : Path
        File to write.
    content : Content
    """
    _register_fonts()
    places: list[_Place] = []
    funnel = _funnel(content)
    story = [*_first_page(content), PageBreak(), *funnel, *_figures(content, places, sum(map(_height, funnel)))]
    story += [*_paper_tables(content), *_provenance(content)]
    _Document(str(path), content).build(story)
    if places:
        _put_figures(path, places)


def _register_fonts() -> None:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    for name, file in FONTS.items():
        pdfmetrics.registerFont(TTFont(name, folder / f"{file}.ttf"))
    pdfmetrics.registerFontFamily("Text", normal="Text", bold="Bold", italic="Italic", boldItalic="Bold")


class _Document(BaseDocTemplate):
    """Pages upright and across, with a foot; headings become the outline."""

    def __init__(self, path: str, content: Content):
        name = f"Classical Be stars: report of {content.catalogue}"
        super().__init__(path, title=name, author="becat", subject="After Wang et al. 2022, ApJS 260, 35", lang="en")
        made = next(value for key, value, _ in content.facts if key == "published_at")
        self._foot = f"becat report of {content.catalogue}, {made} UTC"
        for template, (width, height) in SIZES.items():
            frame = Frame(MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN, 0, 0, 0, 0)
            page = PageTemplate(template, [frame], onPage=self._draw_foot, pagesize=(width, height))
            self.addPageTemplates(page)
        self._n_headings = 0

    def _draw_foot(self, canvas, document) -> None:
        width, _ = canvas._pagesize
        canvas.setFont("Text", 6.5)
        canvas.setFillColor(MUTED)
        canvas.drawString(MARGIN, FOOT, self._foot)
        canvas.drawRightString(width - MARGIN, FOOT, str(document.page))

    def afterFlowable(self, flowable) -> None:
        """Enter a heading in the outline."""
        if not isinstance(flowable, Paragraph) or flowable.style.name not in LEVELS:
            return
        self._n_headings += 1
        key = f"h{self._n_headings}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(flowable.getPlainText(), key, LEVELS[flowable.style.name], closed=False)


def _text(words: str, style: str = "body") -> Paragraph:
    return Paragraph(words, STYLES[style])


def _first_page(content: Content) -> list[Flowable]:
    """Title, what a reader must know, and the paper's numbers beside ours."""
    parts: list[Flowable] = [
        _text(f"Classical Be stars: report of {escape(content.catalogue)}", "title"),
        _text(
            "The numbers, figures and tables of Wang et al. 2022, ApJS 260, 35"
            ' (<a href="https://doi.org/10.3847/1538-4365/ac617a">doi:10.3847/1538-4365/ac617a</a>), made from this catalogue.'
        ),
    ]
    if content.n_simulated:
        words = f"<b>{counted(content.n_simulated, 'of its spectra is', 'of its spectra are')} simulated.</b> Rows from them are not observations; the"
        parts.append(_text(f"{words} column is_simulated marks them.", "warning"))
    if content.lacks:
        lacks = "; ".join(f'{what} (<font name="Mono">{command}</font>)' for what, command in content.lacks)
        parts.append(_text(f"<b>This catalogue is not complete.</b> It has {lacks}.", "warning"))
    parts += [_text("The paper's numbers beside ours", "h1")]
    words = "They agree only where the same spectra and catalogues went in. A dash: a catalogue cannot hold that number, or the"
    parts.append(_text(f"{words} list has not been fetched.", "note"))
    rows = [
        [place, _cell(description, unit), number_text(published), number_text(ours), ratio_text(published, ours)]
        for place, description, published, ours, unit in content.numbers
    ]
    head = ["Place", "What", "Paper", "Ours", "Ours/paper"]
    return [*parts, _plain_table([head, *rows], [112, 233, 56, 56, 54], numbers=(2, 3, 4))]


def _cell(words: str | None, unit: str | None = "") -> Paragraph:
    label = f" ({UNITS.get(unit, unit)})" if unit else ""
    return _text(escape(f"{words or ''}{label}"), "cell")


def _plain_table(
    rows: list, widths: Sequence[float], *, numbers: Sequence[int] = (), bold: Sequence[int] = ()
) -> Table:
    table = Table(rows, colWidths=widths, repeatRows=1, hAlign="LEFT")
    table.setStyle([
        *_rules(6.3, 1.1),
        *(("ALIGN", (column, 0), (column, -1), "RIGHT") for column in numbers),
        *(("FONTNAME", (0, row), (-1, row), "Bold") for row in bold),
    ])  # fmt: skip
    return table


def _rules(size: float, padding: float) -> list[tuple]:
    """Letters and lines of a table."""
    return [
        ("FONT", (0, 0), (-1, -1), "Text", size, size * 1.27),
        ("FONT", (0, 0), (-1, 0), "Bold", size, size * 1.27),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("VALIGN", (0, 1), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 1), (-1, -1), 0.25, LINE),
        ("LINEBELOW", (0, 0), (-1, 0), 0.7, MUTED),
        ("TOPPADDING", (0, 0), (-1, -1), padding),
        ("BOTTOMPADDING", (0, 0), (-1, -1), padding),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), size),
    ]


def _funnel(content: Content) -> list[Flowable]:
    rows = [
        [str(step), name, LABELS.get(name, ""), f"{spectra:,}", f"{stars:,}"]
        for step, name, spectra, stars in content.funnel
    ]
    table = _plain_table(
        [["Step", "Name", "What is left", "Spectra", "Stars"], *rows], [30, 80, 200, 70, 70], numbers=(3, 4)
    )
    note = _text("What is left after each step of the selection; each step is a view of the catalogue.", "note")
    return [_text("The funnel", "h1"), note, table, Spacer(1, 14)]


class _Place:
    """Where a figure is to be put: its file, and the page and the corner that the layout gave it."""

    def __init__(self, path: Path, scale: float):
        self.path, self.scale = path, scale
        self.page, self.x, self.y = 0, 0.0, 0.0


class _FigureBox(Flowable):
    """Room for a figure, which notes where it came to lie."""

    def __init__(self, place: _Place, width: float, height: float):
        super().__init__()
        self._place, self.width, self.height = place, width, height

    def wrap(self, availWidth, availHeight):
        return self.width, self.height

    def draw(self) -> None:
        self._place.page = self.canv.getPageNumber() - 1
        self._place.x, self._place.y = self.canv.absolutePosition(0, 0)


def _figures(content: Content, places: list[_Place], used: float) -> list[Flowable]:
    """The figures, as many on a page as fit when they are drawn a little smaller.

    Parameters
    ----------
    content : Content
    places : list of _Place
        Gets the places of those that are drawings.
    used : float
        What stands above the first of them on its page, points.
    """
    parts: list[Flowable] = []
    page: list[tuple[DrawnFigure, list[Flowable]]] = []
    for number, figure in enumerate(content.figures):
        heading = [_text("Figures", "h1")] if number == 0 else []
        words = [*heading, *_words_of(figure)]
        if page and _scale([*page, (figure, words)], used) < SMALLEST_SCALE:
            parts += [*_page_of_figures(page, places, used), PageBreak()]
            page, used = [], 0.0
        page.append((figure, words))
    return parts + _page_of_figures(page, places, used)


def _words_of(figure: DrawnFigure) -> list[Flowable]:
    """Title, why there is no drawing if there is none, and caption."""
    problem = [_text(escape(figure.problem), "warning")] if figure.problem else []
    return [
        _text(escape(f"Figure {figure.number}. {figure.title}"), "h2"),
        *problem,
        _text(escape(figure.caption), "caption"),
    ]


def _height(flowable: Flowable) -> float:
    """Height of a part on an upright page with the space around it, points."""
    _, height = flowable.wrap(A4[0] - 2 * MARGIN, A4[1])
    return height + flowable.getSpaceBefore() + flowable.getSpaceAfter()


def _scale(page: Sequence[tuple[DrawnFigure, list[Flowable]]], used: float) -> float:
    """How much smaller figures must be drawn so that they fit on a page together, at most 1."""
    room = A4[1] - 2 * MARGIN - used - sum(_height(part) for _, words in page for part in words)
    drawn = [figure for figure, _ in page if not figure.problem]
    height = sum(72 * figure.height_in for figure in drawn)
    widest = max((72 * figure.width_in for figure in drawn), default=1.0)
    return min(1.0, (A4[0] - 2 * MARGIN) / widest, (room - 1) / max(height, 1))


def _page_of_figures(page, places: list[_Place], used: float) -> list[Flowable]:
    """Figures of one page, all at the same scale."""
    scale = _scale(page, used) if page else 1.0
    parts: list[Flowable] = []
    for figure, words in page:
        body = [] if figure.problem else [_figure_body(figure, places, scale)]
        parts.append(KeepTogether([*words[:-1], *body, words[-1]]))
    return parts


def _figure_body(figure: DrawnFigure, places: list[_Place], scale: float) -> Flowable:
    width, height = scale * 72 * figure.width_in, scale * 72 * figure.height_in
    if figure.pdf is None:
        return Image(str(figure.png), width, height, hAlign="LEFT")
    place = _Place(figure.pdf, scale)
    places.append(place)
    return _FigureBox(place, width, height)


def _put_figures(path: Path, places: Sequence[_Place]) -> None:
    """Put the figures on their pages."""
    writer = PdfWriter(clone_from=str(path))
    for place in places:
        drawing = PdfReader(str(place.path)).pages[0]
        move = Transformation().scale(place.scale).translate(place.x, place.y)
        writer.pages[place.page].merge_transformed_page(drawing, move)
    for number in {place.page for place in places}:
        writer.pages[number].compress_content_streams()
    writer.write(str(path))


def _paper_tables(content: Content) -> list[Flowable]:
    """The tables one below the other; a new page only where the paper is turned, or few rows would fit."""
    parts: list[Flowable] = []
    before = "portrait"
    for table in content.tables:
        template, body = _paper_table(table, before)
        turned = [NextPageTemplate(template), PageBreak()] if template != before else [CondPageBreak(ROOM_FOR_ROWS)]
        parts += [*turned, *body]
        before = template
    return parts


def _paper_table(table: WrittenTable, before: str) -> tuple[str, list[Flowable]]:
    """How the page must lie for a table, and the table; one without rows goes on the page `before` it."""
    heading = [_text(escape(f"Table {table.number}. {table.title}"), "h1"), _text(escape(table.note), "note")]
    if table.fixed is None:
        return before, [*heading, _text(escape(table.problem or ""), "warning")]
    rows = [[cell_text(column, value) for column, value in zip(table.columns, row, strict=True)] for row in table.rows]
    template, size = _fit(table.columns, rows)
    simulated = f"; {table.n_simulated:,} simulated" if table.n_simulated else ""
    files = f"{shown(table)}{simulated}. All in tables/{table.fixed.name}.dat and {table.fixed.name}_mrt.txt."
    return template, [
        *heading,
        _text(files, "note"),
        _text("; ".join(_meaning(column) for column in table.columns) + ".", "note"),
        _rows_table(table.columns, rows, size),
        Spacer(1, 16),
    ]


def _meaning(column: Column) -> str:
    unit = f" [{escape(UNITS.get(column.unit, column.unit))}]" if column.unit else ""
    return f'<font name="Mono">{column.name}</font> {escape(column.description)}{unit}'


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> tuple[str, float]:
    """Page and size of letters with which a table fits: upright if they stay readable, else across."""
    unit_width = sum(_widths(columns, rows, 1.0))
    for template, smallest in (("portrait", 6.0), ("landscape", SMALLEST)):
        room = SIZES[template][0] - 2 * MARGIN
        if (size := min(LARGEST, room / unit_width)) >= smallest:
            return template, size
    return "landscape", room / unit_width


def _head(column: Column) -> str:
    """Name in short lines, broken after underscores, and unit."""
    lines: list[str] = []
    for part in column.name.replace("_", "_ ").split():
        if lines and len(lines[-1]) + len(part) <= 9:
            lines[-1] += part
        else:
            lines.append(part)
    return "\n".join([*lines, UNITS.get(column.unit, column.unit)])


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], size: float) -> list[float]:
    def measure(words: str, font: str) -> float:
        return pdfmetrics.stringWidth(words, font, size)

    widths = []
    for place, column in enumerate(columns):
        widest = max((measure(row[place], "Text") for row in rows), default=0.0)
        head = max(measure(line, "Bold") for line in _head(column).split("\n"))
        widths.append(max(min(widest, TEXT_WIDTH_MAX * size), head) + 1.1 * size)
    return widths


def _rows_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], size: float) -> Table:
    style = ParagraphStyle("row", BODY, fontSize=size, leading=size * 1.27)
    widths = _widths(columns, rows, size)
    body = [
        [_broken(text, width - 1.1 * size, size, style) for text, width in zip(row, widths, strict=True)]
        for row in rows
    ]
    table = Table([[_head(column) for column in columns], *body], colWidths=widths, repeatRows=1, hAlign="LEFT")
    right = [place for place, column in enumerate(columns) if column.kind in ("real", "whole")]
    table.setStyle([*_rules(size, 1.4), *(("ALIGN", (place, 0), (place, -1), "RIGHT") for place in right)])
    return table


def _broken(text: str, width: float, size: float, style: ParagraphStyle) -> str | Paragraph:
    """A text that is too long for its column, as a paragraph that breaks it."""
    return text if pdfmetrics.stringWidth(text, "Text", size) <= width + 0.01 else Paragraph(escape(text), style)


def _provenance(content: Content) -> list[Flowable]:
    facts = [[_cell(about), _cell(value or "–")] for _, value, about in content.facts]
    thresholds = [
        [
            name,
            f"{value:.6g}",
            f"{default:.6g}",
            UNITS.get(unit or "", unit or ""),
            _text(
                f'{escape(description)} <font color="{MUTED.hexval().replace("0x", "#")}">[{escape(reference)}]</font>',
                "cell",
            ),
        ]
        for name, value, default, unit, description, reference in content.parameters
    ]
    changed = [row for row, (_, value, default, *_) in enumerate(content.parameters, 1) if value != default]
    lists = [
        [name, _cell(reference), _cell(title), f"{n:,}" if n is not None else "not fetched", bibcode or ""]
        for name, reference, title, n, bibcode in content.lists
    ]
    works = [
        _text(
            f'{escape(_plain(title))}, <a href="https://doi.org/{doi}">doi:{escape(doi)}</a>: {escape(used_for)}',
            "note",
        )
        for _, used_for, title, doi, _ in content.citations
    ]
    names = ["Name", "Value", "As shipped", "Unit", "What it decides [reference]"]
    return [
        NextPageTemplate("portrait"),
        PageBreak(),
        _text("Provenance", "h1"),
        _plain_table([["What", ""], *facts], [230, 280]),
        _text("Thresholds", "h2"),
        _text("Those in bold differ from the shipped values.", "note"),
        _plain_table([names, *thresholds], [124, 40, 46, 36, 265], numbers=(1, 2), bold=changed),
        CondPageBreak(ROOM_FOR_ROWS),
        _text("Published lists", "h2"),
        _plain_table(
            [["List", "Reference", "Title", "Rows", "Bibcode"], *lists], [106, 105, 165, 50, 85], numbers=(3,)
        ),
        _text("Works to cite", "h2"),
        *works,
    ]


def _plain(words: str) -> str:
    return words.replace("{", "").replace("}", "")
