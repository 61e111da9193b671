"""Real DICOM compared with its NIfTI."""

import numpy as np
import pytest
from dicom_stacks import only

from liverspleen.imaging import read_ct, read_label_map
from liverspleen.imaging.dicom import (
    find_segmentations,
    find_series,
    match_series,
    read_segmentation,
    read_series,
    source_images,
)
from liverspleen.organs import Structure

pytestmark = pytest.mark.real


def test_jpeg_2000_series_without_uids_equals_its_nifti(shared):
    series = only(shared / "data/ts_dicom20/dicom")
    assert series.exclusions == ()
    assert [w.code for w in series.warnings] == ["LS-DCM-021", "LS-DCM-022"]
    assert "thickness 3 mm differs from the spacing of positions, 2 mm" in series.warnings[1].message
    nifti = read_ct(shared / "data/ts_dicom20/image.nii.gz")
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, nifti.hu)
    np.testing.assert_allclose(series.geometry.affine, nifti.geometry.affine, atol=1e-4)


def test_part_of_a_series_equals_the_first_slices_of_its_nifti(shared):
    series = only(shared / "data/lits0/dicom_abdomen")
    nifti = read_ct(shared / "data/lits0/image.nii.gz")
    ct = read_series(series, case_id="a")
    native = nifti.geometry.to_native(nifti.hu)[:, :, :31]
    np.testing.assert_array_equal(ct.geometry.to_native(ct.hu), native)
    np.testing.assert_allclose(series.geometry.affine, nifti.geometry.affine, atol=1e-4)


def test_three_slices_and_their_segmentation(shared):
    folder = shared / "data/dcmqi_ct3"
    found = {len(s.files): s for s in find_series(folder, minimum_slices=3)}
    assert found[3].exclusions == ()
    assert [reason.code for s in find_series(folder) if len(s.files) == 3 for reason in s.exclusions] == ["LS-DCM-014"]
    (segmentation,) = find_segmentations(folder)
    images = source_images(found[3])
    assert match_series(segmentation, [images]).series == (found[3],)
    assert segmentation.segments == {1: Structure.LIVER}
    label_map = read_segmentation(segmentation, found[3].geometry, case_id="a", instance_uids=images.instance_uids)
    assert label_map.covered == (Structure.LIVER,)
    volume = label_map.count(Structure.LIVER) * label_map.geometry.voxel_volume_mm3 / 1000
    assert volume == pytest.approx(70.36, abs=0.005)  # from the README of the data
    nifti = read_label_map(folder / "label_liver_only.nii.gz")
    np.testing.assert_array_equal(label_map.labels, nifti.labels)
