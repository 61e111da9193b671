"""The used fields of the header of one DICOM file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from liverspleen.imaging.dicom.fields import DAMAGED, integer, numbers, text
from liverspleen.imaging.dicom.pixel_values import (
    PADDING,
    RESCALING,
    Padding,
    Rescaling,
    bits,
    is_signed,
    padding,
    rescaling,
)
from liverspleen.imaging.dicom.quiet import pydicom

__all__ = [
    "CT_IMAGE",
    "DAMAGED",
    "ENHANCED_CT",
    "FIELDS",
    "SEGMENTATION",
    "Instance",
    "check_inflated",
    "instance_of",
    "integer",
    "numbers",
    "open_header",
    "text",
    "transfer_syntax",
]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # the second: legacy converted
SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # binary or fractional, and label map
_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"

_PREAMBLE = 128
_INFLATED_LIMIT = 1 << 28  # bytes of one inflated file: eight times those of a slice of 4096 x 4096
_VALUE_LIMIT = 1 << 16  # bytes of one field; the fields read here need some hundred at most
FIELDS = (
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "ContentTime",
    "AcquisitionTime",
    "Modality",
    "SeriesDescription",
    "ProtocolName",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "SliceThickness",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "AcquisitionNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    *PADDING,
    *RESCALING,
)


@dataclass(frozen=True)
class Instance:
    """Fields of one slice. Text is "" and numbers are None or 0 if a field is absent, empty or of a wrong type.

    `frame` is the index of the slice in a multi-frame file, None for a file of one slice. `problem` is why the frames
    of a file cannot be used, "" if they can.
    """

    path: Path
    folder: str
    transfer_syntax: str
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    instance_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    sex: str
    age: str
    series_number: str
    description: str
    contrast: str
    marks: tuple[str, ...]
    """fields that have the same value in all files of a series"""
    acquisition: tuple[str, ...]
    """number and times of the acquisition"""
    frames: int
    samples: int
    rows: int
    columns: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness_mm: float | None
    photometric: str
    bits: tuple[int, int, int]
    """BitsAllocated, BitsStored and HighBit"""
    signed: bool
    rescaling: Rescaling
    padding: Padding | None
    frame: int | None = None
    problem: str = ""

    @property
    def identity(self) -> tuple[str, int | None]:
        """SOPInstanceUID and frame; the UID is "" if it is not stated."""
        return self.instance_uid, self.frame


def open_header(path: Path, fields: tuple[str, ...], *, limit_bytes: int | None = _VALUE_LIMIT) -> Any | None:
    """Read the given fields of a file, without pixels; return None if it is not DICOM, or is a DICOMDIR.

    A file without the DICOM preamble is DICOM if it begins with an element of group 0002 or 0008. Other fields are
    skipped, and values of more than `limit_bytes` are not loaded.

    Raises:
        One of `DAMAGED`: the file is DICOM, but its header cannot be read.
    """
    with path.open("rb") as handle:
        if not (marked := is_marked(handle)):
            return None
        check_inflated(handle)
    dataset = pydicom.dcmread(
        path, stop_before_pixels=True, specific_tags=list(fields), defer_size=limit_bytes, force=True
    )
    found = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
    if found == _DIRECTORY:
        return None
    if found and not len(dataset) and marked == "preamble":
        raise ValueError("no data set follows the file meta information")
    if not found and not text(dataset, "Modality"):
        if marked == "preamble":
            raise ValueError("SOP class and modality are missing")
        return None
    return dataset


def is_marked(handle: BinaryIO) -> str:
    """Return `preamble`, `bare` (no preamble, but the first element is a DICOM element), or empty if not DICOM."""
    head = handle.read(_PREAMBLE + 4)
    if head[_PREAMBLE:] == b"DICM":
        return "preamble"
    return "bare" if head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0" and len(head) > _PREAMBLE else ""


def check_inflated(handle: BinaryIO) -> None:
    """Reject a deflated file that would fill the memory; other files are not checked.

    Raises:
        ValueError: it inflates to more than 256 MiB.
    """
    handle.seek(_PREAMBLE)
    if handle.read(4) != b"DICM":
        return
    meta = pydicom.filereader._read_file_meta_info(handle)
    if text(meta, "TransferSyntaxUID") != _DEFLATED:
        return
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while block := handle.read(1 << 16):
        while block:
            size += len(inflate.decompress(block, 1 << 20))
            block = inflate.unconsumed_tail
            if size > _INFLATED_LIMIT:
                raise ValueError("file inflates to more than the limit")


def instance_of(dataset: Any, path: Path, folder: str, *, frame: int | None = None, problem: str = "") -> Instance:
    """Return the fields of a header with `FIELDS`; `folder` is that of the file."""
    description = text(dataset, "SeriesDescription")
    number = text(dataset, "SeriesNumber")
    world = text(dataset, "FrameOfReferenceUID")
    sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
    return Instance(
        path=path,
        folder=folder,
        transfer_syntax=transfer_syntax(dataset),
        sop_class=sop_class,
        modality=text(dataset, "Modality").upper() or ("CT" if sop_class == CT_IMAGE else ""),
        image_type=tuple(part.strip().upper() for part in text(dataset, "ImageType").split("\\")),
        instance_uid=text(dataset, "SOPInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        sex=text(dataset, "PatientSex"),
        age=text(dataset, "PatientAge"),
        series_number=number,
        description=description,
        contrast=f"{text(dataset, 'ProtocolName')} {text(dataset, 'ContrastBolusAgent')}",
        marks=(number, description, world, text(dataset, "ConvolutionKernel")),
        acquisition=tuple(text(dataset, k) for k in ("AcquisitionNumber", "AcquisitionTime", "ContentTime")),
        frames=integer(dataset, "NumberOfFrames") or 1,
        samples=integer(dataset, "SamplesPerPixel") or 1,
        rows=integer(dataset, "Rows"),
        columns=integer(dataset, "Columns"),
        position=numbers(dataset, "ImagePositionPatient", 3),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(dataset, "PixelSpacing", 2),
        thickness_mm=(numbers(dataset, "SliceThickness", 1) or (None,))[0],
        photometric=text(dataset, "PhotometricInterpretation").upper(),
        bits=bits(dataset),
        signed=is_signed(dataset),
        rescaling=rescaling(dataset),
        padding=padding(dataset),
        frame=frame,
        problem=problem,
    )


def transfer_syntax(dataset: Any) -> str:
    """Return the UID of the transfer syntax; if the file states none, the encoding that pydicom detected."""
    stated = text(dataset.file_meta, "TransferSyntaxUID")
    if stated:
        return stated
    implicit, little = dataset.original_encoding
    if implicit:
        return str(pydicom.uid.ImplicitVRLittleEndian)
    return str(pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian)
