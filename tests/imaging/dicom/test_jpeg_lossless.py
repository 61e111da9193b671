"""JPEG Lossless: the stored values come back, whatever predictor, precision and sign; SimpleITK reads the same."""

import numpy as np
import pydicom
import pytest
from dicom_stacks import made, messages, only, write

from liverspleen.errors import InputError
from liverspleen.imaging.dicom import read_series

imagecodecs = pytest.importorskip("imagecodecs")

SHAPE = (37, 41)


def compress(files, encoded, bits, signed):
    """Replace the pixels of each file by `encoded` of its number."""
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits <= 8 else 16), bits, bits - 1
        dataset.PixelRepresentation, dataset.RescaleIntercept = int(signed), 0
        dataset.PixelData = pydicom.encaps.encapsulate([encoded(number)])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLossless
        dataset.save_as(file)


def values(number, bits, signed):
    stored = np.random.default_rng(number).integers(0, 1 << bits, SHAPE)
    shown = stored - (stored >> (bits - 1) << bits) if signed else stored
    return stored.astype(np.uint8 if bits <= 8 else np.uint16), shown


@pytest.mark.parametrize(
    ("bits", "signed", "predictor"),
    [(8, False, 1), (12, False, 1), (12, True, 4), (15, False, 6), (16, True, 7), (16, True, 2), (13, True, 3)],
)
def test_stored_values_come_back(tmp_path, bits, signed, predictor):
    files = write(tmp_path)

    def encoded(number):
        return imagecodecs.jpeg8_encode(
            values(number, bits, signed)[0], lossless=True, bitspersample=bits, predictor=predictor
        )

    compress(files, encoded, bits, signed)
    series = only(tmp_path)
    assert series.exclusions == ()
    ct = read_series(series, case_id="a")
    expected = np.stack([values(number, bits, signed)[1] for number in range(8)])
    np.testing.assert_array_equal(ct.geometry.to_native(ct.hu).transpose(2, 1, 0), expected)


def test_values_of_another_encoder_are_those_of_simpleitk(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    files = write(tmp_path)
    compress(files, lambda number: imagecodecs.ljpeg_encode(values(number, 12, False)[0], bitspersample=12), 12, False)
    ct = read_series(only(tmp_path), case_id="a")
    native = ct.geometry.to_native(ct.hu).transpose(2, 1, 0)
    for number, file in enumerate(files):
        np.testing.assert_array_equal(native[number], sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[0])
        np.testing.assert_array_equal(native[number], values(number, 12, False)[0])


@pytest.mark.parametrize("kind", ["truncated", "short of its end", "another matrix", "not a JPEG"])
def test_damaged_frames_are_one_issue(tmp_path, kind):
    files = write(tmp_path, made())
    frame = imagecodecs.ljpeg_encode(values(0, 12, False)[0], bitspersample=12)
    small = imagecodecs.ljpeg_encode(values(0, 12, False)[0][:20], bitspersample=12)
    broken = {
        "truncated": frame[:30],
        "short of its end": frame[:-500],
        "another matrix": small,
        "not a JPEG": b"no pixels",
    }[kind]
    compress(files, lambda _: broken, 12, False)
    series = only(tmp_path)
    assert messages(series) == ""
    with pytest.raises(InputError, match="LS-DCM-031"):
        read_series(series, case_id="a")
