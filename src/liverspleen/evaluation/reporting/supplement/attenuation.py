"""Additional table of the attenuation of the organs, by reader, condition and contrast phase."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from liverspleen.cohort.manifest import Cohort
from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import CoreHU, Examination, Readings
from liverspleen.evaluation.metrics.attenuation import ABSENT, CLIPPED, LEAST_CM3, NO_HU, SMALL_CORE
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, defined
from liverspleen.evaluation.reporting.results import Cases, total_and_conditions
from liverspleen.evaluation.statistics.samples import describe
from liverspleen.organs import ORGAN_KEYS, RATIO_OF

DIFFERENCE, RATIO = "hu_difference", "hu_ratio"
QUANTITIES: Final = {**{f"{key}_hu": "HU" for key in ORGAN_KEYS}, DIFFERENCE: "HU", RATIO: "1"}
"""The quantities of the table and their units."""

_UNMEASURED: Final = CoreHU(math.nan, math.nan, "")
_REASONS: Final = {
    SMALL_CORE: f"the core is below {LEAST_CM3:g} cm³",
    ABSENT: "the organ has no voxel",
    NO_HU: "the CT cannot be used",
    "": "measured without the CT",
}
_NOT_POSITIVE: Final = f"the mean of the {RATIO_OF[1].key} is not above 0 HU"

Key = tuple[str, str, str]


def attenuation(
    readings: Readings, examinations: Sequence[Examination], readers: Sequence[str], cohort: Cohort | None
) -> tuple[list[Cell], list[Note]]:
    """Return the table of the attenuation and its notes; nothing if no reader was measured with the CT.

    A reader without an attenuation has no column. The cohort gives the phases. Distances of the erosion that differ are
    not pooled.
    """
    cases = tuple(e.case_id for e in examinations)
    found = {key: hu for key, hu in readings.attenuations.items() if key[0] in set(cases)}
    if not found:
        return [], []
    if len(distances := sorted({hu.core_mm for hu in found.values() if not math.isnan(hu.core_mm)})) > 1:
        listed = ", ".join(f"{distance:g}" for distance in distances)
        message = f"the attenuation is not included: the cores have {len(distances)} distances ({listed} mm)"
        return [], [Note("LS-REP-069", message, "measure all cases with one version of liverspleen")]
    known = [reader for reader in readers if any(key[2] == reader for key in found)]
    groups = total_and_conditions(examinations, readings.vocabulary) | _phases(cases, cohort)
    made = [
        _cell(Address("attenuation", f"{quantity}:{group}", reader), inside, found, readings)
        for quantity in QUANTITIES
        for group, inside in groups.items()
        for reader in known
    ]
    return made, [note for reader in known for note in _notes(reader, cases, found, readings)]


def _phases(cases: Cases, cohort: Cohort | None) -> dict[str, Cases]:
    """Return the cases by contrast phase; nothing if the cohort has no phase of these cases."""
    recorded = {} if cohort is None else {case.case_id: case.phase for case in cohort.cases}
    phases = sorted({recorded.get(case, "") for case in cases})
    if not any(phases):
        return {}
    of_phase = {phase: tuple(case for case in cases if recorded.get(case, "") == phase) for phase in phases}
    return {f"phase {phase}" if phase else "phase not stated": inside for phase, inside in of_phase.items()}


def _value(found: Mapping[Key, CoreHU], case: str, quantity: str, reader: str) -> float:
    """Return a quantity of a case; NaN if it is undefined."""
    if quantity not in (DIFFERENCE, RATIO):
        return found.get((case, quantity.removesuffix("_hu"), reader), _UNMEASURED).mean
    first, second = (found.get((case, organ.key, reader), _UNMEASURED).mean for organ in RATIO_OF)
    if quantity == DIFFERENCE:
        return first - second
    return first / second if second > 0 else math.nan


def _cell(address: Address, cases: Cases, found: Mapping[Key, CoreHU], readings: Readings) -> Cell:
    quantity, reader = address.row.split(":", 1)[0], address.column
    values = {case: _value(found, case, quantity, reader) for case in cases}
    result = describe(list(values.values()))
    spread = (result.mean, result.sd, result.minimum, result.maximum)
    undefined = _undefined(cases, quantity, reader, found, readings)
    why = [f"{reason} (n = {len(concerned)})" for reason, concerned in undefined.items()]
    return Cell(
        address,
        values=dict(zip(("mean", "sd", "minimum", "maximum"), spread, strict=True)),
        units=QUANTITIES[quantity],
        text=formatting.mean_sd_range_text(*spread, digits=2 if quantity == RATIO else 1),
        n=result.n,
        method=f"{result.method}, over CT scans; of the mean HU of each organ in its core",
        reason=result.reason and "; ".join([result.reason, *why]),
        **defined(values),
    )


def _undefined(
    cases: Cases, quantity: str, reader: str, found: Mapping[Key, CoreHU], readings: Readings
) -> dict[str, list[str]]:
    """Return the cases in which a quantity is undefined, by reason."""
    of_both = quantity in (DIFFERENCE, RATIO)
    organs = [organ.key for organ in RATIO_OF] if of_both else [quantity.removesuffix("_hu")]
    why: dict[str, list[str]] = {}
    for case in cases:
        if not math.isnan(_value(found, case, quantity, reader)):
            continue
        keys = [(case, organ, reader) for organ in organs]
        key = next((key for key in keys if math.isnan(found.get(key, _UNMEASURED).mean)), None)
        if key is None:
            reason = _NOT_POSITIVE
        else:
            reason = _REASONS.get(found.get(key, _UNMEASURED).status, "the mean is empty")
            reason = reason if key in readings.volumes else "no row in the measurements"
            reason = f"{key[1]}: {reason}" if of_both else reason
        why.setdefault(reason, []).append(case)
    return why


def _notes(reader: str, cases: Cases, found: Mapping[Key, CoreHU], readings: Readings) -> Iterator[Note]:
    """Yield notes on the clipped and the undefined values of a reader."""
    total = counted(len(cases), "CT scan")
    for organ in ORGAN_KEYS:
        clipped = tuple(case for case in cases if found.get((case, organ, reader), _UNMEASURED).status == CLIPPED)
        if clipped:
            message = (
                f"{organ} attenuation by {reader!r} is of a clipped CT in {len(clipped)} of {total}: mean and SD are "
                "biased, and are included"
            )
            yield Note("LS-REP-068", message, "measure the images from before windowing", clipped)
        for reason, undefined in _undefined(cases, f"{organ}_hu", reader, found, readings).items():
            yield _undefined_note(f"{organ} attenuation by {reader!r}", reason, undefined, total)
    if undefined := _undefined(cases, RATIO, reader, found, readings).get(_NOT_POSITIVE, []):
        yield _undefined_note(f"attenuation ratio by {reader!r}", _NOT_POSITIVE, undefined, total)


def _undefined_note(name: str, reason: str, cases: Sequence[str], total: str) -> Note:
    message = f"{name} is undefined in {len(cases)} of {total}: {reason}"
    return Note("LS-REP-067", message, "look at these cases, unless this is expected", tuple(cases))
