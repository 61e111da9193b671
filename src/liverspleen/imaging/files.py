"""Reading of CT volumes and label maps from files of all formats, with complete checks.

`FORMATS` is the one table of suffixes and formats; each reader of a header gives the same `Layout`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, counted
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.hounsfield import hounsfield, reject_broken
from liverspleen.imaging.layout import Layout, axes_error
from liverspleen.imaging.metaimage_header import metaimage_layout
from liverspleen.imaging.nifti import nifti_layout, pair_layout
from liverspleen.imaging.nrrd_header import nrrd_layout
from liverspleen.imaging.segment_names import organ_segments, segment_meaning
from liverspleen.imaging.stream import Source, content, content_blocks, read_stored, reject_beyond_memory
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure, organs
from liverspleen.storage import StrPath

FORMATS: Mapping[str, Callable[[Source], Layout]] = {
    ".nii.gz": nifti_layout,
    ".nii": nifti_layout,
    ".hdr.gz": pair_layout,
    ".hdr": pair_layout,
    ".seg.nrrd": nrrd_layout,
    ".nrrd": nrrd_layout,
    ".nhdr": nrrd_layout,
    ".mha": metaimage_layout,
    ".mhd": metaimage_layout,
}
"""Reader of the header for each suffix, in lower case; a suffix follows the longer ones that end with it."""

ENDINGS = ".nii.gz, .nii, .hdr, .nrrd, .nhdr, .mha or .mhd"
"""The suffixes in messages."""

_DETACHED = (".hdr.gz", ".hdr", ".nhdr", ".mhd")
_SEGMENTS = ".seg.nrrd"
_LISTED = 5  # unknown label values listed in an issue
_BLOCK = 1 << 20  # bytes of voxels converted at a time: they and their float64 values fit the processor's cache
_PLANE_LIMIT = 1 << 24  # voxels of a plane, which is converted at once; the same limit as for DICOM


def suffix_of(name: str) -> str | None:
    """Return the suffix of an image file in lower case; None if the name has none.

    >>> suffix_of("A017.nii.gz"), suffix_of("B.NII.GZ"), suffix_of("c.seg.nrrd"), suffix_of("notes.txt")
    ('.nii.gz', '.nii.gz', '.seg.nrrd', None)
    """
    return next((suffix for suffix in FORMATS if name.lower().endswith(suffix)), None)


def strip_suffix(name: str) -> str | None:
    """Return the name of an image file without its suffix, in any letter case; None if it has none.

    >>> strip_suffix("A017.nii.gz"), strip_suffix("B.NII.GZ"), strip_suffix("c.seg.nrrd"), strip_suffix("notes.txt")
    ('A017', 'B', 'c', None)
    """
    suffix = suffix_of(name)
    return None if suffix is None else name[: -len(suffix)]


def is_named_segmentation(name: str) -> bool:
    """Return whether a file name says that the file is a segmentation: `.seg.nrrd` of 3D Slicer."""
    return name.lower().endswith(_SEGMENTS)


def is_detached(name: str) -> bool:
    """Return whether the voxels of an image file are in another file, or may be."""
    return name.lower().endswith(_DETACHED)


def parts(path: Path) -> tuple[Path, ...]:
    """Return all files that an image is read from: the file, and that of its voxels if it is another one."""
    path = header_of(path)
    if not is_detached(path.name):
        return (path,)
    try:
        return tuple(dict.fromkeys((path, read_layout(path).file)))
    except InputError:
        return (path,)  # it is reported when it is read


def read_ct(path: StrPath, *, case_id: str | None = None) -> CTVolume:
    """Read a CT from a file of `FORMATS`, in HU; a file with another suffix is read as NIfTI.

    The file's slope and intercept are applied once. Values are rounded to whole HU; values outside int16 are clipped
    and counted. A fourth axis of length 1 is dropped. `case_id` appears in issues. For every data type of the file only
    the volume and one block of the file are in memory.

    Raises:
        InputError: the file is missing, damaged, of another format, not one 3D volume of finite numbers (LS-IMG-001
            to 008, 050, 060 to 062), or its grid is invalid or contradictory (LS-GEO-001 to 008).
    """
    source = Source(Path(path), case_id)
    layout = read_layout(path, case_id=case_id)
    geometry = layout.geometry
    if layout.layers > 1:
        raise axes_error(source, (layout.layers, *geometry.shape))
    blocks = plane_blocks(layout, case_id=case_id)
    if math.prod(geometry.shape[:2]) > _PLANE_LIMIT:
        message = f"its slices have {geometry.shape[0]} x {geometry.shape[1]} voxels, expected at most {_PLANE_LIMIT}"
        raise source.error("LS-IMG-032", message, "check that the file is a CT")
    reject_beyond_memory(source, math.prod(geometry.shape) * np.dtype(np.int16).itemsize)
    hu = np.empty(geometry.canonical_shape, np.int16)
    native, first, broken, clipped, fractional = geometry.to_native(hu), 0, 0, 0, False
    for stored in blocks:
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
    """Read a label map from a file of `FORMATS`; a file with another suffix is read as NIfTI.

    `values` maps the voxel values of another system to structures (see `structures.LABEL_VALUES`). Other whole numbers
    are background, and structures without a value are not `covered`. If `named` is given, it lists all values that the
    system names, and no other value is accepted. The names of segments in the file give their meaning: `values` may add
    a meaning where no segment has the name of an organ, and may not contradict the names.

    Raises:
        InputError: as `read_ct`, and LS-LAB-001 for voxels with a value that is not in `Structure`, or, with
            `values`, is not a whole number, or not `named`; LS-LAB-056, 057 and LS-IMP-023 for named segments.
    """
    source = Source(Path(path), case_id)
    layout, stored = _voxels(source)
    scaled = _labels(layout, stored)
    if layout.segments:
        structures, covered = _of_segments(source, layout, scaled, values)
    elif layout.layers > 1:
        raise axes_error(source, (layout.layers, *layout.geometry.shape))
    elif values is None:
        structures, covered = _checked_values(source, scaled), ORGANS
    else:
        structures, covered = _translated(source, scaled, values, named), organs(s.key for s in values.values())
    return _label_map(layout, structures, covered)


def read_mask(path: StrPath, organ: Structure, *, case_id: str | None = None) -> LabelMap:
    """Read a mask of one organ: its voxels have one positive whole number, such as 1 or 255, all others are 0.

    Raises:
        InputError: as `read_ct`, and LS-IMP-027 for other values.
    """
    source = Source(Path(path), case_id)
    layout, stored = _voxels(source)
    if layout.layers > 1:
        raise axes_error(source, (layout.layers, *layout.geometry.shape))
    values = _labels(layout, stored)
    inside = values != 0
    found = np.unique(values[inside])
    if found.size > 1 or not all(value > 0 and value == np.rint(value) for value in found):
        message = f"mask has the values {_shown(found)} beside 0, expected one positive whole number"
        raise source.error("LS-IMP-027", message, "give a binary mask of one organ")
    return _label_map(layout, inside * np.uint8(organ), (organ,))


def read_grid(path: StrPath, *, case_id: str | None = None) -> Geometry:
    """Read the grid from a file's header; its voxels are not read.

    Raises:
        InputError: the file is missing, of another format, not one 3D volume, or its grid is invalid.
    """
    return read_layout(path, case_id=case_id).geometry


def plane_blocks(layout: Layout, *, case_id: str | None = None) -> Iterator[NDArray[Any]]:
    """Return the stored numbers of an image with one layer in blocks of whole planes along the last native axis.

    The part before the voxels is read at once; as in `content_blocks`, blocks are valid only if the last one is read.

    Raises:
        InputError: as `content_blocks`.
    """
    stream = content_blocks(
        Source(layout.file, case_id),
        layout.content_bytes,
        first=layout.offset,
        block=max(1, _BLOCK // layout.plane_bytes) * layout.plane_bytes,
        start=layout.start,
        encoding=layout.encoding,
    )
    next(stream)
    shape = (*layout.geometry.shape[:2], -1)
    return (np.frombuffer(voxels, layout.dtype).reshape(shape, order="F") for voxels in stream)


def read_layout(path: StrPath, *, case_id: str | None = None) -> Layout:
    """Read the layout of the voxels from a file's header; as `read_grid`."""
    source = Source(header_of(Path(path)), case_id)
    return FORMATS[suffix_of(source.path.name) or ".nii"](source)


def header_of(path: Path) -> Path:
    """Return the header of a pair that is given by its voxels, `X.img` or `X.img.gz`; any other path unchanged."""
    match = re.search(r"\.img(?=(\.gz)?$)", path.name, re.IGNORECASE)
    if match is None:
        return path
    suffix = ".HDR" if match[0].isupper() else ".hdr"
    header = path.with_name(path.name[: match.start()] + suffix + path.name[match.end() :])
    return header if header.is_file() else path


def stated_organs(path: Path) -> tuple[Structure, ...] | None:
    """Return the organs among the segments that a file names; None if it names none, or cannot be read."""
    if not path.name.lower().endswith((".nrrd", ".nhdr")):
        return None
    try:
        found = organ_segments(read_layout(path).segments)
    except InputError:
        return None  # it is reported when it is read
    return organs(organ.key for organ in found.values()) or None


def _label_map(layout: Layout, structures: NDArray[Any], covered: tuple[Structure, ...]) -> LabelMap:
    canonical = layout.geometry.to_canonical(structures)
    return LabelMap(np.ascontiguousarray(canonical, dtype=np.uint8), layout.geometry, covered)


def _voxels(source: Source) -> tuple[Layout, NDArray[Any]]:
    """Read the layout, and the stored numbers as a read-only view of the file's content.

    They have the native shape, with several layers as a first axis.
    """
    layout = read_layout(source.path, case_id=source.case_id)
    place = Source(layout.file, source.case_id)
    data = content(place, read_stored(place, start=layout.start), layout.content_bytes, layout.encoding)
    flat = np.frombuffer(data, dtype=layout.dtype, offset=layout.offset)
    shape = layout.geometry.shape if layout.layers == 1 else (layout.layers, *layout.geometry.shape)
    return layout, flat.reshape(shape, order="F")


def _labels(layout: Layout, stored: NDArray[Any]) -> NDArray[Any]:
    """Return the stored numbers as labels.

    nibabel stores whole numbers of a float array as multiples of a slope if the header is one of integers
    (nipy/nibabel#1344). Such a number is off by up to half a slope, and is rounded.
    """
    scaled = _scaled(layout, stored)
    if scaled is stored or stored.dtype.kind == "f" or not abs(layout.slope) < 1:
        return scaled
    whole = np.rint(scaled)
    # a step is a float32; 1e-6 of the value is more than its rounding
    return np.where(abs(scaled - whole) <= abs(layout.slope) / 2 + 1e-6 * abs(whole), whole, scaled)


def _scaled(layout: Layout, stored: NDArray[Any]) -> NDArray[Any]:
    if layout.slope == 1.0 and layout.intercept == 0.0:
        return stored
    with np.errstate(over="ignore"):  # infinite values are rejected later
        return np.asarray(stored * np.float64(layout.slope) + np.float64(layout.intercept))


def _of_segments(
    source: Source, layout: Layout, labels: NDArray[Any], values: Mapping[int, Structure] | None
) -> tuple[NDArray[Any], tuple[Structure, ...]]:
    """Return the structures of the voxels, and the covered ones, of a file that names its segments."""
    meaning = segment_meaning(source, layout.segments, layout.layers, values)
    structures = np.zeros(layout.geometry.shape, np.uint8, order="F")
    for number, layer in enumerate(labels if layout.layers > 1 else [labels]):
        own = {value: organ for (place, value), organ in meaning.items() if place == number}
        known = {0, *own, *(segment.value for segment in layout.segments if segment.layer == number)}
        part = _translated(source, layer, own, known)
        if both := int(np.count_nonzero((part > 0) & (structures > 0) & (part != structures))):
            message = f"{both} voxels are labelled as two structures"
            raise source.error("LS-IMP-023", message, "correct the segments")
        structures |= part
    return structures, organs(organ.key for organ in meaning.values())


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
    found = f"({_shown(np.unique(values))}) in {counted(values.size, 'voxel')}"
    return source.error(
        "LS-LAB-001",
        f"label map has unknown values {found}, expected {expected}",
        "map its labels to these values with liverspleen import, or give their meaning by label_values=",
    )


def _shown(values: NDArray[Any]) -> str:
    """Return the first values with all their digits, so that 2.00003 is not shown as 2."""
    texts = (f"{value:g}" if float(f"{value:g}") == value else repr(float(value)) for value in values[:_LISTED])
    return ", ".join(texts) + (", …" if values.size > _LISTED else "")
