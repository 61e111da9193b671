"""Agreement beyond the paper: intervals and checks on three scales, equivalence, reliability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, entered
from liverspleen.evaluation.reporting.reader_pair import Comparands, Groups
from liverspleen.evaluation.reporting.supplement.build import bounds, number_cell, p_cell, split
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.evaluation.statistics.equivalence import tost
from liverspleen.evaluation.statistics.reliability import concordance_correlation, icc
from liverspleen.organs import RATIO_KEY

MARGIN_PCT: Final = 5.0
"""Equivalence margin in percent. Not in the paper; a change of liver volume below it is held to be of no account."""

SCALES: Final[tuple[Scale, ...]] = ("percent", "absolute", "log")
INTERVAL_METHODS: Final = {
    "ba1999": "Bland and Altman 1999, approximate",
    "ba1986": "Bland and Altman 1986, approximate",
    "exact": "exact for one limit (noncentral t)",
    "exact_pair": "exact for both limits together (Carkeet 2015)",
    "mover": "MOVER, approximate",
}


def limits(comparands: Comparands, groups: Groups, scale: Scale) -> Iterator[Cell]:
    """Bias and limits with their intervals, d_z, and the checks of the scale, for every row of Table 3.

    On the log scale they are told as ratios, reader over reference.
    """
    told = math.exp if scale == "log" else float
    for index in INDICES:
        for row, cases in groups.total_and_conditions.items():
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
                shown = None if value is None else told(value)
                around = None if interval is None else (told(interval[0]), told(interval[1]))
                yield Cell(
                    Address(f"limits_{scale}", address, column),
                    values={"value": shown, **bounds("ci", around)},
                    units=_units(index, scale),
                    text=formatting.interval_text(shown, around, _digits(scale)),
                    method=f"{result.method}; {how}" + ("; told as ratio, exp of the logarithm" * (scale == "log")),
                    reason=result.reason,
                    **about,
                )
            yield number_cell(f"limits_{scale}", address, "d_z", result.cohen_dz, result, about, digits=2)
            yield from _checks(Address(f"limits_{scale}", address, ""), result, about)


def _checks(address: Address, result: BlandAltman, about: Mapping[str, Any]) -> Iterator[Cell]:
    for column, check, method in (
        ("normal", result.shapiro, "Shapiro-Wilk test of the differences"),
        ("proportional", result.proportional_bias, "slope of the differences over the means of both readers"),
        ("spread", result.abs_residual_regression, "slope of the absolute residuals over the means of both readers"),
    ):
        p = None if check is None else check.p
        yield Cell(
            Address(address.table, address.row, column),
            values={"p": p},
            units="1",
            text=formatting.p_text(p),
            method=method,
            reason="the check is undefined: too few or too many pairs, no spread, or an exact line"
            if p is None
            else None,
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
                text="; ".join(result.advice),
                n=result.n,
                method="follows from p < 0.05 of the checks of this scale over all cases",
                reason=None,
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
                    method=f"{result.method}; interval: {INTERVAL_METHODS[method]}",
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
        margin = {"margin_pct": result.margin}
        for column, p in (("p", result.p), ("p_lower", result.p_lower), ("p_upper", result.p_upper)):
            yield p_cell("equivalence", index, column, p, result, about, also=margin)
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
            *("equivalence", index, "smallest", result.smallest_margin, result, about),
            digits=formatting.LOA_DIGITS,
            units="%",
        )


def reliability(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """ICC and CCC of reader and reference; the ICC once more of all readers where there are others."""
    cases = [e.case_id for e in groups.first]
    both = (comparands.reader, comparands.reference)
    everyone = comparands.readings.readers_of(cases)
    for index in INDICES:
        yield from _icc_cells(comparands, cases, index, index, both)
        result = concordance_correlation(*comparands.volumes(cases, index))
        yield Cell(
            Address("reliability", index, "ccc"),
            values={"value": result.ccc, **bounds("ci", result.ci), "pearson": result.pearson},
            units="1",
            text=formatting.interval_text(result.ccc, result.ci, formatting.RELIABILITY_DIGITS),
            n=result.n,
            method=result.method,
            reason=result.reason,
            **_complete(comparands, cases, index, both),
        )
        if len(everyone) > 2:
            yield from _icc_cells(comparands, cases, index, f"{index}:everyone", everyone)


def _icc_cells(
    comparands: Comparands, cases: Sequence[str], index: str, row: str, readers: Sequence[str]
) -> Iterator[Cell]:
    columns = [[comparands.readings.volume(case, index, reader) for case in cases] for reader in readers]
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
            **_complete(comparands, cases, index, readers),
        )


def _complete(
    comparands: Comparands, cases: Sequence[str], index: str, readers: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The cases that each of these readers measured as `rows`, the others as `excluded`."""
    read = comparands.readings.volume
    return split(cases, [not any(math.isnan(read(case, index, reader)) for reader in readers) for case in cases])


def _units(index: str, scale: Scale) -> str:
    if scale == "percent":
        return "%"
    return "cm³" if scale == "absolute" and index != RATIO_KEY else "1"


def _digits(scale: Scale) -> int:
    return formatting.RATIO_DIGITS if scale == "log" else formatting.LOA_DIGITS
