"""One examination of a phantom cohort: its parameters and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map
from liverspleen.phantom.anatomy import draw_anatomy, true_volumes_cm3
from liverspleen.phantom.rendering import render
from liverspleen.phantom.scanner import Scanner, plan_acquisition
from liverspleen.phantom.traits import Condition

PHASE = "portal venous"
"""The contrast phase of every phantom."""


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
    scanner: Scanner
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
            "SeriesDescription": f"Abdomen {PHASE}",
        }


def write_examination(exam: Examination, folder: Path, *, dicom: bool = False) -> dict[str, float]:
    """Write CT and label map unless both exist; return the true volumes in cm³ by structure."""
    anatomy = draw_anatomy(exam.condition, exam.anatomy_seed)
    files = (exam.segmentation,) if dicom else (exam.image, exam.label)
    if not all((folder / name).exists() for name in files):
        scan = render(anatomy, plan_acquisition(anatomy, exam.scanner, exam.scan_seed))
        slices, rows, columns = scan.hu.shape
        geometry = Geometry((columns, rows, slices), scan.affine)
        ct, label_map = CTVolume(scan.hu, geometry), LabelMap(scan.labels, geometry)
        if dicom:
            _write_dicom(exam, folder, ct, label_map)
        else:
            write_ct(folder / exam.image, ct)
            write_label_map(folder / exam.label, label_map)
    return true_volumes_cm3(anatomy)


def _write_dicom(exam: Examination, folder: Path, ct: CTVolume, label_map: LabelMap) -> None:
    from liverspleen.imaging.dicom import write_segmentation, write_series  # pydicom takes time to load

    slices = write_series(folder / "dicom" / exam.series, ct, tags=exam.tags)
    write_segmentation(folder / exam.segmentation, label_map, slices)
