"""`trials.csv` and `trial_cases.csv`: what a study found, for the leaderboard and for anybody else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import one_line
from liverspleen.locks import held
from liverspleen.organs import ORGAN_KEYS
from liverspleen.storage import write_text
from liverspleen.sweep.plan import Begin, Plan, State, TrialRecord, seed_of
from liverspleen.sweep.space import Space

FIXED: Final = (
    *("number", "phase", "configuration", "state", "reason", "seed", "device", "started", "seconds"),
    *("dss", *(f"dss_{key}" for key in ORGAN_KEYS), "volume_bias_pct", "seconds_per_slice"),
)
"""Columns of `trials.csv` before those of the parameters."""

CASE_COLUMNS: Final = ("number", "case_id", "condition", "structure", "dss", "volume_cm3", "reference_cm3")
"""Of `trial_cases.csv`."""


def write_tables(
    folder: Path, records: Sequence[TrialRecord], space: Space, plan: Plan, conditions: Mapping[str, str]
) -> None:
    """Both tables, each complete or not at all; what is undefined is empty."""
    ordered = sorted(records, key=lambda record: record.number)
    names = [parameter.name for parameter in space.parameters]
    rows = [_row(folder, record, names, plan) for record in ordered]
    _write(folder / "trials.csv", (*FIXED, *names), rows)
    cases = [
        [record.number, case_id, conditions.get(case_id, ""), *rest]
        for record in ordered
        if record.state == State.COMPLETE
        for case_id, *rest in record.about.get("cases", ())
    ]
    _write(folder / "trial_cases.csv", CASE_COLUMNS, cases)


def _row(folder: Path, record: TrialRecord, names: Sequence[str], plan: Plan) -> list[Any]:
    about = record.about
    return [
        record.number,
        record.phase,
        record.configuration,
        _state(folder, record),
        one_line(about.get("reason", "")),
        seed_of(plan, Begin(record.phase, repeat=record.repeat), record.number),
        about.get("device"),
        datetime.fromtimestamp(about["begun"], UTC).isoformat(timespec="milliseconds"),
        round(about["seconds"], 3) if "seconds" in about else None,
        *(about.get(name) for name in FIXED[FIXED.index("dss") :]),
        *(record.values.get(name) for name in names),
    ]


def _state(folder: Path, record: TrialRecord) -> State:
    """Of an open trial that was begun here its lock tells whether somebody is at work on it."""
    run = folder / "trials" / f"{record.number:04d}"
    return State.INTERRUPTED if record.open and run.is_dir() and not held(run / ".lock") else record.state


def _write(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])  # None becomes empty, floats their repr
    write_text(file, text.getvalue())
