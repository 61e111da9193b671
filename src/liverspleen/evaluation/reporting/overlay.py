"""Figure 3: one slice of some cases with the reference, the prediction, and where the two differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.checks import grid_issues, load_case
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.vocabulary import in_order
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.label_folder import LabelFolder
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Readings, examinations_of
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.organs import ORGAN_KEYS, Structure

_SAME_DSS: Final = 1e-6  # a measurements.csv written by hand may round so far


@dataclass(frozen=True, eq=False)
class Overlay:
    """One slice of one case, as a radiologist looks at it: rows to posterior, columns to the patient's left.

    `hu`, `reference` and `prediction` have the shape (row, column); a structure that the reference does not cover is in
    neither map. `slice` counts from 1 at the most inferior one; `dss` is of the whole case, None where undefined.
    """

    case_id: str
    condition: str
    slice_index: int
    slices: int
    spacing_mm: tuple[float, float]
    dss: Mapping[str, float | None]
    hu: NDArray[np.int16] = field(repr=False)
    reference: NDArray[np.uint8] = field(repr=False)
    prediction: NDArray[np.uint8] = field(repr=False)

    @property
    def errors(self) -> NDArray[np.uint8]:
        """0 where both agree, 1 false positive, 2 false negative, 3 another organ."""
        kinds = [self.reference == self.prediction, self.reference == 0, self.prediction == 0]
        return np.select(kinds, [0, 1, 2], default=3).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """What is shown, ready for JSON."""
        return {
            "case_id": self.case_id,
            "condition": self.condition,
            "slice": self.slice_index,
            "slices": self.slices,
            "dss": dict(self.dss),
        }


@dataclass(frozen=True)
class Overlays:
    """The slices that could be cut, and what is to be said of the others."""

    shown: tuple[Overlay, ...]
    notes: tuple[Note, ...]


def representative_cases(readings: Readings, reader: str, reference: str) -> tuple[str, ...]:
    """Of each condition of Table 2 the case with the median DSS (mean over its structures).

    Of an even number the lower of the two in the middle; conditions in the order of the vocabulary. Cases without a DSS
    are skipped.
    """
    scored: dict[str, list[tuple[float, str]]] = {}
    for examination in examinations_of(readings, 0)[0]:
        scores = [readings.score(examination.case_id, key, reader, reference) for key in ORGAN_KEYS]
        defined = [score for score in scores if not math.isnan(score)]
        if defined:
            scored.setdefault(examination.condition, []).append((sum(defined) / len(defined), examination.case_id))
    ordered = in_order(scored, readings.vocabulary.conditions)
    return tuple(sorted(scored[name])[(len(scored[name]) - 1) // 2][1] for name in ordered)


def overlays(
    cohort: Cohort,
    labels: Path,
    cases: Sequence[str],
    *,
    values: Mapping[int, Structure] | None = None,
    measured: Mapping[tuple[str, str], float] | None = None,
) -> Overlays:
    """The slice with the largest reference area (all organs together) of each of these cases.

    `labels` is the folder of predicted label maps (`label_files` says how they are named), and `values` what their
    voxel values mean if they are another system's. `measured` holds the DSS of the measurements by case and structure:
    a note tells where the label maps give another. A case whose files cannot be used gets a note.
    """
    by_id = {case.case_id: case for case in cohort.cases}
    shown: list[Overlay] = []
    notes: list[Note] = []
    for case_id in cases:
        try:
            if case_id not in by_id:
                message = "case is not in the cohort"
                raise InputError(Issue("LS-REP-048", message, "name cases of the cohort", case_id))
            shown.append(overlay_of(by_id[case_id], labels, values=values, case_ids=by_id))
        except InputError as rejected:
            notes += [_left_out(case_id, issue) for issue in rejected.issues]
    notes += _stale(shown, measured or {})
    return Overlays(tuple(shown), tuple(notes))


def overlay_of(
    case: Case, labels: Path, *, values: Mapping[int, Structure] | None = None, case_ids: Collection[str] = ()
) -> Overlay:
    """The slice of one case; `case_ids` are those of the cohort's cases.

    Raises:
        InputError: its files cannot be used, it has no reference, not one predicted label map, or no voxel of the
            reference.
    """
    ct, drawn = load_case(case)
    if drawn is None:
        raise InputError(
            Issue("LS-REP-048", "case has no reference label map", "name cases with a label", case.case_id)
        )
    predicted = LabelFolder.of(labels, values, known={*case_ids, case.case_id}).read(case.case_id)
    if issues := list(grid_issues(case.case_id, predicted, ct.geometry, file=labels, against="its CT")):
        raise InputError(issues)
    # a structure that either cannot show is no error of the other
    known = [organ for organ in case.labelled_structures if organ in predicted.covered]
    prediction, reference = (
        np.where(np.isin(labels, known), labels, np.uint8(Structure.BACKGROUND))
        for labels in (predicted.labels, drawn.labels)
    )
    areas = np.count_nonzero(reference, axis=(1, 2))
    slice_index = int(areas.argmax())
    if not areas[slice_index]:
        raise InputError(Issue("LS-REP-048", "reference label map is empty", "name another case", case.case_id))
    found = overlaps(prediction, reference)
    return Overlay(
        case_id=case.case_id,
        condition=case.condition,
        slice_index=slice_index + 1,
        slices=len(areas),
        spacing_mm=ct.geometry.spacing_mm[1:],
        dss={organ.key: found[organ].dss for organ in known},
        hu=ct.hu[slice_index].copy(),
        reference=reference[slice_index].copy(),
        prediction=prediction[slice_index].copy(),
    )


def _left_out(case_id: str, issue: Issue) -> Note:
    return Note("LS-REP-048", f"Figure 3 lacks a case: {issue.message}", issue.hint, (case_id,))


def _stale(shown: Sequence[Overlay], measured: Mapping[tuple[str, str], float]) -> list[Note]:
    other = tuple(
        overlay.case_id
        for overlay in shown
        if any(
            dss is not None and abs(measured.get((overlay.case_id, key), dss) - dss) > _SAME_DSS
            for key, dss in overlay.dss.items()
        )
    )
    if not other:
        return []
    message = f"Figure 3: the label maps of {len(other)} CT give another DSS than the measurements"
    return [Note("LS-REP-049", message, "measure these label maps again, or give the folder that was measured", other)]
