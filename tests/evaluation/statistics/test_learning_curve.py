"""The need of cases of a power law: exact curves by hand, coverage on simulated curves, and curves that do not tell."""

from __future__ import annotations

import numpy as np
import pytest

from liverspleen.evaluation.statistics.learning_curve import BEYOND, FLAT, MISFIT, UNBOUNDED, learning_curve

SIZES = np.array([5, 10, 20, 40, 80])
CASES = np.tile(SIZES, 3)
SEEDS = np.repeat([0, 1, 2], 5)


def simulated(rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """DSS of 15 trainings, a wanted DSS, and its true need."""
    a, c, sd = rng.uniform(0.90, 0.98), rng.uniform(0.3, 1.5), rng.uniform(0.005, 0.02)
    b = rng.uniform(0.03, 0.30) * 5**c
    need = float(np.exp(rng.uniform(np.log(10), np.log(320))))
    return np.clip(a - b * CASES**-c + rng.normal(0, sd, 15), 0, 1), a - b * need**-c, need


def test_interval_covers_the_true_need() -> None:
    """100 curves; 85 % is what the interval must hold, its level is 95 %. All 500 are in experiments/learning_curve."""
    rng, covered, answered = np.random.default_rng(5), 0, 0
    for _ in range(100):
        dss, wanted, need = simulated(rng)
        if (interval := learning_curve(CASES, dss, SEEDS, wanted_dss=wanted).cases_ci) is not None:
            answered += 1
            covered += interval.lower <= need <= interval.upper
    assert answered > 30
    assert covered / answered >= 0.85


def test_flat_curves_have_no_answer() -> None:
    rng = np.random.default_rng(6)
    curves = [learning_curve(CASES, 0.9 + rng.normal(0, 0.01, 15), SEEDS, wanted_dss=0.92) for _ in range(30)]
    assert {(curve.reason, curve.cases, curve.cases_ci, curve.at_least) for curve in curves} == {
        (FLAT, None, None, None)
    }


def test_exact_curve_has_its_need() -> None:
    """0.95 - 0.5 / n is 0.94 at n = 50, and 0.93 at n = 25."""
    dss = 0.95 - 0.5 / CASES
    for wanted, need in ((0.94, 50), (0.93, 25)):
        curve = learning_curve(CASES, dss, wanted_dss=wanted)
        assert curve.cases == need
        assert curve.cases_ci is not None
        assert curve.cases_ci.lower <= need <= curve.cases_ci.upper <= need * 1.1
    assert (curve.asymptote, curve.drop, curve.power) == pytest.approx((0.95, 0.5, 1.0))


def test_wanted_dss_above_the_asymptote_has_no_answer() -> None:
    dss = 0.95 - 0.5 / CASES + np.tile([0.001, -0.001, 0.0], 5)
    curve = learning_curve(CASES, dss, wanted_dss=0.97)
    assert (curve.reason, curve.cases) == (BEYOND, None)


def test_interval_without_upper_limit_is_no_answer_but_has_a_lower_limit() -> None:
    """Of a rise by 0.02 per doubling, with an SD of about 0.01, the end is unknown."""
    signs = np.repeat([1, -1, 0], 5)
    dss = 0.8 + 0.02 * np.log2(CASES / 5) + np.tile([0.012, -0.012, 0.01, -0.012, 0.01], 3) * signs
    curve = learning_curve(CASES, dss, SEEDS, wanted_dss=0.93)
    assert curve.reason in (UNBOUNDED, BEYOND)
    assert curve.cases_ci is None
    assert curve.at_least is not None
    assert curve.at_least > 80


@pytest.mark.parametrize(
    ("means", "reason"),
    [([0.80, 0.90, 0.70, 0.92, 0.85], MISFIT), ([0.92, 0.91, 0.90, 0.89, 0.88], FLAT)],
)
def test_curves_that_are_not_monotone_or_fall_have_no_answer(means: list[float], reason: str) -> None:
    dss = np.tile(means, 3) + np.repeat([0.003, 0.0, -0.003], 5) * np.tile([1, -1, 1, -1, 1], 3)
    assert learning_curve(CASES, dss, wanted_dss=0.9).reason in (reason, FLAT)


def test_common_deviation_of_a_seed_widens_the_interval() -> None:
    dss = 0.95 - 0.5 / CASES + np.repeat([0.01, 0.0, -0.01], 5) + np.tile([0.001, -0.001, 0.001], 5)
    without, given = (learning_curve(CASES, dss, seeds, wanted_dss=0.92) for seeds in (None, SEEDS))
    assert without.cases_ci is not None
    assert given.at_least is not None
    assert given.at_least < without.cases_ci.lower


@pytest.mark.parametrize(
    ("cases", "dss", "wanted", "message"),
    [
        ([5, 10, 20] * 2, [0.8, 0.85, 0.9] * 2, 0.9, "6 trainings with 3 different numbers"),
        (SIZES, SIZES / 100, 0.9, "5 trainings with 5 different numbers"),
        ([*CASES[:14], 2.5], [0.9] * 15, 0.9, "not a whole number"),
        (CASES, [0.9] * 14 + [1.2], 0.9, "not a number from 0 to 1"),
        (CASES, [0.9] * 14 + [np.nan], 0.9, "not a number from 0 to 1"),
        (CASES, [0.9] * 15, 1.0, "wanted DSS is 1"),
        (CASES, [0.9] * 3, 0.9, "one value per training"),
    ],
)
def test_input_that_cannot_be_used_is_named(cases: object, dss: object, wanted: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_curve(cases, dss, wanted_dss=wanted)  # type: ignore[arg-type]
