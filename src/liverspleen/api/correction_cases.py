"""The predicted cases that `correct` copies: given ids, the first rows of a table, or a proposal."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.config import CorrectConfig
from liverspleen.correction.history import History, read_history
from liverspleen.correction.proposal import Choice, candidate, proposed
from liverspleen.delimited import records_of
from liverspleen.errors import InputError, Issue, counted
from liverspleen.inference.case_files import CaseFiles, Sidecar, rejections
from liverspleen.provenance import Run
from liverspleen.reading import read_text
from liverspleen.storage import sha256_of


@dataclass(frozen=True)
class Selected:
    """A case to copy; `choice` is set if it was proposed."""

    sidecar: Sidecar
    choice: Choice | None = None


def selected_cases(
    config: CorrectConfig, predictions: Path, known: Mapping[str, Sidecar], tests: Collection[str], record: Run
) -> list[Selected]:
    """Return the cases to copy, in their order.

    Given ids are those cases. With a table, they are its first `top` cases that are still open; without a table they
    are proposed. Cases that have a folder and are still open are the first ones of a proposal, so that a repeated
    command adds none. Without `top`, all cases are copied. `tests` are the patients with test cases.

    Raises:
        InputError: LS-COR-002 the table cannot be read, or a case id is unknown.
    """
    assert config.output is not None
    table = table_of(config.cases)
    if config.cases and table is None:
        if without := [name for name in config.cases if name not in known]:
            raise InputError(unknown_cases(without, predictions))
        return [Selected(known[name]) for name in dict.fromkeys(config.cases)][: config.top]
    found = _Histories(config.output)
    if table is not None:
        return _first(config.top, table, known, found, record)
    rejected = rejections(predictions)
    record.issues += _skipped([*rejected], predictions)
    usable = {name: sidecar for name, sidecar in known.items() if name not in rejected}
    if config.top is None:
        return [*map(Selected, usable.values())]
    return _proposal(config.top, predictions, usable, tests, found, record)


class _Histories:
    """Histories of a correction folder; a damaged one counts as judged, and is reported when the case is copied."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def is_open(self, case_id: str) -> bool:
        """Return whether a case has no verdict and no edit; also if it has no folder."""
        history = self._read(case_id)
        return history is not None and history.is_open

    def has_folder(self, case_id: str) -> bool:
        """Return whether a case has a history."""
        history = self._read(case_id)
        return history is None or bool(history.entries)

    def _read(self, case_id: str) -> History | None:
        try:
            return read_history(self._root, case_id)
        except InputError:
            return None


def _first(
    top: int | None, table: Path, known: Mapping[str, Sidecar], histories: _Histories, record: Run
) -> list[Selected]:
    names = [*dict.fromkeys(column_of(table))]
    record.inputs["cases"] = sha256_of(table)
    record.issues += _skipped([name for name in names if name not in known], table)
    usable = [name for name in names if name in known]
    if top is None:
        return [Selected(known[name]) for name in usable]
    chosen: list[str] = []
    judged: list[str] = []
    for name in usable:
        if len(chosen) == top:
            break
        (chosen if histories.is_open(name) else judged).append(name)
    record.issues += _not_again(judged, table)
    return [Selected(known[name]) for name in chosen]


def _skipped(without: Sequence[str], file: Path) -> list[Issue]:
    if not without:
        return []
    message = f"{counted(len(without), 'case')} without a label map in input=, first {without[0]!r}, skipped"
    return [Issue("LS-COR-002", message, "see the reasons in review.csv", file=file, severity="note")]


def _proposal(
    top: int,
    predictions: Path,
    known: Mapping[str, Sidecar],
    tests: Collection[str],
    histories: _Histories,
    record: Run,
) -> list[Selected]:
    """Return the open cases with a folder, then further ones by `proposed`."""
    usable = {name: sidecar for name, sidecar in known.items() if sidecar.measurements}
    one_of = {name: sidecar.measurements[0] for name, sidecar in usable.items()}
    patients = {*tests, *(one.patient_id for one in one_of.values() if one.dataset not in ("", DEVELOPMENT))}
    excluded = [name for name, one in one_of.items() if one.patient_id in patients]
    if excluded:
        message = f"{counted(len(excluded), 'case')} of test patients, first {excluded[0]!r}, not proposed: "
        message += "none is used for training"
        hint = "give the case ids of test cases in cases= to correct them as reference"
        record.issues.append(Issue("LS-COR-002", message, hint, file=predictions, severity="note"))
    candidates = []
    for name in sorted(usable.keys() - {*excluded}):
        try:
            candidates.append(candidate(usable[name], CaseFiles(predictions, name).label_map))
        except InputError as error:
            record.issues += error.issues
    started = {one.case_id for one in candidates if histories.has_folder(one.case_id)}
    waiting = [name for name in sorted(started) if histories.is_open(name)][:top]
    choices = proposed(candidates, top - len(waiting), known=started)
    new = [Selected(known[choice.case_id], choice) for choice in choices]
    if len(waiting) + len(new) < top:
        record.issues += _not_again([name for name in sorted(started) if not histories.is_open(name)], predictions)
    return [*(Selected(known[name]) for name in waiting), *new]


def _not_again(judged: Sequence[str], file: Path) -> list[Issue]:
    if not judged:
        return []
    message = f"{counted(len(judged), 'case')} edited or judged before, first {judged[0]!r}, skipped"
    hint = "give the case ids in cases= to select them"
    return [Issue("LS-COR-002", message, hint, file=file, severity="note")]


def table_of(cases: Sequence[str]) -> Path | None:
    """Return the table that `cases=` names; None for case ids."""
    return Path(cases[0]) if len(cases) == 1 and cases[0].lower().endswith(".csv") else None


def column_of(table: Path) -> list[str]:
    """Return the column `case_id` of a table, without empty cells; a spreadsheet may have changed the delimiter.

    Raises:
        InputError: LS-COR-002 it cannot be read, or has no case.
    """
    try:
        records, _ = records_of(read_text(table), ["case_id"])
        header, *rows = records or [[]]
        place = header.index("case_id") if "case_id" in header else None
        # a row may be shorter than the header
        names = [row[place].strip() for row in rows if place is not None and len(row) > place]
        if found := [*filter(None, names)]:
            return found
        reason = "it has no column case_id" if place is None else "it has no rows"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (UnicodeDecodeError, csv.Error) as error:
        reason = f"{error}"
    message = f"the table of cases cannot be read ({reason})"
    raise InputError(Issue("LS-COR-002", message, "give review.csv or another table of cases", file=table))


def unknown_cases(names: Sequence[str], folder: Path) -> Issue:
    """Return LS-COR-002 about unknown case ids."""
    message = f"{counted(len(names), 'case')} of cases= not found, first {names[0]!r}"
    return Issue("LS-COR-002", message, "correct cases=", file=folder)
