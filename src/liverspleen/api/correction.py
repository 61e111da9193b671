"""Make folders for the correction of predicted label maps, and import the edits, with a configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liverspleen import assemble
from liverspleen.api.correction_cases import column_of, selected_cases, table_of, unknown_cases
from liverspleen.api.redaction import redacted
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.privacy import redacted_errors
from liverspleen.cohort.scans import Scans, open_scans
from liverspleen.cohort.split import Split, patients_in_tests, read_split
from liverspleen.config import CorrectConfig, VocabularyConfig
from liverspleen.correction.case_folder import CASES, CaseFolder, copy, make_case
from liverspleen.correction.edits import find_edit, is_known
from liverspleen.correction.history import History, histories, history_folder, read_history, undoable
from liverspleen.correction.merging import MERGED_COHORT, Merged, open_original, write_merged
from liverspleen.correction.proposal import Choice, recorded_choice
from liverspleen.correction.tables import COHORT, cohort_row, write_tables
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import write_label_map
from liverspleen.inference.case_files import sidecars
from liverspleen.output_folder import occupied
from liverspleen.processes import progress
from liverspleen.provenance import Run, recorded
from liverspleen.records import read_runs
from liverspleen.storage import sha256_of

_PREDICT_ARGUMENTS = ("root", "series_by", "ids")


@dataclass(frozen=True)
class Correction:
    """A finished run of `correct`.

    Attributes:
        cases: the selected cases, which have a folder now; `kept` is the number of those that had one before.
        choices: the proposed cases among them, in the order of the choice.
        recorded: number of new entries of the histories by state.
        in_force: number of label maps in the cohort by state.
        without: the cases that have no label map in force.
        merged: the cohort of original and corrected cases, with `cohort=`.
        tables: tables that were written.
        issues: issues of cases and of the input.
    """

    cases: tuple[str, ...] = ()
    kept: int = 0
    choices: tuple[Choice, ...] = ()
    recorded: dict[str, int] = field(default_factory=dict)
    in_force: dict[str, int] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    merged: Merged | None = None
    tables: tuple[Path, ...] = ()
    issues: tuple[Issue, ...] = ()


def run_making(config: CorrectConfig) -> Correction:
    """Make the folders of the selected cases; cases that have a folder are kept.

    Raises:
        InputError: the predictions, the table of cases or the CT scans cannot be used. Cases that cannot be used are in
            `issues`.
    """
    assert config.input is not None
    assert config.output is not None
    with occupied(config.output) as notes, _scans(config) as scans:
        shown, command = redacted("correct", config, scans.identity) if scans.identity else (config, None)
        with (
            redacted_errors(scans.identity, "copying cases"),
            recorded("correct", shown, config.output, command=command) as record,
            redacted_errors(scans.identity, "copying cases"),
        ):
            record.issues += [*notes, *scans.issues]
            return _make(config.input, config.output, config, scans, record)


def _make(predictions: Path, root: Path, config: CorrectConfig, scans: Scans, record: Run) -> Correction:
    found, others = sidecars(predictions)
    record.issues += others
    by_id = {scan.case.case_id: scan for scan in scans.cases}
    cases = [scan.case for scan in scans.cases]
    tests = {case.patient_id for case in cases if not case.is_development}
    selected = selected_cases(config, predictions, {one.case_id: one for one in found}, tests, record)
    made, kept, choices = [], 0, []
    with progress("correct", len(selected)) as advance:
        for one in selected:
            case_id, proposal = one.sidecar.case_id, recorded_choice(one.choice) if one.choice else None
            try:
                if (scan := by_id.get(case_id)) is None:
                    message, hint = "the CT of the case is not in scans=", "give the scans= that were predicted"
                    raise InputError(Issue("LS-COR-003", message, hint, case_id))
                if scan.case.is_development and scan.case.patient_id in tests:
                    raise InputError(patients_in_tests(cases, [scan.case.patient_id], config.scans))
                kept += bool(read_history(root, case_id).entries)
                make_case(root, predictions, one.sidecar, scan, proposal=proposal)
                made.append(case_id)
                choices += [one.choice] if one.choice else []
            except InputError as error:
                record.issues.extend(error.issues)
            advance(case_id)
    return Correction(tuple(made), kept, tuple(choices), issues=tuple(record.issues))


@contextmanager
def _scans(config: CorrectConfig) -> Iterator[Scans]:
    """Open the CT scans of the prediction, with the settings in its run.json."""
    assert config.input is not None
    settings = _predict_settings(config.input)
    source = config.scans if config.scans is not None else Path(str(settings["input"]))
    if config.scans is None and not source.exists():
        message = f"the CT scans of the prediction are not at '{source}', the path in its run.json, or it is a hash"
        raise InputError(Issue("LS-COR-003", message, "give scans= as input= of predict", file=config.input))
    stated = {name: settings[name] for name in _PREDICT_ARGUMENTS if settings.get(name) is not None}
    if config.root is not None or config.scans is not None:
        stated["root"] = config.root
    vocabulary = assemble.vocabulary(VocabularyConfig(**settings["vocabulary"]))
    with open_scans(source, **stated, vocabulary=vocabulary, key=config.key) as scans:
        yield scans


def _predict_settings(folder: Path) -> dict[str, Any]:
    """Return the configuration of the newest `predict` run with a folder.

    Raises:
        InputError: LS-COR-001 there is none; as `read_runs`.
    """
    for file in (folder / "run.json", *sorted(folder.glob("run_*of*.json"))):
        for run in reversed(read_runs(file)):
            settings = run.get("config")
            if run.get("verb") == "predict" and isinstance(settings, dict) and "vocabulary" in settings:
                return settings
    message = "the folder has no run.json of liverspleen predict"
    raise InputError(Issue("LS-COR-001", message, "give the output= of liverspleen predict", file=folder))


def run_import(config: CorrectConfig) -> Correction:
    """Import the edits of a correction folder, record verdicts or withdraw entries, and write the tables.

    Raises:
        InputError: LS-COR-001 the folder has no case; LS-COR-020 `cohort=` is a table of the folder; as `open_original`
            and `read_split`. Nothing is imported then. Cases that cannot be used are in `issues`.
    """
    root = config.import_
    assert root is not None
    if not (root / "history").is_dir():
        message = "the folder has no history of a case"
        raise InputError(Issue("LS-COR-001", message, "give the output= of liverspleen correct input=", file=root))
    with recorded("correct", config, root) as record:
        original = _original(config, root, record)
        found, issues = histories(root)
        record.issues += [*issues, *_without_history(root)]
        new = Counter[str]()
        selected = _cases(config, root, found)
        with progress("correct", len(selected)) as advance:
            for case_id in selected:
                before = found[case_id]
                try:
                    found[case_id] = _imported(before, CaseFolder(root, case_id), config, record)
                except InputError as error:
                    record.issues.extend(error.issues)
                    found[case_id] = read_history(root, case_id)
                new.update(entry.state for entry in found[case_id].entries[len(before.entries) :])
                advance(case_id)
        if config.state in ("confirmed", "rejected") and not new[config.state]:
            record.issues.append(_nothing_to_judge(config.state))
        tables, removed = write_tables(root, found.values(), confirmed_only=config.confirmed_only)
        record.outputs += tables
        merged = None
        if original is not None:
            merged = _merged(config, root, found.values(), *original, record)
        elif removed:
            message = f"{MERGED_COHORT} had label maps of before, and is removed"
            hint = "to write it again, give cohort= and split= of the original cohort"
            record.issues.append(Issue("LS-COR-021", message, hint, file=root, severity="note"))
        states = {name: _state(one, confirmed_only=config.confirmed_only) for name, one in found.items()}
        return Correction(
            recorded=dict(new),
            in_force=dict(Counter(state for state in states.values() if state)),
            without=tuple(name for name, state in states.items() if state is None),
            tables=tuple(tables),
            merged=merged,
            issues=tuple(record.issues),
        )


def _without_history(root: Path) -> Iterator[Issue]:
    for folder in sorted((root / CASES).glob("[!.]*/")):
        if not history_folder(root, folder.name).is_dir():
            message = "the folder of a case has no history, so it is not read"
            hint = "give it the name of its case again, or repeat correct input="
            yield Issue("LS-COR-022", message, hint, file=folder, severity="warning")


def _state(history: History, *, confirmed_only: bool) -> str | None:
    """Return the state of the label map in force; None if there is none."""
    entry = history.in_force(confirmed_only=confirmed_only)
    return None if entry is None else history.state_of(entry)


def _original(config: CorrectConfig, root: Path, record: Run) -> tuple[Cohort, Split] | None:
    """Return the original cohort and its split, if they are given."""
    if config.cohort is None or config.split is None:
        return None
    if config.cohort.resolve() in {(root / name).resolve() for name in (COHORT, MERGED_COHORT)}:
        message = "cohort= is a table that correct writes, expected the original cohort"
        hint = "give the original cohort and its split, also after the first merge"
        raise InputError(Issue("LS-COR-020", message, hint, file=config.cohort))
    cohort = open_original(config.cohort, config.root)
    record.issues += cohort.issues
    split = read_split(config.split, cohort)
    record.inputs |= {"cohort": cohort.hash, "split": sha256_of(config.split)}
    return cohort, split


def _merged(
    config: CorrectConfig, root: Path, found: Iterable[History], cohort: Cohort, split: Split, record: Run
) -> Merged | None:
    """Write the tables of original and corrected cases."""
    rows = [row for one in found if (row := cohort_row(root, one, confirmed_only=config.confirmed_only))]
    merged, issues = write_merged(root, rows, cohort, split)
    record.issues += issues
    if merged is None:
        message = "no corrected label map can be used for training, so no merged cohort is written"
        hint = "import or confirm edits of other patients"
        record.issues.append(Issue("LS-COR-016", message, hint, file=root, severity="warning"))
        return None
    record.outputs += [merged.cohort, merged.split]
    return merged


def _nothing_to_judge(state: str) -> Issue:
    message = f"no label map was newly {state}: without cases= only edits are judged, and an equal verdict counts once"
    return Issue("LS-COR-013", message, "to judge a prediction, give its case in cases=", severity="note")


def _cases(config: CorrectConfig, root: Path, found: dict[str, History]) -> list[str]:
    if not config.cases:
        return list(found)
    table = table_of(config.cases)
    names = config.cases if table is None else column_of(table)
    if unknown := [name for name in names if name not in found]:
        raise InputError(unknown_cases(unknown, root))
    return list(dict.fromkeys(names))


def _imported(history: History, files: CaseFolder, config: CorrectConfig, record: Run) -> History:
    """Return the history of a case with its new entries."""
    who = {"reader": config.reader, "date": config.date}
    if config.state == "undone":
        if (entry := undoable(history)) is None:
            message = "the case has no entry that can be withdrawn"
            raise InputError(Issue("LS-COR-011", message, "remove it from cases=", history.case_id))
        return _shown(history.add(state="undone", of=entry.number, **who), files)
    history = _with_edit(history, files, who, record)
    verdict, newest = config.state, history.newest
    if verdict != "corrected" and (config.cases or newest.state == "corrected"):
        own = history.verdicts(newest).get(config.reader)
        if own is None or own.state != verdict:
            history = history.add(state=verdict, of=newest.number, **who)
    return _shown(history, files)


def _with_edit(history: History, files: CaseFolder, who: dict[str, str | None], record: Run) -> History:
    """Return the history with the edit of the case, if there is a new one."""
    about = history.first.content["ct"]
    ct = files.folder / about["file"]
    if not ct.is_file() or sha256_of(ct) != about["sha256"]:
        message = "the copy of the CT is missing, or was changed"
        hint = "copy the CT again from where it was predicted, or use another correction folder"
        raise InputError(Issue("LS-COR-012", message, hint, history.case_id, ct))
    edit = find_edit(history, files)
    if edit is None:
        return history
    record.issues += edit.issues
    target = history.folder / f"{len(history.entries) + 1:04d}.nii.gz"
    write_label_map(target, edit.label_map)
    return history.add(
        state="corrected",
        map_sha256=sha256_of(target),
        voxels_sha256=edit.voxels_sha256,
        covered=tuple(organ.key for organ in edit.label_map.covered),
        content=edit.content,
        **who,
    )


def _shown(history: History, files: CaseFolder) -> History:
    """Return the history, and let workspace and scene open its newest label map.

    A file that is replaced has a label map of the history, so no edit is lost.
    """
    source, target = history.check_map(history.newest), files.label_map
    if not target.is_file() or (sha256_of(target) != history.newest.map_sha256 and is_known(history, target)):
        copy(source, target)
    return history
