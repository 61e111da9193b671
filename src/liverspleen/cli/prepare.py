"""fill the slice cache that trainings read: int16 slices and labels, as plain arrays.

A case is complete in the cache or absent; what is there already is kept. Several trainings may share a cache, also on
different matrices (pixel_mm=). Killed at any moment, the same command goes on. The free disk space is checked
before a voxel is read. The largest case is stored first; its memory decides how many processes work at once. A process
that is killed for lack of memory costs its own case only. Of test cases only a hash of their voxels is kept, by
which train finds a test case among those it learns from; one that cannot be read is passed over (liverspleen check).

action=verify hashes every stored case again and lists the damaged ones; it needs no cohort. action=prune removes what
killed processes left and every case that the cohort does not name (with any pixel_mm=), but none while another process
uses the cache. On a network drive without locks (NFS without its lock service) it removes nothing.

example
  liverspleen prepare cohort=cohort.csv cache=cache
  liverspleen prepare action=verify cache=cache
  liverspleen prepare action=prune cohort=cohort.csv cache=cache

inputs
  cohort=    cohort.csv, or a folder of images; development cases with labels of an organ are taken

outputs, in cache=
  one folder per case, named by the hash of its files; <hash>.voxels of each test image; run.json

exit codes
  0 done; 2 cases rejected or damaged, each listed (the others are stored), or no room on disk; 1 failure
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import ExitStack

from liverspleen import assemble
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import is_trainable
from liverspleen.config import PrepareConfig
from liverspleen.data.atomic_folders import in_use
from liverspleen.data.build import build_cache
from liverspleen.data.maintenance import cached_folders, prune, reject_other_formats, verify_all
from liverspleen.errors import InputError, Issue
from liverspleen.processes import progress, say
from liverspleen.provenance import Run, recorded


def run(config: PrepareConfig) -> Sequence[Issue]:
    """Fill, verify or prune the cache."""
    if config.action != "fill" and not config.cache.is_dir():
        raise InputError(Issue("LS-STO-006", "there is no such slice cache", "correct cache=", file=config.cache))
    try:
        with ExitStack() as held, recorded("prepare", config, config.cache) as record:
            if config.action == "prune":
                _prune(config, record)
            held.enter_context(in_use(config.cache))  # until run.json is there
            if config.action == "fill":
                _fill(config, record)
            elif config.action == "verify":
                _verify(config, record)
            return tuple(record.issues)
    except OSError as error:
        if error.errno == errno.ENOSPC and (rejection := _rejection_before(error)):
            raise rejection from None  # a disk too full even for run.json is told once
        raise


def _rejection_before(error: BaseException) -> InputError | None:
    """The rejection that was on its way when `error` came in between."""
    earlier: BaseException | None = error
    while earlier is not None and not isinstance(earlier, InputError):
        earlier = earlier.__context__
    return earlier


def _cohort(config: PrepareConfig, record: Run) -> Cohort:
    assert config.cohort is not None
    cohort = assemble.cohort(config.cohort, config)
    record.inputs["cohort"] = cohort.hash
    return cohort


def _fill(config: PrepareConfig, record: Run) -> None:
    cohort = _cohort(config, record)
    record.issues.extend(cohort.issues)
    cases = [case for case in cohort.cases if is_trainable(case)]
    tested = [case for case in cohort.cases if not case.is_development]
    built = build_cache(
        cases,
        tested,
        config.cache,
        pixel_mm=config.pixel_mm,
        workers=config.workers,
        name="prepare",
        say=lambda line: say(f"prepare: {line}"),
    )
    record.issues.extend(built.issues)
    print(f"prepare: {len(cases)} cases, {built.reused} of them were in the cache already")


def _verify(config: PrepareConfig, record: Run) -> None:
    reject_other_formats(config.cache)
    damaged = 0
    with progress("verify", len(cached_folders(config.cache))) as advance:
        for folder, issues in verify_all(config.cache):
            record.issues.extend(issues)
            damaged += bool(issues)
            advance(folder.name)
    print(f"prepare: {len(cached_folders(config.cache))} stored cases, {damaged} of them damaged")


def _prune(config: PrepareConfig, record: Run) -> None:
    cohort = _cohort(config, record)
    if cohort.issues:  # what a faulty row names is not known, and must not be taken for unnamed
        raise InputError(cohort.issues)
    cases = [case for case in cohort.cases if is_trainable(case)]
    pruned = prune(config.cache, cases, [case for case in cohort.cases if not case.is_development])
    if pruned.kept:
        message = f"another process uses the cache: {pruned.kept} cases that the cohort does not name were kept"
        hint = "prune it when that process has ended"
        record.issues.append(Issue("LS-STO-004", message, hint, file=config.cache, severity="warning"))
    print(f"prepare: {pruned.cases} cases removed, {pruned.freed_bytes} bytes freed")
