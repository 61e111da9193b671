"""Build a slice cache: store every missing case, in as many processes as memory allows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import SIDES, Split
from liverspleen.data.cache import NO_ROOM, CachedCase, cache_case, no_room, note_voxels, noted_voxels, open_case
from liverspleen.data.leaks import reject_leaks
from liverspleen.data.maintenance import reject_other_formats
from liverspleen.data.room import Cost, available_bytes, case_cost, noting_cost, plan, resident_bytes
from liverspleen.errors import InputError, Issue
from liverspleen.processes import progress, spread
from liverspleen.storage import StrPath

_NO_MEMORY = "LS-STO-003"
_MACHINE = frozenset({NO_ROOM, _NO_MEMORY})
_ONE_PROCESS_BYTES = 256 << 20  # at the peaks of all cases together: less work than starting processes takes


@dataclass(frozen=True)
class BuiltCache:
    """Content of a cache.

    `cached` are the cases by case_id, `tested` the voxel hashes of test cases. `reused` is the number of cases that
    were stored before. `issues` has an issue for each case that is not stored.
    """

    cached: Mapping[str, CachedCase]
    tested: Mapping[str, str]
    reused: int
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class CachedSides:
    """The stored cases of both sides of a split; `issues` has an issue for each case that is not stored."""

    training: Sequence[CachedCase]
    validation: Sequence[CachedCase]
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class _Task:
    """A case to be stored, or a test case whose voxels are to be noted."""

    case: Case
    cache: Path
    pixel_mm: float | None = None
    tested: bool = False

    def found(self) -> CachedCase | str | tuple[Issue, ...] | None:
        """What the cache has of it, or why that cannot be known."""
        try:
            if self.tested:
                return noted_voxels(self.case, self.cache)
            return open_case(self.case, self.cache, pixel_mm=self.pixel_mm)
        except InputError as error:
            return error.issues

    def cost(self) -> Cost:
        """What it takes; next to nothing where a header cannot be read: the rest is not looked at then."""
        try:
            return noting_cost(self.case) if self.tested else case_cost(self.case, pixel_mm=self.pixel_mm)
        except InputError:
            return Cost(0, 0)

    def done(self) -> CachedCase | str | tuple[Issue, ...]:
        """Put it into the cache."""
        try:
            if self.tested:
                return note_voxels(self.case, self.cache)
            return cache_case(self.case, self.cache, pixel_mm=self.pixel_mm)
        except InputError as error:
            return error.issues


def build_cache(
    cases: Sequence[Case],
    tests: Sequence[Case],
    cache: Path,
    *,
    pixel_mm: float | None = None,
    workers: int = 0,
    name: str = "cache",
    say: Callable[[str], None] | None = None,
) -> BuiltCache:
    """Store `cases` in the folder `cache` and note the voxel hashes of the test cases; stored cases are kept.

    A case that cannot be used is skipped and reported. A test case that cannot be read is ignored, because no training
    reads it; `liverspleen check` reports it.

    Args:
        cases: cases to store.
        tests: test cases, of which only a hash of the voxels is kept.
        cache: folder of the cache; it must exist.
        pixel_mm: pixel size to resample to; None: the CT's own.
        workers: maximum number of processes; 0: as many as memory and cores allow.
        name: of the progress bar.
        say: receives one line about processes and memory; None: nothing is said and no progress is shown.

    Raises:
        InputError: LS-FMT-001 the folder holds cases of another format; LS-STO-002 the disk is too small for the
            missing cases, or became full; LS-STO-005 a process was killed.
    """
    reject_other_formats(cache)
    tasks = [*(_Task(case, cache, pixel_mm) for case in cases), *(_Task(case, cache, tested=True) for case in tests)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets threads run side by side
        results: dict[_Task, Any] = dict(zip(tasks, pool.map(_Task.found, tasks), strict=True))
    reused = sum(isinstance(result, CachedCase) for result in results.values())
    base, available = resident_bytes(), available_bytes()
    missing = {task: task.cost() for task, result in results.items() if result is None}
    fitting = {task: cost for task, cost in missing.items() if cost.memory_bytes + base <= available}
    results |= {task: (_no_memory(task, missing[task], base, available),) for task in missing.keys() - fitting.keys()}
    needed, free = sum(cost.disk_bytes for cost in fitting.values()), shutil.disk_usage(cache).free
    if needed > free:
        raise InputError([*_issues(results), no_room(needed, free, cache=cache)])
    if fitting:
        peaks = [cost.memory_bytes for cost in fitting.values()]
        cores = (os.cpu_count() or 1) if sum(peaks) > _ONE_PROCESS_BYTES else 1
        chosen = plan(peaks, available=available, base=base, most=workers or cores)
        if say is not None:
            held = f"at most {chosen.each_bytes / 1e6:.0f} MB each, {chosen.all_bytes / 1e6:.0f} MB together"
            number = "1 process" if chosen.processes == 1 else f"{chosen.processes} processes"
            there = f"{available / 1e6:.0f} MB available"
            say(f"{len(fitting)} cases to read: {number}, {held}; {there}")
        _work(results, list(fitting), chosen.processes, name=None if say is None else name)
    return BuiltCache(
        {task.case.case_id: result for task, result in results.items() if isinstance(result, CachedCase)},
        {task.case.case_id: result for task, result in results.items() if isinstance(result, str)},
        reused,
        tuple(_issues(results)),
    )


def build_sides(
    cohort: Cohort,
    split: Split,
    cache: StrPath,
    *,
    pixel_mm: float | None = None,
    name: str = "cache",
    say: Callable[[str], None] | None = None,
) -> CachedSides:
    """Training and validation cases of a split in the slice cache; cases that are missing there are stored first.

    Raises:
        InputError: as `build_cache`; a patient or a CT is where it must not be (`reject_leaks`).
    """
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    sides = [split.cases(cohort, side) for side in SIDES]
    tests = [case for case in cohort.cases if not case.is_development]
    built = build_cache([*sides[0], *sides[1]], tests, cache, pixel_mm=pixel_mm, name=name, say=say)
    training, validation = (
        [built.cached[case.case_id] for case in cases if case.case_id in built.cached] for cases in sides
    )
    try:
        reject_leaks(training, validation, built.tested)
    except InputError as error:  # with the issues of excluded cases, which may be the reason
        raise InputError([*built.issues, *error.issues]) from error
    return CachedSides(training, validation, built.issues)


def _work(results: dict[_Task, Any], tasks: Sequence[_Task], count: int, *, name: str | None) -> None:
    """Do the tasks; the first that finds the disk full ends the work."""
    with nullcontext(lambda _: None) if name is None else progress(name, len(tasks)) as advance:
        for task, result in zip(tasks, _results(tasks, count), strict=True):
            results[task] = result
            if isinstance(result, tuple) and any(issue.code == NO_ROOM for issue in result):
                raise InputError(_issues(results))
            advance(task.case.case_id)


def _results(tasks: Sequence[_Task], count: int) -> Iterator[CachedCase | str | tuple[Issue, ...]]:
    if count == 1:
        yield from map(_Task.done, tasks)
        return
    try:
        with spread(_Task.done, tasks, count) as futures:
            for future in futures:
                yield future.result()
    except BrokenProcessPool as error:
        message = "a process that stored a case was killed, as happens when memory runs out"
        raise InputError(Issue("LS-STO-005", message, "run the same command with fewer workers= to resume")) from error


def _issues(results: dict[_Task, Any]) -> list[Issue]:
    """Return the reported issues: all except those of test cases, unless memory or disk space is missing."""
    found = ((task, result) for task, result in results.items() if isinstance(result, tuple))
    return [issue for task, issues in found for issue in issues if not task.tested or issue.code in _MACHINE]


def _no_memory(task: _Task, cost: Cost, base: int, available: int) -> Issue:
    needed = f"{(cost.memory_bytes + base) / 1e6:.0f} MB"
    message = f"reading it takes up to {needed} of memory, {available / 1e6:.0f} MB are available"
    return Issue(
        "LS-STO-003", message, "give the machine more memory, or crop the image", task.case.case_id, task.case.image
    )
