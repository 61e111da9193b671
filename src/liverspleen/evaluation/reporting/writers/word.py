"""All tables as one Word document: tables with captions, repeated header rows and three rules."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.formatting import with_minus_signs
from liverspleen.evaluation.reporting.table_layout import TableLayout
from liverspleen.evaluation.reporting.writers.csv_markdown import column_widths, grid

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table, _Cell, _Row

_TEXT_PT: Final = 8  # six columns of ages, or five of DSS with range, fit on one page
_NOTE_PT: Final = 7.5
_A4_MM: Final = (297, 210)  # landscape
_MARGIN_MM: Final = 15
_PADDING_MM: Final = 4.0  # both sides of a cell together
_CHARACTER_MM: Final = 1.55
_EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)  # first date of a zip archive; fixed for reproducible bytes


def docx_bytes(tables: Sequence[TableLayout]) -> bytes:
    """Return the tables as the content of a `.docx` file; the same tables give the same bytes."""
    document = _document()
    for layout in tables:
        _caption(document, layout.title)
        lines = grid(layout)
        _fill(document.add_table(rows=min(2, len(lines)), cols=len(lines[0])), lines)
        _paragraph(document, layout.footnote, _NOTE_PT, before_pt=3, after_pt=18)
    _paragraph(document, RESEARCH_USE, _NOTE_PT)
    buffer = io.BytesIO()
    document.save(buffer)
    return _dateless(buffer.getvalue())


def _document() -> Document:
    import docx
    from docx.enum.section import WD_ORIENT
    from docx.shared import Mm, Pt

    document = docx.Document()
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = (Mm(side) for side in _A4_MM)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(_MARGIN_MM)
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Arial", Pt(_TEXT_PT)
    properties = document.core_properties
    properties.author, properties.title, properties.comments = "liverspleen", "Tables", ""
    properties.created = properties.modified = _EPOCH
    return document


def _caption(document: Document, text: str) -> None:
    paragraph = _paragraph(document, text, _TEXT_PT + 1, after_pt=4)
    paragraph.paragraph_format.keep_with_next = True
    paragraph.runs[0].bold = True


def _paragraph(document: Document, text: str, size_pt: float, *, before_pt: int = 0, after_pt: int = 0) -> Any:
    from docx.shared import Pt

    paragraph = document.add_paragraph()
    paragraph.paragraph_format.space_before, paragraph.paragraph_format.space_after = Pt(before_pt), Pt(after_pt)
    paragraph.add_run(one_line(text)).font.size = Pt(size_pt)
    return paragraph


def _fill(table: Table, lines: Sequence[Sequence[str]]) -> None:
    """Write the lines into a table with a header and one row; further rows are copies of this row, for speed."""
    from docx.shared import Mm

    width_mm = _A4_MM[0] - 2 * _MARGIN_MM - _PADDING_MM * len(lines[0])
    widths = column_widths(lines, int(width_mm / _CHARACTER_MM))
    scale = min(_CHARACTER_MM, width_mm / sum(widths))
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Mm(width * scale + _PADDING_MM)
    for number, row in enumerate(table.rows):
        _format(row, [width * scale + _PADDING_MM for width in widths], header=number == 0)
    pattern = table._tbl.tr_lst[-1]
    for _ in lines[2:]:
        table._tbl.append(deepcopy(pattern))
    for row, line in zip(table._tbl.tr_lst, lines, strict=True):
        for element, text in zip(row.tc_lst, line, strict=True):
            element.p_lst[0].r_lst[0].text = with_minus_signs(one_line(text))
    for cell in table.rows[0].cells:
        _rules(cell, "top", "bottom")
    for cell in table.rows[-1].cells if len(lines) > 1 else ():
        _rules(cell, "bottom")


def _format(row: _Row, widths_mm: Sequence[float], *, header: bool) -> None:
    """Set widths and alignment, and add an empty run with the font weight to each cell."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.shared import Mm, Pt

    properties = row._tr.get_or_add_trPr()
    properties.append(OxmlElement("w:cantSplit"))
    if header:
        properties.append(OxmlElement("w:tblHeader"))
    for column, (cell, width) in enumerate(zip(row.cells, widths_mm, strict=True)):
        cell.width = Mm(width)
        paragraph = cell.paragraphs[0]
        paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(1.5)
        if column > 0:
            paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        paragraph.add_run().bold = header


def _rules(cell: _Cell, *edges: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    borders = OxmlElement("w:tcBorders")
    for edge in edges:
        rule = OxmlElement(f"w:{edge}")
        for name, value in (("val", "single"), ("sz", "8"), ("space", "0"), ("color", "000000")):
            rule.set(qn(f"w:{name}"), value)
        borders.append(rule)
    cell._tc.get_or_add_tcPr().append(borders)


def _dateless(content: bytes) -> bytes:
    """Return the archive with unchanged members and a fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, date_time=_EPOCH.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return buffer.getvalue()
