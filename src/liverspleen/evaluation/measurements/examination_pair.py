"""The two CT of one patient as one reader measured them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.readings import INDICES, readings_of
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.organs import ORGAN_KEYS, RATIO_OF


@dataclass(frozen=True)
class Reading:
    """An index of one CT; None where undefined, and a status of the organs behind it."""

    value: float | None
    status: str = "ok"


@dataclass(frozen=True)
class ExaminationPair:
    """What `reader` has of both CT, by index; `same_patient` is False where the file names no patients."""

    reader: str
    same_patient: bool
    readings: Mapping[str, tuple[Reading, Reading]]


def examination_pair(
    measurements: Measurements, first: str, second: str, *, reader: str | None = None
) -> ExaminationPair:
    """Volume of each organ and the ratio in the CT `first` and `second`; the only reader of both, if not named.

    Raises:
        InputError: LS-CHG-002 a CT is not in the measurements or both are one, LS-CHG-003 they are of two patients,
            LS-CHG-004 the reader is unknown, or there are several and none is named.
    """
    readings = readings_of(measurements)
    examinations = {e.case_id: e for e in readings.examinations}
    if unknown := [case for case in (first, second) if case not in examinations]:
        message = f"no case {', '.join(map(repr, unknown))} in the measurements"
        raise InputError(Issue("LS-CHG-002", message, "correct first= and second=", file=measurements.source))
    if first == second:
        raise InputError(Issue("LS-CHG-002", f"first= and second= are both {first!r}", "name two CT"))
    patients = [examinations[case].patient_id for case in (first, second)]
    # A file without patients names each case as its own.
    names_patients = any(e.patient_id != e.case_id for e in readings.examinations)
    if patients[0] != patients[1] and names_patients:
        message = f"patient {patients[0]!r} and patient {patients[1]!r}: these are not two CT of one patient"
        raise InputError(
            Issue("LS-CHG-003", message, "correct first= and second=, or patient_id", file=measurements.source)
        )
    readers = [name for name in readings.readers_of([first]) if name in readings.readers_of([second])]
    if reader is None and len(readers) == 1:
        reader = readers[0]
    if reader is None or reader not in readers:
        message = f"{'no reader is named' if reader is None else f'no reader {reader!r}'} among those of both CT"
        hint = f"name one by reader=: {', '.join(readers) or 'there is none that measured both'}"
        raise InputError(Issue("LS-CHG-004", message, hint, file=measurements.source))
    who = reader

    def reading(case: str, index: str) -> Reading:
        value = readings.volume(case, index, who)
        organs = (index,) if index in ORGAN_KEYS else tuple(organ.key for organ in RATIO_OF)
        statuses = dict.fromkeys(
            word for organ in organs for word in readings.statuses.get((case, organ, who), "ok").split(";")
        )
        status = ";".join(word for word in statuses if word != "ok") or "ok"
        return Reading(None if math.isnan(value) else value, status)

    both = {index: (reading(first, index), reading(second, index)) for index in INDICES}
    return ExaminationPair(who, patients[0] == patients[1], both)
