"""Position of a trial in its sweep, and the time that the sweep still needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean
from typing import Final

from liverspleen.display import duration
from liverspleen.sweep.plan import STALE_S, Phase, Plan, State, TrialRecord, leaders

_NAMES: Final = {Phase.SEARCH: "search", Phase.CONFIRM: "confirmation"}


def standing(plan: Plan, record: TrialRecord, records: Sequence[TrialRecord]) -> str:
    """Return the position of a trial among those of its phase, such as `trial 3 of 6 (search)`.

    A failed trial has the position of the trial that replaces it; a failed point of a grid is not replaced.
    """
    earlier = [one for one in _counted(plan, record.phase, records) if one.number < record.number]
    return f"trial {len(earlier) + 1} of {_planned(plan, record.phase, records)} ({_NAMES[record.phase]})"


def time_left(plan: Plan, record: TrialRecord, records: Sequence[TrialRecord]) -> str:
    """Return the time left, such as `about 12 min left`; empty before the end of the first trial.

    It is the mean time of the finished trials, times the number of open and remaining ones, divided by the number of
    workers: the one of `record`, and others that have sent a heartbeat in the last ten minutes.
    """
    finished = [one for one in records if one.finished and one.outcome.seconds is not None]
    if not finished:
        return ""
    mean_s = fmean(one.outcome.seconds or 0.0 for one in finished)
    ended = [one for one in records if not one.open]
    remaining = sum(max(_planned(plan, phase, records) - len(_counted(plan, phase, ended)), 0) for phase in Phase)
    others = [one for one in records if one.open and one.number != record.number]
    workers = 1 + sum(time.time() - max(one.heartbeat, one.created) < STALE_S for one in others)
    return f"about {duration(mean_s * remaining / workers)} left"


def _planned(plan: Plan, phase: Phase, records: Sequence[TrialRecord]) -> int:
    """Return the number of trials of a phase; the confirmation has fewer if the search found few configurations."""
    if phase == Phase.SEARCH:
        return plan.trials
    search = [one for one in records if one.phase == Phase.SEARCH]
    searched = len(_counted(plan, Phase.SEARCH, [one for one in search if not one.open])) >= plan.trials
    return (len(leaders(plan, search)) if searched else min(plan.leaders, plan.trials)) * plan.seeds


def _counted(plan: Plan, phase: Phase, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that count towards the planned number of a phase."""
    failed_counts = phase == Phase.SEARCH and bool(plan.grid)
    return [one for one in records if one.phase == phase and (failed_counts or one.state != State.FAILED)]
