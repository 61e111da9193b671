"""DICOM segmentations of boxes, written with pydicom alone: nothing of this project decides what they state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

Box = tuple[slice, slice, slice]

LIVER: Box = (slice(1, 5), slice(4, 14), slice(3, 10))  # slice, row, column
SPLEEN: Box = (slice(2, 4), slice(20, 26), slice(20, 25))
LIVER_VOXELS, SPLEEN_VOXELS = 4 * 10 * 7, 2 * 6 * 5
BOXES: Mapping[str, Box] = {"liver": LIVER, "spleen": SPLEEN}
CODES = {"liver": ("SCT", "10200004"), "spleen": ("SCT", "78961009")}
EVERY = ("derivation", "instances", "series", "frame")


def item(**fields: object) -> Dataset:
    """A data set with these fields."""
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def segmentation(
    sources: Sequence[Path],
    boxes: Mapping[str, Box] = BOXES,
    *,
    kind: str = "BINARY",
    codes: Mapping[str, tuple[str, str]] = CODES,
    links: Sequence[str] = EVERY,
    uid: str = "2.25.1",
) -> FileDataset:
    """A segmentation of boxes in the CT of these files, which are in the order of the slices.

    `links` are the statements about the CT. Slices without the organ have no frame.
    """
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in sources]
    first = headers[0]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.UID("1.2.840.10008.5.1.4.1.1.66." + ("7" if kind == "LABELMAP" else "4"))
    meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(uid)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    dataset.Modality, dataset.SeriesInstanceUID = "SEG", f"{uid}.1"
    dataset.ContentDate, dataset.ContentTime = "20200101", "120000"
    dataset.StudyInstanceUID, dataset.PatientID = first.StudyInstanceUID, first.PatientID
    if "frame" in links:
        dataset.FrameOfReferenceUID = first.FrameOfReferenceUID
    if "series" in links:
        dataset.ReferencedSeriesSequence = [item(SeriesInstanceUID=first.SeriesInstanceUID)]
        if "instances" in links:
            instances = [item(ReferencedSOPInstanceUID=header.SOPInstanceUID) for header in headers]
            dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence = instances
    bits = 1 if kind == "BINARY" else 8
    dataset.SegmentationType, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = kind, 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.PixelRepresentation = first.Rows, first.Columns, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    if kind == "FRACTIONAL":
        dataset.SegmentationFractionalType, dataset.MaximumFractionalValue = "OCCUPANCY", 200
    dataset.SegmentSequence = [
        item(
            SegmentNumber=number,
            SegmentLabel=organ.upper(),
            SegmentAlgorithmType="MANUAL",
            SegmentedPropertyTypeCodeSequence=[
                item(CodingSchemeDesignator=codes[organ][0], CodeValue=codes[organ][1], CodeMeaning=organ.title())
            ],
        )
        for number, organ in enumerate(boxes, 1)
    ]
    dataset.DimensionIndexSequence = [
        item(DimensionIndexPointer=pydicom.tag.Tag(name))
        for name in ("ReferencedSegmentNumber", "ImagePositionPatient")
    ]
    spacing = float(headers[1].ImagePositionPatient[2] - first.ImagePositionPatient[2])
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(first.ImageOrientationPatient))],
            PixelMeasuresSequence=[
                item(PixelSpacing=list(first.PixelSpacing), SpacingBetweenSlices=spacing, SliceThickness=spacing)
            ],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence, frames = [], []
    shown = [np.zeros((len(headers), first.Rows, first.Columns), np.uint8) for _ in boxes]
    for mask, box in zip(shown, boxes.values(), strict=True):
        mask[box] = 1
    if kind == "LABELMAP":
        shown = [sum((number * mask for number, mask in enumerate(shown, 1)), np.zeros_like(shown[0]))]
    for number, mask in enumerate(shown, 1):
        for index, (pixels, header) in enumerate(zip(mask, headers, strict=True)):
            if pixels.any():
                frames.append(pixels)
                dataset.PerFrameFunctionalGroupsSequence.append(frame(number, index, header, "derivation" in links))
    dataset.NumberOfFrames = len(frames)
    if kind == "LABELMAP":
        del dataset.DimensionIndexSequence
    put(dataset, np.array(frames))
    return dataset


def frame(number: int, index: int, header: Dataset, derivation: bool = True) -> Dataset:
    """The functional groups of the frame of a segment in the slice with this header."""
    groups = item(
        PlanePositionSequence=[item(ImagePositionPatient=list(header.ImagePositionPatient))],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
        FrameContentSequence=[item(DimensionIndexValues=[number, index + 1])],
    )
    if derivation:
        source = item(ReferencedSOPInstanceUID=header.SOPInstanceUID)
        groups.DerivationImageSequence = [item(SourceImageSequence=[source])]
    return groups


def put(dataset: Dataset, frames: NDArray[np.uint8]) -> None:
    """Store frames of 0 and 1, or of segment numbers."""
    if dataset.SegmentationType == "BINARY":
        content = np.packbits(frames.ravel(), bitorder="little").tobytes()
    else:
        content = (frames * dataset.get("MaximumFractionalValue", 1)).astype(np.uint8).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB"


def save(dataset: FileDataset, file: Path) -> Path:
    """Write the data set, whatever its values are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        dataset.save_as(file)
    return file
