"""Numbers as the paper prints them; the only place where a statistic is rounded."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

UNDEFINED: Final = "–"
NOT_APPLICABLE: Final = "NA"

DSS_DIGITS: Final = 3
LOA_DIGITS: Final = 2
RC_DIGITS: Final = 1
PERCENT_DIGITS: Final = 1
SPREAD_DIGITS: Final = 1

# Holds every digit that is printed and loses what floating point added: 0.97249999999999992 is 0.9725.
_SIGNIFICANT: Final = 12


def fixed(value: float | None, digits: int) -> str:
    """`value` with that many decimals, halves rounded away from zero, never a negative zero; a dash if undefined.

    >>> fixed(0.97249999999999992, 3), fixed(-0.001, 2), fixed(None, 2)
    ('0.973', '0.00', '–')
    """
    if value is None:
        return UNDEFINED
    exact = Decimal(f"{value:.{_SIGNIFICANT - 1}e}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{exact if exact else abs(exact):f}"


def p_text(p: float | None) -> str:
    """Two decimals from 0.01 on, three below, `< 0.001` only where three would print 0.000.

    >>> p_text(0.6), p_text(0.0071), p_text(0.0005), p_text(0.0004999)
    ('0.60', '0.007', '0.001', '< 0.001')
    """
    if p is None:
        return UNDEFINED
    if p >= 0.01:
        return fixed(p, 2)
    text = fixed(p, 3)
    return "< 0.001" if text == "0.000" else text


def dss_text(mean: float | None, sd: float | None, minimum: float | None, maximum: float | None) -> str:
    """Mean ± SD (range) of DSS.

    >>> dss_text(0.9731, 0.0188, 0.9072, 0.9991)
    '0.973 ± 0.019 (0.907–0.999)'
    """
    if mean is None:
        return UNDEFINED
    low, high = fixed(minimum, DSS_DIGITS), fixed(maximum, DSS_DIGITS)
    return f"{fixed(mean, DSS_DIGITS)} ± {fixed(sd, DSS_DIGITS)} ({low}–{high})"


def loa_text(bias: float | None, half_width: float | None) -> str:
    """Bias ± 1.96 SD in percent.

    >>> loa_text(-0.1731, 3.0664)
    '-0.17 ± 3.07'
    """
    return UNDEFINED if bias is None else f"{fixed(bias, LOA_DIGITS)} ± {fixed(half_width, LOA_DIGITS)}"


def rc_text(rc: float | None, lower: float | None, upper: float | None) -> str:
    """Percentage RC (95 % CI).

    >>> rc_text(16.71, 13.14, 19.77)
    '16.7 (13.1–19.8)'
    """
    if rc is None:
        return UNDEFINED
    interval = UNDEFINED if lower is None else f"{fixed(lower, RC_DIGITS)}–{fixed(upper, RC_DIGITS)}"
    return f"{fixed(rc, RC_DIGITS)} ({interval})"


def count_text(count: int, of: int) -> str:
    """A number and its share of `of` in percent.

    >>> count_text(460, 813), count_text(0, 0)
    ('460 (56.6)', '0 (–)')
    """
    return f"{count} ({fixed(100 * count / of if of else None, PERCENT_DIGITS)})"


def spread_text(mean: float | None, sd: float | None, minimum: float | None, maximum: float | None) -> str:
    """Mean ± SD (range) of ages or millimetres.

    >>> spread_text(48.64, 14.21, 21, 83)
    '48.6 ± 14.2 (21.0–83.0)'
    """
    if mean is None:
        return UNDEFINED
    low, high = fixed(minimum, SPREAD_DIGITS), fixed(maximum, SPREAD_DIGITS)
    return f"{fixed(mean, SPREAD_DIGITS)} ± {fixed(sd, SPREAD_DIGITS)} ({low}–{high})"


def millimetres(value: float) -> str:
    """A length as it is named: two decimals at most, no zeros at their end.

    >>> millimetres(5.0), millimetres(0.625)
    ('5 mm', '0.63 mm')
    """
    return f"{fixed(value, 2).rstrip('0').rstrip('.')} mm"
