from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from liverspleen.imaging.geometry import (
    Geometry,
    affine_displacement_mm,
    corner_displacement_mm,
    grid_tolerance_mm,
    same_grid,
)

AXIS_ALIGNED = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
SHAPE = (3, 4, 5)


def axis_aligned_affine(order, signs, edges=(0.7, 0.8, 5.0)):
    """World axis order[i] along native axis i, with sign signs[i]."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for native, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, native] = sign * edges[native]
    affine[:3, 3] = (-11.0, 7.5, 40.0)
    return affine


def world_of(affine, shape, world):
    """World coordinate number `world` of every voxel."""
    indices = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ indices + affine[:3, 3:])[world].reshape(shape)


@pytest.mark.parametrize(("order", "signs"), AXIS_ALIGNED)
def test_every_axis_aligned_orientation_is_put_in_order_and_back(order, signs):
    affine = axis_aligned_affine(order, signs)
    geometry = Geometry(SHAPE, affine)
    superior = geometry.to_canonical(world_of(affine, SHAPE, 2))
    posterior = -geometry.to_canonical(world_of(affine, SHAPE, 1))
    left = -geometry.to_canonical(world_of(affine, SHAPE, 0))
    for grows, axis in ((superior, 0), (posterior, 1), (left, 2)):
        assert (np.diff(grows, axis=axis) > 0).all()
    native = np.arange(60).reshape(SHAPE)
    canonical = geometry.to_canonical(native)
    assert canonical.shape == geometry.canonical_shape
    assert np.array_equal(geometry.to_native(canonical), native)
    assert np.shares_memory(geometry.to_native(canonical), native)
    assert geometry.axis_codes == nib.aff2axcodes(affine)
    assert geometry.spacing_mm == tuple((0.7, 0.8, 5.0)[order.index(world)] for world in (2, 1, 0))


@pytest.mark.parametrize(("order", "signs"), AXIS_ALIGNED)
def test_canonical_affine_puts_voxels_where_the_native_affine_puts_them(order, signs):
    affine = axis_aligned_affine(order, signs)
    geometry = Geometry(SHAPE, affine)
    for world in range(3):
        expected = geometry.to_canonical(world_of(affine, SHAPE, world))
        found = world_of(geometry.canonical_affine, geometry.canonical_shape, world)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@given(
    angles=st.tuples(*[st.floats(-25, 25)] * 3),
    orientation=st.sampled_from(AXIS_ALIGNED),
)
def test_oblique_grids_have_the_closest_orientation_as_nibabel_does(angles, orientation):
    affine = axis_aligned_affine(*orientation)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ affine[:3, :3]
    geometry = Geometry(SHAPE, affine)
    native = np.arange(60).reshape(SHAPE)
    assert np.array_equal(geometry.to_native(geometry.to_canonical(native)), native)
    assert geometry.axis_codes == nib.aff2axcodes(affine)
    assert geometry.voxel_volume_mm3 == pytest.approx(0.7 * 0.8 * 5.0, rel=1e-12)


def test_volume_of_a_sheared_voxel_is_its_determinant_and_not_the_product_of_its_edges():
    # gantry tilt: each 5 mm step along the third axis also moves 2 mm along y, so the edge is sqrt(29) but the height 5
    affine = np.eye(4)
    affine[:3, 2] = (0, 2, 5)
    geometry = Geometry(SHAPE, affine)
    assert geometry.voxel_volume_mm3 == pytest.approx(5.0, rel=1e-12)
    assert geometry.spacing_mm[0] == pytest.approx(29**0.5)


def test_corner_displacement_of_a_shifted_grid_is_the_shift():
    moved = np.eye(4)
    moved[:3, 3] = (0.3, -0.4, 1.2)  # 0.09 + 0.16 + 1.44 = 1.3²
    assert corner_displacement_mm(Geometry(SHAPE, np.eye(4)), Geometry(SHAPE, moved)) == pytest.approx(1.3)


def test_corner_displacement_grows_with_the_image_when_spacing_differs():
    # 100 slices of 5.01 instead of 5 mm: the last outer corner, at index 99.5, is 0.995 mm away
    first, second = (Geometry((2, 2, 100), np.diag([1, 1, edge, 1.0])) for edge in (5.0, 5.01))
    assert corner_displacement_mm(first, second) == pytest.approx(0.995)
    assert not same_grid(first, second)


def test_a_grid_stored_with_other_axes_is_the_same_grid():
    ras = Geometry((3, 4, 5), np.diag([1.0, 2.0, 3.0, 1.0]))
    lps = np.diag([-1.0, -2.0, 3.0, 1.0])
    lps[:2, 3] = (2.0, 6.0)  # last voxel of the other
    assert same_grid(ras, Geometry((3, 4, 5), lps))


def test_mirrored_axes_of_one_array_are_displaced():
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirrored[0, 3] = 9.0
    assert affine_displacement_mm((10, 10, 10), np.eye(4), mirrored) == pytest.approx(10.0)


@pytest.mark.parametrize("spacing", [0.5, 0.7, 3.0])
def test_float32_header_rounding_of_a_large_oblique_grid_stays_within_the_tolerance(spacing):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (171, 3, 88), degrees=True).as_matrix() * spacing
    affine[:3, 3] = (-311.11111, 250.77777, -1234.56789)
    header = nib.Nifti1Header()
    header.set_data_shape((512, 512, 512))
    header.set_qform(affine, 1)
    rounded = Geometry((512, 512, 512), header.get_qform())
    assert same_grid(Geometry((512, 512, 512), affine), rounded)


def test_half_a_slice_and_half_a_pixel_are_beyond_the_tolerance():
    ct = Geometry(SHAPE, np.diag([0.7, 0.7, 5.0, 1.0]))
    assert grid_tolerance_mm(ct) == pytest.approx(0.07)
    for axis, shift in ((2, 2.5), (0, 0.35)):
        affine = ct.affine.copy()
        affine[axis, 3] += shift
        assert not same_grid(ct, Geometry(SHAPE, affine))


def test_grids_of_different_shapes_are_not_equal():
    assert not same_grid(Geometry((3, 4, 5), np.eye(4)), Geometry((3, 4, 6), np.eye(4)))
    with pytest.raises(ValueError, match="shapes"):
        corner_displacement_mm(Geometry((3, 4, 5), np.eye(4)), Geometry((3, 4, 6), np.eye(4)))


@pytest.mark.parametrize(
    ("shape", "affine", "match"),
    [
        ((3, 4), np.eye(4), "three positive"),
        ((3, 4, 0), np.eye(4), "three positive"),
        (SHAPE, np.diag([1.0, 1.0, 0.0, 1.0]), "singular"),
        (SHAPE, np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (SHAPE, np.diag([1.0, np.nan, 1.0, 1.0]), "finite"),
        (SHAPE, np.eye(3), "4 x 4"),
    ],
)
def test_invalid_grids_are_rejected(shape, affine, match):
    with pytest.raises(ValueError, match=match):
        Geometry(shape, affine)


def test_the_affine_of_a_grid_cannot_be_changed():
    source = np.eye(4)
    geometry = Geometry(SHAPE, source)
    source[0, 0] = 9
    assert geometry.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 0] = 2


def test_arrays_of_another_shape_are_not_reordered():
    geometry = Geometry(SHAPE, np.eye(4))
    with pytest.raises(ValueError, match="native shape"):
        geometry.to_canonical(np.zeros((5, 4, 3)))
    with pytest.raises(ValueError, match="canonical shape"):
        geometry.to_native(np.zeros(SHAPE))
