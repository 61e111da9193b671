"""One examination of a phantom cohort: its parameters and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map
from liverspleen.organs import Structure
from liverspleen.phantom.anatomy import draw_anatomy, true_volumes_cm3
from liverspleen.phantom.contents import LABELLED
from liverspleen.phantom.randomised.scan import RANDOMISED_ORGANS, RandomisedScan
from liverspleen.phantom.rendering import PhantomScan, render
from liverspleen.phantom.scanner import Scanner, plan_acquisition
from liverspleen.phantom.traits import Condition

PHASE = "portal venous"
"""The contrast phase of every phantom of the style `paper`."""


@dataclass(frozen=True)
class Examination:
    """The parameters of one examination, which determine it completely."""

    case_id: str
    patient_id: str
    dataset: str
    condition: Condition
    site: str
    sex: str
    age: int
    scanner: Scanner | RandomisedScan
    anatomy_seed: tuple[int, ...]
    scan_seed: tuple[int, ...]

    @property
    def image(self) -> str:
        """Path of the CT, relative to the cohort's folder."""
        return f"images/{self.case_id}.nii.gz"

    @property
    def label(self) -> str:
        """Path of the label map, relative to the cohort's folder."""
        return f"labels/{self.case_id}.nii.gz"

    @property
    def labelled(self) -> tuple[Structure, ...]:
        """Organs with a label."""
        return RANDOMISED_ORGANS if isinstance(self.scanner, RandomisedScan) else LABELLED

    @property
    def phase(self) -> str:
        """Contrast phase."""
        return self.scanner.tissues.phase if isinstance(self.scanner, RandomisedScan) else PHASE

    @property
    def series(self) -> str:
        """Path of the DICOM series and its segmentation, relative to the cohort's `dicom` folder."""
        return f"{self.patient_id}/{self.case_id}"

    @property
    def segmentation(self) -> str:
        """Path of the DICOM segmentation, relative to the cohort's folder; it is written last."""
        return f"dicom/{self.series}/segmentation.dcm"

    @property
    def tags(self) -> Mapping[str, object]:
        """DICOM fields of patient and series; both examinations of a pair have the same PatientID."""
        return {
            "PatientID": self.patient_id,
            "PatientName": f"Phantom^{self.patient_id}",
            "PatientSex": self.sex,
            "PatientAge": f"{self.age:03d}Y",
            "StudyDescription": "Abdomen",
            "SeriesDescription": f"Abdomen {self.phase}",
        }


def write_examination(exam: Examination, folder: Path, *, dicom: bool = False) -> dict[str, float]:
    """Write CT and label map unless both exist; return the true volumes in cm³ by structure.

    The true volume of a randomised phantom is that of the label map, because the scan may show a part of an organ.
    """
    files = (exam.segmentation,) if dicom else (exam.image, exam.label)
    finished = all((folder / name).exists() for name in files)
    if isinstance(exam.scanner, RandomisedScan):
        scan = exam.scanner.render()
        if not finished:
            _write(exam, folder, scan, dicom=dicom)
        return _label_volumes_cm3(scan)
    anatomy = draw_anatomy(exam.condition, exam.anatomy_seed)
    if not finished:
        _write(exam, folder, render(anatomy, plan_acquisition(anatomy, exam.scanner, exam.scan_seed)), dicom=dicom)
    return true_volumes_cm3(anatomy)


def _label_volumes_cm3(scan: PhantomScan) -> dict[str, float]:
    """Return voxels times volume of a voxel for each organ."""
    voxel_cm3 = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
    return {organ.key: int(np.count_nonzero(scan.labels == organ)) * voxel_cm3 for organ in RANDOMISED_ORGANS}


def _write(exam: Examination, folder: Path, scan: PhantomScan, *, dicom: bool) -> None:
    slices, rows, columns = scan.hu.shape
    geometry = Geometry((columns, rows, slices), scan.affine)
    ct, label_map = CTVolume(scan.hu, geometry), LabelMap(scan.labels, geometry)
    if dicom:
        _write_dicom(exam, folder, ct, label_map)
    else:
        write_ct(folder / exam.image, ct)
        write_label_map(folder / exam.label, label_map)


def _write_dicom(exam: Examination, folder: Path, ct: CTVolume, label_map: LabelMap) -> None:
    from liverspleen.imaging.dicom import write_segmentation, write_series  # pydicom takes time to load

    slices = write_series(folder / "dicom" / exam.series, ct, tags=exam.tags)
    write_segmentation(folder / exam.segmentation, label_map, slices)
