"""Files that are no slices of their series, files of one series that look like several, and copies."""

import shutil

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, change, codes, made, messages, only, write

from liverspleen.imaging.dicom import eligible, find_series, read_series


def warning_codes(series):
    return [warning.code for warning in series.warnings]


@pytest.mark.parametrize("number", [2, 8])
def test_copies_of_files_count_once_with_a_note(tmp_path, number):
    ct = made()
    files = write(tmp_path, ct)
    for file in files[:number]:
        shutil.copy(file, tmp_path / f"again {file.name}")
    series = only(tmp_path)
    assert codes(series) == []
    assert [(w.code, w.severity) for w in series.warnings] == [("LS-DCM-063", "note")]
    assert f"{number} files of {8 + number}" in series.warnings[0].message
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_a_copy_may_differ_in_its_file_meta_information_only(tmp_path):
    files = write(tmp_path)
    shutil.copy(files[3], again := tmp_path / "again.dcm")
    change([again], lambda d, _: setattr(d.file_meta, "ImplementationVersionName", "OTHER"))
    assert warning_codes(only(tmp_path)) == ["LS-DCM-063"]
    change([again], lambda d, _: setattr(d, "RescaleIntercept", "-1024"))
    assert codes(only(tmp_path)) == ["LS-DCM-011"]


def scout(folder, file, **fields):
    """Write a further image of the series with other fields."""
    shutil.copy(file, folder / "scout.dcm")
    fields = {"SOPInstanceUID": "1.2.900", "ImageOrientationPatient": [1, 0, 0, 0, 0, -1], **fields}
    fields = {"ImagePositionPatient": [0, 0, -290], **fields}
    change([folder / "scout.dcm"], lambda d, _: [setattr(d, keyword, value) for keyword, value in fields.items()])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Rows": 20, "PixelData": bytes(20 * 41 * 2)},
        {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]},  # surplus: within the complete stack
    ],
)
def test_a_stray_image_is_skipped_and_the_slices_are_used(tmp_path, fields):
    ct = made()
    scout(tmp_path, write(tmp_path, ct)[4], **fields)
    series = only(tmp_path)
    assert codes(series) == []
    assert warning_codes(series) == ["LS-DCM-062"]
    assert "1 of 9 images" in series.warnings[0].message
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [("PixelSpacing", [1, 1], "LS-DCM-009"), ("ImageOrientationPatient", [1, 0, 0, 0, 0, -1], "LS-DCM-008")],
)
def test_an_image_at_the_end_of_the_stack_may_be_a_slice_with_a_wrong_header(tmp_path, keyword, value, code):
    files = write(tmp_path)
    change(files[-1:], lambda d, _: setattr(d, keyword, value))
    assert codes(only(tmp_path)) == [code]


@pytest.mark.parametrize(
    ("keyword", "value"), [("SeriesInstanceUID", "1.2.3"), ("Modality", "MR"), ("ImageType", ["DERIVED", "SECONDARY"])]
)
def test_a_slice_at_an_end_that_is_no_part_of_the_series_excludes_it(tmp_path, keyword, value):
    files = write(tmp_path)
    change(files[:1], lambda d, _: setattr(d, keyword, value))
    assert codes(max(find_series(tmp_path), key=lambda series: series.slices)) == ["LS-DCM-065"]
    (tmp_path / "elsewhere").mkdir()
    files[0].rename(tmp_path / "elsewhere" / files[0].name)  # as the hint says
    used = [series for series in find_series(tmp_path, minimum_slices=1) if not series.exclusions]
    assert [series.slices for series in used] == [7]


def test_two_stacks_in_one_series_are_excluded(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
    write(tmp_path / "a", **uids)
    write(tmp_path / "b", made(AFFINE[:, [0, 2, 1, 3]], shape=(41, 8, 12)), **uids)
    assert "LS-DCM-008" in codes(only(tmp_path))


@pytest.fixture
def anonymised(tmp_path):
    """Slices with a SeriesInstanceUID each, from a tool that replaces it per file."""
    ct = made()
    change(write(tmp_path, ct), lambda d, n: setattr(d, "SeriesInstanceUID", f"1.2.{n}"))
    return tmp_path, ct


def test_slices_with_a_series_uid_each_are_one_line_with_the_option(anonymised):
    series = only(anonymised[0])
    assert codes(series) == ["LS-DCM-061"]
    assert "8 slices of one folder have a SeriesInstanceUID each" in messages(series)
    assert series.exclusions[0].hint == "give series_by=folder"


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID"])
def test_slices_with_own_uids_are_one_series_by_folder(anonymised, keyword):
    folder, ct = anonymised
    change(sorted(folder.glob("*.dcm")), lambda d, n: setattr(d, keyword, f"1.2.{n}"))
    scout(folder, next(folder.glob("*.dcm")))
    found = sorted(find_series(folder, by_folder=True), key=lambda series: -series.slices)
    assert [codes(series) for series in found] == [[], ["LS-DCM-014"]]
    np.testing.assert_array_equal(read_series(found[0], case_id="a").hu, ct.hu)
    assert warning_codes(found[0]) == []
    assert found[0].patient_id == ("" if keyword == "PatientID" else "P1")


def test_a_folder_with_slices_of_two_patients_is_excluded(anonymised):
    folder, _ = anonymised
    change(sorted(folder.glob("*.dcm")), lambda d, n: setattr(d, "PatientID", f"P{n > 4}"))
    assert codes(only(folder, by_folder=True)) == ["LS-DCM-015"]


def test_single_images_of_one_position_are_no_series(tmp_path):
    """Images of bolus tracking: one position, one series each."""
    files = write(tmp_path)
    position = pydicom.dcmread(files[0]).ImagePositionPatient

    def track(dataset, number):
        dataset.SeriesInstanceUID, dataset.ImagePositionPatient = f"1.2.{number}", position

    change(files, track)
    assert [codes(series) for series in find_series(tmp_path)] == [["LS-DCM-014"]] * 8


@pytest.mark.parametrize(
    "types", [["DERIVED", "SECONDARY"], ["DERIVED", "PRIMARY", "AXIAL"], ["ORIGINAL", "SECONDARY"]]
)
def test_derived_slices_are_usable_with_a_warning(tmp_path, types):
    write(tmp_path / "a", StudyInstanceUID="1.2", ImageType=types)
    series = only(tmp_path)
    assert (series.derived, codes(series), warning_codes(series)) == (True, [], ["LS-DCM-060"])
    assert eligible([series]) == (series,)


def test_derived_slices_are_eligible_only_without_another_ct(tmp_path):
    write(tmp_path / "a", StudyInstanceUID="1.2", ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    scouts = write(tmp_path / "b", made(seed=1), StudyInstanceUID="1.2", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert [series.folder for series in eligible(find_series(tmp_path))] == ["a"]
    change(scouts, lambda d, _: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]))
    assert [series.folder for series in eligible(find_series(tmp_path))] == ["b"]
    scouts[3].unlink()  # an original scan that is not usable is a reason to look, not to use another one
    assert eligible(find_series(tmp_path)) == ()
