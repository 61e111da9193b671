"""MetaImage headers: `.mha` with the voxels in the file, `.mhd` with the voxels in a file beside it.

The format is that of MetaIO (itk.org/Wiki/MetaIO/Documentation). As in ITK, the grid is that of TransformMatrix, Offset
and ElementSpacing, in DICOM's world, whatever AnatomicalOrientation says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from liverspleen.imaging.layout import (
    AS_MM,
    Layout,
    axes_error,
    data_file,
    data_type_error,
    header_error,
    lps_geometry,
)
from liverspleen.imaging.stream import Source, read_stored, truncated

_MOST_BYTES = 1 << 20
_LAST = re.compile(rb"(?:^|\n)[ \t]*ElementDataFile[ \t]*=[^\n]*(?:\n|$)")
_TYPES = {
    **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4"},
    **{"MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8"},  # four bytes in any file
    **{"MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}
_SAME = {
    **dict.fromkeys(("Offset", "Position", "Origin"), "Offset"),
    **dict.fromkeys(("TransformMatrix", "Orientation", "Rotation"), "TransformMatrix"),
    **dict.fromkeys(("BinaryDataByteOrderMSB", "ElementByteOrderMSB"), "BinaryDataByteOrderMSB"),
}
"""Names of one field in MetaIO."""

_ONLY = {
    **{"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "ElementNumberOfChannels": "1"},
    **{"ElementToIntensityFunctionSlope": "1", "ElementToIntensityFunctionOffset": "0"},
}
"""The only value that is read, if the field is there."""


def metaimage_layout(source: Source) -> Layout:
    """Return the layout from a MetaImage header.

    Raises:
        InputError: LS-IMG-060 the header cannot be used, LS-IMG-061 the data file, LS-IMG-006 not three axes,
            LS-IMG-007 the data type, LS-GEO-001 spacing, LS-GEO-002 affine, LS-GEO-006 no orientation, LS-GEO-007 unit.
    """
    fields, end = _fields(source, read_stored(source, _MOST_BYTES))
    sizes = [int(size) for size in _numbers(source, fields, "DimSize", 3)]
    if min(sizes) < 1:
        raise axes_error(source, sizes)
    if not {"TransformMatrix", "Offset"} <= fields.keys():
        hint = "convert the image from DICOM again, keeping the orientation"
        raise source.error("LS-GEO-006", "header has no orientation (TransformMatrix and Offset)", hint)
    if fields.get("DistanceUnits", "mm") != "mm":
        raise source.error("LS-GEO-007", "unit of the spacing is not mm", AS_MM)
    turn = np.array(_numbers(source, fields, "TransformMatrix", 9)).reshape(3, 3)  # a row is the direction of an axis
    if (abs(np.linalg.norm(turn, axis=1) - 1) > 1e-3).any():
        raise header_error(source, "rows of TransformMatrix do not have the length 1")
    spacing = np.array(_numbers(source, fields, "ElementSpacing", 3))
    geometry = lps_geometry(source, sizes, turn * spacing[:, None], np.array(_numbers(source, fields, "Offset", 3)))
    if fields["ElementType"] not in _TYPES:
        raise data_type_error(source, "ElementType of the header is unknown, or has several channels")
    dtype = np.dtype(_TYPES[fields["ElementType"]])
    dtype = dtype.newbyteorder(">" if _flag(source, fields, "BinaryDataByteOrderMSB") else "<")
    local = fields["ElementDataFile"].lower() == "local"
    file = source.path if local else data_file(source, fields["ElementDataFile"])
    compressed = _flag(source, fields, "CompressedData")
    skipped = _skipped(source, fields, attached=local or compressed)
    stored = file.stat().st_size - (end if local else 0)
    if skipped < 0:
        skipped = stored - math.prod(sizes) * dtype.itemsize
    if compressed:
        _check_compressed_size(source, fields, stored)
    return Layout(
        geometry=geometry,
        dtype=dtype,
        offset=0,
        slope=1.0,
        intercept=0.0,
        file=file,
        start=end if local else max(skipped, 0),
        encoding="zlib" if compressed else "raw",
    )


def _fields(source: Source, stored: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header and its number of bytes; its last field is ElementDataFile."""
    ending = _LAST.search(stored)
    if ending is None:
        raise header_error(
            source, f"file has no ElementDataFile within {_MOST_BYTES} bytes, which ends a MetaImage header"
        )
    fields: dict[str, str] = {}
    for line in stored[: ending.end()].decode("utf-8", "replace").splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        name = _SAME.get(name, name)
        if not equals or name in fields:
            raise header_error(source, "a line of the MetaImage header is no field, or repeats one")
        fields[name] = value
    for name in ("NDims", "DimSize", "ElementSpacing", "ElementType"):
        if name not in fields:
            raise header_error(source, f"MetaImage header has no field {name}")
    if fields["NDims"].isdecimal() and int(fields["NDims"]) != 3:
        raise axes_error(source, fields.get("DimSize", "").split())  # type: ignore[arg-type]
    for name, only in _ONLY.items():
        if fields.get(name, only) != only:
            raise header_error(source, f"field {name} of the MetaImage header is not {only}")
    return fields, ending.end()


def _numbers(source: Source, fields: Mapping[str, str], name: str, expected: int) -> list[float]:
    kind = r"\d{1,9}" if name == "DimSize" else r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
    found = fields[name].split()
    if len(found) != expected or not all(re.fullmatch(kind, text) for text in found):
        raise header_error(source, f"field {name} of the MetaImage header does not have {expected} numbers")
    return [float(text) for text in found]


def _flag(source: Source, fields: Mapping[str, str], name: str) -> bool:
    text = fields.get(name, "False").lower()
    if text not in ("true", "false"):
        raise header_error(source, f"field {name} of the MetaImage header is neither True nor False")
    return text == "true"


def _skipped(source: Source, fields: Mapping[str, str], *, attached: bool) -> int:
    """Return the number of bytes before the voxels in a data file; -1: all but those of the voxels."""
    text = fields.get("HeaderSize", "0")
    if not re.fullmatch(r"-1|\d{1,9}", text) or (attached and text != "0"):
        raise header_error(source, "HeaderSize of the MetaImage header cannot be used")
    return int(text)


def _check_compressed_size(source: Source, fields: Mapping[str, str], stored: int) -> None:
    """Reject compressed voxels of another size than stated: ITK reads them wrong without an error."""
    stated = fields.get("CompressedDataSize", "")
    if not re.fullmatch(r"\d{1,18}", stated):
        raise header_error(source, "MetaImage header has no CompressedDataSize with a whole number")
    if int(stated) > stored:
        raise truncated(source, int(stated), str(stored))
    if int(stated) < stored:
        raise header_error(source, f"CompressedDataSize is {stated}, but {stored} bytes of compressed voxels follow")
