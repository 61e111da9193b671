"""Write a whole cohort in the layout of another system, each case in turn or in several processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from liverspleen.cohort.exporting import (
    Place,
    clear_for,
    export_case,
    places,
    write_covariates,
    write_description,
    write_splits,
)
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import Split, read_split
from liverspleen.errors import InputError, Issue
from liverspleen.processes import progress, spread


@dataclass(frozen=True)
class Exported:
    """A written dataset: number of cases, its tables, and what there is to report."""

    cases: int
    files: tuple[Path, ...]
    issues: tuple[Issue, ...]


def export_cohort(
    cohort: Cohort, layout: str, output: Path, *, splits: Sequence[Split] = (), workers: int = 0
) -> Exported:
    """Write every case that the layout can hold, then the files that describe the dataset.

    Args:
        cohort: what is exported.
        layout: `nnunet` or `msd`.
        output: folder of the dataset.
        splits: become `splits_final.json` of nnU-Net.
        workers: processes, each holds one case; 0: one per core.

    Raises:
        InputError: LS-XPT-004 no case could be exported; LS-XPT-007 the folder holds files of other cases.
    """
    found, issues = places(cohort, layout)
    if layout == "nnunet" and not re.fullmatch(r"Dataset\d{3}_.+", output.absolute().name):
        message = f"nnU-Net expects a folder named DatasetNNN_Name, not '{output.name}'"
        issues.append(Issue("LS-XPT-003", message, "rename it before training", severity="warning"))
    clear_for(output, found)
    done = []
    for place, rejected in zip(found, _exported(output, found, workers), strict=True):
        issues.extend(rejected)
        if not rejected:
            done.append(place)
    if not done:
        raise InputError([*issues, Issue("LS-XPT-004", "no case is exported", "see the cases' issues")])
    write_description(output, layout, done)
    write_covariates(output / "covariates.csv", done)
    files = [output / "dataset.json", output / "covariates.csv"]
    if splits:
        write_splits(output / "splits_final.json", splits, cohort, done)
        files.append(output / "splits_final.json")
    return Exported(len(done), tuple(files), tuple(issues))


def read_splits(path: Path, cohort: Cohort) -> list[Split]:
    """The split in a file, or the folds in a folder, in the order of their numbers.

    Raises:
        InputError: LS-XPT-005 the folder holds neither; as `read_split`.
    """
    if not path.is_dir():
        return [read_split(path, cohort)]
    files = {int(match[1]): file for file in path.iterdir() if (match := re.fullmatch(r"fold(\d+)\.csv", file.name))}
    if not files and (path / "split.csv").is_file():
        files = {0: path / "split.csv"}
    if not files:
        raise InputError(Issue("LS-XPT-005", "folder has neither fold0.csv nor split.csv", "draw the split", file=path))
    return [read_split(files[number], cohort) for number in sorted(files)]


def _exported(output: Path, found: Sequence[Place], workers: int) -> Iterator[tuple[Issue, ...]]:
    """The issues of each case, once its files are written."""
    number = min(workers or os.cpu_count() or 1, len(found))
    work = partial(export_case, output)
    with progress("export", len(found)) as advance:
        if number < 2:
            for place in found:
                yield work(place)
                advance(place.case.case_id)
            return
        with spread(work, found, number) as futures:
            for place, future in zip(found, futures, strict=True):
                yield _result(place, future)
                advance(place.case.case_id)


def _result(place: Place, future: Future[tuple[Issue, ...]]) -> tuple[Issue, ...]:
    try:
        return future.result()
    except BrokenProcessPool:
        message = "a process ended before its case was done, perhaps for want of memory"
        return (Issue("LS-XPT-006", message, "run the same command with fewer workers=", place.case.case_id),)
