"""The figures of a report as files, with title, caption and the words for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import one_line
from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.reporting.figures.bland_altman import FORMS, Form, bland_altman_figure, figure_bytes
from liverspleen.evaluation.reporting.figures.flow import flow_figure
from liverspleen.evaluation.reporting.figures.overlay import overlay_figure
from liverspleen.evaluation.reporting.flow import Flow
from liverspleen.evaluation.reporting.overlay import Overlay
from liverspleen.evaluation.reporting.paper_tables import Agreement, StatisticalReport
from liverspleen.evaluation.reporting.study import StudyResults
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOW, OVERLAY = "flow", "overlay"
PICTURES: Final = (FLOW, OVERLAY, *(f"bland_altman_{index}" for index in INDICES))
"""The names of every figure a report may hold."""


@dataclass(frozen=True)
class Picture:
    """One figure in all forms; `shown` is the one that stands on the page."""

    name: str
    title: str
    caption: str
    description: str
    files: dict[Form, bytes]
    shown: Form = "svg"
    wide: bool = False


def pictures(report: StatisticalReport, results: StudyResults) -> tuple[Picture, ...]:
    """The figures that can be drawn, in the order of the paper."""
    made = [] if results.flow is None else [_flow(results.flow, report.vocabulary)]
    if results.overlays:
        made.append(_overlay(results.overlays, report.vocabulary))
    made += [_agreement(agreement, panel_letter(place), report) for place, agreement in enumerate(report.agreements)]
    return tuple(made)


def panel_letter(place: int) -> str:
    """The letter of a panel, counted from 0.

    >>> panel_letter(0), panel_letter(25), panel_letter(26)
    ('A', 'Z', 'AA')
    """
    before, last = divmod(place, len(ascii_uppercase))
    return (panel_letter(before - 1) if before else "") + ascii_uppercase[last]


def _flow(flow: Flow, vocabulary: Vocabulary) -> Picture:
    parts = "; ".join(
        f"{one_line(vocabulary.label(branch.dataset))} {branch.patients} patients and {branch.examinations} CT"
        for branch in flow.branches
    )
    return Picture(
        FLOW,
        "Figure 1. Flow of patients and CTs into the datasets",
        "Counted from the cohort; exclusions as stated.",
        f"Flow diagram. {flow.patients} patients with {flow.examinations} CT: {parts}.",
        _files(flow_figure(flow, vocabulary)),
        wide=True,
    )


def _overlay(overlays: Sequence[Overlay], vocabulary: Vocabulary) -> Picture:
    return Picture(
        OVERLAY,
        "Figure 3. Reference, prediction and errors",
        "The slice with the largest reference area of each case; unless cases were named, the case with the median "
        "DSS of each condition. DSS of the whole case. Patient's right on the left, window −110 to 190 HU.",
        f"CT, reference, prediction and errors of {', '.join(one_line(overlay.case_id) for overlay in overlays)}.",
        _files(overlay_figure(overlays, vocabulary)),
        shown="png",  # slices of CT are pixels anyway, and larger in SVG
        wide=True,
    )


def _agreement(agreement: Agreement, letter: str, report: StatisticalReport) -> Picture:
    index = INDEX_LABELS[agreement.index]
    return Picture(
        f"bland_altman_{agreement.index}",
        f"Figure 4{letter}. Bland-Altman plot, {index.lower()}",
        "Solid line: mean difference; dashed lines: 95 % limits of agreement.",
        f"Bland-Altman plot of {index.lower()}, n = {agreement.result.n}; its numbers stand in Table 3, row Total",
        _files(bland_altman_figure(agreement, str(report.reader), str(report.reference), report.vocabulary)),
    )


def _files(figure: Figure) -> dict[Form, bytes]:
    return {form: figure_bytes(figure, form) for form in FORMS}
