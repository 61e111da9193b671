"""The DICOM series of a folder tree, each with the reasons why it is excluded."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liverspleen.imaging.dicom.folders import files_below
from liverspleen.imaging.dicom.header import CT_IMAGE, DAMAGED, ENHANCED_CT, SEGMENTATION, Instance, read_instance
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.series import Reason, Series, age_years, phase_of
from liverspleen.imaging.dicom.stack import SAME_MM, Stack, stack
from liverspleen.imaging.geometry import Geometry
from liverspleen.storage import StrPath

UNREADABLE, NOT_CT, LOCALIZER, DERIVED = "LS-DCM-001", "LS-DCM-002", "LS-DCM-003", "LS-DCM-004"
MULTIFRAME, NO_CODEC, MIXED, A_SEGMENTATION = "LS-DCM-005", "LS-DCM-006", "LS-DCM-015", "LS-DCM-016"
NO_PATIENT_ID, NO_SERIES_UID, THICKNESS, NO_RESCALE = "LS-DCM-020", "LS-DCM-021", "LS-DCM-022", "LS-DCM-023"

_REPLACED_IDS = (NO_PATIENT_ID, NO_SERIES_UID)
_MODALITIES = (
    "MR",
    "PT",
    "NM",
    "US",
    "CR",
    "DX",
    "MG",
    "XA",
    "RF",
    "OT",
    "SR",
    "PR",
    "KO",
    "REG",
    "RTSTRUCT",
    "RTDOSE",
    "RTPLAN",
)
"""Modalities that a reason may print; the field may hold any text."""


def find_series(root: StrPath, *, minimum_slices: int = 5, by_folder: bool = False) -> tuple[Series, ...]:
    """Return every DICOM series below `root`, from the headers, in the order of folders and UIDs.

    Files are grouped by SeriesInstanceUID, or if it is empty by StudyInstanceUID and folder (LS-DCM-021). Localizers,
    derived images and multi-frame images of a series are separate series, and so is each DICOM file that cannot be
    read. Other files and DICOMDIR are skipped, and no file outside `root` is read. A usable series has at least
    `minimum_slices` slices of one CT on one regular, unsheared grid. With `by_folder` each folder is one series and
    UIDs are ignored, because some anonymisation tools give every file its own UID.

    Reasons for exclusion: LS-DCM-001 file or folder cannot be read, 002 not a CT image, 003 localizer, 004 derived or
    secondary, 005 multi-frame, 006 no codec, 007 no geometry, 008 mixed orientation, 009 mixed matrix or pixel
    spacing, 010 gantry tilt, 011 duplicate slice, 012 missing slice, 013 irregular gap, 014 too few slices,
    015 files of several series, 016 a segmentation. Warnings: LS-DCM-020 no PatientID, 021 no SeriesInstanceUID,
    022 slice thickness differs from the spacing, 023 values that may not be HU.
    """
    with quiet():
        return _series_below(Path(root), minimum_slices, by_folder)


def _series_below(root: Path, minimum_slices: int, by_folder: bool) -> tuple[Series, ...]:
    groups: dict[tuple[str, ...], list[Instance]] = defaultdict(list)
    broken = []
    for path, folder, listed in files_below(root):
        if not listed:
            broken.append(_broken(path, folder, "folder cannot be listed"))
            continue
        try:
            instance = read_instance(path, folder)
        except DAMAGED as error:
            broken.append(_broken(path, folder, f"DICOM file cannot be read ({type(error).__name__})"))
            continue
        if instance is not None:
            if by_folder:
                instance = replace(instance, series_uid="", study_uid="", patient_id="", marks=())
            key = (instance.series_uid,) if instance.series_uid else ("", instance.study_uid, folder)
            groups[(*key, _kind(instance)[0])].append(instance)
    found = [_series(instances, minimum_slices) for _, instances in sorted(groups.items())]
    if by_folder:  # UIDs are ignored, so their absence is no warning
        found = [
            replace(series, warnings=tuple(w for w in series.warnings if w.code not in _REPLACED_IDS))
            for series in found
        ]
    return tuple(sorted([*found, *broken], key=lambda series: series.folder))


def _kind(instance: Instance) -> tuple[str, str]:
    """Return code and message of the reason why an instance is not a CT slice; both empty if it is one."""
    if instance.modality == "SEG" or instance.sop_class in SEGMENTATION:
        return A_SEGMENTATION, "segmentation, which is read as labels"
    if instance.modality != "CT":
        return NOT_CT, f"modality {instance.modality if instance.modality in _MODALITIES else 'other than CT'}"
    if instance.sop_class in ENHANCED_CT or instance.frames > 1:
        return MULTIFRAME, "multi-frame CT; convert it to one file per slice (dcm4che: emf2sf) or to NIfTI (dcm2niix)"
    if "LOCALIZER" in instance.image_type:
        return LOCALIZER, "localizer"
    if {"DERIVED", "SECONDARY"} & set(instance.image_type[:2]) or instance.samples != 1:
        return DERIVED, "derived or secondary images, expected original slices of the scanner"
    if instance.sop_class not in ("", CT_IMAGE):
        return DERIVED, "SOP class is not CT Image Storage"
    return "", ""


def _series(instances: Sequence[Instance], minimum_slices: int) -> Series:
    first = instances[0]
    code, message = _kind(first)
    if code:
        stacked, exclusions, warnings = Stack(tuple(instances), None, ()), [Reason(code, message)], []
    else:
        stacked = stack(instances, minimum_slices=minimum_slices)
        exclusions = [*_no_codec(instances), *_mixed(instances), *stacked.exclusions]
        warnings = _warnings(instances, stacked.geometry)
    return Series(
        files=tuple(instance.path for instance in stacked.instances),
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        patient_id=first.patient_id,
        slices=sum(instance.frames for instance in instances),
        rows=first.rows,
        columns=first.columns,
        geometry=None if exclusions else stacked.geometry,
        slice_thickness_mm=first.thickness_mm,
        phase=phase_of(f"{first.description} {first.contrast}"),
        sex=first.sex if first.sex in ("F", "M", "O") else "",
        age=age_years(first.age),
        exclusions=tuple(exclusions),
        warnings=tuple(warnings),
        description=f"{first.series_number} {first.description}".rstrip(),  # starts with a space without a number
        folder=_common_folder(instances),
    )


def _broken(path: Path, folder: str, message: str) -> Series:
    return Series(
        files=(path,),
        series_uid="",
        study_uid="",
        patient_id="",
        slices=0,
        rows=0,
        columns=0,
        geometry=None,
        slice_thickness_mm=None,
        phase="",
        sex="",
        age=None,
        exclusions=(Reason(UNREADABLE, message),),
        warnings=(),
        description="",
        folder=folder,
    )


def _no_codec(instances: Sequence[Instance]) -> list[Reason]:
    for uid in sorted({instance.transfer_syntax for instance in instances}):
        try:
            if pydicom.pixels.get_decoder(uid).is_available:
                continue
        except (NotImplementedError, ValueError):
            pass
        known = pydicom.uid.UID(uid)
        name = known.name if not known.is_private and known.name != uid else "an unknown transfer syntax"
        hint = "decompress the files (DCMTK: dcmdjpeg; GDCM: gdcmconv --raw), or install pylibjpeg-libjpeg for JPEG"
        return [Reason(NO_CODEC, f"no codec is installed for {name}; {hint}")]
    return []


def _mixed(instances: Sequence[Instance]) -> list[Reason]:
    """Return the reason if files with one UID, or in one folder without UIDs, belong to several series."""
    if instances[0].series_uid:
        if len({(i.study_uid, i.patient_id) for i in instances}) > 1:
            return [Reason(MIXED, "files with one SeriesInstanceUID belong to several studies or patients")]
    elif len({(i.patient_id, *i.marks) for i in instances}) > 1:
        return [Reason(MIXED, "one folder holds files of several series, and none has a SeriesInstanceUID")]
    return []


def _warnings(instances: Sequence[Instance], geometry: Geometry | None) -> list[Reason]:
    first = instances[0]
    found = []
    if not first.patient_id:
        replacement = "StudyInstanceUID" if first.study_uid else "folder"
        found.append(Reason(NO_PATIENT_ID, f"PatientID is empty; the {replacement} identifies the patient"))
    if not first.series_uid:
        found.append(
            Reason(NO_SERIES_UID, "SeriesInstanceUID is empty; StudyInstanceUID and folder identify the series")
        )
    if geometry and first.thickness_mm is not None:
        spacing = float(np.linalg.norm(geometry.affine[:3, 2]))
        if abs(spacing - first.thickness_mm) > SAME_MM:
            message = f"slice thickness {first.thickness_mm:g} mm differs from the spacing of positions, {spacing:g} mm"
            found.append(Reason(THICKNESS, message))
    if unscaled := sum(not instance.rescaled for instance in instances):
        message = f"rescaling is missing in {unscaled} of {len(instances)} slices; stored values are used as HU"
        found.append(Reason(NO_RESCALE, message))
    elif any(instance.rescale_type not in ("", "HU") for instance in instances):
        found.append(Reason(NO_RESCALE, "rescale type is not HU"))
    return found


def _common_folder(instances: Sequence[Instance]) -> str:
    return os.path.commonpath([instance.folder for instance in instances]) or "."
