"""The comparison of published and reproduced numbers as CSV, Markdown and HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from verdicts import EQUAL, NOT_IN_REPORT, VERDICTS, Verdict

from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.spreadsheet import csv_line
from liverspleen.storage import write_text

TITLE: Final = "Published and reproduced numbers: Ahn et al., Korean J Radiol 2020;21(8):987-997"
_ABOUT: Final = (
    "The reproduced numbers are from a report on synthetic cases that match the published numbers; the cases are not "
    "patients. `Impossible`: no cases can have this number together with the other published numbers listed with it. "
    "`Not part of the report`: the report has no such number, for example a stage of fibrosis."
)
_NOT_EQUAL: Final = "Not equal as printed"
_COLUMNS: Final = ("id", "place", "row", "column", "quantity", "published", "reproduced", "verdict", "because")
_SHOWN: Final = _COLUMNS[2:]

_PAGE: Final = """{% macro as_table(header, rows, marked) %}
<table><tr>{% for name in header %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr{% if marked is not none %} class="{{ row[marked].replace(" ", "-") }}"{% endif %}>
{%- for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>{% endmacro %}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ddd; padding: 0.2rem 0.6rem; text-align: left; vertical-align: top; }
.impossible { background: #fdf0d5; } .not-met { background: #f8d7da; } .not-part-of-the-report { color: #777; }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ about }}</p>
{{ as_table(summary[0], summary[1:], none) }}
{% if not_equal %}<h2>{{ title_not_equal }}</h2>
{{ as_table(all_columns, not_equal, all_columns.index("verdict")) }}
{% endif %}
{% for place, rows in places %}<h2>{{ place }}</h2>
{{ as_table(columns, rows, columns.index("verdict")) }}
{% endfor %}<p>{{ notice }}</p>
</body></html>
"""


def write_comparison(folder: Path, found: Sequence[Verdict]) -> None:
    """Write `comparison.csv`, `.md` and `.html` into `folder`."""
    write_text(folder / "comparison.csv", "".join(map(csv_line, [_COLUMNS, *map(_fields, found)])))
    write_text(folder / "comparison.md", _markdown(found))
    write_text(folder / "comparison.html", _html(found))


def summary(found: Iterable[Verdict]) -> list[list[str]]:
    """Return a table of counts by place and verdict, with a header and a row of sums."""
    places: dict[str, Counter[str]] = {}
    for verdict in found:
        places.setdefault(verdict.number.place, Counter())[verdict.verdict] += 1
    places["all"] = sum(places.values(), Counter())
    rows = [[place, str(counts.total()), *(str(counts[name]) for name in VERDICTS)] for place, counts in places.items()]
    return [["place", "numbers", *VERDICTS], *rows]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    r"""Return a Markdown table; the first row is the header.

    >>> markdown_table([["a", "b"], ["1", "2 | 3"]])
    '| a | b |\n| --- | --- |\n| 1 | 2 \\| 3 |\n'
    """
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _fields(verdict: Verdict) -> list[str]:
    number = verdict.number
    return [
        *(number.id, number.place, number.row, number.column, number.quantity),
        *(number.printed, verdict.reproduced, verdict.verdict, verdict.because),
    ]


def _not_equal(found: Iterable[Verdict]) -> list[list[str]]:
    """Return the rows of numbers that are in the report and differ."""
    return [_fields(verdict)[1:] for verdict in found if verdict.verdict not in (EQUAL, NOT_IN_REPORT)]


def _by_place(found: Iterable[Verdict]) -> dict[str, list[list[str]]]:
    places: dict[str, list[list[str]]] = {}
    for verdict in found:
        places.setdefault(verdict.number.place, []).append(_fields(verdict)[2:])
    return places


def _markdown(found: Sequence[Verdict]) -> str:
    parts = [f"# {TITLE}\n\n{_ABOUT}\n\n{markdown_table(summary(found))}"]
    if rows := _not_equal(found):
        parts.append(f"## {_NOT_EQUAL}\n\n{markdown_table([_COLUMNS[1:], *rows])}")
    parts += [f"## {place}\n\n{markdown_table([_SHOWN, *rows])}" for place, rows in _by_place(found).items()]
    return "\n".join([*parts, f"{RESEARCH_USE}\n"])


def _html(found: Sequence[Verdict]) -> str:
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    return page.render(
        title=TITLE,
        about=_ABOUT.replace("`", ""),
        summary=summary(found),
        places=_by_place(found).items(),
        columns=_SHOWN,
        title_not_equal=_NOT_EQUAL,
        not_equal=_not_equal(found),
        all_columns=_COLUMNS[1:],
        notice=RESEARCH_USE,
    )
