"""Intervals of limits of agreement and the factors behind them, against R and closed forms."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from r_values import expected
from scipy import integrate, stats

from liverspleen.evaluation.statistics import intervals


@pytest.mark.parametrize("n", [2, 3, 5, 30, 150, 300])
def test_factors_agree_with_r(n: int) -> None:
    wanted = expected(f"factors{n}")
    assert intervals.exact_factors(n) == pytest.approx(wanted["exact"], rel=1e-8)
    assert intervals.exact_pair_factors(n) == pytest.approx(wanted["pair"], rel=1e-8)
    assert intervals.tolerance_factor(n, 0.95) == pytest.approx(wanted["tolerance"], rel=1e-8)


# At n = 2980 scipy.stats.nct.ppf returns NaN.
@pytest.mark.parametrize("n", [2, 7, 1000, 2980, 5000])
def test_exact_factor_leaves_the_stated_tail(n: int) -> None:
    # P(mean + g SD < 1.96) over the distribution of the SD, by adaptive quadrature: no noncentral t involved.
    for factor, tail in zip(intervals.exact_factors(n), (0.975, 0.025), strict=True):

        def below(ratio: float, factor: float = factor) -> float:
            density = stats.chi.pdf(ratio * math.sqrt(n - 1), n - 1) * math.sqrt(n - 1)
            return float(stats.norm.cdf(math.sqrt(n) * (1.96 - factor * ratio)) * density)

        reach = (max(0.0, 1 - 10 / math.sqrt(2 * n)), 1 + 10 / math.sqrt(2 * n)) if n > 50 else (0.0, 10.0)
        assert integrate.quad(below, *reach, limit=500)[0] == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 100, 1000, 5000])
def test_tolerance_factor_leaves_the_stated_confidence(n: int) -> None:
    # The content of mean ± k SD by noncentral chi-square with one degree of freedom: independent of our method.
    for factor, confidence in zip(intervals.exact_pair_factors(n), (0.025, 0.975), strict=True):

        def reached(standardised: float, factor: float = factor) -> float:
            radius_squared = stats.ncx2.ppf(0.95, 1, standardised**2 / n) if standardised else stats.chi2.ppf(0.95, 1)
            return float(stats.chi2.sf((n - 1) * radius_squared / factor**2, n - 1) * stats.norm.pdf(standardised))

        assert 2 * integrate.quad(reached, 0, 8.5, limit=200)[0] == pytest.approx(confidence, rel=1e-5)


def test_factors_converge_to_the_multiplier_from_both_sides() -> None:
    sizes = (2, 3, 5, 10, 50, 200, 1000, 5000)
    for factors in (intervals.exact_factors, intervals.exact_pair_factors):
        inner, outer = zip(*(factors(n) for n in sizes), strict=True)
        assert list(inner) == sorted(inner)
        assert list(outer) == sorted(outer, reverse=True)
        assert inner[-1] < 1.96 < outer[-1]


def test_factors_of_five_hundred_sample_sizes_take_a_second() -> None:
    start = time.process_time()
    for n in range(2, 502):
        intervals.exact_factors(n)
        intervals.exact_pair_factors(n)
    assert time.process_time() - start < 5  # measured: under one


def test_sd_interval_with_one_degree_of_freedom_by_the_normal_distribution() -> None:
    # χ² with one degree of freedom is z².
    assert intervals.sd_interval(1.0, 1) == pytest.approx((1 / 2.2414027276, 1 / 0.0313379820))


def test_mean_interval_of_two_values_by_the_cauchy_distribution() -> None:
    # t with one degree of freedom: quantile tan(π (p - 1/2)).
    half = math.tan(math.pi * 0.475) / math.sqrt(2)
    assert intervals.mean_interval(0.0, 1.0, 2) == pytest.approx((-half, half))


def test_prediction_interval_of_a_mean_agrees_with_a_computation_by_hand() -> None:
    # Twelve values with mean 0.9 and SD 0.05, six new ones: √(1/12 + 1/6) = 0.5, and t of 11 degrees of freedom is
    # 2.200985 (printed tables), so the half-width is 0.05502463.
    found = intervals.prediction_interval_of_mean(0.9, 0.05, 12, new=6)
    assert found == pytest.approx((0.84497537, 0.95502463), abs=1e-8)


def test_prediction_interval_of_a_fraction_is_cut_at_0_and_1() -> None:
    # Two values, one new one: t of 1 degree of freedom is 12.7062, times √1.5 times 0.1 is 1.556.
    assert intervals.prediction_interval_of_mean(0.9, 0.1, 2, new=1, fraction=True) == (0.0, 1.0)
    assert intervals.prediction_interval_of_mean(0.9, 0.1, 2, new=1).upper == pytest.approx(2.4562, abs=1e-4)


def test_prediction_interval_contains_the_mean_of_new_values_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    seen, new = rng.normal(0.8, 0.05, (20_000, 12)), rng.normal(0.8, 0.05, (20_000, 6)).mean(axis=1)
    bounds = [
        intervals.prediction_interval_of_mean(mean, sd, 12, new=6)
        for mean, sd in zip(seen.mean(axis=1), seen.std(axis=1, ddof=1), strict=True)
    ]
    inside = sum(lower <= value <= upper for (lower, upper), value in zip(bounds, new, strict=True))
    assert inside / 20_000 == pytest.approx(0.95, abs=0.005)  # three standard errors
