"""The choice among configurations, against R 4.2.2 (base R), by hand, and by simulated sweeps.

R, for the literals of the intervals (a, b: seeds in rows, cases in columns; t2 <- function(df) qt(.975, df)^2):

    long <- function(m) data.frame(y = c(m), seed = factor(c(row(m))), case = factor(c(col(m))))
    ms <- function(m) summary(aov(y ~ seed + case, long(m)))[[1]][["Mean Sq"]]
    one <- function(m) { s <- nrow(m); n <- ncol(m); q <- ms(m) / (s*n)
      h <- sqrt(max(t2(s-1)*q[1] + t2(n-1)*max(q[2] - q[3], 0), t2(n-1)*q[2])); mean(m) + c(0, -h, h) }
    two <- function(a, b) { n <- ncol(a); qa <- ms(a)/length(a); qb <- ms(b)/length(b); d <- colMeans(a) - colMeans(b)
      v <- summary(aov(d ~ 1))[[1]][["Mean Sq"]] / n
      h <- sqrt(max(t2(nrow(a)-1)*qa[1] + t2(nrow(b)-1)*qb[1] + t2(n-1)*max(v - qa[3] - qb[3], 0), t2(n-1)*v))
      mean(d) + c(0, -h, h) }
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import choice_simulation
import numpy as np
import pandas
import pytest
from choice_simulation import NULLS, Sweep
from scipy import stats

from liverspleen.evaluation.statistics.model_choice import choose
from liverspleen.evaluation.statistics.seeds_and_cases import seed_case_difference, seed_case_mean

A = np.array([[0.91, 0.95, 0.88, 0.97], [0.93, 0.96, 0.91, 0.95], [0.90, 0.92, 0.89, 0.96]])
B = np.array([[0.89, 0.93, 0.88, 0.92], [0.86, 0.94, 0.84, 0.93]])


def frame(**tables: object) -> pandas.DataFrame:
    """Scores of configurations, each a table of seeds × cases; seeds are 0, 1, …, cases c0, c1, …"""
    rows = [
        (name, seed, f"c{case}", score)
        for name, table in tables.items()
        for seed, line in enumerate(np.asarray(table, dtype=float))
        for case, score in enumerate(line)
    ]
    return pandas.DataFrame(rows, columns=["configuration", "seed", "case_id", "score"])


def test_interval_of_a_mean_as_in_r() -> None:
    found = seed_case_mean(A)
    assert found.mean == pytest.approx(0.9275, abs=1e-12)
    assert found.mean_ci == pytest.approx((0.875480900697, 0.979519099303), abs=1e-11)


def test_interval_of_a_mean_near_one_stays_below_it() -> None:
    # logit(m) ± half / (m (1 - m)), back by 1 / (1 + exp(-x)); half as in the test above this one.
    found = seed_case_mean(A, fraction=True)
    half = 0.979519099303 - 0.9275
    centre, reach = math.log(0.9275 / 0.0725), half / (0.9275 * 0.0725)
    wanted = [1 / (1 + math.exp(-bound)) for bound in (centre - reach, centre + reach)]
    assert found.mean_ci == pytest.approx(wanted, abs=1e-11)
    close = seed_case_mean([[0.999, 0.90], [0.998, 0.99]], fraction=True)
    plain = seed_case_mean([[0.999, 0.90], [0.998, 0.99]])
    assert close.mean_ci is not None
    assert plain.mean_ci is not None
    assert close.mean_ci.upper < 1 < plain.mean_ci.upper


def test_interval_of_a_mean_with_a_larger_variance_of_cases_as_in_r() -> None:
    found = seed_case_mean([[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.61]])
    assert found.mean_ci == pytest.approx((0.548306366446, 0.954193633554), abs=1e-11)


def test_interval_of_a_difference_as_in_r() -> None:
    found = seed_case_difference(A, B)
    assert found.difference == pytest.approx(0.02875, abs=1e-12)
    assert found.difference_ci == pytest.approx((-0.054458427504, 0.111958427504), abs=1e-11)
    # differences between configurations that vary with the case dominate
    other = np.array([[0.5, 0.9, 0.6, 0.99], [0.5, 0.9, 0.6, 0.98]])
    assert seed_case_difference(A, other).difference_ci == pytest.approx((-0.148452964036, 0.510952964036), abs=1e-11)


def test_swap_negates_the_difference() -> None:
    forth, back = seed_case_difference(A, B), seed_case_difference(B, A)
    assert forth.difference_ci is not None
    assert back.difference_ci == pytest.approx((-forth.difference_ci[1], -forth.difference_ci[0]), abs=1e-12)


def test_without_differences_between_cases_it_is_the_t_interval_of_the_seeds() -> None:
    seeds = np.array([0.90, 0.93, 0.91, 0.95])
    found = seed_case_mean(np.repeat(seeds[:, None], 6, axis=1))
    expected = stats.t.interval(0.95, 3, seeds.mean(), stats.sem(seeds))
    assert found.mean_ci == pytest.approx(expected, abs=1e-12)
    assert found.seed_sd == pytest.approx(seeds.std(ddof=1), abs=1e-12)


def test_without_differences_between_seeds_it_is_the_t_interval_of_the_cases() -> None:
    cases = np.array([0.90, 0.93, 0.91, 0.95, 0.8])
    found = seed_case_mean(np.repeat(cases[None], 3, axis=0))
    assert found.mean_ci == pytest.approx(stats.t.interval(0.95, 4, cases.mean(), stats.sem(cases)), abs=1e-12)
    assert found.case_sd == pytest.approx(cases.std(ddof=1), abs=1e-12)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([[0.9, 0.8]], "only 1 seed: the noise of seeds is unknown"),
        ([[0.9], [0.8]], "only 1 case: the noise of cases is unknown"),
        ([[0.9, 0.9], [0.9, 0.9]], "all scores are equal over seeds and cases"),
        ([[math.nan, 0.9], [0.8, math.nan]], "no case has a score in every run"),
        (np.empty((0, 0)), "no case has a score in every run"),
    ],
)
def test_an_undefined_interval_has_a_reason(table: object, reason: str) -> None:
    found = seed_case_mean(table)  # type: ignore[arg-type]
    assert (found.mean_ci, found.reason) == (None, reason)


def test_undefined_scores_are_excluded_and_counted() -> None:
    gap = np.vstack([np.c_[A, [0.5, math.nan, 0.6]], [math.nan] * 5])
    found = seed_case_mean(gap)
    assert (found.n_seeds, found.n_cases, found.n_seeds_undefined, found.n_cases_left_out) == (3, 4, 1, 1)
    assert found.mean_ci == seed_case_mean(A).mean_ci


@pytest.mark.parametrize("table", [[0.9, 0.8], [[0.9, math.inf], [0.8, 0.9]]])
def test_no_table_of_numbers_is_rejected(table: object) -> None:
    with pytest.raises(ValueError, match=r"scores (have|contain)"):
        seed_case_mean(table)  # type: ignore[arg-type]


def test_a_winner_is_shown_better_than_every_other() -> None:
    found = choose(frame(a=A, b=A - 0.2, c=A - 0.3))
    assert (found.decision, found.winner, found.reason) == ("winner", "a", None)
    assert found.not_shown_worse == ("a",)
    assert [one.difference for one in found.differences] == pytest.approx([0.2, 0.3])


def test_one_rival_that_is_not_shown_worse_is_enough_for_no_winner() -> None:
    found = choose(frame(a=A, b=A - 0.001, c=A - 0.3))
    assert (found.decision, found.winner, found.best) == ("no difference shown", None, "a")
    assert found.not_shown_worse == ("a", "b")
    assert found.reason == "the difference is within the noise of seeds and cases"


def test_a_case_without_score_in_one_run_is_excluded_for_all() -> None:
    worse = np.c_[A - 0.2, [0.0, 0.0, 0.0]]
    better = np.c_[A, [0.9, math.nan, 0.9]]
    found = choose(frame(a=better, b=worse))
    assert (found.n_cases, found.cases_left_out) == (4, ("c4",))
    assert found.differences[0].difference == pytest.approx(0.2)  # not with the zeros of the fifth case
    assert "c4" in found.cautions[0]


def test_a_run_without_any_score_is_reported_with_the_winner() -> None:
    found = choose(frame(a=np.vstack([A, [math.nan] * 4]), b=A - 0.2))
    assert found.winner == "a"
    assert (found.configurations[0].n_seeds, found.configurations[0].n_seeds_undefined) == (3, 1)
    assert found.cautions[0].startswith("a: 1 of 4 runs have no score")


def test_one_seed_never_wins() -> None:
    found = choose(frame(a=A[:1], b=A - 0.5))
    assert (found.winner, found.reason) == (None, "only 1 seed: the noise of seeds is unknown")
    assert found.not_shown_worse == ("a", "b")


def test_one_configuration_or_none_is_no_choice() -> None:
    assert choose(frame(a=A)).reason == "only 1 configuration, so there is no comparison"
    nothing = choose(frame(a=[[math.nan, 0.9], [0.8, math.nan]]))
    assert (nothing.best, nothing.not_shown_worse) == (None, ())
    assert nothing.reason == "no case has a score in every run"


def test_worst_condition_is_that_of_the_lowest_mean() -> None:
    conditions = {"c0": "healthy", "c1": "healthy", "c2": "cirrhosis", "c3": "fatty"}
    first = choose(frame(a=A, b=B), conditions=conditions).configurations[0]
    # means over the seeds: 0.9133, 0.9433, 0.8933, 0.96
    assert (first.worst_condition, first.worst_n_cases) == ("cirrhosis", 1)
    assert first.worst_mean == pytest.approx((0.88 + 0.91 + 0.89) / 3)
    assert choose(frame(a=A, b=B)).configurations[0].worst_condition is None


def test_means_of_the_seeds_are_reported() -> None:
    assert choose(frame(a=A, b=B)).configurations[1].seed_means == pytest.approx({"0": 0.905, "1": 0.8925})


def test_order_of_rows_changes_nothing_and_the_result_is_json() -> None:
    scores = frame(a=A, b=B)
    shuffled = scores.sample(frac=1, random_state=3)
    assert json.dumps(choose(scores).to_dict()) == json.dumps(choose(shuffled).to_dict())


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (frame(a=A).drop(columns="seed"), "no column seed"),
        (pandas.concat([frame(a=A), frame(a=A)]), "two rows for one case"),
        (frame(a=[[math.inf, 0.9], [0.8, 0.7]]), "infinity"),
    ],
)
def test_wrong_scores_are_rejected(scores: pandas.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(scores)


def test_simulated_sweeps_are_decided_as_choose_decides() -> None:
    rng = np.random.default_rng(5)
    sweep = replace(Sweep(leaders=3, cases=6), gaps=(0.3, 0.0, -0.3))
    won = []
    for _ in range(30):
        tables = sweep.study(rng).tables
        found = choose(frame(**{str(position): table for position, table in enumerate(tables)}))
        expected = choice_simulation.winner(tables)
        assert found.winner == (None if expected is None else str(expected))
        won.append(found.winner)
    assert set(won) >= {None, "0"}  # both were met


def most_winners(studies: int) -> int:
    """The number of false winners that is exceeded with a probability below 0.1 % if the true rate is 5 %."""
    return int(stats.binom.ppf(0.999, studies, 0.05))


@pytest.mark.parametrize("name", ["seeds matter most", "skewed DSS, unequal seeds"])
def test_a_null_sweep_seldom_has_a_winner(name: str) -> None:
    studies = 4000
    assert choice_simulation.winner_rate(NULLS[name], studies) * studies <= most_winners(studies)


def test_a_real_difference_is_found_and_a_bad_rule_would_be() -> None:
    assert choice_simulation.power(4.0, seeds=5, studies=200) > 0.95

    def higher_mean(first: np.ndarray, second: np.ndarray) -> bool:
        return bool(first.mean() > second.mean())

    assert choice_simulation.winner_rate(NULLS["seeds matter most"], 100, rule=higher_mean) == 1.0


def test_best_search_score_is_too_high_by_the_mean_of_the_largest_of_as_many_samples() -> None:
    # mean of the largest of 20 standard normal values: integrate(function(x) x*20*dnorm(x)*pnorm(x)^19, -9, 9) in R
    sweep = Sweep(trials=20, seed_sd=1.0, residual_sd=0.0, seeds=20)
    assert choice_simulation.curse(sweep, 2000)[0] == pytest.approx(1.8674751, abs=0.06)  # 3.4 standard errors


@pytest.mark.slow
@pytest.mark.parametrize("size", choice_simulation.SIZES, ids=str)
@pytest.mark.parametrize("name", NULLS)
def test_null_sweeps_have_a_winner_in_at_most_five_percent(name: str, size: tuple[int, int, int]) -> None:
    studies = 4000
    rate = choice_simulation.winner_rate(choice_simulation.sized(NULLS[name], size), studies, seed=2)
    assert rate <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("cases", [5, 50])
@pytest.mark.parametrize(("noise", "unequal", "own"), [(1.0, 1, 0.0), (0.2, 5, 0.0), (0.1, 20, 1.5), (0.0, 1, 0.3)])
def test_two_good_leaders_are_seldom_distinguished(
    seeds: int, cases: int, noise: float, unequal: float, own: float
) -> None:
    studies = 4000
    gaps = (0.0, 0.0, -30.0)
    sweep = Sweep(seeds=seeds, cases=cases, seed_sd=noise, unequal=unequal, own_sd=own, gaps=gaps)
    assert choice_simulation.false_winner_rate(sweep, studies) * studies <= most_winners(studies)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_of_means_cover_at_least_as_stated(seeds: int) -> None:
    for name in ("seeds matter most", "seeds matter a little"):
        for cases in (5, 20, 50):
            sweep = replace(NULLS[name], seeds=seeds, cases=cases)
            assert choice_simulation.coverage(sweep, 4000) >= 0.94, (name, cases)
