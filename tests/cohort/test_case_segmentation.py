"""Predicted label maps as DICOM segmentations: written and read back voxel by voxel by independent readers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from source_files import box_exam

from liverspleen.cohort.scans import ScanCase, open_scans, write_case_probabilities, write_case_segmentation
from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct
from liverspleen.imaging.dicom import find_segmentations, read_segmentation, write_series
from liverspleen.organs import ORGANS, Structure

SHAPE = (21, 17, 6)  # columns, rows, slices
SPACING = (0.75, 0.5, 2.5)
ORIENTATIONS = {  # directions of growing column, row and slice in the world of NIfTI (RAS), as columns
    "axial": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "axial, head first": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "axial, mirrored": [[1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "axial, turned by half": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "coronal": [[-1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "sagittal": [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    "sagittal, negated": [[0, -1, 0], [0, 0, -1], [-1, 0, 0]],
    "oblique": [
        [-0.9363957, -0.3509170, 0.0],
        [0.3387567, -0.9039468, 0.2612010],
        [-0.0916598, 0.2445875, 0.9652847],
    ],
}


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def scan_in(folder: Path) -> ScanCase:
    with open_scans(folder) as scans:
        (scan,) = scans.cases
    return scan


def box_scan(folder: Path, **tags: object) -> tuple[ScanCase, LabelMap]:
    exam = box_exam("x", "P0")
    write_series(folder, exam.ct, tags=tags)
    scan = scan_in(folder)
    return scan, LabelMap(exam.label.labels, scan.read().geometry)


def oriented(name: str) -> Geometry:
    directions = np.array(ORIENTATIONS[name], float).T
    across, down, along = (column / np.linalg.norm(column) for column in directions.T)
    down = down - (down @ across) * across
    down /= np.linalg.norm(down)
    along = np.cross(across, down) * np.sign(np.cross(across, down) @ along)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([across, down, along]) * SPACING
    affine[:3, 3] = 31.25, -47.5, -130.0
    return Geometry(SHAPE, affine)


def random_labels(geometry: Geometry) -> LabelMap:
    """The value of each voxel gives its position; the outer slices are empty, as in most CT scans."""
    labels = np.random.default_rng(5).integers(0, 3, geometry.shape).astype(np.uint8)
    labels[:, :, [0, -1]] = 0
    return LabelMap(np.ascontiguousarray(geometry.to_canonical(labels)), geometry)


def dss(first: LabelMap, second: LabelMap, organ: Structure) -> float:
    one, other = first.labels == organ, second.labels == organ
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def points(label_map: LabelMap, organ: Structure) -> NDArray[np.float64]:
    """Positions of the voxels of an organ in DICOM coordinates, sorted."""
    native = label_map.geometry.to_native(label_map.labels)
    at = label_map.geometry.affine @ np.vstack([*np.nonzero(native == organ), np.ones((native == organ).sum())])
    return in_order(at[:3].T * [-1, -1, 1])


def points_in_file(file: Path, organ: Structure) -> NDArray[np.float64]:
    """Positions from a DICOM segmentation, by the formula of the standard (PS3.3, C.7.6.2.1.1) with pydicom only."""
    dataset = pydicom.dcmread(file)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    rows_mm, columns_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    number = next(s.SegmentNumber for s in dataset.SegmentSequence if s.SegmentLabel.lower() == organ.key)
    found = []
    for frame, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            row, column = np.nonzero(pixels)
            position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
            across, down = np.array(orientation[:3], float), np.array(orientation[3:], float)
            found.append(position + np.outer(column * columns_mm, across) + np.outer(row * rows_mm, down))
    return in_order(np.concatenate(found))


def in_order(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort points in an order that rounding does not change: voxels are at least half a millimetre apart."""
    rounded = at.round(1) + 0.0
    return at[np.lexsort(rounded.T)]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_dicom_to_segmentation_to_voxels_has_a_dss_of_1(orientation: str, tmp_path: Path) -> None:
    geometry = oriented(orientation)
    rng = np.random.default_rng(1)
    hu = rng.integers(-1000, 1000, geometry.canonical_shape).astype(np.int16)
    write_series(tmp_path / "ct", CTVolume(hu, geometry))
    scan = scan_in(tmp_path / "ct")
    ct = scan.read()
    np.testing.assert_array_equal(ct.hu, hu)
    predicted = random_labels(geometry)
    target = tmp_path / "out" / "x_dseg.dcm"
    assert write_case_segmentation(target, scan, LabelMap(predicted.labels, ct.geometry)) is None

    (found,) = find_segmentations(target.parent)
    again = read_segmentation(found, ct.geometry, case_id="x")
    volume = highdicom.seg.segread(target).get_volume(combine_segments=True)
    for organ in ORGANS:
        assert dss(again, predicted, organ) == 1.0
        expected = points(predicted, organ)
        assert abs(points_in_file(target, organ) - expected).max() < 0.01  # mm: decimal strings round
        index = np.argwhere(volume.array == organ)
        assert abs(in_order(volume.map_indices_to_reference(index)) - expected).max() < 0.01


@pytest.mark.parametrize("characters", ["ISO_IR 192", "ISO_IR 100"])
def test_the_file_states_segments_algorithm_and_references(characters: str, tmp_path: Path) -> None:
    tags = {"SpecificCharacterSet": characters, "PatientName": "Müller^Jörg", "StudyDate": "20200102"}
    scan, label_map = box_scan(tmp_path / "ct", **tags)
    target = tmp_path / "x_dseg.dcm"
    assert write_case_segmentation(target, scan, label_map, model="our model", version="1a2b") is None
    dataset, sources = pydicom.dcmread(target), [pydicom.dcmread(file) for file in scan.files]
    codes = [segment.SegmentedPropertyTypeCodeSequence[0] for segment in dataset.SegmentSequence]
    assert [(c.CodeValue, c.CodingSchemeDesignator) for c in codes] == [("10200004", "SCT"), ("78961009", "SCT")]
    for segment, organ in zip(dataset.SegmentSequence, ORGANS, strict=True):
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "our model"
        identity = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (identity.AlgorithmVersion, identity.AlgorithmFamilyCodeSequence[0].CodeValue) == ("1a2b", "123110")
        lab = highdicom.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue)
        stated = bytes.fromhex(organ.facts.colour[1:])
        assert max(abs(a - b) for a, b in zip(lab.to_rgb(), stated, strict=True)) <= 2
    referenced = {
        item.ReferencedSOPInstanceUID for item in dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referenced == {source.SOPInstanceUID for source in sources}
    assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == sources[0].SeriesInstanceUID
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate"):
        assert dataset[keyword].value == sources[0][keyword].value
    assert str(dataset.PatientName) == "Müller^Jörg"
    assert dataset.SeriesInstanceUID != sources[0].SeriesInstanceUID


def test_each_written_file_is_a_new_instance(tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct")
    for name in "ab":
        assert write_case_segmentation(tmp_path / f"{name}.dcm", scan, label_map) is None
    first, second = (pydicom.dcmread(tmp_path / f"{name}.dcm") for name in "ab")
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.ContentDate > "20260101"


def rejected(scan: ScanCase, label_map: LabelMap, target: Path) -> str:
    """Return the note; no file is written."""
    note = write_case_segmentation(target, scan, label_map)
    assert note is not None
    assert note.severity == "note"
    assert note.case_id == scan.case.case_id
    assert not target.exists()
    return str(note)


def test_no_segmentation_for_a_ct_in_nifti(tmp_path: Path) -> None:
    exam = box_exam("x")
    write_ct(tmp_path / "x.nii.gz", exam.ct)
    note = rejected(scan_in(tmp_path / "x.nii.gz"), exam.label, tmp_path / "x.dcm")
    assert note.startswith("LS-SCN-011 case 'x': no DICOM segmentation is written: the CT is not DICOM; ")


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"])
@pytest.mark.parametrize("value", ["", "1.2.3 Kzybylski", "1." * 40 + "1"])
def test_source_without_valid_uids_is_rejected_with_the_field(keyword: str, value: str, tmp_path: Path) -> None:
    for file in write_series(tmp_path / "ct", box_exam("x").ct):
        dataset = pydicom.dcmread(file)
        with pydicom.config.disable_value_validation():
            setattr(dataset, keyword, value)
            dataset.save_as(file)
    scan = scan_in(tmp_path / "ct")
    label_map = LabelMap(box_exam("x").label.labels, scan.read().geometry)
    note = rejected(scan, label_map, tmp_path / "x.dcm")
    assert note.startswith("LS-SCN-012")
    assert f"no valid {keyword}" in note
    assert "Kzybylski" not in note


def test_source_whose_files_share_an_instance_is_rejected(tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct", SOPInstanceUID="1.2.3")
    assert "LS-SCN-012" in rejected(scan, label_map, tmp_path / "x.dcm")


def test_no_file_without_an_organ(tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct")
    empty = LabelMap(np.zeros_like(label_map.labels), label_map.geometry)
    assert "LS-SCN-013" in rejected(scan, empty, tmp_path / "x.dcm")
    spleen_only = LabelMap(label_map.labels * (label_map.labels == Structure.SPLEEN), label_map.geometry)
    assert write_case_segmentation(tmp_path / "x.dcm", scan, spleen_only) is None


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"])
def test_source_of_several_series_is_rejected_with_the_field(keyword: str, tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct", **dict.fromkeys(("StudyInstanceUID", "FrameOfReferenceUID"), "2.25.1"))
    for number, file in enumerate(scan.files):
        dataset = pydicom.dcmread(file)
        setattr(dataset, keyword, f"2.25.{number + 1}")
        dataset.save_as(file)
    with open_scans(tmp_path / "ct", series_by="folder") as scans:
        (scan,) = scans.cases
    note = rejected(scan, label_map, tmp_path / "x.dcm")
    assert f"files of the CT have different values of {keyword}, expected one; use the label map in NIfTI" in note


@pytest.mark.parametrize("change", ["gone", "other"])
def test_changed_files_are_not_referred_to(change: str, tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct")
    if change == "gone":
        scan.files[-1].unlink()
    else:
        write_series(tmp_path / "ct", box_exam("y", "P1", seed=9).ct)
    note = rejected(scan, label_map, tmp_path / "x.dcm")
    assert "LS-SCN-014" in note
    assert "run the same command again" in note
    scan = scan_in(tmp_path / "ct")  # as the same command does
    label_map = LabelMap(np.ones_like(scan.read().hu, np.uint8), scan.read().geometry)
    assert write_case_segmentation(tmp_path / "x.dcm", scan, label_map) is None


def test_slightly_uneven_slices_are_not_referred_to(tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct")
    dataset = pydicom.dcmread(scan.files[2])
    dataset.ImagePositionPatient[2] += 0.2  # of 2.5 mm: the CT is read
    dataset.save_as(scan.files[2])
    note = rejected(scan_in(tmp_path / "ct"), label_map, tmp_path / "x.dcm")
    assert "LS-SCN-015" in note
    assert note.endswith("on the even grid of the label map; use the label map in NIfTI format")


def errors_of(file: Path) -> list[str]:
    checked = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True, check=False)
    assert "Segmentation" in checked.stderr + checked.stdout
    return [line for line in (checked.stderr + checked.stdout).splitlines() if line.startswith("Error")]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("orientation", ["axial", "sagittal, negated", "oblique"])
def test_dciodvfy_finds_no_error(orientation: str, tmp_path: Path) -> None:
    geometry = oriented(orientation)
    write_series(tmp_path / "ct", CTVolume(np.zeros(geometry.canonical_shape, np.int16), geometry))
    scan = scan_in(tmp_path / "ct")
    assert write_case_segmentation(tmp_path / "x.dcm", scan, random_labels(geometry)) is None
    assert errors_of(tmp_path / "x.dcm") == []


@pytest.mark.parametrize("orientation", ["axial", "sagittal, negated", "oblique"])
def test_fractional_segmentation_holds_every_probability_at_its_voxel(orientation: str, tmp_path: Path) -> None:
    geometry = oriented(orientation)
    files = write_series(tmp_path / "ct", CTVolume(np.zeros(geometry.canonical_shape, np.int16), geometry))
    drawn = np.random.default_rng(3).integers(0, 256, (2, *geometry.canonical_shape)).astype(np.uint8)
    geometry.to_native(drawn[1])[:, :, 2] = 0  # a frame that is not stored
    maps = dict(zip(ORGANS, drawn, strict=True))
    assert write_case_probabilities(tmp_path / "x.dcm", scan_in(tmp_path / "ct"), maps, geometry) is None
    read = highdicom.seg.segread(tmp_path / "x.dcm")
    assert read.NumberOfFrames == 2 * len(files) - 1
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in files]
    values = read.get_pixels_by_source_instance(uids, segment_numbers=[1, 2], rescale_fractional=False)
    for number, organ in enumerate(ORGANS):
        expected = geometry.to_native(maps[organ]).transpose(2, 1, 0)  # files are native slices
        np.testing.assert_array_equal(values[..., number], expected)
    if shutil.which("dciodvfy"):
        assert errors_of(tmp_path / "x.dcm") == []


def test_probabilities_that_are_0_everywhere_are_one_note(tmp_path: Path) -> None:
    scan, label_map = box_scan(tmp_path / "ct")
    maps = {organ: np.zeros_like(label_map.labels) for organ in ORGANS}
    note = write_case_probabilities(tmp_path / "x.dcm", scan, maps, label_map.geometry)
    assert str(note).startswith("LS-SCN-013")
    assert not (tmp_path / "x.dcm").exists()


@pytest.mark.real
@pytest.mark.parametrize(("name", "slices"), [("lits0/dicom_abdomen", 31), ("dcmqi_ct3/dicom", 3)])
def test_segmentations_of_real_series_are_read_back(name: str, slices: int, shared: Path, tmp_path: Path) -> None:
    scan = scan_in(shared / "data" / name)
    ct = scan.read()
    assert len(ct.hu) == slices
    predicted = LabelMap(np.select([ct.hu > 150, ct.hu > 50], [2, 1], 0).astype(np.uint8), ct.geometry)  # a stand-in
    target = tmp_path / "x_dseg.dcm"
    assert write_case_segmentation(target, scan, predicted) is None
    (found,) = find_segmentations(tmp_path)
    again = read_segmentation(found, ct.geometry, case_id="x")
    assert [dss(again, predicted, organ) for organ in ORGANS] == [1.0, 1.0]
    for organ in ORGANS:
        assert len(points_in_file(target, organ)) == predicted.count(organ)
    if shutil.which("dciodvfy"):
        assert errors_of(target) == []


@pytest.mark.real
def test_real_series_without_instance_uids_is_rejected(shared: Path, tmp_path: Path) -> None:
    scan = scan_in(shared / "data" / "ts_dicom20" / "dicom")
    ct = scan.read()
    predicted = LabelMap((ct.hu > 50).astype(np.uint8), ct.geometry)
    assert "LS-SCN-012" in rejected(scan, predicted, tmp_path / "x.dcm")


@pytest.mark.real
def test_real_folder_with_a_series_and_its_segmentation_gives_the_series(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copytree(shared / "data" / "dcmqi_ct3" / "dicom", folder / "dicom")
    shutil.copy(shared / "data" / "dcmqi_ct3" / "liver_seg.dcm", folder)
    with open_scans(folder) as scans:
        assert [len(scan.files) for scan in scans.cases] == [3]
        assert any("LS-DCM-016" in str(issue) for issue in scans.issues)
