"""Additional tables of reproducibility: other definitions of the wCV, and the comparison of two readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, bounds
from liverspleen.evaluation.reporting.results import ReportResults, both_sites
from liverspleen.evaluation.reporting.supplement.build import p_cell, split_pairs
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.rc_comparison import compare_rc
from liverspleen.evaluation.statistics.reproducibility import RC_QUANTILE, PercentageRC

WCV: Final = {
    "rms": "root mean square of the CV of each patient (second interval: BCa bootstrap over patients)",
    "log": "sqrt(exp(s^2) - 1), s the within-subject SD of the logarithms",
    "wsd": "within-subject SD of the group / mean of the group",
    "bias_removed": "SD of the percent differences / sqrt(2), without the mean difference between the two CT scans",
}
"""Definition of the within-subject CV by row of `rc_methods`."""


def rc_methods(results: ReportResults) -> Iterator[Cell]:
    """Yield the percentage RC with other definitions of wCV, and the BCa interval for the definition of the paper."""
    for (index, reader), result in results.coefficients.items():
        for method, (value, interval) in _definitions(result).items():
            bca = result.rc_bca_ci if method == "rms" else None
            digits = formatting.RC_DIGITS
            bca_bounds = bounds("bca", bca) if method == "rms" else {}
            yield Cell(
                Address("rc_methods", f"{index}:{method}", reader),
                values={"rc_pct": value, **bounds("chi_square", interval), **bca_bounds},
                units="%",
                text=formatting.two_intervals_text(value, interval, bca, digits)
                if method == "rms"
                else formatting.interval_text(value, interval, digits),
                n=result.n,
                method=f"%RC = {RC_QUANTILE} sqrt(2) wCV; wCV: {WCV[method]}; chi-square interval",
                reason=result.reason,
                **split_pairs(results.groups.pairs, result.positions),
            )


def _definitions(result: PercentageRC) -> dict[str, tuple[float | None, Interval | None]]:
    """Return %RC and its χ² interval by definition of wCV."""
    log, wsd, unbiased = result.log, result.wsd, result.bias_removed
    scaled = None
    if wsd is not None and wsd.rc_pct is not None and wsd.rc_absolute and wsd.rc_absolute_ci is not None:
        lower, upper = wsd.rc_absolute_ci
        scaled = Interval(lower * wsd.rc_pct / wsd.rc_absolute, upper * wsd.rc_pct / wsd.rc_absolute)
    return {
        "rms": (result.rc_pct, result.rc_ci),
        "log": (None, None) if log is None else (log.rc_pct_lognormal, log.rc_lognormal_ci),
        "wsd": (None, None) if wsd is None else (wsd.rc_pct, scaled),
        "bias_removed": (None, None) if unbiased is None else (unbiased.rc_pct, unbiased.rc_ci),
    }


def rc_readers(results: ReportResults) -> Iterator[Cell]:
    """Yield the comparison of the reproducibility of the reader and of its reference on the same patients."""
    pairs = results.groups.pairs
    for index in INDICES if pairs else ():
        tables = [
            list(zip(*both_sites(results.readings, pairs, index, name), strict=True))
            for name in (results.reader, results.reference)
        ]
        result = compare_rc(*tables)
        sample: dict[str, Any] = {"n": result.n, **split_pairs(pairs, result.positions)}
        yield Cell(
            Address("rc_readers", index, "ratio"),
            values={
                "ratio": result.ratio,
                **bounds("bca", result.ratio_bca_ci),
                "wcv_pct_test": result.wcv_pct_test,
                "wcv_pct_reference": result.wcv_pct_reference,
            },
            units="1",
            text=formatting.interval_text(result.ratio, result.ratio_bca_ci, 2),
            method=result.method,
            reason=result.reason,
            **sample,
        )
        yield p_cell("rc_readers", index, "p", result.p, result, sample)
