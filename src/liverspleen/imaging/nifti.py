"""NIfTI: the layout of the voxels from a header, and writing of CT volumes and label maps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.header import HEADER_BYTES, build, parse
from liverspleen.imaging.layout import Layout, data_file
from liverspleen.imaging.stream import Source, content, head, read_stored
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.storage import StrPath, complete_file

SUFFIXES = (".nii.gz", ".nii")
_GZIP_LEVEL = 2  # of ISA-L, 0 to 3; for CT the size of zlib's level 1 in a quarter of the time
_GZIP_WBITS = 31  # gzip framing
_HEAD_STORED = 1 << 16  # holds any compressed header
_BLOCK = 1 << 20  # bytes of voxels written at a time


def nifti_layout(source: Source) -> Layout:
    """Return the layout from the header of a single file; raises as `parse`, or if the file is damaged."""
    return parse(source, _beginning(source))


def pair_layout(source: Source) -> Layout:
    """Return the layout from the header of a pair, `X.hdr` and `X.img`, or `X.hdr.gz` and `X.img.gz`.

    Raises:
        InputError: as `nifti_layout`; LS-IMG-061 the other file is missing.
    """
    name = source.path.name
    stem = name.lower().rindex(".hdr")
    image = ".IMG" if name[stem:].isupper() else ".img"
    beginning = _beginning(source)
    return parse(source, beginning, data_file(source, f"{name[:stem]}{image}{name[stem + len(image) :]}"))


def _beginning(source: Source) -> bytes:
    """Return the first bytes; if they hold no header, read the rest of the file to find out why."""
    beginning = head(read_stored(source, _HEAD_STORED), HEADER_BYTES)
    if len(beginning) < HEADER_BYTES:
        stored = read_stored(source)
        beginning = head(stored, HEADER_BYTES)
        if len(beginning) < HEADER_BYTES:  # too short for a header: this raises an issue if the stream is damaged
            beginning = content(source, stored, max(len(beginning), 1))
    return beginning


def write_label_map(path: StrPath, label_map: LabelMap) -> None:
    """Write a label map as uint8 on its grid, in the native axis order and with the header space of its CT.

    The file is complete or absent. The same label map gives the same bytes on one processor architecture. A file that
    ends in `.nii.gz` is compressed.

    Raises:
        ValueError: the name ends in neither `.nii` nor `.nii.gz`.
    """
    _write(Path(path), label_map.labels, label_map.geometry)


PROBABILITY_SLOPE = 1 / 255
"""Probability of 1 in a map of uint8; the header has it as float32."""


def write_probability_map(path: StrPath, values: NDArray[np.uint8], geometry: Geometry) -> None:
    """Write probabilities, uint8 (slice, row, column) with 255 for 1, as `write_label_map`; readers scale them to 0..1.

    Raises:
        ValueError: as `write_label_map`; or the shape is not that of the grid.
    """
    _write(Path(path), values, geometry, slope=PROBABILITY_SLOPE)


def write_ct(path: StrPath, ct: CTVolume) -> None:
    """Write a CT as int16 HU; as `write_label_map`."""
    _write(Path(path), ct.hu, ct.geometry)


def _write(path: Path, array: NDArray[Any], geometry: Geometry, *, slope: float = 1.0) -> None:
    if not path.name.lower().endswith(SUFFIXES):
        raise ValueError(f"{path.name!r} does not end in {' or '.join(SUFFIXES)}")
    # little-endian on any machine; the first native axis is the fastest, as NIfTI stores it
    dtype, native = array.dtype.newbyteorder("<"), geometry.to_native(array)
    planes = max(1, _BLOCK // (native[..., :1].size * dtype.itemsize))
    blocks = (native[..., first : first + planes] for first in range(0, native.shape[2], planes))
    content = itertools.chain(
        [build(geometry, dtype, slope)], (block.astype(dtype).tobytes(order="F") for block in blocks)
    )
    with complete_file(path) as temporary, temporary.open("wb") as handle:
        for part in _gzip(content) if path.name.lower().endswith(".gz") else content:
            handle.write(part)


def _gzip(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield one gzip member without name or time: the same content gives the same bytes on one architecture."""
    member = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
    for part in content:
        yield member.compress(part)
    yield member.flush()
