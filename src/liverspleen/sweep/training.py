"""A training in a separate process, for a trial of a sweep or a fold of a cross-validation."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError
from liverspleen.processes import STOP_SIGNALS
from liverspleen.reading import invalid_record, read_text
from liverspleen.sweep.results import run_records

LOG: Final = "log.txt"
_POLL_S: Final = 0.1
_FOREIGN: Final = ("SLURM_", "TORCHELASTIC_")
_RANK: Final = (
    "RANK",
    "LOCAL_RANK",
    "GROUP_RANK",
    "NODE_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


class Interrupted(Exception):  # noqa: N818 - it is not an error
    """The worker was asked to stop; its trial is saved and remains open."""


class StopSignals:
    """Context manager that counts the requests to stop this process; signals that it ignores stay ignored."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        in_main = threading.current_thread() is threading.main_thread()  # others cannot install handlers
        for number in STOP_SIGNALS if in_main else ():
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._count)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _count(self, *_: object) -> None:
        self.count += 1


@dataclass(frozen=True)
class TrainingEnd:
    """How a training ended; `reason` is one line, empty if all steps are done."""

    seconds: float
    reason: str
    pruned: bool = False


def train(
    command: Sequence[str],
    run: Path,
    *,
    lock: int,
    stop: StopSignals,
    should_end: Callable[[], bool],
    heartbeat: Callable[[], None],
    environment: Mapping[str, str] | None = None,
) -> TrainingEnd:
    """Run a training and wait until it ends.

    Args:
        command: starts the training.
        run: folder of the training; its output is appended to log.txt there.
        lock: descriptor of the trial's lock. The training inherits it, so it keeps the lock if its worker is killed.
        stop: signals of the worker; the training receives SIGTERM for each.
        should_end: called at every poll; the training is stopped as pruned once it returns True.
        heartbeat: called at every poll.
        environment: further variables of the training.

    Raises:
        Interrupted: after `stop`, when the training has saved its state and ended.
    """
    run.mkdir(parents=True, exist_ok=True)
    clock, forwarded, pruned = time.monotonic(), 0, False
    with (run / LOG).open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**_environment(), **(environment or {})},
            # on Windows processes do not inherit locks: the training only ends with its worker
            pass_fds=(lock,) if os.name == "posix" else (),
            start_new_session=True,  # Ctrl-C reaches only the worker, which forwards it
        )
        assert process.stdin is not None
        try:
            while is_running(process):
                if forwarded < stop.count:
                    forwarded = stop.count
                    process.send_signal(signal.SIGTERM)
                elif not forwarded and not pruned and should_end():
                    pruned = True
                    process.send_signal(signal.SIGTERM)
                heartbeat()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
        finally:
            process.stdin.close()
    seconds = time.monotonic() - clock
    done = process.returncode in {0, 2} and _has_finished(run)
    if not done and forwarded:
        raise Interrupted
    return TrainingEnd(seconds, "" if done else _reason(process.returncode, run / LOG, start), pruned and not done)


def _has_finished(run: Path) -> bool:
    """Return whether the last training in this folder reached its end; False if its run.json is damaged."""
    try:
        records = run_records(run)
    except InputError:
        return False
    return bool(records) and records[0].get("status") == "done"


def validations(run: Path, known: set[int]) -> Iterator[tuple[int, float]]:
    """Yield step and mean DSS of the validations in metrics.csv, except those of the steps in `known`."""
    file = run / "metrics.csv"
    try:
        text = read_text(file)
    except FileNotFoundError:
        return
    rows = text[: text.rfind("\n") + 1]  # the last row may be incomplete
    for row in csv.reader(rows.splitlines()):
        if row[1:2] != ["val/dss"]:
            continue
        try:
            step, dss = int(row[0]), float(row[2])
        except (ValueError, IndexError) as error:
            raise invalid_record(file, error, hint="remove the folder of the trial") from error
        if step not in known:
            yield step, dss


def is_running(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process still runs, after at most 0.1 s."""
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _environment() -> dict[str, str]:
    """Return the environment of a training, without variables that would make it a rank of a job of the worker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN) and name not in _RANK}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _reason(code: int, log: Path, start: int) -> str:
    """Return why a training failed, in one line, from its exit code and its output."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", which the kernel sends when memory runs out" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    lines = log.read_bytes()[start:].decode("utf-8", "replace").splitlines()
    issues = [line.strip() for line in lines if line.startswith("LS-")]
    if issues:
        return issues[-1]
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"ended with exit code {code}: {last}"
