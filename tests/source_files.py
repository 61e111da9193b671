"""The same examinations written in each layout that can be imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from conftest import box_case
from PIL import Image

from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map
from liverspleen.imaging.dicom import write_segmentation, write_series
from liverspleen.organs import ORGANS


@dataclass(frozen=True)
class Exam:
    """One examination, in memory."""

    name: str
    patient: str
    ct: CTVolume
    label: LabelMap


def box_exam(name: str, patient: str = "", *, slices: int = 6, seed: int = 0) -> Exam:
    """Boxes as organs, on a grid of 2.5 x 0.8 x 0.8 mm away from the origin."""
    hu, labels = box_case((slices, 32, 32), seed)
    affine = np.diag([-0.8, -0.8, 2.5, 1.0])
    affine[:3, 3] = 11.25, -4.5, 130.0 + seed
    geometry = Geometry((32, 32, slices), affine)
    return Exam(name, patient or name, CTVolume(hu, geometry), LabelMap(labels, geometry))


def nifti(folder: Path, exams: Sequence[Exam]) -> list[str]:
    for exam in exams:
        write_ct(folder / "images" / f"{exam.name}.nii.gz", exam.ct)
        write_label_map(folder / "masks" / f"{exam.name}.nii.gz", exam.label)
    return [f"labels={folder / 'masks'}", "label_values=liverspleen"]


def msd(folder: Path, exams: Sequence[Exam]) -> list[str]:
    for exam in exams:
        write_ct(folder / "imagesTr" / f"{exam.name}.nii.gz", exam.ct)
        write_label_map(folder / "labelsTr" / f"{exam.name}.nii.gz", exam.label)
    entries = [{k: f"./{k}sTr/{exam.name}.nii.gz" for k in ("image", "label")} for exam in exams]
    names = {"0": "background", "1": "liver", "2": "spleen"}
    content = {"modality": {"0": "CT"}, "labels": names, "training": entries, "test": []}
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "imagesTr" / "._hidden.nii.gz").write_bytes(b"Mac")
    return ["label_values=names"]


def nnunet(folder: Path, exams: Sequence[Exam]) -> list[str]:
    for exam in exams:
        write_ct(folder / "imagesTr" / f"{exam.name}_0000.nii.gz", exam.ct)
        write_label_map(folder / "labelsTr" / f"{exam.name}.nii.gz", exam.label)
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "spleen": 2}}
    (folder / "dataset.json").write_text(json.dumps({**content, "numTraining": 2, "file_ending": ".nii.gz"}))
    return ["label_values=names"]


def totalsegmentator(folder: Path, exams: Sequence[Exam]) -> list[str]:
    for exam in exams:
        write_ct(folder / exam.name / "ct.nii.gz", exam.ct)
        for organ in ORGANS:
            mask = LabelMap((exam.label.labels == organ).astype(np.uint8), exam.label.geometry)
            write_label_map(folder / exam.name / "segmentations" / f"{organ.key}.nii.gz", mask)
    return []


def chaos(folder: Path, exams: Sequence[Exam], *, head_first: bool = False) -> list[str]:
    """Masks of 63 and 252 as in CHAOS' MR, so that both organs are drawn; `head_first` counts slices downwards.

    Every file has UIDs of its own, as MATLAB's `dicomanon` leaves them.
    """
    for exam in exams:
        files = list(write_series(folder / exam.name / "DICOM_anon", exam.ct))
        for file in files:
            header = pydicom.dcmread(file)
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
                setattr(header, keyword, pydicom.uid.generate_uid(entropy_srcs=[keyword, header.SOPInstanceUID]))
            header.save_as(file)
        slices = list(np.choose(exam.label.geometry.to_native(exam.label.labels), [0, 63, 252]).T.astype(np.uint8))
        if head_first:
            renamed = [file.with_name(f"i{len(files) - 1 - k:04d},0000b.dcm") for k, file in enumerate(files)]
            for file, new in zip(files, renamed, strict=True):
                file.rename(new)
            slices = slices[::-1]
        ground = folder / exam.name / "Ground"
        ground.mkdir()
        for k, slice_index in enumerate(slices):
            Image.fromarray(slice_index).save(ground / f"liver_GT_{k:03d}.png")
    return ["label_values=chaos_mr"]


def dicom(folder: Path, exams: Sequence[Exam]) -> list[str]:
    for exam in exams:
        place = folder / exam.patient / exam.name
        files = write_series(place, exam.ct, tags={"PatientID": exam.patient})
        write_segmentation(place / "segmentation.dcm", exam.label, files)
    return [f"labels={folder}"]


WRITERS: dict[str, Callable[[Path, Sequence[Exam]], list[str]]] = {
    "nifti": nifti,
    "msd": msd,
    "nnunet": nnunet,
    "totalsegmentator": totalsegmentator,
    "chaos": chaos,
    "dicom": dicom,
}
"""By layout: writes examinations into a folder, and gives the words that an import of it needs."""
