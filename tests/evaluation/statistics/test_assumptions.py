"""Checks of the scale against R and scipy, and the rule behind the advice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from r_values import close, expected, paired
from scipy import stats

from liverspleen.evaluation.statistics.bland_altman import BlandAltman, bland_altman

RNG_SEED = 11
SCALES = ("absolute", "percent", "log")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dataset", ["liver30", "spleen12", "ties14", "seven", "large300"])
def test_checks_agree_with_r(dataset: str, scale: str) -> None:
    wanted = expected(f"{dataset}.{scale}")
    result = bland_altman(*paired(dataset), scale=scale)  # type: ignore[arg-type]
    checks = result.checks
    shapiro, line, spread, rank = (
        checks.shapiro,
        checks.proportional_bias,
        checks.abs_residual_regression,
        checks.spearman_absd_avg,
    )
    assert shapiro is not None
    assert line is not None
    assert spread is not None
    assert rank is not None
    assert [shapiro.W, shapiro.p] == close([wanted["W"], wanted["W_p"]], rel=1e-6)
    assert [line.slope, line.slope_se, line.t, line.p] == close(wanted["slope"], rel=1e-6)
    assert line.intercept == close(wanted["intercept"], rel=1e-6)
    assert [spread.slope, spread.slope_se, spread.t, spread.p] == close(wanted["spread"], rel=1e-6)
    assert [rank.rho, rank.p] == close([wanted["rho"], wanted["rho_p"]], rel=1e-6)


def test_regression_agrees_with_scipy_on_large_values() -> None:
    rng = np.random.default_rng(RNG_SEED)
    reference = rng.uniform(1e6, 1e6 + 50, 40)
    test = reference + rng.normal(0, 1, 40)
    line = bland_altman(test, reference).checks.proportional_bias
    wanted = stats.linregress((test + reference) / 2, test - reference)
    assert line is not None
    assert (line.slope, line.slope_se, line.p) == pytest.approx((wanted.slope, wanted.stderr, wanted.pvalue), rel=1e-6)


def volumes(spread: str) -> BlandAltman:
    """200 pairs whose spread is a fraction of the volume, or the same for all."""
    rng = np.random.default_rng(RNG_SEED)
    reference = rng.uniform(200, 2500, 200)
    error = rng.normal(0, 1, 200)
    test = reference * np.exp(0.02 * error) if spread == "relative" else reference + 8 * error
    return bland_altman(test, reference, scale="absolute" if spread == "relative" else "percent")


def test_a_relative_spread_leads_to_a_relative_scale_and_a_constant_one_to_the_absolute() -> None:
    assert volumes("relative").checks.advice[0] == "the spread grows with size: use the percent or log scale"
    assert volumes("constant").checks.advice[0] == "the relative spread falls with size: use the absolute scale"


def test_a_slope_of_the_bias_and_an_outlier_are_reported() -> None:
    reference = np.linspace(100, 200, 40)
    noise = stats.norm.ppf((np.random.default_rng(RNG_SEED).permutation(40) + 0.5) / 40)
    sloped = bland_altman(1.1 * reference + noise, reference)
    assert any("bias changes with size" in sentence for sentence in sloped.checks.advice)
    noise[20] = 30
    assert any("not normal" in sentence for sentence in bland_altman(reference + noise, reference).checks.advice)


def test_no_finding_and_too_few_pairs_give_different_advice() -> None:
    # Errors without a trend: normal scores that alternate along the size.
    scores = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    noise = np.empty(40)
    noise[0::2], noise[1::2] = np.roll(scores, 7), -np.roll(scores, 7)
    result = bland_altman(
        np.linspace(100, 200, 40) + noise[np.random.default_rng(5).permutation(40)], np.linspace(100, 200, 40)
    )
    assert result.checks.advice == ("no test argues against this scale",)
    assert "fewer than 10 pairs" in bland_altman([1.0, 2.0], [1.0, 3.0]).checks.advice[0]


def test_checks_are_undefined_without_data_or_variance() -> None:
    two = bland_altman([1.0, 2.0], [2.0, 1.5])
    same = bland_altman([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])
    for result in (two, same):
        assert (result.checks.shapiro, result.checks.proportional_bias, result.checks.spearman_absd_avg) == (
            None,
            None,
            None,
        )
    exact_line = bland_altman([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    assert (exact_line.checks.proportional_bias, exact_line.checks.abs_residual_regression) == (None, None)
    one_size = bland_altman([11.0, 9.0, 13.0], [9.0, 11.0, 7.0])  # every average is 10
    assert (one_size.checks.proportional_bias, one_size.checks.spearman_absd_avg) == (None, None)
    assert one_size.checks.shapiro is not None


def test_more_pairs_than_shapiro_wilk_accepts() -> None:
    rng = np.random.default_rng(RNG_SEED)
    result = bland_altman(*rng.normal(0, 1, (2, 5001)))
    assert result.checks.shapiro is None
    assert result.checks.proportional_bias is not None


def test_a_growing_bias_is_not_reported_as_a_growing_spread() -> None:
    rng = np.random.default_rng(3)
    reference = rng.uniform(500, 2000, 200)
    advice = bland_altman(1.1 * reference + rng.normal(0, 5, 200), reference).checks.advice
    assert any("bias changes with size" in sentence for sentence in advice)
    assert not any("spread" in sentence for sentence in advice)


@pytest.mark.parametrize("test", [lambda x: x, lambda x: x + 5.0, lambda x: 1.1 * x])
def test_checks_that_are_undefined_are_not_passed(test: Callable[[np.ndarray], np.ndarray]) -> None:
    reference = np.linspace(500, 2000, 20)
    assert not any(
        "no test argues against" in sentence for sentence in bland_altman(test(reference), reference).checks.advice
    )
