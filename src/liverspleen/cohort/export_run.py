"""Export of a cohort in the layout of another system, in one or several processes."""

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
    CaseOutput,
    case_outputs,
    check_output,
    export_case,
    write_covariates,
    write_description,
    write_splits,
)
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import Split
from liverspleen.errors import InputError, Issue
from liverspleen.processes import progress, spread


@dataclass(frozen=True)
class Exported:
    """A written dataset: number of cases, tables, and issues."""

    cases: int
    files: tuple[Path, ...]
    issues: tuple[Issue, ...]


def export_cohort(
    cohort: Cohort, layout: str, output: Path, *, splits: Sequence[Split] = (), workers: int = 0
) -> Exported:
    """Write all cases that the layout can hold, then the files that describe the dataset.

    Args:
        cohort: cases to export.
        layout: `nnunet` or `msd`.
        output: folder of the dataset.
        splits: splits to write as `splits_final.json` of nnU-Net.
        workers: number of processes, each with one case in memory; 0: one per core.

    Raises:
        InputError: LS-XPT-004 no case could be exported; LS-XPT-007 the folder holds files of other cases.
    """
    found, issues = case_outputs(cohort, layout)
    if layout == "nnunet" and not re.fullmatch(r"Dataset\d{3}_.+", output.absolute().name):
        message = f"name of the folder is '{output.name}', expected DatasetNNN_Name for nnU-Net"
        issues.append(Issue("LS-XPT-003", message, "rename the folder before training", severity="warning"))
    check_output(output, found)
    done = []
    for case_output, about in zip(found, _exported(output, found, workers), strict=True):
        issues.extend(about)
        if not any(issue.severity == "error" for issue in about):
            done.append(case_output)
    if not done:
        raise InputError([*issues, Issue("LS-XPT-004", "no case is exported", "correct the issues of the cases")])
    write_description(output, layout, done)
    write_covariates(output / "covariates.csv", done)
    files = [output / "dataset.json", output / "covariates.csv"]
    if splits:
        write_splits(output / "splits_final.json", splits, cohort, done)
        files.append(output / "splits_final.json")
    return Exported(len(done), tuple(files), tuple(issues))


def _exported(output: Path, found: Sequence[CaseOutput], workers: int) -> Iterator[tuple[Issue, ...]]:
    """Write the files of each case, and yield its issues."""
    number = min(workers or os.cpu_count() or 1, len(found))
    work = partial(export_case, output)
    with progress("export", len(found)) as advance:
        if number < 2:
            for case_output in found:
                yield work(case_output)
                advance(case_output.case.case_id)
            return
        with spread(work, found, number) as futures:
            for case_output, future in zip(found, futures, strict=True):
                yield _result(case_output, future)
                advance(case_output.case.case_id)


def _result(case_output: CaseOutput, future: Future[tuple[Issue, ...]]) -> tuple[Issue, ...]:
    try:
        return future.result()
    except BrokenProcessPool:
        message = "a worker process was killed before the case was exported, as happens when memory runs out"
        return (Issue("LS-XPT-006", message, "run the same command with fewer workers=", case_output.case.case_id),)
