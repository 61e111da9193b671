r"""Tables as LaTeX with booktabs: one file per table for `\input`, and one document of all tables.

The files are ASCII, so pdfLaTeX, XeLaTeX and LuaLaTeX give the same result. Letters with accents become accent
commands, symbols of statistics become math. Any other non-ASCII character is printed as its code, `[U+6F22]`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.formatting import with_minus_signs
from liverspleen.evaluation.reporting.table_layout import TableLayout
from liverspleen.evaluation.reporting.writers.csv_markdown import column_widths, grid

_SPECIAL: Final = {
    "\n": r"\allowbreak{}",  # occurs only where `_LONG_WORD` inserts it
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\ttfamily\char34}",  # a straight quotation mark in each font encoding
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # not an optional argument of a preceding \\
    "]": "{]}",
    "*": "{*}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "√": r"$\surd$",
    "∞": r"$\infty$",
    "·": r"$\cdot$",
    "°": r"\textdegree{}",
    "²": r"$^{2}$",
    "³": r"$^{3}$",
    "₀": r"$_{0}$",
    "…": r"\ldots{}",
    "’": "'",
    "“": "``",
    "”": "''",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "δ": r"$\delta$",
    "ε": r"$\varepsilon$",
    "η": r"$\eta$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "µ": r"$\mu$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "φ": r"$\varphi$",
    "χ": r"$\chi$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_ACCENTS: Final = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
}

_NUMBER: Final = re.compile(r"^Table \d+\. ")  # LaTeX numbers the tables
_LONG_WORD: Final = re.compile(r"\S{20}(?=\S)")  # LaTeX does not break it at the end of a column
_RANGE: Final = re.compile(r"\([-\d.$ to]+\)")  # a range or an interval, escaped

_SIZES: Final = ((r"\small", 96), (r"\footnotesize", 108), (r"\scriptsize", 124))  # with the characters per line on A4
_FLOAT_ROWS: Final = 30  # a longer table may not fit on one page

_HEAD: Final = r"""% Compile with pdflatex, xelatex or lualatex; twice, for the column widths of long tables.
\documentclass[10pt]{article}
\usepackage[a4paper,margin=20mm]{geometry}
\usepackage{textcomp,array,booktabs,longtable}
\setlength{\parindent}{0pt}
\begin{document}
"""
_NEEDS: Final = r"% needs \usepackage{textcomp,array,booktabs,longtable}"


def latex_text(layout: TableLayout) -> str:
    """Return the table as a float with caption, label `tab:NAME`, n and footnote; a long table as `longtable`."""
    header, *rows = grid(layout)
    size, columns = _columns([header, *rows])
    head = [r"\toprule", _line(header), r"\midrule"]
    caption = rf"\caption{{{latex_escaped(_NUMBER.sub('', layout.title))}}}\label{{tab:{layout.name}}}"
    note = latex_escaped(layout.footnote)
    if len(rows) <= _FLOAT_ROWS:
        lines = [r"\begin{table}[!htbp]", rf"\centering{size}", caption, rf"\begin{{tabular}}{{{columns}}}"]
        lines += [*head, *map(_line, rows), r"\bottomrule", r"\end{tabular}"]
        lines += [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\footnotesize {note}}}", r"\end{table}"]
    else:
        lines = [rf"\begingroup{size}", rf"\begin{{longtable}}{{{columns}}}", rf"{caption}\\"]
        lines += [*head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot"]
        lines += [*map(_line, rows), r"\end{longtable}", rf"{{\footnotesize {note}\par}}", r"\endgroup"]
    return "\n".join([_NEEDS, *lines]) + "\n"


def latex_document(tables: Sequence[TableLayout]) -> str:
    """Return a document that inputs the files of all tables in their order."""
    inputs = "".join(f"\\input{{{layout.name}.tex}}\n" for layout in tables)
    return f"{_HEAD}{inputs}\\end{{document}}\n"


def latex_escaped(text: str) -> str:
    r"""Return `text` as one line that LaTeX prints and does not interpret.

    >>> print(latex_escaped("a_b&5% \\input{x} é 漢 -0.17 ± 3.07"))
    a\_b\&5\% \textbackslash{}input\{x\} {\'e} {[}U+6F22{]}\allowbreak{} -0.17 $\pm$ 3.07
    """
    line = _LONG_WORD.sub(r"\g<0>\n", one_line(text))
    return "".join(_separator(before, c) + _character(c) for before, c in pairwise(f" {line}"))


def _separator(before: str, character: str) -> str:
    """Return an empty group between two hyphens or commas, which prevents a dash or a quotation mark."""
    return "{}" if before == character and character in "-," else ""


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if base.isascii() and base.isalpha() and all(mark in _ACCENTS for mark in marks):
        for mark in marks:
            base = rf"{{\{_ACCENTS[mark]}{_braced(_ACCENTS[mark], base)}}}"
        return base
    if character.isspace():
        return " "
    return rf"{{[}}U+{ord(character):04X}{{]}}\allowbreak{{}}"


def _braced(accent: str, base: str) -> str:
    """Return the base letter in braces if the accent command has a name, so it is not part of the name."""
    return f"{{{base}}}" if accent.isalpha() or len(base) > 1 else base


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    escaped = latex_escaped(with_minus_signs(text))
    escaped = _RANGE.sub(r"\\mbox{\g<0>}", escaped)
    for sign in (r" $\pm$ ", r"\textless{} ", r" \%"):
        escaped = escaped.replace(sign, sign.replace(" ", "~"))
    return escaped


def _columns(lines: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Return font size and column specification: natural widths if they fit on the page, else fractions of it."""
    widths = column_widths(lines, _SIZES[0][1])
    if sum(max(map(len, column)) for column in zip(*lines, strict=True)) < _SIZES[0][1]:
        return _SIZES[0][0], "@{}l" + "r" * (len(widths) - 1) + "@{}"
    # The largest font size without breaks within words; the widest tables may need such breaks.
    size = next((name for name, page in _SIZES if sum(widths) <= page + 0.5), _SIZES[-1][0])
    widths = column_widths(lines, dict(_SIZES)[size])
    gap = 2 * (len(widths) - 1)  # \tabcolsep on both sides of each boundary between columns
    inner = ""
    for position, width in enumerate(widths):
        fraction, side = width / sum(widths), r"\raggedleft" if position else r"\raggedright"
        inner += (
            rf">{{{side}\arraybackslash}}p{{\dimexpr {fraction:.4f}\linewidth-{gap * fraction:.4f}\tabcolsep\relax}}"
        )
    return size, f"@{{}}{inner}@{{}}"
