"""Reading of a DICOM segmentation onto the grid of a CT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.dicom.header import DAMAGED, integer, numbers, text, transfer_syntax
from liverspleen.imaging.dicom.placement import Placement, Plane, place
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.segmentation import CONTRADICTORY, DAMAGED_SEGMENTATION, Segmentation
from liverspleen.imaging.dicom.segmentation_checks import wrong_length
from liverspleen.imaging.dicom.segmentation_frames import Frame, frames_of, items, pixels_of
from liverspleen.imaging.dicom.stack import SPACING_TOLERANCE, plane_directions
from liverspleen.imaging.dicom.structure_set import ContourError, filled
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure, listed, organs

FRACTIONAL, NO_ORGAN, OFF_GRID, OVERLAP = "LS-DCM-040", "LS-DCM-042", "LS-DCM-043", "LS-DCM-044"
REPEATED_ORGAN = "LS-DCM-071"
_PARALLEL = 1 - 1e-6  # cosine: the far corner of a 500 mm slice is off by 0.7 mm, about a pixel
_HINT = "export the segmentation again from its source"

Pixels = dict[int, NDArray[np.bool_]]
"""Pixels of a frame that belong to each segment number."""


class _RejectedError(Exception):
    def __init__(self, code: str, message: str, hint: str = _HINT) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def read_segmentation(
    segmentation: Segmentation,
    ct_geometry: Geometry,
    *,
    case_id: str,
    values: Mapping[int, Structure] | None = None,
    instance_uids: Sequence[str] = (),
) -> LabelMap:
    """Read a segmentation as a label map on the CT's grid.

    Each frame is placed by its own position and orientation, and its pixels must be voxels of the CT; an empty frame
    may be anywhere. Voxels without a frame are background. Segments without an organ are skipped. `values` gives the
    meaning of segment numbers and replaces their codes and labels; structures of other numbers are not `covered`.
    `instance_uids` are the SOPInstanceUIDs of the CT's slices, in the order of its third native axis: a frame must be
    in the slice of one of its source images.

    Raises:
        InputError: LS-DCM-040 fractional values, LS-DCM-041 file cannot be read, LS-DCM-042 no segment is an organ,
            LS-DCM-043 frames that match no slice of the CT, LS-DCM-044 voxels of two organs, LS-DCM-070 fields or
            pixels contradict each other, LS-DCM-071 several segments are coded as one organ, LS-DCM-075 kind that is
            not supported, LS-DCM-080, 081, 083 and 084 contours that cannot be filled.
    """
    try:
        meaning = _meaning(segmentation, values)
        if segmentation.has_contours:
            masks = filled(segmentation.file, meaning, ct_geometry, _slices(instance_uids))
        else:
            masks = _masks(segmentation.file, meaning, ct_geometry, instance_uids)
        labels = _combined(masks, ct_geometry)
    except ContourError as error:
        hint = "export the structures again as closed planar contours on the slices of this CT"
        raise InputError(Issue(error.code, error.message, hint, case_id)) from None
    except _RejectedError as rejected:
        raise InputError(Issue(rejected.code, rejected.message, rejected.hint, case_id)) from None
    except DAMAGED as damage:
        message = f"segmentation cannot be read or decoded ({type(damage).__name__})"
        raise InputError(Issue(DAMAGED_SEGMENTATION, message, _HINT, case_id)) from None
    covered = tuple(s for s in ORGANS if s in masks)
    return LabelMap(np.ascontiguousarray(ct_geometry.to_canonical(labels)), ct_geometry, covered)


def _meaning(segmentation: Segmentation, values: Mapping[int, Structure] | None) -> Mapping[int, Structure]:
    """Return the organs of the segment numbers; raises `_RejectedError` if they cannot be used."""
    if segmentation.exclusions:
        reasons = "; ".join(reason.message for reason in segmentation.exclusions)
        raise _RejectedError(segmentation.exclusions[0].code, f"segmentation is not read: {reasons}")
    hint = "give the meaning of the segment numbers by label_values="
    meaning = segmentation.meaning(values)
    if not meaning:
        segments = counted(len(segmentation.segments), "segment")
        raise _RejectedError(NO_ORGAN, f"segmentation has {segments}, none known to be {listed('or')}", hint)
    stated = list(meaning.values())
    if values is None and (repeated := [s for s in ORGANS if stated.count(s) > 1]):
        same = listed(keys=[str(number) for number, s in meaning.items() if s == repeated[0]])
        raise _RejectedError(
            REPEATED_ORGAN, f"segments {same} of the segmentation are all coded as {repeated[0].key}", hint
        )
    return meaning


def _masks(
    file: Path, meaning: Mapping[int, Structure], geometry: Geometry, instance_uids: Sequence[str]
) -> dict[Structure, NDArray[np.uint8]]:
    """Return the voxels of each organ, in the native order of the CT; raises `_RejectedError` or one of `DAMAGED`."""
    masks = {s: np.zeros(geometry.shape, np.uint8) for s in organs(s.key for s in meaning.values())}
    slices = _slices(instance_uids)
    seen: set[tuple[int | None, tuple[int, int, int]]] = set()
    unmatched: list[str] = []
    frames = 0
    with quiet():
        for frame, pixels in _organ_frames(file, meaning):
            frames += 1
            labelled = any(part.any() for part in pixels.values())
            if (placement := place(frame.plane, geometry)) is None:
                unmatched += [_differing(frame.plane, geometry)] if labelled else []
                continue
            if labelled and not _in_slice_of_source(frame, placement, slices):
                raise _RejectedError(
                    CONTRADICTORY, "ImagePositionPatient of a frame is not that of its SourceImageSequence"
                )
            if (frame.number, placement.first) in seen:
                raise _RejectedError(CONTRADICTORY, "two frames of one segment have the same ImagePositionPatient")
            seen.add((frame.number, placement.first))
            for number, part in pixels.items():
                placement.view(masks[meaning[number]])[part] = 1
    if unmatched:
        message = f"{len(unmatched)} of {counted(frames, 'frame')} of the segmentation match no slice of the CT"
        message += f": {', '.join(dict.fromkeys(unmatched))}"
        raise _RejectedError(OFF_GRID, message, "use the segmentation of this series, or resample it to the CT")
    return masks


def _slices(instance_uids: Sequence[str]) -> dict[str, int]:
    """Return the slice of each SOPInstanceUID that is unique."""
    return {uid: index for index, uid in enumerate(instance_uids) if uid and instance_uids.count(uid) == 1}


def _differing(plane: Plane, geometry: Geometry) -> str:
    """Return which field of a plane makes it no slice of the grid."""
    directions = plane_directions(plane.orientation)
    edges = np.linalg.norm(geometry.affine[:3, :3], axis=0)
    if directions is not None:
        along = abs((geometry.affine[:3, :3] / edges).T @ (np.array(directions) * [-1, -1, 1]).T)  # axis, direction
        axes = along.argmax(axis=0)
        if axes[0] != axes[1] and along.max(axis=0).min() > _PARALLEL:
            stated = np.array(plane.pixel_spacing)[::-1]
            same = np.allclose(stated, edges[axes], rtol=10 * SPACING_TOLERANCE)
            return "other ImagePositionPatient, Rows or Columns" if same else "other PixelSpacing"
    return "other ImageOrientationPatient"


def _in_slice_of_source(frame: Frame, placement: Placement, slices: Mapping[str, int]) -> bool:
    """Whether a frame is in the slice of one of its source images, as far as they are slices of the CT."""
    stated = {slices[uid] for uid in frame.sources if uid in slices}
    across = {placement.column_axis, placement.row_axis} != {0, 1}
    return across or not stated or placement.slice_index in stated


def _organ_frames(file: Path, meaning: Mapping[int, Structure]) -> Iterator[tuple[Frame, Pixels]]:
    """Yield each frame that may show a segment of `meaning`, with its pixels."""
    dataset = pydicom.dcmread(file, force=True)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax(dataset))
    frames = frames_of(dataset)
    if found := [*wrong_length(dataset, frames)]:
        raise _RejectedError(CONTRADICTORY, "; ".join(found))
    selected = [index for index, frame in enumerate(frames) if frame.number is None or frame.number in meaning]
    for index, pixels in zip(selected, pixels_of(dataset, frames, selected), strict=True):
        number = frames[index].number
        if number is None:
            _check_values(dataset, pixels)
            yield frames[index], {value: pixels == value for value in meaning}
        else:
            yield frames[index], {number: _full(dataset, pixels)}


def _full(dataset: Any, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels of a segment; raises `_RejectedError` if they are neither empty nor full."""
    full = integer(dataset, "MaximumFractionalValue") if text(dataset, "SegmentationType") == "FRACTIONAL" else 1
    labelled: NDArray[np.bool_] = pixels == full
    if (labelled != (pixels != 0)).any():
        message = f"fractional segmentation has values other than 0 and {full}"
        raise _RejectedError(FRACTIONAL, message, "export the segmentation as a binary segmentation")
    return labelled


def _check_values(dataset: Any, pixels: NDArray[Any]) -> None:
    """Reject values of a label map that are neither background nor a segment."""
    padding = numbers(dataset, "PixelPaddingValue", 1) or ()
    known = {0, *padding, *(integer(item, "SegmentNumber") for item in items(dataset, "SegmentSequence"))}
    if unknown := sorted(set(np.unique(pixels).tolist()) - known):
        raise _RejectedError(CONTRADICTORY, f"PixelData has the value {unknown[0]}, which is not a SegmentNumber")


def _combined(masks: Mapping[Structure, NDArray[np.uint8]], geometry: Geometry) -> NDArray[np.uint8]:
    """Return masks as label values; raises `_RejectedError` if two organs share voxels."""
    labels = np.zeros(geometry.shape, np.uint8)
    for structure, mask in masks.items():
        if (shared := labels[mask > 0]).any():
            other = Structure(int(shared.max()))
            voxels = counted(int(np.count_nonzero(shared)), "voxel")
            message = f"segmentation assigns {voxels} to both {other.key} and {structure.key}"
            raise _RejectedError(OVERLAP, message, "correct the segmentation")
        labels[mask > 0] = structure
    return labels
