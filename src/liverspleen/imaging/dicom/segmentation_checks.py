"""Contradictions between the fields of a DICOM segmentation.

DICOM states much of a segmentation twice. A file in which two statements differ was damaged or written wrongly, and it
is unknown which statement is right. Messages name the fields and quote numbers only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liverspleen.errors import counted
from liverspleen.imaging.dicom.header import SEGMENTATION, integer, numbers, text
from liverspleen.imaging.dicom.placement import Plane
from liverspleen.imaging.dicom.quiet import pydicom
from liverspleen.imaging.dicom.segmentation_frames import GROUPS, Frame, items
from liverspleen.imaging.dicom.stack import ROUNDING_MM, plane_directions
from liverspleen.imaging.geometry import GRID_TOLERANCE

_TYPES = {
    "BINARY": (SEGMENTATION[0], (1,)),
    "FRACTIONAL": (SEGMENTATION[0], (8,)),
    "LABELMAP": (SEGMENTATION[1], (8, 16)),
}
"""SOP class and allowed bits of each SegmentationType (DICOM PS3.3, C.8.20.2)."""

_LOSSLESS = {
    "1.2.840.10008.1.2",  # implicit little endian
    "1.2.840.10008.1.2.1",  # explicit little endian
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202",
}


def unsupported(header: Any) -> str:
    """Return why a segmentation is of a kind that is not read; empty if it is read."""
    stated = {text(header, "SOPClassUID"), text(header.file_meta, "MediaStorageSOPClassUID")} - {""}
    if not stated & set(SEGMENTATION):
        return "SOP class is not Segmentation Storage or Label Map Segmentation Storage"
    if text(header, "SegmentationType") not in _TYPES:
        return f"SegmentationType is not {', '.join(_TYPES)}"
    syntax = text(header.file_meta, "TransferSyntaxUID")
    encapsulated = syntax.startswith("1.2.840.10008.1.2.4") or syntax == pydicom.uid.RLELossless
    if (syntax and syntax not in _LOSSLESS) or (encapsulated and text(header, "SegmentationType") == "BINARY"):
        return "transfer syntax is not one of the lossless ones that are read"
    return ""


def contradictions(header: Any, frames: Sequence[Frame]) -> Iterator[str]:
    """Yield a text for each pair of fields that contradict each other, with the names of the fields."""
    yield from _kind(header)
    yield from _bits(header)
    yield from _numbers(header, frames)
    if (stated := integer(header, "NumberOfFrames")) != len(frames):
        groups = counted(len(frames), "item")
        yield f"NumberOfFrames is {stated}, PerFrameFunctionalGroupsSequence has {groups}"
    yield from _groups(header)
    yield from _dimensions(header, frames)
    yield from _spacing(header, [frame.plane for frame in frames])


def wrong_length(dataset: Any, frames: Sequence[Frame]) -> Iterator[str]:
    """Yield a text if uncompressed pixels have another length than the header states."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    plane = frames[0].plane
    bits = plane.rows * plane.columns * len(frames) * integer(dataset, "BitsAllocated")
    expected, found = (bits + 7) // 8, len(dataset.PixelData)
    if found not in (expected, expected + expected % 2):  # padded to an even length
        yield f"PixelData has {found} bytes, Rows, Columns, NumberOfFrames and BitsAllocated need {expected}"


def _kind(header: Any) -> Iterator[str]:
    in_meta, stated = text(header.file_meta, "MediaStorageSOPClassUID"), text(header, "SOPClassUID")
    if in_meta and stated and in_meta != stated:
        yield "SOPClassUID differs from MediaStorageSOPClassUID of the file meta information"
    kind = text(header, "SegmentationType")
    if _TYPES[kind][0] != (stated or in_meta):
        yield f"SegmentationType is {kind}, SOPClassUID is that of another type"
    if text(header, "Modality") not in ("", "SEG"):
        yield "Modality is not SEG, SOPClassUID is that of a segmentation"
    if kind == "FRACTIONAL":
        if text(header, "SegmentationFractionalType") not in ("PROBABILITY", "OCCUPANCY"):
            yield "SegmentationType is FRACTIONAL, SegmentationFractionalType is not PROBABILITY or OCCUPANCY"
        if not 0 < integer(header, "MaximumFractionalValue") < 256:
            yield "SegmentationType is FRACTIONAL, MaximumFractionalValue is not from 1 to 255"


def _bits(header: Any) -> Iterator[str]:
    kind, allocated = text(header, "SegmentationType"), integer(header, "BitsAllocated")
    if allocated not in (allowed := _TYPES[kind][1]):
        yield f"SegmentationType is {kind}, BitsAllocated is {allocated}, expected {' or '.join(map(str, allowed))}"
    expected = {
        "BitsStored": allocated,
        "HighBit": allocated - 1,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
    }
    for name, value in expected.items():
        found = numbers(header, name, 1)
        if found != (value,) and text(header, name):
            yield f"{name} is {'not a number' if found is None else f'{found[0]:g}'}, BitsAllocated is {allocated}"


def _numbers(header: Any, frames: Sequence[Frame]) -> Iterator[str]:
    numbered = [integer(item, "SegmentNumber") for item in items(header, "SegmentSequence")]
    if len(set(numbered)) < len(numbered):
        yield f"SegmentNumber is repeated: {_list(numbered)}"
    elif numbered != sorted(numbered):  # gaps are a violation too, but common: pydicom-seg leaves out empty segments
        yield f"SegmentNumber is {_list(numbered)}, expected ascending numbers in SegmentSequence"
    unknown = {frame.number for frame in frames if frame.number is not None} - set(numbered)
    if unknown:
        yield f"ReferencedSegmentNumber {_list(sorted(unknown))} of frames is not a SegmentNumber of SegmentSequence"


def _groups(header: Any) -> Iterator[str]:
    """Compare functional groups that are stated for all frames and for single ones."""
    for shared in items(header, "SharedFunctionalGroupsSequence"):
        for name in GROUPS:
            own = [group.get(name) for group in items(header, "PerFrameFunctionalGroupsSequence")]
            if shared.get(name) and any(value and value != shared.get(name) for value in own):
                yield f"{name} differs between SharedFunctionalGroupsSequence and PerFrameFunctionalGroupsSequence"


def _dimensions(header: Any, frames: Sequence[Frame]) -> Iterator[str]:
    """Compare DimensionIndexValues with the values that they number."""
    pointers = [text(item, "DimensionIndexPointer") for item in items(header, "DimensionIndexSequence")]
    if not pointers or not any(frame.indices for frame in frames):
        return
    if any(len(frame.indices) != len(pointers) for frame in frames):
        yield f"DimensionIndexSequence has {len(pointers)} items, DimensionIndexValues of frames have another number"
        return
    for column, pointer in enumerate(pointers):
        indices = [frame.indices[column] for frame in frames]
        if pointer == str(pydicom.tag.Tag("ReferencedSegmentNumber")) and frames[0].number is not None:
            pairs = {(index, frame.number or 0) for index, frame in zip(indices, frames, strict=True)}
            ordered = sorted(pairs)
            if not _one_to_one(pairs) or [pair[1] for pair in ordered] != sorted(pair[1] for pair in pairs):
                yield "ReferencedSegmentNumber of frames contradicts DimensionIndexValues"
        if pointer == str(pydicom.tag.Tag("ImagePositionPatient")):
            at = [tuple(np.round(frame.plane.position, 2).tolist()) for frame in frames]
            numbered = [frame.number for frame in frames]  # pydicom-seg counts from the first slice of each segment
            pairs_at = zip(zip(numbered, indices, strict=True), zip(numbered, at, strict=True), strict=True)
            if not _one_to_one(pairs_at):
                yield "ImagePositionPatient of frames contradicts DimensionIndexValues"


def _spacing(header: Any, planes: Sequence[Plane]) -> Iterator[str]:
    """Compare SpacingBetweenSlices with the positions; frames may be missing between two slices."""
    groups = (*items(header, "SharedFunctionalGroupsSequence"), *items(header, "PerFrameFunctionalGroupsSequence"))
    values = [numbers(measures, "SpacingBetweenSlices", 1) for group in groups for measures in items(group, GROUPS[2])]
    stated = {abs(value[0]) for value in values if value and value[0]}  # 0: not known
    directions = plane_directions(planes[0].orientation)
    if not stated or directions is None:
        return
    normal = np.cross(*directions)
    heights = np.unique(np.round([np.dot(plane.position, normal) for plane in planes], 3))
    spacing = min(stated)
    if len(stated) > 1:
        yield f"SpacingBetweenSlices is {_list(sorted(stated))} mm, expected one number"
        return
    steps = np.diff(heights)
    steps = steps[steps > ROUNDING_MM]
    times = np.maximum(np.rint(steps / spacing), 1)
    if (abs(steps - times * spacing) > times * max(GRID_TOLERANCE * spacing, ROUNDING_MM)).any():
        yield f"SpacingBetweenSlices is {spacing:g} mm, ImagePositionPatient of frames differs by {steps.min():g} mm"


def _one_to_one(pairs: Iterable[tuple[Hashable, Hashable]]) -> bool:
    forward: Mapping[Hashable, set[Hashable]] = defaultdict(set)
    backward: Mapping[Hashable, set[Hashable]] = defaultdict(set)
    for one, other in pairs:
        forward[one].add(other)
        backward[other].add(one)
    return all(len(values) == 1 for values in (*forward.values(), *backward.values()))


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
