"""The next trial depends only on the trials; workers in any order, killed at any time, reach the planned numbers."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from liverspleen.sweep.plan import (
    FRESH_SEED,
    NextTrial,
    Pause,
    Phase,
    Plan,
    State,
    TrialRecord,
    is_surplus,
    leaders,
    next_trial,
    training_seed,
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
    assert next_trial(PLAN, FINISHED[:3]) == NextTrial(Phase.SEARCH)
    assert next_trial(PLAN, [*FINISHED[:3], searched(3, State.RUNNING, 0.4)]) == Pause.WAIT


def test_a_pruned_trial_counts_as_finished_and_is_never_a_leader() -> None:
    records = [*FINISHED[:3], searched(3, State.PRUNED, 0.4)]
    assert [record.number for record in leaders(PLAN, records)] == [2, 0]
    assert isinstance(new := next_trial(PLAN, records), NextTrial)
    assert new.phase == Phase.CONFIRM


def test_leaders_are_the_best_configurations_each_once() -> None:
    again = searched(4, State.COMPLETE, 0.3, 0.85)
    assert [record.number for record in leaders(PLAN, [*FINISHED, again])] == [2, 3]
    lowest = replace(PLAN, highest_is_best=False)
    assert [record.number for record in leaders(lowest, FINISHED)] == [0, 3]


def test_leaders_are_confirmed_in_turn_and_a_failed_seed_is_replaced_by_a_fresh_one() -> None:
    best, second = {"optimizer.lr": 0.3}, {"optimizer.lr": 0.4}
    records = [*FINISHED]
    expected = [(best, 0), (second, 0), (best, 1), (second, 1)]
    for number, (values, repeat) in enumerate(expected, start=4):
        assert next_trial(PLAN, records) == NextTrial(Phase.CONFIRM, values, repeat)
        records.append(TrialRecord(number, State.COMPLETE, Phase.CONFIRM, values, (0.5,), repeat))
    assert next_trial(PLAN, records) == Pause.DONE
    records[-1] = replace(records[-1], state=State.FAILED)
    assert next_trial(PLAN, records) == NextTrial(Phase.CONFIRM, second, 2)


def test_without_seeds_there_is_no_confirmation() -> None:
    assert next_trial(replace(PLAN, seeds=0), FINISHED) == Pause.DONE


def test_a_grid_gives_each_point_once_in_order_and_does_not_repeat_a_failed_one() -> None:
    points = tuple({"optimizer.lr": lr} for lr in (0.1, 0.2, 0.3))
    plan = replace(PLAN, grid=points, trials=3, seeds=0)
    assert next_trial(plan, []) == NextTrial(Phase.SEARCH, points[0])
    assert next_trial(plan, FINISHED[:2]) == NextTrial(Phase.SEARCH, points[2])
    assert next_trial(plan, FINISHED[:3]) == Pause.DONE


def test_seeds_of_the_search_are_not_used_for_confirmation() -> None:
    plan = replace(PLAN, seed=7)
    assert [training_seed(plan, searched(number, State.RUNNING, 0.1)) for number in (0, 12)] == [7, 19]
    confirm = [TrialRecord(30, State.RUNNING, Phase.CONFIRM, {}, repeat=repeat) for repeat in (0, 1)]
    assert [training_seed(plan, record) for record in confirm] == [7 + FRESH_SEED, 8 + FRESH_SEED]


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("chance", range(40))
def test_workers_without_a_common_lock_finish_exactly_the_planned_number_of_trials(chance: int, grid: bool) -> None:
    """Workers may not see each other's new trials; trials may fail."""
    rng = random.Random(chance)
    points = tuple({"optimizer.lr": 0.1 * index} for index in range(5)) if grid else ()
    plan = Plan(trials=5, leaders=2, seeds=3, highest_is_best=True, grid=points)
    records: list[TrialRecord] = []
    surplus: set[int] = set()
    for _ in range(2000):
        known = [record for record in records if record.number not in surplus]
        views = [known] * rng.randint(1, 3)  # this many workers read the trials before any of them registers one
        new_trials = [new for view in views if isinstance(new := next_trial(plan, view), NextTrial)]
        for new in new_trials:
            values = new.values or {"optimizer.lr": rng.random()}
            record = TrialRecord(len(records), State.RUNNING, new.phase, values, (), new.repeat)
            records.append(record)
            if is_surplus(plan, record, [one for one in records if one.number not in surplus]):
                surplus.add(record.number)
        for record in records:
            if record.state == State.RUNNING and record.number not in surplus and rng.random() < 0.5:
                state = State.FAILED if rng.random() < 0.15 else State.COMPLETE
                records[record.number] = replace(record, state=state, objectives=(rng.random(),))
        if not new_trials and next_trial(plan, [r for r in records if r.number not in surplus]) == Pause.DONE:
            break
    kept = [record for record in records if record.number not in surplus]
    complete = [record for record in kept if record.phase == Phase.SEARCH and record.state == State.COMPLETE]
    failed = sum(record.phase == Phase.SEARCH and record.state == State.FAILED for record in kept)
    assert len(complete) == (5 - failed if grid else 5)
    best = leaders(plan, kept)
    confirmed = Counter(r.configuration for r in kept if r.phase == Phase.CONFIRM and r.state == State.COMPLETE)
    assert confirmed == Counter({leader.configuration: 3 for leader in best})
    repeats = [(r.configuration, r.repeat) for r in kept if r.phase == Phase.CONFIRM]
    assert len(set(repeats)) == len(repeats)
