"""Frames of an Enhanced (multi-frame) CT, each with the header fields that a file of one slice would have.

An Enhanced CT states what differs between frames, and what all frames share, in functional groups (DICOM PS3.3,
C.7.6.16 and C.8.15).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from liverspleen.imaging.dicom.header import ENHANCED_CT, FIELDS, Instance, instance_of, integer, open_header, text
from liverspleen.imaging.dicom.quiet import pydicom
from liverspleen.imaging.dicom.segmentation_frames import items, only_item

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"

_GROUPS = {
    "PlanePositionSequence": {"ImagePositionPatient": "ImagePositionPatient"},
    "PlaneOrientationSequence": {"ImageOrientationPatient": "ImageOrientationPatient"},
    "PixelMeasuresSequence": {"PixelSpacing": "PixelSpacing", "SliceThickness": "SliceThickness"},
    "PixelValueTransformationSequence": {k: k for k in ("RescaleSlope", "RescaleIntercept", "RescaleType")},
    "CTImageFrameTypeSequence": {"FrameType": "ImageType"},
    "FrameContentSequence": {"FrameAcquisitionNumber": "AcquisitionNumber", "FrameAcquisitionDateTime": "ContentTime"},
}
"""Functional groups, and the field of a file of one slice that each of their fields stands for."""

_DROPPED = {name for fields in _GROUPS.values() for name in fields.values()} - {"ImageType"}
_DROPPED |= {SHARED, PER_FRAME, "NumberOfFrames", "PixelData"}


def read_instances(path: Path, folder: str) -> list[Instance]:
    """Return the slices of a file, several for an Enhanced CT; empty if it is not DICOM, or is a DICOMDIR.

    An Enhanced CT whose functional groups cannot be used is one instance, with the reason in `problem`.

    Raises:
        One of `DAMAGED`: the file is DICOM, but its header cannot be read.
    """
    header = open_header(path, FIELDS)
    if header is None:
        return []
    whole = instance_of(header, path, folder)
    if whole.sop_class not in ENHANCED_CT:
        return [whole]
    complete = open_header(path, (*FIELDS, SHARED, PER_FRAME), limit_bytes=None)  # groups of all frames are one value
    try:
        frames = frame_headers(complete)
    except ValueError as error:
        return [instance_of(header, path, folder, problem=str(error))]
    return [instance_of(frame, path, folder, frame=number) for number, frame in enumerate(frames)]


def frame_headers(header: Any) -> list[Any]:
    """Return the header of each frame of an Enhanced CT, in the order of the file, as of a file of one slice.

    Groups of a frame have precedence over shared ones. Fields of groups that are outside them do not count.

    Raises:
        ValueError: NumberOfFrames is not that of the functional groups, or a group has several items; the text quotes
            no header.
    """
    frames = items(header, PER_FRAME)
    if not frames or len(frames) != (integer(header, "NumberOfFrames") or 1):
        message = f"NumberOfFrames is {integer(header, 'NumberOfFrames')}, {PER_FRAME} has {len(frames)} items"
        raise ValueError(message)
    shared = only_item(header, SHARED) or pydicom.Dataset()
    dropped = {pydicom.tag.Tag(keyword) for keyword in _DROPPED}
    common = {tag: header.get_item(tag) for tag in header.keys() if tag not in dropped}  # noqa: SIM118
    return [_frame_header(header, common, frame, shared) for frame in frames]


def _frame_header(whole: Any, common: Any, frame: Any, shared: Any) -> Any:
    header = pydicom.Dataset()
    header.update(common)
    header.file_meta = whole.file_meta
    header.set_original_encoding(*whole.original_encoding, whole.original_character_set)
    for group, fields in _GROUPS.items():
        stated = only_item(frame, group) or only_item(shared, group) or pydicom.Dataset()
        for keyword, name in fields.items():
            if value := text(stated, keyword):
                header[name] = pydicom.DataElement(pydicom.tag.Tag(name), pydicom.datadict.dictionary_VR(name), value)
    return header


def frame_reader(dataset: Any) -> Callable[[int], Any]:
    """Return a function that gives a frame of an Enhanced CT as data set of one slice with its pixels.

    Raises:
        ValueError: as `frame_headers`, or its compressed frames cannot be separated.
    """
    headers, pixels = frame_headers(dataset), dataset.PixelData
    rows, columns, bits = (integer(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
    size = rows * columns * bits // 8
    encoded: Sequence[bytes] = ()
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        encoded = tuple(pydicom.encaps.generate_frames(pixels, number_of_frames=len(headers)))

    def frame(index: int) -> Any:
        header = headers[index]
        if encoded:
            header.add_new("PixelData", "OB", pydicom.encaps.encapsulate([encoded[index]]))
        else:
            header.add_new("PixelData", "OW", pixels[index * size : (index + 1) * size])
        return header

    return frame
