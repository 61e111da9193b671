import pytest
import torch

from liverspleen.networks.deeplab import DeepLabV3Plus
from liverspleen.networks.encoder import Encoder


@pytest.fixture(scope="module")
def network() -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(encoder="regnetx_002", pyramid_channels=32, skip_channels=16)


def test_logits_have_three_classes_at_input_size(network: DeepLabV3Plus) -> None:
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, 3, 64, 96)).shape == (2, 3, 64, 96)


def test_every_parameter_gets_a_finite_gradient(network: DeepLabV3Plus) -> None:
    network.train()(torch.randn(2, 3, 64, 64)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_paper_encoder_takes_512_to_32_and_the_skip_to_128() -> None:
    with torch.device("meta"):  # shapes only: no weights, no arithmetic
        encoder = Encoder("xception65", sections=3, output_stride=16, skip_stride=4)
        low, deep = encoder(torch.empty(1, 3, 512, 512))
    assert deep.shape[-2:] == (32, 32)
    assert low.shape[-2:] == (128, 128)


def test_pyramid_parameters_equal_a_hand_count(network: DeepLabV3Plus) -> None:
    inputs, width = network.encoder.channels, 32
    norm = 2  # scale and shift per channel
    pointwise = inputs * width + norm * width
    depthwise = inputs * 9 + norm * inputs
    projection = 5 * width * width + norm * width
    expected = pointwise + 3 * (depthwise + pointwise) + pointwise + projection
    assert sum(p.numel() for p in network.pyramid.parameters()) == expected


def test_encoder_that_does_not_exist_is_named_with_near_ones() -> None:
    with pytest.raises(ValueError, match=r"no model 'resnet19'.*resnet"):
        Encoder("resnet19", sections=3, output_stride=16, skip_stride=4)


def test_encoder_that_cannot_dilate_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be built at output stride 16"):
        Encoder("edgenext_xx_small", sections=3, output_stride=16, skip_stride=4)
