"""build, verify or prune the slice cache (CT slices and labels that training reads).

action=build stores the missing cases as int16 slices and labels, in uncompressed arrays; stored cases are kept. Every
byte of a stored case is compared with its hash; a damaged case is stored again, with a warning.
Trainings can share a cache, also with different pixel sizes (pixel_mm=); pixel_mm=auto is the median of the training
cases of split=, as in train. The same command resumes an interrupted run;
a case is stored completely or not at all. The free disk space is checked before a voxel is read. The largest case is
stored first; its memory determines how many processes run at once. If a process is killed for lack of memory, only its
case is missing. For test cases, only a hash of the voxels is stored, which train compares with the training cases;
unreadable test cases are ignored (liverspleen check reports them). A case whose CT is not in HU is not stored.

action=verify computes the hashes of all stored cases again and lists damaged ones; it needs no cohort. action=prune
removes partial files of interrupted runs, and all cases that are not in the cohort (at any pixel_mm=), but no case
while another process uses the cache. On network drives without locks (NFS without its lock service) it removes nothing.

examples
  liverspleen prepare cohort=cohort.csv cache=cache
  liverspleen prepare cohort=cohort.csv cache=cache split=split/split.csv pixel_mm=auto
  liverspleen prepare action=verify cache=cache
  liverspleen prepare action=prune cohort=cohort.csv cache=cache

inputs
  cohort=         cohort.csv, or a folder of images; development cases with a labelled organ are stored

outputs, in cache=
  <hash>/         one folder per case; the name is the hash of its files
  <hash>.voxels   hash of the voxels of a test image
  run.json        command, configuration, versions and hashes

exit codes
  0: finished; 2: input rejected, or cases rejected or damaged and the others stored, each issue listed, or the disk is
  full; 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from liverspleen import assemble
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import SIDES, is_trainable, read_split
from liverspleen.config import PrepareConfig
from liverspleen.data.atomic_folders import in_use
from liverspleen.data.build import build_cache
from liverspleen.data.maintenance import cached_folders, prune, reject_other_formats, verify_all
from liverspleen.data.pixel_size import median_pixel_mm, pixel_line
from liverspleen.errors import InputError, Issue, counted
from liverspleen.processes import progress, say
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of


def run(config: PrepareConfig) -> Sequence[Issue]:
    """Build, verify or prune the cache."""
    if config.action != "build" and not config.cache.is_dir():
        raise InputError(Issue("LS-STO-006", "the slice cache does not exist", "correct cache=", file=config.cache))
    with ExitStack() as held, recorded("prepare", config, config.cache, shared=True) as record:
        if config.action == "prune":
            _prune(config, record)
        held.enter_context(in_use(config.cache))  # until run.json is written
        if config.action == "build":
            _build(config, record)
        elif config.action == "verify":
            _verify(config, record)
        return tuple(record.issues)


def _cohort(config: PrepareConfig, record: Run) -> Cohort:
    assert config.cohort is not None
    cohort = assemble.cohort(config.cohort, config)
    record.inputs["cohort"] = cohort.hash
    return cohort


def _build(config: PrepareConfig, record: Run) -> None:
    cohort = _cohort(config, record)
    record.issues.extend(cohort.issues)
    cases = [case for case in cohort.cases if is_trainable(case)]
    tests = [case for case in cohort.cases if not case.is_development]
    pixel_mm = _pixel_mm(config, cohort, record)
    built = build_cache(
        cases,
        tests,
        config.cache,
        pixel_mm=pixel_mm,
        workers=config.workers,
        name="prepare",
        say=lambda line: say(f"prepare: {line}"),
    )
    record.issues.extend(built.issues)
    print(f"prepare: {counted(len(cases), 'case')}, {built.reused} of them stored earlier")


def _pixel_mm(config: PrepareConfig, cohort: Cohort, record: Run) -> float | None:
    """Return the pixel size of the cache; `auto` is the median of the training cases of `split=`."""
    if config.pixel_mm != "auto":
        return config.pixel_mm
    assert config.split is not None
    record.inputs["split"] = sha256_of(config.split)
    cases = read_split(config.split, cohort).cases(cohort, SIDES[0])
    record.decided["pixel_mm"] = found = median_pixel_mm(cases)
    say(f"prepare: {pixel_line('pixel_mm', found, len(cases))}")
    return found


def _verify(config: PrepareConfig, record: Run) -> None:
    reject_other_formats(config.cache)
    damaged = 0
    with progress("verify", len(cached_folders(config.cache))) as advance:
        for folder, issues in verify_all(config.cache):
            record.issues.extend(issues)
            damaged += bool(issues)
            advance(folder.name)
    print(f"prepare: {counted(len(cached_folders(config.cache)), 'stored case')}, {damaged} of them damaged")


def _prune(config: PrepareConfig, record: Run) -> None:
    cohort = _cohort(config, record)
    # the cases of rejected rows are unknown, and must not be removed
    if any(issue.severity == "error" for issue in cohort.issues):
        raise InputError(cohort.issues)
    record.issues.extend(cohort.issues)
    cases = [case for case in cohort.cases if is_trainable(case)]
    pruned = prune(config.cache, cases, [case for case in cohort.cases if not case.is_development])
    if pruned.kept:
        message = f"kept {counted(pruned.kept, 'case')} outside the cohort, because another process uses the cache"
        hint = "prune again when that process has ended"
        record.issues.append(Issue("LS-STO-004", message, hint, file=config.cache, severity="warning"))
    print(f"prepare: {counted(pruned.cases, 'case')} removed, {pruned.freed_bytes} bytes freed")
