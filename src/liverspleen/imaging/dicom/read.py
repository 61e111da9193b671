"""Reading of the voxels of a DICOM series."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom.codestream import check_runs, check_stated_size
from liverspleen.imaging.dicom.enhanced import PER_FRAME, SHARED, frame_reader
from liverspleen.imaging.dicom.fields import DAMAGED, integer
from liverspleen.imaging.dicom.header import check_inflated, transfer_syntax
from liverspleen.imaging.dicom.pixel_values import AIR_HU, PADDING, RESCALING, bits, outside, padding, rescaling
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.series import Series
from liverspleen.imaging.volume import CTVolume

EXCLUDED, UNDECODED, OTHER_MATRIX, NOT_FINITE = "LS-DCM-030", "LS-DCM-031", "LS-DCM-032", "LS-DCM-033"
SURPLUS = "LS-DCM-058"
_HU = np.iinfo(np.int16)
_PIXEL_BYTES = 16  # of a file, per pixel: more than any number type has, also with the worst compression
_OTHER_BYTES = 1 << 26  # of a file, without its pixels
_FIELDS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    *PADDING,
    *RESCALING,
    "PixelData",
)


class _SurplusError(Exception):
    """Uncompressed pixels have more bytes than the header states."""


def read_series(series: Series, *, case_id: str) -> CTVolume:
    """Read the CT of a series, in HU.

    Slope and intercept of each slice are applied once; a missing slope and one of 0 are 1, a missing intercept is 0.
    Values are rounded to whole HU; values outside int16 are clipped and counted. Pixels at the border of a slice with a
    value of PixelPaddingValue (to PixelPaddingRangeLimit) are -1024 HU at most; lower ones keep the value of the
    scanner. `case_id` appears in issues. Names of files may identify a person, so issues give the number of the slice
    in their place.

    Raises:
        InputError: LS-DCM-030 the series is excluded (with its reasons), LS-DCM-031 a slice cannot be read or decoded,
            LS-DCM-032 its matrix is not that of the series, LS-DCM-033 its values are not finite HU, LS-DCM-058 it
            has more pixels than its header states.
    """
    if series.exclusions or series.geometry is None:
        messages = [f"series is excluded ({reason})" for reason in series.exclusions] or ["series has no geometry"]
        raise InputError([Issue(EXCLUDED, message, "use another series", case_id) for message in messages])
    native = np.empty((0, series.rows, series.columns), np.int16)
    clipped = 0
    frames = lru_cache(maxsize=1)(partial(_frames, series))  # one multi-frame file is kept open
    for number, (file, frame) in enumerate(series.places):
        try:
            with quiet():
                pixels = series.rows * series.columns
                hu = _hu(_data_set(series.files[file], pixels) if frame is None else frames(file)(frame))
        except _SurplusError as error:
            message = f"slice {number + 1} of {series.slices} {error}"
            raise InputError(Issue(SURPLUS, message, "export the series again from its source", case_id)) from None
        except DAMAGED as error:
            # the text of the error may quote the header
            message = f"slice {number + 1} of {series.slices} cannot be read or decoded ({type(error).__name__})"
            raise InputError(Issue(UNDECODED, message, "export the series again from its source", case_id)) from None
        if hu.shape != native.shape[1:]:
            message = f"slice {number + 1} has {hu.shape} pixels, expected {native.shape[1:]}"
            raise InputError(
                Issue(OTHER_MATRIX, message, "run the command again when the files no longer change", case_id)
            )
        if not len(native):  # allocated only after a slice has confirmed the matrix of the header
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


def _frames(series: Series, file: int) -> Callable[[int], Any]:
    """Return a function that gives the frames of a multi-frame file as data sets of one slice."""
    slices = sum(number == file for number, _ in series.places)
    dataset = _data_set(series.files[file], series.rows * series.columns * slices, (*_FIELDS, SHARED, PER_FRAME))
    return frame_reader(dataset)


def _data_set(path: Path, pixels: int, fields: Sequence[str] = _FIELDS) -> Any:
    """Read the fields of a file that has about `pixels` pixels."""
    with path.open("rb") as handle:
        if handle.seek(0, os.SEEK_END) > _OTHER_BYTES + _PIXEL_BYTES * pixels:
            raise ValueError("file is far larger than its pixels")
        check_inflated(handle)
    dataset = pydicom.dcmread(path, specific_tags=list(fields), force=True)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax(dataset))
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _check_length(dataset)
    return dataset


def _hu(dataset: Any) -> NDArray[Any]:
    """Return the HU of one slice, (row, column), as whole numbers or as float64."""
    stored = _stored(dataset)
    scaling, marks = rescaling(dataset), padding(dataset)
    slope, intercept = scaling.factors
    if slope == 1 and intercept.is_integer() and abs(intercept) < 1 << 30:
        hu = np.asarray(stored.astype(np.int32 if stored.itemsize < 4 else np.int64) + int(intercept))
    else:
        hu = np.asarray(stored * np.float64(slope) + np.float64(intercept))
    if marks is not None and marks.highest_hu(scaling) > AIR_HU:
        mask = outside(stored, marks)
        hu[mask] = np.minimum(hu[mask], AIR_HU)
    return hu


def _stored(dataset: Any) -> NDArray[Any]:
    """Return the stored values: the BitsStored lowest bits, signed according to PixelRepresentation.

    Higher bits may hold other data (overlays, in old files). For compressed data the codec uses precision and sign of
    the codestream.
    """
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
        rows, columns, width = (integer(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
        if dataset.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless:
            check_runs(frame, rows * columns * width // 8)
        else:
            check_stated_size(frame, str(dataset.file_meta.TransferSyntaxUID), rows, columns)
    array: NDArray[Any] = pydicom.pixels.pixel_array(dataset, correct_unused_bits=False)
    allocated, stored, high = bits(dataset)
    if not 0 < stored <= allocated or high != stored - 1 or array.dtype.itemsize * 8 != allocated:
        raise ValueError("BitsStored, BitsAllocated and HighBit contradict each other")
    if stored == allocated:
        return array
    array = array.copy()
    np.left_shift(array, allocated - stored, out=array)
    np.right_shift(array, allocated - stored, out=array)
    return array


def _check_length(dataset: Any) -> None:
    """Reject more pixels than the matrix has: pydicom would read the first ones, with another row length."""
    rows, columns, allocated = (integer(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
    frames = len(dataset.get(PER_FRAME) or (None,))
    expected, found = frames * rows * columns * allocated // 8, len(dataset.PixelData)
    if found > expected + expected % 2:  # an odd number is padded to an even one
        raise _SurplusError(f"has {found} bytes of pixels, expected {expected} by Rows, Columns and BitsAllocated")
