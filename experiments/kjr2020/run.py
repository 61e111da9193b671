"""The paper's tables and figures from cases made to its numbers, and published against reproduced.

    python experiments/kjr2020/run.py output=outputs/paper

Three steps. Cases are made to the published numbers, as far as these allow each other (`cases.py`). `liverspleen
report` makes tables and figures from the cases, as from anybody's. Each published number is held against what the
report says (`verdicts.py`): comparison.csv, comparison.md and comparison.html.

Exit code 0 if every number is equal as printed or shown impossible; 1 if one is not met; 2 if something is refused.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from addresses import address_of, reproduced, values_of
from cases import cohort_rows, examinations
from comparison import write_comparison
from conflicts import rules_of
from rules import Rule, fewest_left_out
from transcription import PrintedNumber, read_published
from verdicts import VERDICTS, verdicts

from liverspleen.cli.main import run_verb
from liverspleen.cohort.manifest import write_cohort
from liverspleen.errors import Refused
from liverspleen.evaluation import write_measurements


def main(words: list[str]) -> int:
    """Make the cases, report on them, compare; the exit code."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    out = Path(given.get("output", "outputs/paper"))
    try:
        numbers = read_published()
        rules = rules_of(numbers)
        make_cases(out, numbers, rules)
        code = report_on(out)
        if code:
            return code
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    values = values_of(json.loads((out / "report" / "report.json").read_text(encoding="utf-8")))
    found = verdicts(numbers, reproduced(numbers, values), rules)
    write_comparison(out, found)
    for verdict in found:
        if verdict.because or verdict.is_failure:
            print(
                f"{verdict.number.id}: printed {verdict.number.printed}, reproduced {verdict.reproduced}; "
                f"{verdict.verdict}. {verdict.because}"
            )
    counts = Counter(verdict.verdict for verdict in found)
    print(", ".join(f"{counts[name]} {name}" for name in VERDICTS))
    return int(any(verdict.is_failure for verdict in found))


def make_cases(out: Path, numbers: Sequence[PrintedNumber], rules: Sequence[Rule]) -> None:
    """Write measurements and cohorts of cases that give the published numbers, without those that break a rule."""
    left_out = fewest_left_out(rules, {number.id: number.interval for number in numbers})
    asked = {
        key: number.interval
        for number in numbers
        if number.id not in left_out and (key := address_of(number)) is not None
    }
    cases = examinations(asked)
    write_measurements(out / "measurements.csv", [row for case in cases for row in case.rows()])
    rows = cohort_rows(asked, cases)
    write_cohort(out / "cohort.csv", rows)
    write_cohort(out / "test_cohort.csv", [row for row in rows if row["dataset"] != "development"])


def report_on(out: Path) -> int:
    """Tables and figures of the test datasets, as of anybody's data; the highest exit code."""
    code = run_verb(
        "report",
        [
            f"measurements={out / 'measurements.csv'}",
            f"cohort={out / 'test_cohort.csv'}",
            f"output={out / 'report'}",
        ],
    )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
