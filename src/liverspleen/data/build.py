"""Build a slice cache: store every missing case, in as many processes as memory allows."""

from __future__ import annotations

import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import SIDES, Split
from liverspleen.data.cache import (
    DISK_FULL,
    CachedCase,
    cache_case,
    disk_full,
    open_case,
    store_voxel_hash,
    stored_voxel_hash,
)
from liverspleen.data.integrity import DAMAGED
from liverspleen.data.leaks import reject_leaks
from liverspleen.data.maintenance import reject_other_formats
from liverspleen.data.memory import available_bytes, peak_bytes
from liverspleen.errors import InputError, Issue, counted
from liverspleen.processes import progress, spread
from liverspleen.storage import StrPath

_NO_MEMORY, _KILLED = "LS-STO-003", "LS-STO-005"
_MACHINE = frozenset({DISK_FULL, _NO_MEMORY, _KILLED})
_SMALL_BYTES = 64 << 20  # of the arrays of all cases together: less work than starting processes
_FOLDER_BYTES = 64 << 10  # case.json, present.npy, headers and partly filled blocks of the disk
_NOTE_BYTES = 4096


@dataclass(frozen=True)
class BuiltCache:
    """Content of a cache.

    `cached` are the cases by case_id, `tested` the voxel hashes of test cases. `reused` is the number of cases that
    were stored before. `issues` has an error for each case that is not stored, and the warnings of the others.
    """

    cached: Mapping[str, CachedCase]
    tested: Mapping[str, str]
    reused: int
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class CachedSides:
    """The stored cases of both sides of a split; `tested` and `issues` are those of `BuiltCache`."""

    training: Sequence[CachedCase]
    validation: Sequence[CachedCase]
    tested: Mapping[str, str]
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class _Task:
    """A case to store, or a test case of which a hash of the voxels is kept."""

    case: Case
    cache: Path
    pixel_mm: float | None = None
    tested: bool = False

    def found(self) -> CachedCase | str | tuple[Issue, ...] | None:
        """Return the stored case or hash, None if there is none, or the issues if this cannot be determined."""
        try:
            if self.tested:
                return stored_voxel_hash(self.case, self.cache)
            return open_case(self.case, self.cache, pixel_mm=self.pixel_mm)
        except InputError as error:
            return error.issues

    def bytes(self) -> tuple[int, int]:
        """Return the bytes of the arrays, which are in memory together, and of the files; 0 if unreadable."""
        from liverspleen.data.resampling import resampled_matrix
        from liverspleen.imaging.files import read_layout

        try:
            geometry = read_layout(self.case.image, case_id=self.case.case_id).geometry
        except InputError:
            return 0, 0
        voxels = math.prod(geometry.canonical_shape)
        if self.tested:
            return 2 * voxels, _NOTE_BYTES
        slices, *matrix = geometry.canonical_shape
        cached = resampled_matrix((matrix[0], matrix[1]), geometry.spacing_mm[1:], self.pixel_mm)
        arrays = 3 * slices * math.prod(cached) + (voxels if list(cached) != matrix else 0)
        return max(arrays, 3 * voxels), arrays + _FOLDER_BYTES

    def done(self) -> CachedCase | str | tuple[Issue, ...]:
        """Store the case or the hash."""
        try:
            if self.tested:
                return store_voxel_hash(self.case, self.cache)
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
    """Store `cases` in the folder `cache` and the voxel hashes of the test cases; stored cases are kept.

    A stored case that is damaged is stored again, with the warning LS-STO-010. A case that cannot be used is skipped
    and reported. A test case that cannot be read is ignored, because no training
    reads it; `liverspleen check` reports it.

    Args:
        cases: cases to store.
        tests: test cases, of which only a hash of the voxels is kept.
        cache: folder of the cache; it must exist.
        pixel_mm: pixel size to resample to; None: the CT's own.
        workers: maximum number of processes; 0: one per core. Fewer run if their memory does not suffice.
        name: of the progress bar.
        say: receives one line about processes and memory; None: no output and no progress bar.

    Raises:
        InputError: LS-FMT-001 the folder holds cases of another format; LS-STO-002 the disk is too small for the
            missing cases, or became full.
    """
    reject_other_formats(cache)
    tasks = [*(_Task(case, cache, pixel_mm) for case in cases), *(_Task(case, cache, tested=True) for case in tests)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets threads run side by side
        results: dict[_Task, Any] = dict(zip(tasks, pool.map(_Task.found, tasks), strict=True))
    reused = sum(isinstance(result, CachedCase) for result in results.values())
    repaired = {task: found for task in tasks if (found := _damage(results[task]))}
    results |= dict.fromkeys(repaired)
    available = available_bytes()
    missing = {task: task.bytes() for task, result in results.items() if result is None}
    too_large = {task for task, (held, _) in missing.items() if held > available}
    results |= {task: (_no_memory(task, missing[task][0], available),) for task in too_large}
    fitting = {task: missing[task] for task in missing if task not in too_large}
    needed, free = sum(written for _, written in fitting.values()), shutil.disk_usage(cache).free
    if needed > free:
        raise InputError([*_issues(results), disk_full(needed, free, cache=cache)])
    small = sum(held for held, _ in fitting.values()) <= _SMALL_BYTES
    most = workers or (1 if small else os.cpu_count() or 1)
    work = _here(list(fitting), say) if small and most == 1 else _in_processes(fitting, most, available, say)
    with nullcontext(lambda _: None) if say is None or not fitting else progress(name, len(fitting)) as advance:
        for task, result in work:
            results[task] = result
            if isinstance(result, tuple) and any(issue.code == DISK_FULL for issue in result):
                raise InputError(_issues(results))  # the disk is full for every other case too
            advance(task.case.case_id)
    return BuiltCache(
        {task.case.case_id: result for task, result in results.items() if isinstance(result, CachedCase)},
        {task.case.case_id: result for task, result in results.items() if isinstance(result, str)},
        reused,
        (*_repairs(repaired, results), *_issues(results)),
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
    """Return the training and validation cases of a split from the slice cache; missing cases are stored first.

    Raises:
        InputError: as `build_cache`; a patient or a CT is on two sides (`reject_leaks`).
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
    return CachedSides(training, validation, built.tested, built.issues)


def _here(tasks: Sequence[_Task], say: Callable[[str], None] | None) -> Iterator[tuple[_Task, Any]]:
    """Yield each task with its result, done by this process."""
    if tasks and say is not None:
        say(f"{counted(len(tasks), 'case')} to read: 1 process")
    yield from ((task, task.done()) for task in tasks)


def _measured(task: _Task) -> tuple[CachedCase | str | tuple[Issue, ...], int]:
    """Return the result of the task, and the peak memory of this process."""
    return task.done(), peak_bytes()


def _in_processes(
    tasks: Mapping[_Task, tuple[int, int]], most: int, available: int, say: Callable[[str], None] | None
) -> Iterator[tuple[_Task, Any]]:
    """Yield each task with its result, done by other processes; the values of `tasks` are those of `_Task.bytes`.

    The largest task runs alone: its peak memory decides how many of at most `most` processes fit into `available`
    bytes. If a process is killed nevertheless, half as many continue. A task whose process is killed while no other
    runs is an issue.
    """
    queue = deque(sorted(tasks, key=lambda task: tasks[task], reverse=True))
    peak, count = 0, 1
    while queue:
        try:
            with spread(_measured, [*queue] if peak else [queue[0]], count) as futures:
                for future in futures:
                    result, used = future.result()
                    yield queue.popleft(), result
        except BrokenProcessPool:
            if count == 1:
                yield (task := queue.popleft()), (_killed(task),)
            count = max(1, count // 2)
            continue
        if queue and not peak and not isinstance(result, tuple):
            peak, count = used, max(1, min(most, len(queue), available // used))
            memory = f"{peak / 1e6:.0f} MB each, {available / 1e6:.0f} MB available"
            if say is not None:
                processes = counted(count, "process", "processes")
                say(f"{counted(len(queue) + 1, 'case')} to read: {processes}, {memory}")


def _issues(results: dict[_Task, Any]) -> list[Issue]:
    """Return the reported issues: all except those of test cases, unless memory or disk space is missing.

    A stored case has only warnings.
    """
    found = ((task, _issues_of(result)) for task, result in results.items())
    return [issue for task, issues in found for issue in issues if not task.tested or issue.code in _MACHINE]


def _damage(result: object) -> tuple[Issue, ...]:
    """Return the issues of a stored case that is damaged; it is stored again."""
    issues = result if isinstance(result, tuple) else ()
    return issues if all(issue.code == DAMAGED for issue in issues) else ()


def _repairs(repaired: Mapping[_Task, Sequence[Issue]], results: Mapping[_Task, Any]) -> Iterator[Issue]:
    """Yield LS-STO-010 for each damaged case that was stored again."""
    for task, (issue, *_) in repaired.items():
        if isinstance(results[task], CachedCase):
            message = f"{issue.message}, so the case was stored again"
            yield replace(issue, code="LS-STO-010", message=message, hint="check the disk", severity="warning")


def _issues_of(result: CachedCase | str | tuple[Issue, ...] | None) -> tuple[Issue, ...]:
    if isinstance(result, CachedCase):
        return result.warnings
    return result if isinstance(result, tuple) else ()


def _no_memory(task: _Task, needed: int, available: int) -> Issue:
    message = f"the case needs at least {needed / 1e6:.0f} MB of memory, {available / 1e6:.0f} MB are available"
    hint = "use a machine with more memory, or crop the image"
    return Issue(_NO_MEMORY, message, hint, task.case.case_id, task.case.image)


def _killed(task: _Task) -> Issue:
    message = "the process that stored the case was killed, as happens when memory runs out"
    hint = "free memory or use a machine with more of it, then run the same command again"
    return Issue(_KILLED, message, hint, task.case.case_id, task.case.image)
