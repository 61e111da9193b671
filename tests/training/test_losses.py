"""Losses compared with hand computation on one 2 x 2 slice, and without influence of unlabelled structures."""

from functools import cache
from math import log

import pytest
import torch
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn

from liverspleen import assemble
from liverspleen.config import compose
from liverspleen.training.losses import (
    BoundaryDice,
    CrossEntropy,
    Dice,
    Focal,
    SegmentationLoss,
    Tversky,
    merged,
    near_boundary,
)

# Probabilities (background, liver, spleen) of the four pixels, and their labels.
PROBABILITIES = [[0.2, 0.6, 0.2], [0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.2, 0.1, 0.7]]
LOGITS = torch.tensor(PROBABILITIES).log().T.reshape(1, 3, 2, 2)
LABELS = torch.tensor([[[1, 0], [0, 2]]], dtype=torch.uint8)
ALL = torch.tensor([[True, True]])
CROSS_ENTROPY = -(log(0.6) + log(0.7) + log(0.8) + log(0.7)) / 4

CHOICES = ("dice_ce", "boundary", "focal", "tversky")


@cache
def chosen(choice: str) -> nn.Module:
    """The loss of that name in conf/loss."""
    return assemble.loss(compose("train", ["cohort=c", "output=o", f"loss={choice}"]))


def random_batch(samples: int = 3, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(samples, 3, size, size, generator=generator) * 3
    return logits, torch.randint(3, (samples, size, size), generator=generator, dtype=torch.uint8)


def gradient(loss: nn.Module, logits: Tensor, labels: Tensor, labelled: Tensor) -> Tensor:
    leaf = logits.clone().requires_grad_()
    loss(leaf, labels, labelled).backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (CrossEntropy(), CROSS_ENTROPY),
        # liver 2 x 0.6 / (1 + 1.0), spleen 2 x 0.7 / (1 + 1.1)
        (Dice(), 1 - (0.6 + 1.4 / 2.1) / 2),
        # liver: TP 0.6, FP 0.4, FN 0.4; spleen: TP 0.7, FP 0.4, FN 0.3
        (Tversky(0.3, 0.7), 1 - (0.6 / (0.6 + 0.12 + 0.28) + 0.7 / (0.7 + 0.12 + 0.21)) / 2),
        (Focal(2.0), -(0.16 * log(0.6) + 0.09 * log(0.7) + 0.04 * log(0.8) + 0.09 * log(0.7)) / 4),
        # every pixel of 2 x 2 touches another class
        (BoundaryDice(1), -(0.6 + 0.7 + 0.8 + 0.7) / 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_terms_on_a_slice_of_four_pixels(term, expected: float) -> None:
    loss = SegmentationLoss([(1.0, term)])
    assert loss(LOGITS, LABELS, ALL).item() == pytest.approx(expected, abs=1e-5)  # MONAI smooths by 1e-5


@pytest.mark.parametrize("name", ["dice_ce", "focal"])
def test_class_weights_multiply_the_voxels_of_a_class(name: str) -> None:
    logits, labels = random_batch()
    given = ["cohort=c", "output=o", f"loss={name}", "loss.dice_weight=0", "loss.focal_gamma=0"]  # focal: cross-entropy
    loss = assemble.loss(compose("train", [*given, "loss.class_weights={spleen: 4, background: 0.5}"]))
    expected = nn.functional.cross_entropy(logits, labels.long(), weight=torch.tensor([0.5, 1.0, 4.0]))
    everything = torch.ones(3, 2, dtype=torch.bool)
    assert loss(logits, labels, everything).item() == pytest.approx(expected.item(), rel=1e-5)
    first = torch.tensor([[True, False]]).expand(3, 2)  # an unlabelled spleen has the weight of the background
    assert torch.equal(gradient(loss, logits, labels, first)[:, 2], torch.zeros(3, 16, 16))


def test_deep_supervision_halves_the_weight_per_resolution() -> None:
    loss = chosen("dice_ce")
    generator = torch.Generator().manual_seed(2)
    _, labels = random_batch()
    logits = [torch.randn(3, 3, size, size, generator=generator) for size in (16, 8, 4)]
    everything = torch.ones(3, 2, dtype=torch.bool)
    parts = []
    for one in logits:
        nearest = nn.functional.interpolate(labels[:, None].float(), one.shape[-2:], mode="nearest-exact")
        parts.append(loss(one, nearest[:, 0].to(torch.uint8), everything).item())
    assert loss(logits, labels, everything).item() == pytest.approx((4 * parts[0] + 2 * parts[1] + parts[2]) / 7)
    assert loss(logits[:1], labels, everything).item() == pytest.approx(parts[0])


def test_papers_loss_is_cross_entropy_minus_three_times_the_dice_near_the_boundary() -> None:
    assert chosen("boundary")(LOGITS, LABELS, ALL).item() == pytest.approx(CROSS_ENTROPY - 3 * 0.7, abs=1e-6)


def test_default_loss_is_monais_dice_ce_if_all_structures_are_labelled() -> None:
    logits, labels = random_batch()
    monai = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    expected = logits.clone().requires_grad_()
    value = monai(expected, labels[:, None].long())
    value.backward()
    everything = torch.ones(3, 2, dtype=torch.bool)
    assert torch.equal(chosen("dice_ce")(logits, labels, everything), value.detach())
    torch.testing.assert_close(gradient(chosen("dice_ce"), logits, labels, everything), expected.grad)


def test_focal_loss_with_gamma_0_is_cross_entropy_and_gammas_between_are_rejected() -> None:
    logits, labels = random_batch()
    labels = labels.long()
    torch.testing.assert_close(Focal(0.0)(logits, labels), CrossEntropy()(logits, labels))
    with pytest.raises(ValueError, match="gamma"):
        Focal(0.5)


def test_tversky_of_halves_is_dice() -> None:
    logits, labels = random_batch()
    torch.testing.assert_close(
        Tversky(0.5, 0.5)(logits, labels.long()), Dice()(logits, labels.long()), atol=1e-5, rtol=0
    )


def test_near_the_boundary_is_a_square_around_voxels_of_another_class() -> None:
    labels = torch.zeros(2, 7, 7, dtype=torch.long)
    labels[0, 3, 3] = 1
    near = near_boundary(labels, 2)
    expected = torch.zeros(7, 7, dtype=torch.bool)
    expected[1:6, 1:6] = True
    assert torch.equal(near[0], expected)
    assert not near[1].any()  # the image's edge is no boundary
    labels[:] = 2
    assert not near_boundary(labels, 2).any()


def test_boundary_between_two_organs_counts() -> None:
    labels = torch.tensor([[[1, 1, 1, 2, 2, 2]]])
    assert near_boundary(labels, 1).tolist() == [[[False, False, True, True, False, False]]]


def test_dice_near_the_boundary_is_0_without_one() -> None:
    assert BoundaryDice(2)(LOGITS, torch.zeros(1, 2, 2, dtype=torch.long)).item() == 0.0


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("choice", CHOICES)
def test_losses_and_gradients_are_finite_without_any_organ_and_under_autocast(
    choice: str, dtype: torch.dtype | None
) -> None:
    empty = torch.zeros(2, 64, 64, dtype=torch.uint8)
    both = torch.ones(2, 2, dtype=torch.bool)
    for scale in (0.0, 1.0, 60.0):
        features = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * scale
        features.requires_grad_()
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            logits = nn.functional.conv2d(features, torch.eye(3)[:, :, None, None])
            value = chosen(choice)(logits, empty, both)
        assert logits.dtype == (dtype or torch.float32)
        assert value.dtype == torch.float32
        value.backward()
        assert torch.isfinite(value)
        assert features.grad is not None
        assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize("choice", CHOICES)
def test_logits_of_an_unlabelled_structure_get_a_gradient_of_exactly_0(choice: str) -> None:
    logits, labels = random_batch()
    labelled = torch.tensor([[True, True], [True, False], [False, True]])
    found = gradient(chosen(choice), logits, labels, labelled)
    assert not found[1, 2].any()
    assert not found[2, 1].any()
    assert found[0, 1].all()  # trained if labelled
    assert found[0, 2].all()
    assert found[1, 1].any()  # the other organ too
    assert found[2, 2].any()


@pytest.mark.parametrize("choice", CHOICES)
def test_sample_without_any_labelled_structure_has_no_gradient(choice: str) -> None:
    logits, labels = random_batch(1)
    nothing = torch.tensor([[False, False]])
    assert chosen(choice)(logits, labels, nothing).item() == 0.0
    assert not gradient(chosen(choice), logits, labels, nothing).any()


@pytest.mark.parametrize("choice", CHOICES)
def test_predicting_an_unlabelled_structure_or_background_has_the_same_loss(choice: str) -> None:
    """The same liver probabilities, the rest given to the background or to the unlabelled spleen."""
    only_liver = torch.tensor([[True, False]])
    labels = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
    first = torch.tensor([[0.1, 0.6, 0.3], [0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.2, 0.1, 0.7]])
    other = torch.tensor([[0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.4, 0.1, 0.5], [0.8, 0.1, 0.1]])
    values = [chosen(choice)(p.log().T.reshape(1, 3, 2, 2), labels, only_liver) for p in (first, other)]
    torch.testing.assert_close(*values)


def test_cross_entropy_of_a_partly_labelled_slice_by_hand() -> None:
    loss = SegmentationLoss([(1.0, CrossEntropy())])
    labels = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
    value = loss(LOGITS, labels, torch.tensor([[True, False]])).item()
    # background or spleen: 0.7 + 0.1, 0.8 + 0.1, 0.2 + 0.7
    assert value == pytest.approx(-(log(0.6) + log(0.8) + log(0.9) + log(0.9)) / 4, abs=1e-6)


def test_dice_of_an_organ_counts_only_the_samples_that_label_it() -> None:
    """Spleen Dice from the first slice alone; liver Dice from both."""
    two = torch.cat([LOGITS, LOGITS])
    labels = torch.cat([LABELS, LABELS])
    loss = SegmentationLoss([(1.0, Dice())])
    value = loss(two, labels, torch.tensor([[True, True], [True, False]])).item()
    # liver: 2 x 1.2 / (2 + 2), spleen: 2 x 0.7 / (1 + 1.1)
    assert value == pytest.approx(1 - (0.6 + 1.4 / 2.1) / 2, abs=1e-5)


def test_merging_changes_nothing_if_all_structures_are_labelled() -> None:
    logits, labels = random_batch()
    known, same = merged(logits, labels.long(), torch.ones(3, 2, dtype=torch.bool))
    assert torch.equal(known, logits)
    assert torch.equal(same, labels.long())
