"""The voxels of a series."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom.codestream import check_runs, check_stated_size
from liverspleen.imaging.dicom.header import DAMAGED, check_inflated, numbers, transfer_syntax, whole
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.series import Series
from liverspleen.imaging.volume import CTVolume

LEFT, UNDECODED, OTHER_MATRIX, NOT_FINITE = "LS-DCM-030", "LS-DCM-031", "LS-DCM-032", "LS-DCM-033"
_HU = np.iinfo(np.int16)
_PIXEL_BYTES = 16  # in a file; more than any number has, and than compression makes of it at its worst
_OTHER_BYTES = 1 << 26  # of a file, besides its pixels
_FIELDS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "PixelData",
)


def read_series(series: Series, *, case_id: str) -> CTVolume:
    """The CT of a series, in HU.

    Slope and intercept are those of each slice, applied once; a slice without them is taken as it is stored. Values
    are rounded to whole HU, and those beyond int16 are set to its ends and counted. PixelPaddingValue is a value like
    any other: what lies outside the field of view stays as the scanner wrote it. `case_id` is named in issues; files,
    whose names may identify a person, are named by their number in the order of the slices.

    Raises:
        InputError: LS-DCM-030 the series was left (with its reasons), LS-DCM-031 a slice cannot be read or decoded,
            LS-DCM-032 its matrix is not that of the series, LS-DCM-033 its values are not finite HU.
    """
    if series.left or series.geometry is None:
        issues = [
            Issue(LEFT, f"series is not taken ({reason})", "take another series", case_id) for reason in series.left
        ]
        raise InputError(issues or [Issue(LEFT, "series has no geometry", "take another series", case_id)])
    native = np.empty((0, series.rows, series.columns), np.int16)
    clipped = 0
    for number, path in enumerate(series.files):
        try:
            with quiet():
                hu = _slice(path, series.rows * series.columns)
        except DAMAGED as error:
            # the error's own words may quote the header
            message = f"slice {number + 1} of {series.slices} cannot be read or decoded ({type(error).__name__})"
            raise InputError(Issue(UNDECODED, message, "export the series again from its source", case_id)) from None
        if hu.shape != native.shape[1:]:
            message = f"slice {number + 1} has {hu.shape} pixels, expected {native.shape[1:]}"
            raise InputError(Issue(OTHER_MATRIX, message, "let the files be while they are read", case_id))
        if not len(native):  # not before a slice has shown that the header's matrix is true
            native = np.empty((series.slices, *hu.shape), np.int16)
        if hu.dtype.kind == "f":
            if not np.isfinite(hu).all():
                message = f"slice {number + 1} has values that are NaN or infinite after rescaling"
                raise InputError(Issue(NOT_FINITE, message, "export the series again from its source", case_id))
            hu = np.rint(hu)
        if beyond := int(np.count_nonzero((hu < _HU.min) | (hu > _HU.max))):
            clipped += beyond
            hu = hu.clip(_HU.min, _HU.max)
        native[number] = hu
    canonical = series.geometry.to_canonical(native.transpose(2, 1, 0))
    return CTVolume(np.ascontiguousarray(canonical), series.geometry, clipped)


def _slice(path: Path, pixels: int) -> NDArray[Any]:
    """HU of one slice of that many pixels, (row, column), as whole numbers or as float64."""
    with path.open("rb") as handle:
        if handle.seek(0, os.SEEK_END) > _OTHER_BYTES + _PIXEL_BYTES * pixels:
            raise ValueError("far larger than its pixels")
        check_inflated(handle)
    dataset = pydicom.dcmread(path, specific_tags=list(_FIELDS), force=True)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax(dataset))
    stored = _stored(dataset)
    slope, intercept = numbers(dataset, "RescaleSlope", 1), numbers(dataset, "RescaleIntercept", 1)
    if slope is None or intercept is None:
        return stored
    if slope[0] == 1 and intercept[0].is_integer() and abs(intercept[0]) < 1 << 30:
        return np.asarray(stored.astype(np.int64) + int(intercept[0]))
    return np.asarray(stored * np.float64(slope[0]) + np.float64(intercept[0]))


def _stored(dataset: Any) -> NDArray[Any]:
    """Stored values: the bits from HighBit down, as many as BitsStored, signed if PixelRepresentation says so.

    The bits above them may hold anything (overlays, in old files). The codec decides for compressed data, whose own
    header states precision and sign.
    """
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
        rows, columns, bits = (whole(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
        if dataset.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless:
            check_runs(frame, rows * columns * bits // 8)
        else:
            check_stated_size(frame, str(dataset.file_meta.TransferSyntaxUID), rows, columns)
    array: NDArray[Any] = pydicom.pixels.pixel_array(dataset, correct_unused_bits=False)
    allocated, stored = whole(dataset, "BitsAllocated"), whole(dataset, "BitsStored")
    high = whole(dataset, "HighBit") or stored - 1
    if not 0 < stored <= allocated or not stored - 1 <= high < allocated or array.dtype.itemsize * 8 != allocated:
        raise ValueError("bits stored, allocated and high bit contradict each other")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        high = stored - 1
    if stored == allocated:
        return array
    array = array.copy()
    np.left_shift(array, allocated - 1 - high, out=array)
    np.right_shift(array, allocated - stored, out=array)
    return array
