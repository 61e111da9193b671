"""NIfTI in and out: CT volumes and label maps, whole and checked or rejected with one line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.header import HEADER_BYTES, Layout, build, parse
from liverspleen.imaging.hounsfield import hounsfield, reject_broken
from liverspleen.imaging.stream import Source, content, content_blocks, head, read_stored, reject_beyond_memory
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure, organs
from liverspleen.storage import StrPath, complete_file

SUFFIXES = (".nii.gz", ".nii")
_GZIP_LEVEL = 2  # of ISA-L, 0 to 3; on CT the size of zlib's level 1 in a quarter of its time
_LISTED = 5  # foreign label values named in an issue
_GZIP_WBITS = 31  # gzip framing
_HEAD_STORED = 1 << 16  # holds any compressed header
_BLOCK = 1 << 20  # bytes of voxels converted at a time: with their float64 they stay in a cache
_PLANE_LIMIT = 1 << 24  # voxels: planes are converted whole; as of DICOM


def read_ct(path: StrPath, *, case_id: str | None = None) -> CTVolume:
    """The CT in a `.nii` or `.nii.gz` file, in HU.

    The file's slope and intercept are applied once; values are rounded to whole HU, and those beyond int16 are set to
    its ends and counted. A fourth axis of length 1 is dropped. `case_id` is named in issues. Whatever type the file
    stores, there is only the volume and a block of the file in memory at a time.

    Raises:
        InputError: the file is missing, damaged, not a NIfTI, not one 3D volume of finite numbers (LS-IMG-001 to
            008), or its grid is invalid or contradictory (LS-GEO-001 to 007).
    """
    source = Source(Path(path), case_id)
    layout = _layout(source)
    geometry = layout.geometry
    block = max(1, _BLOCK // layout.plane_bytes) * layout.plane_bytes  # whole planes along the last native axis
    stream = content_blocks(source, layout.content_bytes, first=layout.offset, block=block)
    next(stream)
    if math.prod(geometry.shape[:2]) > _PLANE_LIMIT:
        message = f"its slices have {geometry.shape[0]} x {geometry.shape[1]} voxels, expected at most {_PLANE_LIMIT}"
        raise source.rejected("LS-IMG-032", message, "check that the file is a CT")
    reject_beyond_memory(source, math.prod(geometry.shape) * np.dtype(np.int16).itemsize)
    hu = np.empty(geometry.canonical_shape, np.int16)
    native, first, broken, clipped = geometry.to_native(hu), 0, 0, 0
    for voxels in stream:
        stored = np.frombuffer(voxels, layout.dtype).reshape((*geometry.shape[:2], -1), order="F")
        found = hounsfield(_scaled(layout, stored))
        native[..., first : first + stored.shape[2]] = found.values
        first, broken, clipped = first + stored.shape[2], broken + found.broken, clipped + found.clipped
    reject_broken(source, broken, hu.size)
    return CTVolume(hu, geometry, clipped)


def read_label_map(
    path: StrPath, *, case_id: str | None = None, values: Mapping[int, Structure] | None = None
) -> LabelMap:
    """The label map in a `.nii` or `.nii.gz` file.

    `values` tells which structure a voxel value of another system means (see `structures.LABEL_VALUES`); whole numbers
    that it does not name are background, and structures that it does not name are not `covered`.

    Raises:
        InputError: as `read_ct`, and LS-LAB-001 for voxels with a value that is not one of `Structure`, or, with
            `values`, that is no whole number.
    """
    source = Source(Path(path), case_id)
    layout, stored = _voxels(source)
    scaled = _scaled(layout, stored)
    if values is None:
        structures, covered = _own_values(source, scaled), ORGANS
    else:
        structures, covered = _translated(source, scaled, values), organs(s.key for s in values.values())
    canonical = layout.geometry.to_canonical(structures)
    return LabelMap(np.ascontiguousarray(canonical, dtype=np.uint8), layout.geometry, covered)


def read_grid(path: StrPath, *, case_id: str | None = None) -> Geometry:
    """The grid that a file's header states; its voxels are not read.

    Raises:
        InputError: the file is missing, not a NIfTI, not one 3D volume, or its grid is invalid.
    """
    return read_layout(path, case_id=case_id).geometry


def read_layout(path: StrPath, *, case_id: str | None = None) -> Layout:
    """All that a file's header states; as `read_grid`."""
    source = Source(Path(path), case_id)
    return parse(source, head(read_stored(source, _HEAD_STORED), HEADER_BYTES))


def _layout(source: Source) -> Layout:
    """As `read_layout`; where the beginning holds no header, the rest of the file is read to say why."""
    beginning = head(read_stored(source, _HEAD_STORED), HEADER_BYTES)
    if len(beginning) < HEADER_BYTES:
        stored = read_stored(source)
        beginning = head(stored, HEADER_BYTES)
        if len(beginning) < HEADER_BYTES:  # too little for a header and voxels: the stream says so if it is damaged
            beginning = content(source, stored, max(len(beginning), 1))
    return parse(source, beginning)


def write_label_map(path: StrPath, label_map: LabelMap) -> None:
    """Write a label map as uint8 on its grid, in the native axis order and with the header space of its CT.

    The file is complete or absent, and on one kind of processor the same bytes for the same label map. A name on
    `.nii.gz` is compressed.

    Raises:
        ValueError: the name ends on neither `.nii` nor `.nii.gz`.
    """
    _write(Path(path), label_map.labels, label_map.geometry)


def write_ct(path: StrPath, ct: CTVolume) -> None:
    """Write a CT as int16 HU; as `write_label_map`."""
    _write(Path(path), ct.hu, ct.geometry)


def strip_suffix(name: str) -> str | None:
    """File name without `.nii.gz` or `.nii`; None if it has neither.

    >>> strip_suffix("A017.nii.gz"), strip_suffix("notes.txt")
    ('A017', None)
    """
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), None)


def _voxels(source: Source) -> tuple[Layout, NDArray[Any]]:
    """The layout, and the stored numbers in the native shape as a read-only view of the file's content."""
    layout = _layout(source)
    whole = content(source, read_stored(source), layout.content_bytes)
    flat = np.frombuffer(whole, dtype=layout.dtype, offset=layout.offset)
    return layout, flat.reshape(layout.geometry.shape, order="F")


def _scaled(layout: Layout, stored: NDArray[Any]) -> NDArray[Any]:
    if layout.slope == 1.0 and layout.intercept == 0.0:
        return stored
    with np.errstate(over="ignore"):  # what becomes infinite is rejected
        return np.asarray(stored * np.float64(layout.slope) + np.float64(layout.intercept))


def _own_values(source: Source, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "u" and values.max() <= max(Structure):  # their values begin at 0 without a gap
        return values
    known = np.zeros_like(values, dtype=bool)  # in the memory order of `values`
    for structure in Structure:
        known |= values == int(structure)  # a plain int keeps the comparison in the stored dtype
    if not known.all():
        raise _foreign_values(source, values[~known], ", ".join(f"{int(s)} {s.key}" for s in Structure))
    return values


def _translated(source: Source, values: NDArray[Any], meaning: Mapping[int, Structure]) -> NDArray[Any]:
    # an infinity equals its own rounding
    if values.dtype.kind == "f" and (broken := ~np.isfinite(values) | (values != np.rint(values))).any():
        raise _foreign_values(source, values[broken], "whole numbers")
    structures = np.zeros_like(values, dtype=np.uint8)
    for value, structure in meaning.items():
        structures[values == value] = structure
    return structures


def _foreign_values(source: Source, values: NDArray[Any], expected: str) -> Exception:
    foreign = np.unique(values)
    named = ", ".join(f"{value:g}" for value in foreign[:_LISTED]) + (", …" if foreign.size > _LISTED else "")
    return source.rejected(
        "LS-LAB-001",
        f"label map has the values {named} in {values.size} voxels, expected {expected}",
        "map its labels to these values (liverspleen import does), or say what they mean by label_values=",
    )


def _write(path: Path, array: NDArray[Any], geometry: Geometry) -> None:
    if strip_suffix(path.name) is None:
        raise ValueError(f"{path.name!r} does not end on {' or '.join(SUFFIXES)}")
    # little-endian on any machine; the first native axis is the fastest, as NIfTI stores it
    dtype, native = array.dtype.newbyteorder("<"), geometry.to_native(array)
    planes = max(1, _BLOCK // (native[..., :1].size * dtype.itemsize))
    blocks = (native[..., first : first + planes] for first in range(0, native.shape[2], planes))
    content = itertools.chain([build(geometry, dtype)], (block.astype(dtype).tobytes(order="F") for block in blocks))
    with complete_file(path) as temporary, temporary.open("wb") as handle:
        for part in _gzip(content) if path.name.endswith(".gz") else content:
            handle.write(part)


def _gzip(content: Iterable[bytes]) -> Iterator[bytes]:
    """One gzip member without name or time, so that one kind of processor gives the same bytes for the same content."""
    member = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
    for part in content:
        yield member.compress(part)
    yield member.flush()
