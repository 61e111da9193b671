"""A cohort of phantoms on disk: images and label maps, `cohort.csv` or `covariates.csv`, `truth.csv`."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from liverspleen.cohort import write_cohort
from liverspleen.errors import InputError, Issue
from liverspleen.phantom.examination import Examination, write_examination
from liverspleen.phantom.randomised.scan import RandomisedScan
from liverspleen.phantom.scanner import Scanner, draw_scanner
from liverspleen.phantom.traits import Condition
from liverspleen.processes import spread
from liverspleen.records import read_record, write_record
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import StrPath, write_text

_DATASETS = ("development", "test1", "test2")
_PREFIX = {"development": "dev", "test1": "test1-", "test2": "test2-"}
_CASE_ID = re.compile(r"((?:dev|test1-|test2-)\d+)(-external|-internal)?")
_SLICE = re.compile(r"\d{4,}\.dcm|segmentation\.dcm|\.part-.+\.dcm")
_TABLE = {"nifti": "cohort.csv", "dicom": "covariates.csv"}
_THICKNESS_MM = {"paper": (1.0, 8.0), "randomised": (0.5, 10.0)}  # styles with their limits
_PLAN = "phantom.json"
ORIGIN = "phantom"
"""Value of the column `origin` of every phantom; it shows whether a model was trained only on phantoms."""


@dataclass(frozen=True)
class _Request:
    """The parameters that determine every byte of the cohort."""

    development: int
    test1: int
    pairs: int
    seed: int
    matrix: int
    thickness_mm: tuple[float, float]
    file_format: str
    style: str


def write_phantom_cohort(
    output: StrPath,
    *,
    development: int,
    test1: int,
    pairs: int,
    seed: int,
    matrix: int,
    thickness_mm: tuple[float, float] = (5.0, 5.0),
    file_format: str = "nifti",
    style: str = "paper",
    workers: int = 0,
    on_case: Callable[[str], None] | None = None,
) -> Path:
    """Write a phantom cohort into `output`; return its `cohort.csv`, or its `covariates.csv` for DICOM.

    `file_format` is `nifti`, or `dicom` for a folder `dicom/<patient_id>/<case_id>` per examination, with the same
    voxels; `covariates.csv` then gives for each such folder (`source`) what a DICOM header does not hold.

    `style` is `paper` for the five conditions of the paper, each scan with complete organs and 5 mm slices or similar;
    or `randomised` for anatomy, contrast phase, image quality and range of slices that vary far more, and for label
    maps that include lesions and vessels inside the organs.

    `development` and `test1` patients have the five conditions in turn; each of the `pairs` patients of test2 is
    examined twice, on an external and an internal scanner. The same parameters give the same bytes for any number of
    `workers` (processes; 0: one per core). Existing examinations that were made with the same parameters and the same
    generator are kept; other examinations of an earlier call are removed. `on_case` is called with each case_id when
    the case is finished.

    Raises:
        InputError: LS-PHA-001 a parameter is out of range.
    """
    request = _Request(development, test1, pairs, seed, matrix, thickness_mm, file_format, style)
    _validate(request)
    exams = list(_plan(request))
    output = Path(output)
    table = output / _TABLE[file_format]
    report = on_case or (lambda case_id: None)
    if _exists(output, request, exams):
        for exam in exams:
            report(exam.case_id)
        return table
    _remove_earlier(output, request, exams)
    volumes: dict[str, dict[str, float]] = {}
    for case_id, volume in _write_examinations(exams, output, workers or os.cpu_count() or 1, file_format == "dicom"):
        volumes[case_id] = volume
        report(case_id)
    rows = [(e.case_id, key, f"{volume:.4f}") for e in exams for key, volume in volumes[e.case_id].items()]
    write_text(output / "truth.csv", csv_text([("case_id", "structure", "volume_cm3"), *rows]))
    if file_format == "dicom":
        write_text(table, _covariates(exams))
    else:
        write_cohort(table, [_row(exam) for exam in exams])
    return table


def _validate(request: _Request) -> None:
    low, high = request.thickness_mm
    wrong = [
        (name, getattr(request, name), bound)
        for name, bound in (("development", 0), ("test1", 0), ("pairs", 0), ("seed", 0), ("matrix", 32))
        if getattr(request, name) < bound
    ]
    issues = [
        Issue("LS-PHA-001", f"{name} is {value}, expected at least {bound}", f"set {name} to {bound} or more")
        for name, value, bound in wrong
    ]
    if request.style not in _THICKNESS_MM:
        styles = " or ".join(_THICKNESS_MM)
        message = f"style is {request.style!r}, expected {styles}"
        issues.append(Issue("LS-PHA-001", message, f"set style to {styles}"))
    least, most = _THICKNESS_MM.get(request.style, (low, high))
    if not least <= low <= high <= most:
        message = f"slice thickness from {low} to {high} mm, expected a range within {least:g} to {most:g} mm"
        issues.append(Issue("LS-PHA-001", message, f"give a range within {least:g} to {most:g} mm"))
    if request.development + request.test1 + request.pairs == 0:
        issues.append(
            Issue("LS-PHA-001", "number of cases is 0, expected at least 1", "set development, test1 or pairs above 0")
        )
    if request.file_format not in _TABLE:
        formats = " or ".join(_TABLE)
        message = f"format is {request.file_format!r}, expected {formats}"
        issues.append(Issue("LS-PHA-001", message, f"set format to {formats}"))
    if issues:
        raise InputError(issues)


def _plan(request: _Request) -> Iterator[Examination]:
    """Yield every examination of the cohort, in the order of `cohort.csv`."""
    conditions = tuple(Condition)
    for index, dataset in enumerate(_DATASETS):
        patients = (request.development, request.test1, request.pairs)[index]
        for number in range(patients):
            entropy = (request.seed, index, number)
            patient_id = f"{_PREFIX[dataset]}{number + 1:03d}"
            rng = np.random.default_rng((*entropy, 0))
            sex, age = str(rng.choice(["F", "M"])), int(rng.integers(22, 84))
            for exam, site in enumerate(("external", "internal") if dataset == "test2" else ("internal",)):
                yield Examination(
                    case_id=f"{patient_id}-{site}" if dataset == "test2" else patient_id,
                    patient_id=patient_id,
                    dataset=dataset,
                    condition=conditions[number % len(conditions)],
                    site=site,
                    sex=sex,
                    age=age,
                    scanner=_scanner(request, entropy, exam, site),
                    anatomy_seed=(*entropy, 1),
                    scan_seed=(*entropy, 20 + exam),
                )


def _scanner(request: _Request, entropy: tuple[int, ...], exam: int, site: str) -> Scanner | RandomisedScan:
    """Return what makes the image of an examination."""
    matrix, thickness_mm = request.matrix, request.thickness_mm
    if request.style == "randomised":
        conditions = tuple(Condition)
        condition = conditions[entropy[-1] % len(conditions)]
        return RandomisedScan(condition, (*entropy, 1), (*entropy, 20 + exam), matrix, thickness_mm)
    external = site == "external"
    return draw_scanner((*entropy, 10 + exam), matrix=matrix, thickness_mm=thickness_mm, external=external)


def _record(request: _Request, exams: Sequence[Examination]) -> dict[str, Any]:
    """Return the content of `phantom.json`: everything that the cohort depends on."""
    record = {"request": asdict(request), "generator": _generator(), "cases": [exam.case_id for exam in exams]}
    return dict(json.loads(json.dumps(record)))  # as it is read again: tuples become lists


def _exists(output: Path, request: _Request, exams: Sequence[Examination]) -> bool:
    """Return whether the complete cohort exists, made with these parameters and this generator."""
    if _read(output / _PLAN) != _record(request, exams):
        return False
    dicom = request.file_format == "dicom"
    files = [name for exam in exams for name in ((exam.segmentation,) if dicom else (exam.image, exam.label))]
    return all((output / name).exists() for name in (_TABLE[request.file_format], "truth.csv", *files))


def _remove_earlier(output: Path, request: _Request, exams: Sequence[Examination]) -> None:
    """Remove files that were made with other parameters or by another generator, and write `phantom.json`."""
    record, earlier = _record(request, exams), _read(output / _PLAN)
    if earlier == record:
        return
    for name in (*_TABLE.values(), "truth.csv"):
        (output / name).unlink(missing_ok=True)
    old = map(str, earlier.get("cases", []))
    for case_id in {*(case for case in old if _CASE_ID.fullmatch(case)), *(exam.case_id for exam in exams)}:
        for folder in ("images", "labels"):
            (output / folder / f"{case_id}.nii.gz").unlink(missing_ok=True)
        _remove_series(output / "dicom", case_id)
    write_record(output / _PLAN, record)


def _remove_series(folder: Path, case_id: str) -> None:
    """Remove an examination's DICOM files, and its folders if nothing else is in them."""
    case = _CASE_ID.fullmatch(case_id)
    series = folder / (case[1] if case else case_id) / case_id
    if not series.is_dir():
        return
    for file in series.iterdir():
        if _SLICE.fullmatch(file.name):
            file.unlink()
    for parent in (series, series.parent):
        if not any(parent.iterdir()):
            parent.rmdir()


def _read(plan: Path) -> dict[str, Any]:
    """Return the record of an earlier call; empty if there is none, or a damaged one."""
    try:
        return read_record(plan, required=False)
    except (OSError, ValueError):
        return {}


def _generator() -> str:
    """Return the hash of the generator's source: another version makes other phantoms."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _write_examinations(
    exams: Sequence[Examination], output: Path, workers: int, dicom: bool
) -> Iterator[tuple[str, dict[str, float]]]:
    """Write the examinations; yield case_id and true volumes of each when its files are complete."""
    if workers == 1 or len(exams) == 1:
        for exam in exams:
            yield exam.case_id, write_examination(exam, output, dicom=dicom)
        return
    with spread(partial(write_examination, folder=output, dicom=dicom), exams, min(workers, len(exams))) as futures:
        case_ids = {future: exam.case_id for future, exam in zip(futures, exams, strict=True)}
        for done in as_completed(futures):
            yield case_ids[done], done.result()


def _row(exam: Examination) -> dict[str, object]:
    return {
        "case_id": exam.case_id,
        "patient_id": exam.patient_id,
        "image": exam.image,
        "label": exam.label,
        "labelled_structures": ";".join(organ.key for organ in exam.labelled),
        "dataset": exam.dataset,
        "condition": exam.condition.value,
        "site": exam.site,
        "sex": exam.sex,
        "age": exam.age,
        "slice_thickness_mm": exam.scanner.slice_thickness_mm,
        "phase": exam.phase,
        "origin": ORIGIN,
    }


def _covariates(exams: Sequence[Examination]) -> str:
    """Return the covariates of the folders of a DICOM cohort as CSV: the columns of `cohort.csv` without ids."""
    columns = ("dataset", "condition", "site", "sex", "age", "phase", "origin")
    return csv_text([("source", *columns), *((exam.series, *(_row(exam)[name] for name in columns)) for exam in exams)])
