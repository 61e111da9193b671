"""Putting what is missing into a slice store, for `prepare` and `train`: as many processes as memory allows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.cli.progress import progress
from liverspleen.cohort.manifest import Case
from liverspleen.data.room import Cost, available_bytes, case_cost, noting_cost, plan, resident_bytes
from liverspleen.data.store import NO_ROOM, StoredCase, no_room, note_voxels, noted_voxels, open_case, store_case
from liverspleen.errors import InputError, Issue
from liverspleen.processes import spread

_NO_MEMORY = "LS-STO-003"
_MACHINE = (NO_ROOM, _NO_MEMORY)
_ONE_PROCESS_BYTES = 256 << 20  # at the peaks of all cases together: less work than starting processes takes


@dataclass(frozen=True)
class Filled:
    """What the store holds now.

    `stored` are the cases by case_id, `tested` the hashes of the voxels of test cases; `reused` counts the cases that
    were there already; `faults` tell of those that are not there now.
    """

    stored: dict[str, StoredCase]
    tested: dict[str, str]
    reused: int
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class _Task:
    """A case to be stored, or a test case whose voxels are to be noted."""

    case: Case
    store: Path
    pixel_mm: float | None = None
    tested: bool = False

    def found(self) -> StoredCase | str | tuple[Issue, ...] | None:
        """What the store has of it, or why that cannot be known."""
        try:
            if self.tested:
                return noted_voxels(self.case, self.store)
            return open_case(self.case, self.store, pixel_mm=self.pixel_mm)
        except InputError as error:
            return error.issues

    def cost(self) -> Cost:
        """What it takes; next to nothing where a header cannot be read: the rest is not looked at then."""
        try:
            return noting_cost(self.case) if self.tested else case_cost(self.case, pixel_mm=self.pixel_mm)
        except InputError:
            return Cost(0, 0)

    def done(self) -> StoredCase | str | tuple[Issue, ...]:
        """Put it into the store."""
        try:
            if self.tested:
                return note_voxels(self.case, self.store)
            return store_case(self.case, self.store, pixel_mm=self.pixel_mm)
        except InputError as error:
            return error.issues


def fill(
    verb: str,
    store: Path,
    cases: Sequence[Case],
    tests: Sequence[Case],
    *,
    pixel_mm: float | None = None,
    workers: int = 0,
    quiet: bool = False,
) -> Filled:
    """Store `cases` and note the voxels of the test cases `tests`; what is there already is kept.

    A faulty case is left out. A test case that cannot be read is passed over: no training can be blamed for it, and
    `liverspleen check` tells of it. `workers` processes at most; 0: as many as pay off, one per core at most.

    Raises:
        InputError: LS-STO-002 the disk has no room for all that is missing, or is full before all is written;
            LS-STO-005 a process was killed.
    """
    tasks = [*(_Task(case, store, pixel_mm) for case in cases), *(_Task(case, store, tested=True) for case in tests)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets threads run side by side
        results: dict[_Task, Any] = dict(zip(tasks, pool.map(_Task.found, tasks), strict=True))
    reused = sum(isinstance(result, StoredCase) for result in results.values())
    base, available = resident_bytes(), available_bytes()
    missing = {task: task.cost() for task, result in results.items() if result is None}
    fitting = {task: cost for task, cost in missing.items() if cost.memory_bytes + base <= available}
    results |= {task: (_no_memory(task, missing[task], base, available),) for task in missing.keys() - fitting.keys()}
    needed, free = sum(cost.disk_bytes for cost in fitting.values()), shutil.disk_usage(store).free
    if needed > free:
        raise InputError([*_issues(results), no_room(needed, free, store=store)])
    if fitting:
        peaks = [cost.memory_bytes for cost in fitting.values()]
        cores = (os.cpu_count() or 1) if sum(peaks) > _ONE_PROCESS_BYTES else 1
        chosen = plan(peaks, available=available, base=base, most=workers or cores)
        if not quiet:
            held = f"at most {chosen.each_bytes / 1e6:.0f} MB each, {chosen.all_bytes / 1e6:.0f} MB together"
            number = "1 process" if chosen.processes == 1 else f"{chosen.processes} processes"
            there = f"{available / 1e6:.0f} MB available"
            print(f"{verb}: {len(fitting)} cases to read: {number}, {held}; {there}", flush=True)
        _work(verb, results, list(fitting), chosen.processes, quiet)
    return Filled(
        {task.case.case_id: result for task, result in results.items() if isinstance(result, StoredCase)},
        {task.case.case_id: result for task, result in results.items() if isinstance(result, str)},
        reused,
        tuple(_issues(results)),
    )


def _work(verb: str, results: dict[_Task, Any], tasks: Sequence[_Task], count: int, quiet: bool) -> None:
    """Do the tasks; the first that finds the disk full ends the work."""
    with nullcontext(lambda _: None) if quiet else progress(verb, len(tasks)) as advance:
        for task, result in zip(tasks, _results(tasks, count), strict=False):
            results[task] = result
            if isinstance(result, tuple) and any(issue.code == NO_ROOM for issue in result):
                raise InputError(_issues(results))
            advance(task.case.case_id)


def _results(tasks: Sequence[_Task], count: int) -> Iterator[StoredCase | str | tuple[Issue, ...]]:
    if count == 1:
        yield from map(_Task.done, tasks)
        return
    try:
        with spread(_Task.done, tasks, count) as futures:
            for future in futures:
                yield future.result()
    except BrokenProcessPool as error:
        message = "a process that stored a case was killed, as happens where memory runs out"
        raise InputError(Issue("LS-STO-005", message, "run the same command to go on, with fewer workers=")) from error


def _issues(results: dict[_Task, Any]) -> list[Issue]:
    """Those that are told: what the machine lacks always, what is wrong with a test case never."""
    found = ((task, result) for task, result in results.items() if isinstance(result, tuple))
    return [issue for task, issues in found for issue in issues if not task.tested or issue.code in _MACHINE]


def _no_memory(task: _Task, cost: Cost, base: int, available: int) -> Issue:
    needed = f"{(cost.memory_bytes + base) / 1e6:.0f} MB"
    message = f"reading it takes up to {needed} of memory, {available / 1e6:.0f} MB are available"
    return Issue(
        "LS-STO-003", message, "give the machine more memory, or crop the image", task.case.case_id, task.case.image
    )
