"""Kruskal-Wallis and Wilcoxon against R, scipy and hand computation."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from r_values import close, expected, grouped, paired
from scipy import stats

from liverspleen.evaluation.statistics.hodges_lehmann import _interval_rank
from liverspleen.evaluation.statistics.rank_tests import kruskal_wallis, wilcoxon_signed_rank
from liverspleen.evaluation.statistics.samples import describe

FEW_LEVELS = st.integers(0, 12).map(lambda level: level / 4)  # exact in binary, so that scipy finds the same ties


def grouped_fixture(shared: Path) -> tuple[dict[str, list[float]], dict[str, object]]:
    groups: dict[str, list[float]] = {}
    with (shared / "stats/inputs/example_grouped.csv").open(newline="") as handle:
        for row in csv.DictReader(handle):
            groups.setdefault(row["group"], []).append(float(row["value"] or "nan"))
    return groups, json.loads((shared / "stats/expected/example_grouped.json").read_text())


def test_kruskal_wallis_agrees_with_r(shared: Path) -> None:
    groups, expected = grouped_fixture(shared)
    wanted: dict[str, float] = expected["kruskal"]  # type: ignore[assignment]
    result = kruskal_wallis(groups)
    assert result.statistic == pytest.approx(wanted["H"], rel=1e-6)
    assert result.statistic_uncorrected == pytest.approx(wanted["H_uncorrected"], rel=1e-6)
    assert result.tie_correction == pytest.approx(wanted["tie_correction"], rel=1e-6)
    assert (result.df, result.n) == (wanted["df"], expected["n"])
    assert result.p == pytest.approx(wanted["p"], rel=1e-6)
    assert result.mean_ranks == pytest.approx(wanted["mean_ranks"], rel=1e-6)
    assert result.epsilon_squared == pytest.approx(wanted["epsilon_squared"], rel=1e-6)
    assert result.eta_squared_h == pytest.approx(wanted["eta_squared_h"], rel=1e-6)


def test_kruskal_wallis_agrees_with_base_r() -> None:
    wanted, result = expected("grouped"), kruskal_wallis(grouped())
    found = (result.statistic, result.p, result.epsilon_squared, result.eta_squared_h)
    assert found == close(tuple(wanted[name] for name in ("H", "p", "epsilon_squared", "eta_squared_h")))


@pytest.mark.parametrize("dataset", ["liver30", "spleen12", "ties14", "two", "three", "seven", "large300"])
def test_wilcoxon_and_its_effect_sizes_agree_with_base_r(dataset: str) -> None:
    wanted, result = expected(dataset), wilcoxon_signed_rank(*paired(dataset))
    assert result.w_plus == wanted["wilcoxon_v"]
    assert result.p == close(wanted["wilcoxon_p"])
    assert result.rank_biserial == close(wanted["rank_biserial"])
    assert result.hodges_lehmann == close(wanted["hodges_lehmann"], rel=1e-7)
    if "hodges_lehmann_ci" in wanted:
        assert result.hodges_lehmann_ci == close(wanted["hodges_lehmann_ci"], rel=1e-7)
    if len(paired(dataset)[0]) < 6:
        assert result.hodges_lehmann_ci is None
    assert result.cohen_dz == close(expected(f"{dataset}.absolute")["dz"], rel=1e-7)


def test_description_of_groups_agrees_with_r(shared: Path) -> None:
    groups, expected = grouped_fixture(shared)
    for name, wanted in expected["groups"].items():  # type: ignore[attr-defined]
        result = describe(groups[name])
        found = (result.n, result.mean, result.sd, result.minimum, result.maximum)
        assert found == pytest.approx(
            (wanted["n"], wanted["mean"], wanted["sd"], wanted["min"], wanted["max"]), rel=1e-6
        )


def test_wilcoxon_agrees_with_r(shared: Path) -> None:
    with (shared / "stats/inputs/example_paired.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    wanted = json.loads((shared / "stats/expected/example_paired.json").read_text())["wilcoxon"]
    result = wilcoxon_signed_rank(*([float(row[name] or "nan") for row in rows] for name in ("a", "b")))
    assert (result.n, result.n_dropped, result.n_zero, result.n_used) == (15, 1, wanted["n_zero"], wanted["n_used"])
    assert (result.w_plus, result.w_minus) == (wanted["w_plus"], wanted["w_minus"])
    assert result.statistic == wanted["statistic_min"]
    assert result.z == pytest.approx(wanted["z_nocorrection"], rel=1e-6)
    assert result.z_spss == pytest.approx(wanted["z_spss"], rel=1e-6)
    assert result.p == pytest.approx(wanted["p_asymptotic"], rel=1e-6)
    for name in ("rank_biserial", "hodges_lehmann", "median_difference"):
        assert getattr(result, name) == pytest.approx(wanted[name], rel=1e-6), name


@given(st.lists(st.lists(FEW_LEVELS, min_size=1, max_size=8), min_size=2, max_size=5))
def test_kruskal_wallis_agrees_with_scipy(groups: list[list[float]]) -> None:
    result = kruskal_wallis({str(position): values for position, values in enumerate(groups)})
    if len({value for values in groups for value in values}) == 1:
        assert (result.statistic, result.p, result.reason) == (None, None, "all values are equal")
        return
    expected = stats.kruskal(*groups)
    assert result.statistic == pytest.approx(float(expected.statistic), abs=1e-9)
    assert result.p == pytest.approx(float(expected.pvalue), rel=1e-6)


@given(st.lists(st.tuples(FEW_LEVELS, FEW_LEVELS), min_size=1, max_size=30))
def test_wilcoxon_agrees_with_scipy(pairs: list[tuple[float, float]]) -> None:
    test, reference = np.array(pairs).T
    result = wilcoxon_signed_rank(test, reference)
    if (test == reference).all():
        assert (result.p, result.reason) == (None, "all differences are zero")
        return
    expected = stats.wilcoxon(test, reference, method="asymptotic", correction=False, zero_method="wilcox")
    assert result.statistic == float(expected.statistic)
    assert result.p == pytest.approx(float(expected.pvalue), rel=1e-6)


def test_wilcoxon_by_hand() -> None:
    # |d| = 1, 2, 2 with average ranks 1, 2.5, 2.5; variance 3·4·7/24 - (2³-2)/48 = 3.375; W+ = 3.5, mean 3.
    result = wilcoxon_signed_rank([2.0, 3.0, 1.0, 5.0], [1.0, 1.0, 3.0, 5.0])
    assert (result.w_plus, result.w_minus, result.n_zero) == (3.5, 2.5, 1)
    assert result.z == pytest.approx(0.5 / math.sqrt(3.375))


def test_ties_hidden_by_float_noise_are_ties() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ in the last bit.
    test, reference = [0.3, 0.2, 0.1], [0.2, 0.1, 0.3]
    assert 0.3 - 0.2 != 0.2 - 0.1
    result = wilcoxon_signed_rank(test, reference)
    assert (result.w_plus, result.w_minus) == (3.0, 3.0)
    large = wilcoxon_signed_rank(np.array(test) * 1e4 + 1200, np.array(reference) * 1e4 + 1200)
    assert (large.w_plus, large.w_minus) == (3.0, 3.0)


def test_a_zero_hidden_by_float_noise_is_a_zero() -> None:
    result = wilcoxon_signed_rank([0.1 + 0.2, 0.5], [0.3, 0.4])
    assert (result.n_zero, result.n_used) == (1, 1)


def test_one_pair_has_an_asymptotic_p() -> None:
    result = wilcoxon_signed_rank([2.0], [1.0])
    assert (result.n, result.z) == (1, 1.0)
    assert result.p == pytest.approx(math.erfc(1 / math.sqrt(2)))


def test_exact_ranks_of_the_shift_are_those_of_the_printed_table() -> None:
    # Hollander and Wolfe, table of the signed-rank statistic: the two-sided 95 % interval excludes k - 1 averages.
    printed = {5: None, 6: 1, 7: 3, 8: 4, 9: 6, 10: 9, 15: 26, 20: 53, 25: 90}
    assert {n: _interval_rank(n) for n in printed} == printed


def test_the_rank_of_the_shift_is_exact_to_fifty_and_approximate_above() -> None:
    # R: qsignrank(0.025, n); the approximation gives the same values here.
    assert {n: _interval_rank(n) for n in (49, 50, 51, 60)} == {49: 416, 50: 435, 51: 454, 60: 649}


def test_the_shift_includes_zeros() -> None:
    # Walsh averages of 0, 0, 3: 0, 0, 0, 1.5, 1.5, 3.
    assert wilcoxon_signed_rank([1.0, 2.0, 6.0], [1.0, 2.0, 3.0]).hodges_lehmann == 0.75


def test_a_constant_shift_is_its_own_estimate_without_an_interval() -> None:
    reference = np.random.default_rng(2).uniform(100, 2000, 20)
    result = wilcoxon_signed_rank(reference + 0.1, reference)
    assert result.hodges_lehmann == pytest.approx(0.1)
    assert (result.hodges_lehmann_ci, result.cohen_dz, result.rank_biserial) == (None, None, 1.0)


def test_identical_columns_have_a_shift_of_zero_and_no_other_effect() -> None:
    result = wilcoxon_signed_rank([1.0, 2.0], [1.0, 2.0])
    assert (result.hodges_lehmann, result.median_difference) == (0.0, 0.0)
    assert (result.rank_biserial, result.cohen_dz, result.p) == (None, None, None)


def test_effect_sizes_of_groups_of_one() -> None:
    result = kruskal_wallis({"a": [1.0], "b": [2.0]})
    assert result.epsilon_squared == pytest.approx(1.0)
    assert result.eta_squared_h is None  # as many groups as values


def test_swapping_the_sides_swaps_rank_sums_and_keeps_p() -> None:
    one, other = (
        wilcoxon_signed_rank([1.0, 5.0, 2.0], [2.0, 2.0, 4.0]),
        wilcoxon_signed_rank([2.0, 2.0, 4.0], [1.0, 5.0, 2.0]),
    )
    assert (one.w_plus, one.w_minus, one.p) == (other.w_minus, other.w_plus, other.p)


def test_wilcoxon_without_pairs_is_undefined() -> None:
    result = wilcoxon_signed_rank([math.nan], [1.0])
    assert (result.n, result.n_dropped, result.p, result.reason) == (0, 1, None, "no complete pairs")


def test_groups_of_one_and_empty_groups() -> None:
    result = kruskal_wallis({"a": [1.0], "b": [2.0], "c": [math.nan], "d": []})
    assert (result.empty_groups, result.n_missing, result.df, result.n) == (("c", "d"), 1, 1, 2)
    assert result.statistic == pytest.approx(1.0)  # 12/6 · (0.25 + 0.25)


@pytest.mark.parametrize("groups", [{}, {"a": []}, {"a": [1.0, 2.0]}, {"a": [1.0, 2.0], "b": []}])
def test_fewer_than_two_groups_are_undefined(groups: dict[str, list[float]]) -> None:
    result = kruskal_wallis(groups)
    assert (result.p, result.df, result.reason) == (None, None, "fewer than 2 groups have values")


def test_results_are_plain_json() -> None:
    for result in (kruskal_wallis({"a": [1.0], "b": [2.0]}), wilcoxon_signed_rank([1.0], [2.0]), describe([])):
        plain = result.to_dict()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_wrong_input_raises() -> None:
    with pytest.raises(ValueError, match="infinity"):
        kruskal_wallis({"a": [math.inf], "b": [1.0]})
    with pytest.raises(ValueError, match="expected the same length"):
        wilcoxon_signed_rank([1.0], [1.0, 2.0])
