"""A worker of a study: it trains one trial after another until the study is finished.

Workers communicate only through the database of the study and the locks of their output folder:

1. Register. Under the lock of the output folder (`.lock`) a worker reads all trials. If no trial can be adopted,
   `next_trial` gives the next one and `Study.ask` registers it.
2. Lock. The worker locks `trials/NNNN/.lock`, and the training inherits the lock. It is free only after worker and
   training have ended, also when they are killed, so a trial has at most one training.
3. Heartbeat. During a training the worker writes the time and the training time to the trial every 60 s.
4. Adoption. An open trial of the same output folder whose lock is free was interrupted. The next worker adopts it and
   resumes its training from the last checkpoint.
5. Stale trials. Locks of another output folder are not visible. An open trial of such a folder without a heartbeat for
   600 s is stale: any worker ends it as failed. If its worker still runs, the next heartbeat finds that the trial has
   ended, and the worker stops the training and continues with another trial.
6. Surplus trials. Workers with separate output folders can register the same trial at the same time. Each worker reads
   all trials again before a training starts; of two equal trials the one with the higher number is discarded.
7. Tell. After a training the worker stores the outcome with the final state and writes the tables.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from liverspleen.display import duration, stamped
from liverspleen.errors import InputError, Issue, counted
from liverspleen.locks import exclusive, try_lock
from liverspleen.organs import ORGANS
from liverspleen.reading import read_text
from liverspleen.storage import write_text
from liverspleen.sweep.plan import (
    STALE_S,
    NextTrial,
    Outcome,
    Pause,
    Phase,
    Plan,
    State,
    TrialRecord,
    is_surplus,
    next_trial,
    training_seed,
)
from liverspleen.sweep.results import Result, pooled, read_result, run_records
from liverspleen.sweep.space import Space, to_overrides, without_seed
from liverspleen.sweep.standing import standing, time_left
from liverspleen.sweep.study import Study
from liverspleen.sweep.tables import write_tables
from liverspleen.sweep.training import LOG, Interrupted, StopSignals, TrainingEnd, train, validations

_WAIT_S: Final = 0.5
_HEARTBEAT_S: Final = 60.0


@dataclass(frozen=True)
class Sweep:
    """Settings of a worker.

    Args:
        folder: output folder with the trials; workers on one file system share it.
        study, space, plan: database, parameters and numbers of trials.
        objectives: by name; the first one selects the leaders.
        command: starts a training; the worker adds the overrides of the trial, its seed and its folder.
        conditions: of the validation cases, by case_id.
        prunes: whether search trials may be pruned.
        say: prints a line.
        folds: splits of a cross-validation, by name; a trial trains all of them in turn. Empty: one training.
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
    folds: Mapping[str, Path] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        """Lock of the folder."""
        return self.folder / ".lock"

    def run(self, number: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def trainings(self, number: int) -> dict[Path, Path | None]:
        """Return the folders of the trainings of a trial, each with its split; None if the command has it."""
        run = self.run(number)
        return {run / name: split for name, split in self.folds.items()} or {run: None}

    def has_started(self, number: int) -> bool:
        """Return whether a training of a trial has started."""
        return any((run / LOG).exists() for run in self.trainings(number))

    def lock_trial(self, number: int) -> int | None:
        """Lock a trial and return the descriptor of its lock; None if a worker or a training holds it."""
        self.run(number).mkdir(parents=True, exist_ok=True)
        return try_lock(self.run(number) / ".lock")

    def write_tables(self) -> None:
        """Write trials.csv and trial_cases.csv of the study in its present state."""
        with exclusive(self.lock):
            write_tables(self.folder, self.study.records(), self.space, self.plan, self.conditions)


@dataclass
class Worker:
    """One process of a sweep; it adopts interrupted trials before it registers new ones."""

    sweep: Sweep
    stop: StopSignals
    failed_in_succession: int = 0
    issues: list[Issue] = field(default_factory=list)

    def work(self) -> list[Issue]:
        """Train trials until the study is finished; return the issues, with a warning for each failed trial.

        Raises:
            Interrupted: the worker was asked to stop; its trial is saved and remains open.
            ConnectionError: the database failed; the trial is saved and remains open.
        """
        with self.sweep.study.connected():
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
                self._train(record, lock)
            finally:
                os.close(lock)
                self.sweep.write_tables()
            if self.failed_in_succession >= max(3, self.sweep.plan.trials):
                message = f"{counted(self.failed_in_succession, 'trial')} failed in succession, so this worker stops"
                hint = "correct the reasons in trials.csv, then run the same command"
                self.issues.append(Issue("LS-SWP-009", message, hint))
                break
        self.sweep.write_tables()

    def _next(self) -> tuple[TrialRecord, int] | Pause:
        """Return an adopted or new trial and the descriptor of its lock."""
        sweep = self.sweep
        with exclusive(sweep.lock):
            folder_id = _folder_id(sweep.folder)
            records = sweep.study.records()
            for record in (record for record in records if record.open):
                if (lock := self._adopt(record, folder_id)) is None:
                    continue
                if self._discard_surplus(record, records):
                    os.close(lock)
                    continue
                return sweep.study.sampled(record.number, sweep.space), lock
            new = next_trial(sweep.plan, records)
            return new if isinstance(new, Pause) else self._register(new, folder_id)

    def _adopt(self, record: TrialRecord, folder_id: str) -> int | None:
        """Lock an interrupted trial of this folder; end a stale trial of another folder."""
        if record.folder_id == folder_id:
            return self.sweep.lock_trial(record.number)
        age = time.time() - record.heartbeat
        if age > STALE_S:
            reason = f"LS-SWP-012: stale trial, its worker on {record.host} sent no heartbeat for {age:.0f} s"
            self.sweep.study.tell(record.number, State.FAILED, Outcome(reason))
        return None

    def _register(self, new: NextTrial, folder_id: str) -> tuple[TrialRecord, int] | Pause:
        sweep = self.sweep
        record = sweep.study.ask(new, sweep.space, folder_id=folder_id, host=socket.gethostname())
        if self._discard_surplus(record, sweep.study.records()):
            return Pause.WAIT
        lock = sweep.lock_trial(record.number)
        assert lock is not None, "no other worker can lock a new trial"
        return record, lock

    def _discard_surplus(self, record: TrialRecord, records: Sequence[TrialRecord]) -> bool:
        """Discard a surplus trial whose training has not started, also one that a killed worker registered."""
        if self.sweep.has_started(record.number) or not is_surplus(self.sweep.plan, record, records):
            return False
        self.sweep.study.discard(record.number)
        return True

    def _train(self, record: TrialRecord, lock: int) -> None:
        """Train a trial and store its outcome in the study."""
        sweep, records = self.sweep, self.sweep.study.records()
        resumed = sweep.has_started(record.number)
        self._say(f"{'resumed' if resumed else 'started'} in trials/{record.number:04d}", record, records)
        heartbeat, pruning = _Heartbeat(sweep.study, record.number, record.seconds or 0.0), _Pruning(sweep, record)
        try:
            end = self._trained(record, lock, heartbeat, pruning)
        except Interrupted:
            sweep.study.heartbeat(record.number, heartbeat.seconds)
            raise
        if heartbeat.trial_ended:
            sweep.say(f"sweep: trial {record.number} was stale, and another worker ended it")
            return
        state, outcome, objectives = self._outcome(record, end, heartbeat.before + end.seconds)
        sweep.study.tell(record.number, state, outcome, objectives, values=record.values)
        self._log(record, state, outcome)

    def _trained(self, record: TrialRecord, lock: int, heartbeat: _Heartbeat, pruning: _Pruning) -> TrainingEnd:
        """Run the trainings of a trial until one fails or is pruned."""
        seconds, end = 0.0, TrainingEnd(0.0, "there is no training")
        for run, split in self.sweep.trainings(record.number).items():
            end = train(
                self._command(record, run, split),
                run,
                lock=lock,
                stop=self.stop,
                should_end=lambda: heartbeat.trial_ended or pruning(),
                heartbeat=heartbeat,
            )
            seconds += end.seconds
            if end.reason or end.pruned or heartbeat.trial_ended:
                break
        return replace(end, seconds=seconds)

    def _command(self, record: TrialRecord, run: Path, split: Path | None) -> list[str]:
        """Return the command of a training."""
        sweep = self.sweep
        own = [f"seed={training_seed(sweep.plan, record)}", f"output={run}"]
        fold = [] if split is None else [f"split={split}"]
        return [*sweep.command, *to_overrides(without_seed(record.values)), *fold, *own]

    def _outcome(
        self, record: TrialRecord, end: TrainingEnd, seconds: float
    ) -> tuple[State, Outcome, list[float] | None]:
        """Return the final state of a trial, its outcome, and the objectives of a complete one."""
        runs = [*self.sweep.trainings(record.number)]
        outcome = Outcome(seconds=seconds, device=_device(runs[0]))
        if end.pruned:
            return State.PRUNED, replace(outcome, reason="worse than earlier trials at the same step"), None
        if end.reason:
            return State.FAILED, replace(outcome, reason=end.reason), None
        try:
            result = pooled([read_result(run) for run in runs])
        except (InputError, ValueError, OSError) as error:
            return State.FAILED, replace(outcome, reason=f"LS-SWP-008: the result cannot be read: {error}"), None
        values = [result.objective(name) for name in self.sweep.objectives]
        for name, value in zip(self.sweep.objectives, values, strict=True):
            if value is None or not math.isfinite(value):
                reason = f"LS-SWP-008: {name} is undefined on the validation cases"
                return State.FAILED, replace(outcome, reason=reason), None
        complete = replace(outcome, scores=_scores(result), cases=_cases(result))
        return State.COMPLETE, complete, [value for value in values if value is not None]

    def _log(self, record: TrialRecord, state: State, outcome: Outcome) -> None:
        line = f"{state} in {duration(outcome.seconds or 0.0)}"
        self.failed_in_succession = self.failed_in_succession + 1 if state == State.FAILED else 0
        if state == State.FAILED:
            message = f"trial {record.number} ({_parameters(record)}) failed: {outcome.reason}"
            logs = [run / LOG for run in self.sweep.trainings(record.number) if (run / LOG).exists()]
            hint = f"read {logs[-1] if logs else self.sweep.run(record.number)}; the sweep continues"
            self.issues.append(Issue("LS-SWP-010", message, hint, severity="warning"))
        elif (dss := outcome.scores.get("dss")) is not None:
            line += f", DSS {dss:.4f}"
        self._say(line, record, self.sweep.study.records())

    def _say(self, what: str, record: TrialRecord, records: Sequence[TrialRecord]) -> None:
        """Print a line about a trial: its position, the time left in the sweep, and its parameters."""
        plan = self.sweep.plan
        parts = [f"{standing(plan, record, records)} {what}", time_left(plan, record, records)]
        self.sweep.say(stamped(f"sweep: {', '.join(filter(None, parts))}; {_parameters(record)}"))


def _parameters(record: TrialRecord) -> str:
    return ", ".join(to_overrides(record.values))


@dataclass
class _Heartbeat:
    """Sends heartbeats of a trial, and notices that another worker has ended it."""

    study: Study
    number: int
    before: float
    """training time of earlier workers, in seconds"""
    start: float = field(default_factory=time.monotonic)
    last: float = -math.inf
    trial_ended: bool = False

    @property
    def seconds(self) -> float:
        """Training time of all workers of the trial so far."""
        return self.before + time.monotonic() - self.start

    def __call__(self) -> None:
        if time.monotonic() - self.last > _HEARTBEAT_S:
            self.last = time.monotonic()
            self.trial_ended = not self.study.heartbeat(self.number, self.seconds)


@dataclass
class _Pruning:
    """Reports new validations to the study; returns True once the trial should be pruned."""

    sweep: Sweep
    record: TrialRecord
    reported: set[int] | None = None
    modified_ns: int = 0

    def __call__(self) -> bool:
        if not self.sweep.prunes or self.record.phase != Phase.SEARCH:
            return False
        run = self.sweep.run(self.record.number)
        try:
            modified_ns = (run / "metrics.csv").stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if modified_ns == self.modified_ns:
            return False
        self.modified_ns = modified_ns
        if self.reported is None:
            self.reported = self.sweep.study.reported_steps(self.record.number)
        for step, dss in validations(run, self.reported):
            self.reported.add(step)
            if self.sweep.study.report(self.record.number, step, dss):
                return True
        return False


def _folder_id(folder: Path) -> str:
    """Return the id of an output folder, by which workers with other folders distinguish it."""
    file = folder / ".folder_id"
    if not file.exists():
        write_text(file, uuid4().hex + "\n")
    return read_text(file).strip()


def _device(run: Path) -> str | None:
    """Return the device of the last training in this folder; None if it is not known."""
    with suppress(InputError):
        for record in run_records(run):
            return record.get("device")
    return None


def _scores(result: Result) -> dict[str, float | None]:
    return {
        "dss": result.dss,
        **{f"dss_{one.key}": result.dss_of(one) for one in ORGANS},
        "volume_bias_pct": result.volume_bias_pct,
        "seconds_per_slice": result.seconds_per_slice,
        "training_patients": result.training_patients,
        "training_cases": result.training_cases,
    }


def _cases(result: Result) -> list[list[str | float | None]]:
    return [[c.case_id, c.structure.key, c.dss, c.volume_cm3, c.reference_cm3] for c in result.cases]
