"""Additional table of the calibration of probabilities, and the reliability diagrams of the cases of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

from liverspleen.evaluation.measurements.calibration_table import REGIONS, CaseCalibration
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, bounds, defined
from liverspleen.evaluation.reporting.results import Cases, ReportResults
from liverspleen.evaluation.statistics.bootstrap import bootstrap_ci
from liverspleen.evaluation.statistics.calibration import BinSums, Calibration, calibration_of
from liverspleen.organs import ORGAN_KEYS

TABLE: Final = "calibration"
_SCORES: Final = ("ece", "brier")


@dataclass(frozen=True)
class Reliability:
    """Calibration of an organ over all voxels in the boxes of several cases.

    `is_cross_validation`: the cases are the validated development cases.
    """

    organ: str
    calibration: Calibration
    case_ids: tuple[str, ...]
    is_cross_validation: bool = False


def calibration(results: ReportResults) -> Iterator[Cell]:
    """Yield mean ECE and Brier score per case with intervals, and the ECE of all voxels; nothing without maps.

    The rows `ece_image` and `brier_image` have all voxels of the images, the others those in the boxes.
    """
    cases = results.groups.all_first
    if not any(_found(results, cases, organ) for organ in ORGAN_KEYS):
        return
    for region in REGIONS:
        for score in _SCORES:
            head = score if region == REGIONS[0] else f"{score}_{region}"
            for row, group in results.groups.total_and_conditions.items():
                for organ in ORGAN_KEYS:
                    yield _mean(results, Address(TABLE, f"{head}:{row}", organ), group, region, score)
    for organ in ORGAN_KEYS:
        yield _pooled(results, organ)


def reliabilities(results: ReportResults) -> tuple[Reliability, ...]:
    """Return the calibration of each organ over the cases of Table 2 that have a voxel in a box."""
    found = {organ: _found(results, results.groups.all_first, organ) for organ in ORGAN_KEYS}
    pooled = {organ: calibration_of(_total(one.box for one in cases.values())) for organ, cases in found.items()}
    return tuple(Reliability(organ, one, tuple(found[organ])) for organ, one in pooled.items() if one.n)


def _found(results: ReportResults, cases: Cases, organ: str) -> Mapping[str, CaseCalibration]:
    keys = {case: (case, organ, results.reader, results.reference) for case in cases}
    return {case: results.calibrations[key] for case, key in keys.items() if key in results.calibrations}


def _mean(results: ReportResults, address: Address, cases: Cases, region: str, score: str) -> Cell:
    found = _found(results, cases, address.column)
    values = dict.fromkeys(cases, math.nan)
    for case, one in found.items():
        value = getattr(calibration_of(getattr(one, region)), score)
        values[case] = math.nan if value is None else value
    result = bootstrap_ci(list(values.values()), clusters=results.patients(cases), fraction=True)
    return Cell(
        address,
        values={
            "mean": result.estimate,
            **bounds("t", result.estimate_t_ci),
            **bounds("bca", result.estimate_bca_ci),
            "n_patients": result.n_clusters,
        },
        units="1",
        text=formatting.two_intervals_text(
            result.estimate, result.estimate_t_ci, result.estimate_bca_ci, formatting.CALIBRATION_DIGITS
        ),
        n=result.n,
        method=result.method,
        reason=result.reason,
        **defined(values),
    )


def _pooled(results: ReportResults, organ: str) -> Cell:
    cases = results.groups.all_first
    found = _found(results, cases, organ)
    result = calibration_of(_total(one.box for one in found.values()))
    return Cell(
        Address(TABLE, "pooled", organ),
        values={"ece": result.ece, "brier": result.brier, "n_voxels": result.n},
        units="1",
        text=f"{formatting.fixed(result.ece, formatting.CALIBRATION_DIGITS)}; "
        f"{formatting.fixed(result.brier, formatting.CALIBRATION_DIGITS)}",
        n=len(found),
        method=result.method,
        reason=result.reason,
        rows=tuple(found),
        excluded=tuple(case for case in cases if case not in found),
    )


def _total(sums: Iterable[BinSums]) -> BinSums:
    return reduce(add, sums, BinSums())
