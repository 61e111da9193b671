"""HTML pages of reports and comparisons: one file without network requests, complete without JavaScript."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from liverspleen import __version__
from liverspleen.errors import counted, one_line
from liverspleen.evaluation.reporting.case_table import CaseTable
from liverspleen.evaluation.reporting.definitions import LABELS, RESEARCH_USE
from liverspleen.evaluation.reporting.figures import Picture
from liverspleen.evaluation.reporting.figures.on_page import on_page
from liverspleen.evaluation.reporting.figures.overlay import ERROR_COLOURS, ERROR_NAMES
from liverspleen.evaluation.reporting.formatting import fixed, with_minus_signs
from liverspleen.evaluation.reporting.phantom_notes import PHANTOM_CODE
from liverspleen.evaluation.reporting.viewer import ViewerCases
from liverspleen.organs import ORGANS
from liverspleen.pages import part, script_source, templates

MOST_LISTED: Final = 1_000
"""Cases of a note on the page; the JSON file has all."""

MOST_BYTES: Final = 20_000_000
"""Size of a page with slices; cases of the viewer that do not fit are named."""

VIEWER_BYTES: Final = 1_200_000
"""Size of NiiVue on the page."""

_ERRORS: Final = 16  # the organs have the values 1 to 15 in a packed map


def html_page(
    template: str, *, cases: CaseTable, figures: Sequence[Picture], viewer: ViewerCases, **values: Any
) -> str:
    """Return a page from a template of this package; `values` are names of the template."""
    environment = templates(__name__.rpartition(".")[0])
    environment.filters["minus"] = with_minus_signs
    scripts = [part("sortable.js"), part("points.js"), *([part("viewer.js")] if viewer.shown else [])]
    allowed = [*scripts, *([part("niivue/niivue.umd.js")] if viewer.shown else [])]
    return environment.get_template(template).render(
        **values,
        cases=cases,
        figures=[(figure, on_page(figure, cases.anchors)) for figure in figures],
        viewer=viewer,
        in_viewer={case.case_id for case in viewer.shown},
        viewer_data=viewer_json(viewer, cases.anchors),
        legend=[(organ.key, organ.facts.colour) for organ in ORGANS]
        + [(name.lower(), ERROR_COLOURS[kind]) for kind, name in ERROR_NAMES.items()],
        niivue=niivue() if viewer.shown else ("", ""),
        scripts=scripts,
        script_sources=" ".join(map(script_source, allowed)),
        version=__version__,
        notice=RESEARCH_USE,
        labels=LABELS,
        counted=counted,
        fixed=fixed,
        most_listed=MOST_LISTED,
        sentence=sentence,
        phantom_code=PHANTOM_CODE,
    )


@cache
def niivue() -> tuple[str, str]:
    """Return NiiVue, compressed with gzip, in base64; and its license."""
    script = gzip.compress(part("niivue/niivue.umd.js").encode(), mtime=0)
    return base64.b64encode(script).decode(), part("niivue/LICENSE.txt")


def sentence(text: str) -> str:
    """Return `text` with a capital first letter and a period."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def viewer_json(viewer: ViewerCases, anchors: Mapping[str, str]) -> str:
    """Return the JSON of the viewer; no name in it can end its element, because `<` is escaped."""
    cases = [
        {**case.to_dict(), "name": one_line(case.case_id), "anchor": anchors[case.case_id], "data": f"slices-{number}"}
        for number, case in enumerate(viewer.shown, 1)
    ]
    errors = {_ERRORS + kind: colour for kind, colour in ERROR_COLOURS.items()}
    content = {
        "cases": cases,
        "colours": {int(organ): organ.facts.colour for organ in ORGANS} | errors,
        "names": {int(organ): organ.key for organ in ORGANS},
        "errors": _ERRORS,
    }
    return json.dumps(content, ensure_ascii=True).replace("<", "\\u003c")
