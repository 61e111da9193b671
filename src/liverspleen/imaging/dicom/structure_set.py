"""DICOM structure sets (RTSTRUCT): finding, and filling of their closed planar contours on the grid of a CT.

A voxel belongs to a structure if its centre is inside an odd number of the contours of its slice: a contour inside
another one is a hole, and so is the inside of a keyhole. Nothing is interpolated between slices, so an organ must have
contours in each slice from its first to its last. Contours of a slice are nested or apart; one that is stated twice
counts once. A structure without contours was not drawn, and is not labelled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import counted
from liverspleen.imaging.dicom.header import text
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.segment_meaning import named_organ
from liverspleen.imaging.dicom.segmentation_frames import items
from liverspleen.imaging.dicom.stack import ROUNDING_MM
from liverspleen.imaging.geometry import Geometry, grid_tolerance_mm
from liverspleen.organs import Structure

STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"
UNSUPPORTED_CONTOUR, OFF_SLICES = "LS-DCM-080", "LS-DCM-081"
SKIPPED_SLICES, OVERLAPPING, CONTRADICTORY = "LS-DCM-083", "LS-DCM-084", "LS-DCM-070"


class ContourError(Exception):
    """Contours that cannot be filled: code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def is_structure_set(header: Any) -> bool:
    """Whether a header is that of a structure set."""
    return text(header, "SOPClassUID") == STRUCTURE_SET or text(header, "Modality") == "RTSTRUCT"


def described(path: Path) -> dict[str, Any]:
    """Return the fields of `Segmentation` that a structure set states, by name; raises as pydicom does."""
    with quiet():
        dataset = pydicom.dcmread(path, force=True)
    rois = items(dataset, "StructureSetROISequence")
    contours: dict[int, list[Any]] = {}
    for outline in _outlines(dataset):
        contours.setdefault(_number(outline, "ReferencedROINumber"), []).extend(items(outline, "ContourSequence"))
    drawn = {number for number, found in contours.items() if found}
    frames = items(dataset, "ReferencedFrameOfReferenceSequence")
    studies = [study for frame in frames for study in items(frame, "RTReferencedStudySequence")]
    series = [one for study in studies for one in items(study, "RTReferencedSeriesSequence")]
    images = [image for one in series for image in items(one, "ContourImageSequence")]
    sources = [image for found in contours.values() for item in found for image in items(item, "ContourImageSequence")]
    uids = {text(frame, "FrameOfReferenceUID") for frame in frames} - {""}
    return {
        "segments": {n: named_organ(text(roi, "ROIName")) for roi in rois if (n := _number(roi, "ROINumber")) in drawn},
        "framed": frozenset(drawn),
        "uids": (text(dataset, "SOPInstanceUID"), text(dataset, "SeriesInstanceUID")),
        "created": text(dataset, "StructureSetDate") + text(dataset, "StructureSetTime"),
        "source_uids": _stated(sources),
        "referenced_uids": _stated(images),
        "referenced_series": frozenset(text(one, "SeriesInstanceUID") for one in series) - {""},
        "frame_of_reference_uid": uids.pop() if len(uids) == 1 else "",
        "has_contours": True,
    }


def filled(
    path: Path, meaning: Mapping[int, Structure], geometry: Geometry, slices: Mapping[str, int]
) -> dict[Structure, NDArray[np.uint8]]:
    """Return the voxels inside the contours of each organ, in the native order of the CT.

    `slices` are the slices of the CT by the SOPInstanceUIDs of their images: a contour must be in that of its image.

    Raises:
        ContourError: LS-DCM-080 a contour that is not closed and planar, or is not in the plane of the slices;
            LS-DCM-081 contours between or outside the slices of the CT, or in another slice than their image;
            LS-DCM-083 slices without a contour between those with one; LS-DCM-084 contours that overlap partly.
    """
    with quiet():
        dataset = pydicom.dcmread(path, force=True)
    organs = dict.fromkeys(meaning.values())
    masks = {organ: np.zeros(geometry.shape, np.uint8) for organ in organs}
    polygons: dict[Structure, dict[int, list[NDArray[np.float64]]]] = {organ: {} for organ in organs}
    off = total = 0
    for outline in _outlines(dataset):
        organ = meaning.get(_number(outline, "ReferencedROINumber"))
        if organ is None:
            continue
        for contour in items(outline, "ContourSequence"):
            total += 1
            points = _points(contour, organ)
            indices = _indices(points, geometry)
            place = _slice_of(indices, geometry, organ)
            stated = {slices[uid] for uid in _stated(items(contour, "ContourImageSequence")) if uid in slices}
            if place is None or (stated and place not in stated):
                off += 1
            else:
                polygons[organ].setdefault(place, []).append(indices[:, :2])
    if off:
        message = f"{off} of {counted(total, 'contour')} are not in a slice of the CT, or not in that of their image"
        raise ContourError(OFF_SLICES, message)
    for organ, by_slice in polygons.items():
        _check_slices(by_slice, organ)
        for place, contours in by_slice.items():
            masks[organ][:, :, place] = _slice(contours, (geometry.shape[0], geometry.shape[1]), organ)
    return masks


def _check_slices(by_slice: Collection[int], organ: Structure) -> None:
    """Reject slices without a contour between the first and the last one: their part of the volume would be missing."""
    extent = max(by_slice) - min(by_slice) + 1 if by_slice else 0
    if missing := extent - len(by_slice):
        message = f"{missing} of {extent} slices between the first and the last contour of the {organ.key} have none"
        raise ContourError(SKIPPED_SLICES, message)


def _slice(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int], organ: Structure) -> NDArray[np.uint8]:
    """Return the pixels inside an odd number of polygons, which must be nested or apart."""
    distinct = {polygon.tobytes(): polygon for polygon in polygons}
    parts = sorted((inside([polygon], shape) for polygon in distinct.values()), key=np.count_nonzero, reverse=True)
    depth = np.zeros(shape, np.int64)
    for number, part in enumerate(parts):
        depths = np.unique(depth[part > 0])
        repeated = number > 0 and bool(part.any()) and np.array_equal(part, parts[number - 1])
        if repeated or len(depths) > 1:
            raise ContourError(OVERLAPPING, f"contours of the {organ.key} in one slice overlap, and are not nested")
        depth += part
    return (depth % 2).astype(np.uint8)


def inside(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the pixels whose centres are inside an odd number of closed polygons, given in indices of pixel centres.

    >>> inside([np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 3.5], [0.5, 3.5]])], (4, 4)).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    """
    crossed = np.zeros((shape[0] + 1, shape[1]), np.int64)
    for polygon in polygons:
        for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            low, high = sorted((y1, y2))
            rows = np.arange(max(0, int(np.ceil(low))), min(shape[1], int(np.ceil(high))))  # y in [low, high)
            if rows.size:
                x = x1 + (rows - y1) * (x2 - x1) / (y2 - y1)
                np.add.at(crossed, (np.clip(np.ceil(x), 0, shape[0]).astype(np.int64), rows), 1)
    return (crossed[:-1].cumsum(axis=0) % 2).astype(np.uint8)


def _outlines(dataset: Any) -> Sequence[Any]:
    return items(dataset, "ROIContourSequence")


def _points(contour: Any, organ: Structure) -> NDArray[np.float64]:
    """Return the points of a closed planar contour in mm, RAS."""
    kind = text(contour, "ContourGeometricType")
    if kind != "CLOSED_PLANAR":
        kinds = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSEDPLANAR_XOR")
        shown = kind if kind in kinds else "of another kind"
        raise ContourError(UNSUPPORTED_CONTOUR, f"contour of the {organ.key} is {shown}, expected CLOSED_PLANAR")
    values = np.array(contour.get("ContourData") or [], dtype=np.float64)
    stated = _number(contour, "NumberOfContourPoints")
    if stated and values.size != 3 * stated:
        message = f"contour of the {organ.key} has {values.size} coordinates, NumberOfContourPoints is {stated}"
        raise ContourError(CONTRADICTORY, message)
    if values.size < 9 or values.size % 3 or not np.isfinite(values).all():
        message = f"contour of the {organ.key} has {values.size} coordinates, expected three or more points"
        raise ContourError(UNSUPPORTED_CONTOUR, message)
    return np.asarray(values.reshape(-1, 3) * [-1.0, -1.0, 1.0], dtype=np.float64)


def _indices(points: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    inverse = np.linalg.inv(geometry.affine)
    return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3], dtype=np.float64)


def _slice_of(indices: NDArray[np.float64], geometry: Geometry, organ: Structure) -> int | None:
    """Return the slice of a contour; None if it is between slices or outside the CT."""
    across = indices[:, 2]
    spacing = float(np.linalg.norm(geometry.affine[:3, 2]))
    tolerance = max(grid_tolerance_mm(geometry), ROUNDING_MM) / spacing
    if np.ptp(across) > 2 * tolerance:
        message = f"contour of the {organ.key} is not in the plane of a slice of the CT"
        raise ContourError(UNSUPPORTED_CONTOUR, message)
    place = round(float(across.mean()))
    in_matrix = (indices[:, :2] > -1).all() and (indices[:, :2] < geometry.shape[:2]).all()  # no centre is cut off
    return place if abs(across - place).max() <= tolerance and 0 <= place < geometry.shape[2] and in_matrix else None


def _number(item: Any, keyword: str) -> int:
    return int(item.get(keyword, 0) or 0)


def _stated(sequence: Sequence[Any]) -> frozenset[str]:
    return frozenset(text(item, "ReferencedSOPInstanceUID") for item in sequence) - {""}
