"""DICOM structure sets (RTSTRUCT) as labels: contours of spheres, holes and boxes with known volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from liverspleen.cohort.layouts import Found, Request, find_cases
from liverspleen.cohort.layouts.source import Meaning
from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry
from liverspleen.imaging.dicom import write_series
from liverspleen.organs import Structure

Contour = tuple[float, np.ndarray]
"""Position of a slice along the third native axis in mm, and points in the plane in mm (RAS)."""

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
SIZE_MM = 80.0


def grid(slice_mm: float, pixel_mm: float = 0.8) -> Geometry:
    """A cube of 80 mm around the origin, with the axes of a patient on the back."""
    pixels, slices = round(SIZE_MM / pixel_mm), round(SIZE_MM / slice_mm)
    affine = np.diag([-pixel_mm, -pixel_mm, slice_mm, 1.0])
    affine[:3, 3] = [(pixels - 1) / 2 * pixel_mm, (pixels - 1) / 2 * pixel_mm, -(slices - 1) / 2 * slice_mm]
    return Geometry((pixels, pixels, slices), affine)


def write_ct(folder: Path, geometry: Geometry) -> list[Dataset]:
    hu = np.random.default_rng(0).integers(-100, 100, geometry.canonical_shape).astype(np.int16)
    tags = {"PatientID": "P", "FrameOfReferenceUID": "2.25.7"}
    files = write_series(folder, CTVolume(hu, geometry), tags=tags)
    return [pydicom.dcmread(file, stop_before_pixels=True) for file in files]


def circle(radius: float, z: float, centre: tuple[float, float] = (0.0, 0.0)) -> Contour:
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    return z, np.column_stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)])


def square(half: float, z: float) -> Contour:
    return z, np.array([[-half, -half], [half, -half], [half, half], [-half, half]], dtype=float)


def positions(geometry: Geometry) -> list[float]:
    return [float(geometry.affine[2, 3] + k * geometry.affine[2, 2]) for k in range(geometry.shape[2])]


def write(
    file: Path,
    contours: dict[str, Sequence[Contour]],
    images: Sequence[Dataset] = (),
    *,
    kind: str = "CLOSED_PLANAR",
    tilt: float = 0.0,
    wrong_image: bool = False,
) -> None:
    """Write contours by name of the structure; `images` are referred to by contour, by their position."""
    by_position = {round(float(image.ImagePositionPatient[2]), 3): image for image in images}
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = STRUCTURE_SET, "2.25.90"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = STRUCTURE_SET, "2.25.90", "RTSTRUCT"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.PatientID = "2.25.91", "2.25.92", "P"
    frame = Dataset()
    frame.FrameOfReferenceUID = "2.25.7"
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, listed) in enumerate(contours.items(), 1):
        roi, outline = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, "2.25.7"
        outline.ReferencedROINumber, outline.ContourSequence = number, []
        for z, points in listed:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = kind, len(points)
            depth = z + tilt * points[:, 0]
            contour.ContourData = [f"{x:.4f}" for x in np.column_stack([-points, depth]).ravel()]
            if image := by_position.get(round(z + (wrong_image and 2.5), 3)):
                reference = Dataset()
                reference.ReferencedSOPClassUID = image.SOPClassUID
                reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
                contour.ContourImageSequence = [reference]
            outline.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(outline)
    file.parent.mkdir(exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)


def find(tmp_path: Path, **options: object) -> Found:
    return find_cases("dicom", Request(tmp_path / "in", tmp_path / "seg", **options))


def mask_of(found: Found, organ: Structure = Structure.LIVER) -> tuple[np.ndarray, float]:
    """The voxels of an organ, and its volume in mm³."""
    (case,) = found.cases
    assert case.labels is not None
    label_map = case.labels.read("a", case.scan.read("a"))
    return label_map.labels == organ, label_map.count(organ) * label_map.geometry.voxel_volume_mm3


@pytest.mark.parametrize("slice_mm", [1.0, 2.5, 5.0])
def test_spheres_have_their_volume_within_one_percent(slice_mm: float, tmp_path: Path) -> None:
    geometry, radius = grid(slice_mm), 30.0
    images = write_ct(tmp_path / "in" / "ct", geometry)
    contours = [circle((radius**2 - z**2) ** 0.5, z) for z in positions(geometry) if abs(z) < radius]
    write(tmp_path / "seg" / "rt.dcm", {"Liver": contours}, images)
    assert mask_of(find(tmp_path))[1] == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)


def test_a_voxel_is_inside_if_its_centre_is(tmp_path: Path) -> None:
    geometry = grid(2.5)  # centres of pixels at ±0.4, ±1.2, ±2.0, ... mm
    images = write_ct(tmp_path / "in" / "ct", geometry)
    z = positions(geometry)[3]
    write(tmp_path / "seg" / "rt.dcm", {"liver": [square(1.9, z)], "spleen": [(z, square(1.3, z)[1] + 20)]}, images)
    found = find(tmp_path)
    liver, _ = mask_of(found)
    assert np.argwhere(liver.any(axis=(1, 2))).ravel().tolist() == [3]
    assert int(liver.sum()) == 4 * 4
    spleen, _ = mask_of(found, Structure.SPLEEN)
    # ±1.3 around 20 mm: centres 19.6 - ... are at 18.8, 19.6, 20.4, 21.2
    assert int(spleen.sum()) == 4 * 4


def test_a_contour_in_another_is_a_hole_and_two_apart_are_a_union(tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    z = positions(geometry)[5]
    contours = [square(4.0, z), square(2.0 - 0.1, z), (z, square(2.3, z)[1] + 20)]
    write(tmp_path / "seg" / "rt.dcm", {"LIVER": contours}, images)
    mask, _ = mask_of(find(tmp_path))
    assert int(mask.sum()) == 10 * 10 - 4 * 4 + 6 * 6  # ±4.0: centres ±0.4 to ±3.6; 20 ± 2.3: 18.0 to 22.0


def test_names_are_mapped_by_the_numbers_of_the_structures(tmp_path: Path) -> None:
    geometry = grid(5.0)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    z = positions(geometry)[5]
    write(tmp_path / "seg" / "rt.dcm", {"Leber": [square(4.0, z)], "Body": [square(30.0, z)]}, images)
    assert [issue.code for e in find(tmp_path).excluded for issue in [e.issue]] == ["LS-IMP-025"]
    meaning = Meaning({1: Structure.LIVER})
    assert int(mask_of(find(tmp_path, meaning=meaning))[0].sum()) == 100


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"kind": "POINT"}, "LS-DCM-080", "contour of the liver is POINT, expected CLOSED_PLANAR"),
        ({"kind": "OPEN_PLANAR"}, "LS-DCM-080", "is OPEN_PLANAR"),
        ({"tilt": 0.2}, "LS-DCM-080", "is not in the plane of a slice"),
        ({"wrong_image": True}, "LS-DCM-081", "1 of 1 contour are not in a slice of the CT"),
    ],
)
def test_other_contours_are_rejected_by_name(
    options: dict[str, object], code: str, message: str, tmp_path: Path
) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    write(tmp_path / "seg" / "rt.dcm", {"liver": [square(4.0, positions(geometry)[5])]}, images, **options)
    with pytest.raises(InputError) as caught:
        mask_of(find(tmp_path))
    assert code in str(caught.value)
    assert message in str(caught.value)


def test_contours_between_slices_are_rejected(tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    own, off = square(4.0, positions(geometry)[5]), square(4.0, positions(geometry)[6] + 1.0)
    write(tmp_path / "seg" / "rt.dcm", {"liver": [own, off]}, images)
    with pytest.raises(InputError, match=r"LS-DCM-081.*1 of 2 contours"):
        mask_of(find(tmp_path))


def test_a_structure_set_of_images_that_are_missing_is_reported(tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "other", geometry)
    write_ct(tmp_path / "in" / "ct", geometry)
    for number, image in enumerate(images):
        image.SOPInstanceUID = f"2.25.99{number}"
    write(tmp_path / "seg" / "rt.dcm", {"liver": [square(4.0, positions(geometry)[5])]}, images)
    with pytest.raises(InputError, match="LS-IMP-006"):
        find(tmp_path)


def shifted(contour: Contour, by_mm: float) -> Contour:
    return contour[0], contour[1] + by_mm


@pytest.mark.parametrize(
    ("contours", "code", "words"),
    [
        (lambda z: [square(4.0, one) for one in z[4:24:2]], "LS-DCM-083", "9 of 19 slices between"),
        (lambda z: [square(4.0, z[5]), shifted(square(4.0, z[5]), 3)], "LS-DCM-084", "and are not nested"),
        (lambda z: [square(4.0, z[5]), square(3.9, z[5])], "LS-DCM-084", "and are not nested"),
        (lambda z: [shifted(square(4.0, z[5]), 38)], "LS-DCM-081", "1 of 1 contour are not in a slice"),
    ],
    ids=["every second slice", "crossing", "the same voxels twice", "beyond the columns"],
)
def test_contours_whose_volume_would_be_wrong_are_rejected(contours, code: str, words: str, tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    write(tmp_path / "seg" / "rt.dcm", {"liver": contours(positions(geometry))}, images)
    with pytest.raises(InputError, match=code) as caught:
        mask_of(find(tmp_path))
    assert words in str(caught.value)


def test_a_contour_that_is_stated_twice_counts_once_and_an_island_in_a_hole_is_filled(tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    z = positions(geometry)[5]
    write(tmp_path / "seg" / "rt.dcm", {"liver": [square(half, z) for half in (4.0, 1.0, 2.3, 4.0)]}, images)
    assert int(mask_of(find(tmp_path))[0].sum()) == 10 * 10 - 6 * 6 + 2 * 2


def test_a_structure_without_contours_is_not_labelled(tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    write(tmp_path / "seg" / "rt.dcm", {"liver": [square(4.0, positions(geometry)[5])], "spleen": []}, images)
    (case,) = find(tmp_path).cases
    assert case.labels is not None
    assert case.labels.covered == (Structure.LIVER,)


def test_without_references_the_frame_of_reference_gives_the_ct(tmp_path: Path) -> None:
    geometry = grid(2.5)
    write_ct(tmp_path / "in" / "ct", geometry)
    write(tmp_path / "seg" / "rt.dcm", {"liver": [square(4.0, positions(geometry)[5])]})
    assert int(mask_of(find(tmp_path))[0].sum()) == 100


def test_the_number_of_points_is_that_of_the_coordinates(tmp_path: Path) -> None:
    geometry = grid(2.5)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    file = tmp_path / "seg" / "rt.dcm"
    write(file, {"liver": [square(4.0, positions(geometry)[5])]}, images)
    dataset = pydicom.dcmread(file)
    dataset.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 9
    dataset.save_as(file)
    with pytest.raises(InputError, match=r"LS-DCM-070.*has 12 coordinates, NumberOfContourPoints is 9"):
        mask_of(find(tmp_path))


@pytest.mark.parametrize(("radius", "slice_mm"), [(15.0, 1.0), (15.0, 2.5), (15.0, 5.0), (30.0, 5.0)])
def test_volumes_are_the_areas_of_the_contours_times_the_slice_spacing(
    radius: float, slice_mm: float, tmp_path: Path
) -> None:
    geometry = grid(slice_mm)
    images = write_ct(tmp_path / "in" / "ct", geometry)
    radii = {z: (radius**2 - z**2) ** 0.5 for z in positions(geometry) if abs(z) < radius}
    write(tmp_path / "seg" / "rt.dcm", {"liver": [circle(r, z, (0.13, 0.21)) for z, r in radii.items()]}, images)
    expected = sum(np.pi * r**2 for r in radii.values()) * slice_mm
    assert mask_of(find(tmp_path))[1] == pytest.approx(expected, rel=0.005)
