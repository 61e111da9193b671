"""Rules for percent differences d = 200 (a - b)/(a + b): of a ratio and of its parts, and of volumes and overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.intervals import Interval, outward
from liverspleen.audit.rule import Relation, Rule, Sample, Violation, names, outside


def _ratio(relation: Relation) -> Iterator[Violation]:
    """Check that the difference of a ratio is nearly that of the numerator minus that of the denominator.

    With u = d/200 the difference of the ratio is (u - v)/(1 - uv) = u - v + δ, with δ = (u - v)uv/(1 - uv). |u| is at
    most |mean| + SD (n - 1)/√n (Samuelson 1968). This bounds the mean and the SD of δ.
    """
    ratio, numerator, denominator = (relation.samples[role][0] for role in ("ratio", "numerator", "denominator"))
    means, sds = _means_and_sds(numerator, denominator)
    if ratio.centre is None or len({ratio.n, numerator.n, denominator.n}) > 1:
        raise ValueError("the ratio has no mean, or a different n than its parts")
    correction = _correction(means, sds, ratio.n)
    if correction is None:
        return
    shift, spread = correction
    parts = names([part for sample in (numerator, denominator) if (part := sample.centre)])
    yield from outside(ratio.centre, means[0] - means[1] + shift, f"difference of {parts}")
    if ratio.spread is not None:
        least = max((sds[0] - sds[1]).lower, (sds[1] - sds[0]).lower, Fraction(0)) - spread
        most = (sds[0] + sds[1]).upper + spread
        between = ratio.printed_sd(Interval(max(least, Fraction(0)), most))
        yield from outside(ratio.spread, between, "between the difference and the sum of the SDs of its parts")


def _means_and_sds(*samples: Sample) -> tuple[list[Interval], list[Interval]]:
    """Return the means and the SDs of all samples."""
    means = [mean for sample in samples if (mean := sample.mean) is not None]
    sds = [sd for sample in samples if (sd := sample.sd) is not None]
    if len(means) + len(sds) < 2 * len(samples):
        raise ValueError("the rule needs mean and SD of both parts")
    return means, sds


def _correction(means: list[Interval], sds: list[Interval], n: int) -> tuple[Interval, Fraction] | None:
    """Return bounds of the mean and of the SD of δ, in percent; None if |uv| can reach 1."""
    u, v = (float(mean.magnitude.upper) / 200 for mean in means)
    s, r = (float(sd.upper) / 200 for sd in sds)
    reach = (n - 1) / math.sqrt(n)
    u_most, v_most = u + s * reach, v + r * reach
    least_denominator = 1 - u_most * v_most
    if not least_denominator > 0 or math.isinf(u_most + v_most):
        return None
    u_square, v_square = (mean**2 + sd**2 * (n - 1) / n for mean, sd in ((u, s), (v, r)))
    on_average = (v_most * u_square + u_most * v_square) / least_denominator
    at_most = (u_most**2 * v_most + u_most * v_most**2) / least_denominator
    spread = math.sqrt(n / (n - 1) * at_most * on_average) if n > 1 else 0.0
    return outward(-200 * on_average, 200 * on_average), Fraction(outward(0.0, 200 * spread).upper)


def _overlap(relation: Relation) -> Iterator[Violation]:
    """Check that volumes differ by no more than the overlap of the masks allows.

    |a - b|/(a + b) ≤ 1 - DSS in every case. So |mean d| ≤ 200 (1 - mean DSS), and
    mean² + SD² (n - 1)/n ≤ 200² (mean of (1 - DSS)²).
    """
    sample, dss = relation.sample, relation.samples["dss"][0]
    if sample.centre is None or sample.mean is None or dss.mean is None or dss.centre is None or sample.n != dss.n:
        raise ValueError("the rule needs the means of the differences and of the DSS, with the same n")
    missed = Interval.of(1) - dss.mean
    reach = missed.times(200).upper
    yield from outside(sample.centre, Interval(-reach, reach), f"|mean| ≤ 200 (1 - mean DSS): {names([dss.centre])}")
    if sample.spread is None or sample.sd is None or dss.sd is None:
        return
    n = sample.n
    squares = (missed.square + dss.sd.square.times(Fraction(n - 1, n))).times(200**2)
    variance = (squares - sample.mean.square).times(Fraction(n, n - 1) if n > 1 else 1)
    most = Interval(Fraction(0), max(variance.upper, Fraction(0))).root.upper
    admissible = sample.printed_sd(Interval(Fraction(0), most))
    yield from outside(sample.spread, admissible, "mean square of the differences ≤ 200² mean of (1 - DSS)²")


RULES: Final = (
    Rule(
        "ratio",
        "impossible",
        "bias of a/b = bias of a - bias of b, up to terms of third order; |SD a - SD b| ≤ SD ≤ SD a + SD b",
        {"ratio": "sample", "numerator": "sample", "denominator": "sample"},
        _ratio,
    ),
    Rule(
        "overlap",
        "impossible",
        "|a - b|/(a + b) ≤ 1 - DSS in every case, so |bias| ≤ 200 (1 - mean DSS); the same for mean squares",
        {
            **{"mean?": "one", "sd?": "one", "bias?": "one", "half_width?": "one"},
            "dss": "sample",
        },
        _overlap,
    ),
)
