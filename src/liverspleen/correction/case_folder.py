"""The folder of a case for correction: CT, label map, colour tables, workspace and scene."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.label_names import DSEG
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.scan_case import ScanCase
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.correction.history import History, history_folder, read_history
from liverspleen.correction.viewers import itksnap_workspace, slicer_scene
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import is_detached, read_label_map, strip_suffix, suffix_of
from liverspleen.imaging.geometry import same_grid
from liverspleen.imaging.nifti import SUFFIXES, write_ct
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.case_files import CaseFiles, Sidecar
from liverspleen.inference.colour_tables import ITKSNAP, SLICER, colour_tables
from liverspleen.organs import ORGANS
from liverspleen.storage import complete_file, sha256_of, sha256_of_array, write_text

CASES: Final = "cases"
_DICOM: Final = ".dcm"


@dataclass(frozen=True)
class CaseFolder:
    """Paths of the files of a case in a correction folder; people edit the files in `folder`."""

    root: Path
    case_id: str

    @property
    def folder(self) -> Path:
        """Folder of the case."""
        return self.root / CASES / self.case_id

    @property
    def label_map(self) -> Path:
        """The label map that workspace and scene open."""
        return self.folder / f"{self.case_id}{DSEG}{SUFFIXES[0]}"

    def ct(self, suffix: str = SUFFIXES[0]) -> Path:
        """The copy of the CT."""
        return self.folder / f"{self.case_id}_ct{suffix}"

    def saved(self) -> tuple[list[Path], list[Path]]:
        """Return the files with the name of the label map, in any format, and other images that are not the CT."""
        named, others = [], []
        for file in sorted(self.folder.glob("[!.]*")) if self.folder.is_dir() else []:
            stem = file.stem if file.suffix.lower() == _DICOM else strip_suffix(file.name)
            if stem == f"{self.case_id}{DSEG}":
                named.append(file)
            elif stem is not None and stem != f"{self.case_id}_ct":
                others.append(file)
        return named, others


def make_case(
    root: Path, predictions: Path, sidecar: Sidecar, scan: ScanCase, *, proposal: Mapping[str, Any] | None = None
) -> History:
    """Make the folder of a case, and start its history with the prediction; a case with a history is kept.

    `proposal` is why the case was proposed, which the history records.

    The files are copies, so a viewer that saves the CT does not change the original, and the folder can be moved. The
    history is written last: a case that was interrupted is made again.

    Raises:
        InputError: LS-COR-004 the label map, the CT, its patient or its dataset is not that of the prediction;
            LS-COR-019 the history is of another CT, patient or dataset; the CT cannot be read.
    """
    case_id = sidecar.case_id
    stated = {_who(row.patient_id, row.dataset) for row in sidecar.measurements}
    if stated - {_who(scan.case.patient_id, scan.case.dataset)}:
        message = "patient or dataset is not that of the prediction"
        hint = "give scans= as input= of predict; after a change of the cohort, repeat predict"
        raise InputError(Issue("LS-COR-004", message, hint, case_id, scan.shown))
    history = read_history(root, case_id)
    if history.entries:
        _check_same(history, sidecar, scan)
        return history
    files, target = CaseFiles(predictions, case_id), CaseFolder(root, case_id)
    if not sidecar.is_of(files.label_map):
        raise _changed("the label map is not what predict wrote", case_id, files.label_map)
    if scan.fingerprint() != sidecar.content["image_sha256"]:
        raise _changed("the CT is not the one that was predicted", case_id, scan.shown)
    label_map = read_label_map(files.label_map, case_id=case_id)
    ct = _copy_ct(scan, label_map, target)
    for name, text in colour_tables(ORGANS).items():
        if name in (ITKSNAP, SLICER):
            write_text(target.folder / name, text)
    names = ct.name, target.label_map.name
    write_text(target.folder / f"{case_id}.itksnap", itksnap_workspace(*names, label_map.geometry))
    write_text(target.folder / f"{case_id}.mrml", slicer_scene(*names, SLICER))
    copy(files.label_map, target.label_map)
    kept = history_folder(root, case_id) / f"0001{SUFFIXES[0]}"
    copy(files.label_map, kept)
    return history.add(
        state="predicted",
        map_sha256=sha256_of(kept),
        voxels_sha256=sha256_of_array(label_map.labels),
        covered=tuple(sidecar.content["covered"]),
        content={
            "case": case_row(scan.case),
            "ct": {"file": ct.name, "sha256": sha256_of(ct)},
            "prediction": {name: sidecar.content[name] for name in ("image_sha256", "settings", "liverspleen")},
            "saved": saved_time(target.label_map),
            **({"proposal": dict(proposal)} if proposal else {}),
        },
    )


def _check_same(history: History, sidecar: Sidecar, scan: ScanCase) -> None:
    """Raise LS-COR-019 if a history is not of the CT, patient and dataset of a prediction."""
    about = history.first.content
    case = about["case"]
    same = _who(case["patient_id"], case["dataset"]) == _who(scan.case.patient_id, scan.case.dataset)
    if not same or about["prediction"]["image_sha256"] != sidecar.content["image_sha256"]:
        message = "the correction folder has another CT, patient or dataset under this case id"
        hint = "use another output=, or restore the patient and the dataset of the case"
        raise InputError(Issue("LS-COR-019", message, hint, history.case_id, history.folder))


def _who(patient_id: str, dataset: str) -> tuple[str, str]:
    return patient_id, dataset or DEVELOPMENT


def copy(source: Path, target: Path) -> None:
    """Copy a file; the copy is complete or absent."""
    with complete_file(target) as temporary:
        shutil.copyfile(source, temporary)


def saved_time(file: Path) -> str:
    """Return the time of the last change of a file."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _copy_ct(scan: ScanCase, label_map: LabelMap, target: CaseFolder) -> Path:
    """Copy the CT; a DICOM series, or an image in two files, becomes NIfTI on the grid of the label map."""
    grid, source = label_map.geometry, scan.files[0]
    suffix = suffix_of(source.name) or SUFFIXES[1]
    if scan.series is None and not is_detached(source.name):
        copy(source, target.ct(suffix))
        return target.ct(suffix)
    ct = scan.read()
    if not same_grid(grid, ct.geometry):
        raise _changed("the label map is not on the grid of the CT", scan.case.case_id, scan.shown)
    write_ct(target.ct(), CTVolume(ct.hu, grid))
    return target.ct()


def _changed(message: str, case_id: str, file: str | Path | None) -> InputError:
    hint = "predict again into another output=, and correct that folder"
    return InputError(Issue("LS-COR-004", message, hint, case_id, file))


def case_row(case: Case) -> dict[str, Any]:
    """Return the cells of a case in cohort.csv, without those of files."""
    known = {name: value for name, value in asdict(case).items() if name not in ("image", "label", "covariates")}
    stated = {
        "labelled_structures": ";".join(organ.key for organ in case.labelled_structures),
        "spleen_absent": "true" if case.spleen_absent else "false",
    }
    return {**known, **stated, **case.covariates}
