"""Grid and voxels of phantom-like DICOM as SimpleITK and dcm2niix read them."""

import shutil
import subprocess

import numpy as np
import pytest
from dicom_stacks import made, only, write

from liverspleen.imaging import CTVolume, Geometry, corner_displacement_mm, read_ct
from liverspleen.imaging.dicom import read_series


def turned(*degrees):
    """Rotation about x, y and z."""
    total = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        total = turn @ total
    return total


def grid(directions, origin=(31.25, -17.5, -204.125)):
    """Affine in RAS+ from unit vectors in columns (column, row, slice); spacings 0.75, 0.5 and 2.5 mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions, float) * [0.75, 0.5, 2.5]
    affine[:3, 3] = origin
    return affine


AXIAL = np.diag([-1.0, -1, 1])
ORIENTATIONS = {
    "head first supine": AXIAL,
    "rows negated": np.diag([-1.0, 1, 1]),
    "columns negated": np.diag([1.0, -1, 1]),
    "both negated": np.diag([1.0, 1, 1]),
    "slices downwards": np.diag([-1.0, -1, -1]),
    "columns negated, slices downwards": np.diag([1.0, -1, -1]),
    "rows and columns exchanged": AXIAL[:, [1, 0, 2]],
    "coronal": AXIAL[:, [0, 2, 1]],
    "sagittal": AXIAL[:, [1, 2, 0]],
    "oblique": turned(12, -7, 20) @ AXIAL,
    "oblique, negated, downwards": turned(-15, 9, 5) @ np.diag([1.0, -1, -1]),
}


@pytest.fixture(params=ORIENTATIONS.values(), ids=ORIENTATIONS)
def ct(request) -> CTVolume:
    return made(grid(request.param), shape=(20, 18, 6))


def test_grid_and_voxels_come_back_as_written(ct, tmp_path):
    write(tmp_path, ct)
    series = only(tmp_path)
    again = read_series(series, case_id="a")
    np.testing.assert_array_equal(again.hu, ct.hu)
    assert corner_displacement_mm(again.geometry, ct.geometry) < 1e-6


def test_simpleitk_reads_the_same(ct, tmp_path):
    import SimpleITK as sitk  # noqa: N813

    write(tmp_path, ct)
    series = only(tmp_path)
    ours = read_series(series, case_id="a")
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine = np.diag([-1, -1, 1, 1]) @ affine
    np.testing.assert_allclose(series.geometry.affine, affine, atol=1e-5)
    native = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    np.testing.assert_array_equal(ours.geometry.to_native(ours.hu), native)


def test_dcm2niix_reads_the_same(ct, tmp_path):
    binary = pytest.importorskip("dcm2niix").bin if shutil.which("dcm2niix") is None else "dcm2niix"
    write(tmp_path / "dicom", ct)
    (tmp_path / "nifti").mkdir()
    command = [str(binary), "-z", "n", "-b", "n", "-f", "ct", "-o", str(tmp_path / "nifti"), str(tmp_path / "dicom")]
    subprocess.run(command, check=True, capture_output=True)
    theirs = read_ct(next((tmp_path / "nifti").glob("*.nii")))
    ours = read_series(only(tmp_path / "dicom"), case_id="a")
    np.testing.assert_array_equal(ours.hu, theirs.hu)
    assert corner_displacement_mm(ours.geometry, theirs.geometry) < 1e-3  # float32 header


def test_negated_cosines_by_hand(tmp_path):
    # columns towards the right, rows towards anterior, in DICOM's world: (-1, 0, 0) and (0, -1, 0); normal (0, 0, 1)
    write(tmp_path, CTVolume(np.zeros((6, 18, 20), np.int16), Geometry((20, 18, 6), grid(np.eye(3)))))
    import pydicom

    assert list(pydicom.dcmread(tmp_path / "0001.dcm").ImageOrientationPatient) == [-1, 0, 0, 0, -1, 0]
    assert list(pydicom.dcmread(tmp_path / "0001.dcm").ImagePositionPatient) == [-31.25, 17.5, -204.125]
    assert only(tmp_path).geometry.axis_codes == ("R", "A", "S")
