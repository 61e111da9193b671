"""Content of Figure 3: one slice per case with the reference, the prediction and the errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.checks import load_case, on_grid
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.vocabulary import in_order
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.label_folder import LabelFolder
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Readings, examinations_of
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging.volume import CTVolume
from liverspleen.organs import ORGAN_KEYS, Structure

_SAME_DSS: Final = 1e-6  # a measurements.csv of another program can have rounded values


@dataclass(frozen=True, eq=False)
class Overlay:
    """One slice of one case in radiological orientation: rows to posterior, columns to the patient's left.

    `hu`, `reference` and `prediction` have the shape (row, column). A structure that the reference does not cover is in
    neither map. `slice_index` starts at 1 for the most inferior slice. `dss` is the DSS of the case, None if undefined.
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
        """Errors by pixel: 0 none, 1 false positive, 2 false negative, 3 other organ."""
        kinds = [self.reference == self.prediction, self.reference == 0, self.prediction == 0]
        return np.select(kinds, [0, 1, 2], default=3).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """Return case, slice and DSS as a dict for JSON."""
        return {
            "case_id": self.case_id,
            "condition": self.condition,
            "slice": self.slice_index,
            "slices": self.slices,
            "dss": dict(self.dss),
        }


@dataclass(frozen=True)
class Overlays:
    """The slices of Figure 3, and notes on cases that are skipped."""

    shown: tuple[Overlay, ...]
    notes: tuple[Note, ...]


def representative_cases(readings: Readings, reader: str, reference: str) -> tuple[str, ...]:
    """Return for each condition of Table 2 the case with the median DSS (mean over its structures).

    For an even number of cases it is the lower of the two middle ones. Conditions have the order of the vocabulary.
    Cases without a DSS are skipped.
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
    """Return the slice with the largest reference area (all organs together) of each case.

    `labels` is the folder of predicted label maps (`label_files` describes their names); `values` gives the meaning of
    their voxel values if they come from another system. `measured` is the DSS of the measurements by case and
    structure; a note lists the cases whose label maps have another DSS. A case whose files cannot be used is skipped
    with a note.
    """
    by_id = {case.case_id: case for case in cohort.cases}
    shown: list[Overlay] = []
    notes: list[Note] = []
    for case_id in cases:
        try:
            if case_id not in by_id:
                message = "case is not in the cohort"
                raise InputError(Issue("LS-REP-048", message, "give cases of the cohort", case_id))
            shown.append(overlay_of(by_id[case_id], labels, values=values, case_ids=by_id))
        except InputError as rejected:
            notes += [_skipped(case_id, issue) for issue in rejected.issues]
    notes += _changed(shown, measured or {})
    return Overlays(tuple(shown), tuple(notes))


@dataclass(frozen=True, eq=False)
class CaseMaps:
    """CT of a case, and the reference and prediction on its grid, with the structures `known` that both maps cover.

    Arrays have the shape (slice, row, column). A structure that one of the maps does not cover is in neither.
    """

    ct: CTVolume
    reference: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    known: tuple[Structure, ...]

    @classmethod
    def read(
        cls, case: Case, labels: Path, *, values: Mapping[int, Structure] | None = None, case_ids: Collection[str] = ()
    ) -> CaseMaps:
        """Read the files of a case; `case_ids` are all cases of the cohort.

        Raises:
            InputError: the files of the case cannot be used, it has no reference, or it does not have exactly one
                predicted label map.
        """
        ct, annotated = load_case(case)
        if annotated is None:
            raise InputError(
                Issue("LS-REP-048", "case has no reference label map", "give cases with a label", case.case_id)
            )
        predicted = LabelFolder.of(labels, values, known={*case_ids, case.case_id}).read(case.case_id)
        predicted, issues = on_grid(case.case_id, predicted, ct.geometry, file=labels, against="its CT")
        if errors := [issue for issue in issues if issue.severity == "error"]:
            raise InputError(errors)
        # a structure that one of the maps does not cover is not an error
        known = tuple(organ for organ in case.labelled_structures if organ in predicted.covered)
        prediction, reference = (
            np.where(np.isin(labels, known), labels, np.uint8(Structure.BACKGROUND))
            for labels in (predicted.labels, annotated.labels)
        )
        return cls(ct, reference, prediction, known)


def overlay_of(
    case: Case, labels: Path, *, values: Mapping[int, Structure] | None = None, case_ids: Collection[str] = ()
) -> Overlay:
    """Return the slice of one case; `case_ids` are all cases of the cohort.

    Raises:
        InputError: as `CaseMaps.read`, or the reference is empty.
    """
    maps = CaseMaps.read(case, labels, values=values, case_ids=case_ids)
    slice_index = largest_slice(maps.reference)
    if not maps.reference[slice_index].any():
        raise InputError(Issue("LS-REP-048", "reference label map is empty", "give another case", case.case_id))
    found = overlaps(maps.prediction, maps.reference)
    return Overlay(
        case_id=case.case_id,
        condition=case.condition,
        slice_index=slice_index + 1,
        slices=len(maps.reference),
        spacing_mm=maps.ct.geometry.spacing_mm[1:],
        dss={organ.key: found[organ].dss for organ in maps.known},
        hu=maps.ct.hu[slice_index].copy(),
        reference=maps.reference[slice_index].copy(),
        prediction=maps.prediction[slice_index].copy(),
    )


def largest_slice(labels: NDArray[np.uint8]) -> int:
    """Return the index of the slice with the largest area of all structures together; the first of equal ones."""
    return int(np.count_nonzero(labels, axis=(1, 2)).argmax())


def _skipped(case_id: str, issue: Issue) -> Note:
    return Note("LS-REP-048", f"Figure 3 does not show a case: {issue.message}", issue.hint, (case_id,))


def _changed(shown: Sequence[Overlay], measured: Mapping[tuple[str, str], float]) -> list[Note]:
    changed = tuple(
        overlay.case_id
        for overlay in shown
        if any(
            dss is not None and abs(measured.get((overlay.case_id, key), dss) - dss) > _SAME_DSS
            for key, dss in overlay.dss.items()
        )
    )
    if not changed:
        return []
    message = f"Figure 3: the DSS of the label maps differs from the measurements in {counted(len(changed), 'CT scan')}"
    hint = "measure these label maps again, or give the folder that was measured"
    return [Note("LS-REP-049", message, hint, changed)]
