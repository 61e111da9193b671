"""Position of a trial in its sweep, and the time left, by hand."""

from __future__ import annotations

import time
from dataclasses import replace

from liverspleen.sweep.plan import Outcome, Phase, Plan, State, TrialRecord
from liverspleen.sweep.standing import standing, time_left

PLAN = Plan(trials=6, leaders=2, seeds=3, highest_is_best=True)


def record(number: int, state: State, *, phase: Phase = Phase.SEARCH, seconds: float | None = None) -> TrialRecord:
    return TrialRecord(
        number,
        state,
        phase,
        {"optimizer.lr": 0.001 * (number + 1)},
        objectives=(0.9,) if state == State.COMPLETE else (),
        created=time.time(),
        outcome=Outcome(seconds=seconds),
    )


DONE, FAILED = record(0, State.COMPLETE, seconds=100.0), record(1, State.FAILED, seconds=1.0)
RUNNING = record(2, State.RUNNING)


def test_a_failed_trial_has_the_position_of_the_one_that_replaces_it() -> None:
    records = [RUNNING, FAILED, DONE]
    assert standing(PLAN, FAILED, records) == "trial 2 of 6 (search)"
    assert standing(PLAN, RUNNING, records) == "trial 2 of 6 (search)"
    grid = replace(PLAN, trials=3, grid=tuple(one.values for one in (DONE, FAILED, RUNNING)))
    assert standing(grid, RUNNING, records) == "trial 3 of 3 (search)"  # a failed point is not replaced


def test_time_left_is_the_mean_time_of_the_remaining_trials_divided_by_the_workers() -> None:
    assert time_left(PLAN, RUNNING, [RUNNING]) == ""
    records = [DONE, FAILED, RUNNING]
    assert time_left(PLAN, RUNNING, records) == "about 18 min left"  # 100 s x (5 of the search + 6 confirmations)
    other = record(3, State.RUNNING)
    assert time_left(PLAN, RUNNING, [*records, other]) == "about 9 min left"
    lost = replace(other, created=time.time() - 1000)
    assert time_left(PLAN, RUNNING, [*records, lost]) == "about 18 min left"


def test_the_confirmation_has_the_leaders_that_were_found() -> None:
    search = [replace(DONE, number=number, values={"network": "small"}) for number in range(6)]
    first = record(6, State.COMPLETE, phase=Phase.CONFIRM, seconds=400.0)
    last = record(7, State.RUNNING, phase=Phase.CONFIRM)
    records = [*search, first, last]
    assert standing(PLAN, last, records) == "trial 2 of 3 (confirmation)"  # one configuration, three seeds
    assert time_left(PLAN, last, records) == "about 5 min left"  # 2 x mean of 6 x 100 s and 400 s
