"""Measurements of two or more CT scans of a patient by one reader."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.readings import INDICES, readings_of
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.organs import ORGAN_KEYS, RATIO_OF


@dataclass(frozen=True)
class Reading:
    """A volume or ratio of one CT scan (None if undefined), and the status of its organs."""

    value: float | None
    status: str = "ok"


@dataclass(frozen=True)
class PatientCourse:
    """Readings of the CT scans by `reader`, by index; `same_patient` is False if the file has no patient ids."""

    reader: str
    same_patient: bool
    readings: Mapping[str, tuple[Reading, ...]]


def patient_course(measurements: Measurements, cases: Sequence[str], *, reader: str | None = None) -> PatientCourse:
    """Return the volume of each organ and the ratio for the cases, which are in the order of time.

    The default `reader` is the only one that measured all.

    Raises:
        InputError: LS-CHG-002 a case is not in the measurements or given twice, LS-CHG-003 the patients differ,
            LS-CHG-004 the reader is unknown, or not given and there are several.
    """
    readings = readings_of(measurements)
    examinations = {e.case_id: e for e in readings.examinations}
    if unknown := [case for case in cases if case not in examinations]:
        message = f"the measurements have no case {', '.join(map(repr, unknown))}"
        raise InputError(
            Issue("LS-CHG-002", message, "correct first= and second=, or cases=", file=measurements.source)
        )
    if repeated := [case for case, number in Counter(cases).items() if number > 1]:
        message = f"case {', '.join(map(repr, repeated))} is given twice"
        raise InputError(Issue("LS-CHG-002", message, "give different cases", file=measurements.source))
    patients = list(dict.fromkeys(examinations[case].patient_id for case in cases))
    # In a file without patients, the patient of a case is the case.
    has_patients = any(e.patient_id != e.case_id for e in readings.examinations)
    if len(patients) > 1 and has_patients:
        message = f"the cases are of patients {' and '.join(map(repr, patients))}, expected one patient"
        raise InputError(Issue("LS-CHG-003", message, "correct the cases, or patient_id", file=measurements.source))
    readers = [name for name in readings.readers if all(name in readings.readers_of([case]) for case in cases)]
    if reader is None and len(readers) == 1:
        reader = readers[0]
    if reader is None or reader not in readers:
        problem = "reader= is not given" if reader is None else f"reader {reader!r} did not measure all cases"
        message = f"{problem}; readers of all are {', '.join(map(repr, readers)) or 'none'}"
        hint = "set reader= to one of them" if readers else "measure all cases with the same reader"
        raise InputError(Issue("LS-CHG-004", message, hint, file=measurements.source))
    selected = reader

    def reading(case: str, index: str) -> Reading:
        value = readings.volume(case, index, selected)
        organs = (index,) if index in ORGAN_KEYS else tuple(organ.key for organ in RATIO_OF)
        statuses = dict.fromkeys(
            term for organ in organs for term in readings.statuses.get((case, organ, selected), "ok").split(";")
        )
        status = ";".join(term for term in statuses if term != "ok") or "ok"
        return Reading(None if math.isnan(value) else value, status)

    found = {index: tuple(reading(case, index) for case in cases) for index in INDICES}
    return PatientCourse(selected, len(patients) == 1, found)
