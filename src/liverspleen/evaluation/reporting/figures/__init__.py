"""The figures of a report as files, with title, caption and text alternative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import counted, one_line
from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.metrics.probabilities import BOX_MARGIN_MM
from liverspleen.evaluation.reporting.definitions import READER_MEANINGS
from liverspleen.evaluation.reporting.figures.bland_altman import (
    FEWEST_FOR_LIMITS,
    FORMS,
    Form,
    bland_altman_figure,
    drawn_cases,
    figure_bytes,
)
from liverspleen.evaluation.reporting.figures.flow import flow_figure
from liverspleen.evaluation.reporting.figures.overlay import overlay_figure
from liverspleen.evaluation.reporting.figures.reliability import reliability_figure
from liverspleen.evaluation.reporting.flow import Branch, Flow
from liverspleen.evaluation.reporting.overlay import Overlay
from liverspleen.evaluation.reporting.paper_tables import Agreement, StatisticalReport
from liverspleen.evaluation.reporting.study import StudyResults
from liverspleen.evaluation.reporting.supplement import Reliability
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.calibration import BINS
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.organs import ORGAN_KEYS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOW, OVERLAY = "flow", "overlay"
_SCALES: Final[dict[Scale, str]] = {"percent": "", "absolute": "_absolute", "log": "_log"}
_VALIDATED: Final = "_cross_validation"
PICTURES: Final = (
    FLOW,
    OVERLAY,
    *(f"bland_altman_{index}{end}" for end in (*_SCALES.values(), _VALIDATED) for index in INDICES),
    *(f"reliability_{organ}{end}" for end in ("", _VALIDATED) for organ in ORGAN_KEYS),
)
"""Names of all figures that a report can contain."""


@dataclass(frozen=True)
class Picture:
    """One figure in all file formats; the page shows the format `shown`; `description` is the text alternative.

    `cases` are the cases of its points in the order of drawing, which the page links to their rows.
    """

    name: str
    title: str
    caption: str
    description: str
    files: dict[Form, bytes]
    shown: Form = "svg"
    wide: bool = False
    cases: tuple[str, ...] = ()


def pictures(report: StatisticalReport, results: StudyResults) -> tuple[Picture, ...]:
    """Return the figures of the report in the order of the paper."""
    made = [] if results.flow is None else [_flow(results.flow, report.vocabulary)]
    if results.overlays:
        made.append(_overlay(results.overlays, report.vocabulary))
    made += [_agreement(agreement, panel_letter(place), report) for place, agreement in enumerate(report.agreements)]
    return (*made, *(_reliability(one, report) for one in report.reliabilities))


def panel_letter(place: int) -> str:
    """Return the letter of a panel; `place` starts at 0.

    >>> panel_letter(0), panel_letter(25), panel_letter(26)
    ('A', 'Z', 'AA')
    """
    before, last = divmod(place, len(ascii_uppercase))
    return (panel_letter(before - 1) if before else "") + ascii_uppercase[last]


def _flow(flow: Flow, vocabulary: Vocabulary) -> Picture:
    parts = "; ".join(
        f"{one_line(vocabulary.label(branch.dataset))}, {_patients_and_scans(branch)}" for branch in flow.branches
    )
    return Picture(
        FLOW,
        "Figure 1. Flow of patients and CT scans",
        _flow_caption(flow),
        f"Flow diagram of {_patients_and_scans(flow)}. {parts}.",
        _files(flow_figure(flow, vocabulary)),
        wide=True,
    )


def _flow_caption(flow: Flow) -> str:
    text = "The patients and CT scans are counted from the cohort."
    return text if flow.exclusions is None else f"{text} The exclusions are those of the exclusions file."


def _patients_and_scans(part: Flow | Branch) -> str:
    return f"{counted(part.patients, 'patient')} with {counted(part.examinations, 'CT scan')}"


def _overlay(overlays: Sequence[Overlay], vocabulary: Vocabulary) -> Picture:
    return Picture(
        OVERLAY,
        "Figure 3. Reference, prediction and errors",
        "The figure shows for each case the slice with the largest area of the reference. By default, there is one "
        "case per condition: the case with the median DSS. The DSS is computed over the whole case. The patient's "
        "right side is on the left; the window is −110 to 190 HU.",
        f"CT, reference, prediction and errors of {', '.join(one_line(overlay.case_id) for overlay in overlays)}.",
        _files(overlay_figure(overlays, vocabulary)),
        shown="png",  # CT slices are pixel images, which are larger as SVG
        wide=True,
    )


def _agreement(agreement: Agreement, letter: str, report: StatisticalReport) -> Picture:
    index, result = INDEX_LABELS[agreement.index], agreement.result
    what = {
        "percent": f"Differences in percent of the mean of both readers, {report.reader} minus {report.reference}",
        "absolute": f"Differences {report.reader} minus {report.reference}",
        "log": f"Ratios {report.reader} / {report.reference}, from the differences of the logarithms",
    }[result.scale]
    patients = "" if result.clustered is None else f" of {counted(result.clustered.n_clusters, 'patient')}"
    validated = agreement.is_cross_validation
    source = "the table of development cases (column Total)" if validated else "Table 3 (row Total)"
    return Picture(
        f"bland_altman_{agreement.index}{_VALIDATED if validated else _SCALES[result.scale]}",
        f"Figure 4{letter}. Bland-Altman plot of the {index.lower()}"
        + ("" if result.scale == "percent" else f", {result.scale} scale")
        + (", development dataset, cases not used for training" if validated else ""),
        f"{what}, against the means of both readers; n = {counted(result.n, 'CT scan')}{patients}. {_limits(result)}"
        + (f" {report.reader}: {READER_MEANINGS[report.reader]}." if report.reader in READER_MEANINGS else ""),
        f"Bland-Altman plot of the {index.lower()}, n = {result.n}. The numbers are in {source}"
        + ("." if validated else ", and in the additional tables of limits of agreement."),
        _files(bland_altman_figure(agreement, str(report.reader), str(report.reference), report.vocabulary)),
        cases=drawn_cases(agreement, report.vocabulary),
    )


def _reliability(reliability: Reliability, report: StatisticalReport) -> Picture:
    cases, validated = counted(len(reliability.case_ids), "CT scan"), reliability.is_cross_validation
    return Picture(
        f"reliability_{reliability.organ}{_VALIDATED if validated else ''}",
        f"Reliability diagram of the {reliability.organ} probability"
        + (", development dataset, cases not used for training" if validated else ""),
        f"Probabilities of {report.reader} in {BINS} bins of equal width: fraction of the voxels that are "
        f"{reliability.organ} in {report.reference}, against the mean probability; below, the number of voxels. The "
        f"{reliability.calibration.n} voxels are those of the boxes around the {reliability.organ} of the reference "
        f"with a margin of {BOX_MARGIN_MM:g} mm, of {cases} together. Below the dashed line, probabilities are too "
        "high. ECE: expected calibration error.",
        f"Reliability diagram of the {reliability.organ} probability, {cases}. The scores are in the table of "
        "calibration.",
        _files(reliability_figure(reliability)),
    )


def _limits(result: BlandAltman) -> str:
    if result.n < FEWEST_FOR_LIMITS or not result.sd:
        return f"Solid line: mean. Limits of agreement are shown from {FEWEST_FOR_LIMITS} CT scans on."
    return (
        f"Solid line: mean; dashed lines: 95 % limits of agreement (mean ± {result.multiplier} SD); bands: 95 % "
        "confidence intervals. SD: standard deviation."
    )


def _files(figure: Figure) -> dict[Form, bytes]:
    return {form: figure_bytes(figure, form) for form in FORMS}
