"""Import of real CT: voxels, affines and volumes are compared with reference files and figures."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import Case, read_cohort
from liverspleen.imaging import read_ct, read_label_map
from liverspleen.organs import Structure


def imported(tmp_path: Path, source: Path, *options: str) -> Case:
    command = ["source=dicom", f"input={source}", f"output={tmp_path / 'out'}", f"key={tmp_path / 'k'}", "workers=1"]
    assert main(["import", *command, *options]) == 0
    (case,) = read_cohort(tmp_path / "out" / "cohort.csv").cases
    return case


def test_jpeg_2000_with_empty_uids_equals_its_nifti(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "data" / "ts_dicom20"
    options = [f"labels={folder / 'label.nii.gz'}", "label_values=liverspleen"]
    case = imported(tmp_path, folder / "dicom", *options)
    ct, expected = read_ct(case.image), read_ct(folder / "image.nii.gz")
    np.testing.assert_array_equal(ct.hu, expected.hu)
    np.testing.assert_allclose(ct.geometry.canonical_affine, expected.geometry.canonical_affine, atol=1e-6)
    assert ct.geometry.spacing_mm[0] == pytest.approx(2.0)
    assert case.slice_thickness_mm == 3.0
    assert case.label is not None
    label = read_label_map(case.label)
    # README of the data: 699.44 and 249.16 cm³
    for organ, volume in ((Structure.LIVER, 699.44), (Structure.SPLEEN, 249.16)):
        assert label.count(organ) * label.geometry.voxel_volume_mm3 / 1000 == pytest.approx(volume, abs=0.005)
    errors = capsys.readouterr().err
    assert "warning: LS-DCM-021" in errors  # no SeriesInstanceUID
    assert "warning: LS-DCM-022" in errors  # thickness 3 mm, spacing 2 mm


def test_uncompressed_slices_equal_those_of_the_nifti(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "lits0"
    ct = read_ct(imported(tmp_path, folder / "dicom_abdomen").image)
    whole = read_ct(folder / "image.nii.gz")
    # slices of the NIfTI are ordered from the head, so its first 31 are the last 31 from below
    np.testing.assert_array_equal(ct.hu, whole.hu[-31:])
    expected = whole.geometry.canonical_affine.copy()
    expected[:3, 3] += (whole.hu.shape[0] - 31) * expected[:3, 0]
    np.testing.assert_allclose(ct.geometry.canonical_affine, expected, atol=1e-6)


def test_segmentation_object_gives_the_volume_that_is_printed(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "dcmqi_ct3"
    case = imported(tmp_path, folder / "dicom", f"labels={folder / 'liver_seg.dcm'}", "minimum_slices=3")
    assert case.labelled_structures == (Structure.LIVER,)
    assert case.label is not None
    label = read_label_map(case.label)
    volume_cm3 = label.count(Structure.LIVER) * label.geometry.voxel_volume_mm3 / 1000
    assert volume_cm3 == pytest.approx(70.36, abs=0.005)  # README of the data
    expected = read_label_map(folder / "label_liver_only.nii.gz")
    np.testing.assert_array_equal(label.labels, expected.labels)


def test_three_slices_are_too_few_unless_allowed(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "dcmqi_ct3" / "dicom"
    command = ["source=dicom", f"input={folder}", f"output={tmp_path / 'out'}", f"key={tmp_path / 'k'}"]
    assert main(["import", *command]) == 2
    assert "LS-DCM-014" in (tmp_path / "out" / "series.csv").read_text()


def test_the_output_of_totalsegmentator_is_read_by_its_preset(shared: Path, tmp_path: Path) -> None:
    """117 classes in one file, as `--ml` writes them; the image is absent, so one is made on its grid."""
    file = shared / "data" / "labels_only" / "ts_s0327_total117.nii.gz"
    classes = nib.load(file)
    values = np.where(np.asanyarray(classes.dataobj) > 0, 50, -1000).astype(np.int16)
    nib.save(nib.Nifti1Image(values, classes.affine), tmp_path / "ct.nii.gz")
    options = [
        f"input={tmp_path / 'ct.nii.gz'}",
        f"labels={file}",
        "label_values=totalsegmentator",
        f"key={tmp_path / 'k'}",
    ]
    assert main(["import", "source=nifti", *options, f"output={tmp_path / 'out'}", "workers=1"]) == 0
    (case,) = read_cohort(tmp_path / "out" / "cohort.csv").cases
    assert case.label is not None
    label = read_label_map(case.label)
    for organ, volume in ((Structure.LIVER, 1291.09), (Structure.SPLEEN, 194.98)):
        assert label.count(organ) * label.geometry.voxel_volume_mm3 / 1000 == pytest.approx(volume, abs=0.005)
