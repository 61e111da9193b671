"""Failures behind the means: missed organs, low DSS, organs that are absent, and volume errors beyond the %RC."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, bounds
from liverspleen.evaluation.reporting.results import Cases, ReportResults, computed_once
from liverspleen.evaluation.statistics.proportion import wilson_interval
from liverspleen.organs import ORGAN_KEYS, Structure

LOW_DSS: Final = 0.8
"""A DSS below this counts as a failure. Not in the paper, whose lowest DSS of a liver is 0.907."""

THICKNESSES_MM: Final = (2.0, 5.0)
"""Upper limits of the strata of slice thickness; thicker slices are the last stratum."""

_FEWEST: Final = 6  # cases with a reference volume, for thirds

Failed = dict[str, bool]
"""Whether a case failed, for the cases in which this can be decided."""


def failures(results: ReportResults) -> Iterator[Cell]:
    """Yield count and share of each kind of failure, over all CT scans and, if there is a failure, by stratum."""
    for kind in _KINDS:
        by_organ = _by_organ(results, kind)
        occurs = any(failed for found in by_organ.values() for failed in found.values())
        for organ, found in by_organ.items():
            strata = _strata(results, organ) if occurs else {"total": tuple(found)}
            for stratum, cases in strata.items():
                inside = {case: found[case] for case in cases if case in found}
                if inside:
                    yield _cell(results, Address("failures", f"{kind}:{stratum}", organ), kind, inside)


def failure_notes(results: ReportResults) -> list[Note]:
    """Return a note with the cases of each kind of failure."""
    notes = []
    for kind in _KINDS:
        for organ, found in _by_organ(results, kind).items():
            if cases := tuple(case for case, failed in found.items() if failed):
                message = f"{organ}: {_MEANINGS[kind]} in {len(cases)} of {len(found)} CT scans"
                notes.append(Note("LS-REP-057", message, "look at these cases before using their volumes", cases))
    return notes


def missed_organs(results: ReportResults, cases: Cases, organ: str) -> int:
    """Return the number of cases in which the reader has no voxel of an organ that its reference has."""
    missed = _by_organ(results, "missed").get(organ, {})
    return sum(missed.get(case, False) for case in cases)


def _by_organ(results: ReportResults, kind: str) -> dict[str, Failed]:
    """Return the failures of a kind by organ, without organs for which nothing can be decided."""
    decide = _KINDS[kind]
    return computed_once(
        results.failed, kind, lambda: {organ: found for organ in ORGAN_KEYS if (found := decide(results, organ))}
    )


def _missed(results: ReportResults, organ: str) -> Failed:
    volumes = _both(results, organ)
    return {case: test == 0 for case, (test, reference) in volumes.items() if reference > 0}


def _low_dss(results: ReportResults, organ: str) -> Failed:
    scores = results.scores(results.groups.all_first, organ)
    return {case: score < LOW_DSS for case, score in scores.items() if not math.isnan(score)}


def _found_absent(results: ReportResults, organ: str) -> Failed:
    """Return the cases whose organ is absent, by the cohort or by the reference, and whether the reader found it."""
    found: Failed = {}
    for case in results.groups.all_first:
        test, reference = (results.readings.volume(case, organ, name) for name in (results.reader, results.reference))
        stated = organ == Structure.SPLEEN.key and case in results.spleen_absent
        if (stated or reference == 0) and not math.isnan(test):
            found[case] = test > 0
    return found


def _beyond_rc(results: ReportResults, organ: str) -> Failed:
    """Return the cases whose difference is beyond the %RC of the reference: more than two CT scans would differ."""
    known = results.coefficients.get((organ, results.reference))
    if known is None or not known.rc_pct:
        return {}
    volumes = _both(results, organ)
    return {
        case: abs(200 * (test - reference) / (test + reference)) > known.rc_pct
        for case, (test, reference) in volumes.items()
        if test + reference
    }


_KINDS: Final[dict[str, Callable[[ReportResults, str], Failed]]] = {
    "missed": _missed,
    "low_dss": _low_dss,
    "found_absent": _found_absent,
    "beyond_rc": _beyond_rc,
}
_MEANINGS: Final = {
    "missed": "no voxel of an organ that the reference has",
    "low_dss": f"DSS below {LOW_DSS}",
    "found_absent": "found, although it is absent",
    "beyond_rc": "volume error beyond the %RC of the reference",
}


def _both(results: ReportResults, organ: str) -> dict[str, tuple[float, float]]:
    cases = results.groups.all_first
    pairs = zip(*results.volumes(cases, organ), strict=True)
    return {
        case: pair for case, pair in zip(cases, pairs, strict=True) if not (math.isnan(pair[0]) or math.isnan(pair[1]))
    }


def _strata(results: ReportResults, organ: str) -> Mapping[str, Cases]:
    """Return the cases as `total`, by condition, by site, by third of the reference volume, and by slice thickness."""
    groups = results.groups
    strata = dict(groups.total_and_conditions)
    sites = dict.fromkeys(e.site for e in groups.first if e.site)
    if len(sites) > 1:
        strata |= {site: tuple(e.case_id for e in groups.first if e.site == site) for site in sites}
    volumes = {case: reference for case, (_, reference) in _both(results, organ).items() if reference > 0}
    if len(volumes) >= _FEWEST:
        low, high = (round(float(edge)) for edge in np.quantile(list(volumes.values()), [1 / 3, 2 / 3]))
        thirds = ("volume_low", "volume_middle", "volume_high")
        places = {case: int(volume > low) + int(volume > high) for case, volume in volumes.items()}
        strata |= {
            name: tuple(case for case, place in places.items() if place == number) for number, name in enumerate(thirds)
        }
    if thickness := {case: mm for case in groups.all_first if (mm := results.thickness_mm.get(case)) is not None}:
        thin, thick = THICKNESSES_MM
        places = {case: int(mm > thin) + int(mm > thick) for case, mm in thickness.items()}
        for number, name in enumerate(("thin", "medium", "thick")):
            strata[name] = tuple(case for case, place in places.items() if place == number)
    return strata


def _cell(results: ReportResults, address: Address, kind: str, found: Failed) -> Cell:
    failed = [case for case, is_failure in found.items() if is_failure]
    patients = set(results.patients(found))
    n_failed = len(set(results.patients(failed)))
    interval = wilson_interval(n_failed, len(patients))
    share = 100 * n_failed / len(patients)
    percent = None if interval is None else interval.scaled(100)
    return Cell(
        address,
        values={
            "count": len(failed),
            "n": len(found),
            "patients": n_failed,
            "n_patients": len(patients),
            "share_pct": share,
            **bounds("ci", percent),
        },
        units="%",
        text=f"{len(failed)} of {len(found)}; {formatting.interval_text(share, percent, formatting.PERCENT_DIGITS)} %",
        n=len(found),
        method=f"{_MEANINGS[kind]}; share of the patients with Wilson's 95 % interval",
        rows=tuple(found),
    )
