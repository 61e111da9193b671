import numpy as np
import pytest
from scipy import ndimage

from liverspleen.evaluation.metrics.connected_components import Dropped, components, main_parts, parts
from liverspleen.imaging import Geometry, LabelMap
from liverspleen.organs import ORGANS, Structure

ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


def label_map(labels, spacing=(1.0, 1.0, 1.0)):
    slices, rows, columns = labels.shape
    slice_mm, row_mm, column_mm = spacing
    return LabelMap(labels, Geometry((columns, rows, slices), np.diag([-column_mm, -row_mm, slice_mm, 1.0])))


def noise(shape, fraction, seed=0):
    """Random labels: structures of any shape, at all faces of the grid."""
    return np.random.default_rng(seed).choice(3, shape, p=[1 - 2 * fraction, fraction, fraction]).astype(np.uint8)


def by_scipy(labels, structure):
    """Sizes and centres of the parts, the largest first, by scipy.ndimage."""
    numbered, count = ndimage.label(labels == structure, structure=ALL_NEIGHBOURS)
    index = np.arange(1, count + 1)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    centres = ndimage.center_of_mass(numbered > 0, numbered, index)
    return [(int(sizes[i]), centres[i]) for i in np.argsort(-sizes, kind="stable")]


@pytest.mark.parametrize("fraction", [0.02, 0.06, 0.1, 0.3])
@pytest.mark.parametrize("shape", [(9, 24, 31), (1, 40, 40), (40, 1, 20), (12, 30, 1), (3, 3, 3)])
def test_parts_of_noise_are_those_of_scipy(shape, fraction):
    labels = noise(shape, fraction, seed=shape[0])
    for organ in ORGANS:
        expected = by_scipy(labels, organ)
        found = parts(label_map(labels), organ)
        assert [part.voxels for part in found] == [size for size, _ in expected]
        centres = [centre for _, centre in expected]
        np.testing.assert_allclose([part.centre for part in found], centres, rtol=0, atol=1e-9)


def test_parts_do_not_depend_on_the_memory_order():
    labels = noise((8, 20, 25), 0.1)
    expected = parts(label_map(labels), Structure.LIVER)
    for other in (np.asfortranarray(labels), labels[::-1, ::-1].copy()[::-1, ::-1], np.repeat(labels, 2, 0)[::2]):
        assert parts(label_map(other), Structure.LIVER) == expected


def test_runs_that_meet_at_the_border_of_the_box_are_not_one():
    """The last column of a row and the first column of a later row are neighbours in memory only."""
    labels = np.zeros((1, 5, 6), np.uint8)
    labels[0, 0, 3:] = labels[0, 2, :2] = labels[0, 4, 5] = Structure.LIVER
    assert [part.voxels for part in parts(label_map(labels), Structure.LIVER)] == [3, 2, 1]


def test_volume_of_a_part_is_that_of_the_determinant():
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[1:3, 1:3, 1:3] = Structure.SPLEEN
    affine = np.diag([-0.5, -0.5, 5.0, 1.0])
    affine[:3, 2] = (0, 2, 5)  # tilted gantry
    (part,) = parts(LabelMap(labels, Geometry((6, 6, 4), affine)), Structure.SPLEEN)
    assert part.volume_cm3 == pytest.approx(8 * 0.5 * 0.5 * 5 / 1000, rel=1e-12)
    assert part.centre == (1.5, 1.5, 1.5)


def test_an_empty_label_map_has_no_parts_and_does_not_change():
    empty = label_map(np.zeros((3, 4, 5), np.uint8))
    assert parts(empty, Structure.LIVER) == ()
    assert main_parts(empty, Structure.LIVER) == (empty, Dropped())
    assert components(empty, Structure.LIVER).total_cm3 == 0


def plates(*widths, columns=220):
    """Liver parts of 1 x 10 x width voxels, two rows apart."""
    labels = np.zeros((3, 12 * len(widths), columns), np.uint8)
    for index, width in enumerate(widths):
        labels[1, 12 * index + 1 : 12 * index + 11, 1 : 1 + width] = Structure.LIVER
    return labels


@pytest.mark.parametrize(
    ("widths", "voxel_mm", "kept"),
    [
        ((200, 10), 1.0, 2),  # 100 of 2000 voxels: 5 %
        ((200, 9), 1.0, 1),  # 4.5 %, 0.09 cm³
        ((200, 4), 6.3, 2),  # 2 %, but 40 voxels of 0.25 cm³ are 10.002 cm³
        ((200, 4), 6.2, 1),  # 9.533 cm³
        ((60, 50, 3), 1.0, 3),  # 5 % of the largest
        ((60, 50, 2), 1.0, 2),
    ],
)
def test_a_part_is_kept_by_its_fraction_or_by_its_volume(widths, voxel_mm, kept):
    given = label_map(plates(*widths), (voxel_mm,) * 3)
    cleared, dropped = main_parts(given, Structure.LIVER)
    assert len(parts(cleared, Structure.LIVER)) == kept
    lost = 10 * sum(widths[kept:])
    assert dropped.parts == len(widths) - kept
    assert dropped.volume_cm3 == pytest.approx(lost * voxel_mm**3 / 1000)
    assert cleared.count(Structure.LIVER) == 10 * sum(widths) - lost
    if not lost:
        assert cleared is given


@pytest.mark.parametrize("fraction", [0.05, 0.1])
def test_remaining_labels_are_those_of_scipy(fraction):
    labels = noise((12, 30, 40), fraction)
    labels[3:9, 5:20, 5:20] = Structure.LIVER
    before = labels.copy()
    numbered, count = ndimage.label(labels == Structure.LIVER, structure=ALL_NEIGHBOURS)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    keep = 1 + np.flatnonzero(sizes[1:] >= 0.05 * sizes[1:].max())
    expected = np.where((labels == Structure.LIVER) & ~np.isin(numbered, keep), 0, labels)
    cleared, _ = main_parts(label_map(labels), Structure.LIVER)
    np.testing.assert_array_equal(cleared.labels, expected)
    np.testing.assert_array_equal(labels, before)  # the input is not changed
    assert (expected != labels).any()
