"""Wilson's interval against statsmodels, and its edges."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from liverspleen.evaluation.statistics.proportion import wilson_interval


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 24), (3, 24), (23, 24), (24, 24), (500, 100_000)])
def test_wilson_interval_is_that_of_statsmodels(count: int, n: int) -> None:
    found = wilson_interval(count, n)
    assert found == pytest.approx(proportion_confint(count, n, method="wilson"), abs=1e-12)
    assert found is not None
    assert 0 <= found.lower <= count / n <= found.upper <= 1


@pytest.mark.parametrize(("count", "n"), [(-1, 3), (4, 3)])
def test_a_count_is_at_most_n(count: int, n: int) -> None:
    with pytest.raises(ValueError, match="is not from 0 to 3"):
        wilson_interval(count, n)
