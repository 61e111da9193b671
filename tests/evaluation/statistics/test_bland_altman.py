"""Bias and limits of agreement against R, scipy, the printed p values of the paper, and hand computation."""

from __future__ import annotations

import csv
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from r_values import close, expected, paired
from scipy import stats

from liverspleen.evaluation.reporting.formatting import p_text
from liverspleen.evaluation.statistics.bland_altman import bland_altman

METHODS = ("ba1999", "ba1986", "exact", "exact_pair", "mover")
VOLUMES = st.lists(
    st.tuples(st.floats(1.0, 3000.0), st.floats(1.0, 3000.0)),
    min_size=2,
    max_size=30,
)


def paired_fixture(shared: Path) -> tuple[list[float], list[float], dict[str, object]]:
    with (shared / "stats/inputs/example_paired.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    test, reference = ([float(row[name] or "nan") for row in rows] for name in ("a", "b"))
    return test, reference, json.loads((shared / "stats/expected/example_paired.json").read_text())


OURS = {
    "n": ("n",),
    "mean": ("bias",),
    "sd": ("sd",),
    "multiplier": ("multiplier",),
    "half_width": ("limits", "half_width"),
    "loa_lower": ("limits", "lower"),
    "loa_upper": ("limits", "upper"),
    "inside_loa": ("limits", "n_inside"),
    "nonparam_limits_type7": ("limits", "nonparametric"),
    "t": ("bias_test", "t"),
    "df": ("bias_test", "df"),
    "p_bias": ("bias_test", "p"),
    "cohen_dz": ("bias_test", "cohen_dz"),
    "hedges_gz": ("bias_test", "hedges_gz"),
    "bias_ci": ("intervals", "bias_ci"),
    "sd_ci_chisq": ("intervals", "sd_ci"),
    "exact_factors": ("intervals", "exact_factors"),
    "exact_pair_factors": ("intervals", "exact_pair_factors"),
    **{
        name: ("checks", name)
        for name in ("shapiro", "proportional_bias", "abs_residual_regression", "spearman_absd_avg")
    },
}
"""The field of our result for each value of the fixture."""


def test_every_field_of_the_fixture_agrees_with_r(shared: Path) -> None:
    test, reference, fixture = paired_fixture(shared)
    for scale in ("absolute", "percent"):
        result = bland_altman(test, reference, scale=scale).to_dict()  # type: ignore[arg-type]
        r_values: dict[str, Any] = fixture[scale]  # type: ignore[assignment]
        assert result["n_dropped"] == fixture["n_missing_pairs"]
        for name, path in OURS.items():
            found: Any = result
            for part in path:
                found = found[part]
            assert_close(found, r_values[name], 1e-6, name)
        for method in METHODS:
            limits = result["intervals"][method]
            both = {"lower": limits["loa_lower_ci"], "upper": limits["loa_upper_ci"]}
            assert_close(both, r_values[f"loa_ci_{method}"], 1e-6, method)
        tolerance = r_values["tolerance_interval_95_95"]
        found = result["intervals"]["tolerance_interval"]
        assert found == pytest.approx([tolerance["lower"], tolerance["upper"]], rel=1e-6)
    ratio = bland_altman(test, reference, scale="log").ratio
    assert ratio is not None
    r_values = fixture["ratio"]  # type: ignore[assignment]
    assert ratio.geometric_mean_ratio == pytest.approx(r_values["geometric_mean_ratio"], rel=1e-6)
    assert ratio.geometric_mean_ratio_ci == pytest.approx(r_values["gmr_ci"], rel=1e-6)
    assert ratio.loa == pytest.approx(r_values["ratio_loa"], rel=1e-6)


def assert_close(found: object, r_values: object, rel: float, name: str) -> None:
    if isinstance(r_values, dict):
        assert isinstance(found, dict)
        for key, value in r_values.items():
            assert_close(found[key], value, rel, f"{name}.{key}")
    else:
        assert found == pytest.approx(r_values, rel=rel), name


@pytest.mark.parametrize("scale", ["absolute", "percent", "log"])
@pytest.mark.parametrize("dataset", ["liver30", "spleen12", "ties14", "two", "three", "seven", "large300"])
def test_intervals_agree_with_base_r(dataset: str, scale: str) -> None:
    r_values = expected(f"{dataset}.{scale}")
    result = bland_altman(*paired(dataset), scale=scale)  # type: ignore[arg-type]
    limits, intervals, test = result.limits, result.intervals, result.bias_test
    assert limits is not None
    assert intervals is not None
    assert test is not None
    assert (result.n, limits.n_inside) == (r_values["n"], r_values["inside"])
    assert result.bias == close(r_values["mean"])
    assert result.sd == close(r_values["sd"], rel=1e-7)
    assert [limits.lower, limits.upper] == close([r_values["loa_lower"], r_values["loa_upper"]], rel=1e-7)
    assert [test.t, test.p] == close([r_values["t"], r_values["p_bias"]], rel=1e-7)
    assert intervals.bias_ci == close(r_values["bias_ci"], rel=1e-7)
    assert intervals.sd_ci == close(r_values["sd_ci_chisq"], rel=1e-7)
    assert test.cohen_dz == close(r_values["dz"])
    assert limits.nonparametric == close(r_values["nonparam"])
    for method in ("ba1999", "ba1986", "mover"):
        found = getattr(intervals, method)
        assert found.loa_lower_ci == close(r_values[f"{method}_lower"], rel=1e-7), method
        assert found.loa_upper_ci == close(r_values[f"{method}_upper"], rel=1e-7), method
    for method in ("exact", "exact_pair"):
        inner, outer = getattr(intervals, f"{method}_factors")
        found = getattr(intervals, method)
        mean, sd = r_values["mean"], r_values["sd"]
        assert found.loa_lower_ci == close((mean - outer * sd, mean - inner * sd))  # type: ignore[operator]
        assert found.loa_upper_ci == close((mean + inner * sd, mean + outer * sd))  # type: ignore[operator]


def test_the_log_scale_gives_ratios() -> None:
    # Ratios 2 and 1/2: mean of logs 0, SD ln 2 √2.
    result = bland_altman([200.0, 100.0], [100.0, 200.0], scale="log")
    assert (result.units, result.bias) == ("ln(test / reference)", pytest.approx(0.0, abs=1e-15))
    assert result.ratio is not None
    assert result.ratio.geometric_mean_ratio == pytest.approx(1.0)
    bound = 2 ** (1.96 * math.sqrt(2))
    assert result.ratio.loa == pytest.approx((1 / bound, bound))
    assert bland_altman([2.0], [1.0]).ratio is None


def test_readings_that_are_not_positive_have_no_log_ratio() -> None:
    result = bland_altman([0.0, 10.0, -1.0, math.nan], [5.0, 10.0, 5.0, 1.0], scale="log")
    assert (result.n, result.n_undefined, result.n_missing, result.n_dropped) == (1, 2, 1, 3)
    assert result.ratio is not None
    assert (result.ratio.geometric_mean_ratio, result.ratio.loa, result.ratio.geometric_mean_ratio_ci) == (
        1.0,
        None,
        None,
    )


def test_two_pairs_have_every_interval_and_no_correction_of_hedges() -> None:
    result = bland_altman([3.0, 5.0], [1.0, 2.0])
    assert result.intervals is not None
    assert all(np.isfinite(getattr(result.intervals, method).loa_upper_ci).all() for method in METHODS)
    assert result.bias_test is not None
    assert result.bias_test.hedges_gz is None  # Γ(0) has no value


@pytest.mark.parametrize("scale", ["absolute", "percent", "log"])
def test_at_zero_variance_every_interval_and_p_is_undefined(scale: str) -> None:
    result = bland_altman([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], scale=scale)  # type: ignore[arg-type]
    assert result.limits is not None
    assert (result.sd, result.limits.half_width, result.limits.n_inside) == (0.0, 0.0, 3)
    assert (result.bias_test, result.intervals) == (None, None)


def test_exact_and_approximate_intervals_of_the_limits_agree_for_a_large_sample() -> None:
    rng = np.random.default_rng(4)
    result = bland_altman(rng.normal(0, 1, 5000), np.zeros(5000))
    assert result.intervals is not None
    assert result.intervals.exact.loa_upper_ci == pytest.approx(result.intervals.ba1999.loa_upper_ci, rel=2e-3)


def test_sixty_results_take_less_than_two_seconds() -> None:
    rng = np.random.default_rng(4)
    samples = [rng.normal(1000, 100, (2, n)) for n in range(90, 150)]
    start = time.process_time()
    for test, reference in samples:
        bland_altman(test, reference, scale="percent")
    assert time.process_time() - start < 2  # measured: 0.2


def test_limits_by_hand() -> None:
    # Differences 1, 3, 5: mean 3, SD 2; t = 3 / (2 / √3), df 2: p = 1 - t/√(t² + 2) (closed form for df 2).
    result = bland_altman([11.0, 23.0, 35.0], [10.0, 20.0, 30.0])
    assert result.limits is not None
    assert result.bias_test is not None
    assert (result.bias, result.sd, result.limits.half_width) == (3.0, 2.0, 3.92)
    assert (result.limits.lower, result.limits.upper) == pytest.approx((-0.92, 6.92))
    t = 3 * math.sqrt(3) / 2
    assert result.bias_test.t == pytest.approx(t)
    assert result.bias_test.p == pytest.approx(1 - t / math.sqrt(t * t + 2))


def test_multiplier_and_confidence_by_hand() -> None:
    # Differences 1, 3, 5: mean 3, SD 2, n 3. With df 2 the t quantile at 0.95 is 0.9 √(2 / (1 - 0.81)) (closed form),
    # and the χ² quantile at p is -2 ln(1 - p).
    result = bland_altman([11.0, 23.0, 35.0], [10.0, 20.0, 30.0], multiplier=2.0, confidence=0.9)
    limits, intervals = result.limits, result.intervals
    assert limits is not None
    assert intervals is not None
    assert (result.multiplier, result.confidence) == (2.0, 0.9)
    assert (limits.lower, limits.upper, limits.half_width) == (-1.0, 7.0, 4.0)
    t = 0.9 * math.sqrt(2 / 0.19)
    half = t * 2 / math.sqrt(3)
    assert intervals.bias_ci == pytest.approx((3 - half, 3 + half))
    low, high = 2 * math.sqrt(2 / (-2 * math.log(0.05))), 2 * math.sqrt(2 / (-2 * math.log(0.95)))
    assert intervals.sd_ci == pytest.approx((low, high))
    around = t * math.sqrt(1 / 3 + 4 / 4) * 2
    assert intervals.ba1999.loa_upper_ci == pytest.approx((7 - around, 7 + around))
    assert intervals.ba1986.loa_lower_ci == pytest.approx((-1 - t * 2, -1 + t * 2))
    inward, outward = math.hypot(half, 2 * (2 - low)), math.hypot(half, 2 * (high - 2))
    assert intervals.mover.loa_upper_ci == pytest.approx((7 - inward, 7 + outward))
    content = math.erf(math.sqrt(2))  # of a normal distribution within two SDs
    assert limits.nonparametric == pytest.approx((1 + 2 * (1 - content), 5 - 2 * (1 - content)))
    assert "limits bias ± 2.0 SD" in result.method


@pytest.mark.parametrize(("multiplier", "confidence"), [(2.0, 0.9), (2.576, 0.99)])
def test_exact_intervals_of_another_multiplier_leave_the_stated_tails(multiplier: float, confidence: float) -> None:
    n = 12
    result = bland_altman(
        np.random.default_rng(2).normal(0, 1, n), np.zeros(n), multiplier=multiplier, confidence=confidence
    )
    assert result.intervals is not None
    inner, outer = result.intervals.exact_factors
    tails = stats.nct.cdf([math.sqrt(n) * inner, math.sqrt(n) * outer], n - 1, multiplier * math.sqrt(n))
    assert tails == pytest.approx([(1 - confidence) / 2, (1 + confidence) / 2])
    content = 2 * stats.norm.cdf(multiplier) - 1
    rng = np.random.default_rng(4)
    means, sds = rng.normal(0, 1 / math.sqrt(n), 200_000), np.sqrt(rng.chisquare(n - 1, 200_000) / (n - 1))
    for factor, tail in zip(result.intervals.exact_pair_factors, tails, strict=True):
        within = stats.norm.cdf(means + factor * sds) - stats.norm.cdf(means - factor * sds)
        assert (within >= content).mean() == pytest.approx(tail, abs=0.004)  # Monte Carlo: 0.0011


@pytest.mark.parametrize(
    "options", [{"multiplier": 0.0}, {"multiplier": math.inf}, {"confidence": 1.0}, {"confidence": 95}]
)
def test_a_multiplier_or_confidence_out_of_range_raises(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is not"):
        bland_altman([1.0, 2.0], [1.0, 3.0], **options)  # type: ignore[arg-type]


def test_percent_difference_is_relative_to_the_mean_of_both() -> None:
    assert bland_altman([110.0], [90.0], scale="percent").bias == 20.0
    assert bland_altman([100.0], [0.0], scale="percent").bias == 200.0


@given(VOLUMES)
def test_p_of_the_bias_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    test, reference = np.array(pairs).T
    result = bland_altman(test, reference)
    if not result.sd:
        assert result.bias_test is None
        return
    expected = stats.ttest_1samp(test - reference, 0.0)
    assert result.bias_test is not None
    assert result.bias_test.t == pytest.approx(float(expected.statistic), rel=1e-6)
    assert result.bias_test.p == pytest.approx(float(expected.pvalue), rel=1e-6)


@given(VOLUMES)
def test_swapping_the_readers_negates_the_bias_and_keeps_sd_and_p(pairs: list[tuple[float, float]]) -> None:
    test, reference = np.array(pairs).T
    one, other = bland_altman(test, reference, scale="percent"), bland_altman(reference, test, scale="percent")
    assert one.limits is not None
    assert other.limits is not None
    assert other.bias is not None
    assert (one.bias, one.limits.lower) == pytest.approx((-other.bias, -other.limits.upper), abs=1e-9)
    assert one.sd == pytest.approx(other.sd, abs=1e-9)
    if one.bias_test is not None and other.bias_test is not None:
        assert one.bias_test.p == pytest.approx(other.bias_test.p, rel=1e-6)


# Table 3 of Ahn et al. 2020: mean difference, 1.96 SD, n, printed p value.
PRINTED = [
    (-0.17, 3.07, 150, "0.19"),
    (-0.42, 2.49, 30, "0.08"),
    (-0.33, 2.23, 30, "0.12"),
    (0.12, 2.63, 30, "0.64"),
    (-0.75, 3.58, 30, "0.03"),
    (0.55, 3.64, 30, "0.11"),
    (-0.56, 3.78, 150, "0.001"),
    (-0.97, 4.15, 30, "0.02"),
    (-0.77, 2.84, 30, "0.007"),
    (-0.14, 4.32, 30, "0.74"),
    (0.06, 4.21, 30, "0.88"),
    (-0.99, 2.79, 30, "0.001"),
    (0.39, 4.89, 150, "0.06"),
    (0.55, 5.30, 30, "0.28"),
    (0.44, 3.04, 30, "0.13"),
    (0.25, 4.95, 30, "0.59"),
    (-0.81, 5.15, 30, "0.10"),
    (1.54, 4.82, 30, "0.002"),
]


def p_of_sample_with(bias: float, half_width: float, n: int) -> float:
    """p value of volumes whose percent differences have exactly this mean and this 1.96 SD."""
    shape = np.random.default_rng(0).normal(size=n)
    differences = bias + (shape - shape.mean()) / shape.std(ddof=1) * half_width / 1.96
    reference = np.full(n, 1000.0)
    result = bland_altman(reference * (200 + differences) / (200 - differences), reference, scale="percent")
    assert result.limits is not None
    assert result.bias_test is not None
    assert (result.bias, result.limits.half_width) == pytest.approx((bias, half_width))
    return result.bias_test.p


@pytest.mark.parametrize(("bias", "half_width", "n", "printed"), PRINTED)
def test_every_p_of_table_3_of_the_paper_is_reproduced(bias: float, half_width: float, n: int, printed: str) -> None:
    # The printed mean and half-width are rounded, by up to 0.005.
    corners = [p_of_sample_with(bias + db, half_width + dh, n) for db in (-0.005, 0.005) for dh in (-0.005, 0.005)]
    texts = [float(p_text(p).replace("< 0.001", "0.000")) for p in corners]
    assert min(texts) <= float(printed) <= max(texts)


def test_one_pair_has_a_bias_and_nothing_else() -> None:
    result = bland_altman([11.0], [10.0])
    assert (result.n, result.bias) == (1, 1.0)
    assert (result.sd, result.limits, result.bias_test, result.intervals) == (None,) * 4
    assert result.reason == "only 1 pair: SD, limits and t are undefined"


def test_no_pair_gives_none_and_a_reason() -> None:
    result = bland_altman([math.nan, 1.0], [1.0, math.nan])
    assert (result.n, result.n_missing, result.bias, result.reason) == (0, 2, None, "no complete pairs")


@pytest.mark.parametrize("shift", [0.0, 0.1, 5.3])
def test_a_constant_shift_has_an_sd_of_exactly_zero(shift: float) -> None:
    reference = np.random.default_rng(1).uniform(100, 2000, 40)
    result = bland_altman(reference + shift, reference)
    assert result.sd == 0.0
    assert result.bias == pytest.approx(shift)
    assert result.limits is not None
    assert result.limits.lower == result.limits.upper == result.bias
    assert result.bias_test is None
    assert "all differences are equal" in str(result.reason)


def test_a_constant_factor_has_a_percent_sd_of_exactly_zero() -> None:
    reference = np.random.default_rng(1).uniform(100, 2000, 40)
    result = bland_altman(reference * 1.1, reference, scale="percent")
    assert (result.sd, result.bias_test) == (0.0, None)
    assert result.bias == pytest.approx(200 * 0.1 / 2.1)


def test_missing_readings_and_pairs_of_zeros_are_dropped_and_counted() -> None:
    result = bland_altman([10.0, math.nan, 0.0, 30.0], [10.0, 5.0, 0.0, 20.0], scale="percent")
    assert (result.n, result.n_missing, result.n_undefined, result.n_dropped) == (2, 1, 1, 2)
    assert result.positions == (0, 3)
    assert result.differences == (0.0, 40.0)
    assert bland_altman([0.0, 1.0], [0.0, 2.0]).n == 2


@pytest.mark.parametrize(
    ("test", "reference"), [([1.0], [1.0, 2.0]), ([math.inf], [1.0]), ([[1.0]], [[1.0]]), (["x"], [1.0])]
)
def test_wrong_input_raises(test: object, reference: object) -> None:
    with pytest.raises(ValueError, match=r"sample|length|could not convert"):
        bland_altman(test, reference)  # type: ignore[arg-type]


def test_an_unknown_scale_raises() -> None:
    with pytest.raises(ValueError, match="'ratio'"):
        bland_altman([1.0], [1.0], scale="ratio")  # type: ignore[arg-type]


def test_result_is_plain_json() -> None:
    result = bland_altman([1.0], [1.0]).to_dict()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
