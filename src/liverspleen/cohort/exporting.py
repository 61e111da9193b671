"""Export of a cohort in the layouts of nnU-Net (raw data, version 2) and of the Medical Segmentation Decathlon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.cohort.checks import accepted_files
from liverspleen.cohort.covariates import KEYS
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import SIDES, Split
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import SUFFIXES, write_ct, write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure, listed
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import write_json, write_text

EXPORTS = ("nnunet", "msd")
_ENDING = SUFFIXES[0]
_FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
_FACTS = ("dataset", "condition", "site", "sex", "age", "height_cm", "weight_kg", "slice_thickness_mm", "phase")


@dataclass(frozen=True)
class CaseOutput:
    """Files to be written for a case, relative to the folder of the dataset; `label` is None if none is written."""

    case: Case
    trains: bool
    image: str
    label: str | None


def case_outputs(cohort: Cohort, layout: str) -> tuple[list[CaseOutput], list[Issue]]:
    """Return the files of each case that the layout can hold, and warnings about excluded files.

    LS-XPT-001 a development case is excluded: it has no label map, or an organ is unknown in it; LS-XPT-002 the label
    map of a test case is excluded, because an organ is unknown in it.
    """
    found: list[CaseOutput] = []
    notes: list[Issue] = []
    channel = "_0000" if layout == "nnunet" else ""
    for case in cohort.cases:
        whole = case.label is not None and case.labelled_structures == ORGANS
        side = "Tr" if case.is_development else "Ts"
        if case.is_development and not whole:
            labelled = ", ".join(organ.key for organ in case.labelled_structures) if case.label else ""
            message = f"case is excluded: labels of {labelled or 'no organ'}, expected {listed()}"
            notes.append(Issue("LS-XPT-001", message, "complete its label map", case.case_id, severity="warning"))
            continue
        if case.label is not None and not whole:
            message = f"label map of a test case is excluded: labels of some organs are unknown, expected {listed()}"
            notes.append(Issue("LS-XPT-002", message, "complete its label map", case.case_id, severity="warning"))
        # test cases of the Decathlon have no labels
        labelled_here = whole and (case.is_development or layout == "nnunet")
        label = f"labels{side}/{case.case_id}{_ENDING}" if labelled_here else None
        found.append(CaseOutput(case, case.is_development, f"images{side}/{case.case_id}{channel}{_ENDING}", label))
    return found, notes


def check_output(output: Path, found: Sequence[CaseOutput]) -> None:
    """Check that the folder has no files of other cases, and remove unfinished files of a killed export.

    nnU-Net and other systems train on all files in the folders.

    Raises:
        InputError: LS-XPT-007 there are images or label maps of other cases.
    """
    expected = {name for case_output in found for name in (case_output.image, case_output.label)}
    others = []
    for folder in _FOLDERS:
        for part in (output / folder).glob(".part-*"):
            part.unlink()
        files = (f"{folder}/{file.name}" for file in (output / folder).glob(f"*{_ENDING}"))
        others += [name for name in files if name not in expected]
    if others:
        number = "1 file" if len(others) == 1 else f"{len(others)} files"
        message = f"output has {number} of cases that this export excludes or stores elsewhere ({min(others)})"
        raise InputError(Issue("LS-XPT-007", message, "remove them, or choose another output=", file=output))


def export_case(output: Path, case_output: CaseOutput) -> tuple[Issue, ...]:
    """Write the files of a case and return its warnings, or return its errors and remove files of an earlier export."""
    try:
        files = accepted_files(case_output.case)
    except InputError as error:
        for name in filter(None, (case_output.image, case_output.label)):
            (output / name).unlink(missing_ok=True)
        return error.issues
    assert files.ct is not None
    write_ct(output / case_output.image, files.ct)
    if case_output.label is not None and files.label is not None:
        write_label_map(output / case_output.label, LabelMap(files.label.labels, files.ct.geometry))
    return files.warnings


def write_description(output: Path, layout: str, done: Sequence[CaseOutput]) -> None:
    """Write `dataset.json` with the exported cases."""
    training = [written for written in done if written.trains]
    content: dict[str, Any]
    if layout == "nnunet":
        content = {
            "channel_names": {"0": "CT"},
            "labels": {structure.key: int(structure) for structure in Structure},
            "numTraining": len(training),
            "file_ending": _ENDING,
        }
    else:
        test = [written for written in done if not written.trains]
        content = {
            "name": output.absolute().name,
            "description": f"{listed()} on CT",
            "reference": "",
            "license": "",
            "release": "",
            "tensorImageSize": "3D",
            "modality": {"0": "CT"},
            "labels": {str(int(structure)): structure.key for structure in Structure},
            "numTraining": len(training),
            "numTest": len(test),
            "training": [{"image": f"./{written.image}", "label": f"./{written.label}"} for written in training],
            "test": [f"./{written.image}" for written in test],
        }
    write_json(output / "dataset.json", content)


def write_splits(file: Path, splits: Sequence[Split], cohort: Cohort, done: Sequence[CaseOutput]) -> None:
    """Write the folds in the format of nnU-Net: the training and validation cases of each fold."""
    exported = {written.case.case_id for written in done if written.trains}
    names = dict(zip(SIDES, ("train", "val"), strict=True))
    folds = [
        {
            names[side]: [case.case_id for case in split.cases(cohort, side) if case.case_id in exported]
            for side in SIDES
        }
        for split in splits
    ]
    write_json(file, folds)


def write_covariates(file: Path, done: Sequence[CaseOutput]) -> None:
    """Write the values that the layout cannot hold as a covariates file of an import."""
    columns = dict.fromkeys(name for written in done for name in written.case.covariates)
    further = [name for name in columns if name not in KEYS]  # `source` is a key here
    rows: list[list[object]] = [["source", "patient", *_FACTS, "spleen_absent", *further]]
    for written in done:
        case = written.case
        facts = [getattr(case, name) for name in _FACTS]
        absent = "true" if case.spleen_absent else ""
        rows.append([case.case_id, case.patient_id, *facts, absent, *map(case.covariates.get, further)])
    write_text(file, csv_text(rows))
