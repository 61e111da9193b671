import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from liverspleen import assemble
from liverspleen.config import compose
from liverspleen.networks.build import build_network
from liverspleen.networks.deeplab import DeepLabV3Plus
from liverspleen.networks.encoder import Encoder, with_shared_statistics


def composed(choice: str, *, slices: int = 3) -> DeepLabV3Plus:
    """The network of conf/network/<choice>.yaml."""
    config = compose("info", [f"network={choice}"])
    network = build_network(assemble.architecture(config.network), slices=slices)
    assert isinstance(network, DeepLabV3Plus)
    return network


@pytest.fixture(scope="module")
def network() -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(encoder="test_resnet", skip_stride=2, pyramid_channels=32, skip_channels=16)


def test_logits_have_three_classes_at_input_size(network: DeepLabV3Plus) -> None:
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, 3, 64, 96)).shape == (2, 3, 64, 96)


@pytest.mark.parametrize(("choice", "channels"), [("paper", 2048), ("figure2", 728)])
def test_networks_of_the_paper_reduce_512_to_32_and_128_with_logits_at_512(choice: str, channels: int) -> None:
    with torch.device("meta"):  # shapes only: no weights, no arithmetic
        network = composed(choice).eval()
        low, deep = network.encoder(torch.empty(2, 3, 512, 512))
        logits = network(torch.empty(2, 3, 512, 512))
    assert deep.shape == (2, channels, 32, 32)
    assert low.shape == (2, 256, 128, 128)
    assert logits.shape == (2, 3, 512, 512)


@pytest.mark.parametrize("slices", [1, 5, 7])
def test_any_odd_number_of_slices_gives_logits_of_one(slices: int) -> None:
    with torch.device("meta"):
        assert composed("paper", slices=slices).eval()(torch.empty(1, slices, 64, 64)).shape == (1, 3, 64, 64)


@pytest.mark.parametrize("slices", [0, 2, -1])
def test_an_even_number_of_slices_is_rejected(slices: int) -> None:
    with pytest.raises(ValueError, match=f"odd number of slices, not {slices}"):
        build_network({"name": "deeplab", "encoder": "test_resnet"}, slices=slices)


def norm(channels: int) -> int:
    return 2 * channels  # scale and shift


def separable(inputs: int, outputs: int) -> int:
    """Depthwise 3 x 3 and pointwise, each with its norm, none with a bias."""
    return 9 * inputs + norm(inputs) + inputs * outputs + norm(outputs)


def pointwise(inputs: int, outputs: int) -> int:
    return inputs * outputs + norm(outputs)


def unit(inputs: int, *outputs: int, shortcut: bool) -> int:
    """Three separable convolutions, and a pointwise shortcut where width or size changes."""
    first, second, third = outputs
    body = separable(inputs, first) + separable(first, second) + separable(second, third)
    return body + (pointwise(inputs, third) if shortcut else 0)


# Chen et al. 2018, Figure 4, for three input slices
STEM = 3 * 9 * 32 + norm(32) + 32 * 9 * 64 + norm(64)
ENTRY = (
    unit(64, 128, 128, 128, shortcut=True)
    + unit(128, 256, 256, 256, shortcut=True)
    + unit(256, 728, 728, 728, shortcut=True)
)
MIDDLE = 16 * unit(728, 728, 728, 728, shortcut=False)
EXIT = unit(728, 728, 1024, 1024, shortcut=True) + unit(1024, 1536, 1536, 2048, shortcut=False)


def outside_encoder(channels: int) -> int:
    """Pyramid (1x1, three atrous rates, image pooling, projection), skip, decoder and logits."""
    pyramid = pointwise(channels, 256) + 3 * separable(channels, 256) + pointwise(channels, 256)
    projection = pointwise(5 * 256, 256)
    decoder = pointwise(256, 48) + separable(256 + 48, 256) + separable(256, 256)
    return pyramid + projection + decoder + 256 * 3 + 3


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("paper", STEM + ENTRY + MIDDLE + EXIT + outside_encoder(2048)),
        ("figure2", STEM + ENTRY + MIDDLE + outside_encoder(728)),
    ],
)
def test_parameters_equal_a_hand_count_from_the_layers_widths(choice: str, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in composed(choice).parameters()) == expected


def test_exit_flow_is_dilated_where_it_no_longer_halves() -> None:
    with torch.device("meta"):
        body = composed("paper").encoder.body
    rates = {name: m.dilation[0] for name, m in body.named_modules() if name.endswith("conv_dw")}
    # facts of the authors' code: 1 in the first unit of the exit flow, 2 in the second
    assert {rates[f"blocks_19.stack.conv{i}.conv_dw"] for i in (1, 2, 3)} == {1}
    assert {rates[f"blocks_20.stack.conv{i}.conv_dw"] for i in (1, 2, 3)} == {2}


def test_a_copy_computes_with_its_own_weights() -> None:
    torch.manual_seed(0)
    original = composed("figure2").eval()  # timm reads the features of Xception with hooks, which must work in the copy
    copied = copy.deepcopy(original)
    stack = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        before = original(stack)
        for parameter in original.parameters():
            parameter.zero_()
        assert torch.equal(copied(stack), before)
        assert not torch.equal(original(stack), before)


@pytest.mark.parametrize("name", ["xception65", "efficientnet_b0"])
def test_shared_batch_statistics_change_no_other_layer(name: str) -> None:
    torch.manual_seed(0)
    own = DeepLabV3Plus(encoder=name, pyramid_channels=8, skip_channels=8).eval()
    shared = with_shared_statistics(copy.deepcopy(own))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in shared.modules())
    assert shared.state_dict().keys() == own.state_dict().keys()
    stack = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(shared(stack), own(stack))


def test_several_gpus_share_batch_statistics_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "device", lambda _: torch.device("cuda"))
    for overrides, shared in (
        (["trainer=ddp"], True),
        (["trainer=ddp", "trainer.sync_batchnorm=false"], False),
        ([], False),
    ):
        built = assemble.network(compose("train", ["cohort=c.csv", "output=o", "network=small", *overrides]))
        assert any(isinstance(layer, nn.SyncBatchNorm) for layer in built.modules()) is shared


def gradients_are_finite(network: nn.Module, slices: Tensor) -> None:
    network.train()(slices).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_every_parameter_gets_a_finite_gradient(network: DeepLabV3Plus) -> None:
    gradients_are_finite(network, torch.randn(2, 3, 64, 64))


@pytest.mark.parametrize("choice", ["paper", "figure2"])
def test_every_parameter_of_the_papers_network_gets_a_finite_gradient(choice: str) -> None:
    torch.manual_seed(0)
    gradients_are_finite(composed(choice), torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize(
    "name",
    ["xception41", "xception71", "xception65p", "resnet50", "regnetx_002", "efficientnet_b0", "mobilenetv3_large_100"],
)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_other_encoders_dilate_to_the_given_stride(name: str, output_stride: int) -> None:
    with torch.device("meta"):
        encoder = Encoder(name, slices=5, output_stride=output_stride, skip_stride=4).eval()
        low, deep = encoder(torch.empty(1, 5, 128, 128))
    assert low.shape == (1, encoder.skip_channels, 32, 32)
    assert deep.shape == (1, encoder.channels, 128 // output_stride, 128 // output_stride)


@pytest.mark.parametrize("name", ["resnet19", "hf-hub:timm/resnet18.a1_in1k", "local-dir:resnet18"])
def test_encoder_that_does_not_exist_is_rejected_with_similar_names(name: str) -> None:
    with pytest.raises(ValueError, match=rf"no model '{name}'; similar names: "):
        Encoder(name, slices=3, output_stride=16, skip_stride=4)


@pytest.mark.parametrize(
    "name", ["edgenext_xx_small", "vit_tiny_patch16_224", "densenet121", "swin_tiny_patch4_window7_224"]
)
def test_encoder_that_cannot_dilate_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be built at output stride 16|has features at strides"):
        Encoder(name, slices=3, output_stride=16, skip_stride=4)


def test_every_network_of_conf_is_built_and_has_a_stride() -> None:
    folder = Path(__file__).parents[2] / "conf" / "network"
    for choice in sorted(file.stem for file in folder.glob("*.yaml")):
        config = compose("info", [f"network={choice}"])
        with torch.device("meta"):
            built = build_network(assemble.architecture(config.network), slices=3).eval()
            assert built(torch.empty(1, 3, 64, 64)).shape == (1, 3, 64, 64), choice
        assert built.output_stride == 16
