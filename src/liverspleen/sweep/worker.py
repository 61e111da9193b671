"""A worker: takes one trial after the other, trains it, tells the study, until nothing is left."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from liverspleen.errors import Issue
from liverspleen.locks import exclusive, try_lock
from liverspleen.organs import ORGANS
from liverspleen.storage import write_text
from liverspleen.sweep.plan import Begin, Pause, Phase, Plan, State, TrialRecord, next_step, seed_of, surplus
from liverspleen.sweep.results import Result, read_record, read_result
from liverspleen.sweep.space import Space, words
from liverspleen.sweep.study import Study
from liverspleen.sweep.tables import write_tables
from liverspleen.sweep.training import LOG, Ended, Interrupted, StopSignals, train, validations

_WAIT_S: Final = 0.5
_BEAT_S: Final = 60.0
_SILENT_S: Final = 600.0  # a worker elsewhere that has not been heard of for so long is taken for dead


@dataclass(frozen=True)
class Sweep:
    """What all workers of a study know.

    Args:
        folder: of the sweep, with the trials that were begun here; workers on one file system share it.
        study, space, plan: what is searched, where that is written down, how much is to be done.
        objectives: by name, the first one first.
        command: starts a training; what is searched, its seed and its folder are added.
        conditions: of the validation cases by case_id.
        prunes: whether trials of the search may end early.
        say: takes a line for the user.
    """

    folder: Path
    study: Study
    space: Space
    plan: Plan
    objectives: tuple[str, ...]
    command: tuple[str, ...]
    conditions: Mapping[str, str]
    prunes: bool
    say: Callable[[str], None]

    @property
    def lock(self) -> Path:
        """Held while a trial is taken, and while the locks of trials are looked at."""
        return self.folder / ".lock"

    def run(self, number: int) -> Path:
        """Folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def lock_trial(self, number: int) -> int | None:
        """The descriptor of the lock of a trial; None while a worker or a training holds it."""
        self.run(number).mkdir(parents=True, exist_ok=True)
        return try_lock(self.run(number) / ".lock")

    def write_tables(self) -> None:
        """trials.csv and trial_cases.csv of the study as it is now."""
        with exclusive(self.lock):
            write_tables(self.folder, self.study.records(), self.space, self.plan, self.conditions)


@dataclass
class Worker:
    """One process at work on a sweep; it takes trials that other workers left unfinished before it begins new ones."""

    sweep: Sweep
    stop: StopSignals
    failed: int = 0
    issues: list[Issue] = field(default_factory=list)

    def work(self) -> list[Issue]:
        """Until all is done; what failed comes back as warnings.

        Raises:
            Interrupted: the worker was asked to stop; its trial is saved and stays open.
            ConnectionError: the database failed; likewise.
        """
        with self.sweep.study.reached():
            self._work()
        return self.issues

    def _work(self) -> None:
        while not isinstance(found := self._next(), Pause) or found == Pause.WAIT:
            if self.stop.count:
                raise Interrupted
            if isinstance(found, Pause):
                time.sleep(_WAIT_S)
                continue
            record, lock = found
            try:
                self._carry_out(record, lock)
            finally:
                os.close(lock)
                self.sweep.write_tables()
            if self.failed >= max(3, self.sweep.plan.trials):
                message = f"{self.failed} trials failed one after the other here, and none can be expected to do better"
                self.issues.append(
                    Issue("LS-SWP-009", message, "see their reasons in trials.csv, then run the same command")
                )
                break
        self.sweep.write_tables()

    def _next(self) -> tuple[TrialRecord, int] | Pause:
        """A trial to be trained and the handle of its lock, if there is one."""
        sweep = self.sweep
        with exclusive(sweep.lock):
            place = _place(sweep.folder)
            records = sweep.study.records()
            for record in (record for record in records if record.open):
                if (lock := self._left(record, place)) is None:
                    continue
                if self._one_too_many(record, records):
                    os.close(lock)
                    continue
                return sweep.study.completed(record.number, sweep.space), lock
            step = next_step(sweep.plan, records)
            return step if isinstance(step, Pause) else self._begun(step, place)

    def _left(self, record: TrialRecord, place: str) -> int | None:
        """The lock of a trial that nobody is at work on; one of a place that fell silent is ended."""
        silent = time.time() - float(record.about["seen"])
        where = record.about["place"]
        if where != place and silent > _SILENT_S:
            reason = f"LS-SWP-012: its worker on {record.about.get('host')} has not been heard of for {silent:.0f} s"
            self.sweep.study.end(record.number, State.FAILED, {"reason": reason})
        if where != place:
            return None
        return self.sweep.lock_trial(record.number)

    def _begun(self, step: Begin, place: str) -> tuple[TrialRecord, int] | Pause:
        sweep = self.sweep
        record = sweep.study.begin(step, sweep.space, {"place": place, "host": socket.gethostname()})
        if self._one_too_many(record, sweep.study.records()):
            return Pause.WAIT
        lock = sweep.lock_trial(record.number)
        assert lock is not None, "nobody else knows of the trial yet"
        return record, lock

    def _one_too_many(self, record: TrialRecord, records: Sequence[TrialRecord]) -> bool:
        """Whether a trial that has not been trained yet is given back, also for a worker killed before it could."""
        if (self.sweep.run(record.number) / LOG).exists() or not surplus(self.sweep.plan, record, records):
            return False
        self.sweep.study.give_back(record.number)
        return True

    def _carry_out(self, record: TrialRecord, lock: int) -> None:
        """Train a trial and tell the study."""
        sweep, before = self.sweep, float(record.about.get("seconds", 0.0))
        clock, beat = time.monotonic(), _Beat(sweep.study, record.number, before)
        pruning = _Pruning(sweep, record)
        try:
            ended = train(
                self._command(record),
                sweep.run(record.number),
                lock=lock,
                stop=self.stop,
                pruned=lambda: beat.ended_elsewhere or pruning(),
                beat=beat,
            )
        except Interrupted:
            sweep.study.note(record.number, {"seconds": before + time.monotonic() - clock})
            raise
        if beat.ended_elsewhere:
            sweep.say(f"sweep: trial {record.number} was ended by another worker, which took this one for dead")
            return
        state, outcome, objectives = self._judged(record, ended)
        outcome |= {"seconds": before + ended.seconds, **_device(sweep.run(record.number))}
        sweep.study.end(record.number, state, outcome, objectives)
        self._tell(record, state, outcome)

    def _command(self, record: TrialRecord) -> list[str]:
        """That starts a trial's training."""
        sweep = self.sweep
        seed = seed_of(sweep.plan, Begin(record.phase, repeat=record.repeat), record.number)
        output = sweep.run(record.number)
        return [*sweep.command, *words(record.values), f"seed={seed}", f"output={output}"]

    def _judged(self, record: TrialRecord, ended: Ended) -> tuple[State, dict[str, Any], list[float] | None]:
        if ended.pruned:
            return State.PRUNED, {"reason": "worse than the trials before it at the same step"}, None
        if ended.reason:
            return State.FAILED, {"reason": ended.reason}, None
        try:
            result = read_result(self.sweep.run(record.number))
        except (ValueError, OSError) as error:
            return State.FAILED, {"reason": f"LS-SWP-008: its result cannot be read: {error}"}, None
        values = [result.objective(name) for name in self.sweep.objectives]
        for name, value in zip(self.sweep.objectives, values, strict=True):
            if value is None or not math.isfinite(value):
                return State.FAILED, {"reason": f"LS-SWP-008: {name} is undefined on the validation cases"}, None
        return State.COMPLETE, _plain(result), [value for value in values if value is not None]

    def _tell(self, record: TrialRecord, state: State, outcome: Mapping[str, Any]) -> None:
        told = f"trial {record.number} ({record.phase}) {state}, {outcome['seconds']:.1f} s"
        chosen = " ".join(words(record.values))
        self.failed = self.failed + 1 if state == State.FAILED else 0
        if state == State.FAILED:
            message = f"trial {record.number} ({chosen}) failed: {outcome['reason']}"
            hint = f"see {self.sweep.run(record.number) / 'log.txt'}; the sweep goes on"
            self.issues.append(Issue("LS-SWP-010", message, hint, severity="warning"))
        elif state == State.COMPLETE:
            told += f", DSS {outcome['dss']:.4f}" if outcome["dss"] is not None else ""
        self.sweep.say(f"sweep: {told}; {chosen}")


@dataclass
class _Beat:
    """Tells the study from time to time that a trial is being trained, and for how long; notices that it was ended."""

    study: Study
    number: int
    before: float
    """seconds of workers before this one"""
    begun: float = field(default_factory=time.monotonic)
    last: float = -math.inf
    ended_elsewhere: bool = False

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self.last > _BEAT_S:
            self.ended_elsewhere = not self.study.note(self.number, {"seconds": self.before + now - self.begun})
            self.last = now


@dataclass
class _Pruning:
    """Tells the study of new validations; true once a trial is to end."""

    sweep: Sweep
    record: TrialRecord
    known: set[int] | None = None
    changed: int = 0

    def __call__(self) -> bool:
        if not self.sweep.prunes or self.record.phase != Phase.SEARCH:
            return False
        run = self.sweep.run(self.record.number)
        try:
            changed = (run / "metrics.csv").stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if changed == self.changed:
            return False
        self.changed = changed
        if self.known is None:
            self.known = self.sweep.study.reported(self.record.number)
        for step, dss in validations(run, self.known):
            self.known.add(step)
            if self.sweep.study.report(self.record.number, step, dss):
                return True
        return False


def _place(folder: Path) -> str:
    """What names this folder to workers elsewhere, who have folders of their own."""
    file = folder / ".place"
    if not file.exists():
        write_text(file, uuid4().hex + "\n")
    return file.read_text(encoding="utf-8").strip()


def _device(run: Path) -> dict[str, Any]:
    records: Sequence[Mapping[str, Any]] = read_record(run)
    return {"device": records[0].get("device")} if records else {}


def _plain(result: Result) -> dict[str, Any]:
    """What the study keeps of a result: enough for the tables, wherever the trial's folder is."""
    cases = [[c.case_id, c.structure.key, c.dss, c.volume_cm3, c.reference_cm3] for c in result.cases]
    return {
        "dss": result.dss,
        **{f"dss_{one.key}": result.dss_of(one) for one in ORGANS},
        "volume_bias_pct": result.volume_bias_pct,
        "seconds_per_slice": result.seconds_per_slice,
        "cases": cases,
    }
