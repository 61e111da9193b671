"""Hints about the voxel values of a CT in a NIfTI file."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from hinting import Call, hint
from source_files import box_exam

from liverspleen.cohort.findings.ct import judge_ct
from liverspleen.imaging import read_ct

GRID = box_exam("a", slices=8).ct.geometry


def body() -> np.ndarray:
    """HU of soft tissue with a lung in air, (column, row, slice)."""
    hu = np.full(GRID.shape, -1000.0)
    hu[4:28, 6:26] = 40
    hu[8:14, 10:16] = -800
    return hu + np.random.default_rng(0).normal(0, 20, GRID.shape)


def saved(file: Path, values: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(values, GRID.affine), file)
    return file


def judged(file: Path) -> Call:
    return lambda: judge_ct(read_ct(file))


@hint("LS-IMG-040", "divide every voxel by 10, and save the file again")
def values_times_ten(folder: Path):
    file = saved(folder / "a.nii", (10 * body()).astype(np.int16))
    yield judged(file)
    saved(file, (nib.load(file).get_fdata() / 10).astype(np.int16))


@hint("LS-IMG-040", "convert the image from its source again, in HU")
def values_without_a_negative_one(folder: Path):
    file = saved(folder / "a.nii", np.clip(1200 + body(), 0, 2000).astype(np.float32) * 20)
    yield judged(file)
    saved(file, body().astype(np.int16))


@hint("LS-IMG-041", "give the CT as image, and this file as label")
def label_map_as_a_ct(folder: Path):
    label = saved(folder / "a_label.nii", (body() > 90).astype(np.uint8))
    yield judged(label)
    yield judged(saved(folder / "a.nii", body().astype(np.int16)))


@hint("LS-IMG-042", "convert the image from its source again, in HU, as signed 16-bit integers")
def negative_values_without_sign(folder: Path):
    file = saved(folder / "a.nii", body().astype(np.int16).view(np.uint16))
    yield judged(file)
    saved(file, body().astype(np.int16))


def with_scaling(file: Path, slope: float, intercept: float) -> None:
    content = bytearray(file.read_bytes())
    content[112:120] = np.array([slope, intercept], "<f4").tobytes()  # scl_slope, scl_inter
    file.write_bytes(content)


@hint("LS-IMG-050", "set scl_slope to 1 if scl_inter is right")
def intercept_without_slope(folder: Path):
    file = saved(folder / "a.nii", (body() + 1024).astype(np.int16))
    with_scaling(file, 0, -1024)
    yield judged(file)
    with_scaling(file, 1, -1024)


@hint("LS-IMG-050", "or scl_inter to 0")
def intercept_that_is_wrong(folder: Path):
    file = saved(folder / "a.nii", body().astype(np.int16))
    with_scaling(file, 0, -1024)
    yield judged(file)
    with_scaling(file, 0, 0)
