"""DICOM segmentations, found, and read onto the grid of a CT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom.folders import files_below
from liverspleen.imaging.dicom.header import DAMAGED, SEGMENTATION, numbers, open_header, text, whole
from liverspleen.imaging.dicom.placement import Plane, place
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.series import Left
from liverspleen.imaging.dicom.stack import plane_directions
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure, listed, organs
from liverspleen.storage import StrPath

FRACTIONAL, DAMAGED_SEGMENTATION, NO_ORGAN = "LS-DCM-040", "LS-DCM-041", "LS-DCM-042"
OFF_GRID, OVERLAP = "LS-DCM-043", "LS-DCM-044"

CODES: Mapping[tuple[str, str], Structure] = {
    code: organ for organ in ORGANS for code in (("SCT", organ.facts.sct), ("SRT", organ.facts.srt))
}
"""Segmented property types by coding scheme and value: SNOMED CT, and the SNOMED-RT codes of before 2018."""

_SNOMED = ("SCT", "SRT", "SNM3")
_UNSPECIFIC = ("85756007", "T-D0050", "113343008")  # tissue, tissue, organ: what editors write by default

_FIELDS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "StudyInstanceUID",
    "ReferencedSeriesSequence",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "SegmentationType",
    "SegmentSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True)
class Segmentation:
    """One DICOM segmentation, from its header.

    `series_uid` is the series it refers to, `study_uid` its study ("" if it says none) and `folder` where it lies
    relative to the root of the search; all three are private, and left out of `repr`. `segments` has the meaning of
    each segment number: by its SNOMED property type, or without one by the name of an organ as its label (in any case);
    None where it is unknown. `geometry` is the grid that its frames span (column, row, slice), None where they span
    none. `left` is empty for one that can be read.
    """

    file: Path
    series_uid: str
    study_uid: str
    segments: Mapping[int, Structure | None]
    geometry: Geometry | None
    left: tuple[Left, ...] = ()
    folder: str = "."

    def __repr__(self) -> str:
        return f"Segmentation({dict(self.segments)}, left={self.left})"


def find_segmentations(root: StrPath) -> tuple[Segmentation, ...]:
    """Every DICOM segmentation below `root`, by the rules of `find_series`, in the order of folders and names.

    Reasons to leave one: LS-DCM-040 fractional, LS-DCM-041 its header cannot be read.
    """
    found = []
    for path, folder, below in files_below(Path(root)):
        if below:
            with quiet():
                if (segmentation := _found(path, folder)) is not None:
                    found.append(segmentation)
    return tuple(sorted(found, key=lambda segmentation: segmentation.folder))


def read_segmentation(
    segmentation: Segmentation,
    ct_geometry: Geometry,
    *,
    case_id: str,
    values: Mapping[int, Structure] | None = None,
) -> LabelMap:
    """The label map on the CT's grid.

    Each frame is put where its own position and orientation say, and must meet the CT's voxels; where there is no
    frame there is background. Segments that mean no organ are skipped; `values` says what segment
    numbers mean, instead of their codes and labels. The structures of the other numbers are not `covered`.

    Raises:
        InputError: LS-DCM-040 fractional, LS-DCM-041 file cannot be read, LS-DCM-042 no segment is an organ,
            LS-DCM-043 frames that meet no slice of the CT, LS-DCM-044 voxels of two organs.
    """

    def rejected(code: str, message: str, hint: str) -> InputError:
        return InputError(Issue(code, message, hint, case_id))

    if segmentation.left:
        reasons = "; ".join(str(reason) for reason in segmentation.left)
        hint = "export it again from its source, as a binary segmentation"
        raise rejected(segmentation.left[0].code, f"segmentation is not read ({reasons})", hint)
    stated = segmentation.segments if values is None else values
    meaning = {number: s for number, s in stated.items() if s and number in segmentation.segments}
    if not meaning:
        message = f"none of {len(segmentation.segments)} segments is known to be {listed('or')}"
        raise rejected(NO_ORGAN, message, "say what the segment numbers mean")
    masks = {s: np.zeros(ct_geometry.shape, np.uint8) for s in organs(s.key for s in meaning.values())}
    off = frames = 0
    try:
        with quiet():
            for plane, number, pixels in _frames(segmentation.file, set(meaning)):
                frames += 1
                if (placement := place(plane, ct_geometry)) is None:
                    off += 1
                    continue
                for value, structure in meaning.items():
                    if number in (None, value):
                        placement.view(masks[structure])[pixels == (value if number is None else 1)] = 1
    except DAMAGED as error:
        message = f"segmentation cannot be read or decoded ({type(error).__name__})"
        raise rejected(DAMAGED_SEGMENTATION, message, "export it again from its source") from None
    if off:
        message = f"{off} of {frames} frames of the segmentation meet no slice of the CT"
        raise rejected(OFF_GRID, message, "take the segmentation of this series, or resample it onto the CT")
    labels = np.zeros(ct_geometry.shape, np.uint8)
    for structure, mask in masks.items():
        if (shared := labels[mask > 0]).any():
            other = Structure(int(shared.max()))
            message = f"{np.count_nonzero(shared)} voxels are both {other.key} and {structure.key}"
            raise rejected(OVERLAP, message, "correct the segmentation")
        labels[mask > 0] = structure
    covered = tuple(s for s in ORGANS if s in masks)
    return LabelMap(np.ascontiguousarray(ct_geometry.to_canonical(labels)), ct_geometry, covered)


def _found(path: Path, folder: str) -> Segmentation | None:
    try:
        short = open_header(path, ("SOPClassUID", "Modality"))
    except DAMAGED:
        return None  # find_series tells of it
    if short is None:
        return None
    if (text(short, "SOPClassUID") or text(short.file_meta, "MediaStorageSOPClassUID")) not in SEGMENTATION:
        return None
    try:
        header: Any = open_header(path, _FIELDS, limit_bytes=None)  # the places of all frames are one large value
        segments = {
            whole(item, "SegmentNumber"): meaning_of(item)
            for item in header.SegmentSequence
            if whole(item, "SegmentNumber")
        }
        referenced = header.get("ReferencedSeriesSequence") or []
        series_uid = text(referenced[0], "SeriesInstanceUID") if len(referenced) == 1 else ""
        study_uid = text(header, "StudyInstanceUID")
        planes = [plane for plane, _ in _planes(header)]
        fractional = text(header, "SegmentationType") == "FRACTIONAL"
        left = (Left(FRACTIONAL, "fractional segmentation, expected binary or label map"),) if fractional else ()
        return Segmentation(path, series_uid, study_uid, segments, _grid(planes), left, folder)
    except DAMAGED:
        message = "the header of the segmentation cannot be read, or states no segments, frames or positions"
        return Segmentation(path, "", "", {}, None, (Left(DAMAGED_SEGMENTATION, message),), folder)


def meaning_of(segment: Any) -> Structure | None:
    """What an item of a SegmentSequence stands for."""
    types = segment.get("SegmentedPropertyTypeCodeSequence") or []
    codes = [(text(item, "CodingSchemeDesignator"), text(item, "CodeValue")) for item in types]
    specific = [code for code in codes if code[0] in _SNOMED and code[1] not in _UNSPECIFIC]
    if specific:  # a tumour labelled "liver" is no liver
        return CODES.get(specific[0]) if len(specific) == 1 else None
    label = text(segment, "SegmentLabel").lower()
    return next((organ for organ in ORGANS if organ.key == label), None)


def _planes(header: Any) -> Iterator[tuple[Plane, int | None]]:
    """Of each frame the plane and the number of its segment; no number in a label map, whose pixels are numbers."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    label_map = text(header, "SegmentationType") == "LABELMAP"
    for own in header.PerFrameFunctionalGroupsSequence:

        def group(name: str, own: Any = own) -> Any:
            return (own.get(name) or shared.get(name) or [pydicom.Dataset()])[0]

        position = numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3)
        orientation = numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
        spacing = numbers(group("PixelMeasuresSequence"), "PixelSpacing", 2)
        number = whole(group("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
        if not (position and orientation and spacing and min(spacing) > 0 and (label_map or number)):
            raise ValueError("a frame has no plane or no segment")
        plane = Plane(position, orientation, spacing, whole(header, "Rows"), whole(header, "Columns"))
        yield plane, None if label_map else number


def _frames(path: Path, wanted: Set[int]) -> Iterator[tuple[Plane, int | None, NDArray[Any]]]:
    """Plane, segment number and pixels of each frame of the wanted segments; one frame is in memory at a time."""
    dataset = pydicom.dcmread(path, force=True)
    planes = list(_planes(dataset))
    chosen = [index for index, (_, number) in enumerate(planes) if number is None or number in wanted]
    if whole(dataset, "BitsAllocated") == 1 and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        pixels: Iterable[Any] = _unpacked(dataset.PixelData, planes[0][0], chosen)
    else:
        pixels = pydicom.pixels.iter_pixels(dataset, indices=chosen) if chosen else ()
    for index, frame in zip(chosen, pixels, strict=True):
        yield *planes[index], frame


def _unpacked(packed: bytes, plane: Plane, indices: list[int]) -> Iterator[NDArray[np.uint8]]:
    """Frames of single bits, which follow each other without padding: one may begin within a byte."""
    size = plane.rows * plane.columns
    for index in indices:
        first = index * size
        part = np.frombuffer(packed[first // 8 : (first + size + 7) // 8], np.uint8)
        bits = np.unpackbits(part, bitorder="little")[first % 8 :][:size]
        if bits.size < size:
            raise ValueError("pixel data are too short")
        yield bits.reshape(plane.rows, plane.columns)


def _grid(planes: list[Plane]) -> Geometry | None:
    """The grid that parallel planes span: from the lowest to the highest, at their smallest distance."""
    first = planes[0]
    directions = plane_directions(first.orientation)
    if directions is None or any(p.orientation != first.orientation for p in planes):
        return None
    across, down = directions
    normal = np.cross(across, down)
    lowest = min(planes, key=lambda plane: float(np.dot(plane.position, normal)))
    heights = np.unique(np.round([np.dot(plane.position, normal) for plane in planes], 3))
    if len(heights) < 2:
        return None
    step = float(np.diff(heights).min())
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = across * first.pixel_spacing[1], down * first.pixel_spacing[0]
    affine[:3, 2], affine[:3, 3] = normal * step, lowest.position
    affine[:2] = 0.0 - affine[:2]
    return Geometry((first.columns, first.rows, round((heights[-1] - heights[0]) / step) + 1), affine)
