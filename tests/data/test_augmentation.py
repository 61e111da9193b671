import torch

from liverspleen.data.augmentation import Augmentation


def test_shift_moves_sections_and_labels_alike() -> None:
    """The brightest voxel stays the labelled one, in every section, whatever the draw."""
    image = torch.zeros(4, 3, 32, 32)
    labels = torch.zeros(4, 32, 32, dtype=torch.uint8)
    image[:, :, 12:20, 8:16], labels[:, 12:20, 8:16] = 1.0, 2
    only_geometry = Augmentation(rotation_deg=10.0, scale=0.2, shift=0.2, gain=0.0, offset=0.0)
    moved, classes = only_geometry(image, labels, seed=3)
    assert not torch.equal(classes, labels)
    for section in range(3):
        inside = moved[:, section][classes == 2]
        outside = moved[:, section][classes == 0]
        assert inside.min() >= 0.25  # a corner of the square, bilinear
        assert outside.max() <= 0.75


def test_rotation_keeps_shapes_on_images_that_are_not_square() -> None:
    labels = torch.zeros(1, 32, 64, dtype=torch.uint8)
    labels[0, 12:20, 28:36] = 1  # a centred square of 64 pixels keeps its area under rotation
    turned = Augmentation(rotation_deg=45.0, scale=0.0, shift=0.0, gain=0.0, offset=0.0)
    for seed in range(5):
        _, classes = turned(torch.zeros(1, 3, 32, 64), labels, seed=seed)
        assert abs(int(classes.sum()) - 64) <= 8


def test_draws_differ_by_sample_and_seed_and_repeat_for_the_same() -> None:
    gain = Augmentation(rotation_deg=0.0, scale=0.0, shift=0.0, gain=0.5, offset=0.0)
    image, labels = torch.ones(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.uint8)
    first, again, other = (gain(image, labels, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first[0, 0, 0, 0] != first[1, 0, 0, 0]
