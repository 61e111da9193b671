"""What comes next depends on the trials alone; any workers, in any order, killed at any time, end at one count."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from liverspleen.sweep.plan import (
    FRESH_SEED,
    Begin,
    Pause,
    Phase,
    Plan,
    State,
    TrialRecord,
    leaders,
    next_step,
    seed_of,
    surplus,
)

PLAN = Plan(trials=3, leaders=2, seeds=2, highest_is_best=True)


def searched(number: int, state: State, lr: float, *objectives: float) -> TrialRecord:
    return TrialRecord(number, state, Phase.SEARCH, {"optimizer.lr": lr}, objectives)


FINISHED = [
    searched(0, State.COMPLETE, 0.1, 0.7),
    searched(1, State.FAILED, 0.2),
    searched(2, State.COMPLETE, 0.3, 0.9),
    searched(3, State.COMPLETE, 0.4, 0.8),
]


def test_a_failed_trial_is_replaced_and_a_running_one_is_not() -> None:
    assert next_step(PLAN, FINISHED[:3]) == Begin(Phase.SEARCH)
    assert next_step(PLAN, [*FINISHED[:3], searched(3, State.RUNNING, 0.4)]) == Pause.WAIT


def test_a_pruned_trial_counts_as_finished_and_never_leads() -> None:
    records = [*FINISHED[:3], searched(3, State.PRUNED, 0.4)]
    assert [record.number for record in leaders(PLAN, records)] == [2, 0]
    assert isinstance(step := next_step(PLAN, records), Begin)
    assert step.phase == Phase.CONFIRM


def test_leaders_are_the_best_configurations_each_once() -> None:
    again = searched(4, State.COMPLETE, 0.3, 0.85)
    assert [record.number for record in leaders(PLAN, [*FINISHED, again])] == [2, 3]
    lowest = replace(PLAN, highest_is_best=False)
    assert [record.number for record in leaders(lowest, FINISHED)] == [0, 3]


def test_confirmations_take_turns_and_a_failed_seed_is_replaced_by_a_fresh_one() -> None:
    best, second = {"optimizer.lr": 0.3}, {"optimizer.lr": 0.4}
    records = [*FINISHED]
    expected = [(best, 0), (second, 0), (best, 1), (second, 1)]
    for number, (values, repeat) in enumerate(expected, start=4):
        assert next_step(PLAN, records) == Begin(Phase.CONFIRM, values, repeat)
        records.append(TrialRecord(number, State.COMPLETE, Phase.CONFIRM, values, (0.5,), repeat))
    assert next_step(PLAN, records) == Pause.DONE
    records[-1] = replace(records[-1], state=State.FAILED)
    assert next_step(PLAN, records) == Begin(Phase.CONFIRM, second, 2)


def test_without_seeds_the_search_is_all() -> None:
    assert next_step(replace(PLAN, seeds=0), FINISHED) == Pause.DONE


def test_a_grid_gives_each_point_once_in_order_also_one_that_failed() -> None:
    points = tuple({"optimizer.lr": lr} for lr in (0.1, 0.2, 0.3))
    plan = replace(PLAN, grid=points, trials=3, seeds=0)
    assert next_step(plan, []) == Begin(Phase.SEARCH, points[0])
    assert next_step(plan, FINISHED[:2]) == Begin(Phase.SEARCH, points[2])
    assert next_step(plan, FINISHED[:3]) == Pause.DONE


def test_no_seed_of_a_search_confirms() -> None:
    plan = replace(PLAN, seed=7)
    assert [seed_of(plan, Begin(Phase.SEARCH), number) for number in (0, 12)] == [7, 19]
    assert [seed_of(plan, Begin(Phase.CONFIRM, {}, repeat), 30) for repeat in (0, 1)] == [
        7 + FRESH_SEED,
        8 + FRESH_SEED,
    ]


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("chance", range(40))
def test_workers_without_a_common_lock_end_at_exactly_as_many_trials_as_were_asked_for(chance: int, grid: bool) -> None:
    """Each acts on a view that may be older than others' beginnings, fails now and then, or dies and is continued."""
    rng = random.Random(chance)
    points = tuple({"optimizer.lr": 0.1 * index} for index in range(5)) if grid else ()
    plan = Plan(trials=5, leaders=2, seeds=3, highest_is_best=True, grid=points)
    records: list[TrialRecord] = []
    gone: set[int] = set()
    for _ in range(2000):
        known = [record for record in records if record.number not in gone]
        views = [known] * rng.randint(1, 3)  # so many workers look before any of them begins
        steps = [step for view in views if isinstance(step := next_step(plan, view), Begin)]
        for step in steps:
            values = step.values or {"optimizer.lr": rng.random()}
            record = TrialRecord(len(records), State.RUNNING, step.phase, values, (), step.repeat)
            records.append(record)
            if surplus(plan, record, [one for one in records if one.number not in gone]):
                gone.add(record.number)
        for record in records:
            if record.state == State.RUNNING and record.number not in gone and rng.random() < 0.5:
                state = State.FAILED if rng.random() < 0.15 else State.COMPLETE
                records[record.number] = replace(record, state=state, objectives=(rng.random(),))
        if not steps and next_step(plan, [r for r in records if r.number not in gone]) == Pause.DONE:
            break
    kept = [record for record in records if record.number not in gone]
    complete = [record for record in kept if record.phase == Phase.SEARCH and record.state == State.COMPLETE]
    failed = sum(record.phase == Phase.SEARCH and record.state == State.FAILED for record in kept)
    assert len(complete) == (5 - failed if grid else 5)
    best = leaders(plan, kept)
    confirmed = Counter(r.configuration for r in kept if r.phase == Phase.CONFIRM and r.state == State.COMPLETE)
    assert confirmed == Counter({leader.configuration: 3 for leader in best})
    repeats = [(r.configuration, r.repeat) for r in kept if r.phase == Phase.CONFIRM]
    assert len(set(repeats)) == len(repeats)
