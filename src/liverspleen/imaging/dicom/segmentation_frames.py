"""Frames of a DICOM segmentation: position, segment, source images, and pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.dicom.codestream import check_runs, check_stated_size
from liverspleen.imaging.dicom.header import integer, numbers, text
from liverspleen.imaging.dicom.placement import Plane
from liverspleen.imaging.dicom.quiet import pydicom

T = TypeVar("T")

GROUPS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "SegmentIdentificationSequence")
"""Functional groups that place a frame and give its segment."""


class IncompleteError(ValueError):
    """A field that is needed is missing or not valid; the text names the field and quotes no value."""


@dataclass(frozen=True)
class Frame:
    """One frame: its plane, its segment number (None in a label map, whose pixels hold it), and its source images.

    `sources` are SOPInstanceUIDs. `indices` are the DimensionIndexValues, empty if they are not stated.
    """

    plane: Plane
    number: int | None
    sources: tuple[str, ...]
    indices: tuple[int, ...]


def frames_of(header: Any) -> tuple[Frame, ...]:
    """Return the frames that the functional groups describe.

    Raises:
        IncompleteError: a frame has no plane or no segment.
    """
    shared = only_item(header, "SharedFunctionalGroupsSequence") or pydicom.Dataset()
    label_map = text(header, "SegmentationType") == "LABELMAP"
    matrix = _stated(integer(header, "Rows"), "Rows"), _stated(integer(header, "Columns"), "Columns")
    frames = tuple(
        _frame(item, shared, label_map, matrix) for item in items(header, "PerFrameFunctionalGroupsSequence")
    )
    return _stated(frames, "PerFrameFunctionalGroupsSequence")


def items(dataset: Any, name: str) -> Sequence[Any]:
    """Return the items of a sequence; empty if it is absent."""
    value = dataset.get(name)
    if value is None or isinstance(value, pydicom.sequence.Sequence):
        return value or ()
    raise IncompleteError(f"{name} is not a sequence")


def only_item(dataset: Any, name: str) -> Any | None:
    """Return the item of a sequence of one; None if it is absent or empty.

    Raises:
        IncompleteError: it has several items.
    """
    found = items(dataset, name)
    if len(found) > 1:
        raise IncompleteError(f"{name} has {len(found)} items, expected one")
    return found[0] if found else None


def pixels_of(dataset: Any, frames: Sequence[Frame], indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Yield the pixels of the frames with these indices, (row, column), one frame at a time."""
    plane = frames[0].plane
    if integer(dataset, "BitsAllocated") == 1:
        yield from _unpacked(dataset.PixelData, plane, indices)
        return
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_encoded(dataset, plane, len(frames))
    decoded: Iterable[NDArray[Any]] = pydicom.pixels.iter_pixels(dataset, indices=list(indices)) if indices else ()
    for pixels in decoded:
        if pixels.shape != (plane.rows, plane.columns):
            raise IncompleteError("PixelData has another matrix than Rows and Columns")
        yield pixels


def _frame(item: Any, shared: Any, label_map: bool, matrix: tuple[int, int]) -> Frame:
    position, orientation, measures, identity = (
        only_item(item, name) or only_item(shared, name) or pydicom.Dataset() for name in GROUPS
    )
    spacing = numbers(measures, "PixelSpacing", 2)
    plane = Plane(
        _stated(numbers(position, "ImagePositionPatient", 3), "ImagePositionPatient"),
        _stated(numbers(orientation, "ImageOrientationPatient", 6), "ImageOrientationPatient"),
        _stated(spacing if spacing and min(spacing) > 0 else None, "PixelSpacing"),
        *matrix,
    )
    number = None if label_map else _stated(integer(identity, "ReferencedSegmentNumber"), "ReferencedSegmentNumber")
    sources = tuple(
        uid
        for derivation in (*items(item, "DerivationImageSequence"), *items(shared, "DerivationImageSequence"))
        for source in items(derivation, "SourceImageSequence")
        if (uid := text(source, "ReferencedSOPInstanceUID"))
    )
    content = only_item(item, "FrameContentSequence") or pydicom.Dataset()
    values = text(content, "DimensionIndexValues")
    return Frame(plane, number, sources, tuple(int(part) for part in values.split("\\")) if values else ())


def _stated(value: T | None, name: str) -> T:
    if not value:
        raise IncompleteError(f"{name} is missing or not valid")
    return value


def _unpacked(packed: bytes, plane: Plane, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of single bits, which are stored without padding: a frame may start within a byte."""
    size = plane.rows * plane.columns
    for index in indices:
        first = index * size
        part = np.frombuffer(packed[first // 8 : (first + size + 7) // 8], np.uint8)
        bits = np.unpackbits(part, bitorder="little")[first % 8 :][:size]
        yield bits.reshape(plane.rows, plane.columns)


def _check_encoded(dataset: Any, plane: Plane, count: int) -> None:
    """Reject compressed frames that would decode to another size than the header states."""
    syntax = dataset.file_meta.TransferSyntaxUID
    for frame in pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=count):
        if syntax == pydicom.uid.RLELossless:
            check_runs(frame, plane.rows * plane.columns * integer(dataset, "BitsAllocated") // 8)
        else:
            check_stated_size(frame, str(syntax), plane.rows, plane.columns)
