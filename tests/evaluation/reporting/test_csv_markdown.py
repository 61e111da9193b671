"""Tables as CSV, Markdown, LaTeX and Word: the text is the same, and names from the data are inert."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from liverspleen.evaluation.reporting.cells import Address, Cell
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport
from liverspleen.evaluation.reporting.table_layout import TableLayout, layouts
from liverspleen.evaluation.reporting.writers.csv_markdown import (
    column_widths,
    csv_text,
    grid,
    markdown_text,
    read_table_csv,
)
from liverspleen.evaluation.reporting.writers.latex import latex_document, latex_escaped, latex_text
from liverspleen.evaluation.reporting.writers.word import docx_bytes

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "'=1+1",
    "@sum(1)",
    "\\input{/etc/passwd}",
    "\\\\[9cm]*",
    "a_b&5%#~^{}",
    "$x^2$ \\frac{1",
    "line\nbreak\rreturn\ttab",
    "± é 漢 ą ß χ²",
    "\u202eRTL\u200f עברית",
    "--,,?`!`\"'",
    "x" * 200,
    "{ HYPERLINK http://a.b }",
)


def layout_of(names: tuple[str, ...], table: str = "reproducibility") -> TableLayout:
    """A table with those names as rows and as columns; the texts are those of the paper."""
    texts = ("0.973 ± 0.019 (0.907–0.999)", "-0.17 ± 3.07", "< 0.001", "–")
    cells = tuple(
        Cell(Address(table, row, column), {"x": 1.0}, "1", texts[(n + k) % 4], 30, "some method")
        for n, row in enumerate(names)
        for k, column in enumerate(names[:6])
    )
    (layout,) = layouts(StatisticalReport(names[0], names[1], cells, (), (), 0, 0))
    return layout


def compiled(folder: Path, tables: list[TableLayout], engine: str) -> str:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    for table in tables:
        (folder / f"{table.name}.tex").write_text(latex_text(table), encoding="ascii")
    (folder / "tables.tex").write_text(latex_document(tables), encoding="ascii")
    command = [engine, "-halt-on-error", "-no-shell-escape", "-interaction=nonstopmode", "tables.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-3000:]
    assert (folder / "tables.pdf").is_file()
    return log


def test_csv_reads_back_equal() -> None:
    header, *rows = read_table_csv(csv_text(layout_of(HOSTILE)))
    assert header == ["row", *(name for column in HOSTILE[:6] for name in (column, f"{column}_n"))]
    assert [row[0] for row in rows] == list(HOSTILE)
    assert rows[0][1:5] == ["0.973 ± 0.019 (0.907–0.999)", "30", "-0.17 ± 3.07", "30"]


def test_no_name_in_csv_is_a_formula() -> None:
    import csv

    header, *rows = csv.reader(io.StringIO(csv_text(layout_of(HOSTILE)), newline=""), strict=True)
    for name in [*header, *(row[0] for row in rows)]:
        assert not name.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_markdown_has_one_line_per_row_and_no_markup_of_names() -> None:
    lines = markdown_text(layout_of(HOSTILE)).splitlines()
    table = [line for line in lines if line.startswith("| ")]
    assert len(table) == len(HOSTILE) + 2
    assert "<script" not in "\n".join(lines).replace("\\<script", "")
    assert "\\$x^2\\$" in "\n".join(lines)


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_is_ascii_and_runs_no_command_of_a_name(name: str) -> None:
    escaped = latex_escaped(name)
    assert escaped.isascii()
    assert "\n" not in escaped
    for command in ("\\input", "\\frac", "\\u2", "\\n{", "\\\\"):
        assert command not in escaped
    depth = 0
    for before, character in zip(f" {escaped}", escaped, strict=False):
        depth += ((character == "{") - (character == "}")) * (before != "\\")
        assert depth >= 0
    assert depth == 0


def test_latex_prints_numbers_as_the_paper() -> None:
    text = latex_text(layout_of(("liver", "a-b")))
    assert "0.973~$\\pm$~0.019 \\mbox{(0.907--0.999)}" in text
    assert "$-$0.17~$\\pm$~3.07" in text
    assert "a-b" in text


def test_latex_uses_booktabs_a_caption_and_a_label() -> None:
    text = latex_text(layout_of(("liver", "spleen"), table="table2"))
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{DSS of liver against spleen by condition}"):
        assert part in text
    assert r"\label{tab:table2}" in text


@pytest.mark.parametrize("engine", ["pdflatex", "xelatex"])
def test_latex_compiles_with_names_of_every_kind(tmp_path: Path, engine: str) -> None:
    many = tuple(f"{number} {name}" for number in range(3) for name in HOSTILE)
    log = compiled(tmp_path, [layout_of(HOSTILE), layout_of(many, table="table3")], engine)
    assert "Missing character" not in log


def test_a_long_table_may_break_over_pages() -> None:
    rows = tuple(f"row {number}" for number in range(60))
    assert r"\begin{longtable}" in latex_text(layout_of(rows))
    assert r"\begin{longtable}" not in latex_text(layout_of(rows[:20]))


def test_a_wide_table_has_a_smaller_font() -> None:
    def text(columns: int) -> str:
        address = [Address("table3", "total", f"column{number}") for number in range(columns)]
        cells = tuple(Cell(where, {"x": 1.0}, "1", "(0.123–0.456)", 30, "some method") for where in address)
        return latex_text(layouts(StatisticalReport("a", "b", cells, (), (), 0, 0))[0])

    # 13 characters in each column, 5 in that of the label and 2 in that of n.
    assert r"\small" in text(6)
    assert r"\footnotesize" + "\n" in text(7)
    assert r"\scriptsize" in text(9)


def test_word_reads_back_every_cell() -> None:
    import docx

    layout = layout_of(HOSTILE)
    document = docx.Document(io.BytesIO(docx_bytes([layout, layout_of(("liver", "spleen"), "table2")])))
    assert len(document.tables) == 2
    found = [[cell.text for cell in row.cells] for row in document.tables[0].rows]
    assert found == [[text.replace(" (-", " (−").replace("-0.", "−0.") for text in line] for line in grid(layout)]
    assert document.paragraphs[0].text == layout.title
    assert "Research use only" in document.paragraphs[-1].text


def test_word_holds_text_only() -> None:
    with zipfile.ZipFile(io.BytesIO(docx_bytes([layout_of(HOSTILE)]))) as archive:
        body = archive.read("word/document.xml").decode("utf-8")
        links = archive.read("word/_rels/document.xml.rels").decode("utf-8")
    assert "<script" not in body
    for field in ("fldSimple", "instrText", "w:hyperlink", "w:object"):
        assert field not in body
    assert "TargetMode" not in links


def test_word_repeats_the_header_row_and_gives_the_same_bytes() -> None:
    first, second = (docx_bytes([layout_of(HOSTILE)]) for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.read("word/document.xml").count(b"<w:tblHeader/>") == 1


def test_columns_are_as_wide_as_their_cells_if_they_fit() -> None:
    assert column_widths([["", "ab"], ["abcd", "x y"]], 20) == [4, 3]


def test_a_narrow_page_does_not_break_words_and_widens_labels_first() -> None:
    # Words: 5, 4 and 4; of the remaining 7 characters the first column gets 6, the other columns 0.5 each.
    widths = column_widths([["", "aaaa aaaa", "bbbb bbbb"], ["label again", "1", "2"]], 20)
    assert widths == [11, 4.5, 4.5]
