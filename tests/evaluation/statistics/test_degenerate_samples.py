"""For any sample, a statistic is finite or None with a reason, and can be written as JSON."""

from __future__ import annotations

import json
import math
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liverspleen import evaluation
from liverspleen.evaluation.statistics import bootstrap
from liverspleen.evaluation.statistics.samples import Result

# Difficult values: ties, zeros, missing values, rounding noise, volumes of zero, both signs, very small and large.
AWKWARD = st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 0.1, 0.3, 0.1 + 0.2, 100.0, -1.0, 1e-9, 1e9, math.nan])
PAIRS = st.lists(st.tuples(AWKWARD, AWKWARD), max_size=12)
TABLES = st.lists(st.lists(AWKWARD, min_size=3, max_size=3), min_size=1, max_size=6)


def check(result: Result, *needed: str) -> None:
    plain = result.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    if any(plain[name] is None for name in needed):
        assert plain["reason"], (needed, plain)


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_paired_statistics(pairs: list[tuple[float, float]]) -> None:
    test, reference = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for scale in ("absolute", "percent", "log"):
        margin = 1.1 if scale == "log" else 5.0
        agreement = evaluation.bland_altman(test, reference, scale=scale)  # type: ignore[arg-type]
        check(agreement, "bias", "sd", "limits", "bias_test", "intervals")
        check(evaluation.tost(test, reference, margin=margin, scale=scale), "p", "smallest_margin")  # type: ignore[arg-type]
    check(evaluation.wilcoxon_signed_rank(test, reference), "p", "rank_biserial", "hodges_lehmann")
    check(evaluation.concordance_correlation(test, reference), "ccc", "ccc_ci")


@given(TABLES)
@settings(max_examples=60, deadline=None)
def test_repeats_and_readers(table: list[list[float]]) -> None:
    with mock.patch.object(bootstrap, "RESAMPLES", 1000):
        check(evaluation.percentage_rc(table), "rc_pct", "rc_ci")
        check(evaluation.compare_rc(table, table[::-1]), "ratio", "p")
    check(evaluation.icc(table), "icc_a1", "icc_c1", "icc_a1_ci")


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(AWKWARD, max_size=6)))
@settings(deadline=None)
def test_groups(groups: dict[str, list[float]]) -> None:
    check(evaluation.kruskal_wallis(groups), "p", "epsilon_squared")
    result = evaluation.dunn(groups)
    check(result)
    assert bool(result.pairs) == (result.reason is None)


@given(st.lists(AWKWARD, max_size=8), st.integers(1, 4))
@example([-1.0, 0.0, 1.0000000000000002], 2)  # the sums of the clusters differ by rounding
@settings(max_examples=60, deadline=None)
def test_bootstrap(values: list[float], n_clusters: int) -> None:
    clusters = [position % n_clusters for position in range(len(values))]
    check(
        evaluation.bootstrap_ci(values, clusters=clusters, resamples=1000),
        "estimate",
        "estimate_bca_ci",
        "estimate_t_ci",
    )


def test_ratios_beyond_a_float_are_undefined() -> None:
    test, reference = [1e200, 1e-200], [1e-100, 1e100]
    agreement = evaluation.bland_altman(test, reference, scale="log")
    assert agreement.ratio is not None
    assert (agreement.ratio.geometric_mean_ratio_ci, agreement.ratio.loa) == (None, None)
    assert evaluation.tost(test, reference, margin=1.1, scale="log").smallest_margin is None
    repeats = evaluation.percentage_rc([1.0], [1e-60])
    assert (repeats.log, repeats.rc_pct) == (None, pytest.approx(392.0))


@pytest.mark.parametrize("scale", ["absolute", "percent", "log"])
def test_a_value_missing_on_one_side_is_counted_in_the_same_way_by_all(scale: str) -> None:
    test, reference = [1.0, None, 3.0, 4.5], [1.5, 2.0, math.nan, 4.0]
    assert evaluation.bland_altman(test, reference, scale=scale).n_missing == 2  # type: ignore[arg-type, call-overload]
    assert evaluation.tost(test, reference, margin=2.0, scale=scale).n_missing == 2  # type: ignore[arg-type]
    assert evaluation.wilcoxon_signed_rank(test, reference).n_dropped == 2  # type: ignore[arg-type]
    assert evaluation.concordance_correlation(test, reference).n_dropped == 2  # type: ignore[arg-type]
    assert evaluation.percentage_rc(test, reference).n_missing == 2  # type: ignore[arg-type]
