"""Reading and writing of CT volumes and label maps as NIfTI, with complete checks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from liverspleen.errors import counted
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.header import HEADER_BYTES, Layout, build, parse
from liverspleen.imaging.hounsfield import hounsfield, reject_broken
from liverspleen.imaging.stream import Source, content, content_blocks, head, read_stored, reject_beyond_memory
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure, organs
from liverspleen.storage import StrPath, complete_file

SUFFIXES = (".nii.gz", ".nii")
_GZIP_LEVEL = 2  # of ISA-L, 0 to 3; for CT the size of zlib's level 1 in a quarter of the time
_LISTED = 5  # unknown label values listed in an issue
_GZIP_WBITS = 31  # gzip framing
_HEAD_STORED = 1 << 16  # holds any compressed header
_BLOCK = 1 << 20  # bytes of voxels converted at a time: they and their float64 values fit the processor's cache
_PLANE_LIMIT = 1 << 24  # voxels of a plane, which is converted at once; the same limit as for DICOM


def read_ct(path: StrPath, *, case_id: str | None = None) -> CTVolume:
    """Read a CT from a `.nii` or `.nii.gz` file, in HU.

    The file's slope and intercept are applied once. Values are rounded to whole HU; values outside int16 are clipped
    and counted. A fourth axis of length 1 is dropped. `case_id` appears in issues. For every data type of the file only
    the volume and one block of the file are in memory.

    Raises:
        InputError: the file is missing, damaged, not a NIfTI, not one 3D volume of finite numbers (LS-IMG-001 to
            008, 050), or its grid is invalid or contradictory (LS-GEO-001 to 008).
    """
    source = Source(Path(path), case_id)
    layout = _layout(source)
    geometry = layout.geometry
    block = max(1, _BLOCK // layout.plane_bytes) * layout.plane_bytes  # whole planes along the last native axis
    stream = content_blocks(source, layout.content_bytes, first=layout.offset, block=block)
    next(stream)
    if math.prod(geometry.shape[:2]) > _PLANE_LIMIT:
        message = f"its slices have {geometry.shape[0]} x {geometry.shape[1]} voxels, expected at most {_PLANE_LIMIT}"
        raise source.error("LS-IMG-032", message, "check that the file is a CT")
    reject_beyond_memory(source, math.prod(geometry.shape) * np.dtype(np.int16).itemsize)
    hu = np.empty(geometry.canonical_shape, np.int16)
    native, first, broken, clipped, fractional = geometry.to_native(hu), 0, 0, 0, False
    for voxels in stream:
        stored = np.frombuffer(voxels, layout.dtype).reshape((*geometry.shape[:2], -1), order="F")
        found = hounsfield(_scaled(layout, stored))
        native[..., first : first + stored.shape[2]] = found.values
        first, broken, clipped = first + stored.shape[2], broken + found.broken, clipped + found.clipped
        fractional |= found.fractional
    reject_broken(source, broken, hu.size)
    return CTVolume(hu, geometry, clipped, fractional)


def read_label_map(
    path: StrPath,
    *,
    case_id: str | None = None,
    values: Mapping[int, Structure] | None = None,
    named: Collection[int] = (),
) -> LabelMap:
    """Read a label map from a `.nii` or `.nii.gz` file.

    `values` maps the voxel values of another system to structures (see `structures.LABEL_VALUES`). Other whole numbers
    are background, and structures without a value are not `covered`. If `named` is given, it lists all values that the
    system names, and no other value is accepted.

    Raises:
        InputError: as `read_ct`, and LS-LAB-001 for voxels with a value that is not in `Structure`, or, with
            `values`, is not a whole number, or not `named`.
    """
    source = Source(Path(path), case_id)
    layout, stored = _voxels(source)
    scaled = _scaled(layout, stored)
    if values is None:
        structures, covered = _checked_values(source, scaled), ORGANS
    else:
        structures, covered = _translated(source, scaled, values, named), organs(s.key for s in values.values())
    canonical = layout.geometry.to_canonical(structures)
    return LabelMap(np.ascontiguousarray(canonical, dtype=np.uint8), layout.geometry, covered)


def read_grid(path: StrPath, *, case_id: str | None = None) -> Geometry:
    """Read the grid from a file's header; its voxels are not read.

    Raises:
        InputError: the file is missing, not a NIfTI, not one 3D volume, or its grid is invalid.
    """
    return read_layout(path, case_id=case_id).geometry


def read_layout(path: StrPath, *, case_id: str | None = None) -> Layout:
    """Read the layout of the voxels from a file's header; as `read_grid`."""
    source = Source(Path(path), case_id)
    return parse(source, head(read_stored(source, _HEAD_STORED), HEADER_BYTES))


def _layout(source: Source) -> Layout:
    """As `read_layout`; if the beginning holds no header, read the rest of the file to find out why."""
    beginning = head(read_stored(source, _HEAD_STORED), HEADER_BYTES)
    if len(beginning) < HEADER_BYTES:
        stored = read_stored(source)
        beginning = head(stored, HEADER_BYTES)
        if len(beginning) < HEADER_BYTES:  # too short for a header: this raises an issue if the stream is damaged
            beginning = content(source, stored, max(len(beginning), 1))
    return parse(source, beginning)


def write_label_map(path: StrPath, label_map: LabelMap) -> None:
    """Write a label map as uint8 on its grid, in the native axis order and with the header space of its CT.

    The file is complete or absent. The same label map gives the same bytes on one processor architecture. A file that
    ends in `.nii.gz` is compressed.

    Raises:
        ValueError: the name ends in neither `.nii` nor `.nii.gz`.
    """
    _write(Path(path), label_map.labels, label_map.geometry)


def write_ct(path: StrPath, ct: CTVolume) -> None:
    """Write a CT as int16 HU; as `write_label_map`."""
    _write(Path(path), ct.hu, ct.geometry)


def strip_suffix(name: str) -> str | None:
    """Return a file name without `.nii.gz` or `.nii`, in any letter case; None if it has neither.

    >>> strip_suffix("A017.nii.gz"), strip_suffix("B.NII.GZ"), strip_suffix("notes.txt")
    ('A017', 'B', None)
    """
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), None)


def _voxels(source: Source) -> tuple[Layout, NDArray[Any]]:
    """Read the layout, and the stored numbers in the native shape as a read-only view of the file's content."""
    layout = _layout(source)
    data = content(source, read_stored(source), layout.content_bytes)
    flat = np.frombuffer(data, dtype=layout.dtype, offset=layout.offset)
    return layout, flat.reshape(layout.geometry.shape, order="F")


def _scaled(layout: Layout, stored: NDArray[Any]) -> NDArray[Any]:
    if layout.slope == 1.0 and layout.intercept == 0.0:
        return stored
    with np.errstate(over="ignore"):  # infinite values are rejected later
        return np.asarray(stored * np.float64(layout.slope) + np.float64(layout.intercept))


def _checked_values(source: Source, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "u" and values.max() <= max(Structure):  # values of `Structure` have no gaps
        return values
    known = np.zeros_like(values, dtype=bool)  # in the memory order of `values`
    for structure in Structure:
        known |= values == int(structure)  # an int keeps the comparison in the stored dtype
    if not known.all():
        expected = ", ".join(f"{structure:d} {structure.key}" for structure in Structure)
        raise _value_error(source, values[~known], expected)
    return values


def _translated(
    source: Source, values: NDArray[Any], meaning: Mapping[int, Structure], named: Collection[int]
) -> NDArray[Any]:
    # infinity equals its rounded value, hence isfinite
    if values.dtype.kind == "f" and (broken := ~np.isfinite(values) | (values != np.rint(values))).any():
        raise _value_error(source, values[broken], "whole numbers")
    whole = values.astype(np.int64) if values.dtype.kind == "f" else values  # integers are compared by a table
    if named and not (known := np.isin(whole, [*named])).all():
        raise _value_error(source, values[~known], "named values only")
    structures = np.zeros_like(values, dtype=np.uint8)
    for value, structure in meaning.items():
        structures[values == value] = structure
    return structures


def _value_error(source: Source, values: NDArray[Any], expected: str) -> Exception:
    unknown = np.unique(values)
    listed = ", ".join(f"{value:g}" for value in unknown[:_LISTED]) + (", …" if unknown.size > _LISTED else "")
    return source.error(
        "LS-LAB-001",
        f"label map has unknown values ({listed}) in {counted(values.size, 'voxel')}, expected {expected}",
        "map its labels to these values with liverspleen import, or give their meaning by label_values=",
    )


def _write(path: Path, array: NDArray[Any], geometry: Geometry) -> None:
    if strip_suffix(path.name) is None:
        raise ValueError(f"{path.name!r} does not end in {' or '.join(SUFFIXES)}")
    # little-endian on any machine; the first native axis is the fastest, as NIfTI stores it
    dtype, native = array.dtype.newbyteorder("<"), geometry.to_native(array)
    planes = max(1, _BLOCK // (native[..., :1].size * dtype.itemsize))
    blocks = (native[..., first : first + planes] for first in range(0, native.shape[2], planes))
    content = itertools.chain([build(geometry, dtype)], (block.astype(dtype).tobytes(order="F") for block in blocks))
    with complete_file(path) as temporary, temporary.open("wb") as handle:
        for part in _gzip(content) if path.name.lower().endswith(".gz") else content:
            handle.write(part)


def _gzip(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield one gzip member without name or time: the same content gives the same bytes on one architecture."""
    member = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
    for part in content:
        yield member.compress(part)
    yield member.flush()
