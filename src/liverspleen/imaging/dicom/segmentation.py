"""Finding of DICOM segmentations, and reading onto the grid of a CT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.dicom.folders import files_below
from liverspleen.imaging.dicom.header import DAMAGED, SEGMENTATION, integer, numbers, open_header, text
from liverspleen.imaging.dicom.placement import Plane, place
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.series import Reason
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
"""Organs by coding scheme and value of the segmented property type: SNOMED CT, and SNOMED-RT from before 2018."""

_SNOMED = ("SCT", "SRT", "SNM3")
_UNSPECIFIC = ("85756007", "T-D0050", "113343008")  # tissue, tissue, organ: defaults of editors

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
    """One DICOM segmentation, as described by its header.

    `series_uid` is the series it refers to, `study_uid` its study ("" if not stated) and `folder` its folder relative
    to the root of the search; all three are private, and `repr` omits them. `segments` maps each segment number to its
    organ: by the SNOMED property type, or without one by a label that is the name of an organ (in any letter case);
    None if it is unknown. `geometry` is the grid of its frames (column, row, slice), None if they form none.
    `exclusions` is empty for a readable segmentation.
    """

    file: Path
    series_uid: str
    study_uid: str
    segments: Mapping[int, Structure | None]
    geometry: Geometry | None
    exclusions: tuple[Reason, ...] = ()
    folder: str = "."

    def __repr__(self) -> str:
        return f"Segmentation({dict(self.segments)}, exclusions={self.exclusions})"


def find_segmentations(root: StrPath) -> tuple[Segmentation, ...]:
    """Return every DICOM segmentation below `root`, by the rules of `find_series`, in the order of folders and names.

    Reasons for exclusion: LS-DCM-040 fractional, LS-DCM-041 the header cannot be read.
    """
    found = []
    for path, folder, is_file in files_below(Path(root)):
        if is_file:
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
    """Read a segmentation as a label map on the CT's grid.

    Each frame is placed by its own position and orientation, and its pixels must be voxels of the CT. Voxels without a
    frame are background. Segments without an organ are skipped. `values` gives the meaning of segment numbers and
    replaces their codes and labels; structures of other numbers are not `covered`.

    Raises:
        InputError: LS-DCM-040 fractional, LS-DCM-041 file cannot be read, LS-DCM-042 no segment is an organ,
            LS-DCM-043 frames that match no slice of the CT, LS-DCM-044 voxels of two organs.
    """

    def error(code: str, message: str, hint: str) -> InputError:
        return InputError(Issue(code, message, hint, case_id))

    if segmentation.exclusions:
        reasons = "; ".join(str(reason) for reason in segmentation.exclusions)
        hint = "export the segmentation again from its source, as a binary segmentation"
        raise error(segmentation.exclusions[0].code, f"segmentation is not read ({reasons})", hint)
    stated = segmentation.segments if values is None else values
    meaning = {number: s for number, s in stated.items() if s and number in segmentation.segments}
    if not meaning:
        message = f"segmentation has {counted(len(segmentation.segments), 'segment')}, none known to be {listed('or')}"
        raise error(NO_ORGAN, message, "give the meaning of the segment numbers by label_values=")
    masks = {s: np.zeros(ct_geometry.shape, np.uint8) for s in organs(s.key for s in meaning.values())}
    unmatched = frames = 0
    try:
        with quiet():
            for plane, number, pixels in _frames(segmentation.file, set(meaning)):
                frames += 1
                if (placement := place(plane, ct_geometry)) is None:
                    unmatched += 1
                    continue
                for value, structure in meaning.items():
                    if number in (None, value):
                        placement.view(masks[structure])[pixels == (value if number is None else 1)] = 1
    except DAMAGED as damage:
        message = f"segmentation cannot be read or decoded ({type(damage).__name__})"
        raise error(DAMAGED_SEGMENTATION, message, "export the segmentation again from its source") from None
    if unmatched:
        message = f"{unmatched} of {counted(frames, 'frame')} of the segmentation match no slice of the CT"
        raise error(OFF_GRID, message, "use the segmentation of this series, or resample it to the CT")
    labels = np.zeros(ct_geometry.shape, np.uint8)
    for structure, mask in masks.items():
        if (shared := labels[mask > 0]).any():
            other = Structure(int(shared.max()))
            voxels = counted(int(np.count_nonzero(shared)), "voxel")
            message = f"segmentation assigns {voxels} to both {other.key} and {structure.key}"
            raise error(OVERLAP, message, "correct the segmentation")
        labels[mask > 0] = structure
    covered = tuple(s for s in ORGANS if s in masks)
    return LabelMap(np.ascontiguousarray(ct_geometry.to_canonical(labels)), ct_geometry, covered)


def _found(path: Path, folder: str) -> Segmentation | None:
    try:
        short = open_header(path, ("SOPClassUID", "Modality"))
    except DAMAGED:
        return None  # find_series reports it
    if short is None:
        return None
    if (text(short, "SOPClassUID") or text(short.file_meta, "MediaStorageSOPClassUID")) not in SEGMENTATION:
        return None
    try:
        header: Any = open_header(path, _FIELDS, limit_bytes=None)  # the positions of all frames are one large value
        segments = {
            integer(item, "SegmentNumber"): meaning_of(item)
            for item in header.SegmentSequence
            if integer(item, "SegmentNumber")
        }
        referenced = header.get("ReferencedSeriesSequence") or []
        series_uid = text(referenced[0], "SeriesInstanceUID") if len(referenced) == 1 else ""
        study_uid = text(header, "StudyInstanceUID")
        planes = [plane for plane, _ in _planes(header)]
        fractional = text(header, "SegmentationType") == "FRACTIONAL"
        exclusions = (
            (Reason(FRACTIONAL, "fractional segmentation, expected binary or label map"),) if fractional else ()
        )
        return Segmentation(path, series_uid, study_uid, segments, _grid(planes), exclusions, folder)
    except DAMAGED:
        message = "header of the segmentation cannot be read, or has no segments, frames or positions"
        return Segmentation(path, "", "", {}, None, (Reason(DAMAGED_SEGMENTATION, message),), folder)


def meaning_of(segment: Any) -> Structure | None:
    """Return the organ of an item of a SegmentSequence; None if it is unknown."""
    types = segment.get("SegmentedPropertyTypeCodeSequence") or []
    codes = [(text(item, "CodingSchemeDesignator"), text(item, "CodeValue")) for item in types]
    specific = [code for code in codes if code[0] in _SNOMED and code[1] not in _UNSPECIFIC]
    if specific:  # a tumour with the label "liver" is not a liver
        return CODES.get(specific[0]) if len(specific) == 1 else None
    label = text(segment, "SegmentLabel").lower()
    return next((organ for organ in ORGANS if organ.key == label), None)


def _planes(header: Any) -> Iterator[tuple[Plane, int | None]]:
    """Yield plane and segment number of each frame; the number is None in a label map, whose pixels hold it."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    label_map = text(header, "SegmentationType") == "LABELMAP"
    for frame in header.PerFrameFunctionalGroupsSequence:

        def group(name: str, frame: Any = frame) -> Any:
            return (frame.get(name) or shared.get(name) or [pydicom.Dataset()])[0]

        position = numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3)
        orientation = numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
        spacing = numbers(group("PixelMeasuresSequence"), "PixelSpacing", 2)
        number = integer(group("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
        if not (position and orientation and spacing and min(spacing) > 0 and (label_map or number)):
            raise ValueError("a frame has no plane or no segment")
        plane = Plane(position, orientation, spacing, integer(header, "Rows"), integer(header, "Columns"))
        yield plane, None if label_map else number


def _frames(path: Path, segments: Set[int]) -> Iterator[tuple[Plane, int | None, NDArray[Any]]]:
    """Yield plane, segment number and pixels of each frame of the given segments, one frame at a time."""
    dataset = pydicom.dcmread(path, force=True)
    planes = list(_planes(dataset))
    selected = [index for index, (_, number) in enumerate(planes) if number is None or number in segments]
    if integer(dataset, "BitsAllocated") == 1 and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        pixels: Iterable[Any] = _unpacked(dataset.PixelData, planes[0][0], selected)
    else:
        pixels = pydicom.pixels.iter_pixels(dataset, indices=selected) if selected else ()
    for index, frame in zip(selected, pixels, strict=True):
        yield *planes[index], frame


def _unpacked(packed: bytes, plane: Plane, indices: list[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of single bits, which are stored without padding: a frame may start within a byte."""
    size = plane.rows * plane.columns
    for index in indices:
        first = index * size
        part = np.frombuffer(packed[first // 8 : (first + size + 7) // 8], np.uint8)
        bits = np.unpackbits(part, bitorder="little")[first % 8 :][:size]
        if bits.size < size:
            raise ValueError("pixel data are too short")
        yield bits.reshape(plane.rows, plane.columns)


def _grid(planes: list[Plane]) -> Geometry | None:
    """Return the grid of parallel planes, from the lowest to the highest; None if they form none."""
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
