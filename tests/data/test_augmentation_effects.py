"""Effects of the augmentation with expected values by hand; probabilities, ranges, and reproducibility."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from liverspleen.config import compose
from liverspleen.data.augmentation import Augmentation, draw_seed
from liverspleen.data.effects import coarsened, contrasted, erased, gamma_changed, rekernelled
from liverspleen.data.warping import CELLS, LARGEST_ELASTIC, elastic_field
from liverspleen.errors import InputError

BY_CHANCE = {
    "rotation": {"rotation_deg": 90.0},
    "scale": {"scale_range": [0.6, 0.8]},
    "elastic": {"elastic": 0.06},
    "blur": {"blur_range_px": [0.5, 1.0]},
    "kernel": {"kernel": 1.0},
    "gain": {"gain": 0.5},
    "contrast": {"contrast": 0.5},
    "low_resolution": {"low_resolution": 0.9},
    "gamma": {"gamma_range": [0.7, 1.5]},
    "gamma_inverted": {"gamma_range": [0.7, 1.5], "gamma_probability": 0.0},
    "noise": {"noise": 0.1},
    "erase": {"erase": 0.9},
}
GEOMETRY = ("rotation", "scale", "elastic")
ALL = {name: value for limits in BY_CHANCE.values() for name, value in limits.items()} | {
    f"{kind}_probability": 0.5 for kind in BY_CHANCE
}


def batch(count: int = 1000, size: int = 16, slices: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(3, (count, size, size), generator=generator, dtype=torch.uint8)
    return torch.rand(count, slices, size, size, generator=generator), labels


def choice(name: str) -> Augmentation:
    return Augmentation(**asdict(compose("train", ["cohort=c", "output=o", f"augmentation={name}"]).augmentation))


def ramp(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_of_a_constant_image_changes_nothing(inverted: bool) -> None:
    constant = torch.full((2, 3, 8, 8), 0.3)
    torch.testing.assert_close(gamma_changed(constant, torch.tensor([0.7, 1.5]), inverted=inverted), constant)


def test_gamma_of_a_ramp_by_hand() -> None:
    """0, 1/2, 1 squared are 0, 1/4, 1: mean 5/12, sum of squares 13/24; those of the ramp are 1/2 and 1/2."""
    factor = math.sqrt(1 / 2) / math.sqrt(13 / 24)
    expected = [0.5 + factor * (value - 5 / 12) for value in (0, 1 / 4, 1)]
    torch.testing.assert_close(gamma_changed(ramp(0, 0.5, 1), torch.tensor([2.0]), inverted=False), ramp(*expected))
    # inverted, the ramp falls: its intensities are 1 minus those of the reversed one
    mirrored = [1 - value for value in reversed(expected)]
    torch.testing.assert_close(gamma_changed(ramp(0, 0.5, 1), torch.tensor([2.0]), inverted=True), ramp(*mirrored))
    # another scale and offset of the intensity go through
    moved = gamma_changed(ramp(-3, -1, 1), torch.tensor([2.0]), inverted=False)
    torch.testing.assert_close(moved, ramp(*(4 * value - 3 for value in expected)))


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_keeps_mean_and_sd_of_each_sample(inverted: bool) -> None:
    slices, _ = batch(2, slices=3)
    changed = gamma_changed(slices, torch.tensor([0.7, 1.5]), inverted=inverted)
    for one, other in zip(changed, slices, strict=True):
        assert float(one.mean()) == pytest.approx(float(other.mean()), abs=1e-5)
        assert float(one.std()) == pytest.approx(float(other.std()), abs=1e-5)
        assert not torch.allclose(one, other, atol=1e-3)


def test_contrast_keeps_mean_and_range() -> None:
    slices, _ = batch(2, slices=3)
    changed = contrasted(slices, torch.tensor([0.6, 1.4]))
    assert float(changed[0].mean()) == pytest.approx(float(slices[0].mean()), abs=1e-6)
    torch.testing.assert_close(changed[0] - changed[0].mean(), 0.6 * (slices[0] - slices[0].mean()))
    assert changed[1].aminmax() == slices[1].aminmax()  # clipped
    inner = (changed[1] > changed[1].min()) & (changed[1] < changed[1].max())
    steep = slices[1].mean() + 1.4 * (slices[1] - slices[1].mean())
    torch.testing.assert_close(changed[1][inner], steep[inner])


def test_kernels_change_high_frequencies_around_a_gaussian() -> None:
    slices, _ = batch(3)
    changed = rekernelled(slices, torch.tensor([-1.0, 0.0, 1.0]))
    smooth = [ndimage.gaussian_filter(one.numpy(), 1.0, mode="nearest", radius=3) for one in slices[:, 0]]
    np.testing.assert_allclose(changed[0, 0], smooth[0], atol=1e-6)
    np.testing.assert_allclose(changed[1, 0], slices[1, 0], atol=1e-6)
    np.testing.assert_allclose(changed[2, 0], 2 * slices[2, 0].numpy() - smooth[2], atol=1e-6)


def test_low_resolution_is_nearest_sampling_and_linear_interpolation() -> None:
    slices, _ = batch(2, slices=3)
    coarse = coarsened(slices, torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(coarse[1], slices[1])
    few = slices[:1, :, 1::2, 1::2]  # centres 2k + 1 of two pixels each; the upper one is nearest
    expected = torch.nn.functional.interpolate(few, (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(coarse[:1], expected)


def test_erased_rectangle_has_the_mean_in_all_slices_and_lies_inside() -> None:
    slices = torch.zeros(1, 2, 10, 10)
    slices[:, 0] = 1.0
    # ratio of sides 1 at 0.5: 4 x 4 of 0.16; 7 x 7 places of which 0.5 selects row and column 3
    cut = erased(slices, torch.tensor([[0.1601, 0.5, 0.5, 0.5]]))
    expected = slices.clone()
    expected[:, :, 3:7, 3:7] = 0.5
    assert torch.equal(cut, expected)


def test_erasing_changes_the_image_only_and_at_most_the_area() -> None:
    slices, labels = batch(slices=2, size=20)
    changed, same = Augmentation(erase=0.2)(slices, labels, seed=1)
    assert torch.equal(same, labels)
    areas = (changed != slices).any(1).float().mean((1, 2))
    assert 0.18 < areas.max() <= 0.2


def test_elastic_deformation_moves_image_and_labels_together() -> None:
    """A pattern of wide boxes: away from their borders the moved image shows the moved label."""
    labels = torch.zeros(4, 96, 96, dtype=torch.uint8)
    labels[:, 10:44, 10:60], labels[:, 52:88, 30:90] = 1, 2
    image = labels[:, None].float().repeat(1, 3, 1, 1)
    moved, classes = Augmentation(elastic=0.05)(image, labels, seed=1)
    assert (classes != labels).float().mean() > 0.01
    assert (moved - classes[:, None]).abs().lt(1e-4).float().mean() > 0.93
    assert (moved - classes[:, None]).abs().max() <= 2  # of labels 0 and 2
    assert torch.equal(moved[:, 0], moved[:, 2])


def test_elastic_deformation_of_a_ramp_is_the_displacement_up_to_its_limit() -> None:
    """An image that shows its column moves by the displacement; at the borders it is clipped."""
    size, limit = 64, 0.06
    columns = torch.arange(float(size)).expand(1000, 1, size, size)
    moved, _ = Augmentation(elastic=limit)(columns, torch.zeros(1000, size, size, dtype=torch.uint8), seed=1)
    shift = (moved - columns)[..., 8:-8].abs().amax((1, 2, 3))
    assert shift.max() <= limit * size + 1e-3
    assert shift.max() > 0.6 * limit * size
    assert shift.min() > 0.05 * limit * size


def test_elastic_deformation_never_folds() -> None:
    generator = torch.Generator().manual_seed(1)
    signs = torch.randint(2, (200, 2, CELLS + 3, CELLS + 3), generator=generator) * 2.0 - 1  # the steepest fields
    field = elastic_field(signs * LARGEST_ELASTIC * 64, 64, 64)  # of pixels
    (xy, xx), (yy, yx) = (torch.gradient(field[:, axis], dim=(1, 2)) for axis in (0, 1))
    assert ((1 + xx) * (1 + yy) - xy * yx).min() > 0


def test_a_constant_control_grid_is_a_shift() -> None:
    torch.testing.assert_close(elastic_field(torch.ones(1, 2, CELLS + 3, CELLS + 3), 7, 9), torch.ones(1, 2, 7, 9))


@pytest.mark.parametrize("kind", BY_CHANCE)
def test_probability_and_what_changes(kind: str) -> None:
    """The number of changed samples of 1000 is in the central 99.99 % of its binomial distribution."""
    slices, labels = batch()
    given = slices.clone(), labels.clone()
    changed, classes = Augmentation(**{**BY_CHANCE[kind], f"{kind}_probability": 0.3})(slices, labels, seed=3)
    differ = (changed != slices).flatten(1).any(1)
    lowest, highest = stats.binom.interval(0.9999, 1000, 0.3)
    assert lowest <= int(differ.sum()) <= highest  # a few draws of 1000 are too small to change a pixel
    assert kind in GEOMETRY or torch.equal(classes, labels)
    assert torch.equal(slices, given[0])  # those of the caller stay
    assert torch.equal(labels, given[1])
    never, _ = Augmentation(**{**BY_CHANCE[kind], f"{kind}_probability": 0.0})(slices, labels, seed=3)
    assert torch.equal(never, slices)


def test_effects_are_independent() -> None:
    two = Augmentation(gain=0.5, gain_probability=0.5, erase=0.5, erase_probability=0.5)
    slices = torch.zeros(1000, 2, 16, 16)
    slices[:, 0] = 1.0
    changed, _ = two(slices, torch.zeros(1000, 16, 16, dtype=torch.uint8), seed=2)
    gained = changed[:, 0].amax((1, 2)) != 1
    cut = changed[:, 1].amax((1, 2)) > 0
    assert abs(np.corrcoef(gained, cut)[0, 1]) < 4 / math.sqrt(1000)


def test_ranges_are_respected_over_1000_draws() -> None:
    """Each effect is measured on an image that shows it."""
    labels = torch.zeros(1000, 16, 16, dtype=torch.uint8)
    column = (torch.arange(16.0) - 7.5).expand(1000, 1, 16, 16)
    scaled, _ = Augmentation(scale_range=[0.7, 1.4])(column, labels, seed=1)
    scale = (scaled[:, 0, 8, 9] - scaled[:, 0, 8, 6]) / 3  # near the centre, so inside the old image
    assert 0.7 - 1e-5 <= scale.min() < 0.71
    assert 1.39 < scale.max() <= 1.4 + 1e-5
    assert float(scale.mean()) == pytest.approx(1.05, abs=4 * 0.7 / math.sqrt(12 * 1000))

    steps = torch.tensor([0.0, 0.5, 1.0, 1.0]).repeat(4).expand(1000, 1, 16, 16)
    for inverted in (0.0, 1.0):
        limits = {"gamma_range": [0.7, 1.5], "gamma_probability": 1 - inverted, "gamma_inverted_probability": inverted}
        curved, _ = Augmentation(**limits)(steps, labels, seed=1)
        fraction = (curved[:, 0, 0, 1] - curved[:, 0, 0, 0]) / (curved[:, 0, 0, 2] - curved[:, 0, 0, 0])
        exponent = torch.log2(1 - fraction if inverted else fraction).neg()
        assert 0.7 - 1e-4 <= exponent.min() < 0.71
        assert 1.48 < exponent.max() <= 1.5 + 1e-4
        below = int((exponent < 1).sum())
        assert stats.binom.interval(0.9999, 1000, 0.5)[0] <= below <= stats.binom.interval(0.9999, 1000, 0.5)[1]

    levels = torch.tensor([0.4, 0.0, 1.0, 0.6]).repeat(4).expand(1000, 1, 16, 16)
    lower, _ = Augmentation(contrast=0.25)(levels, labels, seed=1)
    contrast = (lower[:, 0, 0, 3] - lower[:, 0, 0, 0]) / 0.2
    assert 0.75 - 1e-5 <= contrast.min() < 0.76
    assert 1.24 < contrast.max() <= 1.25 + 1e-5

    point = torch.zeros(1000, 1, 16, 16)
    point[:, 0, 8, 8] = 1.0
    wide, _ = Augmentation(blur_range_px=[0.5, 1.0])(point, labels, seed=1)
    sd = ((torch.arange(16.0) - 8) ** 2 * wide[:, 0].sum(1)).sum(1).sqrt()
    # of an SD of 0.5, sampled at pixels: (2 e^-2 + 8 e^-8) / (1 + 2 e^-2 + 2 e^-8) = 0.2150 is the variance
    assert 0.4636 < sd.min() < 0.48
    assert 0.97 < sd.max() <= 1.0
    sharp, _ = Augmentation(kernel=1.0)(point, labels, seed=1)
    peak = sharp[:, 0, 8, 8]  # 1 plus or minus 1 less the weight of a Gaussian there, 1 / (2 pi)
    assert 1 / (2 * math.pi) - 0.01 < peak.min() < 0.2
    assert 1.8 < peak.max() < 2 - 1 / (2 * math.pi) + 0.01


def test_low_resolution_has_half_the_pixels_at_least() -> None:
    widths = torch.linspace(0, 1, 64).expand(300, 1, 4, 64)
    coarse, _ = Augmentation(low_resolution=0.5)(widths, torch.zeros(300, 4, 64, dtype=torch.uint8), seed=1)
    error = (coarse - widths).abs().amax((1, 2, 3)) * 63  # nearest sampling of a ramp: up to half a coarse pixel
    assert error.max() <= 1.0 + 1e-3
    assert error.min() < 0.6


def test_single_samples_and_a_batch_give_the_same() -> None:
    """A GPU changes the batch at once, a CPU sample by sample; only the noise has other random numbers."""
    slices, labels = batch(24, size=32, slices=3)
    silent = Augmentation(**(ALL | {"noise": 0.0, "shift": 0.0}))
    one_by_one = silent(slices, labels, seed=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Augmentation, "_by_chance", lambda _: False)
        at_once = silent(slices, labels, seed=4)
    torch.testing.assert_close(one_by_one[0], at_once[0], atol=1e-5, rtol=0)
    assert torch.equal(one_by_one[1], at_once[1])


def test_step_and_rank_determine_all_effects() -> None:
    slices, labels = batch(4, slices=3)
    everything = Augmentation(**ALL)
    places = [(0, 0), (0, 1), (1, 0)]
    first = {place: everything(slices, labels, seed=draw_seed(7, *place)) for place in places}
    for place in reversed(places):
        again = everything(slices, labels, seed=draw_seed(7, *place))
        assert all(torch.equal(one, other) for one, other in zip(again, first[place], strict=True))
        assert not any(torch.equal(again[0], first[other][0]) for other in places if other != place)


def test_nnunet_has_its_ranges_and_probabilities() -> None:
    """nnU-Net 2.8.1, nnUNetTrainer.get_training_transforms for 2D patches, per channel."""
    found = choice("nnunet")
    assert (found.rotation_deg, found.rotation_probability) == (180, 0.2)
    assert (found.scale_range, found.scale_probability) == ([0.7, 1.4], 0.2)
    assert found.noise_probability == 0.1
    assert (found.blur_range_px, found.blur_probability) == ([0.5, 1.0], 0.2 * 0.5)
    assert (found.gain, found.gain_probability) == (0.25, 0.15)
    assert (found.contrast, found.contrast_probability) == (0.25, 0.15)
    assert (found.low_resolution, found.low_resolution_probability) == (0.5, 0.25 * 0.5)
    assert (found.gamma_range, found.gamma_probability, found.gamma_inverted_probability) == ([0.7, 1.5], 0.3, 0.1)
    heavier = choice("strong")
    assert min(heavier.elastic, heavier.kernel, heavier.erase) > 0


@pytest.mark.parametrize(
    ("overrides", "code", "text"),
    [
        (["gamma_range=[1.2,1.5]"], "LS-CFG-016", "[1.2,1.5] is not a range"),
        (["scale_range=[1.4,0.7]", "scale=0"], "LS-CFG-016", "[1.4,0.7] is not a range"),
        (["blur_range_px=[1]"], "LS-CFG-016", "[1] is not a range"),
        (["scale_range=[0.7,1.4]"], "LS-CFG-016", "augmentation.scale=0"),  # affine has scale
        (["erase_probability=0.3"], "LS-CFG-016", "has no effect without augmentation.erase="),
        (["gamma_inverted_probability=1"], "LS-CFG-016", "set augmentation.gamma_range=[0.7,1.5]"),
        (["elastic=0.07"], "LS-CFG-006", "above 0.06"),
        (["noise_probability=1.5"], "LS-CFG-006", "above 1"),
    ],
)
def test_impossible_options_are_rejected(overrides: list[str], code: str, text: str) -> None:
    with pytest.raises(InputError) as error:
        compose("train", ["cohort=c", "output=o", *(f"augmentation.{override}" for override in overrides)])
    (issue,) = error.value.issues
    assert str(issue).startswith(code)
    assert text in str(issue)


@pytest.mark.parametrize("limits", [{"gamma_range": [1.2, 1.5]}, {"elastic": 0.07}, {"erase_probability": 1.1}])
def test_impossible_limits(limits: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="limits"):
        Augmentation(**limits)  # type: ignore[arg-type]
