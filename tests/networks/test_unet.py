import pytest
import torch

from liverspleen import assemble
from liverspleen.config import compose
from liverspleen.networks.build import build_network
from liverspleen.networks.unet import UNet


@pytest.mark.parametrize("slices", [1, 3, 5])
@pytest.mark.parametrize("volumetric", [False, True])
def test_logits_have_three_classes_at_input_size(volumetric: bool, slices: int) -> None:
    network = UNet(volumetric=volumetric, slices=slices, output_stride=16, width=4).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, slices, 64, 96)).shape == (2, 3, 64, 96)


def test_every_parameter_gets_a_finite_gradient() -> None:
    torch.manual_seed(0)
    for volumetric in (False, True):
        network = UNet(volumetric=volumetric, slices=3, output_stride=8, width=4)
        network(torch.randn(2, 3, 32, 32)).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("volumetric", [False, True])
def test_deep_supervision_adds_coarse_logits_in_training_and_changes_no_prediction(volumetric: bool) -> None:
    networks = []
    for deep in (False, True):
        torch.manual_seed(0)
        networks.append(UNet(volumetric=volumetric, slices=3, output_stride=16, width=4, deep_supervision=deep))
    plain, deep = networks
    stack = torch.randn(2, 3, 32, 64)
    full, half, quarter = deep(stack)  # the decoder's lowest resolution, an eighth, has no weight in nnU-Net
    assert torch.equal(full, plain(stack))
    assert (half.shape, quarter.shape) == ((2, 3, 16, 32), (2, 3, 8, 16))
    (full.square().sum() + half.square().sum() + quarter.square().sum()).backward()
    for name, parameter in deep.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    with torch.inference_mode():
        assert torch.equal(deep.eval()(stack), plain.eval()(stack))


def test_logits_of_the_3d_network_are_those_of_the_middle_slice() -> None:
    network = UNet(volumetric=True, slices=5, output_stride=4, width=4).eval()
    with torch.inference_mode():
        stack = torch.randn(1, 5, 16, 16)
        assert torch.equal(network(stack), network.body(stack[:, None])[:, :, 2])


def test_both_use_the_neighbours() -> None:
    torch.manual_seed(0)
    stack = torch.randn(1, 3, 16, 16)
    other = stack.clone()
    other[:, 2] += 1.0 + torch.randn(16, 16)
    for volumetric in (False, True):
        network = UNet(volumetric=volumetric, slices=3, output_stride=4, width=4).eval()
        with torch.inference_mode():
            assert not torch.allclose(network(stack), network(other))


def test_parameters_of_the_2d_network_equal_a_hand_count() -> None:
    # two levels down, 4, 8 and 16 channels; convolutions 3 x 3 with bias, one PReLU weight after each, no norm weights
    def conv(inputs: int, outputs: int, *, side: int = 3) -> int:
        return side * side * inputs * outputs + outputs

    def residual(inputs: int, outputs: int, *, shortcut: int) -> int:
        return conv(inputs, outputs) + 1 + conv(outputs, outputs) + 1 + conv(inputs, outputs, side=shortcut)

    down = residual(3, 4, shortcut=3) + residual(4, 8, shortcut=3)  # strided shortcuts are 3 x 3
    bottom = residual(8, 16, shortcut=1)
    up = (conv(8 + 16, 4) + 1 + conv(4, 4) + 1) + (conv(4 + 4, 3) + 1 + conv(3, 3))  # no PReLU after the last
    network = UNet(volumetric=False, slices=3, output_stride=4, width=4)
    assert sum(p.numel() for p in network.parameters()) == down + bottom + up


@pytest.mark.parametrize("choice", ["unet_2d", "unet_3d"])
def test_channels_last_changes_no_logits(choice: str) -> None:
    overrides = ["cohort=c", "output=o", f"network={choice}", "network.width=4", "network.deep_supervision=true"]
    torch.manual_seed(0)
    plain = assemble.network(compose("train", [*overrides, "trainer.channels_last=false"])).eval()
    torch.manual_seed(0)
    last = assemble.network(compose("train", [*overrides, "trainer.channels_last=true"])).eval()
    with torch.inference_mode():
        stack = torch.randn(1, 3, 32, 32)
        torch.testing.assert_close(last(stack), plain(stack))


@pytest.mark.parametrize("output_stride", [0, 2, 12])
def test_stride_that_is_not_a_power_of_two_is_rejected(output_stride: int) -> None:
    with pytest.raises(ValueError, match=f"cannot be built at output stride {output_stride}"):
        UNet(volumetric=False, slices=3, output_stride=output_stride, width=4)


def test_network_that_does_not_exist_is_rejected_with_the_existing_ones() -> None:
    with pytest.raises(ValueError, match="network 'unet' does not exist, expected deeplab, unet_2d or unet_3d"):
        build_network({"name": "unet"}, slices=3)
