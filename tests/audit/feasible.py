"""Decide if data with the printed numbers exist, by constructing and printing data, without the rules of the audit.

For each kind of relation the extreme data sets are constructed with numpy, over a grid of the unrounded values that
give the printed numbers, ends included. Moving cases gives all results between two of them. So a relation is feasible
if the extremes of its result, printed with the digits of the number, enclose the printed one. The grid is finite: it
can miss data that barely exist, but never accepts data that do not exist. So the fraction of issues found is at most
too low, and a finding for feasible data is a false alarm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from papers import Paper, printed
from scipy import optimize, stats

Box = tuple[float, float]
CLOSE = 1e-9  # relative error of floating point
RANGES = {"percent": (0, 100), "p": (0, 1), "sd": (0, math.inf), "half_width": (0, math.inf), "rc": (0, math.inf)}


def is_findable(paper: Paper, changed: str) -> bool:
    """Whether no data of the stated form give this number."""
    row = paper.rows[changed]
    low, high = RANGES.get(row["quantity"], (-math.inf, math.inf))
    if not overlap(box(paper, changed), (low, high)):
        return True
    return any(not feasible(paper, claim) for claim in paper.claims if changed in ids_in(claim["cells"]))


def ids_in(cells: Any) -> set[str]:
    """Every id in the cells of a claim."""
    if isinstance(cells, str):
        return {cells}
    return set().union(*(ids_in(part) for part in (cells.values() if isinstance(cells, dict) else cells)))


def box(paper: Paper, name: str) -> Box:
    """The unrounded values that give the printed number."""
    row = paper.rows[name]
    text = row["printed"]
    if text[0] in "<>":
        return (0.0, float(text[1:])) if text[0] == "<" else (float(text[1:]), math.inf)
    value = Decimal(text)
    half = Decimal(0) if row["quantity"] == "count" else Decimal(5).scaleb(value.as_tuple().exponent - 1)
    low = float(value - half)
    return (max(low, 0.0) if row["quantity"] in {"sd", "half_width", "p"} else low), float(value + half)


def overlap(a: Box, b: Box) -> bool:
    """Whether two intervals share a number, up to the error of floating point."""
    slack = CLOSE * max(abs(bound) for bound in (*a, *b, 1e-300) if math.isfinite(bound))
    return max(a[0], b[0]) <= min(a[1], b[1]) + slack


def grid(interval: Box, points: int = 5) -> np.ndarray:
    """Values of a box, ends included."""
    return np.unique(np.linspace(*interval, points))


def feasible(paper: Paper, claim: Mapping[str, Any]) -> bool:
    """Whether data exist for one relation."""
    return bool(globals()[f"_{claim['rule']}"](paper, claim["cells"], claim))


def _n(paper: Paper, name: str) -> int:
    return int(paper.rows[name]["n"])


def _prints(paper: Paper, name: str, value: float) -> bool:
    """Whether a value is printed as this number, with one of two rules for halves."""
    text = paper.rows[name]["printed"]
    digits = len(text.partition(".")[2])
    return text in {printed(value, digits, rounding) for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)}


def _percent(paper: Paper, cells: Mapping[str, str], _: Any) -> bool:
    whole = int(paper.rows[cells["of"]]["printed"]) if "of" in cells else _n(paper, cells["percent"])
    counts = [int(paper.rows[cells["count"]]["printed"])] if "count" in cells else range(whole + 1)
    return whole > 0 and any(_prints(paper, cells["percent"], 100 * count / whole) for count in counts)


def _sum(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    return sum(int(paper.rows[part]["printed"]) for part in cells["parts"]) == int(
        paper.rows[cells["total"]]["printed"]
    )


def _part(paper: Paper, cells: Mapping[str, str], _: Any) -> bool:
    return int(paper.rows[cells["part"]]["printed"]) <= int(paper.rows[cells["whole"]]["printed"])


def _same(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    boxes = [box(paper, name) for name in cells["cells"]]
    return overlap((max(b[0] for b in boxes),) * 2, (-math.inf, min(b[1] for b in boxes)))


def _span(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    boxes = np.array([box(paper, name) for name in cells["cells"]])
    ends = {"lowest": tuple(boxes.min(axis=0)), "highest": tuple(boxes.max(axis=0))}
    return all(overlap(box(paper, cells[name]), end) for name, end in ends.items())


def _bound(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    limit = float(paper.rows[cells["bound"]]["printed"].lstrip("< "))
    return all(box(paper, name)[0] < limit for name in cells["cells"])


def _sample(paper: Paper, cells: Mapping[str, str], claim: Mapping[str, Any]) -> bool:
    n = _n(paper, cells["mean"])
    mean, sd, low, high = (box(paper, cells[name]) for name in ("mean", "sd", "minimum", "maximum"))
    within = claim["within"]
    mean, low, high = ((max(b[0], within[0]), min(b[1], within[1])) for b in (mean, low, high))
    if min(b[1] - b[0] for b in (mean, low, high)) < 0 or not _whole(paper, cells, n, claim):
        return False
    sds = [
        np.std(data, ddof=1)
        for m, a, b in itertools.product(grid(mean), grid(low), grid(high))
        for data in _extreme_samples(n, m, a, b)
    ]
    return bool(sds) and overlap(sd, (min(sds), max(sds)))


def _extreme_samples(n: int, mean: float, low: float, high: float) -> Iterator[list[float]]:
    """The narrowest and the widest data with this mean, minimum and maximum."""
    rest = n * mean - low - high  # of the others
    if low > high or not (n - 2) * low - 1e-12 <= rest <= (n - 2) * high + 1e-12:
        return
    if n == 2 or high == low:
        yield [low, high] + [low] * (n - 2)
        return
    yield [low, high] + [rest / (n - 2)] * (n - 2)
    many = min(int((rest - (n - 2) * low) / (high - low)), n - 3)  # of the others at the maximum; one is between
    yield [low, high] + [high] * many + [low] * (n - 3 - many) + [rest - many * high - (n - 3 - many) * low]


def _whole(paper: Paper, cells: Mapping[str, str], n: int, claim: Mapping[str, Any]) -> bool:
    """Whether whole numbers can have this mean and SD: every sum, with every sum of squares of the same parity."""
    if "step" not in claim:
        return True
    mean, sd = box(paper, cells["mean"]), box(paper, cells["sd"])
    for s in range(math.floor(mean[0] * n) - 1, math.ceil(mean[1] * n) + 2):
        if _prints(paper, cells["mean"], s / n):
            around = [bound**2 * (n - 1) + s * s / n for bound in sd]
            for squares in range(math.floor(around[0]) - 1, math.ceil(around[1]) + 2):
                variance = (squares - s * s / n) / (n - 1)
                is_whole = (squares - s) % 2 == 0 and variance > -1e-9
                if is_whole and _prints(paper, cells["sd"], math.sqrt(max(variance, 0.0))):
                    return True
    return False


def _standard(n: int) -> np.ndarray:
    """Data of mean 0 and SD 1 (n - 1)."""
    data = np.arange(n) - (n - 1) / 2
    return data / data.std(ddof=1)


def _t_test(paper: Paper, cells: Mapping[str, str], _: Any) -> bool:
    n = _n(paper, cells["bias"])
    biases = (
        {*grid(box(paper, cells["bias"]), 9), 0.0}
        if _contains_zero(paper, cells["bias"])
        else grid(box(paper, cells["bias"]), 9)
    )
    found = []
    for bias, half in itertools.product(biases, grid(box(paper, cells["half_width"]), 9)):
        if half > 0:
            found.append(stats.ttest_1samp(_standard(n) * half / 1.96 + bias, 0).pvalue)
    if box(paper, cells["half_width"])[0] == 0:
        found.append(0.0)
    return overlap(box(paper, cells["p"]), (min(found), max(found)))


def _contains_zero(paper: Paper, name: str) -> bool:
    low, high = box(paper, name)
    return low <= 0 <= high


def _kruskal_wallis(paper: Paper, cells: Mapping[str, str], claim: Mapping[str, Any]) -> bool:
    n = _n(paper, cells["p"])
    low, high = box(paper, cells["statistic"]) if "statistic" in cells else (0.0, n - 1)
    if low > n - 1 or high < 0:
        return False
    ends = [float(stats.chi2.sf(h, claim["groups"] - 1)) for h in (min(high, n - 1), max(low, 0.0))]
    return overlap(box(paper, cells["p"]), (ends[0], ends[1]))


def _wilcoxon(paper: Paper, cells: Mapping[str, str], _: Any) -> bool:
    n = _n(paper, cells["p"])
    if "statistic" not in cells:
        return box(paper, cells["p"])[1] >= min(2 * stats.norm.sf(math.sqrt(n)), 2 / 2**n)
    sizes = sorted(abs(bound) for bound in box(paper, cells["statistic"]))
    low = 0.0 if _contains_zero(paper, cells["statistic"]) else sizes[0]
    if low > math.sqrt(n):
        return False
    ends = 2 * stats.norm.sf(min(sizes[1], math.sqrt(n))), 2 * stats.norm.sf(low)
    return overlap(box(paper, cells["p"]), (float(ends[0]), float(ends[1])))


def _limits(paper: Paper, cells: Mapping[str, str], _: Any) -> bool:
    bias, lower, upper = (box(paper, cells[name]) for name in ("bias", "lower", "upper"))
    if "half_width" not in cells:
        return overlap(bias, ((lower[0] + upper[0]) / 2, (lower[1] + upper[1]) / 2))
    half = box(paper, cells["half_width"])
    return overlap(lower, (bias[0] - half[1], bias[1] - half[0])) and overlap(
        upper, (bias[0] + half[0], bias[1] + half[1])
    )


def _rc_interval(paper: Paper, cells: Mapping[str, str], claim: Mapping[str, Any]) -> bool:
    df, rc = claim["df"], box(paper, cells["rc"])
    factors = {"rc_lower": stats.chi2.ppf(0.975, df), "rc_upper": stats.chi2.ppf(0.025, df)}
    made = {name: tuple(bound * math.sqrt(df / quantile) for bound in rc) for name, quantile in factors.items()}
    return all(overlap(box(paper, cells[name]), made[name]) for name in made)


def _union(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    centre, spread, scale = ("mean", "sd", 1.0) if "mean" in cells else ("bias", "half_width", 1.96)
    groups = cells["groups"]
    sizes = np.array([_n(paper, group[centre]) for group in groups])
    means = np.array([box(paper, group[centre]) for group in groups])
    sds = np.array([box(paper, group[spread]) for group in groups]) / scale
    if not overlap(box(paper, cells[centre]), tuple(sizes @ means / sizes.sum())):
        return False
    for name, pick in (("minimum", np.min), ("maximum", np.max)):
        if name in cells:
            ends = np.array([box(paper, group[name]) for group in groups])
            if not overlap(box(paper, cells[name]), tuple(pick(ends, axis=0))):
                return False

    def pooled(m: np.ndarray, s: np.ndarray) -> float:
        """SD of the union of data with these means and SDs."""
        return float(
            np.std(np.concatenate([_standard(k) * b + a for k, a, b in zip(sizes, m, s, strict=True)]), ddof=1)
        )

    most = max(pooled(np.array(corner), sds[:, 1]) for corner in itertools.product(*means))
    start = means.mean(axis=1)
    unit = max(float(np.ptp(means)), 1e-12)
    fit = optimize.minimize(
        lambda x: pooled(x * unit + start, sds[:, 0]) / unit,
        np.zeros(len(sizes)),
        bounds=(means - start[:, None]) / unit,
    )
    return overlap(box(paper, cells[spread]), (float(fit.fun) * unit * scale, most * scale))


def _ratio(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    """Data with the printed means and SDs; one case is as extreme as possible in both, or in none."""
    n = _n(paper, cells["ratio"]["bias"])
    boxes = [box(paper, cells[part][name]) for part in ("numerator", "denominator") for name in ("bias", "half_width")]
    outlier = np.full(n, -1.0)
    outlier[0] = n - 1
    outlier /= outlier.std(ddof=1)
    plain = _standard(n)
    biases, halves = [], []
    for u_mean, u_half, v_mean, v_half in itertools.product(*boxes):
        for x, y in itertools.product((outlier, -outlier, plain, -plain), repeat=2):
            u, v = u_mean + u_half / 1.96 * x, v_mean + v_half / 1.96 * y
            if max(np.abs(u).max(), np.abs(v).max()) < 200:
                ratio = (200 + u) / (200 - u) * (200 - v) / (200 + v)
                difference = 200 * (ratio - 1) / (ratio + 1)
                biases.append(difference.mean())
                halves.append(1.96 * difference.std(ddof=1))
    if not biases:
        return True
    made = cells["ratio"]
    return overlap(box(paper, made["bias"]), (min(biases), max(biases))) and overlap(
        box(paper, made["half_width"]), (min(halves), max(halves))
    )


def _overlap(paper: Paper, cells: Mapping[str, Any], _: Any) -> bool:
    """The largest differences are ± 200 (1 - DSS): their mean absolute and mean square values bound those printed."""
    n = _n(paper, cells["bias"])
    bias, half = box(paper, cells["bias"]), box(paper, cells["half_width"])
    least = 0.0 if bias[0] <= 0 <= bias[1] else min(abs(bound) for bound in bias)
    for mean, sd in itertools.product(grid(box(paper, cells["dss"]["mean"])), grid(box(paper, cells["dss"]["sd"]))):
        largest = 200 * (1 - (mean + sd * _standard(n)))
        square = least**2 + (half[0] / 1.96) ** 2 * (n - 1) / n
        if least <= largest.mean() * (1 + CLOSE) and square <= np.mean(largest**2) * (1 + CLOSE):
            return True
    return False
