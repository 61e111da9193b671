"""`leaderboard.csv` and `leaderboard.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas

from liverspleen.errors import one_line
from liverspleen.evaluation.measurements.table import csv_line, inert
from liverspleen.evaluation.reporting.writers.csv_markdown import escaped
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.organs import ORGAN_KEYS
from liverspleen.sweep.leaderboard_rows import Row
from liverspleen.sweep.leaderboard_study import StudyFiles
from liverspleen.sweep.leaderboard_words import (
    DEFINITIONS,
    HEADS,
    OTHER_HEADS,
    cells,
    decision,
    label,
    other_cells,
    remarks,
)

_BIAS: Final = tuple(
    f"volume_bias_{organ}_pct{part}" for organ in ORGAN_KEYS for part in ("", "_ci_lower", "_ci_upper")
)


def csv_text(study: StudyFiles, rows: Sequence[Row]) -> str:
    """One row per configuration at full precision; undefined is empty, and no text runs as a formula."""
    names = [inert(axis.name) for axis in study.axes]
    header = ["rank", "configuration", *names, "n_seeds", "n_failed", "dss", "dss_ci_lower", "dss_ci_upper"]
    header += ["dss_seed_sd", "worst_condition", "worst_condition_dss", "worst_condition_n_cases", *_BIAS]
    return csv_line([*header, "seconds_per_slice", "search_dss"]) + "".join(map(_csv_row, rows))


def markdown_text(study: StudyFiles, choice: Choice | None, rows: Sequence[Row], front: Sequence[int]) -> str:
    """The decision, the table, the configurations, the trials that failed, and what was not done."""
    head, *more = decision(study, choice, rows)
    parts = [f"# Leaderboard of {escaped(study.name)}", f"**{escaped(head)}**", *map(escaped, more)]
    confirmed = [[first, label(study, row), *rest] for row in rows if row.rank for first, *rest in [cells(row)]]
    others = [[label(study, row), *other_cells(row)] for row in rows if not row.rank]
    parts += ["## Leaders", _table(HEADS, confirmed) if confirmed else "None confirmed yet."]
    parts += ["## Searched alone", _table(OTHER_HEADS, others)] if others else []
    if len(study.objectives) > 1:
        parts += ["## Pareto front of the search", front_text(study, front)]
    failed = failures(study)
    parts += ["## Trials that failed", _table(FAILURE_HEADS, failed) if failed else "None."]
    parts += ["## What was not done", "\n".join(f"- {escaped(remark)}" for remark in remarks(study, choice))]
    parts += ["## Definitions", "\n".join(f"- {term}: {escaped(meaning)}" for term, meaning in DEFINITIONS.items())]
    return "\n\n".join(parts) + "\n"


FAILURE_HEADS: Final = ("Trial", "Phase", "Configuration", "Seed", "Reason")


def failures(study: StudyFiles) -> list[list[str]]:
    """Trials that failed, with their reasons."""
    rows: pandas.DataFrame = study.trials[study.trials["state"] == "failed"]
    return [
        [one_line(row[name]) for name in ("number", "phase", "configuration", "seed", "reason")]
        for _, row in rows.iterrows()
    ]


def front_text(study: StudyFiles, front: Sequence[int]) -> str:
    """Which trials no other one beats."""
    aims = ", ".join(study.objectives)
    numbers = ", ".join(map(str, front)) or "none that has them all"
    return f"Trials {numbers}: no complete search trial is at least as good in {aims} and better in one of them."


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[*map(escaped, heads)], ["---"] * len(heads), *([*map(escaped, row)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _csv_row(row: Row) -> str:
    found = row.confirmed
    values: list[object] = [row.rank, row.configuration, *map(_inert_value, row.values), row.n_seeds, row.n_failed]
    values += (
        [None] * 7
        if found is None
        else [
            *(found.mean, *_bounds(found.ci), found.seed_sd),
            *(
                None if found.worst_condition is None else inert(found.worst_condition),
                found.worst_mean,
                found.worst_n_cases,
            ),
        ]
    )
    for bias in row.volume_bias_pct.values():
        values += [bias.mean, *_bounds(bias.ci)]
    return csv_line(["" if value is None else str(value) for value in [*values, row.seconds_per_slice, row.search_dss]])


def _bounds(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return interval or (None, None)


def _inert_value(text: str) -> str:
    """A number as it is, other text without a formula."""
    try:
        float(text)
    except ValueError:
        return inert(text)
    return text
