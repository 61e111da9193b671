"""Voxels and grids of series, compared with values computed by hand."""

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, change, made, only, write

from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry
from liverspleen.imaging.dicom import find_series, read_series, write_series
from liverspleen.imaging.dicom.write import DEFLATED, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LS, RLE


def stored(files, values, **fields):
    """Replace the stored numbers of each file by `values` of its number, and fields with them."""

    def put(dataset, number):
        dataset.PixelData = np.asarray(values(number)).tobytes()
        for keyword, value in fields.items():
            setattr(dataset, keyword, value(number) if callable(value) else value)

    change(files, put)


def test_affine_of_non_square_pixels_by_hand(tmp_path):
    # 37 rows 0.5 mm apart, 41 columns 0.75 mm apart: PixelSpacing is 0.5\\0.75
    files = write(tmp_path)
    assert list(pydicom.dcmread(files[0]).PixelSpacing) == [0.5, 0.75]
    expected = [[-0.75, 0, 0, 15], [0, -0.5, 0, 9], [0, 0, 2.5, -300], [0, 0, 0, 1]]
    np.testing.assert_array_equal(only(tmp_path).geometry.affine, expected)


def test_slices_are_ordered_by_position_and_not_by_name_or_instance_number(tmp_path):
    ct = made()
    files = write(tmp_path, ct)
    order = [5, 0, 7, 2, 1, 6, 3, 4]
    change(files, lambda dataset, number: setattr(dataset, "InstanceNumber", order[number]))
    for number, file in enumerate(files):
        file.rename(tmp_path / f"x{order[-1 - number]}")
    series = only(tmp_path)
    heights = [pydicom.dcmread(file).ImagePositionPatient[2] for file in series.files]
    assert heights == [-300 + 2.5 * number for number in range(8)]
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_normal_that_points_down_orders_from_the_head_down(tmp_path):
    affine = AFFINE @ np.diag([1, -1, 1, 1.0])  # rows towards anterior: right-handed with slices towards inferior
    ct = made(affine)
    write(tmp_path, ct)
    series = only(tmp_path)
    assert series.geometry.axis_codes == ("L", "A", "I")
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_rescaling_is_that_of_each_slice_and_applied_once(tmp_path):
    files = write(tmp_path)
    stored(
        files,
        lambda number: np.full((37, 41), 100 + number, np.int16),
        RescaleSlope=lambda number: 1 if number < 4 else 2,
        RescaleIntercept=lambda number: -10 * number,
    )
    hu = read_series(only(tmp_path), case_id="a").hu
    assert hu[:, 0, 0].tolist() == [100, 91, 82, 73, 168, 160, 152, 144]  # (100 + n) * slope - 10 n


def test_fractional_rescaling_rounds_to_whole_hu(tmp_path):
    files = write(tmp_path)
    stored(files, lambda _: np.full((37, 41), 3, np.int16), RescaleSlope="0.3", RescaleIntercept="-0.25")
    assert read_series(only(tmp_path), case_id="a").hu[0, 0, 0] == 1  # 0.65


def test_values_beyond_int16_are_clipped_and_counted(tmp_path):
    files = write(tmp_path)
    values = np.zeros((37, 41), np.uint16)
    values[0, :3] = 65535, 32767, 32768
    stored(files, lambda _: values, PixelRepresentation=0)
    ct = read_series(only(tmp_path), case_id="a")
    assert ct.hu[2, 0, :4].tolist() == [32767, 32767, 32767, 0]
    assert ct.clipped_voxels == 2 * 8


def test_clipping_after_rescaling_counts_both_ends(tmp_path):
    files = write(tmp_path)
    values = np.array([[-32768, 32767] + [0] * 39] * 37, np.int16)
    stored(files, lambda _: values, RescaleSlope="2", RescaleIntercept="0")
    ct = read_series(only(tmp_path), case_id="a")
    assert ct.hu[0, 0, :2].tolist() == [-32768, 32767]
    assert ct.clipped_voxels == 2 * 37 * 8


@pytest.mark.parametrize(("sign", "expected"), [(0, 0x800), (1, -0x800)])
def test_bits_above_bits_stored_are_not_part_of_the_value(tmp_path, sign, expected):
    files = write(tmp_path)
    # 12 bits with an overlay in the highest one: 0x800 is 2048 unsigned, -2048 signed
    stored(
        files,
        lambda _: np.full((37, 41), 0x9800, np.uint16),
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=sign,
    )
    assert read_series(only(tmp_path), case_id="a").hu[0, 0, 0] == expected


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, RLE, JPEG_2000, JPEG_LS])
def test_transfer_syntaxes_give_the_same_voxels(tmp_path, syntax):
    ct = made()
    files = write_series(tmp_path, ct, tags={"PatientID": "P"}, transfer_syntax=syntax)
    assert pydicom.dcmread(files[0]).file_meta.TransferSyntaxUID == syntax
    series = only(tmp_path)
    assert series.exclusions == ()
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


@pytest.mark.parametrize("sign", [0, 1])
def test_jpeg_2000_with_another_sign_than_the_header(tmp_path, sign):
    """The codestream is written with one sign and the header has the other one."""
    values = np.arange(37 * 41).reshape(37, 41) % 2048 + (0 if sign else -1024)
    geometry = Geometry((41, 37, 5), AFFINE)
    files = write_series(tmp_path, CTVolume(np.zeros((5, 37, 41), np.int16), geometry), tags={"PatientID": "P"})

    def encode(dataset, _):
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelRepresentation = 1 - sign
        dataset.PixelData = values.astype(np.uint16 if sign else np.int16).tobytes()
        dataset.compress(JPEG_2000, generate_instance_uid=False)
        dataset.PixelRepresentation = sign

    change(files, encode)
    # the 12 bits are the same; the header gives their sign
    expected = (values + 2048) % 4096 - 2048 if sign else values % 4096
    np.testing.assert_array_equal(read_series(only(tmp_path), case_id="a").hu[0], expected)


def test_big_endian_is_read(tmp_path):
    ct = made()
    for file in write(tmp_path, ct):
        dataset = pydicom.dcmread(file)
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
        pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=False)
    np.testing.assert_array_equal(read_series(only(tmp_path), case_id="a").hu, ct.hu)


def test_the_same_ct_and_tags_give_the_same_bytes(tmp_path):
    first, second = (write(tmp_path / name) for name in "ab")
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_another_ct_has_other_uids(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", made(seed=1))
    a, b = find_series(tmp_path)
    assert a.series_uid != b.series_uid
    assert a.study_uid != b.study_uid


def test_sheared_grid_is_not_written(tmp_path):
    affine = AFFINE.copy()
    affine[1, 2] = 0.5
    with pytest.raises(ValueError, match="sheared"):
        write(tmp_path, made(affine))


def test_truncated_pixels_are_rejected_with_the_number_of_the_slice(tmp_path):
    files = write(tmp_path)
    files[2].write_bytes(files[2].read_bytes()[:-500])
    with pytest.raises(InputError, match="LS-DCM-031 case 'A1': slice 3 of 8"):
        read_series(only(tmp_path), case_id="A1")


def test_file_removed_or_changed_before_reading_is_rejected(tmp_path):
    files = write(tmp_path)
    series = only(tmp_path)
    change(files[:1], lambda d, _: (setattr(d, "Rows", 20), setattr(d, "PixelData", d.PixelData[: 20 * 41 * 2])))
    with pytest.raises(InputError, match="LS-DCM-032 case 'A1': slice 1 "):
        read_series(series, case_id="A1")
    files[0].unlink()
    with pytest.raises(InputError, match=r"LS-DCM-031 case 'A1': slice 1 of 8 .*FileNotFoundError"):
        read_series(series, case_id="A1")


def test_rescaling_without_bounds_is_rejected(tmp_path):
    files = write(tmp_path)
    change(files, lambda dataset, _: setattr(dataset, "RescaleSlope", "1E308"))
    with pytest.raises(InputError, match="LS-DCM-033"):
        read_series(only(tmp_path), case_id="A1")
