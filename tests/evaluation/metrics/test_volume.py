import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from liverspleen.evaluation.metrics.volume import (
    organ_volume_cm3,
    truncated_faces,
    volume_cm3,
    volume_status,
    volume_statuses,
)
from liverspleen.imaging import Geometry, LabelMap, read_label_map
from liverspleen.organs import Structure


def label_map(*boxes, affine=None, shape=(6, 8, 10)):
    labels = np.zeros(shape, np.uint8)
    for structure, box in boxes:
        labels[box] = structure
    return LabelMap(labels, Geometry(shape[::-1], np.eye(4) if affine is None else affine))


INSIDE = np.s_[2:4, 2:5, 3:7]  # 2 x 3 x 4 voxels


def test_volume_of_anisotropic_box_is_voxel_count_times_voxel_volume():
    drawn = label_map((Structure.SPLEEN, INSIDE), affine=np.diag([-0.5, 0.5, -8.0, 1.0]))
    assert organ_volume_cm3(drawn, Structure.SPLEEN) == 24 * 2 / 1000
    assert organ_volume_cm3(drawn, Structure.LIVER) == 0


def test_volume_does_not_change_when_the_grid_is_turned():
    affine = np.diag([0.7, 0.7, 5.0, 1.0])
    affine[:3, :3] = Rotation.from_euler("xyz", (12, -9, 20), degrees=True).as_matrix() @ affine[:3, :3]
    assert organ_volume_cm3(label_map((1, INSIDE), affine=affine), Structure.LIVER) == pytest.approx(
        24 * 2.45e-3, rel=1e-12
    )


def test_volume_of_a_tilted_gantry_is_that_of_the_determinant():
    affine = np.eye(4)
    affine[:3, 2] = (0, 2, 5)  # slices 5 mm apart, each moved by 2 mm
    assert organ_volume_cm3(label_map((1, INSIDE), affine=affine), Structure.LIVER) == pytest.approx(
        24 * 5e-3, rel=1e-12
    )


SHEARED = np.array([[0.8, 0, 0, 5], [0, 0.8, 2.0, 6], [0, 0, 5.0, 7], [0, 0, 0, 1]])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_volume_of_a_mask_is_its_voxels_times_the_determinant(dtype):
    mask = np.zeros((10, 8, 6), dtype)
    mask[3:7, 2:5, 2:4] = 1
    assert volume_cm3(mask, SHEARED) == pytest.approx(24 * 0.8 * 0.8 * 5 / 1000, rel=1e-15)
    assert volume_cm3(np.zeros_like(mask), SHEARED) == 0.0


def test_volume_of_a_label_map_is_that_of_its_mask():
    drawn = label_map((Structure.LIVER, INSIDE), affine=SHEARED)
    mask = drawn.geometry.to_native(drawn.labels) == Structure.LIVER
    assert organ_volume_cm3(drawn, Structure.LIVER) == volume_cm3(mask, SHEARED)


@pytest.mark.parametrize(
    ("mask", "affine", "message"),
    [
        (np.ones((2, 2)), np.eye(4), "three axes"),
        (np.full((2, 2, 2), 3), np.eye(4), "mask has the values 3"),
        (np.ones((2, 2, 2)), np.eye(3), "4 x 4"),
        (np.ones((2, 2, 2)), np.diag([1.0, 1.0, 0.0, 1.0]), "no volume"),
        (np.ones((2, 2, 2)), np.diag([1.0, 1.0, np.inf, 1.0]), "finite"),
    ],
)
def test_a_mask_or_affine_without_volume_is_rejected(mask, affine, message):
    with pytest.raises(ValueError, match=message):
        volume_cm3(mask, affine)


def coarse(*boxes, shape=(10, 12, 20)):
    """Boxes on voxels of 20 mm, 8 cm³ each: columns go to the patient's left."""
    return label_map(*boxes, affine=np.diag([-20.0, -20.0, 20.0, 1.0]), shape=shape)


LIVER = (Structure.LIVER, np.s_[2:8, 2:8, 2:7])  # 180 voxels, 1440 cm³
SPLEEN = (Structure.SPLEEN, np.s_[3:6, 6:9, 13:16])  # 27 voxels, 216 cm³


def statuses(*boxes, **options):
    found = volume_statuses(coarse(*boxes, **options))
    return found[Structure.LIVER], found[Structure.SPLEEN]


def test_status_of_an_organ_inside_the_grid_is_ok_and_of_a_missing_one_absent():
    assert statuses(LIVER, SPLEEN) == ("ok", "ok")
    assert statuses(LIVER) == ("ok", "absent")
    assert statuses(SPLEEN) == ("absent", "ok")
    assert volume_status(coarse(LIVER), Structure.SPLEEN) == "absent"
    assert truncated_faces(coarse(LIVER), Structure.LIVER) == truncated_faces(coarse(LIVER), Structure.SPLEEN) == ()


@pytest.mark.parametrize(
    ("box", "face"),
    [
        (np.s_[0:2, 4:8, 12:15], "inferior"),
        (np.s_[8:10, 4:8, 12:15], "superior"),
        (np.s_[4:6, 0:4, 12:15], "anterior"),
        (np.s_[4:6, 8:12, 12:15], "posterior"),
        (np.s_[4:6, 4:8, 17:20], "left"),
    ],
)
def test_an_organ_at_any_outer_face_is_truncated_there_and_its_neighbour_is_not(box, face):
    drawn = coarse(LIVER, (Structure.SPLEEN, box))
    assert (volume_status(drawn, Structure.LIVER), volume_status(drawn, Structure.SPLEEN)) == ("ok", "truncated")
    assert truncated_faces(drawn, Structure.SPLEEN) == (face,)


def test_a_liver_at_the_patients_right_end_is_truncated_at_the_right():
    drawn = coarse((Structure.LIVER, np.s_[2:8, 2:8, :5]), SPLEEN)
    assert truncated_faces(drawn, Structure.LIVER) == ("right",)
    # the same patient with columns stored from left to right
    labels = np.ascontiguousarray(drawn.labels[:, :, ::-1].transpose(2, 1, 0))
    geometry = Geometry(labels.shape, np.diag([20.0, -20.0, 20.0, 1.0]))
    turned = LabelMap(np.ascontiguousarray(geometry.to_canonical(labels)), geometry)
    assert truncated_faces(turned, Structure.LIVER) == ("right",)
    assert volume_statuses(turned) == volume_statuses(drawn)


def test_an_organ_in_an_image_of_one_slice_is_truncated_and_never_too_small():
    one = coarse((Structure.LIVER, np.s_[:, 2:4, 2:4]), shape=(1, 8, 10))  # 32 cm³
    assert volume_status(one, Structure.LIVER) == "truncated"
    assert truncated_faces(one, Structure.LIVER) == ("inferior", "superior")


@pytest.mark.parametrize(
    ("liver", "spleen", "expected"),
    [
        (np.s_[2:3, 2:7, 2:7], SPLEEN[1], ("ok", "ok")),  # 25 voxels: 200 cm³, the least
        (np.s_[2:3, 2:8, 2:6], SPLEEN[1], ("implausible", "ok")),  # 24: 192 cm³
        (LIVER[1], np.s_[3:4, 6:7, 13:15], ("ok", "ok")),  # 2: 16 cm³
        (LIVER[1], np.s_[3:4, 6:7, 13:14], ("ok", "implausible")),  # 1: 8 cm³
        (np.s_[1:9, 1:11, 1:14], np.s_[3:6, 6:9, 15:18], ("implausible", "ok")),  # 1040: 8320 cm³
        (
            np.s_[0:10, 1:11, 1:14],
            np.s_[3:6, 6:9, 15:18],
            ("truncated;implausible", "ok"),
        ),  # too large although truncated
        (np.s_[2:8, 2:8, 1:3], np.s_[1:9, 1:11, 10:18], ("ok", "implausible")),  # 72: 576; 640: 5120 cm³
    ],
)
def test_volumes_beyond_the_range_of_adults_are_implausible(liver, spleen, expected):
    assert statuses((Structure.LIVER, liver), (Structure.SPLEEN, spleen)) == expected


def test_two_parts_have_a_status_and_a_small_part_has_none():
    # 18 of 180 voxels are 10 %; the small part is 1 of 180 voxels, 8 cm³
    assert statuses(LIVER, SPLEEN, (Structure.LIVER, np.s_[4:6, 2:5, 9:12])) == ("multi_part", "ok")
    assert statuses(LIVER, SPLEEN, (Structure.LIVER, np.s_[1, 10, 2])) == ("ok", "ok")
    # corners touch: one part
    assert statuses(LIVER, SPLEEN, (Structure.LIVER, np.s_[8, 8, 7:9])) == ("ok", "ok")


def test_small_parts_that_are_large_together_are_parts():
    small = [(Structure.LIVER, np.s_[1, 10, column]) for column in (2, 4)]  # 8 cm³ each
    assert statuses(LIVER, SPLEEN, *small) == ("multi_part", "ok")


def test_a_liver_on_the_left_of_the_spleen_is_implausible_for_both():
    assert statuses((Structure.LIVER, SPLEEN[1]), (Structure.SPLEEN, LIVER[1])) == ("implausible", "implausible")
    # the image of a mirrored patient
    drawn = coarse(LIVER, SPLEEN)
    flipped = LabelMap(np.ascontiguousarray(drawn.labels[:, :, ::-1]), drawn.geometry)
    assert set(volume_statuses(flipped).values()) == {"implausible"}


def test_a_small_part_labelled_spleen_gives_no_sides():
    assert statuses(LIVER, (Structure.SPLEEN, np.s_[1, 10, 1])) == ("ok", "implausible")  # 8 cm³


def test_sides_are_those_of_the_patient_and_not_of_the_columns():
    """Turned by 40 degrees about the body's axis, the spleen is behind and left of the liver."""
    affine = np.diag([-20.0, -20.0, 20.0, 1.0])
    affine[:3, :3] = Rotation.from_euler("z", 40, degrees=True).as_matrix() @ affine[:3, :3]
    turned = label_map(LIVER, SPLEEN, affine=affine, shape=(10, 12, 20))
    assert set(volume_statuses(turned).values()) == {"ok"}


def test_a_structure_that_the_label_map_does_not_cover_has_no_status():
    drawn = coarse(LIVER)
    liver_only = LabelMap(drawn.labels, drawn.geometry, covered=(Structure.LIVER,))
    assert volume_statuses(liver_only) == {Structure.LIVER: "ok"}


def test_statuses_of_the_real_label_maps_are_those_of_their_notes(shared):
    """Statuses found with numpy on the axes of the files: cut above; a slab; whole organs; no liver labelled."""
    expected = {
        "ts_example/label.nii.gz": ("truncated", "truncated", ("superior",)),
        "ts_dicom20/label.nii.gz": ("truncated", "truncated", ("inferior", "superior")),
        "lits0/label_silver.nii.gz": ("ok", "ok", ()),
        "msd_spleen_8/label_spleen_only.nii.gz": ("absent", "ok", ()),
        "labels_only/ts_s0327_label.nii.gz": ("ok", "ok", ()),
    }
    for name, (liver, spleen, faces) in expected.items():
        drawn = read_label_map(shared / "data" / name)
        assert tuple(volume_statuses(drawn).values()) == (liver, spleen), name
        assert truncated_faces(drawn, Structure.LIVER) == faces, name
