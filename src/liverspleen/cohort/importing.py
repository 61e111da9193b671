"""Import of cases of a source as NIfTI and rows of `cohort.csv`: planning, import of one case, and resuming."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from liverspleen.cohort.checks import on_grid
from liverspleen.cohort.covariates import Covariates
from liverspleen.cohort.findings.geometry import form_issues
from liverspleen.cohort.findings.intensities import clipped_issues
from liverspleen.cohort.identity import Identity
from liverspleen.cohort.layouts.source import TEST, Found, SourceCase
from liverspleen.cohort.row import COLUMNS, ManifestRow, file_name_key, parse_row
from liverspleen.cohort.spellings import spellings
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary
from liverspleen.errors import InputError, Issue, Severity, counted, raised_at
from liverspleen.imaging.label_map_values import looks_like_label_map
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.records import read_record, write_record
from liverspleen.storage import sha256_of_array, size_and_time

IMPORT_VERSION = 1
"""Part of every record; cases imported by another version are imported again."""

RECORDS = ".import"
"""Folder in the output with one record per finished case."""


_SPELLED: Mapping[bool, tuple[str, Severity]] = {True: ("LS-IDN-010", "error"), False: ("LS-IDN-011", "warning")}


@dataclass(frozen=True)
class Task:
    """A case to be imported, with its row of `cohort.csv`; `stamp` is a keyed hash of its files and parameters."""

    case_id: str
    row: Mapping[str, str]
    source: SourceCase = field(repr=False)
    output: Path
    stamp: str


@dataclass(frozen=True)
class Outcome:
    """Result of a task: `row` is None if the case is rejected; the hashes are those of the decoded voxels."""

    case_id: str
    row: Mapping[str, str] | None
    issues: tuple[Issue, ...]
    image_sha256: str = ""
    label_sha256: str = ""
    reused: bool = False


@dataclass(frozen=True)
class Plan:
    """Tasks in the order of case_id, rejected cases with their issues, and issues of the source as a whole."""

    tasks: tuple[Task, ...]
    rejected: tuple[tuple[SourceCase, tuple[Issue, ...]], ...]
    notes: tuple[Issue, ...]


def plan_import(
    found: Found, covariates: Covariates, *, identity: Identity, vocabulary: Vocabulary, output: Path, request: str
) -> Plan:
    """Return the tasks for the cases of a source; `request` is a text of all parameters that affect their reading.

    Cases with the same id (LS-IMP-013) and cases whose row is not valid in `cohort.csv` are rejected.
    """
    test = next((dataset for dataset in vocabulary.datasets if dataset != DEVELOPMENT), "")
    ids = [identity.case_id(case.name, case.key or case.name) for case in found.cases]
    number = Counter(map(file_name_key, ids))
    users = Counter(file for case in found.cases if case.labels for file in case.labels.files)
    tasks: list[Task] = []
    rejected: list[tuple[SourceCase, tuple[Issue, ...]]] = []
    tests = 0
    patients = [_patient(case, covariates, identity) for case in found.cases]
    respelled = [*_respelled_patients(patients)]
    not_unique = {patient_id: [issue] for ids, issue in respelled if issue.severity == "error" for patient_id in ids}
    for case, case_id, (_, patient_id) in zip(found.cases, ids, patients, strict=True):
        cells = covariates.cells(case)
        facts = {name: cell for name, cell in case.facts.items() if cell}
        tests += facts.get("dataset") == TEST and not cells.get("dataset")
        if facts.get("dataset") == TEST:
            facts["dataset"] = test
        row = _row(case, case_id, patient_id, facts | cells)
        covered = {organ.key for organ in case.labels.covered} if case.labels else ()
        issues = [*_row_issues(row, covered, vocabulary)]
        if number[file_name_key(case_id)] > 1:
            issues.append(Issue("LS-IMP-013", "another case has the same id", "rename one of them", row["case_id"]))
        issues += [replace(issue, case_id=case_id) for issue in not_unique.get(patient_id, ())]
        shared = [file for file in (case.labels.files if case.labels else ()) if users[file] > 1]
        if shared:
            message = f"its label map is also that of {counted(users[shared[0]] - 1, 'other CT', 'other CT scans')}"
            hint = "give each CT a label map of its own"
            issues.append(Issue("LS-IMP-007", message, hint, row["case_id"], shared[0]))
        if issues:
            rejected.append((case, tuple(issues)))
        else:
            stamp = _stamp(case, row["labelled_structures"], identity, request)
            tasks.append(Task(row["case_id"], row, case, output, stamp))
    notes = [*covariates.unused(found.cases), *(issue for _, issue in respelled if issue.severity != "error")]
    if tests:
        cases = "1 test case of the source gets" if tests == 1 else f"{tests} test cases of the source get"
        message = f"{cases} the dataset '{test}'"
        notes.append(Issue("LS-IMP-011", message, "state the dataset in the covariates if it differs", severity="note"))
    return Plan(tuple(sorted(tasks, key=lambda task: task.case_id)), tuple(rejected), tuple(notes))


def _patient(case: SourceCase, covariates: Covariates, identity: Identity) -> tuple[str, str]:
    """Return the patient of a case in the source or the covariates, and the id."""
    stated = covariates.patient(case)
    patient = case.patient if stated is None else stated
    return patient, identity.patient_id(patient, from_header=case.patient_from_header and stated is None)


def _respelled_patients(patients: Iterable[tuple[str, str]]) -> Iterator[tuple[Collection[str], Issue]]:
    """Yield the ids of a hashed patient with several spellings, and the issue, which contains no name.

    The table shows ids that are names, and so do the issues of reading it.
    """
    for one in spellings((name, patient_id) for name, patient_id in patients if name != patient_id):
        ids = [*one.places.values()]
        kind = "the same text in different Unicode characters" if one.equal else "almost the same"
        message = f"patients {' and '.join(ids)} are hashes of names that are {kind}"
        hint = "if they are one patient, give each of its cases the same patient in covariates=, with the column source"
        code, severity = _SPELLED[one.equal]
        yield ids, Issue(code, message, hint, severity=severity)


def import_case(task: Task) -> Outcome:
    """Import one case, or return the recorded outcome if it is finished.

    Issues contain no text of the source; of an unexpected error they give only the type.

    Raises:
        OSError: the output cannot be written, for example because the disk is full.
    """
    try:
        return _recorded(task) or _convert(task)
    except InputError as error:
        return Outcome(task.case_id, None, error.issues)
    except OSError as error:
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # errors of writing have no file name
        if not full and (error.filename is None or not _is_below(error.filename, task.output)):
            return Outcome(task.case_id, None, (_unexpected(task.case_id, error),))
        raise
    except Exception as error:  # one bad case never stops a run; the text of the error may contain a name
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        return Outcome(task.case_id, None, (_unexpected(task.case_id, error),))


def remove_stale_outputs(output: Path, kept: Iterable[str]) -> None:
    """Remove the files of earlier imports for cases that are not `kept`, and unfinished files of a killed import.

    Only files with a record or a temporary name of an import are removed.
    """
    case_ids = set(kept)
    for record in (output / RECORDS).glob("[!.]*.json"):
        if record.stem not in case_ids:
            record.unlink()
            for file in (_image(output, record.stem), _label(output, record.stem)):
                file.unlink(missing_ok=True)
    for folder in (output, output / RECORDS, output / "images", output / "labels"):
        for part in folder.glob(".part-*"):
            part.unlink(missing_ok=True)


def _convert(task: Task) -> Outcome:
    record = _record(task)
    image_file, label_file = _image(task.output, task.case_id), _label(task.output, task.case_id)
    if not record.exists() and (image_file.exists() or label_file.exists()):
        message = "output has a file with the name of the case that no import has written"
        raise InputError(Issue("LS-IMP-032", message, "move the file, or choose another output=", task.case_id))
    write_record(record, {"stamp": ""})  # marks unfinished files as those of an import, in case it is killed
    for file in (image_file, label_file):
        file.unlink(missing_ok=True)
    ct = task.source.scan.read(task.case_id)
    if looks_like_label_map(ct.hu):
        raise InputError(_not_a_ct(task))
    label, found = _label_map(task, ct)
    image = task.source.scan.files[0]
    found = (*(replace(issue, case_id=task.case_id, file=image) for issue in form_issues(ct.geometry)), *found)
    write_ct(image_file, ct)
    if label is not None:
        write_label_map(label_file, label)
    hashes = sha256_of_array(ct.hu), "" if label is None else sha256_of_array(label.labels)
    facts: dict[str, object] = {
        "stamp": task.stamp,
        "image_sha256": hashes[0],
        "label_sha256": hashes[1],
        "clipped": ct.clipped_voxels,
    }
    facts["warnings"] = [[issue.code, issue.message, issue.hint, issue.severity] for issue in found]
    sizes = {"image_bytes": image_file.stat().st_size, "label_bytes": label_file.stat().st_size if label else 0}
    write_record(record, facts | sizes)
    return Outcome(task.case_id, task.row, (*found, *clipped_issues(task.case_id, ct.clipped_voxels)), *hashes)


def _not_a_ct(task: Task) -> Issue:
    """Return the issue LS-IMP-044: a note if only a label map is skipped, an error if it should have one itself."""
    message = "image has the values of a label map, and is not imported as a CT"
    if task.source.labels is None:
        hint = "give it as the label map of its CT by pairs= if it should be read"
        return Issue("LS-IMP-044", message, hint, task.case_id, task.source.scan.files[0], "note")
    hint = "exchange the two files, or input= and labels="
    return Issue("LS-IMP-044", message, hint, task.case_id, task.source.scan.files[0])


def _label_map(task: Task, ct: CTVolume) -> tuple[LabelMap | None, tuple[Issue, ...]]:
    """Read and check the label map; the result has the grid of the CT, and what is to be reported."""
    if task.source.labels is None:
        return None, ()
    label_map = task.source.labels.read(task.case_id, ct)
    file = task.source.labels.files[0]
    label_map, found = on_grid(task.case_id, label_map, ct.geometry, file=file, against="its CT")
    issues = [issue for issue in found if issue.severity == "error"]
    labelled = _labelled(task.row)
    for organ in label_map.covered:
        if organ.key not in labelled and (voxels := label_map.count(organ)):
            message = f"label map has {voxels} voxels of {organ.key}, which labelled_structures does not list"
            hint = "add it to labelled_structures, or remove it from label_values="
            issues.append(Issue("LS-LAB-002", message, hint, task.case_id, file))
    if issues:
        raise InputError(issues)
    return LabelMap(label_map.labels, ct.geometry, label_map.covered), found


def _recorded(task: Task) -> Outcome | None:
    """Return the outcome of an earlier import with the same files and parameters; None if its files do not exist."""
    try:
        record = read_record(_record(task), required=False)
        sizes = record["image_bytes"], record["label_bytes"]
        label = _label(task.output, task.case_id)
        present = _image(task.output, task.case_id).stat().st_size, label.stat().st_size if sizes[1] else 0
        if record["stamp"] != task.stamp or present != sizes:
            return None
        hashes = str(record["image_sha256"]), str(record["label_sha256"])
        stated = record.get("warnings", [])  # older records have none
        found = [Issue(code, text, hint, task.case_id, severity=kind) for code, text, hint, kind in stated]
        clipped = clipped_issues(task.case_id, int(record["clipped"]))
        return Outcome(task.case_id, task.row, (*found, *clipped), *hashes, reused=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _row(case: SourceCase, case_id: str, patient_id: str, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the row of `cohort.csv`; by default all organs that the label map can show are labelled."""
    row = dict.fromkeys(COLUMNS, "") | dict(stated)
    row |= {"case_id": case_id, "patient_id": patient_id, "image": f"images/{case_id}.nii.gz"}
    row["label"] = f"labels/{case_id}.nii.gz" if case.labels else ""
    covered = case.labels.covered if case.labels else ()
    if not case.labels:
        row["labelled_structures"] = ""
    elif not row["labelled_structures"]:
        row["labelled_structures"] = ";".join(organ.key for organ in covered)
    return row


def _row_issues(row: Mapping[str, str], covered: Collection[str], vocabulary: Vocabulary) -> Iterator[Issue]:
    parsed = parse_row(row, vocabulary=vocabulary)
    for found in () if isinstance(parsed, ManifestRow) else parsed:
        message = f"value of the source is not allowed in column '{found.column}' of cohort.csv"
        yield Issue(found.code, message, "rename it in the source, or state it in the covariates")
    for key in [key for key in _labelled(row) if key not in covered] if row["label"] else ():
        message = f"labelled_structures lists {key}, which has no label value"
        yield Issue("LS-IMP-030", message, "remove it from the covariates, or give its value by label_values=")


def _labelled(row: Mapping[str, str]) -> list[str]:
    return [key.strip() for key in row["labelled_structures"].split(";") if key.strip()]


def _stamp(case: SourceCase, labelled: str, identity: Identity, request: str) -> str:
    """Return a hash of files with size and time, parameters and version; it is keyed, so that it discloses no names."""
    files = [*case.scan.files, *(case.labels.files if case.labels else ())]
    stated = [(str(file), *size_and_time(file)) for file in files]
    text = json.dumps([IMPORT_VERSION, request, labelled, stated], ensure_ascii=True)
    return Identity(identity.key).hashed("stamp", text)


def _unexpected(case_id: str, error: Exception) -> Issue:
    message = f"unexpected {type(error).__name__} at {raised_at(error)}"
    return Issue("LS-IMP-017", message, "see the traceback with LIVERSPLEEN_TRACEBACK=1 and workers=1", case_id)


def _is_below(file: object, folder: Path) -> bool:
    return Path(str(file)).is_relative_to(folder)


def _image(output: Path, case_id: str) -> Path:
    return output / "images" / f"{case_id}.nii.gz"


def _label(output: Path, case_id: str) -> Path:
    return output / "labels" / f"{case_id}.nii.gz"


def _record(task: Task) -> Path:
    return task.output / RECORDS / f"{task.case_id}.json"
