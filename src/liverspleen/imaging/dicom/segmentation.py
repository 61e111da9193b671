"""Finding of DICOM segmentations, and what their headers state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.imaging.dicom.folders import files_below
from liverspleen.imaging.dicom.header import DAMAGED, SEGMENTATION, integer, open_header, text
from liverspleen.imaging.dicom.placement import Plane
from liverspleen.imaging.dicom.quiet import quiet
from liverspleen.imaging.dicom.segment_meaning import contradictory_names, meaning_of
from liverspleen.imaging.dicom.segmentation_checks import contradictions, unsupported
from liverspleen.imaging.dicom.segmentation_frames import IncompleteError, frames_of, items
from liverspleen.imaging.dicom.series import Reason
from liverspleen.imaging.dicom.structure_set import described, is_structure_set
from liverspleen.organs import Structure
from liverspleen.storage import StrPath

DAMAGED_SEGMENTATION, CONTRADICTORY, UNSUPPORTED = "LS-DCM-041", "LS-DCM-070", "LS-DCM-075"

_FIELDS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ContentDate",
    "ContentTime",
    "ReferencedSeriesSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
    "SourceImageSequence",
    "ReferencedImageSequence",
    "SamplesPerPixel",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SegmentationType",
    "SegmentationFractionalType",
    "MaximumFractionalValue",
    "SegmentSequence",
    "DimensionIndexSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True)
class Segmentation:
    """One DICOM segmentation, as described by its header.

    `segments` maps each segment number to its organ: by the SNOMED property type, or without one by a label that is the
    name of an organ (in any letter case); None if it is unknown. `framed` are the numbers that have frames; None for a
    label map, whose pixels hold them. `exclusions` is empty for a readable segmentation. UIDs, the folder (relative to
    the root of the search) and `created` (ContentDate and ContentTime) are private, "" or empty if not stated, and
    `repr` omits them.
    """

    file: Path
    segments: Mapping[int, Structure | None]
    exclusions: tuple[Reason, ...] = ()
    folder: str = "."
    framed: frozenset[int] | None = None
    planes: tuple[Plane, ...] = ()
    """of the frames, each once"""
    uids: tuple[str, ...] = ()
    """SOPInstanceUID and SeriesInstanceUID of the segmentation itself"""
    created: str = ""
    algorithm: str = ""
    """SegmentAlgorithmType if all segments have the same; "" for other values than those of the standard"""
    source_uids: frozenset[str] = frozenset()
    """SOPInstanceUIDs of the source images of frames"""
    referenced_uids: frozenset[str] = frozenset()
    """SOPInstanceUIDs of images that the file as a whole refers to"""
    referenced_series: frozenset[str] = frozenset()
    """SeriesInstanceUIDs of ReferencedSeriesSequence, in this and other studies"""
    frame_of_reference_uid: str = ""
    has_contours: bool = False
    """a structure set (RTSTRUCT), whose segments are structures given by contours"""

    def __repr__(self) -> str:
        return f"Segmentation({dict(self.segments)}, exclusions={self.exclusions})"

    def meaning(self, values: Mapping[int, Structure] | None) -> Mapping[int, Structure]:
        """Return the organs of the segment numbers: by `values` if they are given, else by codes and labels."""
        stated = self.segments if values is None else values
        return {number: organ for number in self.segments if (organ := stated.get(number))}


def find_segmentations(root: StrPath) -> tuple[Segmentation, ...]:
    """Return every DICOM segmentation and structure set below `root`, by the rules of `find_series`.

    They are in the order of folders and names.

    Reasons for exclusion: LS-DCM-041 the header cannot be read, LS-DCM-070 its fields contradict each other, LS-DCM-075
    a kind that is not supported.
    """
    found = []
    for path, folder, is_file in files_below(Path(root)):
        if is_file:
            with quiet():
                if (segmentation := _found(path, folder)) is not None:
                    found.append(segmentation)
    return tuple(sorted(found, key=lambda segmentation: segmentation.folder))


def _found(path: Path, folder: str) -> Segmentation | None:
    try:
        short = open_header(path, ("SOPClassUID", "Modality"))
    except DAMAGED:
        return None  # find_series reports it
    if short is None:
        return None
    if is_structure_set(short):
        return _structures(path, folder)
    classes = {text(short, "SOPClassUID"), text(short.file_meta, "MediaStorageSOPClassUID")}
    if not classes & set(SEGMENTATION) and text(short, "Modality") != "SEG":
        return None
    segments: dict[int, Structure | None] = {}
    try:
        header: Any = open_header(path, _FIELDS, limit_bytes=None)  # the positions of all frames are one large value
        if reason := unsupported(header):
            return Segmentation(path, segments, (Reason(UNSUPPORTED, reason),), folder)
        segments |= {integer(item, "SegmentNumber"): meaning_of(item) for item in items(header, "SegmentSequence")}
        return _described(header, path, folder, segments)
    except IncompleteError as missing:
        message = f"header of the segmentation cannot be read: {missing}"
    except DAMAGED as damage:
        message = f"header of the segmentation cannot be read ({type(damage).__name__})"
    return Segmentation(path, segments, (Reason(DAMAGED_SEGMENTATION, message),), folder)


def _structures(path: Path, folder: str) -> Segmentation:
    try:
        return Segmentation(file=path, folder=folder, **described(path))
    except DAMAGED as damage:
        message = f"structure set cannot be read ({type(damage).__name__})"
        return Segmentation(path, {}, (Reason(DAMAGED_SEGMENTATION, message),), folder)


def _described(header: Any, path: Path, folder: str, segments: Mapping[int, Structure | None]) -> Segmentation:
    frames = frames_of(header)
    found = [*contradictions(header, frames), *contradictory_names(header)]
    others = items(header, "StudiesContainingOtherReferencedInstancesSequence")
    referenced = [series for place in (header, *others) for series in items(place, "ReferencedSeriesSequence")]
    instances = [image for series in referenced for image in items(series, "ReferencedInstanceSequence")]
    instances += [*items(header, "SourceImageSequence"), *items(header, "ReferencedImageSequence")]
    numbers = {frame.number for frame in frames}
    return Segmentation(
        file=path,
        segments={number: meaning for number, meaning in segments.items() if number},
        exclusions=(Reason(CONTRADICTORY, "; ".join(found)),) if found else (),
        folder=folder,
        framed=None if None in numbers else frozenset(number for number in numbers if number),
        planes=tuple(dict.fromkeys(frame.plane for frame in frames)),
        uids=(text(header, "SOPInstanceUID"), text(header, "SeriesInstanceUID")),
        created=text(header, "ContentDate") + text(header, "ContentTime"),
        algorithm=_algorithm(header),
        source_uids=frozenset(uid for frame in frames for uid in frame.sources),
        referenced_uids=_stated(instances, "ReferencedSOPInstanceUID"),
        referenced_series=_stated(referenced, "SeriesInstanceUID"),
        frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
    )


def _algorithm(header: Any) -> str:
    stated = {text(item, "SegmentAlgorithmType") for item in items(header, "SegmentSequence")}
    return stated.pop() if len(stated) == 1 and stated <= {"MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"} else ""


def _stated(sequence: Sequence[Any], keyword: str) -> frozenset[str]:
    return frozenset(text(item, keyword) for item in sequence) - {""}
