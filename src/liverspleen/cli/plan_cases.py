"""The question `cases` of `liverspleen plan`: the training cases that a DSS needs, from a learning curve."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from liverspleen import __version__
from liverspleen.config import PlanConfig
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.formatting import DSS_DIGITS, fixed
from liverspleen.evaluation.statistics.learning_curve import LearningCurve, learning_curve
from liverspleen.provenance import recorded
from liverspleen.reading import read_text
from liverspleen.spreadsheet import csv_rows
from liverspleen.storage import sha256_of, write_json


class _Table(NamedTuple):
    """The rows of a table with a DSS; `seeds` is empty if there is no column `seed`."""

    cases: list[float]
    dss: list[float]
    seeds: list[str]
    n_empty: int


def plan_cases(config: PlanConfig) -> tuple[Issue, ...]:
    """Print the curve and the cases that `dss=` needs, and write them if an output folder is given.

    Raises:
        InputError: LS-PLN-011, the table cannot be used; LS-PLN-003, it has too few trainings or impossible numbers.
    """
    assert config.curve is not None  # the schema has checked both
    assert config.dss is not None
    table = _read(config.curve)
    try:
        found = learning_curve(table.cases, table.dss, table.seeds or None, wanted_dss=config.dss)
    except ValueError as error:
        raise InputError(Issue("LS-PLN-003", str(error), "correct the table", file=config.curve)) from error
    issues = tuple(_issues(found, table, config.curve))
    with nullcontext() if config.output is None else recorded("plan", config, config.output) as record:
        print("\n".join(_lines(found)))
        if config.output is not None and record is not None:
            record.inputs["curve"] = sha256_of(config.curve)
            about = {"generator": {"name": "liverspleen", "version": __version__}, "notice": RESEARCH_USE}
            write_json(config.output / "plan.json", {**about, "question": "cases", "curve": found.to_dict()})
            record.outputs.append(config.output / "plan.json")
            record.issues.extend(issues)
    return issues


def _read(file: Path) -> _Table:
    def rejected(message: str) -> InputError:
        hint = "give a CSV file with the columns cases, dss and optionally seed, such as learning_curve.csv of a sweep"
        return InputError(Issue("LS-PLN-011", message, hint, file=file))

    try:
        rows = csv_rows(read_text(file))
    except OSError as error:
        raise rejected(f"table cannot be read ({error.strerror or type(error).__name__})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise rejected(f"table is not CSV in UTF-8 ({error})") from error
    if not rows or not {"cases", "dss"} <= rows[0].keys():
        raise rejected("table has no rows, or no columns cases and dss")
    filled = [row for row in rows if row["dss"]]
    try:
        cases, dss = ([float(row[name]) for row in filled] for name in ("cases", "dss"))
    except (TypeError, ValueError) as error:
        raise rejected(f"a row has no number of cases or no DSS ({error})") from error
    without = sum(not row["seed"] for row in filled) if "seed" in rows[0] else 0
    if 0 < without < len(filled):
        raise rejected(f"{counted(without, 'row')} without a seed, expected one in each row or none")
    return _Table(cases, dss, [row["seed"] for row in filled if row.get("seed")], len(rows) - len(filled))


def _issues(found: LearningCurve, table: _Table, file: Path) -> Iterator[Issue]:
    if table.n_empty:
        message = f"{counted(table.n_empty, 'row')} without a DSS skipped"
        yield Issue("LS-PLN-012", message, "train these again if they failed", file=file, severity="warning")
    if found.reason is not None:
        message = f"the curve does not tell how many cases a DSS of {found.wanted_dss:g} needs: {found.reason}"
        hint = "train with more cases or seeds, or choose a lower dss="
        yield Issue("LS-PLN-013", message, hint, file=file, severity="warning")


def _lines(found: LearningCurve) -> Iterator[str]:
    sizes = f"{found.sizes[0]} to {found.sizes[-1]} cases"
    yield f"plan: cases, dss={found.wanted_dss:g}, {counted(found.n_trainings, 'training')} with {sizes}"
    law = f"DSS = {fixed(found.asymptote, DSS_DIGITS)} - {found.drop:.3g} n^-{found.power:.2f}"
    yield f"  {law}, SD of a training about the curve {fixed(found.residual_sd, DSS_DIGITS + 1)}"
    if found.cases is not None and found.cases < found.sizes[0]:
        smallest = counted(found.sizes[0], "case")
        yield f"  a DSS of {found.wanted_dss:g} needs at most {smallest}, the smallest number tried"
    elif found.cases_ci is not None:
        lower, upper = map(math.floor, found.cases_ci)
        yield f"  a DSS of {found.wanted_dss:g} needs {found.cases} cases (95 % CI {lower} to {upper})"
        if found.cases is not None and found.cases > found.sizes[-1]:
            yield "  this is more than the numbers tried: it holds only if the curve continues in the same way"
    elif found.at_least is not None and found.at_least > 1:
        yield f"  a DSS of {found.wanted_dss:g} needs at least {found.at_least} cases; there is no upper limit"
    else:
        yield f"  the curve does not tell how many cases a DSS of {found.wanted_dss:g} needs"
