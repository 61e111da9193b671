"""The header of one DICOM file: the fields that are used, and nothing else of it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from liverspleen.imaging.dicom.quiet import pydicom

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # by bits, and label map
_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"

DAMAGED = (
    pydicom.errors.InvalidDicomError,
    pydicom.errors.BytesLengthException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    OSError,
    EOFError,
    RecursionError,
    MemoryError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on bytes that are no sound DICOM."""

_PREAMBLE = 128
_INFLATED_LIMIT = 1 << 28  # bytes of one deflated file: a slice of 4096 x 4096 needs an eighth of it
_VALUE_LIMIT = 1 << 16  # bytes of one field; those read here need some hundred at most
_FIELDS = (
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
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
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
)


@dataclass(frozen=True)
class Instance:
    """What one file says. Text is "" and numbers are None or 0 where a field is absent, empty or not of its kind."""

    path: Path
    folder: str
    transfer_syntax: str
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    series_uid: str
    study_uid: str
    patient_id: str
    sex: str
    age: str
    series_number: str
    description: str
    contrast: str
    marks: tuple[str, ...]
    """fields that are equal in all files of one series"""
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
    rescaled: bool
    rescale_type: str


def open_header(path: Path, fields: tuple[str, ...], *, limit_bytes: int | None = _VALUE_LIMIT) -> Any | None:
    """The data set of a file with those fields alone and no pixels; None for a file that is no DICOM, or a DICOMDIR.

    A file without the DICOM preamble counts if it begins with an element of the groups 0002 or 0008. Elements that are
    not asked for are passed over, and values of more than `limit_bytes` are not loaded.

    Raises:
        One of `DAMAGED`: it is DICOM, and its header cannot be read.
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
        raise ValueError("no data set follows the file's own header")
    if not found and not text(dataset, "Modality"):
        if marked == "preamble":
            raise ValueError("neither SOP class nor modality")
        return None
    return dataset


def is_marked(handle: BinaryIO) -> str:
    """`preamble`, `bare` (no preamble, yet the first element is one of DICOM's) or empty."""
    head = handle.read(_PREAMBLE + 4)
    if head[_PREAMBLE:] == b"DICM":
        return "preamble"
    return "bare" if head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0" and len(head) > _PREAMBLE else ""


def check_inflated(handle: BinaryIO) -> None:
    """Reject a deflated file that would fill the memory; others are not looked at.

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
                raise ValueError("inflates beyond the limit")


def read_instance(path: Path, folder: str) -> Instance | None:
    """What a file says; None for one that is no DICOM, or a DICOMDIR. `folder` is the name of its folder.

    Raises:
        One of `DAMAGED`: it is DICOM, and its header cannot be read.
    """
    dataset = open_header(path, _FIELDS)
    if dataset is None:
        return None
    description = text(dataset, "SeriesDescription")
    number = text(dataset, "SeriesNumber")
    frame = text(dataset, "FrameOfReferenceUID")
    return Instance(
        path=path,
        folder=folder,
        transfer_syntax=transfer_syntax(dataset),
        sop_class=text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID"),
        modality=text(dataset, "Modality").upper(),
        image_type=tuple(part.strip().upper() for part in text(dataset, "ImageType").split("\\")),
        series_uid=text(dataset, "SeriesInstanceUID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        sex=text(dataset, "PatientSex"),
        age=text(dataset, "PatientAge"),
        series_number=number,
        description=description,
        contrast=f"{text(dataset, 'ProtocolName')} {text(dataset, 'ContrastBolusAgent')}",
        marks=(number, description, frame, text(dataset, "ConvolutionKernel")),
        acquisition=tuple(text(dataset, k) for k in ("AcquisitionNumber", "AcquisitionTime", "ContentTime")),
        frames=whole(dataset, "NumberOfFrames") or 1,
        samples=whole(dataset, "SamplesPerPixel") or 1,
        rows=whole(dataset, "Rows"),
        columns=whole(dataset, "Columns"),
        position=numbers(dataset, "ImagePositionPatient", 3),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(dataset, "PixelSpacing", 2),
        thickness_mm=(numbers(dataset, "SliceThickness", 1) or (None,))[0],
        rescaled=bool(numbers(dataset, "RescaleSlope", 1) and numbers(dataset, "RescaleIntercept", 1)),
        rescale_type=text(dataset, "RescaleType").upper(),
    )


def transfer_syntax(dataset: Any) -> str:
    """UID of the transfer syntax; a file that states none is taken as pydicom read it."""
    stated = text(dataset.file_meta, "TransferSyntaxUID")
    if stated:
        return stated
    implicit, little = dataset.original_encoding
    if implicit:
        return str(pydicom.uid.ImplicitVRLittleEndian)
    return str(pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian)


def text(dataset: Any, keyword: str) -> str:
    r"""A field as text without spaces around it, several values joined by `\`; "" if it is absent or unreadable."""
    try:
        if getattr(dataset.get_item(keyword, keep_deferred=True), "value", None) is None:
            return ""  # absent, or too large to have been loaded
        value = dataset.get(keyword)
        if value is None:
            return ""
        if isinstance(value, pydicom.multival.MultiValue | list | tuple):
            return "\\".join(str(part) for part in value).strip()
        return str(value).strip().strip("\0").strip()
    except DAMAGED:
        return ""


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """That many finite numbers, or None."""
    try:
        values = tuple(float(part) for part in text(dataset, keyword).split("\\"))
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def whole(dataset: Any, keyword: str) -> int:
    """A whole number above 0, or 0."""
    value = numbers(dataset, keyword, 1)
    return int(value[0]) if value and value[0] > 0 else 0
