"""Where the voxels of an image file are, and what the readers of all formats check in a header."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.hounsfield import InputSource
from liverspleen.imaging.stream import Encoding, Source

AS_MM = "write the image again with its spacing in mm"
_SPACING_MM = (1e-3, 1e3)  # as for DICOM
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Segment:
    """A segment that a header names: the voxels of `value` in a layer."""

    name: str
    value: int
    layer: int = 0


@dataclass(frozen=True, eq=False)
class Layout:
    """Position, type and scaling of the voxels of an image file.

    They are in `file`: from byte `start` on it has the content, stored as `encoding`, and `offset` bytes of the content
    precede the voxels. `dtype` has the file's byte order. `slope` and `intercept` are 1 and 0 if the file has none.
    `layers` is the number of values of each voxel, which are neighbours in the file. `segments` are those that the
    header names.
    """

    geometry: Geometry
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    file: Path
    start: int = 0
    encoding: Encoding = "detected"
    layers: int = 1
    segments: tuple[Segment, ...] = ()

    @property
    def plane_bytes(self) -> int:
        """Number of bytes of one plane across the last native axis."""
        return math.prod(self.geometry.shape[:2]) * self.layers * self.dtype.itemsize

    @property
    def content_bytes(self) -> int:
        """Number of bytes of the content up to the last voxel."""
        return self.offset + self.plane_bytes * self.geometry.shape[2]


def data_type_error(source: InputSource, message: str) -> Exception:
    """Return the error LS-IMG-007: the data type is not numeric."""
    return source.error(
        "LS-IMG-007",
        f"voxels cannot be read as numbers ({message})",
        "save the image as 16-bit integers in HU, and labels as 8-bit integers",
    )


def header_error(source: InputSource, message: str) -> Exception:
    """Return the error LS-IMG-060: a header of NRRD or MetaImage cannot be used."""
    return source.error("LS-IMG-060", message, "save the image again with the program that wrote it, or as .nii.gz")


def axes_error(source: InputSource, shape: Sequence[int]) -> Exception:
    """Return the error LS-IMG-006: the image is not one 3D volume."""
    listed = ", ".join(map(str, shape))
    return source.error("LS-IMG-006", f"image has shape ({listed}), expected three axes", "save one 3D volume per file")


def check_spacing(source: InputSource, spacing: Sequence[float]) -> None:
    """Reject a spacing outside the range of CT (LS-GEO-001)."""
    if not all(_SPACING_MM[0] < edge < _SPACING_MM[1] for edge in spacing):
        stated = ", ".join(f"{edge:.4g}" for edge in spacing)
        least, most = _SPACING_MM
        message = f"header spacing is ({stated}) mm, expected three numbers from {least:g} to {most:g}"
        raise source.error("LS-GEO-001", message, AS_MM)


def lps_geometry(
    source: InputSource, shape: Sequence[int], directions: NDArray[np.float64], origin: NDArray[np.float64]
) -> Geometry:
    """Return the grid of an image in DICOM's world (x to the left, y to posterior, z to superior), in mm.

    A row of `directions` is the step between neighbours along an axis; `origin` is the centre of the first voxel.

    Raises:
        InputError: LS-GEO-001 spacing, LS-GEO-002 affine.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        check_spacing(source, np.linalg.norm(directions, axis=1).tolist())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions.T, origin
    try:
        return Geometry((shape[0], shape[1], shape[2]), _LPS_TO_RAS @ affine)
    except ValueError as error:
        hint = "convert the image from DICOM again, keeping the orientation"
        raise source.error("LS-GEO-002", str(error), hint) from error


def data_file(source: Source, name: str) -> Path:
    """Return the file of the voxels that a header names; it is beside the header.

    Raises:
        InputError: LS-IMG-061 the name is none of a file in the same folder, or there is no such file.
    """
    # `LIST` and `%` are several files in both formats
    alone = name not in ("", ".", "..") and not name.startswith("LIST") and not {*name} & {*"/\\\0:%"}
    file = source.path.with_name(name) if alone else source.path
    if file == source.path:
        message = "header names a data file that is not in its folder, or several"
        raise source.error("LS-IMG-061", message, "save the image in one file, such as .nrrd, .mha or .nii.gz")
    if not file.exists():
        hint = "add the data file that the header names, in the folder of the header"
        raise source.error("LS-IMG-061", "the data file of the header is missing", hint)
    return file
