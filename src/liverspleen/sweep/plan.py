"""The next trial of a study. It depends only on the trials in the study, so all workers compute the same answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from liverspleen.sweep.space import Value, configuration_id

STALE_S: Final = 600.0
"""Time without a heartbeat after which an open trial of another folder is stale."""

FRESH_SEED: Final = 100_000
"""Offset of the seeds of confirmation trials. It is larger than the number of search trials, so no seed is reused."""


SEED: Final = "seed"
"""Parameter of a grid whose trials have given seeds; such a sweep has no confirmation."""


class State(StrEnum):
    """State of a trial. An interrupted trial is `running` in the study, but no process trains it."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


class Phase(StrEnum):
    """`search` compares many configurations; `confirm` trains the best ones again with fresh seeds."""

    SEARCH = "search"
    CONFIRM = "confirm"


@dataclass(frozen=True)
class Outcome:
    """What the study stores of a finished trial: all that its rows in the tables need.

    Attributes:
        reason: why it was pruned or failed, in one line; empty if it is complete.
        seconds: training time; None if its worker did not report it.
        device: as in `run.json`.
        scores: objectives and other scores, by their column in `trials.csv`.
        cases: case_id, structure, dss, volume_cm3 and reference_cm3 of each row of `trial_cases.csv`.
    """

    reason: str = ""
    seconds: float | None = None
    device: str | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    cases: Sequence[Sequence[Any]] = ()


@dataclass(frozen=True)
class TrialRecord:
    """A trial in the study; `created` and `heartbeat` are in seconds since 1970 (UTC).

    Attributes:
        objectives: values of a complete trial, else empty.
        repeat: number of a confirmation trial among those of its configuration.
        folder_id: identifies the output folder of its worker.
        host: name of the machine of its worker.
        heartbeat: time of the last heartbeat.
        seconds: training time at the last heartbeat, or of the finished trial; None before the first heartbeat.
        outcome: of a finished trial.
    """

    number: int
    state: State
    phase: Phase
    values: Mapping[str, Value]
    objectives: tuple[float, ...] = ()
    repeat: int = 0
    folder_id: str = ""
    host: str = ""
    created: float = 0.0
    heartbeat: float = 0.0
    seconds: float | None = None
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def configuration(self) -> str:
        """Eight hex digits, equal for all trials of one configuration."""
        return configuration_id(self.values)

    @property
    def finished(self) -> bool:
        """Whether it counts as a finished trial; a pruned trial does, because its result is known."""
        return self.state in {State.COMPLETE, State.PRUNED}

    @property
    def open(self) -> bool:
        """Whether it is running or interrupted."""
        return self.state in {State.RUNNING, State.INTERRUPTED}


@dataclass(frozen=True)
class Plan:
    """Numbers of trials of a study.

    Args:
        trials: finished trials of the search.
        leaders: configurations that are confirmed.
        seeds: confirmation trials of each leader; 0 for no confirmation.
        highest_is_best: whether the first objective, which selects the leaders, is maximized.
        grid: points of a grid, in order; empty for a sampler.
        seed: of the first trial.
    """

    trials: int
    leaders: int
    seeds: int
    highest_is_best: bool
    grid: tuple[Mapping[str, Value], ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class NextTrial:
    """A trial to create; the sampler chooses `values` if they are None."""

    phase: Phase
    values: Mapping[str, Value] | None = None
    repeat: int = 0


class Pause(StrEnum):
    """There is no trial to create: `wait` until running trials finish, or all trials are `done`."""

    WAIT = "wait"
    DONE = "done"


def next_trial(plan: Plan, records: Sequence[TrialRecord]) -> NextTrial | Pause:
    """Return the trial to create next; `records` are all trials, in any order."""
    search = [record for record in records if record.phase == Phase.SEARCH]
    if (trial := _next_search(plan, search)) is not None:
        return trial
    if any(record.open for record in search):
        return Pause.WAIT
    confirm = [record for record in records if record.phase == Phase.CONFIRM]
    if (trial := _next_confirmation(plan, leaders(plan, search), confirm)) is not None:
        return trial
    return Pause.WAIT if any(record.open for record in confirm) else Pause.DONE


def is_surplus(plan: Plan, record: TrialRecord, records: Sequence[TrialRecord]) -> bool:
    """Return whether a new trial is not needed, because another worker created the same one at the same time.

    The trial with the higher number is surplus, so all workers decide alike.
    """
    earlier = [one for one in records if one.number < record.number and one.phase == record.phase]
    if record.phase == Phase.CONFIRM:
        return any((one.configuration, one.repeat) == (record.configuration, record.repeat) for one in earlier)
    if plan.grid:
        return any(one.configuration == record.configuration for one in earlier)
    return sum(one.state != State.FAILED for one in earlier) >= plan.trials


def leaders(plan: Plan, search: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the best complete search trial of each of the `plan.leaders` best configurations, best first."""
    sign = -1.0 if plan.highest_is_best else 1.0
    complete = [record for record in search if record.state == State.COMPLETE and record.phase == Phase.SEARCH]
    best: dict[str, TrialRecord] = {}
    for record in sorted(complete, key=lambda one: (sign * one.objectives[0], one.number)):
        best.setdefault(record.configuration, record)
    return list(best.values())[: plan.leaders]


def training_seed(plan: Plan, record: TrialRecord) -> int:
    """Return the seed of a training: that of its values if seeds are searched.

    Otherwise it differs between search trials, and between repeats of a configuration.
    """
    if SEED in record.values:
        return int(record.values[SEED])
    return plan.seed + (record.number if record.phase == Phase.SEARCH else FRESH_SEED + record.repeat)


def _next_search(plan: Plan, search: Sequence[TrialRecord]) -> NextTrial | None:
    if plan.grid:
        tried = {record.configuration for record in search}
        points = (point for point in plan.grid[: plan.trials] if configuration_id(point) not in tried)
        return next((NextTrial(Phase.SEARCH, point) for point in points), None)
    count = sum(record.finished or record.open for record in search)
    return NextTrial(Phase.SEARCH) if count < plan.trials else None


def _next_confirmation(plan: Plan, best: Sequence[TrialRecord], confirm: Sequence[TrialRecord]) -> NextTrial | None:
    """Return a trial of the leader with the fewest trials, so that all leaders have similar numbers of seeds."""
    return min(_missing(plan, best, confirm), key=lambda found: found[0], default=(0, None))[1]


def _missing(
    plan: Plan, best: Sequence[TrialRecord], confirm: Sequence[TrialRecord]
) -> Iterator[tuple[int, NextTrial]]:
    """Yield the number of trials and the next trial of each leader that needs more seeds."""
    for leader in best:
        own = [record for record in confirm if record.configuration == leader.configuration]
        count = sum(record.finished or record.open for record in own)
        if count < plan.seeds:
            repeat = max((record.repeat for record in own), default=-1) + 1  # a failed seed is not repeated
            yield count, NextTrial(Phase.CONFIRM, leader.values, repeat)
