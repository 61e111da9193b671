"""Segmentations: writing through highdicom, and reading onto the grid of a CT."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, SHAPE, change, made, write
from plain_segmentation import LIVER, save, segmentation
from pydicom.dataset import Dataset

from liverspleen.errors import InputError
from liverspleen.imaging import Geometry, LabelMap
from liverspleen.imaging.dicom import find_segmentations, find_series, read_segmentation, write_segmentation
from liverspleen.organs import Structure


def drawn(geometry=None, seed=0):
    """Liver and spleen of random voxels in some slices: voxels identify their position."""
    geometry = geometry or Geometry(SHAPE, AFFINE)
    labels = np.random.default_rng(seed).integers(0, 3, geometry.canonical_shape).astype(np.uint8)
    labels[0] = labels[4] = 0
    return LabelMap(labels, geometry)


@pytest.fixture
def case(tmp_path):
    """Label map, files of the CT, and the segmentation's file."""
    label_map = drawn()
    sources = write(tmp_path)
    write_segmentation(tmp_path / "seg.dcm", label_map, sources)
    return label_map, sources, tmp_path / "seg.dcm"


def found(folder):
    (segmentation,) = find_segmentations(folder)
    return segmentation


def edit(file, how):
    change([file], lambda dataset, _: how(dataset))


def test_label_map_comes_back_with_its_series(case, tmp_path):
    label_map, sources, _ = case
    segmentation = found(tmp_path)
    assert segmentation.segments == {1: Structure.LIVER, 2: Structure.SPLEEN}
    assert segmentation.referenced_series == {pydicom.dcmread(sources[0]).SeriesInstanceUID}
    series = next(s for s in find_series(tmp_path) if not s.exclusions)
    again = read_segmentation(segmentation, series.geometry, case_id="a")
    np.testing.assert_array_equal(again.labels, label_map.labels)
    assert again.covered == (Structure.LIVER, Structure.SPLEEN)


def test_only_covered_organs_are_segments(tmp_path):
    label_map = drawn()
    livers = LabelMap(np.where(label_map.labels == 1, 1, 0).astype(np.uint8), label_map.geometry, (Structure.LIVER,))
    write_segmentation(tmp_path / "seg.dcm", livers, write(tmp_path))
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [item.SegmentLabel for item in dataset.SegmentSequence] == ["Liver"]
    assert (dataset.ContentLabel, dataset.SeriesDescription) == ("LIVER", "Liver")


def test_highdicom_reads_the_same_voxels(case):
    highdicom = pytest.importorskip("highdicom")
    label_map, _, file = case
    segmentation = highdicom.seg.segread(file)
    volume = segmentation.get_volume(combine_segments=True)
    inside = label_map.labels[1:]  # get_volume spans the frames that there are, from the lowest to the highest
    array = volume.array if volume.affine[2, 0] > 0 else volume.array[::-1]
    np.testing.assert_array_equal(array, inside)


@pytest.mark.parametrize("axes", ["LPS", "RAI", "PLS"])
def test_labels_are_placed_on_the_grid_of_any_file_of_the_ct(case, tmp_path, axes):
    """The same world, other native axes: as a NIfTI of the CT may have them."""
    label_map, *_ = case
    order, flips = {"LPS": ((0, 1, 2), "..."), "RAI": ((0, 1, 2), "+-+"), "PLS": ((1, 0, 2), "...")}[axes]
    flips = (False, False, False) if axes != "RAI" else (True, True, True)
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    for new, old in enumerate(order):
        turn[old, new] = -1 if flips[new] else 1
        turn[old, 3] = SHAPE[old] - 1 if flips[new] else 0
    geometry = Geometry(tuple(SHAPE[old] for old in order), AFFINE @ turn)
    assert "".join(geometry.axis_codes) == {"LPS": "LPS", "RAI": "RAI", "PLS": "PLS"}[axes]
    again = read_segmentation(found(tmp_path), geometry, case_id="a")
    np.testing.assert_array_equal(again.labels, label_map.labels)


def test_oblique_segmentation_comes_back(tmp_path):
    cosine, sine = np.cos(0.2), np.sin(0.2)
    affine = np.diag([1.0, 1, 1, 1])
    affine[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    geometry = Geometry(SHAPE, affine @ AFFINE)
    label_map = drawn(geometry)
    write_segmentation(tmp_path / "s/seg.dcm", label_map, write(tmp_path / "ct", made(affine @ AFFINE)))
    again = read_segmentation(found(tmp_path / "s"), geometry, case_id="a")
    np.testing.assert_array_equal(again.labels, label_map.labels)


@pytest.mark.parametrize("empty", [(2,), (1, 2)])
def test_structure_without_a_voxel_is_covered_and_empty(tmp_path, empty):
    label_map = drawn()
    labels = np.where(np.isin(label_map.labels, empty), 0, label_map.labels).astype(np.uint8)
    write_segmentation(tmp_path / "seg.dcm", LabelMap(labels, label_map.geometry), write(tmp_path / "ct"))
    again = read_segmentation(found(tmp_path), label_map.geometry, case_id="a")
    np.testing.assert_array_equal(again.labels, labels)
    assert again.covered == (Structure.LIVER, Structure.SPLEEN)


def test_many_frames_are_read_deflated_too(tmp_path):
    shape = (3, 3, 220)
    geometry = Geometry(shape, AFFINE)
    labels = np.full((220, 3, 3), Structure.LIVER, np.uint8)
    labels[:, 1] = Structure.SPLEEN
    write_segmentation(tmp_path / "seg.dcm", LabelMap(labels, geometry), write(tmp_path / "ct", made(shape=shape)))
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "seg.dcm")
    segmentation = found(tmp_path)
    assert segmentation.exclusions == ()
    assert len(segmentation.planes) == 220
    np.testing.assert_array_equal(read_segmentation(segmentation, geometry, case_id="a").labels, labels)


def test_the_same_input_gives_the_same_bytes(case, tmp_path):
    label_map, sources, file = case
    write_segmentation(tmp_path / "again.dcm", label_map, sources)
    assert file.read_bytes() == (tmp_path / "again.dcm").read_bytes()


def code(value, scheme):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "words"
    return [item]


@pytest.mark.parametrize(
    ("value", "scheme", "label", "meaning"),
    [
        ("10200004", "SCT", "anything", Structure.LIVER),
        ("78961009", "SCT", "spleen", Structure.SPLEEN),
        ("T-62000", "SRT", "anything", Structure.LIVER),
        ("T-C3000", "SRT", "anything", Structure.SPLEEN),
        ("T-62000", "SNM3", "anything", Structure.LIVER),  # the older name of SRT
        ("4147007", "SCT", "Liver", None),  # a mass, whatever its label is
        ("T-D0050", "SRT", "Liver", Structure.LIVER),  # tissue: the label decides
        ("85756007", "SCT", "SPLEEN", Structure.SPLEEN),
        ("1", "99LOCAL", "Spleen", Structure.SPLEEN),
        ("1", "99LOCAL", "Spleen left", None),
        ("10200004", "99LOCAL", "x", None),
    ],
)
def test_meaning_comes_from_the_code_then_from_the_label(case, tmp_path, value, scheme, label, meaning):
    def recode(dataset):
        dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence = code(value, scheme)
        dataset.SegmentSequence[0].SegmentLabel = label

    edit(case[2], recode)
    assert found(tmp_path).segments == {1: meaning, 2: Structure.SPLEEN}


def test_values_replace_the_codes_of_segments(case, tmp_path):
    label_map, *_ = case
    again = read_segmentation(found(tmp_path), label_map.geometry, case_id="a", values={2: Structure.LIVER})
    np.testing.assert_array_equal(again.labels, (label_map.labels == 2) * 1)
    assert again.covered == (Structure.LIVER,)


def test_segments_without_an_organ_are_rejected(case, tmp_path):
    label_map, *_ = case
    with pytest.raises(
        InputError,
        match="LS-DCM-042 case 'A1': segmentation has 2 segments, none known to be liver or spleen",
    ):
        read_segmentation(found(tmp_path), label_map.geometry, case_id="A1", values={7: Structure.LIVER})


@pytest.mark.parametrize(
    "move",
    [
        np.array([0, 0, 1.25]),  # half a slice
        np.array([0.3, 0, 0]),  # half a pixel
        np.array([0, 0, 40.0]),  # outside
    ],
)
def test_frames_that_match_no_slice_are_rejected_with_their_number(case, tmp_path, move):
    label_map, *_ = case
    affine = AFFINE.copy()
    affine[:3, 3] += move
    frames = int(label_map.labels.reshape(8, -1).max(axis=1).astype(bool).sum()) * 2
    with pytest.raises(InputError, match=f"LS-DCM-043 case 'A1': {frames} of {frames} frames .*: other Image"):
        read_segmentation(found(tmp_path), Geometry(SHAPE, affine), case_id="A1")


@pytest.mark.parametrize(
    ("shape", "change", "field"),
    [
        ((30, 37, 8), np.eye(3), "ImagePositionPatient, Rows or Columns"),
        (SHAPE, np.diag([1.1, 1, 1]), "PixelSpacing"),
        (SHAPE, [[0.999, 0.0447, 0], [-0.0447, 0.999, 0], [0, 0, 1]], "ImageOrientationPatient"),
    ],
)
def test_ct_of_another_matrix_spacing_or_direction_is_rejected_by_name(case, tmp_path, shape, change, field):
    affine = AFFINE.copy()
    affine[:3, :3] = change @ AFFINE[:3, :3]
    with pytest.raises(InputError, match=f"LS-DCM-043 .* match no slice of the CT: other {field}"):
        read_segmentation(found(tmp_path), Geometry(shape, affine), case_id="A1")


def test_voxels_of_both_organs_are_rejected_with_their_number(tmp_path):
    boxes = {"liver": LIVER, "spleen": (slice(4, 6), slice(12, 20), slice(8, 12))}  # 1 x 2 x 2 voxels are in both
    save(segmentation(write(tmp_path / "ct"), boxes), tmp_path / "s/seg.dcm")
    with pytest.raises(
        InputError, match="LS-DCM-044 case 'A1': segmentation assigns 4 voxels to both liver and spleen"
    ):
        read_segmentation(found(tmp_path / "s"), Geometry(SHAPE, AFFINE), case_id="A1")


def test_label_map_segmentation_is_read(case, tmp_path):
    highdicom = pytest.importorskip("highdicom")
    label_map, sources, file = case
    binary = highdicom.seg.segread(file)
    headers = [pydicom.dcmread(source) for source in sources]
    highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=label_map.labels,
        segmentation_type="LABELMAP",
        segment_descriptions=[binary.get_segment_description(number) for number in (1, 2)],
        series_instance_uid="1.2.3",
        series_number=1,
        sop_instance_uid="1.2.4",
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
    ).save_as(tmp_path / "map.dcm")
    file.unlink()
    again = read_segmentation(found(tmp_path), label_map.geometry, case_id="a")
    np.testing.assert_array_equal(again.labels, label_map.labels)


def test_damaged_segmentation_is_excluded_or_rejected(case, tmp_path):
    label_map, _, file = case
    whole = file.read_bytes()
    file.write_bytes(whole[:-300])
    with pytest.raises(InputError, match="LS-DCM-070 case 'A1': PixelData has 1976 bytes"):
        read_segmentation(found(tmp_path), label_map.geometry, case_id="A1")
    file.write_bytes(whole)
    edit(file, lambda dataset: delattr(dataset, "PerFrameFunctionalGroupsSequence"))
    assert [reason.code for reason in found(tmp_path).exclusions] == ["LS-DCM-041"]


def test_ct_that_is_not_on_the_grid_is_not_written(tmp_path):
    sources = write(tmp_path, made(seed=1))
    affine = AFFINE.copy()
    affine[2, 3] += 1
    with pytest.raises(ValueError, match="not a slice of the label map's grid"):
        write_segmentation(tmp_path / "seg.dcm", drawn(Geometry(SHAPE, affine)), sources)
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(case):
    _, sources, file = case
    for path in (sources[0], file):
        errors = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False).stderr
        assert "Error" not in errors
        assert "CTImage" in errors or "Segmentation" in errors
