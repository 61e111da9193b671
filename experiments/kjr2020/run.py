"""Reproduce the tables and figures of the paper from synthetic cases, and compare published with reproduced numbers.

    python experiments/kjr2020/run.py output=outputs/paper

Three steps. Cases are generated that match the published numbers, except those that contradict others (`cases.py`).
`liverspleen report` writes tables and figures of the cases. Each published number is compared with the report
(`verdicts.py`): comparison.csv, comparison.md and comparison.html.

The exit code is 0 if every number is equal as printed or impossible, 1 if one is not met or the folder cannot be
written, 2 if an input is rejected.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from addresses import Key, address_of, is_target, reproduced, values_of
from cases import cohort_rows, examinations
from comparison import write_comparison
from relations import audit_findings, read_rules, with_derived
from rules import Rule, fewest_excluded
from samples import Interval
from transcription import PrintedNumber, read_published
from verdicts import VERDICTS, Verdict, verdicts

from liverspleen import report
from liverspleen.cohort import DEVELOPMENT
from liverspleen.cohort.manifest import write_cohort
from liverspleen.errors import InputError, InputWarning, Issue, collapsed
from liverspleen.evaluation import write_measurements
from liverspleen.spreadsheet import csv_line
from liverspleen.storage import write_text
from liverspleen.studies import given_settings


def main(arguments: Sequence[str]) -> int:
    """Write the cases, report on them, compare; return the exit code."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        out = Path(given_settings(arguments, ["output"]).get("output", "outputs/paper"))
        numbers = read_published()
        rules = read_rules(numbers)
        write_cases(out, numbers, rules)
        if any(issue.severity == "error" for issue in report_on(out)):
            return 2
        found = compare(out, numbers, rules)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(Issue("LS-EXP-013", str(error), "give an output= that you may write to"), file=sys.stderr)
        return 1
    print_verdicts(found)
    print(f"open {out / 'comparison.html'}")
    return int(any(verdict.is_failure for verdict in found))


def targets_of(numbers: Sequence[PrintedNumber], rules: Sequence[Rule]) -> dict[Key, Interval]:
    """Return the intervals that the cases must match: printed numbers without the fewest that contradict others."""
    numbers_of_tables = {number.id: number for number in numbers if is_target(number)}
    relevant = [rule for rule in rules if rule.cells <= numbers_of_tables.keys()]
    excluded = fewest_excluded(relevant, {name: number.interval for name, number in numbers_of_tables.items()})
    kept = [number for name, number in numbers_of_tables.items() if name not in excluded]
    return {key: number.interval for number in kept if (key := address_of(number)) is not None}


def write_cases(out: Path, numbers: Sequence[PrintedNumber], rules: Sequence[Rule]) -> None:
    """Write measurements.csv, cohort.csv, test_cohort.csv (the test datasets, for Figure 1) and exclusions.csv."""
    targets = targets_of(numbers, rules)
    cases = examinations(targets)
    write_measurements(out / "measurements.csv", [row for case in cases for row in case.rows()])
    rows = cohort_rows(targets, cases)
    write_cohort(out / "cohort.csv", rows)
    tests = [row for row in rows if row["dataset"] != DEVELOPMENT]
    write_cohort(out / "test_cohort.csv", tests)
    write_text(out / "exclusions.csv", exclusions(numbers, patients=len({row["patient_id"] for row in tests})))


def exclusions(numbers: Sequence[PrintedNumber], *, patients: int) -> str:
    """Return the reasons of Figure 1 as `reason,count`, and the eligible patients who were not selected at random."""
    counts = {number.id: round(sum(number.interval) / 2) for number in numbers if number.id.startswith("figure1.")}
    flow = {
        key[2]: counts[number.id]
        for number in numbers
        if (key := address_of(number)) is not None and key[:2] == ("figure1", "flow")
    }
    flow["eligible, not selected at random"] = counts["figure1.eligible"] - patients
    return "".join(csv_line([reason, str(count)]) for reason, count in {"reason": "count", **flow}.items())


def report_on(out: Path) -> list[Issue]:
    """Write `report/` on the test datasets and `table1/` on the full cohort; return the issues."""
    measured = out / "measurements.csv"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # printed below
        whole = report(measurements=measured, cohort=out / "cohort.csv", output=out / "table1")
        tests = report(
            measurements=measured,
            cohort=out / "test_cohort.csv",
            exclusions=out / "exclusions.csv",
            output=out / "report",
        )
    issues = [*whole.issues, *tests.issues]
    print(*collapsed(issues), sep="\n", file=sys.stderr)
    return issues


def compare(out: Path, numbers: Sequence[PrintedNumber], rules: Sequence[Rule]) -> tuple[Verdict, ...]:
    """Return a verdict on each number and write comparison.*; Table 1 is from the report on the full cohort."""
    whole, tests = (
        values_of(json.loads((out / name / "report.json").read_text(encoding="utf-8"))) for name in ("table1", "report")
    )
    values = {**tests, **{key: value for key, value in whole.items() if key[0] == "table1"}}
    found = verdicts(numbers, with_derived(reproduced(numbers, values), rules), rules, audit_findings())
    write_comparison(out, found)
    return found


def print_verdicts(found: Sequence[Verdict]) -> None:
    """Print the numbers that are impossible or not met, and the count of each verdict."""
    for verdict in found:
        if verdict.because or verdict.is_failure:
            number = verdict.number
            print(f"{number.id}: printed {number.printed}, reproduced {verdict.reproduced}: {verdict.text}")
    counts = Counter(verdict.verdict for verdict in found)
    print(", ".join(f"{counts[name]} {name}" for name in VERDICTS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
