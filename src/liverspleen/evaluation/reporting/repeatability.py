"""The table `repeatability`: percentage RC of repeats at one site, and of more than two CT scans of a patient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import INDICES, Examination, PatientPair, Readings
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, bounds
from liverspleen.evaluation.statistics.reproducibility import percentage_rc

Patients = dict[str, list[str]]
"""Cases by patient."""


def repeatability(
    readings: Readings, examinations: Sequence[Examination], pairs: Sequence[PatientPair], readers: Sequence[str]
) -> tuple[list[Cell], list[Note]]:
    """Return the cells, by index and site, and a note on patients with one CT scan.

    The row `any_site` has all CT scans of a patient; it is omitted if they are the pairs of the table of
    reproducibility. A row needs a patient with two CT scans. `excluded` are the CT scans without a volume and those of
    patients with only one.
    """
    groups = {"any_site": _by_patient(examinations)}
    for site in dict.fromkeys(e.site for e in examinations if e.site):
        groups[site] = _by_patient(e for e in examinations if e.site == site)
    repeats = {row: patients for row, patients in groups.items() if any(len(cases) > 1 for cases in patients.values())}
    plain = {frozenset((pair.first, pair.second)) for pair in pairs}
    if {frozenset(cases) for cases in repeats.get("any_site", {}).values() if len(cases) > 1} == plain:
        repeats.pop("any_site", None)
    made = [
        _cell(readings, Address("repeatability", f"{index}:{row}", reader), index, patients)
        for index in INDICES
        for row, patients in repeats.items()
        for reader in readers
    ]
    single = tuple(cases[0] for cases in groups["any_site"].values() if len(cases) == 1)
    if not made or not single:
        return made, []
    message = f"the table of repeatability does not include {counted(len(single), 'patient')} with one CT scan"
    hint = "nothing needs to be done if these patients have no second CT scan; otherwise correct patient_id"
    return made, [Note("LS-REP-065", message, hint, single)]


def _by_patient(examinations: Iterator[Examination] | Sequence[Examination]) -> Patients:
    found: Patients = {}
    for e in examinations:
        found.setdefault(e.patient_id, []).append(e.case_id)
    return dict(sorted(found.items()))


def _cell(readings: Readings, address: Address, index: str, patients: Patients) -> Cell:
    most = max(2, *map(len, patients.values()))
    volumes = {case: readings.volume(case, index, address.column) for cases in patients.values() for case in cases}
    result = percentage_rc(
        [[volumes[case] for case in cases] + [math.nan] * (most - len(cases)) for cases in patients.values()]
    )
    inside = set(result.positions)
    rows = tuple(
        case
        for place, cases in enumerate(patients.values())
        for case in cases
        if place in inside and not math.isnan(volumes[case])
    )
    return Cell(
        address,
        values={"rc_pct": result.rc_pct, **bounds("ci", result.rc_ci), "wcv_pct": result.wcv_pct, "df": result.df},
        units="%",
        text=formatting.rc_text(result.rc_pct, result.rc_ci),
        n=result.n,
        method=result.method,
        reason=result.reason,
        rows=rows,
        excluded=tuple(case for case in volumes if case not in set(rows)),
    )
