import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from liverspleen.networks.build import build_network
from liverspleen.networks.folding import fold_batch_norms


def drawn(network: nn.Module) -> nn.Module:
    """In evaluation mode, with statistics and scales as after training: none is 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            for values, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.3, 0.3),
            ):
                values.uniform_(low, high, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    ("encoder", "output_stride"),
    [
        ("test_resnet", 16),
        ("xception41", 16),
        pytest.param("xception65", 16, marks=pytest.mark.slow),
    ],
)
def test_folded_network_gives_the_same_logits_without_a_batch_norm(encoder: str, output_stride: int) -> None:
    plain = {"name": "deeplab", "encoder": encoder, "output_stride": output_stride, "skip_stride": 2}
    network = drawn(build_network(plain, slices=3))
    whole = copy.deepcopy(network)
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    folded = fold_batch_norms(network, slices=3, stride=output_stride)
    left = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    assert (len(left), folded) == (0, len(norms))
    stack = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = whole(stack), network(stack)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


class Shared(nn.Module):
    """A convolution that is used twice, and one with two readers of its output: folding would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        once = self.conv(slices)
        return self.norm(self.conv(once))


class ReadTwice(nn.Module):
    """The input of the norm is added to its output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        middle = self.conv(slices)
        return self.norm(middle) + middle


def test_encoder_that_returns_features_before_a_norm_is_unchanged() -> None:
    plain = {"name": "deeplab", "encoder": "xception41p", "output_stride": 16, "skip_stride": 2}
    network = drawn(build_network(plain, slices=3))
    stack = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = network(stack)
        assert fold_batch_norms(network, slices=3, stride=16) == 0
        assert torch.equal(network(stack), before)


@pytest.mark.parametrize("kind", [Shared, ReadTwice])
def test_network_that_cannot_be_folded_is_unchanged(kind: type[nn.Module]) -> None:
    network = drawn(kind())
    stack = torch.rand(1, 3, 8, 8)
    before = network(stack)
    assert fold_batch_norms(network, slices=3, stride=1) == 0
    assert torch.equal(network(stack), before)


def test_network_without_batch_norms_is_unchanged() -> None:
    network = build_network({"name": "unet_3d", "output_stride": 4, "width": 4}, slices=3).eval()
    stack = torch.rand(1, 3, 8, 8)
    before = network(stack)
    assert fold_batch_norms(network, slices=3, stride=4) == 0
    assert torch.equal(network(stack), before)


def test_network_in_training_mode_is_rejected() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_batch_norms(nn.Conv2d(3, 3, 1), slices=3, stride=1)
