"""Cells of a comparison of readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import PAIRED, Address, Cell, bias_test_values, bounds, dss_cell
from liverspleen.evaluation.reporting.compare.quantities import Quantity, Readers
from liverspleen.evaluation.reporting.supplement.agreement import bias_and_limits
from liverspleen.evaluation.reporting.supplement.build import number_cell, p_cell
from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.evaluation.statistics.dunn import holm
from liverspleen.evaluation.statistics.rank_tests import WilcoxonSignedRank
from liverspleen.evaluation.statistics.samples import describe
from liverspleen.organs import RATIO_KEY

SHIFT_DIGITS: Final = 4
"""Decimals of a shift of the DSS; good readers differ in the third decimal."""

Groups = Mapping[str, tuple[str, ...]]


def score_cells(structure: str, found: Quantity, readers: Readers, groups: Groups) -> Iterator[Cell]:
    """Yield the DSS by reader and condition, and the test and the shifts of each pair of readers."""
    common = set(found.common)
    for group, cases in groups.items():
        compared = tuple(case for case in cases if case in common)
        sample = found.sample(compared, cases)
        for name in readers.names:
            by_case = dict(zip(compared, found.of(name, compared), strict=True))
            yield replace(dss_cell(Address("scores", f"{structure}:{group}", name), by_case), **sample)
    yield from difference_cells("score_differences", structure, found, readers, units="1", digits=SHIFT_DIGITS)
    for group, cases in groups.items():
        compared = tuple(case for case in cases if case in common)
        sample = found.sample(compared, cases)
        for a, b in readers.pairs:
            result = found.signed_rank(a, b, compared)
            address = Address("score_subgroups", f"{structure}:{group}", f"{a}{PAIRED}{b}")
            yield _shift_cell(address, result, sample, units="1", digits=SHIFT_DIGITS)


def error_cells(index: str, found: Quantity, readers: Readers, scale: Scale) -> Iterator[Cell]:
    """Yield the absolute volume errors by reader (percent), and the test of each pair of readers."""
    absolute = scale == "absolute"
    units = "%" if not absolute else "1" if index == RATIO_KEY else "cm³"
    compared = found.common
    for name in () if absolute else readers.names:
        result = describe(found.of(name, compared))
        yield Cell(
            Address("errors", index, name),
            values={key: getattr(result, key) for key in ("mean", "sd", "minimum", "maximum")},
            units=units,
            text=formatting.mean_sd_range_text(
                result.mean, result.sd, result.minimum, result.maximum, digits=formatting.LOA_DIGITS
            ),
            method=f"{result.method}, of |percent difference| from {readers.reference}",
            reason=result.reason,
            **found.sample(compared),
        )
    table = f"error_differences_{scale}"
    yield from difference_cells(table, index, found, readers, units=units, digits=formatting.LOA_DIGITS)


def difference_cells(
    table: str, index: str, found: Quantity, readers: Readers, *, units: str, digits: int
) -> Iterator[Cell]:
    """Yield the paired test of each pair of readers; p values are adjusted by Holm over the pairs of this index."""
    compared = found.common
    sample = found.sample(compared)
    results = [found.signed_rank(a, b, compared) for a, b in readers.pairs]
    tested = [position for position, result in enumerate(results) if result.p is not None]
    unadjusted = np.array([results[position].p for position in tested], dtype=np.float64)
    adjusted: dict[int, float] = dict(zip(tested, holm(unadjusted).tolist(), strict=True))
    for position, ((a, b), result) in enumerate(zip(readers.pairs, results, strict=True)):
        row = f"{index}:{a}{PAIRED}{b}"
        yield _shift_cell(Address(table, row, "shift"), result, sample, units=units, digits=digits)
        yield p_cell(table, row, "p", result.p, result, sample, also={"z": result.z, "w_plus": result.w_plus})
        yield p_cell(table, row, "p_holm", adjusted.get(position), result, sample, also={"n_tests": len(tested)})
        yield number_cell(table, row, "effect", result.rank_biserial, result, sample, digits=3)


def limit_cells(index: str, found: Quantity, readers: Readers) -> Iterator[Cell]:
    """Yield the percent limits of agreement of each reader with the reference, and of each pair of readers."""
    compared = found.common
    pairs = [*((name, readers.reference) for name in readers.names), *readers.pairs]
    patient_of = {e.case_id: e.patient_id for e in readers.readings.examinations}
    patients = [patient_of[case] for case in compared]
    for a, b in pairs:
        result = bland_altman(found.of(a, compared), found.of(b, compared), scale="percent", clusters=patients)
        sample = found.sample([compared[position] for position in result.positions])
        row = f"{index}:{a}{PAIRED}{b}"
        for column, value, interval, interval_method in bias_and_limits(result):
            yield Cell(
                Address("limits", row, column),
                values={"value": value, **bounds("ci", interval)},
                units=result.units,
                text=formatting.interval_text(value, interval, formatting.LOA_DIGITS),
                method=f"{result.method}; {interval_method}",
                reason=result.reason,
                **sample,
            )
        values = bias_test_values(result)
        yield p_cell("limits", row, "p", values["p"], result, sample, also=values)


def _shift_cell(
    address: Address, result: WilcoxonSignedRank, sample: Mapping[str, Any], *, units: str, digits: int
) -> Cell:
    return Cell(
        address,
        values={"hodges_lehmann": result.hodges_lehmann, **bounds("ci", result.hodges_lehmann_ci)},
        units=units,
        text=formatting.interval_text(result.hodges_lehmann, result.hodges_lehmann_ci, digits),
        method="Hodges-Lehmann shift of the paired differences, zeros included, with a distribution-free 95 % interval",
        reason=result.reason,
        **sample,
    )
