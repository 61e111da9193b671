"""Checked content of a NIfTI header: data type, shape, and the grid from sform or qform."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.geometry import Geometry, NiftiSpace, affine_displacement_mm, grid_tolerance_mm
from liverspleen.imaging.hounsfield import InputSource
from liverspleen.imaging.layout import AS_MM, Layout, check_spacing, data_type_error
from liverspleen.imaging.stream import Source

HEADER_BYTES = 540  # of NIfTI-2; the NIfTI-1 header is shorter
_UNITS_MM = (0, 2)  # xyzt_units & 7: unknown, which CT tools read as mm, and mm
_LEAST_SLOPE = float(np.finfo(np.float64).eps)  # ITK reads a smaller one as 1
_SPACING_FRACTION = 1e-3  # float32 rounds at 1e-7, some programs write three decimals


def nibabel() -> Any:
    """Return nibabel, imported at the first use: with pydicom it takes 0.3 s, and evaluation can do without both."""
    import_module("liverspleen.imaging.without_gdcm")  # before nibabel
    return import_module("nibabel")


def parse(source: Source, head: bytes, data: Path | None = None) -> Layout:
    """Return the layout from the first `HEADER_BYTES` of a NIfTI-1 or NIfTI-2.

    It is a single file, or the header of a pair whose voxels are in the file `data`.

    nibabel parses with its repairs switched off, because they turn a spacing of 0 into 1 without a message.

    Raises:
        InputError: LS-IMG-003 not a NIfTI file, LS-IMG-006 not three axes, LS-IMG-007 the data type is not numeric or
            the scaling not finite, LS-GEO-001 spacing, LS-GEO-002 affine, LS-GEO-005 sform and qform differ,
            LS-GEO-006 no orientation, LS-GEO-007 unit, LS-GEO-008 pixdim and sform differ, LS-IMG-050 the scaling is
            contradictory.
    """
    header = _header(source, head, paired=data is not None)
    shape = _shape(source, header)
    try:
        dtype = header.get_data_dtype()
        slope, intercept = _scaling(source, header)
    except (nibabel().spatialimages.HeaderDataError, KeyError, ValueError) as error:
        raise data_type_error(source, str(error)) from error
    if dtype.kind not in "iuf":
        raise data_type_error(source, f"data type {dtype}")
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset >= (header.sizeof_hdr if data is None else 0)):
        raise source.error(
            "LS-IMG-003", f"header gives byte {offset:g} as the start of the voxels", "convert the image again"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # an affine that is not finite is rejected
        geometry = _geometry(source, header, shape)
    return Layout(
        geometry=geometry,
        dtype=dtype,
        offset=int(offset),
        slope=slope,
        intercept=intercept,
        file=data or source.path,
    )


def grid_in(source: InputSource, header: Any) -> Geometry:
    """Return the grid of a NIfTI header of nibabel.

    Raises:
        InputError: LS-IMG-006 not three axes, LS-GEO-001 to 008 as `parse`.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # an affine that is not finite is rejected
        return _geometry(source, header, _shape(source, header))


def build(geometry: Geometry, dtype: np.dtype[Any], slope: float = 1.0) -> bytes:
    """Return the header of a single-file NIfTI-1 for voxels of `dtype` on a grid, with the extension flag.

    Readers multiply the voxels by `slope`.

    The spatial fields are those of the grid's source file. A grid from memory gets an sform and, unless it is sheared
    (a qform cannot represent shear), a qform.
    """
    header = nibabel().Nifti1Header()
    header.set_data_shape(geometry.shape)
    header.set_data_dtype(dtype)
    if geometry.space is None:
        header.set_sform(geometry.affine, code=1)
        header.set_qform(geometry.affine, code=1)
        if affine_displacement_mm(geometry.shape, geometry.affine, header.get_qform()) > grid_tolerance_mm(geometry):
            header["qform_code"] = 0
        header.set_xyzt_units("mm")
    else:
        _restore(header, geometry.space)
    header["magic"] = header.single_magic
    header["vox_offset"] = header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = slope, 0.0
    return bytes(header.binaryblock) + bytes(header.single_vox_offset - header.sizeof_hdr)


def _header(source: Source, head: bytes, *, paired: bool) -> Any:
    for kind in (nibabel().Nifti1Header, nibabel().Nifti2Header):
        if len(head) >= kind.sizeof_hdr:
            header = kind(head[: kind.sizeof_hdr], check=False)
            magic = bytes(header["magic"]).rstrip(b"\0")
            expected = kind.pair_magic if paired else kind.single_magic
            if int(header["sizeof_hdr"]) == kind.sizeof_hdr and magic == expected.rstrip(b"\0"):
                return header
    if paired:
        message = "file is not the header of a NIfTI pair (Analyze 7.5 has no orientation)"
        raise source.error("LS-IMG-003", message, "convert it to .nii.gz from its source")
    raise source.error(
        "LS-IMG-003", "file is not a single-file NIfTI-1 or NIfTI-2 (.nii, .nii.gz)", "convert it to NIfTI"
    )


def _shape(source: InputSource, header: Any) -> tuple[int, int, int]:
    number = int(header["dim"][0])
    axes = [int(n) for n in header["dim"][1 : 1 + max(number, 0)]]
    if not 3 <= number <= 7 or min(axes) < 1 or any(n != 1 for n in axes[3:]):
        raise source.error(
            "LS-IMG-006", f"image has shape {tuple(axes)}, expected three axes", "save one 3D volume per file"
        )
    return axes[0], axes[1], axes[2]


def _scaling(source: InputSource, header: Any) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 or NaN without an intercept means no scaling."""
    stored, added = float(header["scl_slope"]), float(header["scl_inter"])
    if math.isinf(stored):  # nibabel reads it as no scaling
        raise ValueError(f"slope is {stored}")
    no_slope = stored == 0 or math.isnan(stored)
    if (no_slope and added != 0 and not math.isnan(added)) or 0 < abs(stored) < _LEAST_SLOPE:
        message = f"scl_slope is {stored:g} and scl_inter {added:g}: programs differ in their scaling"
        hint = "set scl_slope to 1 if scl_inter is right, or scl_inter to 0"
        raise source.error("LS-IMG-050", message, hint)
    slope, intercept = header.get_slope_inter()
    return (1.0, 0.0) if slope is None else (float(slope), float(intercept))


def _geometry(source: InputSource, header: Any, shape: tuple[int, int, int]) -> Geometry:
    """Return the grid of the sform if its code is set, else of the qform; if both are valid they must agree."""
    spacing = tuple(float(edge) for edge in header["pixdim"][1:4])
    check_spacing(source, spacing)
    unit = int(header["xyzt_units"]) & 7
    if unit not in _UNITS_MM:
        raise source.error("LS-GEO-007", f"unit of the spacing has code {unit}, expected 2 (mm)", AS_MM)
    forms = _forms(source, header, shape)
    geometry = forms.get("sform") or forms["qform"]
    if len(forms) == 2:
        _check_agreement(source, geometry, forms["qform"].affine)
    elif "sform" in forms:
        _check_spacing(source, geometry, spacing)
    return geometry


def _forms(source: InputSource, header: Any, shape: tuple[int, int, int]) -> dict[str, Geometry]:
    """Return the grid of each form whose code is set.

    One valid form is enough, as for ITK; its grid names the other one, and is written with new spatial fields.
    """
    found: dict[str, Geometry] = {}
    invalid: dict[str, str] = {}
    for name, read in (("sform", header.get_sform), ("qform", partial(_qform, header))):
        if int(header[f"{name}_code"]) > 0:
            try:
                found[name] = Geometry(shape, read(), _space(header))
            except (nibabel().spatialimages.HeaderDataError, ValueError) as error:
                invalid[name] = str(error)
    if not found and not invalid:
        message = "header has no orientation (the codes of sform and qform are 0)"
        raise source.error("LS-GEO-006", message, "convert the image from DICOM again, keeping the orientation")
    for name, reason in invalid.items():
        if not found or (name == "sform" and not np.isfinite(header.get_sform()).all()):  # programs differ, or hang
            hint = "convert the image from DICOM again, keeping the orientation"
            raise source.error("LS-GEO-002", f"{name} is invalid ({reason})", hint)
        found = {other: replace(grid, space=None, invalid_form=name) for other, grid in found.items()}
    return found


def _qform(header: Any) -> NDArray[np.float64]:
    signed = header.copy()
    if signed["pixdim"][0] == 0:  # the standard reads a sign of 0 as 1
        signed["pixdim"][0] = 1
    return np.asarray(signed.get_qform(), dtype=np.float64)


def _check_agreement(source: InputSource, geometry: Geometry, qform: NDArray[np.float64]) -> None:
    distance = affine_displacement_mm(geometry.shape, geometry.affine, qform)
    tolerance = grid_tolerance_mm(geometry)
    if not distance <= tolerance:
        raise source.error(
            "LS-GEO-005",
            f"sform and qform differ: corners are up to {distance:.3g} mm apart, expected at most {tolerance:.3g} mm",
            "find out which one is right, and set the code of the other to 0",
        )


def _check_spacing(source: InputSource, geometry: Geometry, spacing: tuple[float, ...]) -> None:
    """Reject a spacing that is not that of the sform: programs that use it get other volumes."""
    edges = np.linalg.norm(geometry.affine[:3, :3], axis=0)
    if (abs(edges / spacing - 1) > _SPACING_FRACTION).any():
        stated, found = (" x ".join(f"{edge:.4g}" for edge in values) for values in (spacing, edges))
        message = f"spacing is {stated} mm in pixdim, {found} mm in the sform"
        raise source.error("LS-GEO-008", message, "find out which one is right, and write the header again")


def _space(header: Any) -> NiftiSpace:
    def numbers(*names: str) -> tuple[float, ...]:
        return tuple(float(value) for name in names for value in np.atleast_1d(header[name]))

    return NiftiSpace(
        sform_code=int(header["sform_code"]),
        qform_code=int(header["qform_code"]),
        sform=numbers("srow_x", "srow_y", "srow_z"),
        quaternion=numbers("quatern_b", "quatern_c", "quatern_d"),
        qoffset=numbers("qoffset_x", "qoffset_y", "qoffset_z"),
        pixdim=numbers("pixdim")[:4],
        units=int(header["xyzt_units"]),
    )


def _restore(header: Any, space: NiftiSpace) -> None:
    header["sform_code"], header["qform_code"] = space.sform_code, space.qform_code
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        header[name] = space.sform[4 * row : 4 * row + 4]
    for letter, value in zip("bcd", space.quaternion, strict=True):
        header[f"quatern_{letter}"] = value
    for letter, value in zip("xyz", space.qoffset, strict=True):
        header[f"qoffset_{letter}"] = value
    header["pixdim"][:4] = space.pixdim
    header["xyzt_units"] = space.units
