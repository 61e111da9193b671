"""Additional tables of agreement: intervals and checks on three scales, equivalence, reliability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, bounds, included
from liverspleen.evaluation.reporting.results import Cases, ReportResults
from liverspleen.evaluation.reporting.supplement.build import number_cell, p_cell, split
from liverspleen.evaluation.statistics.assumptions import ScaleChecks
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.evaluation.statistics.equivalence import tost
from liverspleen.evaluation.statistics.intervals import Interval, LimitIntervals
from liverspleen.evaluation.statistics.reliability import concordance_correlation, icc
from liverspleen.organs import RATIO_KEY

MARGIN_PCT: Final = 5.0
"""Equivalence margin in percent. Not in the paper; a smaller change of the liver volume is regarded as irrelevant."""

SCALES: Final[tuple[Scale, ...]] = ("percent", "absolute", "log")
INTERVAL_METHODS: Final = {
    "ba1999": "Bland and Altman 1999, approximate",
    "ba1986": "Bland and Altman 1986, approximate",
    "exact": "exact for one limit (noncentral t)",
    "exact_pair": "exact for both limits together (Carkeet 2015)",
    "mover": "MOVER, approximate",
}
"""Intervals of the limits, by their names in `AgreementIntervals`."""


def limits(results: ReportResults, scale: Scale) -> Iterator[Cell]:
    """Yield bias and limits with their intervals, d_z, and the checks of the scale, for each row of Table 3.

    On the log scale the values are ratios, reader / reference.
    """
    transform = math.exp if scale == "log" else float
    for index in INDICES:
        for row, cases in results.groups.total_and_conditions.items():
            result = results.agreement(cases, index, scale)
            address = f"{index}:{row}"
            sample: dict[str, Any] = {"n": result.n, **included(cases, result.positions)}
            for column, value, interval, interval_method in bias_and_limits(result):
                shown = None if value is None else transform(value)
                ci = None if interval is None else Interval(transform(interval.lower), transform(interval.upper))
                yield Cell(
                    Address(f"limits_{scale}", address, column),
                    values={"value": shown, **bounds("ci", ci)},
                    units=_units(index, scale),
                    text=formatting.interval_text(shown, ci, _digits(scale)),
                    method=f"{result.method}; {interval_method}"
                    + ("; reported as ratio, exp of the log value" * (scale == "log")),
                    reason=result.reason,
                    **sample,
                )
            cohen_dz = None if result.bias_test is None else result.bias_test.cohen_dz
            yield number_cell(f"limits_{scale}", address, "d_z", cohen_dz, result, sample, digits=2)
            yield from _checks(Address(f"limits_{scale}", address, ""), result.checks, sample)


def bias_and_limits(result: BlandAltman) -> Iterator[tuple[str, float | None, Interval | None, str]]:
    """Yield name, value, confidence interval and method of the interval for the bias and both limits."""
    limits, intervals = result.limits, result.intervals
    if result.clustered is None:
        found, method = None if intervals is None else intervals.exact, "exact interval of one limit (noncentral t)"
    else:
        found, method = None if intervals is None else intervals.mover, "MOVER interval, by patient"
    yield "bias", result.bias, None if intervals is None else intervals.bias_ci, "t interval"
    yield "lower", None if limits is None else limits.lower, None if found is None else found.loa_lower_ci, method
    yield "upper", None if limits is None else limits.upper, None if found is None else found.loa_upper_ci, method


def _checks(address: Address, checks: ScaleChecks, sample: Mapping[str, Any]) -> Iterator[Cell]:
    for column, check, method in (
        ("normal", checks.shapiro, "Shapiro-Wilk test of the differences"),
        ("proportional", checks.proportional_bias, "slope of the differences against the means of both readers"),
        (
            "spread",
            checks.abs_residual_regression,
            "slope of the magnitude of the residuals against the means of both readers",
        ),
    ):
        p = None if check is None else check.p
        yield Cell(
            Address(address.table, address.row, column),
            values={"p": p},
            units="1",
            text=formatting.precise_p_text(p),
            method=method,
            reason="the test is undefined: too few or too many pairs, equal values, or an exact linear relation"
            if p is None
            else None,
            **sample,
        )


def advice(results: ReportResults) -> Iterator[Cell]:
    """Yield the advice on each scale, which follows from the checks over all cases."""
    cases = results.groups.all_first
    for index in INDICES:
        for scale in SCALES:
            result = results.agreement(cases, index, scale)
            yield Cell(
                Address("advice", f"{index}:{scale}", "advice"),
                values={},
                units="",
                text="; ".join(result.checks.advice),
                n=result.n,
                method="follows from p < 0.05 of the tests of this scale over all cases",
                reason=None,
                **included(cases, result.positions),
            )


def limit_intervals(results: ReportResults) -> Iterator[Cell]:
    """Yield the intervals of the limits of agreement in percent by all methods, over all cases."""
    cases = results.groups.all_first
    for index in INDICES:
        result = results.agreement(cases, index)
        limits = result.limits
        for method, description in INTERVAL_METHODS.items():
            found: LimitIntervals | None = None if result.intervals is None else getattr(result.intervals, method)
            for column, limit, interval in (
                ("lower", None if limits is None else limits.lower, None if found is None else found.loa_lower_ci),
                ("upper", None if limits is None else limits.upper, None if found is None else found.loa_upper_ci),
            ):
                yield Cell(
                    Address("limit_intervals", f"{index}:{method}", column),
                    values={"value": limit, **bounds("ci", interval)},
                    units=result.units,
                    text=formatting.interval_text(limit, interval, formatting.LOA_DIGITS),
                    n=result.n,
                    method=f"{result.method}; interval: {description}",
                    reason=result.reason
                    or (None if result.clustered is None else "the method assumes one CT scan per patient"),
                    **included(cases, result.positions),
                )


def equivalence(results: ReportResults) -> Iterator[Cell]:
    """Yield the equivalence test of reader and reference, and the smallest margin with equivalence."""
    cases = results.groups.all_first
    for index in INDICES:
        patients = results.patients(cases)
        result = tost(*results.volumes(cases, index), margin=MARGIN_PCT, scale="percent", clusters=patients)
        positions = results.agreement(cases, index).positions
        sample: dict[str, Any] = {"n": result.n, **included(cases, positions)}
        yield Cell(
            Address("equivalence", index, "bias"),
            values={"bias": result.bias, **bounds("ci90", result.bias_ci)},
            units=result.units,
            text=formatting.interval_text(result.bias, result.bias_ci, formatting.LOA_DIGITS),
            method=result.method,
            reason=result.reason,
            **sample,
        )
        margin = {"margin_pct": result.margin}
        for column, p in (("p", result.p), ("p_lower", result.p_lower), ("p_upper", result.p_upper)):
            yield p_cell("equivalence", index, column, p, result, sample, also=margin)
        verdicts = {True: "equivalent", False: "not shown", None: formatting.UNDEFINED}
        yield Cell(
            Address("equivalence", index, "verdict"),
            values={"margin_pct": result.margin, "p": result.p},
            units="1",
            text=verdicts[result.equivalent],
            method=result.method,
            reason=result.reason,
            **sample,
        )
        yield number_cell(
            *("equivalence", index, "smallest", result.smallest_margin, result, sample),
            digits=formatting.LOA_DIGITS,
            units="%",
        )


def reliability(results: ReportResults) -> Iterator[Cell]:
    """Yield ICC and CCC of reader and reference, and the ICC of all readers if there are others."""
    cases = results.groups.all_first
    both = (results.reader, results.reference)
    all_readers = results.readings.readers_of(cases)
    for index in INDICES:
        yield from _icc_cells(results, cases, index, index, both)
        result = concordance_correlation(*results.volumes(cases, index))
        yield Cell(
            Address("reliability", index, "ccc"),
            values={"value": result.ccc, **bounds("ci", result.ccc_ci), "pearson": result.pearson},
            units="1",
            text=formatting.interval_text(result.ccc, result.ccc_ci, formatting.RELIABILITY_DIGITS),
            n=result.n,
            method=result.method,
            reason=result.reason,
            **_complete(results, cases, index, both),
        )
        if len(all_readers) > 2:
            yield from _icc_cells(results, cases, index, f"{index}:everyone", all_readers)


def _icc_cells(results: ReportResults, cases: Cases, index: str, row: str, readers: Sequence[str]) -> Iterator[Cell]:
    columns = [[results.readings.volume(case, index, reader) for case in cases] for reader in readers]
    result = icc(np.reshape(columns, (len(readers), len(cases))).T)
    for name in ("icc_a1", "icc_c1"):
        value, interval = getattr(result, name), getattr(result, f"{name}_ci")
        yield Cell(
            Address("reliability", row, name),
            values={"value": value, **bounds("ci", interval), "k": result.k},
            units="1",
            text=formatting.interval_text(value, interval, formatting.RELIABILITY_DIGITS),
            n=result.n,
            method=f"{result.method}; readers: {', '.join(readers)}",
            reason=result.reason,
            **_complete(results, cases, index, readers),
        )


def _complete(results: ReportResults, cases: Cases, index: str, readers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the cases that all these readers measured as `rows`, the others as `excluded`."""
    read = results.readings.volume
    return split(cases, [not any(math.isnan(read(case, index, reader)) for reader in readers) for case in cases])


def _units(index: str, scale: Scale) -> str:
    if scale == "percent":
        return "%"
    return "cm³" if scale == "absolute" and index != RATIO_KEY else "1"


def _digits(scale: Scale) -> int:
    return formatting.RATIO_DIGITS if scale == "log" else formatting.LOA_DIGITS
