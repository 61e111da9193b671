"""Two one-sided tests against R and statsmodels, and the margins by their definition."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from r_values import close, expected, paired
from statsmodels.stats.weightstats import ttost_paired
from test_bland_altman import assert_close, paired_fixture

from liverspleen.evaluation.statistics.equivalence import tost

MARGINS = {"absolute": 10.0, "percent": 3.0, "log": 1.03}


def test_every_field_of_the_fixture_agrees_with_r(shared: Path) -> None:
    test, reference, fixture = paired_fixture(shared)
    for scale in ("absolute", "percent"):
        wanted = fixture[scale]["tost"]  # type: ignore[index]
        result = tost(test, reference, margin=wanted["margin"], scale=scale).to_dict()  # type: ignore[arg-type]
        result["ci90"] = result.pop("bias_ci")
        assert_close(result, wanted, 1e-6, scale)


@pytest.mark.parametrize("scale", list(MARGINS))
@pytest.mark.parametrize("dataset", ["liver30", "spleen12", "two", "three", "seven", "large300"])
def test_one_sided_tests_agree_with_base_r(dataset: str, scale: str) -> None:
    wanted = expected(f"{dataset}.{scale}")
    result = tost(*paired(dataset), margin=MARGINS[scale], scale=scale)  # type: ignore[arg-type]
    assert [result.t_lower, result.p_lower] == close(wanted["tost_lower"], rel=1e-7)
    assert [result.t_upper, result.p_upper] == close(wanted["tost_upper"], rel=1e-7)
    assert result.bias_ci == close(wanted["ci90"], rel=1e-7)


def test_p_agrees_with_statsmodels() -> None:
    test, reference = np.random.default_rng(8).normal([[1003.0], [1000.0]], 20, (2, 40))
    result = tost(test, reference, margin=12.0)
    p, lower, upper = ttost_paired(test, reference, -12.0, 12.0)
    assert (result.p, result.p_lower, result.p_upper) == pytest.approx((p, lower[1], upper[1]))
    assert (result.t_lower, result.t_upper) == pytest.approx((lower[0], upper[0]))


@pytest.mark.parametrize("scale", list(MARGINS))
def test_at_the_smallest_margin_p_is_alpha(scale: str) -> None:
    sample = paired("liver30")
    first = tost(*sample, margin=MARGINS[scale], scale=scale)  # type: ignore[arg-type]
    assert first.smallest_margin is not None
    assert first.smallest_margin_lower is not None
    assert first.smallest_margin_upper is not None
    at = tost(*sample, margin=first.smallest_margin, scale=scale)  # type: ignore[arg-type]
    assert at.p == pytest.approx(0.05, rel=1e-9)
    below = tost(*sample, margin=first.smallest_margin_lower, scale=scale)  # type: ignore[arg-type]
    above = tost(*sample, margin=first.smallest_margin_upper, scale=scale)  # type: ignore[arg-type]
    assert (below.p_lower, above.p_upper) == pytest.approx((0.05, 0.05), rel=1e-9)


def test_a_difference_that_is_not_significant_does_not_show_equivalence() -> None:
    result = tost([100.0, 120.0, 90.0], [101.0, 95.0, 104.0], margin=5.0)
    assert (result.equivalent, result.not_below, result.not_above) == (False, False, False)


def test_one_side_can_be_significant_without_the_other() -> None:
    result = tost([109.0, 111.0, 110.0, 112.0], [100.0] * 4, margin=5.0)
    assert (result.equivalent, result.not_below, result.not_above) == (False, True, False)
    assert result.smallest_margin_lower == 0.0


def test_the_sides_swap_with_the_readers_on_the_log_scale() -> None:
    test, reference = paired("seven")
    one, other = (tost(*sides, margin=1.1, scale="log") for sides in ((test, reference), (reference, test)))
    assert (one.p_lower, one.p_upper) == pytest.approx((other.p_upper, other.p_lower))
    assert one.smallest_margin == pytest.approx(other.smallest_margin)


@pytest.mark.parametrize(
    ("test", "reference", "reason"),
    [
        ([], [], "no complete pairs"),
        ([1.0], [2.0], "only 1 pair: the SD is undefined"),
        ([2.0, 3.0], [1.0, 2.0], "all differences are equal: t, p value and interval are undefined"),
    ],
)
def test_undefined_has_a_reason(test: list[float], reference: list[float], reason: str) -> None:
    result = tost(test, reference, margin=1.0)
    assert (result.reason, result.p, result.equivalent, result.smallest_margin) == (reason, None, None, None)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@pytest.mark.parametrize(("margin", "scale"), [(0.0, "absolute"), (-1.0, "percent"), (1.0, "log"), (math.nan, "log")])
def test_a_margin_that_is_not_valid_raises(margin: float, scale: str) -> None:
    with pytest.raises(ValueError, match="margin"):
        tost([1.0, 2.0], [1.0, 3.0], margin=margin, scale=scale)  # type: ignore[arg-type]
