"""Notes on cases that belong to a table and have missing or undefined values; each such case is listed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Examination, Readings
from liverspleen.evaluation.metrics.volume import STATUSES
from liverspleen.organs import ORGAN_KEYS, RATIO_OF


def gaps_of(
    readings: Readings, examinations: Sequence[Examination], readers: Sequence[str], *, scored: bool
) -> list[Note]:
    """Return notes on missing rows, undefined volumes, ratios and DSS, and volumes with a status, of these readers.

    `scored`: the first reader is compared with the second, so its DSS is checked too.
    """
    cases = [e.case_id for e in examinations]
    notes: list[Note] = []
    for reader in readers:
        for structure in ORGAN_KEYS:
            notes += _volume_gaps(readings, cases, structure, reader)
        denominator = RATIO_OF[1].key
        zero = tuple(c for c in cases if readings.volumes.get((c, denominator, reader)) == 0)
        message = (
            f"reader {reader!r} has a {denominator} volume of 0 in {_of(zero, cases)}, so the volume ratio is undefined"
        )
        notes += _note(
            "LS-REP-013",
            message,
            f"check these label maps; nothing needs to be done if the {denominator} is absent",
            zero,
        )
    if scored:
        for structure in ORGAN_KEYS:
            notes += _score_gaps(readings, cases, structure, (readers[0], readers[1]))
    return notes


def _volume_gaps(readings: Readings, cases: Sequence[str], structure: str, reader: str) -> list[Note]:
    keys = {case: (case, structure, reader) for case in cases}
    missing = tuple(case for case, key in keys.items() if key not in readings.volumes)
    undefined = tuple(case for case, key in keys.items() if math.isnan(readings.volumes.get(key, 0.0)))
    flagged = tuple(case for case, key in keys.items() if readings.statuses.get(key, "ok") != "ok")
    volume = f"{structure} volume of reader {reader!r}"
    no_row = f"reader {reader!r} has no {structure} row in {_of(missing, cases)}"
    return [
        *_note("LS-REP-011", no_row, "measure the structure if it is labelled", missing),
        *_note(
            "LS-REP-012", f"{volume} is undefined in {_of(undefined, cases)}", "read their volume_status", undefined
        ),
        *_note(
            "LS-REP-015",
            f"{volume} has a status other than ok in {_of(flagged, cases)} ({_status_counts(readings, flagged, keys)})",
            "check these label maps; their volumes remain in the tables",
            flagged,
        ),
    ]


def _score_gaps(readings: Readings, cases: Sequence[str], structure: str, readers: tuple[str, str]) -> list[Note]:
    """Return a note on the cases that both readers measured and that have no DSS."""
    missing = tuple(
        case
        for case in cases
        if math.isnan(readings.score(case, structure, *readers))
        and all((case, structure, reader) in readings.volumes for reader in readers)
    )
    message = f"{structure} DSS of {readers[0]!r} against {readers[1]!r} is undefined in {_of(missing, cases)}"
    return _note(
        "LS-REP-014", message, "check these cases; nothing needs to be done if both label maps are empty", missing
    )


def _status_counts(readings: Readings, cases: Sequence[str], keys: Mapping[str, tuple[str, str, str]]) -> str:
    """Return the count of each status in the order of `STATUSES`; a volume can have several."""
    found = [status for case in cases for status in readings.statuses[keys[case]].split(";")]
    return ", ".join(f"{status} {found.count(status)}" for status in STATUSES if status in found)


def _of(some: Sequence[str], cases: Sequence[str]) -> str:
    return f"{len(some)} of {counted(len(cases), 'CT scan')}"


def _note(code: str, message: str, hint: str, cases: tuple[str, ...]) -> list[Note]:
    return [Note(code, message, hint, cases)] if cases else []
