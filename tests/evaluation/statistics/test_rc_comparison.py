"""The paired comparison of two readers' RC against scipy's permutation test and by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from r_values import table
from scipy import stats

from liverspleen.evaluation.statistics.rc_comparison import compare_rc
from liverspleen.evaluation.statistics.reproducibility import percentage_rc

RNG_SEED = 21


def readers(n: int, test_cv: float, reference_cv: float, repeats: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Two readers of the same scans whose repeats correlate."""
    rng = np.random.default_rng(RNG_SEED)
    volume, scan = rng.lognormal(7, 0.3, (n, 1)), rng.normal(0, 0.02, (n, repeats))
    test, reference = (volume * (1 + scan + rng.normal(0, cv, (n, repeats))) for cv in (test_cv, reference_cv))
    return test, reference


def cv_squares(values: np.ndarray) -> np.ndarray:
    return values.var(axis=1, ddof=1) / values.mean(axis=1) ** 2


@pytest.mark.parametrize(("n", "repeats"), [(6, 2), (9, 3), (12, 2)])
def test_p_of_few_subjects_is_the_exact_one_of_scipy(n: int, repeats: int) -> None:
    test, reference = readers(n, 0.05, 0.02, repeats)
    wanted = stats.permutation_test(
        (cv_squares(test), cv_squares(reference)),
        lambda a, b, axis: np.log(a.mean(axis=axis) / b.mean(axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    result = compare_rc(test, reference)
    assert result.p == pytest.approx(float(wanted.pvalue))
    assert result.exchanges == 2**n


def test_p_of_many_subjects_is_near_the_one_of_scipy() -> None:
    test, reference = readers(40, 0.05, 0.04)
    wanted = stats.permutation_test(
        (cv_squares(test) - cv_squares(reference),),
        lambda d, axis: d.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=100_000,
        rng=np.random.default_rng(1),
    )
    p = compare_rc(test, reference).p
    assert p == pytest.approx(float(wanted.pvalue), abs=4 * math.sqrt(0.25 / 10_000))


def test_ratio_and_both_rc_are_those_of_each_reader_alone() -> None:
    test, reference = readers(20, 0.05, 0.02)
    result = compare_rc(test, reference)
    first, second = percentage_rc(test), percentage_rc(reference)
    assert (result.rc_pct_test, result.rc_pct_reference) == (first.rc_pct, second.rc_pct)
    assert (result.wcv_pct_test, result.wcv_pct_reference) == (first.wcv_pct, second.wcv_pct)
    assert result.ratio == pytest.approx(first.rc_pct / second.rc_pct)  # type: ignore[operator]
    assert result.ratio_bca_ci is not None
    assert result.ratio_bca_ci[0] < result.ratio < result.ratio_bca_ci[1]  # type: ignore[operator]


def test_swapping_the_readers_keeps_p_and_inverts_the_ratio() -> None:
    test, reference = readers(11, 0.04, 0.03)
    one, other = compare_rc(test, reference), compare_rc(reference, test)
    assert one.p == other.p
    assert one.ratio == pytest.approx(1 / other.ratio)  # type: ignore[operator]


def test_only_repeats_of_both_readers_are_used() -> None:
    test = [[90.0, 110.0, 100.0], [90.0, 110.0, math.nan], [1.0, 2.0, 3.0], [5.0, -5.0, 0.0]]
    reference = [[99.0, 101.0, math.nan], [99.0, math.nan, 101.0], [1.0, 2.0, 2.0], [5.0, 5.0, 6.0]]
    result = compare_rc(test, reference)
    assert (result.n, result.n_missing, result.n_undefined, result.n_dropped) == (2, 1, 1, 2)
    assert (result.positions, result.df) == ((0, 2), 3)


def test_one_subject_can_show_nothing() -> None:
    result = compare_rc([[90.0, 110.0]], [[99.0, 101.0]])
    assert (result.ratio, result.p, result.ratio_bca_ci) == (pytest.approx(10.0), 1.0, None)


def test_readers_with_the_same_cv_have_no_p() -> None:
    test = np.array(table("balanced"))
    result = compare_rc(test * 1.1, test)  # the CVs differ by rounding alone
    assert (result.ratio, result.p, result.ratio_bca_ci) == (pytest.approx(1.0), None, None)
    assert "same CV" in str(result.reason)


def test_a_reader_without_variance_has_a_p_value_but_no_ratio() -> None:
    result = compare_rc([[90.0, 110.0], [95.0, 105.0]], [[100.0, 100.0], [100.0, 100.0]])
    assert (result.ratio, result.p, result.reason) == (None, 0.5, "a wCV is 0: the ratio is undefined")


def test_nothing_to_compare_has_a_reason() -> None:
    result = compare_rc([[1.0, math.nan]], [[1.0, 2.0]])
    assert (result.n, result.p, result.reason) == (0, None, "no subject has 2 repeats and nonzero means")
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_tables_of_different_shape_raise() -> None:
    with pytest.raises(ValueError, match="expected the same shape"):
        compare_rc([[1.0, 2.0]], [[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="repeats"):
        compare_rc([1.0, 2.0], [1.0, 2.0])
