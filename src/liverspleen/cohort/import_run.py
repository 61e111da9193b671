"""Import of a source: find its cases, convert them in one or several processes, write the tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.covariates import Covariates
from liverspleen.cohort.identity import Identity
from liverspleen.cohort.import_tables import write_import, write_series_table
from liverspleen.cohort.importing import Outcome, Plan, Task, import_case, plan_import, remove_stale_outputs
from liverspleen.cohort.layouts import Found, Request, find_cases
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import Issue
from liverspleen.processes import progress, spread


@dataclass(frozen=True)
class Imported:
    """A finished import.

    `cases` counts those in the new cohort, `found` those of the source, `reused` those of an earlier import; `files`
    are the tables; `cohort_hash` is that of `cohort.csv`, empty if no case could be imported.
    """

    cases: int
    found: int
    reused: int
    files: tuple[Path, ...]
    cohort_hash: str
    issues: tuple[Issue, ...]


def import_cases(
    layout: str,
    request: Request,
    output: Path,
    *,
    identity: Identity,
    vocabulary: Vocabulary,
    covariates: Covariates,
    workers: int = 0,
) -> Imported:
    """Import every case of a source into `output`, and write `cohort.csv`, `import.csv` and `series.csv`.

    Args:
        layout: of the source.
        request: what to read, and what its labels mean.
        output: folder that nothing else imports into meanwhile.
        identity: hashes of names.
        vocabulary: allowed values of the cohort's columns.
        covariates: columns that the source does not have.
        workers: processes, each holds one case; 0: one per core.

    Raises:
        InputError: the source cannot be used.
    """
    found = find_cases(layout, request)
    planned = plan_import(
        found,
        covariates,
        identity=identity,
        vocabulary=vocabulary,
        output=output,
        request=f"{layout} {request.meaning}",
    )
    remove_stale_outputs(output, [task.case_id for task in planned.tasks])
    outcomes = _outcomes(planned.tasks, workers)
    outcomes = [replace(o, issues=tuple(identity.issue(issue) for issue in o.issues)) for o in outcomes]
    issues = [identity.issue(issue) for issue in (*found.notes, *planned.notes)]
    files, cohort_hash = _tables(output, identity, vocabulary, found, planned, outcomes, issues)
    included = sum(outcome.row is not None for outcome in outcomes)
    reused = sum(outcome.reused for outcome in outcomes)
    return Imported(included, len(found.cases) + len(found.excluded), reused, tuple(files), cohort_hash, tuple(issues))


def _tables(
    output: Path,
    identity: Identity,
    vocabulary: Vocabulary,
    found: Found,
    planned: Plan,
    outcomes: Sequence[Outcome],
    issues: list[Issue],
) -> tuple[list[Path], str]:
    """Write the tables; the files and the cohort's hash. What there is to report is added to `issues`."""
    files = [output / "import.csv"]
    issues += write_import(files[0], found, planned, outcomes, identity)
    if found.series:
        files.append(output / "series.csv")
        write_series_table(files[1], found, planned, outcomes, identity)
    table = output / "cohort.csv"
    rows = [outcome.row for outcome in outcomes if outcome.row is not None]
    if not rows:
        table.unlink(missing_ok=True)
        return files, ""
    write_cohort(table, rows)
    cohort = read_cohort(table, vocabulary=vocabulary)
    issues += cohort.issues
    return [*files, table], cohort.hash


def _outcomes(tasks: Sequence[Task], workers: int) -> list[Outcome]:
    number = min(workers or os.cpu_count() or 1, len(tasks))
    outcomes = []
    with progress("import", len(tasks)) as advance:
        if number < 2:
            for task in tasks:
                outcomes.append(import_case(task))
                advance(task.case_id)
            return outcomes
        with spread(import_case, tasks, number) as futures:
            for task, future in zip(tasks, futures, strict=True):
                outcomes.append(_result(task, future))
                advance(task.case_id)
    return outcomes


def _result(task: Task, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        message = "a worker process was killed before the case was imported, as happens when memory runs out"
        hint = "run the same command with fewer workers=; finished cases are kept"
        return Outcome(task.case_id, None, (Issue("LS-IMP-016", message, hint, task.case_id),))
