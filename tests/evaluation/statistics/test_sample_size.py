"""Sample sizes against R 4.2.2 (base R), tables of PowerTOST, Bland's advice, and simulation.

R, for all literals that name no other source:

    c4 <- function(df) sqrt(2/df) * exp(lgamma((df+1)/2) - lgamma(df/2))
    one <- function(n) diff(qt(c(.025, .975), n-1, 1.96*sqrt(n))) / sqrt(n) / 2
    rc <- function(df) (sqrt(df/qchisq(.025, df)) - sqrt(df/qchisq(.975, df))) / 2
    assured <- function(h, df, w) pchisq(df * (w/h)^2, df)
    power <- function(se, df, m, d) { t <- qt(.95, df)
      integrate(function(s) (pnorm((m-d)/se - t*s) - pnorm((-m-d)/se + t*s)) * 2*df*s*dchisq(df*s^2, df),
                0, m/(t*se), rel.tol = 1e-11, subdivisions = 1000)$value }
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from liverspleen.evaluation import plan_loa, plan_rc, plan_tost, tost
from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.evaluation.statistics.sample_size import exact_power, tost_power


def test_bland_s_hundred_pairs_give_a_third_of_an_sd() -> None:
    # Bland, "How can I decide the sample size for a study of agreement": n = 100 gives ± 0.34 s, n = 200 ± 0.24 s
    assert [plan_loa(sd=1.0, half_width=half)[0].n for half in (0.3395, 0.2401)] == [100, 200]


def test_limits_of_agreement_as_in_r() -> None:
    # n <- 2; while (one(n) * c4(n-1) > .34) n <- n + 1; c(n, one(n)*c4(n-1), assured(one(n), n-1, .34))
    # n <- 2; while (assured(one(n), n-1, .34) < .8) n <- n + 1; likewise
    _, expected, assured, *_ = plan_loa(sd=1.0, half_width=0.34)
    assert (expected.n, assured.n) == (101, 112)
    assert expected.half_width == pytest.approx(0.3388005427, rel=1e-6)
    assert assured.half_width == pytest.approx(0.3212094174, rel=1e-6)
    assert expected.probability == pytest.approx(0.5246326465, rel=1e-6)
    assert assured.probability == pytest.approx(0.8086550787, rel=1e-6)


def test_reproducibility_coefficient_as_in_r() -> None:
    # n <- 1; while (10 * rc(n) * c4(n) > 2) n <- n + 1; c(n, 10*rc(n)*c4(n), assured(10*rc(n), n, 2))
    # n <- 1; while (assured(10 * rc(n), n, 2) < .8) n <- n + 1; likewise
    expected, assured = plan_rc(rc_pct=10.0, half_width_pct=2.0)
    assert (expected.n, assured.n) == (52, 59)
    assert expected.half_width == pytest.approx(1.9800646625, rel=1e-9)
    assert assured.half_width == pytest.approx(1.8522745344, rel=1e-9)
    assert assured.probability == pytest.approx(0.8072114585, rel=1e-9)


def test_three_ct_of_a_patient_count_as_two_degrees_of_freedom() -> None:
    assert [row.n for row in plan_rc(rc_pct=10.0, half_width_pct=2.0, repeats=3)] == [26, 30]  # 52 / 2, 59 / 2 upwards


def test_equivalence_as_in_r() -> None:
    # n <- 2; while (power(1/sqrt(n), n-1, .5, .1) < .9) n <- n + 1; c(n, power(1/sqrt(n), n-1, .5, .1))
    exact, _ = plan_tost(sd=1.0, margin=0.5, bias=0.1, power=0.9)
    assert exact.n == 56
    assert exact.power == pytest.approx(0.9024833896, abs=1e-9)
    # power(1/sqrt(n), n-1, 3, 0) and power(1/sqrt(n), n-1, .5, .1)
    assert tost_power(2, sd=1.0, margin=3.0) == pytest.approx(0.41302958044, abs=1e-9)
    assert tost_power(6, sd=1.0, margin=0.5, bias=0.1) == pytest.approx(0.02355008354, abs=1e-9)


@pytest.mark.parametrize(("cv", "n", "power"), [(0.2, 20, 0.834680), (0.25, 28, 0.807439), (0.3, 40, 0.815845)])
def test_power_of_bioequivalence_crossovers_as_powertost_prints_it(cv: float, n: int, power: float) -> None:
    # sampleN.TOST(CV = 0.2), (CV = 0.25), (CV = 0.3) of the R package PowerTOST: 2x2 crossover, theta0 0.95, 0.80-1.25
    sd = math.sqrt(math.log(1 + cv**2))
    found = exact_power(standard_error=sd * math.sqrt(2 / n), df=n - 2, margin=math.log(1.25), bias=math.log(0.95))
    assert found == pytest.approx(power, abs=5e-7)


def test_what_is_planned_is_what_simulated_studies_get() -> None:
    rng = np.random.default_rng(3)
    _, expected, assured, both, _ = plan_loa(sd=2.0, half_width=1.2)
    for row, method in ((expected, "exact"), (assured, "exact"), (both, "exact_pair")):
        halves = []
        for _ in range(400):
            intervals = bland_altman(rng.normal(0, 2, row.n), np.zeros(row.n)).intervals
            upper = getattr(intervals, method).loa_upper_ci
            halves.append((upper.upper - upper.lower) / 2)
        assert np.mean(halves) == pytest.approx(row.half_width, rel=0.02)  # its Monte Carlo error: 0.5 %
        assert np.mean(np.array(halves) <= 1.2) == pytest.approx(row.probability, abs=0.1)  # 2.5 %
    (exact, _) = plan_tost(sd=2.0, margin=1.5, bias=0.3)
    verdicts = [tost(rng.normal(0.3, 2, exact.n), np.zeros(exact.n), margin=1.5).equivalent for _ in range(2000)]
    assert np.mean(verdicts) == pytest.approx(exact.power, abs=0.036)  # four of its standard errors


def test_one_case_fewer_is_not_enough() -> None:
    rows = plan_loa(sd=1.0, half_width=0.3)
    assert [row.half_width <= 0.3 for row in (rows[1], rows[3])] == [True, True]
    assert plan_loa(sd=1.0, n=rows[1].n - 1)[1].half_width > 0.3
    assert plan_loa(sd=1.0, n=rows[3].n - 1)[2].half_width > 0.3
    (exact, _) = plan_tost(sd=1.0, margin=0.5)
    assert exact.power >= 0.8 > plan_tost(sd=1.0, margin=0.5, n=exact.n - 1)[0].power


def test_units_do_not_matter() -> None:
    first, second = plan_loa(sd=1.0, half_width=0.5), plan_loa(sd=30.0, half_width=15.0)
    assert [row.n for row in first] == [row.n for row in second]
    assert [row.n for row in plan_tost(sd=0.01, margin=0.005)] == [row.n for row in plan_tost(sd=10.0, margin=5.0)]


def test_a_width_that_any_study_reaches_takes_the_fewest_cases() -> None:
    assert [row.n for row in plan_loa(sd=1.0, half_width=1e300)] == [2] * 5
    assert [row.probability for row in plan_rc(rc_pct=10.0, half_width_pct=1e300)] == [1.0, 1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: plan_loa(sd=0.0, half_width=1.0),
        lambda: plan_loa(sd=1.0),
        lambda: plan_loa(sd=1.0, half_width=0.5, n=10),
        lambda: plan_loa(sd=1.0, half_width=math.nan),
        lambda: plan_loa(sd=1.0, half_width=1e-4),
        lambda: plan_loa(sd=1.0, n=1),
        lambda: plan_loa(sd=1.0, half_width=0.5, assurance=1.0),
        lambda: plan_rc(rc_pct=10.0, half_width_pct=2.0, repeats=1),
        lambda: plan_tost(sd=1.0, margin=0.5, bias=-0.5),
        lambda: plan_tost(sd=1.0, margin=0.5, power=0.0),
    ],
)
def test_what_cannot_be_planned_is_rejected(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r".+"):
        wrong()
