"""HU by the fields of rescaling and padding: expected values by hand."""

import numpy as np
import pydicom
import pytest
from dicom_stacks import change, codes, made, messages, only, state, write

from liverspleen.errors import InputError
from liverspleen.imaging.dicom import read_series

SLICES = 5
STORED = 1134  # 110 HU with an intercept of -1024


def absent(*keywords):
    def delete(dataset):
        for keyword in keywords:
            delattr(dataset, keyword)

    return delete


def stated(**fields):
    def put(dataset):
        for keyword, value in fields.items():
            if keyword in ("RescaleSlope", "RescaleIntercept") and value is not None:
                state(dataset, keyword, value)
            else:
                setattr(dataset, keyword, value)

    return put


def table(dataset):
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 16])
    item.add_new("LUTData", "OW", (np.arange(4096) - 1024).astype("<i2").tobytes())
    dataset.ModalityLUTSequence = [item]


def series(folder, how, which=slice(None), *, signed=True, value=STORED, border=None):
    """Return a series of equal pixels, after a change of the headers of some of its slices."""

    def put(dataset, _):
        pixels = np.full((37, 41), value, np.int16)
        if border is not None:
            pixels[:2] = np.array(border).astype(np.uint16).astype(np.int16)
        dataset.PixelData = pixels.tobytes()
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"

    files = write(folder, made(shape=(41, 37, SLICES)))
    change(files, put)
    change(files[which], lambda dataset, _: how(dataset))
    return only(folder)


ONE, OTHERS = slice(3, 4), slice(4, None)


@pytest.mark.parametrize(
    ("how", "hu", "warning"),
    [
        (stated(), 110, []),
        (absent("RescaleSlope"), 110, ["LS-DCM-052"]),
        (stated(RescaleSlope=None), 110, ["LS-DCM-052"]),
        (stated(RescaleSlope="0"), 110, ["LS-DCM-052"]),
        (stated(RescaleSlope="0.0 "), 110, ["LS-DCM-052"]),
        (absent("RescaleIntercept"), 1134, ["LS-DCM-052"]),
        (stated(RescaleIntercept=""), 1134, ["LS-DCM-052"]),
        (absent("RescaleIntercept", "RescaleSlope"), 1134, ["LS-DCM-023"]),
        (stated(RescaleType="US"), 110, ["LS-DCM-023"]),
        (stated(RescaleSlope="2"), 1244, []),
    ],
)
def test_missing_fields_have_the_values_that_other_programs_assume(tmp_path, how, hu, warning):
    found = series(tmp_path, how)
    assert codes(found) == []
    assert [w.code for w in found.warnings] == warning
    assert all("5 of 5 slices" in w.message for w in found.warnings if "RescaleType" not in w.message)
    assert set(np.unique(read_series(found, case_id="a").hu)) == {hu}


@pytest.mark.parametrize(
    ("how", "code", "word"),
    [
        (stated(RescaleIntercept="abc"), "LS-DCM-050", "RescaleIntercept is not a finite number in 1 of 5"),
        (stated(RescaleIntercept="-1024,0"), "LS-DCM-050", "RescaleIntercept"),
        (stated(RescaleIntercept="-1024\\0"), "LS-DCM-050", "RescaleIntercept"),
        (stated(RescaleSlope="nan"), "LS-DCM-050", "RescaleSlope"),
        (stated(RescaleSlope="inf"), "LS-DCM-050", "RescaleSlope"),
        (table, "LS-DCM-051", "ModalityLUTSequence"),
        (absent("RescaleIntercept"), "LS-DCM-053", "1 of 5"),
        (absent("RescaleIntercept", "RescaleSlope"), "LS-DCM-053", "1 of 5"),
        (stated(RescaleType="OD"), "LS-DCM-055", "RescaleType is OD in 1 of 5"),
        (stated(RescaleType="MGML"), "LS-DCM-055", "MGML"),
        (stated(PhotometricInterpretation="MONOCHROME1"), "LS-DCM-056", "PhotometricInterpretation"),
        (stated(PhotometricInterpretation="PALETTE COLOR"), "LS-DCM-056", "PhotometricInterpretation"),
        (stated(BitsStored=12, HighBit=15), "LS-DCM-057", "HighBit"),
        (stated(BitsStored=17), "LS-DCM-057", "BitsStored"),
    ],
)
def test_one_slice_that_cannot_be_converted_excludes_the_series_and_names_the_field(tmp_path, how, code, word):
    found = series(tmp_path, how, ONE)
    assert codes(found) == [code]
    assert word in messages(found)


def test_a_missing_slope_is_not_1_where_other_slices_state_another_one(tmp_path):
    found = series(tmp_path, stated(RescaleSlope="0.5"), OTHERS)
    assert codes(found) == []
    assert read_series(found, case_id="a").hu[[0, 4], 0, 0].tolist() == [110, -457]
    change(found.files[:1], lambda d, _: delattr(d, "RescaleSlope"))
    assert codes(only(tmp_path)) == ["LS-DCM-053"]


@pytest.mark.parametrize("keywords", [("RescaleIntercept",), ("RescaleIntercept", "RescaleSlope")])
def test_unsigned_pixels_without_an_intercept_cannot_be_hu(tmp_path, keywords):
    found = series(tmp_path, absent(*keywords), signed=False)
    assert codes(found) == ["LS-DCM-054"]


@pytest.mark.parametrize("length", [36, 40])
def test_more_pixels_than_the_header_states_are_rejected(tmp_path, length):
    field = "Rows" if length == 36 else "Columns"
    found = series(tmp_path, stated(**{field: length}))
    with pytest.raises(InputError, match="LS-DCM-058 case 'a': slice 1 of 5 has 3034 bytes"):
        read_series(found, case_id="a")


@pytest.mark.parametrize(
    ("signed", "vr", "stored", "limit", "expected"),
    [
        (True, "SS", -2000, None, -3024),  # low values stay
        (True, "US", 63536, None, -3024),  # the same 16 bits
        (False, "US", 63536, None, -1024),  # 62512 HU without it
        (False, "SS", -2000, None, -1024),
        (True, "SS", 1024, None, -1024),  # 0 HU: water
        (True, "SS", 1100, 1000, -1024),  # a range, with its ends in either order
        (False, "US", 0, None, -1024),
    ],
)
def test_padding_is_never_tissue_whatever_its_sign(tmp_path, signed, vr, stored, limit, expected):
    def mark(dataset):
        dataset.add_new("PixelPaddingValue", vr, stored)
        if limit is not None:
            dataset.add_new("PixelPaddingRangeLimit", vr, limit)

    found = series(tmp_path, mark, signed=signed, border=1024 if limit else stored)
    ct = read_series(found, case_id="a")
    assert set(np.unique(ct.hu[:, :2])) == {expected}
    assert set(np.unique(ct.hu[:, 2:])) == {110}
    assert ct.clipped_voxels == 0
    is_low = -2000 in (stored, stored - 65536) and signed
    assert [w.code for w in found.warnings] == ([] if is_low or stored == 0 else ["LS-DCM-059"])


def test_pixels_inside_the_patient_with_the_value_of_the_padding_stay(tmp_path):
    def water(dataset):
        dataset.add_new("PixelPaddingValue", "SS", 1024)
        pixels = np.full((37, 41), STORED, np.int16)
        pixels[0, :5], pixels[20, 20] = 1024, 1024
        dataset.PixelData = pixels.tobytes()

    hu = read_series(series(tmp_path, water), case_id="a").hu
    assert hu[0, 0, :6].tolist() == [-1024] * 5 + [110]
    assert hu[0, 20, 19:22].tolist() == [110, 0, 110]


def test_padding_is_read_with_an_implicit_vr(tmp_path):
    found = series(tmp_path, lambda d: d.add_new("PixelPaddingValue", "US", 63536), signed=False, border=63536)
    for file in found.files:
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        dataset.save_as(file, implicit_vr=True, little_endian=True)
    assert set(np.unique(read_series(only(tmp_path), case_id="a").hu[:, :2])) == {-1024}
