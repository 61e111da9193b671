"""The training of a trial: a process of its own, watched until it ends."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.processes import signals
from liverspleen.sweep.results import read_record

LOG: Final = "log.txt"
_EVERY_S: Final = 0.1
_STOPS: Final = signals("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")  # the last: SLURM's
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


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The worker was asked to stop; its trial is saved and stays open."""


class StopSignals:
    """Counts, as a context manager, how often the process was asked to stop; what it was to ignore it ignores."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in _STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, *_: object) -> None:
        self.count += 1


@dataclass(frozen=True)
class Ended:
    """How a training ended: `reason` is one line, empty if all its steps are done."""

    seconds: float
    reason: str
    pruned: bool = False


def train(
    command: Sequence[str],
    run: Path,
    *,
    lock: int,
    stop: StopSignals,
    pruned: Callable[[], bool],
    beat: Callable[[], None],
) -> Ended:
    """Run a training into a folder.

    Args:
        command: that starts it.
        run: folder of the training; what it prints goes to its log.txt.
        lock: descriptor of the trial's lock, which the training inherits: while it runs, nobody else trains the trial.
        stop: of the worker; what arrives there is handed on.
        pruned: asked again and again; once it is true, the training is stopped.
        beat: called again and again.

    Raises:
        Interrupted: after `stop`, when the training has saved and ended.
    """
    run.mkdir(parents=True, exist_ok=True)
    clock, told, cut = time.monotonic(), 0, False
    with (run / LOG).open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            # Windows inherits no locks: there a training only ends with its worker
            pass_fds=(lock,) if os.name == "posix" else (),
            start_new_session=True,  # Ctrl-C reaches the worker, which hands it on
        )
        assert process.stdin is not None
        try:
            while _runs(process):
                if told < stop.count:
                    told = stop.count
                    process.send_signal(signal.SIGTERM)
                elif not told and not cut and pruned():
                    cut = True
                    process.send_signal(signal.SIGTERM)
                beat()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
        finally:
            process.stdin.close()
    seconds = time.monotonic() - clock
    done = process.returncode in {0, 2} and bool(records := read_record(run)) and records[0].get("status") == "done"
    if not done and told:
        raise Interrupted
    return Ended(seconds, "" if done else _reason(process.returncode, run / LOG, start), pruned=cut and not done)


def validations(run: Path, known: set[int]) -> Iterator[tuple[int, float]]:
    """Step and mean DSS of the validations that metrics.csv tells of, but for the steps in `known`."""
    try:
        text = (run / "metrics.csv").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    whole = text[: text.rfind("\n") + 1]  # the last row may be half a row
    for row in csv.reader(whole.splitlines()):
        if row[1:2] == ["val/dss"] and int(row[0]) not in known:
            yield int(row[0]), float(row[2])


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_EVERY_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _environment() -> dict[str, str]:
    """Of a training on one device, whatever the worker is part of: it must not take itself for a rank."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN) and name not in _RANK}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _reason(code: int, log: Path, start: int) -> str:
    """Why a training did not end well, in one line, from what it printed."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", which is what the kernel sends when memory runs out" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    lines = log.read_bytes()[start:].decode("utf-8", "replace").splitlines()
    told = [line.strip() for line in lines if line.startswith("LS-")]
    if told:
        return told[-1]
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"ended with code {code}: {last}"
