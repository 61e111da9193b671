"""NRRD headers, attached (`.nrrd`) and detached (`.nhdr`), and the segments that 3D Slicer names in `.seg.nrrd`.

pynrrd parses the values of the fields. The voxels are read as those of the other formats, with the same limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from liverspleen.imaging.layout import (
    AS_MM,
    Layout,
    Segment,
    axes_error,
    data_file,
    data_type_error,
    header_error,
    lps_geometry,
)
from liverspleen.imaging.stream import Encoding, Source, read_stored

_MOST_BYTES = 1 << 20  # of a header; 3D Slicer writes about 1 kB per segment
_END = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(r"(?P<name>[^:]+):(?P<key>=?)(?P<value>.*)", re.DOTALL)
_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names.split(", ")}
_ENCODINGS: Mapping[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
_TO_LPS = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (1, 1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1, -1, 1)),
}
_USED = {"type", "dimension", "sizes", "encoding", "endian", "space", "space directions", "space origin", "kinds"}
_USED |= {"space units", "data file", "line skip", "byte skip"}
_WITHOUT_EFFECT = {"content", "number", "min", "max", "old min", "old max", "thicknesses", "spacings", "centers"}
_WITHOUT_EFFECT |= {"centerings", "axis mins", "axis maxs", "labels", "units", "sample units", "measurement frame"}
_WITHOUT_EFFECT |= {"space dimension"}
_SPELLED = {name.replace(" ", ""): name for name in _USED | _WITHOUT_EFFECT}  # NRRD allows both spellings


def nrrd_layout(source: Source) -> Layout:
    """Return the layout from an NRRD header.

    The grid is that of `space directions` and `space origin`, in `space`. Segments are those of the keys `Segment0_...`
    (3D Slicer). An axis without a direction, as 3D Slicer writes it for segments that overlap, is that of the layers.

    Raises:
        InputError: LS-IMG-060 the header cannot be used, LS-IMG-061 the data file, LS-IMG-062 the encoding, LS-IMG-006
            not three axes, LS-IMG-007 the data type, LS-GEO-001 spacing, LS-GEO-002 affine, LS-GEO-006 no orientation,
            LS-GEO-007 unit.
    """
    header, keys, end = _header(source, read_stored(source, _MOST_BYTES))
    sizes, directions = _axes(source, header)
    layers = sizes.pop(0) if len(sizes) == 4 else 1
    origin = np.asarray(header.get("space origin", ()), dtype=np.float64)
    if origin.shape != (3,):
        raise _no_orientation(source, "has no space origin with three numbers")
    if any(unit != "mm" for unit in header.get("space units", ())):
        raise source.error("LS-GEO-007", "unit of the spacing is not mm", AS_MM)
    signs = np.array(_TO_LPS[header["space"].lower()])
    geometry = lps_geometry(source, sizes, directions * signs, origin * signs)
    if header["encoding"] not in _ENCODINGS:
        message = "voxels are stored in another encoding than raw and gzip"
        raise source.error("LS-IMG-062", message, "save the image again with the encoding gzip or raw")
    name = header.get("data file")
    file = source.path if name is None else data_file(source, name)
    start = end if name is None else 0
    return Layout(
        geometry=geometry,
        dtype=_dtype(source, header),
        offset=0,
        slope=1.0,
        intercept=0.0,
        file=file,
        start=start,
        encoding=_ENCODINGS[header["encoding"]],
        layers=layers,
        segments=tuple(_segments(source, keys, layered=len(header["sizes"]) == 4)),
    )


def _header(source: Source, stored: bytes) -> tuple[dict[str, Any], dict[str, str], int]:
    """Return the fields, the keys, and the number of bytes of a header."""
    ending = _END.search(stored)
    if ending is None and len(stored) == _MOST_BYTES:
        raise header_error(source, f"NRRD header has no end within {_MOST_BYTES} bytes")
    text = stored[: ending.start() if ending else None].decode("utf-8", "replace")
    magic, *lines = text.split("\n")
    if not re.fullmatch(r"NRRD000[1-5]\r?", magic):
        raise header_error(source, "file is not an NRRD file of version 1 to 5")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in lines:
        if line.startswith("#") or not (line := line.rstrip()):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise header_error(source, "a line of the NRRD header is no field")
        spelled = match["name"].strip()
        name = spelled if match["key"] else _SPELLED.get(spelled.replace(" ", ""))
        target = keys if match["key"] else fields
        if name is None or name in target:
            raise header_error(source, "a field of the NRRD header is unknown or repeated")
        target[name] = match["value"].strip()
    if ending is None and "data file" not in fields:
        raise header_error(source, "NRRD header has no end")
    return _parsed(source, magic, fields), keys, ending.end() if ending else 0


def _parsed(source: Source, magic: str, fields: Mapping[str, str]) -> dict[str, Any]:
    used = {name: value for name, value in fields.items() if name in _USED}
    try:
        header = import_module("nrrd").read_header([magic, *(f"{name}: {value}" for name, value in used.items())])
    except (ValueError, LookupError, TypeError, ArithmeticError, import_module("nrrd").NRRDError) as error:
        raise header_error(source, f"a field of the NRRD header cannot be read ({type(error).__name__})") from error
    if missing := [name for name in ("type", "dimension", "sizes", "encoding") if name not in header]:
        raise header_error(source, f"NRRD header has no field '{missing[0]}'")
    if any(int(header.get(name, 0)) for name in ("line skip", "byte skip")):
        raise header_error(source, "NRRD header skips lines or bytes of the data file")
    return dict(header)


def _axes(source: Source, header: Mapping[str, Any]) -> tuple[list[int], Any]:
    """Return the sizes of the axes, layers first if there are any, and the directions of the three axes of space."""
    sizes = [int(size) for size in header["sizes"]]
    if len(sizes) != header["dimension"] or not 3 <= len(sizes) <= 4 or min(sizes) < 1:
        raise axes_error(source, sizes)
    if str(header.get("space", "")).lower() not in _TO_LPS:
        raise _no_orientation(
            source, "has no space with the directions left, posterior and superior, or their opposites"
        )
    directions = np.asarray(header.get("space directions", ()), dtype=np.float64)
    if directions.shape != (len(sizes), 3):
        raise _no_orientation(source, "has no space directions of its axes")
    spatial = ~np.isnan(directions).any(axis=1)
    if spatial.tolist() not in ([True] * 3, [False, True, True, True]):
        raise axes_error(source, sizes)
    return sizes, directions[spatial]


def _no_orientation(source: Source, what: str) -> Exception:
    hint = "convert the image from DICOM again, keeping the orientation"
    return source.error("LS-GEO-006", f"header has no orientation (it {what})", hint)


def _dtype(source: Source, header: Mapping[str, Any]) -> np.dtype[Any]:
    code = _DTYPES.get(header["type"].lower())
    if code is None:
        raise data_type_error(source, "data type of the header is unknown")
    dtype = np.dtype(code)
    if dtype.itemsize == 1:
        return dtype
    order = {"little": "<", "big": ">"}.get(str(header.get("endian")).lower())
    if order is None:
        raise header_error(source, "NRRD header does not give the byte order (endian)")
    return dtype.newbyteorder(order)  # type: ignore[arg-type]


def _segments(source: Source, keys: Mapping[str, str], *, layered: bool) -> Iterator[Segment]:
    """Yield the segments; without a number of the layer, each one of a file with layers has its own."""
    for key, name in keys.items():
        match = re.fullmatch(r"(Segment(\d{1,6})_)Name", key)
        if match is None:
            continue
        value, layer = (
            keys.get(f"{match[1]}LabelValue", "1"),
            keys.get(f"{match[1]}Layer", match[2] if layered else "0"),
        )
        if not re.fullmatch(r"\d{1,9}", value) or not re.fullmatch(r"\d{1,9}", layer):
            raise header_error(source, "label value or layer of a segment is not a whole number")
        yield Segment(name, int(value), int(layer))
