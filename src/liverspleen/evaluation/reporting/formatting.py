"""Numbers in the format of the paper; statistics are rounded only here."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

UNDEFINED: Final = "–"
NOT_APPLICABLE: Final = "NA"

DSS_DIGITS: Final = 3
LOA_DIGITS: Final = 2
RC_DIGITS: Final = 1
RATIO_DIGITS: Final = 3
DISTANCE_DIGITS: Final = 2
RELIABILITY_DIGITS: Final = 3
CALIBRATION_DIGITS: Final = 4
PERCENT_DIGITS: Final = 1
SPREAD_DIGITS: Final = 1

# Keeps all printed digits and removes floating-point noise: 0.97249999999999992 becomes 0.9725.
_SIGNIFICANT: Final = 12

_NEGATIVE: Final = re.compile(r"(?<![^\s(–])-(?=[\d∞])")


def fixed(value: float | None, digits: int) -> str:
    """Return `value` with `digits` decimals, half rounded away from zero, without negative zero; a dash if undefined.

    Values from 10^12 have scientific notation; only bounds on the log scale with two or three cases are so large.

    >>> fixed(0.97249999999999992, 3), fixed(-0.001, 2), fixed(None, 2)
    ('0.973', '0.00', '–')
    >>> fixed(123456789012.0, 1), fixed(-2.5e40, 2), fixed(math.inf, 2)
    ('123456789012.0', '-2.5e+40', '∞')
    """
    if value is None:
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 10**_SIGNIFICANT:
        return f"{value:.1e}"
    exact = Decimal(f"{value:.{_SIGNIFICANT - 1}e}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{exact if exact else abs(exact):f}"


def p_text(p: float | None) -> str:
    """Return a p value with two decimals from 0.01, three decimals below, and `< 0.001` instead of 0.000.

    >>> p_text(0.6), p_text(0.0071), p_text(0.0005), p_text(0.0004999)
    ('0.60', '0.007', '0.001', '< 0.001')
    """
    if p is None:
        return UNDEFINED
    if p >= 0.01:
        return fixed(p, 2)
    text = fixed(p, 3)
    return "< 0.001" if text == "0.000" else text


def precise_p_text(p: float | None) -> str:
    """Return a p value as `p_text`, with three decimals also from 0.01 to 0.1; for tables and figures of our own.

    >>> precise_p_text(0.0471), precise_p_text(0.0449), precise_p_text(0.1004), precise_p_text(0.0004)
    ('0.047', '0.045', '0.10', '< 0.001')
    """
    return fixed(p, 3) if p is not None and 0.01 <= p < 0.1 else p_text(p)


def with_minus_signs(text: str) -> str:
    """Return a text with minus signs (U+2212) in its negative numbers, for pages; names keep their hyphens.

    >>> with_minus_signs("-0.17 (-0.42 to 0.08), T-1")
    '−0.17 (−0.42 to 0.08), T-1'
    """
    return _NEGATIVE.sub("−", text)


def dss_text(mean: float | None, sd: float | None, minimum: float | None, maximum: float | None) -> str:
    """Return mean ± SD (range) of DSS.

    >>> dss_text(0.9731, 0.0188, 0.9072, 0.9991)
    '0.973 ± 0.019 (0.907–0.999)'
    """
    return mean_sd_range_text(mean, sd, minimum, maximum, digits=DSS_DIGITS)


def mean_sd_range_text(
    mean: float | None, sd: float | None, minimum: float | None, maximum: float | None, *, digits: int
) -> str:
    """Return mean ± SD (range) with `digits` decimals.

    >>> mean_sd_range_text(2.25, 0.5, 1.0, 3.5, digits=2)
    '2.25 ± 0.50 (1.00–3.50)'
    """
    if mean is None:
        return UNDEFINED
    return f"{fixed(mean, digits)} ± {fixed(sd, digits)} ({fixed(minimum, digits)}–{fixed(maximum, digits)})"


def loa_text(bias: float | None, half_width: float | None) -> str:
    """Return bias ± half-width of the limits of agreement in percent.

    >>> loa_text(-0.1731, 3.0664)
    '-0.17 ± 3.07'
    """
    return UNDEFINED if bias is None else f"{fixed(bias, LOA_DIGITS)} ± {fixed(half_width, LOA_DIGITS)}"


def rc_text(rc: float | None, interval: tuple[float, float] | None) -> str:
    """Return percentage RC (95 % CI).

    >>> rc_text(16.71, (13.14, 19.77))
    '16.7 (13.1–19.8)'
    """
    if rc is None:
        return UNDEFINED
    bounds = UNDEFINED if interval is None else "–".join(fixed(bound, RC_DIGITS) for bound in interval)
    return f"{fixed(rc, RC_DIGITS)} ({bounds})"


def count_text(count: int, total: int) -> str:
    """Return a count and its percentage of `total`.

    >>> count_text(460, 813), count_text(0, 0)
    ('460 (56.6)', '0 (–)')
    """
    return f"{count} ({fixed(100 * count / total if total else None, PERCENT_DIGITS)})"


def spread_text(mean: float | None, sd: float | None, minimum: float | None, maximum: float | None) -> str:
    """Return mean ± SD (range) of ages or lengths in mm.

    >>> spread_text(48.64, 14.21, 21, 83)
    '48.6 ± 14.2 (21.0–83.0)'
    """
    return mean_sd_range_text(mean, sd, minimum, maximum, digits=SPREAD_DIGITS)


def millimetres(value: float) -> str:
    """Return a length with at most two decimals, without trailing zeros.

    >>> millimetres(5.0), millimetres(0.625)
    ('5 mm', '0.63 mm')
    """
    return f"{fixed(value, 2).rstrip('0').rstrip('.')} mm"


def interval_text(value: float | None, interval: tuple[float, float] | None, digits: int) -> str:
    """Return a value with its interval; `to` separates the bounds, since they can be negative.

    >>> interval_text(-0.171, (-0.424, 0.081), 2), interval_text(0.5, None, 2), interval_text(None, None, 2)
    ('-0.17 (-0.42 to 0.08)', '0.50 (–)', '–')
    """
    if value is None:
        return UNDEFINED
    return f"{fixed(value, digits)} ({_bounds_text(interval, digits)})"


def two_intervals_text(
    value: float | None, first: tuple[float, float] | None, second: tuple[float, float] | None, digits: int
) -> str:
    """Return a value with two intervals.

    >>> two_intervals_text(0.973, (0.97, 0.976), (0.969, 0.976), 3)
    '0.973 (0.970 to 0.976; 0.969 to 0.976)'
    """
    if value is None:
        return UNDEFINED
    return f"{fixed(value, digits)} ({_bounds_text(first, digits)}; {_bounds_text(second, digits)})"


def _bounds_text(interval: tuple[float, float] | None, digits: int) -> str:
    return UNDEFINED if interval is None else f"{fixed(interval[0], digits)} to {fixed(interval[1], digits)}"
