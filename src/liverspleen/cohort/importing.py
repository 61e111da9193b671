"""Cases of a source into NIfTI and `cohort.csv`: planned, carried out one by one, and continued where it stopped."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liverspleen.cohort.checks import grid_issues
from liverspleen.cohort.covariates import Covariates
from liverspleen.cohort.identity import Identity, comparable
from liverspleen.cohort.layouts.source import TEST, Found, SourceCase
from liverspleen.cohort.row import COLUMNS, ManifestRow, parse_row
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary
from liverspleen.errors import InputError, Issue, raised_at
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.storage import sha256_of_array, size_and_time, write_json

IMPORT_VERSION = 1
"""Part of every record: cases that other code imported are imported anew."""

RECORDS = ".import"
"""Folder of the records, one per finished case, in the output."""


@dataclass(frozen=True)
class Task:
    """A case to be imported: its row of `cohort.csv`, and `stamp`, which tells its files and all that matters apart."""

    case_id: str
    row: Mapping[str, str]
    source: SourceCase = field(repr=False)
    output: Path
    stamp: str


@dataclass(frozen=True)
class Outcome:
    """What became of a task: `row` is None if the case is rejected; hashes are of the decoded voxels."""

    case_id: str
    row: Mapping[str, str] | None
    issues: tuple[Issue, ...]
    image_sha256: str = ""
    label_sha256: str = ""
    reused: bool = False


@dataclass(frozen=True)
class Plan:
    """Tasks in the order of case_id, cases that cannot become one, and what concerns the whole."""

    tasks: tuple[Task, ...]
    rejected: tuple[tuple[SourceCase, tuple[Issue, ...]], ...]
    notes: tuple[Issue, ...]


def plan(
    found: Found, covariates: Covariates, *, identity: Identity, vocabulary: Vocabulary, output: Path, request: str
) -> Plan:
    """What is to be done with the cases found. `request` is text of all that decides how they are read.

    Rejected are cases whose ids collide (LS-IMP-013), and rows that `cohort.csv` does not allow.
    """
    test = next((word for word in vocabulary.datasets if word != DEVELOPMENT), "")
    ids = [identity.case_id(case.name, case.key or case.name) for case in found.cases]
    number = Counter(map(comparable, ids))
    tasks: list[Task] = []
    rejected: list[tuple[SourceCase, tuple[Issue, ...]]] = []
    tests = 0
    for case, case_id in zip(found.cases, ids, strict=True):
        cells = covariates.cells(case)
        stated = covariates.patient(case)
        facts = {name: cell for name, cell in case.facts.items() if cell}
        tests += facts.get("dataset") == TEST and not cells.get("dataset")
        if facts.get("dataset") == TEST:
            facts["dataset"] = test
        own = case.patient if stated is None else stated
        patient_id = identity.patient_id(own, from_header=case.patient_from_header and stated is None)
        row = _row(case, case_id, patient_id, facts | cells)
        covered = {organ.key for organ in case.drawing.covered} if case.drawing else ()
        issues = [*_row_issues(row, covered, vocabulary)]
        if number[comparable(case_id)] > 1:
            issues.append(Issue("LS-IMP-013", "another case has the same id", "rename one of them", row["case_id"]))
        if issues:
            rejected.append((case, tuple(issues)))
        else:
            stamp = _stamp(case, row["labelled_structures"], identity, request)
            tasks.append(Task(row["case_id"], row, case, output, stamp))
    notes = [*covariates.unused(found.cases)]
    if tests:
        message = f"{tests} cases of the layout's test folder or list are given the dataset '{test}'"
        notes.append(Issue("LS-IMP-011", message, "say otherwise in the covariates if it is wrong", severity="note"))
    return Plan(tuple(sorted(tasks, key=lambda task: task.case_id)), tuple(rejected), tuple(notes))


def carry_out(task: Task) -> Outcome:
    """Import one case, unless its record says that it is done. Nothing is raised but for a full disk and the like.

    Issues name no text of the source: those of the readers hold none, and of anything unexpected only its kind is told.
    """
    try:
        return _recorded(task) or _imported(task)
    except InputError as error:
        return Outcome(task.case_id, None, error.issues)
    except OSError as error:
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # writing fails without a file's name
        if not full and (error.filename is None or not _is_below(error.filename, task.output)):
            return Outcome(task.case_id, None, (_unexpected(task.case_id, error),))
        raise
    except Exception as error:  # one bad case never stops a run; its text may hold a name
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        return Outcome(task.case_id, None, (_unexpected(task.case_id, error),))


def remove_strangers(output: Path, kept: Iterable[str]) -> None:
    """Remove what earlier imports into this folder made of cases that are not `kept`, and what a kill left unfinished.

    Only files that a record or a temporary name shows to be an import's own are touched.
    """
    wanted = set(kept)
    for record in (output / RECORDS).glob("[!.]*.json"):
        if record.stem not in wanted:
            record.unlink()
            for file in (_image(output, record.stem), _label(output, record.stem)):
                file.unlink(missing_ok=True)
    for folder in (output, output / RECORDS, output / "images", output / "labels"):
        for part in folder.glob(".part-*"):
            part.unlink(missing_ok=True)


def _imported(task: Task) -> Outcome:
    record = _record(task)
    image_file, label_file = _image(task.output, task.case_id), _label(task.output, task.case_id)
    if not record.exists() and (image_file.exists() or label_file.exists()):
        message = "a file of its name is in the output that no import has written"
        raise InputError(Issue("LS-IMP-032", message, "move it away, or choose another output=", task.case_id))
    write_json(record, {"stamp": ""})  # unfinished, yet known as this import's own, wherever it is killed
    for file in (image_file, label_file):
        file.unlink(missing_ok=True)
    ct = task.source.scan.read(task.case_id)
    label = _drawn(task, ct)
    write_ct(image_file, ct)
    if label is not None:
        write_label_map(label_file, label)
    hashes = sha256_of_array(ct.hu), "" if label is None else sha256_of_array(label.labels)
    about = {"stamp": task.stamp, "image_sha256": hashes[0], "label_sha256": hashes[1], "clipped": ct.clipped_voxels}
    sizes = {"image_bytes": image_file.stat().st_size, "label_bytes": label_file.stat().st_size if label else 0}
    write_json(record, about | sizes)
    return Outcome(task.case_id, task.row, _clipped(task, ct.clipped_voxels), *hashes)


def _drawn(task: Task, ct: CTVolume) -> LabelMap | None:
    """The label map, checked and on the CT's own grid."""
    if task.source.drawing is None:
        return None
    drawn = task.source.drawing.read(task.case_id, ct)
    file = task.source.drawing.files[0]
    issues = [*grid_issues(task.case_id, drawn, ct.geometry, file=file, against="its CT")]
    labelled = _labelled(task.row)
    for organ in drawn.covered:
        if organ.key not in labelled and (voxels := drawn.count(organ)):
            message = f"label map has {voxels} voxels of {organ.key}, which labelled_structures does not name"
            hint = "add it there or leave it out of label_values="
            issues.append(Issue("LS-LAB-002", message, hint, task.case_id, file))
    if issues:
        raise InputError(issues)
    return LabelMap(drawn.labels, ct.geometry, drawn.covered)


def _recorded(task: Task) -> Outcome | None:
    """The outcome of an earlier call with the same files and parameters, if its files are there."""
    try:
        about = json.loads(_record(task).read_text(encoding="utf-8"))
        sizes = about["image_bytes"], about["label_bytes"]
        label = _label(task.output, task.case_id)
        found = _image(task.output, task.case_id).stat().st_size, label.stat().st_size if sizes[1] else 0
        if about["stamp"] != task.stamp or found != sizes:
            return None
        hashes = about["image_sha256"], about["label_sha256"]
        return Outcome(task.case_id, task.row, _clipped(task, about["clipped"]), *hashes, reused=True)
    except (OSError, ValueError, KeyError):
        return None


def _clipped(task: Task, voxels: int) -> tuple[Issue, ...]:
    if not voxels:
        return ()
    message = f"{voxels} voxels are beyond 16-bit integers and were set to their ends"
    return (Issue("LS-IMG-009", message, "look at the image", task.case_id, severity="warning"),)


def _row(case: SourceCase, case_id: str, patient_id: str, stated: Mapping[str, str]) -> dict[str, str]:
    """The row of `cohort.csv`; an organ that the label map cannot show is never called labelled."""
    row = dict.fromkeys(COLUMNS, "") | dict(stated)
    row |= {"case_id": case_id, "patient_id": patient_id, "image": f"images/{case_id}.nii.gz"}
    row["label"] = f"labels/{case_id}.nii.gz" if case.drawing else ""
    covered = case.drawing.covered if case.drawing else ()
    if not case.drawing:
        row["labelled_structures"] = ""
    elif not row["labelled_structures"]:
        row["labelled_structures"] = ";".join(organ.key for organ in covered)
    return row


def _row_issues(row: Mapping[str, str], covered: Collection[str], vocabulary: Vocabulary) -> Iterator[Issue]:
    parsed = parse_row(row, vocabulary=vocabulary)
    for found in () if isinstance(parsed, ManifestRow) else parsed:
        message = f"the source gives column '{found.column}' a value that cohort.csv does not allow"
        yield Issue(found.code, message, "rename it in the source, or state it in the covariates")
    for key in [key for key in _labelled(row) if key not in covered] if row["label"] else ():
        message = f"labelled_structures names {key}, which the label map cannot show"
        yield Issue("LS-IMP-030", message, "leave it out of the covariates, or say by label_values= which value it has")


def _labelled(row: Mapping[str, str]) -> list[str]:
    return [key.strip() for key in row["labelled_structures"].split(";") if key.strip()]


def _stamp(case: SourceCase, labelled: str, identity: Identity, request: str) -> str:
    """Keyed, so that it tells nothing about names: files with size and time, parameters, version."""
    files = [*case.scan.files, *(case.drawing.files if case.drawing else ())]
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
