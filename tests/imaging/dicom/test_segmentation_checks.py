"""Segmentations that contradict themselves are rejected with the names of the fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, SHAPE, write
from plain_segmentation import LIVER, LIVER_VOXELS, SPLEEN, SPLEEN_VOXELS, frame, item, put, save, segmentation
from pydicom.dataset import FileDataset

from liverspleen.errors import InputError
from liverspleen.imaging import Geometry, LabelMap
from liverspleen.imaging.dicom import find_segmentations, read_segmentation
from liverspleen.organs import Structure

Edit = Callable[[FileDataset], object]
GRID = Geometry(SHAPE, AFFINE)


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return write(tmp_path_factory.mktemp("ct"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, dataset: FileDataset, **options: object) -> LabelMap:
    save(dataset, folder / "s.dcm")
    (found,) = find_segmentations(folder)
    return read_segmentation(found, GRID, case_id="A1", **options)


def rejected(folder: Path, dataset: FileDataset, **options: object) -> str:
    with pytest.raises(InputError) as error:
        read(folder, dataset, **options)
    return str(error.value)


def counts(label_map: LabelMap) -> tuple[int, int]:
    return label_map.count(Structure.LIVER), label_map.count(Structure.SPLEEN)


def nth(dataset: FileDataset, number: int) -> pydicom.Dataset:
    return dataset.PerFrameFunctionalGroupsSequence[number]


def shared(dataset: FileDataset) -> pydicom.Dataset:
    return dataset.SharedFunctionalGroupsSequence[0]


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_boxes_are_read_with_every_voxel(kind: str, ct: tuple[Path, ...], folder: Path) -> None:
    label_map = read(folder, segmentation(ct, kind=kind))
    expected = np.zeros((8, 37, 41), np.uint8)
    expected[LIVER], expected[SPLEEN] = 1, 2
    np.testing.assert_array_equal(label_map.labels, expected)
    assert counts(label_map) == (LIVER_VOXELS, SPLEEN_VOXELS)


def segment_of(number: int, value: int) -> Edit:
    return lambda d: setattr(nth(d, number).SegmentIdentificationSequence[0], "ReferencedSegmentNumber", value)


def numbers_of_segments(*numbers: int) -> Edit:
    def edit(d: FileDataset) -> None:
        for segment, number in zip(d.SegmentSequence, numbers, strict=True):
            segment.SegmentNumber = number

    return edit


def position_of(number: int, *position: float) -> Edit:
    return lambda d: setattr(nth(d, number).PlanePositionSequence[0], "ImagePositionPatient", list(position))


def position_index_of(number: int, index: int) -> Edit:
    return lambda d: setattr(nth(d, number).FrameContentSequence[0], "DimensionIndexValues", [1, index])


def measures(**fields: object) -> Edit:
    def edit(d: FileDataset) -> None:
        for keyword, value in fields.items():
            setattr(shared(d).PixelMeasuresSequence[0], keyword, value)

    return edit


def coded(number: int, **fields: str) -> Edit:
    def edit(d: FileDataset) -> None:
        for keyword, value in fields.items():
            target = d.SegmentSequence[number]
            target = target if keyword == "SegmentLabel" else target.SegmentedPropertyTypeCodeSequence[0]
            setattr(target, keyword, value)

    return edit


def field(keyword: str, value: object) -> Edit:
    return lambda d: setattr(d, keyword, value)


def swapped_frames(d: FileDataset) -> None:
    """Exchange the organs of all frames, but not their dimension index."""
    for group in d.PerFrameFunctionalGroupsSequence:
        identity = group.SegmentIdentificationSequence[0]
        identity.ReferencedSegmentNumber = 3 - identity.ReferencedSegmentNumber


def same_position_twice(d: FileDataset) -> None:
    del d.DimensionIndexSequence
    position_of(1, *nth(d, 0).PlanePositionSequence[0].ImagePositionPatient)(d)
    del nth(d, 1).DerivationImageSequence


def both_groups(d: FileDataset) -> None:
    nth(d, 2).PixelMeasuresSequence = [item(PixelSpacing=[0.5, 0.5])]


def two_positions(d: FileDataset) -> None:
    nth(d, 0).PlanePositionSequence.append(item(ImagePositionPatient=[0, 0, 0]))


@pytest.mark.parametrize(
    ("edit", "fields"),
    [
        (field("NumberOfFrames", 5), ["NumberOfFrames is 5", "PerFrameFunctionalGroupsSequence has 6 items"]),
        (lambda d: d.PerFrameFunctionalGroupsSequence.pop(), ["NumberOfFrames", "PerFrameFunctionalGroupsSequence"]),
        (field("Rows", 36), ["Rows", "Columns", "PixelData has"]),
        (field("Columns", 40), ["Rows", "Columns", "PixelData has"]),
        (lambda d: field("PixelData", d.PixelData[:-2])(d), ["PixelData has"]),
        (lambda d: field("PixelData", d.PixelData + b"\0\0")(d), ["PixelData has"]),
        (segment_of(3, 99), ["ReferencedSegmentNumber 99", "SegmentSequence"]),
        (segment_of(3, 2), ["ReferencedSegmentNumber", "DimensionIndexValues"]),
        (swapped_frames, ["ReferencedSegmentNumber", "DimensionIndexValues"]),
        (numbers_of_segments(1, 1), ["SegmentNumber is repeated: 1, 1"]),
        (numbers_of_segments(2, 1), ["SegmentNumber is 2, 1, expected ascending"]),
        (numbers_of_segments(1, 3), ["ReferencedSegmentNumber 2", "SegmentSequence"]),
        (position_index_of(1, 2), ["ImagePositionPatient", "DimensionIndexValues"]),
        (same_position_twice, ["two frames of one segment", "ImagePositionPatient"]),
        (two_positions, ["PlanePositionSequence has 2 items"]),
        (both_groups, ["PixelMeasuresSequence differs", "SharedFunctionalGroupsSequence"]),
        (measures(SpacingBetweenSlices=4), ["SpacingBetweenSlices is 4 mm", "ImagePositionPatient", "2.5 mm"]),
        (field("SegmentationType", "LABELMAP"), ["SegmentationType is LABELMAP", "SOPClassUID", "BitsAllocated is 1"]),
        (field("SegmentationType", "FRACTIONAL"), ["SegmentationType", "BitsAllocated", "MaximumFractionalValue"]),
        (field("BitsAllocated", 8), ["BitsAllocated is 8", "BitsStored is 1"]),
        (field("HighBit", 7), ["HighBit is 7"]),
        (field("PixelRepresentation", 1), ["PixelRepresentation is 1"]),
        (field("SamplesPerPixel", 3), ["SamplesPerPixel is 3"]),
        (field("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), ["SOPClassUID differs from MediaStorageSOPClassUID"]),
        (field("Modality", "CT"), ["Modality is not SEG"]),
        (coded(0, CodeValue="78961009"), ["SegmentLabel of segment 1 is liver", "CodeMeaning of segment 1 is liver"]),
        (coded(0, CodeValue="123"), ["CodeMeaning of segment 1 is liver", "CodeValue"]),
        (coded(0, SegmentLabel="spleen"), ["SegmentLabel of segment 1 is spleen"]),
        (lambda d: nth(d, 0).FrameContentSequence[0].DimensionIndexValues.pop(), ["DimensionIndexSequence has 2"]),
    ],
)
def test_contradictory_fields_are_rejected_by_name(
    edit: Edit, fields: list[str], ct: tuple[Path, ...], folder: Path
) -> None:
    dataset = segmentation(ct)
    edit(dataset)
    message = rejected(folder, dataset)
    assert message.startswith(("LS-DCM-070 case 'A1'", "LS-DCM-041 case 'A1'"))
    for name in fields:
        assert name in message


def test_the_conventions_of_pydicom_seg_are_read(ct: tuple[Path, ...], folder: Path) -> None:
    """Numbers with gaps, slices counted within each segment, cropped frames (razorx89/pydicom-seg#50, its writer)."""
    dataset = segmentation(ct)
    numbers_of_segments(3, 7)(dataset)
    for number, index in enumerate([1, 2, 3, 4, 1, 2]):
        segment = 3 if number < 4 else 7
        segment_of(number, segment)(dataset)
        nth(dataset, number).FrameContentSequence[0].DimensionIndexValues = [segment, index]
        x, y, z = nth(dataset, number).PlanePositionSequence[0].ImagePositionPatient
        position_of(number, x + 3 * 0.75, y + 4 * 0.5, z)(dataset)
    frames = np.zeros((6, 37, 41), np.uint8)
    frames[:4, LIVER[1], LIVER[2]] = 1
    frames[4:, SPLEEN[1], SPLEEN[2]] = 1
    frames = frames[:, 4:26, 3:25]  # rows and columns of both organs
    dataset.Rows, dataset.Columns = frames.shape[1:]
    put(dataset, frames)
    expected = np.zeros((8, 37, 41), np.uint8)
    expected[LIVER], expected[SPLEEN] = 1, 2
    np.testing.assert_array_equal(read(folder, dataset).labels, expected)


@pytest.mark.parametrize("spacing", ["0", "-2.5", "1.25", ""])
def test_spacing_that_positions_do_not_contradict_is_read(spacing: str, ct: tuple[Path, ...], folder: Path) -> None:
    """Positions may be multiples of the spacing, if slices without the organ have no frame."""
    dataset = segmentation(ct)
    measures(SpacingBetweenSlices=spacing)(dataset)
    assert counts(read(folder, dataset)) == (LIVER_VOXELS, SPLEEN_VOXELS)


@pytest.mark.parametrize(
    "keyword",
    ["PerFrameFunctionalGroupsSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "Rows", "Columns"],
)
def test_a_missing_field_is_named(keyword: str, ct: tuple[Path, ...], folder: Path) -> None:
    dataset = segmentation(ct)
    del (dataset if keyword in dataset else shared(dataset))[keyword]
    inner = {"PlaneOrientationSequence": "ImageOrientationPatient", "PixelMeasuresSequence": "PixelSpacing"}
    assert f"{inner.get(keyword, keyword)} is missing or not valid" in rejected(folder, dataset)


def test_a_frame_in_another_slice_than_its_source_image_is_rejected(ct: tuple[Path, ...], folder: Path) -> None:
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in ct]
    dataset = segmentation(ct)
    assert counts(read(folder, dataset, instance_uids=uids)) == (LIVER_VOXELS, SPLEEN_VOXELS)
    uids[1], uids[2] = uids[2], uids[1]
    message = rejected(folder, dataset, instance_uids=uids)
    assert "LS-DCM-070" in message
    assert "ImagePositionPatient" in message
    assert "SourceImageSequence" in message


def with_frame_above(ct: tuple[Path, ...], value: int) -> FileDataset:
    """A further liver frame 100 mm above the CT, with this value in one corner."""
    dataset = segmentation(ct)
    header = pydicom.dcmread(ct[-1])
    header.ImagePositionPatient[2] += 100
    dataset.PerFrameFunctionalGroupsSequence.append(frame(1, 47, header))
    dataset.NumberOfFrames = 7
    frames = np.zeros((7, 37, 41), np.uint8)
    frames[:4, LIVER[1], LIVER[2]] = 1
    frames[4:6, SPLEEN[1], SPLEEN[2]] = 1
    frames[6, 0, 0] = value
    put(dataset, frames)
    return dataset


def test_an_empty_frame_outside_the_ct_does_no_harm(ct: tuple[Path, ...], folder: Path) -> None:
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in ct]
    label_map = read(folder, with_frame_above(ct, 0), instance_uids=uids)
    assert counts(label_map) == (LIVER_VOXELS, SPLEEN_VOXELS)


def test_a_labelled_frame_outside_the_ct_is_rejected(ct: tuple[Path, ...], folder: Path) -> None:
    assert "LS-DCM-043" in (message := rejected(folder, with_frame_above(ct, 1)))
    assert "1 of 7 frames" in message


@pytest.mark.parametrize(("values", "is_read"), [((0, 200), True), ((0, 100), False), ((0, 255), False)])
def test_fractional_values_are_none_or_all(
    values: tuple[int, int], is_read: bool, ct: tuple[Path, ...], folder: Path
) -> None:
    dataset = segmentation(ct, kind="FRACTIONAL")
    dataset.PixelData = bytes(values[1] if value else values[0] for value in dataset.PixelData)
    if is_read:
        assert counts(read(folder, dataset)) == (LIVER_VOXELS, SPLEEN_VOXELS)
    else:
        assert "LS-DCM-040 case 'A1'" in (message := rejected(folder, dataset))
        assert "values other than 0 and 200" in message


def test_a_value_of_a_label_map_without_segment_is_rejected(ct: tuple[Path, ...], folder: Path) -> None:
    dataset = segmentation(ct, kind="LABELMAP")
    dataset.PixelData = b"\7" + dataset.PixelData[1:]
    assert "LS-DCM-070" in (message := rejected(folder, dataset))
    assert "PixelData has the value 7, which is not a SegmentNumber" in message
    dataset.PixelPaddingValue = 7
    assert counts(read(folder, dataset)) == (LIVER_VOXELS, SPLEEN_VOXELS)


def test_segments_of_one_organ_are_not_merged_unless_label_values_say_so(ct: tuple[Path, ...], folder: Path) -> None:
    boxes = {"liver": LIVER, "spleen": SPLEEN}
    codes = {"liver": ("SCT", "10200004"), "spleen": ("SCT", "10200004")}
    dataset = segmentation(ct, boxes, codes=codes)
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "part"
    assert "LS-DCM-071" in (message := rejected(folder, dataset))
    assert "segments 1 and 2 of the segmentation are all coded as liver" in message
    values = {1: Structure.LIVER, 2: Structure.LIVER}
    assert counts(read(folder, dataset, values=values)) == (LIVER_VOXELS + SPLEEN_VOXELS, 0)


def in_jpeg(d: FileDataset) -> None:
    d.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    d.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    d["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (field("SegmentationType", "SURFACE"), "SegmentationType is not BINARY"),
        (in_jpeg, "transfer syntax"),
    ],
)
def test_other_kinds_are_rejected_by_name(edit: Edit, text: str, ct: tuple[Path, ...], folder: Path) -> None:
    dataset = segmentation(ct)
    edit(dataset)
    assert "LS-DCM-075" in (message := rejected(folder, dataset))
    assert text in message
