"""Random mutations of the headers of DICOM CT series: read as SimpleITK reads each slice, or rejected."""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, made, state, write
from numpy.typing import NDArray
from second_reader import differing, itk_reading, outcome, value_difference

from liverspleen.imaging import CTVolume
from liverspleen.imaging.dicom import Series, eligible, find_series, read_series
from liverspleen.imaging.dicom.quiet import quiet

SHAPE = (9, 8, 5)  # columns, rows, slices
KINDS = 8
MUTATIONS = 300
REJECTED_BY_ITK = 6  # of the mutations: bytes of the file meta information, and a spacing of 0 or NaN between slices

TEXTS = (
    "",
    " ",
    "0",
    "1",
    "-1",
    "2",
    "1,0",
    "abc",
    "nan",
    "inf",
    "1e400",
    "1_0",
    "1.5",
    "-1024",
    "0\\1",
    "1e-3",
    "0x1",
)
DECIMALS = (
    *("RescaleSlope", "RescaleIntercept", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
    *("SliceThickness", "SpacingBetweenSlices", "SliceLocation"),
)
WORDS = {
    "RescaleType": ("", "HU", "US", "OD", "MGML", "HU_MOD", "ED"),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "", "MONOCHROME2 "),
    "ImageType": ("ORIGINAL\\PRIMARY\\LOCALIZER", "DERIVED\\SECONDARY", "DERIVED\\PRIMARY\\MIP", ""),
    "Modality": ("MR", "", "ct"),
    "SeriesInstanceUID": ("1.2.3", ""),
    "StudyInstanceUID": ("1.2.3", ""),
    "FrameOfReferenceUID": ("1.2.3", ""),
    "PatientID": ("", "other"),
    "PatientPosition": ("FFS", "HFP", ""),
    "InstanceNumber": ("1", "999", "x"),
    "AcquisitionNumber": ("2", ""),
    "PixelAspectRatio": ("1\\2", "2\\1"),
    "NumberOfFrames": ("0", "1", "2", "x"),
    "LossyImageCompression": ("01",),
    "WindowCenter": ("40", "x"),
}
WHOLE = {
    "Rows": (0, 1, 7, 9, 16, 72),
    "Columns": (0, 1, 8, 10, 72),
    "BitsAllocated": (0, 1, 8, 12, 32),
    "BitsStored": (0, 8, 10, 12, 15, 17),
    "HighBit": (0, 7, 11, 14, 16),
    "PixelRepresentation": (0, 1, 2),
    "SamplesPerPixel": (0, 1, 3),
    "PlanarConfiguration": (0, 1),
}


def base(folder: Path, kind: int) -> None:
    """Write a valid series of one of `KINDS` kinds: grid, sign and bits of pixels, slope, encoding."""
    affine, cos, sin = AFFINE.copy(), np.cos(0.3), np.sin(0.3)
    if kind % 2:
        affine[:3, :3] = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ affine[:3, :3] @ np.diag([-1, 1, 1])
    files = list(write(folder, made(affine, shape=SHAPE, seed=kind)))

    def change(dataset: pydicom.Dataset) -> None:
        if kind // 2 == 1:
            values = np.frombuffer(dataset.PixelData, "<i2").astype(np.int32) + 1024
            dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 0, 12, 11
            dataset.PixelData, dataset.RescaleIntercept = values.clip(0, 4095).astype("<u2").tobytes(), "-1024"
        elif kind // 2 == 2:
            dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-10.25"

    edit(files, change, implicit=kind // 2 == 3)


def edit(files: list[Path], change: Any, *, implicit: bool | None = None) -> None:
    with quiet():
        for file in files:
            dataset = pydicom.dcmread(file)
            change(dataset)
            if implicit:
                dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
                dataset.save_as(file, implicit_vr=True, little_endian=True)
            else:
                dataset.save_as(file)


def mutate(rng: np.random.Generator, files: list[Path]) -> str:
    """Change bytes of the header of one file, or one field of some or all files; return what was done."""
    some = files if rng.random() < 0.5 else [files[rng.integers(len(files))]]
    if rng.random() < 0.3:
        return flip(rng, some[0])
    kind = rng.integers(3)
    if kind == 0:
        keyword = str(rng.choice(DECIMALS))
        return decimal(rng, some, keyword)
    table: dict[str, Any] = WORDS if kind == 1 else WHOLE
    keyword = str(rng.choice(list(table)))
    if rng.random() < 0.15:
        edit(some, lambda d: d.pop(keyword, None))
        return f"{keyword} deleted in {len(some)}"
    value = table[keyword][rng.integers(len(table[keyword]))]
    edit(some, lambda d: state(d, keyword, value) if kind == 1 else setattr(d, keyword, value))
    return f"{keyword} = {value!r} in {len(some)}"


def decimal(rng: np.random.Generator, files: list[Path], keyword: str) -> str:
    """Replace one of the numbers of a field."""
    text, factor, place = str(rng.choice(TEXTS)), float(rng.choice([1.01, -1, 0.5, 1.2, 1.0005])), int(rng.integers(6))
    use_text = rng.random() < 0.6

    def change(dataset: pydicom.Dataset) -> None:
        values = [str(value) for value in np.atleast_1d(dataset.get(keyword, "1"))]
        at = place % len(values)
        values[at] = text if use_text else f"{float(values[at]) * factor + (factor == 1.01):.10g}"
        state(dataset, keyword, "\\".join(values))

    edit(files, change)
    return f"{keyword}[{place}] {text if use_text else factor!r} in {len(files)}"


def flip(rng: np.random.Generator, file: Path) -> str:
    content = bytearray(file.read_bytes())
    end = len(content) - 2 * SHAPE[0] * SHAPE[1]
    places = {int(rng.integers(128, end)): int(rng.integers(256)) for _ in range(rng.integers(1, 4))}
    for place, byte in places.items():
        content[place] = byte
    file.write_bytes(content)
    return f"bytes {places} of {file.name}"


def compared(folder: Path) -> str:
    """Read the series of a folder as predict does, and compare it with the second reader."""
    found = find_series(folder, minimum_slices=1)
    series = eligible(found)
    if len(series) != 1:
        return "rejected"
    reported = {file for other in found for file in other.files if series_error(other)}
    unused = set(folder.iterdir()) - {*series[0].files, *reported}
    return outcome(lambda: read_series(series[0], case_id="a"), lambda ct: compare(ct, series[0]) or lost(ct, unused))


def series_error(series: Series) -> bool:
    """Whether files cannot be read as images; a verb reports this as an error."""
    return series.exclusions[:1] != () and series.exclusions[0].code in ("LS-DCM-001", "LS-DCM-007")


def compare(ct: CTVolume, series: Series) -> str:
    """Compare each slice: its values, and the positions of its corners in mm."""
    native = ct.geometry.to_native(ct.hu)
    for number, file in enumerate(series.files):
        theirs = itk_reading(file)
        if theirs.values.shape != (*native.shape[:2], 1):
            return f"shape {native.shape}, theirs {theirs.values.shape}"
        if found := value_difference(native[..., number], theirs.values[..., 0]):
            return found
        for corner in product((0, native.shape[0] - 1), (0, native.shape[1] - 1)):
            if not near(ct, (*corner, number), theirs.affine @ [*corner, 0, 1]):
                return f"corner {corner} of slice {number} is elsewhere"
    return ""


def near(ct: CTVolume, voxel: tuple[int, int, int], position: NDArray[np.float64]) -> bool:
    """Whether a voxel has a position, within the tolerances of docs/import.md.

    Along the normal a tenth of the spacing, in the plane a tenth of a pixel, but at least the rounding of positions.
    """
    affine = ct.geometry.affine
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    normal = np.cross(*(affine[:3, :2] / edges[:2]).T)
    apart = (affine @ [*voxel, 1] - position)[:3]
    along = apart @ normal
    across = np.linalg.norm(apart - along * normal)
    return bool(abs(along) <= max(0.1 * edges[2], 0.1) and across <= max(0.1 * edges[:2].min(), 0.1))


def lost(ct: CTVolume, unused: set[Path]) -> str:
    """Return the file that the second reader places at an end of the CT, if it was not used."""
    for file in sorted(unused):
        with suppress(RuntimeError):
            position = itk_reading(file).affine[:, 3]
            if any(near(ct, (0, 0, end), position) for end in (-1, ct.geometry.shape[2])):
                return f"{file.name} is not used"
    return ""


@pytest.mark.slow
def test_mutated_headers_are_read_as_simpleitk_reads_them_or_rejected(tmp_path: Path) -> None:
    for kind in range(KINDS):
        base(tmp_path / str(kind), kind)
    outcomes = {}
    for seed in range(MUTATIONS):
        (folder := tmp_path / "ct").mkdir()
        for file in (tmp_path / str(seed % KINDS)).iterdir():
            shutil.copy(file, folder)
        what = mutate(np.random.default_rng(seed), sorted(folder.iterdir()))
        outcomes[f"{seed}, {what}"] = compared(folder)
        shutil.rmtree(folder)
    number, different = differing(outcomes)
    assert different == []
    assert number["only ours"] <= REJECTED_BY_ITK
    assert number["equal"] > MUTATIONS / 4
    assert number["rejected"] > MUTATIONS / 4
