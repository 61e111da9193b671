"""One examination of a phantom cohort: what it is made from, and its two files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map
from liverspleen.phantom.anatomy import draw_anatomy, true_volumes_cm3
from liverspleen.phantom.rendering import render
from liverspleen.phantom.scanner import Scanner, lay_down
from liverspleen.phantom.traits import Condition


@dataclass(frozen=True)
class Examination:
    """The plan of one examination; everything about it follows from these fields."""

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
        """Path of the CT under the cohort's folder."""
        return f"images/{self.case_id}.nii.gz"

    @property
    def label(self) -> str:
        """Path of the label map under the cohort's folder."""
        return f"labels/{self.case_id}.nii.gz"


def write_examination(exam: Examination, folder: Path) -> dict[str, float]:
    """Write CT and label map unless both are there; the true volumes in cm³ by structure."""
    anatomy = draw_anatomy(exam.condition, exam.anatomy_seed)
    image, label = folder / exam.image, folder / exam.label
    if not (image.exists() and label.exists()):
        scan = render(anatomy, lay_down(anatomy, exam.scanner, exam.scan_seed))
        sections, rows, columns = scan.hu.shape
        geometry = Geometry((columns, rows, sections), scan.affine)
        write_ct(image, CTVolume(scan.hu, geometry))
        write_label_map(label, LabelMap(scan.labels, geometry))
    return true_volumes_cm3(anatomy)
