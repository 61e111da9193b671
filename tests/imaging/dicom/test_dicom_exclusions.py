"""A series for each reason for exclusion, and similar series that are used."""

import shutil

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, change, codes, made, messages, only, state, write
from pydicom.multival import MultiValue

from liverspleen.errors import InputError
from liverspleen.imaging.dicom import find_series, read_series
from liverspleen.imaging.dicom.jpeg_lossless import JPEG_LOSSLESS


def shift(files, millimetres):
    """Move slices: a function of number gives x, y, z in DICOM's world."""

    def move(dataset, number):
        dataset.ImagePositionPatient = [
            float(p) + d for p, d in zip(dataset.ImagePositionPatient, millimetres(number), strict=True)
        ]

    change(files, move)


def test_valid_series_is_used(tmp_path):
    write(tmp_path)
    series = only(tmp_path)
    assert series.exclusions == ()
    assert series.warnings == ()
    assert (series.slices, series.rows, series.columns) == (8, 37, 41)


@pytest.mark.parametrize(
    ("tags", "code", "word"),
    [
        ({"Modality": "MR"}, "LS-DCM-002", "modality MR"),
        ({"Modality": "Ward 7"}, "LS-DCM-002", "modality other than CT"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "LS-DCM-003", "localizer"),
        ({"ImageType": ["DERIVED", "PRIMARY", "MIP"]}, "LS-DCM-004", "derived"),
        ({"ImageType": ["DERIVED", "SECONDARY"], "SamplesPerPixel": 3}, "LS-DCM-004", "derived"),
        ({"SamplesPerPixel": 3}, "LS-DCM-004", "colour"),
        ({"SOPClassUID": pydicom.uid.SecondaryCaptureImageStorage}, "LS-DCM-004", "SOP class"),
        ({"SOPClassUID": pydicom.uid.EnhancedCTImageStorage}, "LS-DCM-082", "PerFrameFunctionalGroupsSequence has 0"),
        ({"NumberOfFrames": 3}, "LS-DCM-005", "multi-frame"),
        ({"SOPClassUID": pydicom.uid.SegmentationStorage, "Modality": "SEG"}, "LS-DCM-016", "segmentation"),
    ],
)
def test_kind_of_image_that_is_not_a_ct_slice_is_excluded(tmp_path, tags, code, word):
    write(tmp_path, **tags)
    series = only(tmp_path)
    assert codes(series) == [code]
    assert word in messages(series)
    with pytest.raises(InputError, match="LS-DCM-030 case 'A1': .*" + code):
        read_series(series, case_id="A1")


def test_localizer_within_a_series_is_excluded_and_its_axial_slices_are_used(tmp_path):
    files = write(tmp_path)
    change(files[:1], lambda d, _: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    change(files[:1], lambda d, _: setattr(d, "ImagePositionPatient", [-250, 0, -100]))
    found = find_series(tmp_path)
    assert sorted((series.slices, *codes(series)) for series in found) == [(1, "LS-DCM-003"), (7,)]


@pytest.mark.parametrize(
    ("uid", "named"),
    [
        (pydicom.uid.JPEGLosslessSV1, "JPEG Lossless"),
        (pydicom.uid.MPEG2MPML, "MPEG2"),
        ("1.2.826.0.1.3680043.9.9999.1", "an unknown transfer syntax"),
    ],
)
def test_series_without_codec_is_excluded_before_its_pixels_are_read(tmp_path, monkeypatch, uid, named):
    if uid in JPEG_LOSSLESS:
        monkeypatch.setattr(pydicom.pixels.get_decoder(uid), "_available", {})
    files = write(tmp_path)

    def claim(dataset, _):
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.PixelData = pydicom.encaps.encapsulate([b"no pixels at all"])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = uid

    for file in files:
        dataset = pydicom.dcmread(file)
        claim(dataset, 0)
        pydicom.filewriter.dcmwrite(file, dataset, implicit_vr=False, little_endian=True, overwrite=True)
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-006"]
    assert named in messages(series)
    assert "dcmdjpeg" in series.exclusions[0].hint
    assert ("imagecodecs" in series.exclusions[0].hint) == (uid in JPEG_LOSSLESS)
    assert "9999" not in messages(series)


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"]
)
def test_slice_without_a_geometry_field_excludes_the_series(tmp_path, keyword):
    files = write(tmp_path)
    change(files[3:4], lambda dataset, _: delattr(dataset, keyword))
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-007"]
    assert f"{keyword} missing or not valid in 1 of 8 slices" in messages(series)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", ["1E300", "0", "-300"]),
        ("ImagePositionPatient", ["0", "0"]),
        ("PixelSpacing", ["1E-300", "1"]),
        ("PixelSpacing", ["1E300", "1"]),
        ("PixelSpacing", ["0", "1"]),
        ("PixelSpacing", ["-1", "1"]),
        ("PixelSpacing", "0,5\\0,75"),
        ("PixelSpacing", "1_0\\1"),
        ("Rows", 0),
    ],
)
def test_impossible_geometry_excludes_the_series(tmp_path, keyword, value):
    files = write(tmp_path)
    change(files[:2], lambda d, _: (state if isinstance(value, str) else setattr)(d, keyword, value))
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-007"]
    assert keyword in messages(series)


@pytest.mark.parametrize("cosines", [[1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0], [0] * 6])
def test_invalid_orientation_excludes_the_series(tmp_path, cosines):
    write(tmp_path, ImageOrientationPatient=cosines)
    assert codes(only(tmp_path)) == ["LS-DCM-007"]


def test_mixed_orientation_is_excluded(tmp_path):
    files = write(tmp_path)
    change(files[5:7], lambda dataset, _: setattr(dataset, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]))
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-008"]
    assert "2 of 8" in messages(series)


@pytest.mark.parametrize(("keyword", "value"), [("PixelSpacing", [0.5, 0.76]), ("Rows", 36), ("Columns", 40)])
def test_mixed_matrix_or_pixel_spacing_is_excluded(tmp_path, keyword, value):
    files = write(tmp_path)
    change(files[5:6], lambda dataset, _: setattr(dataset, keyword, value))
    assert codes(only(tmp_path)) == ["LS-DCM-009"]


@pytest.mark.parametrize("degrees", [-20.0, 1.0, 15.0])
def test_gantry_tilt_is_excluded_with_its_angle(tmp_path, degrees):
    files = write(tmp_path)
    shift(files, lambda number: (0, number * 2.5 * np.tan(np.radians(degrees)), 0))
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-010"]
    assert f"tilt of {abs(degrees):.1f} degrees" in messages(series)


def test_oblique_stack_along_its_normal_is_not_tilted(tmp_path):
    angle = np.radians(15)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = AFFINE.copy()
    affine[:3, :3] = turn @ AFFINE[:3, :3]
    write(tmp_path, made(affine))
    series = only(tmp_path)
    assert series.exclusions == ()
    np.testing.assert_allclose(series.geometry.affine, affine, atol=1e-6)


def test_slices_shifted_irregularly_in_their_plane_are_excluded(tmp_path):
    files = write(tmp_path)
    shift(files[4:5], lambda number: (3, 0, 0))
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-013"]
    assert "3.0 mm" in messages(series)


def test_two_slices_at_one_position_are_excluded(tmp_path):
    files = write(tmp_path)
    shutil.copy(files[3], tmp_path / "again.dcm")
    change([tmp_path / "again.dcm"], lambda d, _: setattr(d, "PixelData", bytes(len(d.PixelData))))
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-011"]
    assert "1 of 9 slices" in messages(series)
    assert "phases" not in messages(series)


@pytest.mark.parametrize("field", [{"AcquisitionNumber": 2}, {"ContentTime": "101010"}])
def test_two_phases_in_one_series_are_excluded_with_the_hint(tmp_path, field):
    write(tmp_path / "a", SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2")
    write(tmp_path / "b", made(seed=1), SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2", **field)
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-011"]
    assert "8 of 16 slices" in messages(series)
    assert "two phases" in messages(series)


def test_missing_slices_are_counted(tmp_path):
    files = write(tmp_path, made(shape=(41, 37, 12)))
    for number in (3, 6, 7):
        files[number].unlink()
    series = only(tmp_path)
    assert codes(series) == ["LS-DCM-012"]
    assert "positions show 3 missing slices in 2 gaps" in messages(series)


def test_uneven_positions_within_the_tolerance_are_a_warning(tmp_path):
    shift(write(tmp_path)[4:5], lambda number: (0, 0, 0.2))
    series = only(tmp_path)
    assert series.exclusions == ()
    assert [(w.code, "up to 0.2 mm" in w.message) for w in series.warnings] == [("LS-DCM-064", True)]


@pytest.mark.parametrize(("off_mm", "excluded"), [(0.7, True), (-0.7, True), (1.25, True), (0.2, False), (-0.2, False)])
def test_irregular_gap_is_excluded_when_slices_are_off_by_a_tenth_of_the_spacing(tmp_path, off_mm, excluded):
    files = write(tmp_path)
    shift(files[4:], lambda number: (0, 0, off_mm))
    assert codes(only(tmp_path)) == (["LS-DCM-013"] if excluded else [])


def test_slowly_changing_gaps_are_excluded(tmp_path):
    files = write(tmp_path, made(shape=(41, 37, 40)))
    shift(files, lambda number: (0, 0, 0.002 * number**2))
    assert codes(only(tmp_path)) == ["LS-DCM-013"]


def test_positions_rounded_to_one_decimal_are_even(tmp_path):
    affine = AFFINE.copy()
    affine[2, 2] = 0.625
    files = write(tmp_path, made(affine, shape=(41, 37, 40)))
    change(
        files,
        lambda d, _: setattr(
            d, "ImagePositionPatient", [*d.ImagePositionPatient[:2], round(d.ImagePositionPatient[2], 1)]
        ),
    )
    series = only(tmp_path)
    assert series.exclusions == ()
    assert series.geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.1 / 39)


@pytest.mark.parametrize(("slices", "minimum", "excluded"), [(4, 5, True), (5, 5, False), (4, 4, False), (1, 1, True)])
def test_too_few_slices_are_excluded(tmp_path, slices, minimum, excluded):
    write(tmp_path, made(shape=(41, 37, slices)))
    assert codes(only(tmp_path, minimum_slices=minimum)) == (["LS-DCM-014"] if excluded else [])


def test_files_of_several_series_in_one_folder_without_uids_are_excluded(tmp_path):
    for number in (1, 2):
        files = write(tmp_path / f"{number}", made(seed=number), SeriesNumber=number, SeriesInstanceUID="")
        for file in files:
            file.rename(tmp_path / f"{number}-{file.name}")
    change(sorted(tmp_path.glob("*.dcm")), lambda dataset, _: setattr(dataset, "StudyInstanceUID", "1.2"))
    series = only(tmp_path)
    assert codes(series)[0] == "LS-DCM-015"


def test_one_series_uid_for_two_patients_is_excluded(tmp_path):
    write(tmp_path / "a", SeriesInstanceUID="1.2.3")
    write(tmp_path / "b", SeriesInstanceUID="1.2.3", PatientID="P2")
    assert "LS-DCM-015" in codes(only(tmp_path))


def test_series_without_uids_in_separate_folders_are_used_with_warnings(tmp_path):
    for name in "ab":
        write(tmp_path / name, SeriesInstanceUID="", StudyInstanceUID="", PatientID="")
    found = find_series(tmp_path)
    assert [series.exclusions for series in found] == [(), ()]
    assert [[w.code for w in series.warnings] for series in found] == [["LS-DCM-020", "LS-DCM-021"]] * 2
    assert [series.folder for series in found] == ["a", "b"]
    assert len({series.series_key for series in found}) == len({series.patient_key for series in found}) == 2


def test_study_replaces_an_empty_patient_id(tmp_path):
    for name in "ab":
        write(tmp_path / name, made(seed=ord(name)), StudyInstanceUID="1.2", PatientID="")
    assert [series.patient_key for series in find_series(tmp_path)] == ["1.2", "1.2"]


def test_thickness_that_differs_from_the_spacing_is_a_warning(tmp_path):
    write(tmp_path, SliceThickness="3")
    series = only(tmp_path)
    assert series.exclusions == ()
    assert [w.code for w in series.warnings] == ["LS-DCM-022"]
    assert series.slice_thickness_mm == 3
    assert series.geometry.spacing_mm[0] == 2.5


def test_header_fields_for_selection_and_tables_are_read(tmp_path):
    write(tmp_path, PatientSex="F", PatientAge="061Y", SeriesDescription="ABD portal venous", SeriesNumber=4)
    series = only(tmp_path)
    assert (series.sex, series.age, series.phase) == ("F", 61.0, "portal_venous")
    assert series.description == "4 ABD portal venous"
    assert not isinstance(series.description, MultiValue)
