"""Percentage RC against R, the paper's printed intervals, and hand computation."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from r_values import close, expected, table
from scipy import stats

from liverspleen.evaluation.reporting.formatting import rc_text
from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.evaluation.statistics.reproducibility import percentage_rc


def paired_readings(shared: Path) -> list[list[float]]:
    with (shared / "stats/inputs/example_paired.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [[float(row[name] or "nan") for row in rows] for name in ("a", "b")]


def test_every_field_of_the_fixture_agrees_with_r(shared: Path) -> None:
    fixture = json.loads((shared / "stats/expected/example_paired.json").read_text())
    wanted, result = fixture["reproducibility"], percentage_rc(*paired_readings(shared))
    rms, log, wsd, removed = (wanted[name] for name in ("rms", "log", "wsd", "bias_removed"))
    assert (result.wcv_pct, result.rc_pct) == pytest.approx((rms["wcv_percent"], rms["rc_percent"]), rel=1e-6)
    assert result.rc_ci == pytest.approx(rms["rc_ci"], rel=1e-6)
    assert result.wcv_ci == pytest.approx(rms["wcv_ci"], rel=1e-6)
    assert (result.df, result.n_missing) == (rms["df"], 1)
    assert result.log is not None
    for ours, theirs in (
        ("sw_log", "sw_log"),
        ("wcv_pct_lognormal", "wcv_percent_lognormal"),
        ("wcv_pct_exp_minus_1", "wcv_percent_exp_minus_1"),
        ("rc_pct_lognormal", "rc_percent_lognormal"),
        ("rc_pct_exp_minus_1", "rc_percent_exp_minus_1"),
        ("rc_lognormal_ci", "rc_ci_lognormal"),
        ("asymmetric_limits_pct", "asymmetric_limits_percent"),
    ):
        assert getattr(result.log, ours) == pytest.approx(log[theirs], rel=1e-6), ours
    assert result.wsd is not None
    assert (result.wsd.wsd, result.wsd.rc_absolute) == pytest.approx((wsd["wsd"], wsd["rc_absolute"]), rel=1e-6)
    assert result.wsd.rc_absolute_ci == pytest.approx(wsd["rc_absolute_ci"], rel=1e-6)
    assert (result.wsd.wcv_pct, result.wsd.rc_pct) == pytest.approx((wsd["wcv_percent"], wsd["rc_percent"]), rel=1e-6)
    assert result.bias_removed is not None
    found = (result.bias_removed.wcv_pct, result.bias_removed.rc_pct, result.bias_removed.df)
    assert found == pytest.approx((removed["wcv_percent"], removed["rc_percent"], removed["df"]), rel=1e-6)
    assert result.bias_removed.rc_ci == pytest.approx(removed["rc_ci"], rel=1e-6)
    boot = fixture["bootstrap"]["rc_percent_rms"]
    assert result.rc_bca_ci == pytest.approx(boot["ci_bca"], abs=boot["tolerance"])
    assert result.bca_acceleration == pytest.approx(boot["acceleration_jackknife"], rel=1e-6)


@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_repeats_agree_with_base_r(name: str) -> None:
    wanted, result = expected(name), percentage_rc(table(name))
    assert (result.n, result.df) == (wanted["n"], wanted["df"])
    assert (result.wcv_pct, result.rc_pct) == close((wanted["wcv"], wanted["rc"]))
    assert result.rc_ci == close(wanted["rc_ci"])
    assert result.wcv_ci == close(wanted["wcv_ci"])
    assert result.log is not None
    assert result.log.sw_log == close(wanted["sw_log"])
    assert result.log.wcv_pct_lognormal == close(wanted["wcv_lognormal"])
    assert result.log.rc_lognormal_ci == close(wanted["rc_ci_lognormal"])
    assert result.log.asymmetric_limits_pct == close(wanted["asymmetric"])
    assert result.wsd is not None
    assert (result.wsd.wsd, result.wsd.wcv_pct) == close((wanted["wsd"], wanted["wsd_wcv"]))
    assert result.wsd.rc_absolute_ci == close(wanted["rc_absolute_ci"])


def test_rc_without_the_shift_of_four_repeats_agrees_with_the_residuals_of_r() -> None:
    removed = percentage_rc(table("balanced")).bias_removed
    assert removed is not None
    assert (removed.wcv_pct, removed.df) == (close(expected("balanced")["bias_removed_wcv"]), 27)
    assert percentage_rc(table("unbalanced")).bias_removed is None


def test_rc_without_the_shift_is_the_half_width_of_the_percent_limits() -> None:
    first, second = np.random.default_rng(6).normal([[1020.0], [1000.0]], 30, (2, 25))
    result = percentage_rc(first, second)
    assert result.bias_removed is not None
    limits = bland_altman(first, second, scale="percent").limits
    assert limits is not None
    assert result.bias_removed.rc_pct == pytest.approx(limits.half_width)
    assert result.rc_pct is not None
    assert result.bias_removed.rc_pct < result.rc_pct


def test_a_constant_factor_is_all_shift() -> None:
    first = np.array([100.0, 230.0, 410.0])
    result = percentage_rc(first, 1.1 * first)
    assert result.rc_pct == pytest.approx(196 * 0.1 / 1.05)
    assert result.bias_removed is not None
    assert (result.bias_removed.rc_pct, result.bias_removed.rc_ci) == (0.0, None)


def test_a_table_of_two_columns_is_the_two_samples() -> None:
    rows = [[90.0, 110.0], [50.0, math.nan], [70.0, 71.0]]
    assert percentage_rc(rows) == percentage_rc(*zip(*rows, strict=True))  # type: ignore[arg-type]


def test_subjects_with_fewer_than_two_repeats_are_dropped_and_counted() -> None:
    rows = [[90.0, 100.0, 110.0], [math.nan, 5.0, math.nan], [math.nan] * 3, [50.0, math.nan, 50.0], [-1.0, 1.0, 0.0]]
    result = percentage_rc(rows)
    assert (result.n, result.n_missing, result.n_undefined, result.n_dropped) == (2, 2, 1, 3)
    assert (result.positions, result.df) == ((0, 3), 3)
    # Variances 100 (df 2) and 0 (df 1), means 100 and 50.
    assert result.wcv_pct == pytest.approx(100 * math.sqrt(2 * 0.01 / 3))


def test_readings_that_are_not_positive_have_no_logarithm() -> None:
    result = percentage_rc([0.0, 90.0], [10.0, 110.0])
    assert result.rc_pct is not None
    assert result.log is None


def test_one_pair_has_no_bootstrap_interval() -> None:
    result = percentage_rc([90.0], [110.0])
    assert (result.rc_bca_ci, result.bias_removed) == (None, None)
    assert result.log is not None
    assert result.log.sw_log == pytest.approx(math.log(110 / 90) / math.sqrt(2))


def test_two_identical_subjects_out_of_three_still_give_an_interval() -> None:
    result = percentage_rc([100.0, 200.0, 300.0], [100.0, 200.0, 310.0])
    assert result.rc_ci is not None


def test_the_bootstrap_interval_is_that_of_scipy() -> None:
    first, second = np.random.default_rng(6).normal(1000, 40, (2, 20))
    squares = (first - second) ** 2 / 2 / ((first + second) / 2) ** 2
    wanted = stats.bootstrap(
        (squares,),
        lambda sample, axis: 100 * np.sqrt(sample.mean(axis=axis)),
        n_resamples=40_000,
        method="BCa",
        rng=np.random.default_rng(1),
        vectorized=True,
    )
    interval = wanted.confidence_interval
    # Monte Carlo on both sides: a tenth of the standard error.
    assert percentage_rc(first, second).wcv_bca_ci == pytest.approx(
        (interval.low, interval.high), abs=0.1 * float(wanted.standard_error)
    )


@pytest.mark.parametrize("repeats", [[1.0, 2.0], [[1.0], [2.0]], [[1.0, math.inf]], [[[1.0, 2.0]]]])
def test_wrong_repeats_raise(repeats: object) -> None:
    with pytest.raises(ValueError, match=r"repeats|infinity"):
        percentage_rc(repeats)  # type: ignore[arg-type]


def test_rc_by_hand() -> None:
    # CVs (10/√2)/95 and 0; mean of squares 0.5·(50/9025); RC = 1.96·√2·wCV.
    result = percentage_rc([90.0, 50.0], [100.0, 50.0])
    wcv = math.sqrt(0.5 * 50 / 9025)
    assert result.wcv_pct == pytest.approx(100 * wcv)
    assert result.rc_pct == pytest.approx(196 * math.sqrt(2) * wcv)
    assert result.multiplier == pytest.approx(1.96 * math.sqrt(2))


def fifty_pairs_with(rc_pct: float) -> tuple[np.ndarray, np.ndarray]:
    difference = rc_pct / 196  # each pair with mean 1 has wCV = difference / √2
    return np.full(50, 1 + difference / 2), np.full(50, 1 - difference / 2)


# Results section of Ahn et al. 2020: percentage RC of the DLA and of the reference, with the printed 95 % CI.
MET = [(19.9, "16.7–24.7"), (22.5, "18.8–27.9"), (18.1, "15.1–22.4"), (18.8, "15.7–23.4"), (21.5, "18.0–26.7")]


@pytest.mark.parametrize(("rc_pct", "interval"), MET)
def test_printed_intervals_of_the_paper_are_reproduced(rc_pct: float, interval: str) -> None:
    # The printed RC is rounded, by up to 0.05.
    results = [percentage_rc(*fifty_pairs_with(rc_pct + change)) for change in (-0.05, 0.0, 0.05)]
    assert results[1].rc_pct == pytest.approx(rc_pct)
    lower, upper = map(float, interval.split("–"))
    for bound, printed in (("lower", lower), ("upper", upper)):
        found = [round(getattr(result.rc_ci, bound), 1) for result in results]
        assert found[0] <= printed <= found[2], bound


def test_the_sixth_printed_interval_contradicts_the_other_five() -> None:
    # 16.7 (13.1–19.8) is printed; no 50 pairs with this RC have that interval.
    result = percentage_rc(*fifty_pairs_with(16.7))
    assert rc_text(result.rc_pct, result.rc_ci) == "16.7 (14.0–20.8)"


def test_order_and_unit_of_the_measurements_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.uniform(500, 2000, (2, 30))
    one = percentage_rc(first, second)
    assert percentage_rc(second, first) == one
    assert percentage_rc(first / 1000, second / 1000).rc_pct == pytest.approx(one.rc_pct)


def test_one_pair_has_an_rc_and_an_interval_with_one_degree_of_freedom() -> None:
    result = percentage_rc([90.0], [110.0])
    assert result.df == 1
    assert result.rc_pct == pytest.approx(196 * 0.2)
    # χ² with one degree of freedom is z²: quantiles at 0.975 and 0.025 are z(0.9875)² and z(0.5125)².
    assert result.rc_ci == pytest.approx((39.2 / 2.2414027276, 39.2 / 0.0313379820))


def test_identical_pairs_have_an_rc_of_zero_and_no_interval() -> None:
    result = percentage_rc([5.0, 7.0], [5.0, 7.0])
    assert (result.rc_pct, result.wcv_pct, result.rc_ci) == (0.0, 0.0, None)
    assert "all repeats are equal" in str(result.reason)


def test_missing_and_zero_pairs_are_dropped_and_counted() -> None:
    result = percentage_rc([0.0, math.nan, 90.0], [0.0, 5.0, 110.0])
    assert (result.n, result.n_missing, result.n_undefined, result.n_dropped) == (1, 1, 1, 2)
    assert result.positions == (2,)


def test_no_pair_gives_none_and_a_reason() -> None:
    result = percentage_rc([], [])
    assert (result.n, result.rc_pct, result.df) == (0, None, None)
    assert result.reason == "no complete pairs with a nonzero mean"
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
