"""Dunn's test against R, scipy and statsmodels."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_values import close, expected, grouped
from scipy import stats
from statsmodels.stats.multitest import multipletests
from test_rank_tests import grouped_fixture

from liverspleen.evaluation.statistics.dunn import dunn


def test_every_field_of_the_fixture_agrees_with_r(shared: Path) -> None:
    groups, fixture = grouped_fixture(shared)
    pairs = dunn(groups).to_dict()["pairs"]
    assert len(pairs) == len(fixture["dunn"])  # type: ignore[arg-type]
    for found, wanted in zip(pairs, fixture["dunn"], strict=True):  # type: ignore[call-overload]
        assert set(found) == set(wanted)
        assert (found.pop("a"), found.pop("b")) == (wanted.pop("a"), wanted.pop("b"))
        assert found == pytest.approx(wanted, rel=1e-6)


def test_pairs_agree_with_base_r() -> None:
    wanted, result = expected("dunn"), dunn(grouped())
    for name, ours in {"z": "z", "p": "p", "holm": "p_holm", "bonferroni": "p_bonferroni", "bh": "p_bh"}.items():
        assert [getattr(pair, ours) for pair in result.pairs] == close(wanted[name]), name
    for name, ours in {"u": "mann_whitney_u", "p_mw": "p_mw_asymptotic", "hl_shift": "hl_shift"}.items():
        assert [getattr(pair, ours) for pair in result.pairs] == close(wanted[name]), name


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=7), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_adjustments_agree_with_statsmodels_and_mann_whitney_with_scipy(values: list[list[int]]) -> None:
    groups = {str(position): [float(value) for value in group] for position, group in enumerate(values)}
    result = dunn(groups)
    if len({value for group in values for value in group}) == 1:
        assert (result.pairs, result.reason) == ((), "all values are equal")
        return
    p = [pair.p for pair in result.pairs]
    for ours, method in (("p_holm", "holm"), ("p_bonferroni", "bonferroni"), ("p_bh", "fdr_bh")):
        assert [getattr(pair, ours) for pair in result.pairs] == pytest.approx(multipletests(p, method=method)[1])
    for pair in result.pairs:
        a, b = groups[pair.a], groups[pair.b]
        if len({*a, *b}) == 1:
            assert pair.p_mw_asymptotic is None
            continue
        wanted = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=False)
        assert pair.mann_whitney_u == wanted.statistic
        assert pair.p_mw_asymptotic == pytest.approx(wanted.pvalue, abs=1e-12)
        assert pair.hl_shift == np.median(np.subtract.outer(a, b))


def test_two_groups_give_the_kruskal_wallis_test() -> None:
    # With two groups z² is H.
    a, b = [0.91, 0.95, 0.95, 0.99], [0.90, 0.93, 0.95]
    pair = dunn({"a": a, "b": b}).pairs[0]
    assert pair.z**2 == pytest.approx(stats.kruskal(a, b).statistic)
    assert pair.p_holm == pair.p == pytest.approx(stats.kruskal(a, b).pvalue)


def test_empty_groups_are_excluded_and_listed() -> None:
    result = dunn({"a": [1.0, 2.0], "none": [], "nan": [math.nan], "b": [3.0]})
    assert result.empty_groups == ("none", "nan")
    assert [(pair.a, pair.b) for pair in result.pairs] == [("a", "b")]
    assert (result.n, result.n_missing, result.group_sizes) == (3, 1, {"a": 2, "none": 0, "nan": 0, "b": 1})


def test_groups_of_one_are_compared() -> None:
    # Ranks 1 and 2: difference -1, variance 2·3/12 · 2 = 1.
    assert dunn({"a": [1.0], "b": [2.0]}).pairs[0].z == pytest.approx(-1.0)


@pytest.mark.parametrize("groups", [{}, {"a": []}, {"a": [1.0, 2.0]}, {"a": [1.0], "b": []}])
def test_fewer_than_two_groups_give_no_pair_and_a_reason(groups: dict[str, list[float]]) -> None:
    result = dunn(groups)
    assert (result.pairs, result.reason) == ((), "fewer than 2 groups have values")
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_wrong_input_raises() -> None:
    with pytest.raises(ValueError, match="infinity"):
        dunn({"a": [math.inf], "b": [1.0]})
