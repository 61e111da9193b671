import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from liverspleen.evaluation.volumetry import volume_cm3, volume_status
from liverspleen.imaging import Geometry, LabelMap
from liverspleen.structures import Structure


def label_map(*boxes, affine=None, shape=(6, 8, 10)):
    labels = np.zeros(shape, np.uint8)
    for structure, box in boxes:
        labels[box] = structure
    return LabelMap(labels, Geometry(shape[::-1], np.eye(4) if affine is None else affine))


INSIDE = np.s_[2:4, 2:5, 3:7]  # 2 x 3 x 4 voxels


def test_volume_of_anisotropic_box_is_voxel_count_times_voxel_volume():
    drawn = label_map((Structure.SPLEEN, INSIDE), affine=np.diag([-0.5, 0.5, -8.0, 1.0]))
    assert volume_cm3(drawn, Structure.SPLEEN) == 24 * 2 / 1000
    assert volume_cm3(drawn, Structure.LIVER) == 0


def test_volume_does_not_change_when_the_grid_is_turned():
    affine = np.diag([0.7, 0.7, 5.0, 1.0])
    affine[:3, :3] = Rotation.from_euler("xyz", (12, -9, 20), degrees=True).as_matrix() @ affine[:3, :3]
    assert volume_cm3(label_map((1, INSIDE), affine=affine), Structure.LIVER) == pytest.approx(24 * 2.45e-3, rel=1e-12)


def test_volume_of_a_tilted_gantry_is_that_of_the_determinant():
    affine = np.eye(4)
    affine[:3, 2] = (0, 2, 5)  # sections 5 mm apart, each moved by 2 mm
    assert volume_cm3(label_map((1, INSIDE), affine=affine), Structure.LIVER) == pytest.approx(24 * 5e-3, rel=1e-12)


def test_status_of_an_organ_inside_the_grid_is_ok_and_of_a_missing_one_absent():
    drawn = label_map((Structure.LIVER, INSIDE))
    assert volume_status(drawn, Structure.LIVER) == "ok"
    assert volume_status(drawn, Structure.SPLEEN) == "absent"


@pytest.mark.parametrize(
    "box",
    [
        np.s_[0:2, 2:4, 2:4],
        np.s_[5:6, 2:4, 2:4],
        np.s_[2:4, 0:1, 2:4],
        np.s_[2:4, 7:8, 2:4],
        np.s_[2:4, 2:4, 0:1],
        np.s_[2:4, 2:4, 9:10],
    ],
)
def test_an_organ_at_any_outer_face_is_truncated_and_its_neighbour_is_not(box):
    drawn = label_map((Structure.LIVER, np.s_[3:4, 4:6, 4:6]), (Structure.SPLEEN, box))
    assert volume_status(drawn, Structure.SPLEEN) == "truncated"
    assert volume_status(drawn, Structure.LIVER) == "ok"


def test_an_organ_in_an_image_of_one_section_is_truncated():
    drawn = label_map((Structure.LIVER, np.s_[:, 2:4, 2:4]), shape=(1, 8, 10))
    assert volume_status(drawn, Structure.LIVER) == "truncated"
