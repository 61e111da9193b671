"""Exact intervals cover 95 ± 1 % and tests hold their level; docs/statistics.md has the approximate ones as well."""

from __future__ import annotations

import pytest
import simulation

pytestmark = pytest.mark.slow

NOMINAL = pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30, 150])
def test_exact_limits_bias_and_sd_cover_as_stated(n: int) -> None:
    assert simulation.limit_coverage("exact per limit", n) == NOMINAL
    assert simulation.pair_coverage(n) == NOMINAL
    assert simulation.moment_coverage(n) == (NOMINAL, NOMINAL)


@pytest.mark.parametrize(("n", "repeats"), [(5, 2), (10, 2), (50, 2), (150, 2), (30, 3)])
@pytest.mark.parametrize("wcv", [0.01, 0.05, 0.1])
def test_chi_square_interval_of_the_rc_covers_as_stated_up_to_ten_percent(n: int, repeats: int, wcv: float) -> None:
    assert simulation.rc_coverage(n, wcv, repeats) == NOMINAL


@pytest.mark.parametrize("wcv", [0.05, 0.3])
def test_interval_of_the_log_rc_covers_as_stated_at_any_wcv(wcv: float) -> None:
    assert simulation.log_rc_coverage(20, wcv) == NOMINAL


def test_intervals_of_reliability_cover_nearly_as_stated() -> None:
    found = simulation.reliability_coverage(30, 3)
    assert found["ICC(C,1)"] == NOMINAL  # exact
    assert found["ICC(A,1)"] == pytest.approx(0.95, abs=0.02)  # Satterthwaite's approximation


def test_the_interval_of_the_shift_covers_as_stated() -> None:
    assert 0.95 - 0.01 <= simulation.shift_coverage(8) <= 0.98  # discrete: at least 95 %
    assert simulation.shift_coverage(80) == NOMINAL


@pytest.mark.parametrize("n", [10, 30])
def test_rank_tests_hold_their_level(n: int) -> None:
    for name, fraction in simulation.rank_test_levels(n).items():
        assert fraction <= 0.06, name  # 5 % and three Monte Carlo standard errors


@pytest.mark.parametrize("n", [5, 30])
def test_equivalence_is_not_claimed_at_the_margin_more_often_than_stated(n: int) -> None:
    assert simulation.tost_level(n) == pytest.approx(0.05, abs=0.0105)


@pytest.mark.parametrize("shape", ["normal", "heavy tails", "spread by subject"])
@pytest.mark.parametrize("n", [6, 10, 50])
def test_comparison_of_two_readers_rc_holds_its_level(n: int, shape: str) -> None:
    allowed = 0.05 + 3 * (0.05 * 0.95 / (4000 if n <= 13 else 1000)) ** 0.5
    assert simulation.exchange_level(n, shape) <= allowed
