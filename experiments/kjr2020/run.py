"""The paper's tables and figures from cases made to its numbers, and published against reproduced.

    python experiments/kjr2020/run.py output=outputs/paper

Three steps. Cases are made to the published numbers, as far as these allow each other (`cases.py`). `liverspleen
report` makes tables and figures from the cases, as from anybody's. Each published number is held against what the
report says (`verdicts.py`): comparison.csv, comparison.md and comparison.html.

Exit code 0 if every number is equal as printed or shown impossible; 1 if one is not met, or the folder cannot be
written; 2 if something is rejected.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from addresses import Key, address_of, is_made_for, reproduced, values_of
from cases import cohort_rows, examinations
from comparison import write_comparison
from relations import audit_findings, read_rules, with_derived
from rules import Rule, fewest_left_out
from samples import Interval
from transcription import PrintedNumber, read_published
from verdicts import VERDICTS, Verdict, verdicts

from liverspleen import report
from liverspleen.cohort import DEVELOPMENT
from liverspleen.cohort.manifest import write_cohort
from liverspleen.errors import InputError, InputWarning, Issue, collapsed
from liverspleen.evaluation import write_measurements
from liverspleen.evaluation.measurements.table import csv_line
from liverspleen.storage import write_text


def main(words: Sequence[str]) -> int:
    """Make the cases, report on them, compare; the exit code."""
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return 0
    try:
        out = folder(words)
        numbers = read_published()
        rules = read_rules(numbers)
        make_cases(out, numbers, rules)
        if any(issue.severity == "error" for issue in report_on(out)):
            return 2
        found = compare(out, numbers, rules)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(Issue("LS-EXP-013", str(error), "give an output= that may be written"), file=sys.stderr)
        return 1
    tell(found)
    print(f"open {out / 'comparison.html'}")
    return int(any(verdict.is_failure for verdict in found))


def folder(words: Sequence[str]) -> Path:
    """The folder that `output=` names.

    Raises:
        InputError: LS-EXP-012 another word, or no folder behind it.
    """
    out = "outputs/paper"
    for word in words:
        key, _, out = word.partition("=")
        if key != "output" or not out:
            raise InputError(Issue("LS-EXP-012", f"{word!r} is no key of this study", "give output=FOLDER"))
    return Path(out)


def asked_for(numbers: Sequence[PrintedNumber], rules: Sequence[Rule]) -> dict[Key, Interval]:
    """What cases are made to: the printed numbers, without the fewest that the others contradict."""
    asked = {number.id: number for number in numbers if is_made_for(number)}
    inside = [rule for rule in rules if rule.cells <= asked.keys()]
    left_out = fewest_left_out(inside, {name: number.interval for name, number in asked.items()})
    kept = [number for name, number in asked.items() if name not in left_out]
    return {key: number.interval for number in kept if (key := address_of(number)) is not None}


def make_cases(out: Path, numbers: Sequence[PrintedNumber], rules: Sequence[Rule]) -> None:
    """Write measurements.csv, cohort.csv and exclusions.csv; of the cohort also the part that Figure 1 shows."""
    asked = asked_for(numbers, rules)
    cases = examinations(asked)
    write_measurements(out / "measurements.csv", [row for case in cases for row in case.rows()])
    rows = cohort_rows(asked, cases)
    write_cohort(out / "cohort.csv", rows)
    tests = [row for row in rows if row["dataset"] != DEVELOPMENT]
    write_cohort(out / "test_cohort.csv", tests)
    write_text(out / "exclusions.csv", exclusions(numbers, patients=len({row["patient_id"] for row in tests})))


def exclusions(numbers: Sequence[PrintedNumber], *, patients: int) -> str:
    """Figure 1's reasons as `reason,count`; those who were eligible and not drawn at random are one more."""
    counts = {number.id: round(sum(number.interval) / 2) for number in numbers if number.id.startswith("figure1.")}
    flow = {
        key[2]: counts[number.id]
        for number in numbers
        if (key := address_of(number)) is not None and key[:2] == ("figure1", "flow")
    }
    flow["eligible, not drawn at random"] = counts["figure1.eligible"] - patients
    return "".join(csv_line([reason, str(count)]) for reason, count in {"reason": "count", **flow}.items())


def report_on(out: Path) -> list[Issue]:
    """`report/` on the test datasets, `table1/` on the whole cohort; what there is to report."""
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
    """A verdict on each number, written as comparison.*; Table 1 comes from the report on the whole cohort."""
    whole, tests = (
        values_of(json.loads((out / name / "report.json").read_text(encoding="utf-8"))) for name in ("table1", "report")
    )
    values = {**tests, **{key: value for key, value in whole.items() if key[0] == "table1"}}
    found = verdicts(numbers, with_derived(reproduced(numbers, values), rules), rules, audit_findings())
    write_comparison(out, found)
    return found


def tell(found: Sequence[Verdict]) -> None:
    """What is impossible or not met, and how many numbers have which verdict."""
    for verdict in found:
        if verdict.because or verdict.is_failure:
            number = verdict.number
            print(f"{number.id}: printed {number.printed}, reproduced {verdict.reproduced}: {verdict.says}")
    counts = Counter(verdict.verdict for verdict in found)
    print(", ".join(f"{counts[name]} {name}" for name in VERDICTS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
