"""`trials.csv` and `trial_cases.csv`: the trials of a study and their results by case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import one_line
from liverspleen.locks import held
from liverspleen.organs import ORGAN_KEYS
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import write_text
from liverspleen.sweep.plan import Plan, State, TrialRecord, training_seed
from liverspleen.sweep.space import Space, configuration_id, without_seed

ADDED: Final = ("training_patients", "training_cases")
"""Columns of `trials.csv` that tables of earlier versions do not have."""

FIXED: Final = (
    *("number", "phase", "configuration", "state", "reason", "seed", "device", "started", "seconds"),
    *("dss", *(f"dss_{key}" for key in ORGAN_KEYS), "volume_bias_pct", "seconds_per_slice"),
    *ADDED,
)
"""Columns of `trials.csv`; the columns of the parameters follow."""

CASE_COLUMNS: Final = ("number", "case_id", "condition", "structure", "dss", "volume_cm3", "reference_cm3")
"""Columns of `trial_cases.csv`."""


def write_tables(
    folder: Path, records: Sequence[TrialRecord], space: Space, plan: Plan, conditions: Mapping[str, str]
) -> None:
    """Write both tables; undefined values are empty fields."""
    ordered = sorted(records, key=lambda record: record.number)
    names = [parameter.name for parameter in space.parameters if parameter.name not in FIXED]
    rows = [_row(folder, record, names, plan) for record in ordered]
    _write(folder / "trials.csv", (*FIXED, *names), rows)
    cases = [
        [record.number, case_id, conditions.get(case_id, ""), *rest]
        for record in ordered
        if record.state == State.COMPLETE
        for case_id, *rest in record.outcome.cases
    ]
    _write(folder / "trial_cases.csv", CASE_COLUMNS, cases)


def _row(folder: Path, record: TrialRecord, names: Sequence[str], plan: Plan) -> list[Any]:
    return [
        record.number,
        record.phase,
        configuration_id(without_seed(record.values)),
        _state(folder, record),
        one_line(record.outcome.reason),
        training_seed(plan, record),
        record.outcome.device,
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        None if record.seconds is None else round(record.seconds, 3),
        *(record.outcome.scores.get(name) for name in FIXED[FIXED.index("dss") :]),
        *(record.values.get(name) for name in names),
    ]


def _state(folder: Path, record: TrialRecord) -> State:
    """Return the state; an open trial of this folder is interrupted if no process holds its lock."""
    run = folder / "trials" / f"{record.number:04d}"
    return State.INTERRUPTED if record.open and run.is_dir() and not held(run / ".lock") else record.state


def _write(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    write_text(file, csv_text([header, *rows]))
