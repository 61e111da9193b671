"""The DICOM series of a folder tree, each with the reasons why it is excluded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liverspleen.imaging.dicom.enhanced import read_instances
from liverspleen.imaging.dicom.fields import DAMAGED
from liverspleen.imaging.dicom.folders import files_below
from liverspleen.imaging.dicom.grouping import alone, by_uid, without_copies
from liverspleen.imaging.dicom.grouping import by_folder as grouped_by_folder
from liverspleen.imaging.dicom.header import CT_IMAGE, ENHANCED_CT, SEGMENTATION, Instance
from liverspleen.imaging.dicom.jpeg_lossless import JPEG_LOSSLESS
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.rescaling import value_exclusions, value_warnings
from liverspleen.imaging.dicom.series import Reason, Series, age_years, phase_of
from liverspleen.imaging.dicom.stack import SAME_MM, Stack, follows, stack
from liverspleen.imaging.geometry import Geometry
from liverspleen.storage import StrPath

UNREADABLE, NOT_CT, LOCALIZER, DERIVED = "LS-DCM-001", "LS-DCM-002", "LS-DCM-003", "LS-DCM-004"
MULTIFRAME, NO_CODEC, MIXED, A_SEGMENTATION = "LS-DCM-005", "LS-DCM-006", "LS-DCM-015", "LS-DCM-016"
NO_PATIENT_ID, NO_SERIES_UID, THICKNESS = "LS-DCM-020", "LS-DCM-021", "LS-DCM-022"
GROUPS = "LS-DCM-082"
USED_DERIVED, OWN_UID, LOST_END = "LS-DCM-060", "LS-DCM-061", "LS-DCM-065"

_USE_ORIGINAL = "use the original slices if there are any, or check that these are HU"
_PROJECTIONS = frozenset({"MIP", "MINIP", "MAX_IP", "MIN_IP", "MAXIMUM", "MINIMUM", "PROJECTION IMAGE"})
"""Values of ImageType of images whose pixels do not show one plane."""

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

    Files are grouped by SeriesInstanceUID, or if it is empty by StudyInstanceUID and folder (LS-DCM-021).
    Localizers, derived images and multi-frame images of a series are separate series, and so is each DICOM file
    that cannot be read. Each frame of an Enhanced CT is a slice. Other files and DICOMDIR are skipped, and no file
    outside `root` is read. A usable series has at least `minimum_slices` slices of one CT on one regular, unsheared
    grid, whose headers state how pixels become HU. With `by_folder` files are grouped by folder, plane and matrix
    in place of the UID, because some anonymisation tools give every file its own UID.

    Reasons for exclusion: LS-DCM-001 file or folder cannot be read, 002 not a CT image, 003 localizer, 004 derived
    images that are no slices, 005 multi-frame and no Enhanced CT, 006 no codec, 007 no geometry, 008 mixed
    orientation, 009 mixed matrix or pixel spacing, 010 gantry tilt, 011 duplicate slice, 012 missing slice, 013
    irregular gap, 014 too few slices, 015 files of several series, 016 a segmentation, 050 unreadable rescaling,
    051 Modality LUT, 053 and 054 missing rescaling, 055 another unit than HU, 056 not MONOCHROME2, 057
    contradictory bits, 061 a series UID for each slice, 065 a slice at an end is no part of the series, 082 frames
    of an Enhanced CT cannot be separated.
    Warnings: LS-DCM-020 no PatientID, 021 no SeriesInstanceUID, 022 slice thickness differs from the spacing, 023
    values that may not be HU, 052 incomplete rescaling, 059 padding that looks like tissue, 060 derived images, 062
    stray images, 063 copies of files, 064 slightly uneven positions.
    """
    with quiet():
        return _series_below(Path(root), minimum_slices, by_folder)


def _series_below(root: Path, minimum_slices: int, by_folder: bool) -> tuple[Series, ...]:
    instances: list[Instance] = []
    broken = []
    for path, folder, listed in files_below(root):
        if not listed:
            broken.append(_broken(path, folder, "folder cannot be listed"))
            continue
        try:
            instances += read_instances(path, folder)
        except DAMAGED as error:
            broken.append(_broken(path, folder, f"DICOM file cannot be read ({type(error).__name__})"))
    groups = (grouped_by_folder if by_folder else by_uid)(instances, _group)
    own_uids = [] if by_folder else list(alone([group for group in groups if not _kind(group[0])[0]]))
    merged = {(instance.path, instance.frame) for group in own_uids for instance in group}
    described = [
        (_series(group, minimum_slices, by_folder=by_folder), group)
        for group in groups
        if (group[0].path, group[0].frame) not in merged
    ]
    single = [group[0] for series, group in described if series.exclusions and len(group) == 1]
    found = [_complete(series, single) for series, _ in described] + [_own_uids(group) for group in own_uids]
    return tuple(sorted([*found, *broken], key=lambda series: series.folder))


def _complete(series: Series, others: Sequence[Instance]) -> Series:
    """Return the series, excluded if one of the other images of its folder is probably its first or last slice."""
    if series.geometry is None or not any(
        other.folder == series.folder and follows(other, series.geometry) for other in others
    ):
        return series
    message = "an image that is not part of the series has the position of its next slice"
    hint = "correct the header of this image, or move it to another folder"
    return replace(series, geometry=None, exclusions=(Reason(LOST_END, message, hint),))


def _group(instance: Instance) -> str:
    """Return what separates images of one series: the reason why they are no slices, and whether they are derived."""
    return _kind(instance)[0] or (DERIVED if _is_derived(instance) else "")


def _is_derived(instance: Instance) -> bool:
    return bool({"DERIVED", "SECONDARY"} & set(instance.image_type[:2]))


def _kind(instance: Instance) -> tuple[str, str]:
    """Return code and message of the reason why an instance is not a CT slice; both empty if it is one."""
    if instance.modality in ("SEG", "RTSTRUCT") or instance.sop_class in SEGMENTATION:
        return A_SEGMENTATION, "segmentation, which is read as labels"
    if instance.modality != "CT":
        return NOT_CT, f"modality {instance.modality if instance.modality in _MODALITIES else 'other than CT'}"
    if instance.problem:
        return GROUPS, f"Enhanced CT whose frames cannot be separated: {instance.problem}"
    if instance.frames > 1:
        return MULTIFRAME, "multi-frame image that is not an Enhanced CT; export it as CT or Enhanced CT"
    if "LOCALIZER" in instance.image_type:
        return LOCALIZER, "localizer"
    if _is_derived(instance) and (instance.samples != 1 or _PROJECTIONS & set(instance.image_type)):
        return DERIVED, "derived images that are no slices, expected slices of the scanner"
    if instance.samples != 1:
        return DERIVED, "images in colour, expected slices of the scanner"
    if instance.sop_class not in ("", CT_IMAGE, *ENHANCED_CT):
        return DERIVED, "SOP class is not CT Image Storage or Enhanced CT Image Storage"
    return "", ""


def _series(instances: Sequence[Instance], minimum_slices: int, *, by_folder: bool = False) -> Series:
    code, message = _kind(instances[0])
    if code:
        return _described(instances, Stack(tuple(instances), None, ()), [Reason(code, message)], [])
    distinct, copies = without_copies(instances)
    stacked = stack(distinct, minimum_slices=minimum_slices)
    used = stacked.instances
    exclusions = [*_no_codec(used), *_mixed(used), *stacked.exclusions, *value_exclusions(used)]
    warnings = [*_warnings(used, stacked.geometry, by_folder), *value_warnings(used), *stacked.warnings, *copies]
    read = {instance.path for instance in used}
    skipped = tuple(dict.fromkeys(instance.path for instance in instances if instance.path not in read))
    return replace(_described(used, stacked, exclusions, warnings), skipped=skipped)


def _own_uids(instances: Sequence[Instance]) -> Series:
    """Return the files of a folder that have a SeriesInstanceUID each as one excluded series."""
    message = f"{len(instances)} slices of one folder have a SeriesInstanceUID each, expected one for all"
    reason = Reason(OWN_UID, message, "give series_by=folder")
    study = instances[0].study_uid if len({i.study_uid for i in instances}) == 1 else ""
    described = _described(instances, Stack(tuple(instances), None, ()), [reason], [])
    return replace(described, series_uid="", study_uid=study)


def _described(
    instances: Sequence[Instance], stacked: Stack, exclusions: Sequence[Reason], warnings: Sequence[Reason]
) -> Series:
    first = instances[0]
    files = tuple(dict.fromkeys(instance.path for instance in stacked.instances))
    number = {path: index for index, path in enumerate(files)}
    return Series(
        files=files,
        places=tuple((number[instance.path], instance.frame) for instance in stacked.instances),
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
        derived=_is_derived(first),
    )


def _broken(path: Path, folder: str, message: str) -> Series:
    return Series(
        files=(path,),
        places=((0, None),),
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
        hint = "decompress the files (DCMTK: dcmdjpeg; GDCM: gdcmconv --raw)"
        extra = "install imagecodecs, the package of the extra jpeg, or "
        return [Reason(NO_CODEC, f"no codec is installed for {name}", (extra if uid in JPEG_LOSSLESS else "") + hint)]
    return []


def _mixed(instances: Sequence[Instance]) -> list[Reason]:
    """Return the reason if files with one UID, or in one folder without UIDs, belong to several series."""
    if instances[0].series_uid:
        if len({(i.study_uid, i.patient_id) for i in instances}) > 1:
            return [Reason(MIXED, "files with one SeriesInstanceUID belong to several studies or patients")]
    elif len({(i.patient_id, *i.marks) for i in instances}) > 1:
        return [Reason(MIXED, "one folder holds files of several series, and none has a SeriesInstanceUID")]
    return []


def _warnings(instances: Sequence[Instance], geometry: Geometry | None, by_folder: bool) -> list[Reason]:
    first = instances[0]
    found = []
    if not first.patient_id and not by_folder:  # grouped by folder, ids are expected to be missing
        replacement = "StudyInstanceUID" if first.study_uid else "folder"
        found.append(Reason(NO_PATIENT_ID, f"PatientID is empty; the {replacement} identifies the patient"))
    if not first.series_uid and not by_folder:
        found.append(
            Reason(NO_SERIES_UID, "SeriesInstanceUID is empty; StudyInstanceUID and folder identify the series")
        )
    if geometry and first.thickness_mm is not None:
        spacing = float(np.linalg.norm(geometry.affine[:3, 2]))
        if abs(spacing - first.thickness_mm) > SAME_MM:
            message = f"slice thickness {first.thickness_mm:g} mm differs from the spacing of positions, {spacing:g} mm"
            found.append(Reason(THICKNESS, message))
    if _is_derived(first):
        message = "images are derived or secondary (ImageType), expected original slices"
        found.append(
            Reason(USED_DERIVED, message, "use the original slices if there are any, or check that these are HU")
        )
    return found


def _common_folder(instances: Sequence[Instance]) -> str:
    return os.path.commonpath([instance.folder for instance in instances]) or "."
