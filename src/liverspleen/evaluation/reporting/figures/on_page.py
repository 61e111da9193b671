"""Figures on a page: as an image, or as drawing in which each point is a link to the row of its case."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.figures import Picture

MOST_LINKED: Final = 1_000
"""Points of a figure with links at most; an image is smaller, and with more points, they cover each other."""

_POINTS: Final = re.compile(r'(<g id="[^"]*PathCollection_\d+">.*?</g>\s*</g>)', re.DOTALL)
_POINT: Final = re.compile(r"<use [^>]*/>")
_NAMED: Final = re.compile(r'(id="|url\(#|xlink:href="#)')


def on_page(figure: Picture, anchors: Mapping[str, str]) -> str:
    """Return the element of the page as HTML; `anchors` are the names of the rows by case."""
    if not 0 < len(figure.cases) <= MOST_LINKED or not anchors.keys() >= set(figure.cases):
        return f'<img src="{_data_uri(figure)}" alt="{escape(one_line(figure.description))}">'
    drawing = figure.files["svg"].decode()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r' xmlns(:xlink)?="[^"]*"', "", drawing)
    # Names are unique on the page, and the style of one drawing is not the style of the page.
    drawing = _NAMED.sub(rf"\g<1>{figure.name}-", drawing).replace(">*{", f">#{figure.name} *{{")
    axes, legend, rest = drawing.partition(f'<g id="{figure.name}-legend_1">')
    parts = _POINTS.split(axes)
    if sum(len(_POINT.findall(part)) for part in parts[1::2]) != len(figure.cases):
        raise ValueError(f"{figure.name} has another number of points than cases")
    cases = iter(figure.cases)
    parts[1::2] = [_POINT.sub(lambda point: _linked(point[0], cases, anchors), part) for part in parts[1::2]]
    opening = f'<svg id="{figure.name}" role="group" aria-label="{escape(one_line(figure.description))}"'
    return opening + "".join([*parts, legend, rest]).removeprefix("<svg")


def _linked(point: str, cases: Iterator[str], anchors: Mapping[str, str]) -> str:
    case_id = next(cases)
    return f'<a href="#{anchors[case_id]}"><title>{escape(one_line(case_id))}</title>{point}</a>'


def _data_uri(figure: Picture) -> str:
    kind = {"svg": "svg+xml"}.get(figure.shown, figure.shown)
    return f"data:image/{kind};base64,{base64.b64encode(figure.files[figure.shown]).decode()}"
