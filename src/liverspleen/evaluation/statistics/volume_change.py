"""Volume change of an organ between two CT scans of a patient, compared with measurement error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from liverspleen.evaluation.statistics.arrays import float_of
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.reproducibility import RC_QUANTILE
from liverspleen.evaluation.statistics.samples import Result

Verdict = Literal["beyond", "between", "within"]

MEANINGS: Final[Mapping[Verdict, str]] = {
    "beyond": "beyond measurement error",
    "between": "between: the change is within the interval of the RC",
    "within": "within measurement error",
}

_NOT_COMPARABLE: Final[Mapping[str, str]] = {
    "truncated": "only a part of the organ is in the image",
    "absent": "it has no voxel",
    "implausible": "its size is not plausible for the organ",
}
"""Statuses of volumes that give no change; `multi_part` is accepted, as after hepatectomy."""


@dataclass(frozen=True)
class VolumeChange(Result):
    """A change between two measurements, `before` and `after`, compared with a percentage RC.

    `change_pct` is in percent of the mean of the two, as is the RC; `change_of_first_pct` is the same change in
    percent of the first. `band_pct` = ± RC, and `band_of_first_pct` is the same band in percent of the first, which is
    asymmetric; its upper end is None for an RC of 200 % or more. None is undefined, and `reason` says why.
    """

    before: float | None
    after: float | None
    before_status: str
    after_status: str
    difference: float | None
    change_pct: float | None
    change_of_first_pct: float | None
    rc_pct: float | None
    rc_ci: Interval | None
    band_pct: Interval | None
    band_of_first_pct: tuple[float, float | None] | None
    verdict: Verdict | None
    method: str
    reason: str | None


def volume_change(
    before: float | None,
    after: float | None,
    *,
    rc_pct: float | None,
    rc_ci: tuple[float, float] | None = None,
    before_status: str = "ok",
    after_status: str = "ok",
) -> VolumeChange:
    """Compute the change from `before` to `after`, and decide whether it exceeds measurement error.

    Change = 200 (after - before) / (after + before), in percent of the mean of both, as is the percentage RC =
    1.96 √(2 wCV²): two measurements of an unchanged organ differ by less than the RC, in percent of their mean, in 95 %
    of cases. With the 95 % interval of the RC there are three verdicts: `beyond` if the change is larger than the upper
    end, `within` if it is not larger than the lower end, `between` otherwise. Without an interval, the RC is both ends.

    Undefined, with a reason: if a volume is missing (None, NaN) or its status is truncated, absent or implausible; for
    two zeros; without an RC.

    Raises:
        ValueError: a volume is negative or not finite, the RC is not finite and above 0, or not within its interval.

    Source: Raunig et al., Stat Methods Med Res 2015;24:27-67; RC as in Ahn et al. 2020.

    >>> found = volume_change(1500.0, 1230.0, rc_pct=16.7, rc_ci=(13.1, 19.8))
    >>> round(found.change_pct, 2), round(found.change_of_first_pct, 1), found.verdict
    (-19.78, -18.0, 'between')
    >>> volume_change(180.0, 240.0, rc_pct=10.0, after_status="truncated").reason
    'the second volume is truncated: only a part of the organ is in the image'
    """
    before, after, rc_pct = float_of(before, "before"), float_of(after, "after"), float_of(rc_pct, "RC")
    _check(before, after, rc_pct, rc_ci)
    reason = _reason((before, after), (before_status, after_status))
    difference = of_mean = of_first = None
    if reason is None and before is not None and after is not None:
        difference = after - before
        of_mean = 200 * difference / (after + before)
        of_first = 100 * difference / before if before else None
    ends = None if rc_pct is None else Interval(*(rc_ci or (rc_pct, rc_pct)))
    return VolumeChange(
        before=before,
        after=after,
        before_status=before_status,
        after_status=after_status,
        difference=difference,
        change_pct=of_mean,
        change_of_first_pct=of_first,
        rc_pct=rc_pct,
        rc_ci=None if rc_ci is None else Interval(*rc_ci),
        band_pct=None if rc_pct is None else Interval(-rc_pct, rc_pct),
        band_of_first_pct=None if rc_pct is None else _of_first(rc_pct),
        verdict=None if of_mean is None or ends is None else _verdict(abs(of_mean), ends),
        method=f"change = 200 (after - before) / (after + before), compared with %RC = {RC_QUANTILE} sqrt(2 wCV^2)"
        + (" and its 95 % interval" if rc_ci else ""),
        reason=reason or ("no RC is given" if rc_pct is None else None),
    )


def is_comparable(volume: float | None, status: str) -> bool:
    """Return whether a volume with this status can be compared with another one.

    >>> is_comparable(180.0, "multi_part"), is_comparable(180.0, "truncated"), is_comparable(None, "ok")
    (True, False, False)
    """
    return volume is not None and not any(term in _NOT_COMPARABLE for term in status.split(";"))


def false_alarm_probability(comparisons: int) -> float:
    """Return the probability that one of several CT scans of an unchanged organ differs from the first by > the RC.

    The errors are normal and independent with the within-subject SD: 1 - E[(Φ(z + c) - Φ(z - c))^k] over the error z
    of the first CT scan, with c = 1.96 √2. By Gauss-Legendre quadrature.

    >>> [round(false_alarm_probability(k), 4) for k in (1, 2)]
    [0.05, 0.0907]
    """
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(200)
    z, reach = nodes * 9, RC_QUANTILE * math.sqrt(2)
    inside = (ndtr(z + reach) - ndtr(z - reach)) ** comparisons
    return 1 - float(weights @ (inside * np.exp(-(z**2) / 2))) * 9 / math.sqrt(2 * math.pi)


def _verdict(size: float, ends: Interval) -> Verdict:
    if size > ends.upper:
        return "beyond"
    return "within" if size <= ends.lower else "between"


def _of_first(rc_pct: float) -> tuple[float, float | None]:
    """Return the band ± RC in percent of the first volume: after / before = (200 ± RC) / (200 ∓ RC)."""
    upper = 100 * ((200 + rc_pct) / (200 - rc_pct) - 1) if rc_pct < 200 else None
    return max(-100.0, 100 * ((200 - rc_pct) / (200 + rc_pct) - 1)), upper


def _reason(volumes: tuple[float | None, float | None], statuses: tuple[str, str]) -> str | None:
    reasons = []
    for which, volume, status in zip(("first", "second"), volumes, statuses, strict=True):
        problems = [f"{term}: {_NOT_COMPARABLE[term]}" for term in status.split(";") if term in _NOT_COMPARABLE]
        if problems:
            reasons.append(f"the {which} volume is {', and '.join(problems)}")
        elif volume is None:
            reasons.append(f"the {which} volume is missing")
    if not reasons and volumes == (0, 0):
        reasons.append("both volumes are 0")
    return "; ".join(reasons) or None


def _check(before: float | None, after: float | None, rc_pct: float | None, rc_ci: tuple[float, float] | None) -> None:
    for name, volume in (("before", before), ("after", after)):
        if volume is not None and not (math.isfinite(volume) and volume >= 0):
            raise ValueError(f"{name} is {volume}, expected a volume of 0 or more")
    if rc_pct is not None and not (math.isfinite(rc_pct) and rc_pct > 0):
        raise ValueError(f"RC is {rc_pct}, expected a number above 0")
    if rc_ci is not None and not (
        rc_pct is not None and 0 <= rc_ci[0] <= rc_pct <= rc_ci[1] and math.isfinite(rc_ci[1])
    ):
        raise ValueError(f"interval {rc_ci} of the RC does not contain the RC {rc_pct}")
