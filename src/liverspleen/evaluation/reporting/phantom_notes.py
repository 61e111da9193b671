"""The note of a report on phantoms: its numbers are not about patients."""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.cohort.composition import PHANTOM, origin_of
from liverspleen.cohort.manifest import Cohort
from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Examination

PHANTOM_CODE = "LS-REP-060"
"""Code of the note; the page has it at its top."""


def phantom_notes(examinations: Sequence[Examination], cohort: Cohort | None = None) -> list[Note]:
    """Return the note on the CT scans whose origin, in the measurements or in the cohort, is `phantom`."""
    known = {} if cohort is None else {case.case_id: origin_of(case) for case in cohort.cases}
    found = tuple(e.case_id for e in examinations if PHANTOM in (e.origin, known.get(e.case_id)))
    if not found:
        return []
    if len(found) == len(examinations):
        message = "all CT scans are phantoms, which are computed images: no number is about patients"
    else:
        message = (
            f"{len(found)} of {counted(len(examinations), 'CT scan')} are phantoms, which are computed images: "
            "numbers that include them are not about patients"
        )
    return [Note(PHANTOM_CODE, message, "use CT scans of patients for results about patients", found)]
