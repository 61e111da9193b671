"""What a sweep does next: a function of its trials alone, so that any worker, at any time, comes to the same answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from liverspleen.sweep.space import Value, configuration_id

FRESH_SEED: Final = 100_000
"""Added to the seed of confirmation: no seed of a search, which are as many as its trials, is met again."""


class State(StrEnum):
    """Of a trial. An interrupted one is `running` for the study, but no process is at work on it."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


class Phase(StrEnum):
    """`search`: which configuration; `confirm`: how good the best ones are, with seeds that nobody has selected."""

    SEARCH = "search"
    CONFIRM = "confirm"


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the study has it. `objectives` are those of a complete one, `about` what else its worker wrote."""

    number: int
    state: State
    phase: Phase
    values: Mapping[str, Value]
    objectives: tuple[float, ...] = ()
    repeat: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configuration(self) -> str:
        """Eight hex digits, equal for repeats of one configuration."""
        return configuration_id(self.values)

    @property
    def ended(self) -> bool:
        """Whether it counts as a finished trial: one that was pruned has said what it was begun for."""
        return self.state in {State.COMPLETE, State.PRUNED}

    @property
    def open(self) -> bool:
        """Whether it was begun and has not ended."""
        return self.state in {State.RUNNING, State.INTERRUPTED}


@dataclass(frozen=True)
class Plan:
    """How much is to be done.

    Args:
        trials: of the search.
        leaders: configurations that are confirmed.
        seeds: trainings of each of them; 0 for no confirmation.
        highest_is_best: whether more is better in the first objective, which chooses the leaders.
        grid: the points of a grid, in order; empty for a sampler.
        seed: of the first trial.
    """

    trials: int
    leaders: int
    seeds: int
    highest_is_best: bool
    grid: tuple[Mapping[str, Value], ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Begin:
    """A trial to begin; without `values` the sampler chooses them."""

    phase: Phase
    values: Mapping[str, Value] | None = None
    repeat: int = 0


class Pause(StrEnum):
    """Nothing to begin: others are at work whose end decides what comes next, or all is done."""

    WAIT = "wait"
    DONE = "done"


def next_step(plan: Plan, records: Sequence[TrialRecord]) -> Begin | Pause:
    """What is to be begun now; `records` are all trials, in any order."""
    search = [record for record in records if record.phase == Phase.SEARCH]
    if (begin := _search(plan, search)) is not None:
        return begin
    if any(record.open for record in search):
        return Pause.WAIT
    confirm = [record for record in records if record.phase == Phase.CONFIRM]
    if (begin := _confirm(plan, leaders(plan, search), confirm)) is not None:
        return begin
    return Pause.WAIT if any(record.open for record in confirm) else Pause.DONE


def surplus(plan: Plan, record: TrialRecord, records: Sequence[TrialRecord]) -> bool:
    """Whether a trial just begun is one too many, because another worker began the same at the same time.

    Of two such trials the later one gives way: all workers see the same numbers.
    """
    earlier = [one for one in records if one.number < record.number and one.phase == record.phase]
    if record.phase == Phase.CONFIRM:
        same = [one for one in earlier if (one.configuration, one.repeat) == (record.configuration, record.repeat)]
        return bool(same)
    if plan.grid:
        return any(one.configuration == record.configuration for one in earlier)
    return sum(one.state != State.FAILED for one in earlier) >= plan.trials


def leaders(plan: Plan, search: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Of the complete trials of a search the best of each configuration, best first, as many as are confirmed."""
    sign = -1.0 if plan.highest_is_best else 1.0
    complete = [record for record in search if record.state == State.COMPLETE and record.phase == Phase.SEARCH]
    best: dict[str, TrialRecord] = {}
    for record in sorted(complete, key=lambda one: (sign * one.objectives[0], one.number)):
        best.setdefault(record.configuration, record)
    return list(best.values())[: plan.leaders]


def seed_of(plan: Plan, begin: Begin, number: int) -> int:
    """Seed of a training: each trial of a search has another, and each repeat of a confirmation a fresh one."""
    return plan.seed + (number if begin.phase == Phase.SEARCH else FRESH_SEED + begin.repeat)


def _search(plan: Plan, search: Sequence[TrialRecord]) -> Begin | None:
    if plan.grid:
        tried = {record.configuration for record in search}
        points = (point for point in plan.grid[: plan.trials] if configuration_id(point) not in tried)
        return next((Begin(Phase.SEARCH, point) for point in points), None)
    begun = sum(record.ended or record.open for record in search)
    return Begin(Phase.SEARCH) if begun < plan.trials else None


def _confirm(plan: Plan, best: Sequence[TrialRecord], confirm: Sequence[TrialRecord]) -> Begin | None:
    """The leader with the fewest trainings is next, so that all have about as many seeds at any time."""
    return min(_short(plan, best, confirm), key=lambda found: found[0], default=(0, None))[1]


def _short(plan: Plan, best: Sequence[TrialRecord], confirm: Sequence[TrialRecord]) -> Iterator[tuple[int, Begin]]:
    for leader in best:
        own = [record for record in confirm if record.configuration == leader.configuration]
        begun = sum(record.ended or record.open for record in own)
        if begun < plan.seeds:
            repeat = max((record.repeat for record in own), default=-1) + 1  # a seed that failed is not tried again
            yield begun, Begin(Phase.CONFIRM, leader.values, repeat)
