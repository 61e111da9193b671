"""Agreement beyond the paper: intervals and checks on three scales, equivalence, reliability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from liverspleen.evaluation import formatting
from liverspleen.evaluation.agreement import BlandAltman
from liverspleen.evaluation.beyond.build import bounds, number_cell, p_cell, split
from liverspleen.evaluation.cells import Address, Cell, entered
from liverspleen.evaluation.comparands import Comparands, Groups, total_and_conditions
from liverspleen.evaluation.differences import Scale
from liverspleen.evaluation.equivalence import tost
from liverspleen.evaluation.readings import INDICES
from liverspleen.evaluation.reliability import concordance_correlation, icc

MARGIN_PCT: Final = 5.0
"""Equivalence margin in percent. Not in the paper; a change of liver volume below it is held to be of no account."""

SCALES: Final[tuple[Scale, ...]] = ("percent", "absolute", "log")
INTERVAL_METHODS: Final = ("ba1999", "ba1986", "exact", "exact_pair", "mover")


def limits(comparands: Comparands, groups: Groups, scale: Scale) -> Iterator[Cell]:
    """Bias and limits with their intervals, and the checks of the scale, for every row of Table 3."""
    for index in INDICES:
        for row, cases in total_and_conditions(groups.first).items():
            result = comparands.agreement(cases, index, scale)
            exact = result.loa_ci_exact
            lower, upper = (None, None) if exact is None else (exact.lower, exact.upper)
            address = f"{index}:{row}"
            about: dict[str, Any] = {"n": result.n, **entered(cases, result.positions)}
            for column, value, interval, how in (
                ("bias", result.bias, result.bias_ci, "t interval"),
                ("lower", result.loa_lower, lower, "exact interval of one limit (noncentral t)"),
                ("upper", result.loa_upper, upper, "exact interval of one limit (noncentral t)"),
            ):
                yield Cell(
                    Address(f"limits_{scale}", address, column),
                    values={"value": value, **bounds("ci", interval)},
                    units=result.units,
                    text=formatting.interval_text(value, interval, _digits(scale)),
                    method=f"{result.method}; {how}",
                    reason=result.reason,
                    **about,
                )
            yield from _checks(Address(f"limits_{scale}", address, ""), result, about)


def _checks(address: Address, result: BlandAltman, about: Mapping[str, Any]) -> Iterator[Cell]:
    for column, check, name, method in (
        ("normal", result.shapiro, "W", "Shapiro-Wilk test of the differences"),
        ("proportional", result.proportional_bias, "slope", "differences regressed on the means of both readers"),
        (
            "spread",
            result.abs_residual_regression,
            "slope",
            "absolute residuals regressed on the means of both readers",
        ),
    ):
        p = None if check is None else check.p
        yield Cell(
            Address(address.table, address.row, column),
            values={"p": p, name: None if check is None else getattr(check, name)},
            units="1",
            text=formatting.p_text(p),
            method=method,
            reason=None if check is not None else "fewer than three pairs, or no spread",
            **about,
        )


def advice(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """What the checks over all cases say about each scale."""
    cases = [e.case_id for e in groups.first]
    for index in INDICES:
        for scale in SCALES:
            result = comparands.agreement(cases, index, scale)
            yield Cell(
                Address("advice", f"{index}:{scale}", "advice"),
                values={},
                units="",
                text="; ".join(result.advice) or formatting.UNDEFINED,
                n=result.n,
                method="follows from p < 0.05 of the checks of this scale over all cases",
                reason=None if result.advice else "too few pairs for advice",
                **entered(cases, result.positions),
            )


def limit_intervals(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """Every interval of the limits of agreement in percent, over all cases."""
    cases = [e.case_id for e in groups.first]
    for index in INDICES:
        result = comparands.agreement(cases, index)
        for method in INTERVAL_METHODS:
            intervals = getattr(result, f"loa_ci_{method}")
            for column, limit in (("lower", result.loa_lower), ("upper", result.loa_upper)):
                interval = None if intervals is None else getattr(intervals, column)
                yield Cell(
                    Address("limit_intervals", f"{index}:{method}", column),
                    values={"value": limit, **bounds("ci", interval)},
                    units=result.units,
                    text=formatting.interval_text(limit, interval, formatting.LOA_DIGITS),
                    n=result.n,
                    method=result.method,
                    reason=result.reason,
                    **entered(cases, result.positions),
                )


def equivalence(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """Whether the volumes of reader and reference are equivalent, and the smallest margin the data support."""
    cases = [e.case_id for e in groups.first]
    for index in INDICES:
        result = tost(*comparands.volumes(cases, index), margin=MARGIN_PCT, scale="percent")
        positions = comparands.agreement(cases, index).positions
        about: dict[str, Any] = {"n": result.n, **entered(cases, positions)}
        yield Cell(
            Address("equivalence", index, "bias"),
            values={"bias": result.bias, **bounds("ci90", result.ci90)},
            units=result.units,
            text=formatting.interval_text(result.bias, result.ci90, formatting.LOA_DIGITS),
            method=result.method,
            reason=result.reason,
            **about,
        )
        yield p_cell("equivalence", index, "p", result.p, result, about, also={"margin_pct": result.margin})
        words = {True: "equivalent", False: "not shown", None: formatting.UNDEFINED}
        yield Cell(
            Address("equivalence", index, "verdict"),
            values={"margin_pct": result.margin, "p": result.p},
            units="1",
            text=words[result.equivalent],
            method=result.method,
            reason=result.reason,
            **about,
        )
        yield number_cell(
            "equivalence", index, "smallest", result.smallest_margin, result, about, digits=formatting.LOA_DIGITS
        )


def reliability(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """ICC and CCC of reader and reference; all readers that have volumes of these cases enter the ICC."""
    cases = [e.case_id for e in groups.first]
    readers = comparands.readings.readers_of(cases)
    for index in INDICES:
        columns = [[comparands.readings.volume(case, index, reader) for case in cases] for reader in readers]
        rows = list(zip(*columns, strict=True))
        whole = [not any(map(math.isnan, row)) for row in rows]
        if len(readers) > 1 and rows:
            result = icc(rows)
            about = split(cases, whole)
            for name in ("icc_a1", "icc_c1"):
                value, interval = getattr(result, name), getattr(result, f"{name}_ci")
                yield Cell(
                    Address("reliability", index, name),
                    values={"value": value, **bounds("ci", interval), "k": result.k},
                    units="1",
                    text=formatting.interval_text(value, interval, formatting.RELIABILITY_DIGITS),
                    n=result.n,
                    method=f"{result.method}; readers: {', '.join(readers)}",
                    reason=result.reason,
                    **about,
                )
        test, reference = comparands.volumes(cases, index)
        concordance = concordance_correlation(test, reference)
        both = [not (math.isnan(one) or math.isnan(other)) for one, other in zip(test, reference, strict=True)]
        yield Cell(
            Address("reliability", index, "ccc"),
            values={"value": concordance.ccc, **bounds("ci", concordance.ci), "pearson": concordance.pearson},
            units="1",
            text=formatting.interval_text(concordance.ccc, concordance.ci, formatting.RELIABILITY_DIGITS),
            n=concordance.n,
            method=concordance.method,
            reason=concordance.reason,
            **split(cases, both),
        )


def _digits(scale: Scale) -> int:
    return formatting.LOG_DIGITS if scale == "log" else formatting.LOA_DIGITS
