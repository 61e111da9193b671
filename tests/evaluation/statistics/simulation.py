"""Coverage of the intervals and level of the tests by simulation: the numbers of docs/statistics.md.

Run from the root of the repository: python tests/evaluation/statistics/simulation.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import numpy as np
from scipy import stats

from liverspleen.evaluation.statistics import intervals
from liverspleen.evaluation.statistics.bootstrap import bca_interval, bootstrap_ci, ratio_jackknife, ratio_replicates
from liverspleen.evaluation.statistics.dunn import dunn
from liverspleen.evaluation.statistics.equivalence import tost
from liverspleen.evaluation.statistics.hodges_lehmann import hodges_lehmann
from liverspleen.evaluation.statistics.rank_tests import kruskal_wallis, wilcoxon_signed_rank
from liverspleen.evaluation.statistics.rc_comparison import _exchange_p
from liverspleen.evaluation.statistics.reliability import concordance_correlation, icc
from liverspleen.evaluation.statistics.within_subject import within_variances

MANY = 200_000  # Monte Carlo standard error of 95 %: 0.05 %
SOME = 4_000  # 0.34 %
RESAMPLES = 2_000  # for intervals that are simulated many times
SEED = 1

LIMIT_METHODS: dict[str, Callable[[float, float, int], intervals.LimitIntervals]] = {
    "Bland-Altman 1986": "ba1986",
    "Bland-Altman 1999": "ba1999",
    "MOVER": "mover",
    "exact per limit": "exact",
}


def limit_coverage(method: str, n: int) -> float:
    """How often the interval of the upper limit contains the true one, for normal differences."""
    mean, sd = _moments(n)
    # Every method is mean + c SD; c depends only on n.
    found = intervals.agreement_intervals(
        0.0, 1.0, n, multiplier=intervals.LOA_MULTIPLIER, confidence=intervals.CONFIDENCE
    )
    inner, outer = getattr(found, LIMIT_METHODS[method]).loa_upper_ci
    return float(
        ((mean + inner * sd <= intervals.LOA_MULTIPLIER) & (mean + outer * sd >= intervals.LOA_MULTIPLIER)).mean()
    )


def pair_coverage(n: int) -> float:
    """How often the inner limits contain less than 95 % of the population, and the outer limits more."""
    mean, sd = _moments(n)
    inner, outer = (
        stats.norm.cdf(mean + factor * sd) - stats.norm.cdf(mean - factor * sd)
        for factor in intervals.exact_pair_factors(n)
    )
    return float(((inner <= intervals.CONTENT) & (outer >= intervals.CONTENT)).mean())


def moment_coverage(n: int) -> tuple[float, float]:
    """How often the t interval contains the true mean, and the χ² interval the true SD."""
    mean, sd = _moments(n)
    half = intervals.mean_interval(0.0, 1.0, n)[1]
    lower, upper = intervals.sd_interval(1.0, n - 1)
    return float((np.abs(mean) <= half * sd).mean()), float(((lower * sd <= 1) & (upper * sd >= 1)).mean())


def rc_coverage(n: int, wcv: float, repeats: int = 2) -> float:
    """How often the χ² interval of the %RC contains the true one, for normal repeats."""
    rng = np.random.default_rng(SEED)
    runs = min(MANY, 3_000_000 // n)
    values = 1 + wcv * rng.standard_normal((runs * n, repeats))
    squares = within_variances(values) / values.mean(axis=1) ** 2
    return _chi_square_coverage(squares.reshape(runs, n), wcv, n * (repeats - 1))


def log_rc_coverage(n: int, wcv: float, repeats: int = 2) -> float:
    """The same for the version from logarithms, for lognormal repeats."""
    rng = np.random.default_rng(SEED)
    runs = min(MANY, 3_000_000 // n)
    sw = float(np.sqrt(np.log1p(wcv**2)))
    squares = within_variances(sw * rng.standard_normal((runs * n, repeats)))
    return _chi_square_coverage(squares.reshape(runs, n), sw, n * (repeats - 1))


def _chi_square_coverage(squares: np.ndarray, truth: float, df: int) -> float:
    estimate = np.sqrt(squares.mean(axis=1))
    lower, upper = intervals.sd_interval(1.0, df)
    return float(((lower * estimate <= truth) & (upper * estimate >= truth)).mean())


def rc_bca_coverage(n: int, wcv: float) -> float:
    """How often the BCa interval of the %RC of pairs contains the true one."""
    rng = np.random.default_rng(SEED)

    def once(run: int) -> bool:
        values = 1 + wcv * rng.standard_normal((n, 2))
        squares, ones = within_variances(values) / values.mean(axis=1) ** 2, np.ones(n)
        replicates = np.sqrt(ratio_replicates(squares, ones, resamples=RESAMPLES, seed=run))
        found = bca_interval(float(np.sqrt(squares.mean())), replicates, np.sqrt(ratio_jackknife(squares, ones)))
        return found is not None and found.interval.lower <= wcv <= found.interval.upper

    return _fraction(once, SOME // 2)


def rc_ratio_bca_coverage(n: int) -> float:
    """How often the BCa interval of the ratio of two wCV contains the true one; readers share the error of the scan."""
    rng = np.random.default_rng(SEED)
    truth = float(np.log(np.hypot(0.05, 0.04) / np.hypot(0.05, 0.02)))

    def once(run: int) -> bool:
        scan = 0.05 * rng.standard_normal((n, 2))
        test, reference = (scan + error * rng.standard_normal((n, 2)) for error in (0.04, 0.02))
        first, second = within_variances(1 + test), within_variances(1 + reference)
        replicates = np.log(ratio_replicates(first, second, resamples=RESAMPLES, seed=run)) / 2
        jackknife = np.log(ratio_jackknife(first, second)) / 2
        found = bca_interval(float(np.log(first.sum() / second.sum())) / 2, replicates, jackknife)
        return found is not None and found.interval.lower <= truth <= found.interval.upper

    return _fraction(once, SOME // 2)


def dss_coverage(n: int, *, per_patient: int = 1) -> tuple[float, float]:
    """How often the t and the BCa interval contain the mean of skewed DSS; CT scans of a patient correlate at 0.6."""
    rng = np.random.default_rng(SEED)
    hits = np.zeros(2)
    clusters = np.repeat(np.arange(n), per_patient).tolist()
    for run in range(SOME // 2):
        # 1 - DSS is a gamma variable of shape 1.5 (skewness 1.6) and mean 0.04.
        shared, own = (rng.gamma(1.5, 0.04 / 1.5, size) for size in ((n, 1), (n, per_patient)))
        loss = np.where(rng.random((n, per_patient)) < np.sqrt(0.6), shared, own)
        found = bootstrap_ci((1 - loss).ravel(), clusters=clusters, resamples=RESAMPLES, seed=run)
        for position, interval in enumerate((found.estimate_t_ci, found.estimate_bca_ci)):
            hits[position] += interval is not None and interval[0] <= 0.96 <= interval[1]
    return tuple((hits / (SOME // 2)).tolist())  # type: ignore[return-value]


def exchange_level(n: int, shape: str) -> float:
    """How often two readers with the same true wCV get p ≤ 0.05; the repeats of both share the error of the scan."""
    rng = np.random.default_rng(SEED)

    def once(_: int) -> bool:
        scan = 0.05 * rng.standard_normal((n, 2))
        error = rng.standard_t(3, (2, n, 2)) if shape == "heavy tails" else rng.standard_normal((2, n, 2))
        if shape == "one reader with outliers":  # the same variance: the null hypothesis without exchangeability
            error[0] = rng.standard_t(3, (n, 2)) / np.sqrt(3)
        error *= 0.03
        if shape == "spread by subject":
            error *= rng.lognormal(0, 0.7, (n, 1))
        shift = np.array([0.0, 0.05])  # between the two sites, the same for both readers
        squares = [within_variances(1 + scan + shift + part) for part in error]
        return _exchange_p(squares[0] - squares[1]) <= 0.05

    return _fraction(once, SOME if n <= 13 else SOME // 4)


def rank_test_levels(n: int) -> dict[str, float]:
    """How often true null hypotheses get p ≤ 0.05: n pairs, or five groups of n."""
    rng = np.random.default_rng(SEED)
    names = "abcde"

    def dunn_rejects(_: int) -> bool:
        pairs = dunn(dict(zip(names, rng.standard_normal((5, n)), strict=True))).pairs
        return min(pair.p_holm for pair in pairs) <= 0.05

    tests: dict[str, Callable[[int], bool]] = {
        "Wilcoxon": lambda _: _p(wilcoxon_signed_rank(rng.standard_normal(n), np.zeros(n)).p) <= 0.05,
        "Wilcoxon, rounded": lambda _: _p(wilcoxon_signed_rank(rng.standard_normal(n).round(0), np.zeros(n)).p) <= 0.05,
        "Kruskal-Wallis": lambda _: (
            _p(kruskal_wallis(dict(zip(names, rng.standard_normal((5, n)), strict=True))).p) <= 0.05
        ),
        "Dunn, any of ten pairs (Holm)": dunn_rejects,
    }
    return {name: _fraction(test, SOME) for name, test in tests.items()}


def tost_level(n: int) -> float:
    """How often readers with a true difference of the margin (3 SD) are reported as equivalent."""
    rng = np.random.default_rng(SEED)
    return _fraction(lambda _: bool(tost(3 + rng.standard_normal(n), np.zeros(n), margin=3.0).equivalent), SOME)


def shift_coverage(n: int) -> float:
    """How often the Hodges-Lehmann interval contains the true shift of a symmetric, heavy-tailed distribution."""
    rng = np.random.default_rng(SEED)

    def once(_: int) -> bool:
        interval = hodges_lehmann(rng.standard_t(3, n))[1]
        return interval is not None and interval[0] <= 0 <= interval[1]

    return _fraction(once, SOME)


def reliability_coverage(n: int, k: int) -> dict[str, float]:
    """How often the intervals of ICC(C,1), ICC(A,1) and, for two readers, CCC contain the true value."""
    rng = np.random.default_rng(SEED)
    subjects, readers, error = 1.0, 0.1, 0.25
    truth = {"ICC(C,1)": subjects / (subjects + error), "ICC(A,1)": subjects / (subjects + readers + error)}
    hits = dict.fromkeys((*truth, "CCC"), 0)
    for _ in range(SOME):
        table = np.sqrt(subjects) * rng.standard_normal((n, 1)) + np.sqrt(error) * rng.standard_normal((n, k))
        shifts = np.sqrt(readers) * rng.standard_normal(k)
        found = icc(table + shifts)
        for name, interval in (("ICC(C,1)", found.icc_c1_ci), ("ICC(A,1)", found.icc_a1_ci)):
            hits[name] += interval is not None and interval[0] <= truth[name] <= interval[1]
        if k == 2:
            fixed = concordance_correlation(table[:, 0] + 0.3, table[:, 1]).ccc_ci
            ccc = 2 * subjects / (2 * (subjects + error) + 0.3**2)
            hits["CCC"] += fixed is not None and fixed[0] <= ccc <= fixed[1]
    return {name: hit / SOME for name, hit in hits.items() if name != "CCC" or k == 2}


def _moments(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of `MANY` samples of n standard normal values, from their distributions."""
    rng = np.random.default_rng(SEED)
    return rng.standard_normal(MANY) / np.sqrt(n), np.sqrt(rng.chisquare(n - 1, MANY) / (n - 1))


def _p(p: float | None) -> float:
    return 1.0 if p is None else p


def _fraction(once: Callable[[int], bool], runs: int) -> float:
    return sum(map(once, range(runs))) / runs


def _rows(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(map(str, heads)), ["---"] * len(list(heads)), *(list(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"


def _cell(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Print every table of docs/statistics.md."""
    sizes = (2, 3, 5, 10, 20, 30, 50, 150)
    write = sys.stdout.write
    write(
        _rows(
            ["limits, normal differences", *(f"n = {n}" for n in sizes)],
            [
                *([name, *(limit_coverage(name, n) for n in sizes)] for name in LIMIT_METHODS),
                ["exact as a pair", *map(pair_coverage, sizes)],
                ["bias (t)", *(moment_coverage(n)[0] for n in sizes)],
                ["SD (χ²)", *(moment_coverage(n)[1] for n in sizes)],
            ],
        )
    )
    wcvs = (0.01, 0.05, 0.1, 0.15, 0.2, 0.3)
    designs = ((5, 2), (10, 2), (30, 2), (50, 2), (150, 2), (30, 3))
    write(
        _rows(
            ["%RC (χ²), wCV", *(f"{100 * wcv:.0f} %" for wcv in wcvs)],
            [
                *([f"n = {n}, K = {k}", *(rc_coverage(n, wcv, k) for wcv in wcvs)] for n, k in designs),
                *([f"n = {n}, K = 2, log version", *(log_rc_coverage(n, wcv) for wcv in wcvs)] for n in (10, 50)),
            ],
        )
    )
    counts = (5, 10, 15, 30, 50)
    plain, twice = ([dss_coverage(n, per_patient=count) for n in counts] for count in (1, 2))
    write(
        _rows(
            ["BCa", *(f"n = {n}" for n in counts)],
            [
                ["%RC, wCV 5 %", *(rc_bca_coverage(n, 0.05) for n in counts)],
                ["%RC, wCV 20 %", *(rc_bca_coverage(n, 0.2) for n in counts)],
                ["ratio of two readers' wCV", *(rc_ratio_bca_coverage(n) for n in counts)],
                ["mean DSS, t", *(found[0] for found in plain)],
                ["mean DSS, BCa", *(found[1] for found in plain)],
                ["mean DSS, two CT scans per patient, t", *(found[0] for found in twice)],
                ["mean DSS, two CT scans per patient, BCa", *(found[1] for found in twice)],
            ],
        )
    )
    write(
        _rows(
            ["other intervals", "coverage"],
            [
                *([f"Hodges-Lehmann shift, n = {n}", shift_coverage(n)] for n in (8, 30, 80)),
                *(
                    [f"{name}, n = {n}, k = {k}", fraction]
                    for n, k in ((10, 2), (30, 2), (30, 4))
                    for name, fraction in reliability_coverage(n, k).items()
                ),
            ],
        )
    )
    write(
        _rows(
            ["tests, true null hypothesis", "p ≤ 0.05"],
            [
                *(
                    [f"{name}, n = {n}", fraction]
                    for n in (6, 10, 30)
                    for name, fraction in rank_test_levels(n).items()
                ),
                *([f"TOST at the margin, n = {n}", tost_level(n)] for n in (5, 30)),
                *(
                    [f"DLA against reference RC, n = {n}, {shape}", exchange_level(n, shape)]
                    for n in (6, 10, 50)
                    for shape in ("normal", "heavy tails", "spread by subject", "one reader with outliers")
                ),
            ],
        )
    )


if __name__ == "__main__":
    main()
