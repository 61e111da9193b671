"""Random mutations of NIfTI headers: read as SimpleITK reads them, or rejected.

NIfTI-1 only: SimpleITK reads no NIfTI-2, which goes through the same code here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from second_reader import Reading, difference, differing, itk_reading, outcome

from liverspleen.imaging import CTVolume, read_ct

SHAPE = (7, 6, 5)
MUTATIONS = 400
SHEARED = 3  # of the mutations: SimpleITK rejects an sform whose axes are not orthogonal; `check` reports it

TYPES = ("<i2", ">i2", "<u2", "<f4", "<i4", "u1", "<f8")
NUMBERS = (0, 1, -1, 2, 3, 5, 7, 100, 1e30, -1e30, np.nan, np.inf, 1e-30, 0.5, 352, 352.5, 1024, -32768, 32767)
FACTORS = (1.01, -1, 2, 0.5, 1.1, 0.999)
TEXTS = (b"", b"n+1", b"ni1", b"n+2", b"x")
FIELDS = (
    *("dim", "dim", "pixdim", "pixdim", "pixdim", "datatype", "bitpix", "scl_slope", "scl_inter", "xyzt_units"),
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z", "vox_offset", "magic", "sizeof_hdr", "intent_code", "intent_p1", "intent_name"),
    *("cal_max", "cal_min", "toffset", "slice_start", "slice_end", "slice_code", "dim_info", "descrip", "aux_file"),
)


def base(rng: np.random.Generator) -> tuple[Any, bytes]:
    """A valid header of a random kind, and its voxels."""
    dtype = np.dtype(str(rng.choice(TYPES)))
    voxels = rng.integers(0 if dtype.kind == "u" else -1024, 250 if dtype.itemsize == 1 else 3000, SHAPE).astype(dtype)
    header = nib.Nifti1Header(endianness=">" if dtype.str[0] == ">" else "<")
    header.set_data_dtype(dtype)
    header.set_data_shape(SHAPE)
    cos, sin = np.cos(angle := rng.choice([0, 0.3])), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = turn[:, rng.permutation(3)] * [0.75, 0.5, 2.5]
    affine[:3, 3] = 31.5, -12.25, -300
    sform_code, qform_code = ((1, 1), (1, 0), (0, 1), (2, 1))[rng.integers(4)]
    header.set_sform(affine, sform_code)
    header.set_qform(affine, qform_code)
    header.set_xyzt_units("mm")
    header["scl_slope"], header["scl_inter"] = ((1, 0), (np.nan, np.nan), (0, 0), (2, -1024))[rng.integers(4)]
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    return header, voxels.tobytes(order="F")


def mutated(rng: np.random.Generator, header: Any) -> tuple[bytes, str]:
    """The bytes of the header with some of them replaced, or with another value of one field; and what was done."""
    if rng.random() < 0.3:
        content = bytearray(header.binaryblock)
        places = {int(rng.integers(len(content))): int(rng.integers(256)) for _ in range(rng.integers(1, 4))}
        for place, byte in places.items():
            content[place] = byte
        return bytes(content), f"bytes {places}"
    name = str(rng.choice(FIELDS))
    values = np.atleast_1d(header.structarr[name]).copy()
    place = int(rng.integers(values.size))
    if values.dtype.kind == "S":
        values[place] = TEXTS[rng.integers(len(TEXTS))]
    else:
        values[place] = number(rng, values[place], values.dtype)
    header.structarr[name] = values if header.structarr[name].ndim else values[0]
    return bytes(header.binaryblock), f"{name}[{place}] = {values[place]}"


def number(rng: np.random.Generator, present: Any, dtype: np.dtype[Any]) -> Any:
    """A special number, or one near the present one, within the range of the type."""
    value = float(NUMBERS[rng.integers(len(NUMBERS))])
    if rng.random() < 0.4:
        value = float(present) * FACTORS[rng.integers(len(FACTORS))]
    if dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    value = float(np.nan_to_num(value, nan=0, posinf=float(limits.max), neginf=float(limits.min)))
    return limits.max if value >= limits.max else max(int(value), limits.min)


def compared(ct: CTVolume, path: Path) -> str:
    """SimpleITK scales a quaternion that is no rotation to one; here the sform is used, with the warning LS-GEO-020."""
    theirs = itk_reading(path)
    if ct.geometry.invalid_form == "qform":
        theirs = Reading(theirs.values, nib.load(path).get_sform())
    return difference(ct, theirs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value|overflow:RuntimeWarning")
def test_mutated_headers_are_read_as_simpleitk_reads_them_or_rejected(tmp_path: Path) -> None:
    outcomes = {}
    for seed in range(MUTATIONS):
        rng = np.random.default_rng(seed)
        header, voxels = base(rng)
        content, what = mutated(rng, header)
        (path := tmp_path / "ct.nii").write_bytes(content + bytes(4) + voxels)
        outcomes[f"{seed}, {what}"] = outcome(lambda: read_ct(path), lambda ct: compared(ct, path))
    number, different = differing(outcomes)
    assert different == []
    assert number["only ours"] <= SHEARED
    assert number["equal"] > MUTATIONS / 2
    assert number["rejected"] > MUTATIONS / 10
