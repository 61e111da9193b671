"""Edits of label maps in a correction folder, for the tests of `correct`."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from predicting import rows

from liverspleen.cli.main import main
from liverspleen.imaging.files import read_label_map
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure


def correct(*words: str) -> int:
    return main(["correct", *words])


def label_map(todo: Path, case: str = "a") -> Path:
    return todo / "cases" / case / f"{case}_dseg.nii.gz"


def edited(todo: Path, case: str = "a") -> LabelMap:
    """The label map of a case with 3 x 4 voxels more of the spleen in slice 0, and 5 fewer of the liver in slice 2."""
    found = read_label_map(label_map(todo, case))
    labels = found.labels.copy()
    assert not labels[0, 0:3, 0:4].any()
    labels[0, 0:3, 0:4] = Structure.SPLEEN
    slices, row, column = (axis[:5] for axis in np.nonzero((labels == Structure.LIVER) & in_slice(labels, 2)))
    labels[slices, row, column] = 0
    return LabelMap(labels, found.geometry)


def in_slice(labels: NDArray[np.uint8], number: int) -> NDArray[np.bool_]:
    return np.arange(labels.shape[0])[:, None, None] == number


def save_nifti(todo: Path, case: str = "a") -> LabelMap:
    found = edited(todo, case)
    write_label_map(label_map(todo, case), found)
    return found


def save_as_slicer_does(todo: Path, case: str = "a") -> LabelMap:
    """Write the smallest box around the segments as .seg.nrrd, with other label values than ours."""
    found = edited(todo, case)
    native, affine = found.to_native(), found.geometry.affine.copy()
    inside = np.nonzero(native)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in inside)
    affine[:3, 3] = affine[:3, :3] @ [extent.start for extent in box] + affine[:3, 3]
    cropped = np.choose(native[box], [0, 5, 1]).astype(np.uint8)  # liver 5, spleen 1
    assert cropped.shape != native.shape
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    write_seg_nrrd(todo, case, cropped, lps, [("Spleen", 1), ("Liver", 5)])
    return found


def write_seg_nrrd(
    todo: Path, case: str, array: NDArray[np.uint8], lps: NDArray[np.float64], segments: list[tuple[str, int]]
) -> Path:
    vectors = " ".join(f"({','.join(map(str, lps[:3, axis]))})" for axis in range(3))
    lines = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {vectors}",
        "kinds: domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(map(str, lps[:3, 3]))})",
    ]
    for number, (name, value) in enumerate(segments):
        lines += [f"Segment{number}_Name:={name}", f"Segment{number}_LabelValue:={value}", f"Segment{number}_Layer:=0"]
    file = todo / "cases" / case / f"{case}_dseg.seg.nrrd"
    file.write_bytes("\n".join([*lines, "", ""]).encode() + gzip.compress(array.tobytes(order="F")))
    return file


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]


def states(todo: Path, case: str = "a") -> list[str]:
    return [row["state"] for row in rows(todo / "corrections.csv") if row["case_id"] == case]
