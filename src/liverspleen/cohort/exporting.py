"""A cohort in the layouts of nnU-Net (raw data, version 2) and of the Medical Segmentation Decathlon."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.cohort.checks import load_case
from liverspleen.cohort.covariates import KEYS
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import SIDES, Split
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import SUFFIXES, write_ct, write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure, listed
from liverspleen.storage import write_json, write_text

EXPORTS = ("nnunet", "msd")
_ENDING = SUFFIXES[0]
_FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
_FACTS = ("dataset", "condition", "site", "sex", "age", "slice_thickness_mm", "phase")


@dataclass(frozen=True)
class Place:
    """Where the files of a case go, relative to the dataset's folder; `label` is None where none is written."""

    case: Case
    trains: bool
    image: str
    label: str | None


def places(cohort: Cohort, layout: str) -> tuple[list[Place], list[Issue]]:
    """The place of every case that the layout can hold, and what is left out (warnings).

    LS-XPT-001 a development case is left out: it has no label map, or one on which an organ is unknown; LS-XPT-002 the
    label map of a test case is left out for the same reason.
    """
    found: list[Place] = []
    notes: list[Issue] = []
    channel = "_0000" if layout == "nnunet" else ""
    for case in cohort.cases:
        whole = case.label is not None and case.labelled_structures == ORGANS
        side = "Tr" if case.is_development else "Ts"
        if case.is_development and not whole:
            labelled = ", ".join(organ.key for organ in case.labelled_structures) if case.label else "nothing"
            message = f"case is left out: {labelled} is labelled, a training case needs {listed()}"
            notes.append(Issue("LS-XPT-001", message, "complete its label map", case.case_id, severity="warning"))
            continue
        if case.label is not None and not whole:
            message = "the label map of a test case is left out: an organ is unknown on it"
            notes.append(Issue("LS-XPT-002", message, "complete its label map", case.case_id, severity="warning"))
        # the Decathlon's test cases have no labels
        labelled_here = whole and (case.is_development or layout == "nnunet")
        label = f"labels{side}/{case.case_id}{_ENDING}" if labelled_here else None
        found.append(Place(case, case.is_development, f"images{side}/{case.case_id}{channel}{_ENDING}", label))
    return found, notes


def clear_for(output: Path, found: Sequence[Place]) -> None:
    """See that a peer, which trains on every file that lies there, will find these cases and no others.

    What a killed export left unfinished is removed.

    Raises:
        InputError: LS-XPT-007 there are images or label maps of other cases.
    """
    ours = {name for place in found for name in (place.image, place.label)}
    others = []
    for folder in _FOLDERS:
        for part in (output / folder).glob(".part-*"):
            part.unlink()
        files = (f"{folder}/{file.name}" for file in (output / folder).glob(f"*{_ENDING}"))
        others += [name for name in files if name not in ours]
    if others:
        message = (
            f"{len(others)} files are there of cases that this export leaves out or puts elsewhere ({min(others)})"
        )
        raise InputError(Issue("LS-XPT-007", message, "remove them, or choose another output=", file=output))


def export_case(output: Path, place: Place) -> tuple[Issue, ...]:
    """Write the files of a case; its issues if it is rejected, which then has none, of an earlier export neither."""
    try:
        ct, label_map = load_case(place.case)
    except InputError as error:
        for name in filter(None, (place.image, place.label)):
            (output / name).unlink(missing_ok=True)
        return error.issues
    write_ct(output / place.image, ct)
    if place.label is not None and label_map is not None:
        write_label_map(output / place.label, LabelMap(label_map.labels, ct.geometry))
    return ()


def write_description(output: Path, layout: str, done: Sequence[Place]) -> None:
    """Write `dataset.json`; it lists what has been exported."""
    training = [place for place in done if place.trains]
    content: dict[str, Any]
    if layout == "nnunet":
        content = {
            "channel_names": {"0": "CT"},
            "labels": {structure.key: int(structure) for structure in Structure},
            "numTraining": len(training),
            "file_ending": _ENDING,
        }
    else:
        test = [place for place in done if not place.trains]
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
            "training": [{"image": f"./{place.image}", "label": f"./{place.label}"} for place in training],
            "test": [f"./{place.image}" for place in test],
        }
    write_json(output / "dataset.json", content)


def write_splits(file: Path, splits: Sequence[Split], cohort: Cohort, done: Sequence[Place]) -> None:
    """Write the folds in nnU-Net's format: for each the cases that train and those that validate."""
    exported = {place.case.case_id for place in done if place.trains}
    names = dict(zip(SIDES, ("train", "val"), strict=True))
    folds = [
        {
            names[side]: [case.case_id for case in split.cases(cohort, side) if case.case_id in exported]
            for side in SIDES
        }
        for split in splits
    ]
    write_json(file, folds)


def write_covariates(file: Path, done: Sequence[Place]) -> None:
    """Write what the layout cannot hold as a covariates file of an import."""
    columns = dict.fromkeys(name for place in done for name in place.case.covariates)
    further = [name for name in columns if name not in KEYS]  # `source` is a key here
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "patient", *_FACTS, "spleen_absent", *further])
    for place in done:
        case = place.case
        facts = ["" if (value := getattr(case, name)) is None else value for name in _FACTS]
        absent = "true" if case.spleen_absent else ""
        writer.writerow(
            [case.case_id, case.patient_id, *facts, absent, *(case.covariates.get(name, "") for name in further)]
        )
    write_text(file, text.getvalue())
