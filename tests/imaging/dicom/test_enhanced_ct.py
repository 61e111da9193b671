"""Enhanced (multi-frame) CT: the same slices, checks and HU as from one file for each slice."""

import shutil

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, change, codes, made, messages, only, write
from enhanced_ct import MEASURES, ORIENTATION, VALUES, enhanced

from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry
from liverspleen.imaging.dicom import find_series, read_series, source_images, write_segmentation, write_series
from liverspleen.imaging.dicom.write import DEFLATED, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LS, RLE, UnreferableError
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

ORDER = (5, 0, 7, 2, 1, 6, 3, 4)
BOTH = ((ORIENTATION, MEASURES, VALUES), ())


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, RLE, JPEG_2000, JPEG_LS])
def test_frames_are_ordered_by_position_and_not_by_number(tmp_path, syntax):
    ct = made()
    enhanced(write_series(tmp_path, ct, tags={"PatientID": "P1"}, transfer_syntax=syntax), tmp_path / "e", ORDER)
    series = only(tmp_path)
    assert series.exclusions == series.warnings == ()
    assert (len(series.files), series.slices, series.slice_thickness_mm) == (1, 8, 2.5)
    assert [frame for _, frame in series.places] == [ORDER.index(number) for number in range(8)]
    np.testing.assert_array_equal(series.geometry.affine, AFFINE)
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


@pytest.mark.parametrize("shared", BOTH)
def test_rescaling_of_a_frame_is_its_own_or_the_shared_one(tmp_path, shared):
    files = write(tmp_path)

    def store(dataset, number):
        dataset.PixelData = np.full((37, 41), 100 + number, np.int16).tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = (2, -10 * number)

    change(files, store)
    enhanced(files, tmp_path / "e", shared=shared)
    hu = read_series(only(tmp_path), case_id="a").hu[:, 0, 0].tolist()
    own = [200, 192, 184, 176, 168, 160, 152, 144]  # (100 + n) * 2 - 10 n
    assert hu == ([200, 202, 204, 206, 208, 210, 212, 214] if shared else own)


def test_voxels_and_grid_are_those_of_simpleitk(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    file = enhanced(write(tmp_path), tmp_path / "e.dcm")
    image = sitk.ReadImage(str(file))
    series = only(tmp_path)
    ct = read_series(series, case_id="a")
    np.testing.assert_array_equal(ct.geometry.to_native(ct.hu).transpose(2, 1, 0), sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(np.linalg.norm(series.geometry.affine[:3, :3], axis=0), image.GetSpacing())
    np.testing.assert_allclose(series.geometry.affine[:3, 3], np.array(image.GetOrigin()) * [-1, -1, 1])


def move(number, by):
    def edit(frames):
        position = frames[number].PlanePositionSequence[0].ImagePositionPatient
        frames[number].PlanePositionSequence[0].ImagePositionPatient = [*position[:2], float(position[2]) + by]

    return edit


def turn(frames):
    item = pydicom.Dataset()
    item.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    for frame in frames[:4]:
        frame.PlaneOrientationSequence = [item]


@pytest.mark.parametrize(
    ("edit", "code", "words"),
    [
        (move(3, 1.0), "LS-DCM-013", "irregular in 2 of 7 places"),
        (move(7, 2.5), "LS-DCM-012", "1 missing slice in 1 gap"),
        (move(3, 2.5), "LS-DCM-011", "as 1 of 8 slices"),
        (turn, "LS-DCM-008", "differs in 4 of 8 slices"),
        (lambda frames: frames[2].pop("PlanePositionSequence"), "LS-DCM-007", "ImagePositionPatient missing"),
        (lambda frames: frames.pop(), "LS-DCM-082", "NumberOfFrames is 8, PerFrameFunctionalGroupsSequence has 7"),
        (
            lambda frames: frames[2].PlanePositionSequence.append(pydicom.Dataset()),
            "LS-DCM-082",
            "PlanePositionSequence has 2 items",
        ),
    ],
)
def test_checks_are_those_of_single_files(tmp_path, edit, code, words):
    file = enhanced(write(tmp_path), tmp_path / "e")
    change([file], lambda dataset, _: edit(dataset.PerFrameFunctionalGroupsSequence))
    series = only(tmp_path)
    assert code in codes(series)
    assert words in messages(series)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"RescaleType": "Z_EFF"}, "LS-DCM-055"),
        ({"RescaleSlope": None, "RescaleIntercept": None, "PixelRepresentation": 0}, "LS-DCM-054"),
    ],
)
def test_values_that_are_not_hu_are_excluded(tmp_path, fields, code):
    file = enhanced(write(tmp_path), tmp_path / "e")

    def edit(dataset, _):
        for keyword, value in fields.items():
            if keyword.startswith("Pixel"):
                dataset.PixelRepresentation = value
                continue
            setattr(dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0], keyword, value)

    change([file], edit)
    assert codes(only(tmp_path)) == [code]


def test_fields_outside_of_the_functional_groups_do_not_count(tmp_path):
    ct = made()
    file = enhanced(write(tmp_path, ct), tmp_path / "e")
    change([file], lambda d, _: d.__setattr__("RescaleIntercept", -1024) or d.__setattr__("PixelSpacing", [9, 9]))
    series = only(tmp_path)
    np.testing.assert_array_equal(series.geometry.affine, AFFINE)
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_localizer_frames_are_not_slices(tmp_path):
    file = enhanced(write(tmp_path), tmp_path / "e")

    def edit(dataset, _):
        item = pydicom.Dataset()
        item.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
        first = dataset.PerFrameFunctionalGroupsSequence[0]
        first.CTImageFrameTypeSequence = [item]
        first.PlanePositionSequence[0].ImagePositionPatient = [-250, 0, -100]

    change([file], edit)
    assert sorted((s.slices, *codes(s)) for s in find_series(tmp_path)) == [(1, "LS-DCM-003"), (7,)]


def test_a_series_in_two_files_is_one_and_a_copy_of_a_file_counts_once(tmp_path):
    ct = made()
    files = write(tmp_path, ct)
    enhanced(files[:3], tmp_path / "first")
    enhanced(files[3:], tmp_path / "second")
    shutil.copy(tmp_path / "second", tmp_path / "third")
    series = only(tmp_path)
    assert (len(series.files), series.slices) == (2, 8)
    assert [warning.message for warning in series.warnings] == ["1 file of 3 repeat another file of the series"]
    assert [file.name for file in series.skipped] == ["third"]
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_surplus_or_missing_pixels_are_errors(tmp_path):
    file = enhanced(write(tmp_path), tmp_path / "e")
    change([file], lambda dataset, _: setattr(dataset, "PixelData", dataset.PixelData + bytes(37 * 41 * 2)))
    with pytest.raises(InputError, match=r"LS-DCM-058 .*has 27306 bytes of pixels, expected 24272"):
        read_series(only(tmp_path), case_id="a")
    change([file], lambda dataset, _: setattr(dataset, "PixelData", dataset.PixelData[: 37 * 41 * 2 * 7]))
    with pytest.raises(InputError, match=r"LS-DCM-031 .*slice 8 of 8"):
        read_series(only(tmp_path), case_id="a")


def test_uids_of_slices_are_those_of_their_file(tmp_path):
    file = enhanced(write(tmp_path), tmp_path / "e")
    assert source_images(only(tmp_path)).instance_uids == (pydicom.dcmread(file).SOPInstanceUID,) * 8


def test_no_segmentation_is_written_for_it(tmp_path):
    ct = CTVolume(np.zeros((8, 37, 41), np.int16), Geometry((41, 37, 8), AFFINE))
    file = enhanced(write(tmp_path, ct), tmp_path / "e")
    labels = LabelMap(np.ones((8, 37, 41), np.uint8), ct.geometry, (Structure.LIVER,))
    with pytest.raises(UnreferableError, match="Enhanced"):
        write_segmentation(tmp_path / "s.dcm", labels, [file])
