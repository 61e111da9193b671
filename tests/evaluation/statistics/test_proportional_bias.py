"""Proportional bias with HC3 standard errors against the formula by hand, and its undefined cases."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from liverspleen.evaluation import bland_altman, proportional_bias

VALUES = st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 0.1, 100.0, -1.0, 1e-9, 1e9, math.nan])


def readings(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Two readers; the bias and the spread of the second grow with size."""
    rng = np.random.default_rng(12)
    reference = rng.uniform(100, 2500, n)
    return reference * (1.01 + 0.03 * rng.standard_normal(n)), reference


@pytest.mark.parametrize("scale", ["absolute", "percent", "log"])
def test_the_interval_is_that_of_the_sandwich_formula(scale: str) -> None:
    # (X'X)^-1 X' diag(e² / (1 - h)²) X (X'X)^-1, as vcovHC(type = "HC3") of R's sandwich computes it.
    result = proportional_bias(*readings(), scale=scale, confidence=0.9)  # type: ignore[arg-type]
    agreement = bland_altman(*readings(), scale=scale)  # type: ignore[arg-type]
    design = np.column_stack([np.ones(agreement.n), agreement.averages])
    values = np.array(agreement.differences)
    bread = np.linalg.inv(design.T @ design)
    coefficients = bread @ design.T @ values
    leverage = np.einsum("ij,jk,ik->i", design, bread, design)
    weights = ((values - design @ coefficients) / (1 - leverage)) ** 2
    se = math.sqrt((bread @ (design.T * weights) @ design @ bread)[1, 1])
    half = float(stats.t.ppf(0.95, agreement.n - 2)) * se
    assert (result.intercept, result.slope) == pytest.approx(tuple(coefficients), rel=1e-6)
    assert result.slope_se == pytest.approx(se, rel=1e-6)
    assert result.slope_ci == pytest.approx((coefficients[1] - half, coefficients[1] + half), rel=1e-6)
    assert result.p == pytest.approx(2 * stats.t.sf(abs(coefficients[1] / se), agreement.n - 2), rel=1e-6)


def test_the_slope_is_that_of_the_checks_and_its_standard_error_is_not() -> None:
    classical = bland_altman(*readings()).checks.proportional_bias
    robust = proportional_bias(*readings())
    assert classical is not None
    assert robust.slope == pytest.approx(classical.slope, rel=1e-9)
    assert robust.slope_se is not None
    assert abs(robust.slope_se / classical.slope_se - 1) > 0.01  # the spread grows with size


@pytest.mark.parametrize(
    ("test", "reference", "reason"),
    [
        ([1.0, 2.0, math.nan], [1.0, 3.0, 4.0], "fewer than 3 pairs"),
        ([11.0, 9.0, 13.0], [9.0, 11.0, 7.0], "all averages are equal"),
        ([10.0, 11.0, 9.0, 51.0], [10.0, 9.0, 11.0, 49.0], "a single pair determines the slope"),
        ([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 4.0], "all pairs are on a line"),
    ],
)
def test_undefined_cases_have_a_reason(test: list[float], reference: list[float], reason: str) -> None:
    result = proportional_bias(test, reference)
    assert (result.reason, result.slope, result.slope_ci, result.p) == (reason, None, None, None)


def test_a_confidence_out_of_range_raises() -> None:
    with pytest.raises(ValueError, match="confidence"):
        proportional_bias([1.0, 2.0, 4.0], [1.0, 3.0, 4.0], confidence=95)


@example([(100.0, 1e-9), *[(0.0, 100.0)] * 4], "percent")  # averages that differ by rounding only, except one
@given(st.lists(st.tuples(VALUES, VALUES), max_size=10), st.sampled_from(["absolute", "percent", "log"]))
def test_for_any_sample_the_result_is_finite_or_has_a_reason(pairs: list[tuple[float, float]], scale: str) -> None:
    found = proportional_bias([x for x, _ in pairs], [y for _, y in pairs], scale=scale)  # type: ignore[arg-type]
    if found.reason is None:
        numbers = (found.intercept, found.slope, found.slope_se, found.t, found.p, *(found.slope_ci or (None,)))
        assert all(number is not None and math.isfinite(number) for number in numbers)


def test_statsmodels_is_imported_only_when_it_is_used() -> None:
    code = (
        "import sys\nfrom liverspleen.evaluation import bland_altman, proportional_bias\n"
        "bland_altman([1.0, 2.0, 4.0], [1.0, 3.0, 4.0])\nassert 'statsmodels' not in sys.modules\n"
        "proportional_bias([1.0, 2.0, 4.0], [1.0, 3.0, 4.0])\nassert 'statsmodels' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
