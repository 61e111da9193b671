"""Which cases belong to a table and lack what it needs; nothing drops out of a table unnamed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Examination, Readings
from liverspleen.evaluation.metrics.volume import STATUSES
from liverspleen.organs import ORGAN_KEYS, RATIO_OF


def gaps_of(
    readings: Readings, examinations: Sequence[Examination], readers: Sequence[str], *, scored: bool
) -> list[Note]:
    """Notes on missing rows, undefined volumes, ratios and DSS, and volumes with a status, of these readers.

    `scored`: the first reader is compared with the second, so that its DSS is wanted too.
    """
    cases = [e.case_id for e in examinations]
    notes: list[Note] = []
    for reader in readers:
        for structure in ORGAN_KEYS:
            notes += _volume_gaps(readings, cases, structure, reader)
        below = RATIO_OF[1].key
        zero = tuple(c for c in cases if readings.volumes.get((c, below, reader)) == 0)
        message = f"reader {reader!r} has a {below} volume of 0 in {_of(zero, cases)}: the ratio is undefined"
        notes += _note("LS-REP-013", message, f"no hint needed where the {below} is absent", zero)
    if scored:
        for structure in ORGAN_KEYS:
            notes += _score_gaps(readings, cases, structure, (readers[0], readers[1]))
    return notes


def _volume_gaps(readings: Readings, cases: Sequence[str], structure: str, reader: str) -> list[Note]:
    keys = {case: (case, structure, reader) for case in cases}
    missing = tuple(case for case, key in keys.items() if key not in readings.volumes)
    undefined = tuple(case for case, key in keys.items() if math.isnan(readings.volumes.get(key, 0.0)))
    flagged = tuple(case for case, key in keys.items() if readings.statuses.get(key, "ok") != "ok")
    of = f"{structure} volume of reader {reader!r}"
    no_row = f"reader {reader!r} has no {structure} row in {_of(missing, cases)}"
    return [
        *_note("LS-REP-011", no_row, "measure it if the structure is labelled", missing),
        *_note("LS-REP-012", f"{of} is undefined in {_of(undefined, cases)}", "see its volume_status", undefined),
        *_note(
            "LS-REP-015",
            f"{of} has a status other than ok in {_of(flagged, cases)} ({_counted(readings, flagged, keys)})",
            "look at these label maps; their volumes stay in the tables",
            flagged,
        ),
    ]


def _score_gaps(readings: Readings, cases: Sequence[str], structure: str, readers: tuple[str, str]) -> list[Note]:
    """Cases that both readers measured and that have no DSS."""
    missing = tuple(
        case
        for case in cases
        if math.isnan(readings.score(case, structure, *readers))
        and all((case, structure, reader) in readings.volumes for reader in readers)
    )
    message = f"{structure} DSS of {readers[0]!r} against {readers[1]!r} is undefined in {_of(missing, cases)}"
    return _note("LS-REP-014", message, "no hint needed where both label maps are empty", missing)


def _counted(readings: Readings, cases: Sequence[str], keys: Mapping[str, tuple[str, str, str]]) -> str:
    """How often each status stands there, in the order of `STATUSES`; a volume may have several."""
    found = [word for case in cases for word in readings.statuses[keys[case]].split(";")]
    return ", ".join(f"{word} {found.count(word)}" for word in STATUSES if word in found)


def _of(some: Sequence[str], cases: Sequence[str]) -> str:
    return f"{len(some)} of {len(cases)} CT"


def _note(code: str, message: str, hint: str, cases: tuple[str, ...]) -> list[Note]:
    return [Note(code, message, hint, cases)] if cases else []
