"""No header text, id, date, file or folder name appears in a reason, an issue, a warning or a log."""

import functools
import itertools
import logging
import traceback

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, change, made, write
from pydicom.datadict import DicomDictionary

from liverspleen.errors import InputError
from liverspleen.imaging import Geometry, LabelMap
from liverspleen.imaging.dicom import (
    find_segmentations,
    find_series,
    read_segmentation,
    read_series,
    write_segmentation,
)
from liverspleen.imaging.dicom.quiet import quiet

SHAPE = (20, 18, 5)
SECRETS = {
    **dict.fromkeys(("LO", "SH", "PN", "ST", "LT", "UT", "UC", "UR"), "Qwertz Jane"),
    **dict.fromkeys(("CS", "AE"), "QWERTZ_JANE"),
    "AS": "097Y",
    "DA": "19470613",
    "DT": "19470613101112",
    "TM": "101112.31337",
    "IS": "31337",
    "DS": "31337.5",
    "UI": "1.2.3.31337",
}
WORDS = ("qwertz", "jane", "31337", "19470613", "101112", "097y")
NEEDED = {"SOPClassUID", "ImageType", "Modality", "SegmentationType", "PixelSpacing", "FileSetID"} | {
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "NumberOfFrames",
    "ReferencedSOPClassUID",
    "ImagerPixelSpacing",
    "SliceThickness",
    "PhotometricInterpretation",
}


@functools.cache
def planted():
    """A secret in every public text field of the groups 0008 to 0070, and in private ones."""
    dataset = pydicom.Dataset()
    for tag, (vr, multiplicity, _name, retired, keyword) in DicomDictionary.items():
        wanted = vr in SECRETS and keyword and not retired and keyword not in NEEDED and multiplicity.startswith("1")
        if wanted and 0x0008 <= tag >> 16 <= 0x0070:
            dataset.add_new(tag, vr, SECRETS[vr])
    block = dataset.private_block(0x0011, "QWERTZ JANE", create=True)
    for number, (vr, secret) in enumerate(SECRETS.items()):
        block.add_new(number, vr, secret)
    return dataset


def plant(dataset, _=0):
    dataset.update(planted())
    dataset.file_meta.SourceApplicationEntityTitle = SECRETS["AE"]
    dataset.file_meta.MediaStorageSOPInstanceUID = SECRETS["UI"]


def strings(action):
    """The text of the call's result, or of its exception with the traceback."""
    try:
        result = action()
    except InputError as error:
        return [str(error), repr(error), *traceback.format_exception(error), *map(repr, error.issues)], None
    return [repr(result), str(result)], result


def test_planted_text_is_absent_from_all_output(tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    root = tmp_path / "Qwertz Jane 19470613"
    excluded = {
        "sound": {},
        "modality": {"Modality": "QWERTZ_JANE"},
        "type": {"ImageType": ["QWERTZ", "JANE", "31337"]},
        "derived": {"ImageType": ["DERIVED", "SECONDARY", "QWERTZ"]},
        "class": {"SOPClassUID": "1.2.3.31337"},
        "frames": {"NumberOfFrames": 3},
        "spacing": {"PixelSpacing": ["31337.5", "31337.5"]},
        "no ids": {"PatientID": "", "SeriesInstanceUID": "", "StudyInstanceUID": ""},
    }
    for number, (name, fields) in enumerate(excluded.items()):
        files = write(root / f"jane {name} 31337", made(shape=SHAPE, seed=number))
        change(files, plant)
        change(
            files,
            lambda d, _, fields=fields, number=number: [
                *(setattr(d, k, v) for k, v in {"SeriesInstanceUID": f"1.2.31337.{number}", **fields}.items())
            ],
        )
        for file in files:
            file.rename(file.with_name(f"qwertz {file.name}"))
    broken = sorted((root / "jane sound 31337").iterdir())
    broken[0].with_name("qwertz broken.dcm").write_bytes(broken[0].read_bytes()[:400])

    sources = write(root / "jane seg", made(shape=SHAPE, seed=99))
    labels = np.zeros((SHAPE[2], SHAPE[1], SHAPE[0]), np.uint8)
    labels[2:5] = 1
    segmentation = root / "jane seg/qwertz.dcm"
    write_segmentation(segmentation, LabelMap(labels, Geometry(SHAPE, AFFINE)), sources)
    change(sources, plant)
    change(
        [segmentation],
        lambda d, _: (
            plant(d),
            setattr(d.SegmentSequence[0], "SegmentLabel", "Qwertz Jane"),
            setattr(d.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0], "CodeMeaning", "Qwertz"),
        ),
    )

    caplog.clear()
    capfd.readouterr()
    texts, found = strings(lambda: find_series(root))
    assert len(found) >= len(excluded) + 2
    for series in found:
        texts += [*map(str, series.exclusions), *map(str, series.warnings), series.phase, series.sex]
        texts += strings(lambda series=series: read_series(series, case_id="A1"))[0]
    readable = [series for series in found if not series.exclusions]
    assert readable
    for series in readable:
        series.files[1].write_bytes(series.files[1].read_bytes()[:-200])
        texts += strings(lambda series=series: read_series(series, case_id="A1"))[0]
        series.files[0].unlink()
        texts += strings(lambda series=series: read_series(series, case_id="A1"))[0]

    output, segmentations = strings(lambda: find_segmentations(root))
    texts += output
    moved = AFFINE.copy()
    moved[:3, 3] += 1
    for each, affine in itertools.product(segmentations, (AFFINE, moved)):
        geometry = Geometry(SHAPE, affine)
        texts += strings(lambda each=each, g=geometry: read_segmentation(each, g, case_id="A1"))[0]
    segmentation.write_bytes(segmentation.read_bytes()[:-300])
    texts += strings(lambda: read_segmentation(segmentations[0], Geometry(SHAPE, AFFINE), case_id="A1"))[0]
    out, err = capfd.readouterr()
    texts += [out, err, caplog.text]

    assert sum("LS-DCM" in text for text in texts) > 10
    whole = "\n".join(texts).lower()
    assert [word for word in WORDS if word in whole] == []


def test_the_planted_text_is_in_the_file(tmp_path):
    (file, *_) = write(tmp_path)
    change([file], plant)
    with quiet():
        dataset = pydicom.dcmread(file)
        assert str(dataset.PatientName) == "Qwertz Jane"
        assert len(dataset) > 1000


@pytest.mark.parametrize("module", ["liverspleen.imaging.dicom", "liverspleen.imaging.dicom.write"])
def test_warnings_of_pydicom_stay_on_for_others(module):
    __import__(module)
    assert logging.getLogger("pydicom").level <= logging.CRITICAL
