import numpy as np
import pytest
import torch
from scipy import ndimage

from liverspleen.data.augmentation import Augmentation, blurred, draw_seed, thicker

EFFECTS = {"gain": 0.2, "offset": 0.1, "noise": 0.1, "blur_px": 1.0, "thickness": 1.0}
GEOMETRY = {"rotation_deg": 10.0, "scale": 0.2, "shift": 0.2}


def random_stack(slices: int = 3, size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(3, (2, size, size), generator=generator, dtype=torch.uint8)
    return torch.rand(2, slices, size, size, generator=generator), labels


def test_shift_moves_slices_and_labels_equally() -> None:
    """The brightest voxel stays the labelled one, in every slice, for every random shift."""
    image = torch.zeros(4, 3, 32, 32)
    labels = torch.zeros(4, 32, 32, dtype=torch.uint8)
    image[:, :, 12:20, 8:16], labels[:, 12:20, 8:16] = 1.0, 2
    only_geometry = Augmentation(rotation_deg=10.0, scale=0.2, shift=0.2, gain=0.0, offset=0.0)
    moved, classes = only_geometry(image, labels, seed=3)
    assert not torch.equal(classes, labels)
    for slice_index in range(3):
        inside = moved[:, slice_index][classes == 2]
        outside = moved[:, slice_index][classes == 0]
        assert inside.min() >= 0.25  # a corner of the square, bilinear
        assert outside.max() <= 0.75


def test_rotation_keeps_shapes_on_images_that_are_not_square() -> None:
    labels = torch.zeros(1, 32, 64, dtype=torch.uint8)
    labels[0, 12:20, 28:36] = 1  # a centred square of 64 pixels keeps its area under rotation
    turned = Augmentation(rotation_deg=45.0, scale=0.0, shift=0.0, gain=0.0, offset=0.0)
    for seed in range(5):
        _, classes = turned(torch.zeros(1, 3, 32, 64), labels, seed=seed)
        assert abs(int(classes.sum()) - 64) <= 8


def test_random_values_differ_by_sample_and_seed_and_are_reproducible() -> None:
    gain = Augmentation(rotation_deg=0.0, scale=0.0, shift=0.0, gain=0.5, offset=0.0)
    image, labels = torch.ones(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.uint8)
    first, again, other = (gain(image, labels, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first[0, 0, 0, 0] != first[1, 0, 0, 0]


def test_without_limits_the_same_tensors_are_returned() -> None:
    slices, labels = random_stack()
    same_slices, same_labels = Augmentation()(slices, labels, seed=1)
    assert same_slices is slices
    assert same_labels is labels


@pytest.mark.parametrize("effect", EFFECTS)
def test_effects_on_intensity_change_intensities_only(effect: str) -> None:
    slices, labels = random_stack()
    changed, same_labels = Augmentation(**{effect: EFFECTS[effect]})(slices, labels, seed=1)
    assert not torch.equal(changed, slices)
    assert changed.shape == slices.shape
    assert torch.equal(same_labels, labels)


def test_geometry_is_the_same_with_and_without_the_other_effects() -> None:
    slices, labels = random_stack()
    alone = Augmentation(**GEOMETRY)(slices, labels, seed=1)[1]
    together = Augmentation(**GEOMETRY, **EFFECTS)(slices, labels, seed=1)[1]
    assert not torch.equal(alone, labels)
    assert torch.equal(alone, together)


def test_all_slices_get_one_geometry() -> None:
    slices, labels = random_stack(slices=1)
    alike = slices.expand(2, 5, 24, 24)
    moved, _ = Augmentation(**GEOMETRY, blur_px=1.0)(alike, labels, seed=1)
    for slice_index in range(5):
        torch.testing.assert_close(moved[:, slice_index], moved[:, 0])


def test_nearest_of_a_moved_image_is_its_moved_label() -> None:
    """An image that shows its labels in wide boxes: away from their borders both are moved in the same way."""
    labels = torch.zeros(2, 64, 64, dtype=torch.uint8)
    labels[:, 8:30, 8:40], labels[:, 36:60, 20:60] = 1, 2
    moved, classes = Augmentation(**GEOMETRY)(labels[:, None].float().repeat(1, 3, 1, 1), labels, seed=6)
    assert (moved - classes[:, None]).abs().lt(1e-4).float().mean() > 0.9
    assert not torch.equal(classes, labels)


def test_slices_three_times_as_thick_are_means_of_three() -> None:
    slices, _ = random_stack(slices=5)
    expected = ndimage.uniform_filter1d(slices.numpy(), 3, axis=1, mode="nearest")
    np.testing.assert_allclose(thicker(slices, torch.tensor([3.0, 3.0])), expected, atol=1e-6)
    assert torch.equal(thicker(slices, torch.tensor([1.0, 1.0])), slices)


def test_slice_twice_as_thick_has_a_quarter_of_each_neighbour() -> None:
    stack = torch.tensor([0.0, 4.0, 8.0]).reshape(1, 3, 1, 1)
    # outermost: 0 / 2 + (0 + 4) / 4, and 8 / 2 + (4 + 8) / 4
    assert thicker(stack, torch.tensor([2.0])).flatten().tolist() == [1.0, 4.0, 7.0]


def test_thickness_of_a_single_slice_changes_nothing() -> None:
    slices, labels = random_stack(slices=1)
    torch.testing.assert_close(Augmentation(thickness=2.0)(slices, labels, seed=1)[0], slices)


def test_blur_is_the_gaussian_of_each_sample() -> None:
    slices, _ = random_stack()
    smooth = blurred(slices, torch.tensor([0.0, 1.2]), reach_px=4)
    torch.testing.assert_close(smooth[0], slices[0])
    for slice_index in range(3):
        expected = ndimage.gaussian_filter(slices[1, slice_index].numpy(), 1.2, mode="nearest", radius=4)
        np.testing.assert_allclose(smooth[1, slice_index], expected, atol=1e-6)


def test_gain_and_offset_are_sampled_up_to_their_limits() -> None:
    one, labels = torch.ones(2000, 1, 1, 1), torch.zeros(2000, 1, 1, dtype=torch.uint8)
    gain = Augmentation(gain=0.5)(one, labels, seed=1)[0]
    offset = Augmentation(offset=0.5)(one, labels, seed=1)[0] - 1
    assert 0.5 <= gain.min() < 0.51
    assert 1.49 < gain.max() <= 1.5
    assert -0.5 <= offset.min() < -0.49
    assert 0.49 < offset.max() <= 0.5
    assert abs(np.corrcoef(gain.flatten(), offset.flatten())[0, 1]) < 0.1


def test_noise_is_gaussian_with_a_deviation_up_to_its_limit() -> None:
    flat, labels = torch.zeros(200, 1, 32, 32), torch.zeros(200, 32, 32, dtype=torch.uint8)
    noise = Augmentation(noise=0.1)(flat, labels, seed=1)[0]
    deviations = noise.std((1, 2, 3))
    assert deviations.min() < 0.01
    assert 0.09 < deviations.max() < 0.11
    # 1024 values of one sample: mean within 5 standard errors
    assert (noise.mean((1, 2, 3)).abs() <= 5 * deviations / 32).all()


def test_step_and_rank_determine_the_random_values() -> None:
    slices, labels = random_stack()
    everything = Augmentation(**GEOMETRY, **EFFECTS)
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    draws = {place: everything(slices, labels, seed=draw_seed(7, *place))[0] for place in places}
    for first in places:
        assert torch.equal(everything(slices, labels, seed=draw_seed(7, *first))[0], draws[first])
        assert not any(torch.equal(draws[first], draws[other]) for other in places if other != first)


def test_geometry_is_that_of_torchs_affine_grid() -> None:
    slices, labels = random_stack(size=32)
    slices, labels = slices[..., :20], labels[..., :20]
    moved, _ = Augmentation(rotation_deg=30.0, scale=0.3, shift=0.1)(slices, labels, seed=9)
    signed = torch.rand(2, 6, generator=torch.Generator().manual_seed(9)) * 2 - 1
    angle, scale = torch.deg2rad(30 * signed[:, 0]), 1 + 0.3 * signed[:, 1]
    cosine, sine, shift = scale * angle.cos(), scale * angle.sin(), 0.2 * signed[:, 2:4]
    matrix = torch.stack([cosine, -sine * 32 / 20, shift[:, 0], sine * 20 / 32, cosine, shift[:, 1]], 1)
    grid = torch.nn.functional.affine_grid(matrix.view(2, 2, 3), [2, 1, 32, 20], align_corners=False)
    expected = torch.nn.functional.grid_sample(slices, grid, "bilinear", "border", align_corners=False)
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_autocast_does_not_round_intensities() -> None:
    slices, labels = random_stack()
    everything = Augmentation(**GEOMETRY, **EFFECTS)
    plain = everything(slices, labels, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same = everything(slices, labels, seed=1)
    assert same[0].dtype == torch.float32
    assert torch.equal(same[0], plain[0])
    assert torch.equal(same[1], plain[1])


@pytest.mark.parametrize("limits", [{"noise": -0.1}, {"thickness": 2.1}])
def test_invalid_limits(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="limits"):
        Augmentation(**limits)
