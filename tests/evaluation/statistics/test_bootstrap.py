"""BCa intervals against R and scipy, clusters against an independent cluster-robust regression."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from test_bland_altman import paired_fixture

from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.evaluation.statistics.bootstrap import bca_interval, bootstrap_ci

DSS = [0.97, 0.95, 0.96, 0.99, 0.88, 0.93, 0.98, 0.97, 0.91, 0.96]


def test_mean_of_the_fixture_agrees_with_r(shared: Path) -> None:
    test, reference, fixture = paired_fixture(shared)
    wanted = fixture["bootstrap"]["mean_percent_bias"]  # type: ignore[index]
    result = bootstrap_ci(bland_altman(test, reference, scale="percent").differences)
    assert result.estimate == pytest.approx(wanted["estimate"], rel=1e-6)
    assert result.acceleration == pytest.approx(wanted["acceleration_jackknife"], rel=1e-6)
    assert result.estimate_bca_ci == pytest.approx(wanted["ci_bca"], abs=wanted["tolerance"])
    assert result.estimate_t_ci == pytest.approx(fixture["percent"]["bias_ci"], rel=1e-6)  # type: ignore[index]


def test_interval_of_the_mean_agrees_with_scipy() -> None:
    wanted = stats.bootstrap((DSS,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1))
    interval, noise = wanted.confidence_interval, 0.1 * float(wanted.standard_error)
    result = bootstrap_ci(DSS)
    assert result.estimate_bca_ci == pytest.approx((interval.low, interval.high), abs=noise)
    assert result.se_boot == pytest.approx(float(wanted.standard_error), rel=0.02)
    assert result.estimate_t_ci == pytest.approx(stats.ttest_1samp(DSS, 0).confidence_interval())


def test_interval_from_given_replicates_is_that_of_scipy() -> None:
    # The same replicates on both sides: there is no Monte Carlo noise.
    wanted = stats.bootstrap(
        (DSS,), np.median, n_resamples=2000, method="BCa", rng=np.random.default_rng(1), vectorized=False
    )
    jackknife = np.array([np.median(np.delete(DSS, position)) for position in range(len(DSS))])
    found = bca_interval(float(np.median(DSS)), np.asarray(wanted.bootstrap_distribution), jackknife)
    assert found is not None
    assert found.interval == pytest.approx(tuple(wanted.confidence_interval), abs=1e-9)


def test_a_statistic_of_rows_is_resampled_by_rows() -> None:
    rows = np.random.default_rng(3).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 40)

    def correlation(sample: np.ndarray) -> float:
        return float(np.corrcoef(sample.T)[0, 1])

    result = bootstrap_ci(rows, correlation, resamples=4000)
    wanted = stats.bootstrap(
        (rows[:, 0], rows[:, 1]),
        lambda x, y: correlation(np.column_stack([x, y])),
        paired=True,
        vectorized=False,
        n_resamples=4000,
        method="BCa",
        rng=np.random.default_rng(2),
    )
    assert result.estimate == pytest.approx(correlation(rows))
    assert result.estimate_bca_ci == pytest.approx(
        tuple(wanted.confidence_interval), abs=0.25 * float(wanted.standard_error)
    )
    assert result.estimate_t_ci is None


def test_clusters_of_one_are_no_clusters_and_a_mean_is_a_statistic() -> None:
    plain = bootstrap_ci(DSS)
    assert bootstrap_ci(DSS, clusters=[f"p{i}" for i in range(len(DSS))]) == plain
    other = bootstrap_ci(DSS, lambda sample: float(sample.mean()))
    assert other.estimate_bca_ci == pytest.approx(plain.estimate_bca_ci, abs=0.1 * plain.se_boot)  # type: ignore[operator]


def test_standard_error_of_clusters_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 12, 60)
    values = rng.normal(0.95, 0.02, 60) + rng.normal(0, 0.05, 12)[codes]
    result = bootstrap_ci(values, clusters=codes.tolist())
    # Its small-sample factor for one parameter is C/(C - 1) · (n - 1)/(n - 1).
    fit = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    assert result.estimate_t_ci == pytest.approx(fit.conf_int()[0])
    assert result.n_clusters == len(set(codes))
    assert result.se_boot == pytest.approx(fit.bse[0], rel=0.1)


def test_doubled_observations_in_clusters_add_no_precision() -> None:
    plain = bootstrap_ci(DSS)
    doubled = bootstrap_ci(DSS * 2, clusters=[*range(10), *range(10)])
    assert doubled.estimate_t_ci == pytest.approx(plain.estimate_t_ci)
    assert doubled.estimate_bca_ci == pytest.approx(plain.estimate_bca_ci)


def test_the_same_seed_gives_the_same_interval_and_another_one_nearly() -> None:
    assert bootstrap_ci(DSS) == bootstrap_ci(DSS)
    other = bootstrap_ci(DSS, seed=1)
    assert other.estimate_bca_ci != bootstrap_ci(DSS).estimate_bca_ci
    assert other.estimate_bca_ci == pytest.approx(bootstrap_ci(DSS).estimate_bca_ci, abs=0.1 * other.se_boot)  # type: ignore[operator]


def test_missing_values_are_removed_from_their_clusters() -> None:
    result = bootstrap_ci([0.9, math.nan, 0.8, math.nan], clusters=["a", "a", "b", "c"])
    assert (result.n, result.n_missing, result.n_clusters) == (2, 2, 2)


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        ([], None, "no complete observations"),
        ([math.nan], None, "no complete observations"),
        ([0.9], None, "only 1 cluster: the interval is undefined"),
        ([0.9, 0.8], ["a", "a"], "only 1 cluster: the interval is undefined"),
        ([0.9, 0.9, 0.9], None, "the resamples do not vary around the estimate: the interval is undefined"),
        ([0.1 + 0.2, 0.3, 0.3], None, "the resamples do not vary around the estimate: the interval is undefined"),
    ],
)
def test_undefined_intervals_have_a_reason(values: list[float], clusters: list[str] | None, reason: str) -> None:
    result = bootstrap_ci(values, clusters=clusters)
    assert (result.estimate_t_ci, result.estimate_bca_ci, result.reason) == (None, None, reason)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_wrong_input_raises() -> None:
    with pytest.raises(ValueError, match="clusters"):
        bootstrap_ci([1.0, 2.0], clusters=["a"])
    with pytest.raises(ValueError, match="infinity"):
        bootstrap_ci([1.0, math.inf])
    with pytest.raises(ValueError, match="dimension"):
        bootstrap_ci([[1.0, 2.0]])
    with pytest.raises(ValueError, match="resamples"):
        bootstrap_ci([1.0, 2.0], resamples=10)
    with pytest.raises(ValueError, match="dimensions"):
        bootstrap_ci(3.0)


def test_interval_of_a_fraction_is_that_of_its_logit() -> None:
    """By hand: mean 0.9, SD 0.1, n 4; logit ln 9, standard error 0.05 / 0.09, t of 3 df 3.182446."""
    values = [0.75, 0.9, 0.95, 1.0]
    mean, half = 0.9, 3.182446305284263 * np.std(values, ddof=1) / 2 / (0.9 * 0.1)
    found = bootstrap_ci(values, resamples=1000, fraction=True).estimate_t_ci
    expected = [1 / (1 + math.exp(-(math.log(mean / (1 - mean)) + sign * half))) for sign in (-1, 1)]
    assert found == pytest.approx(expected)
    linear = bootstrap_ci(values, resamples=1000).estimate_t_ci
    assert linear is not None
    assert linear.upper > 1


@pytest.mark.parametrize(
    "values", [[1.0, 1.0, 0.999999], [0.0, 0.0, 1e-9], [0.0, 1.0], [1e-300, 0.0], [1.0, 1.0 - 1e-15]]
)
def test_interval_of_a_fraction_stays_between_0_and_1(values: list[float]) -> None:
    found = bootstrap_ci(values, resamples=1000, fraction=True).estimate_t_ci
    assert found is None or 0 <= found.lower <= found.upper <= 1


def test_what_is_not_a_fraction_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"values from 0\.5 to 97 are not fractions"):
        bootstrap_ci([97.0, 0.5], fraction=True)
