import pytest

from liverspleen import assemble
from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.networks.cost import NetworkCost, network_cost


def pointwise(inputs: int, outputs: int, size: int) -> int:
    return 2 * inputs * outputs * size**2  # multiplications and additions per output pixel


def separable(inputs: int, outputs: int, size: int) -> int:
    return 2 * 9 * inputs * size**2 + pointwise(inputs, outputs, size)


def unit(inputs: int, first: int, second: int, third: int, *, size: int, out: int, shortcut: bool) -> int:
    """Two separable convolutions at the input size, a third and the shortcut at the output size."""
    body = separable(inputs, first, size) + separable(first, second, size) + separable(second, third, out)
    return body + (pointwise(inputs, third, out) if shortcut else 0)


# Chen et al. 2018, Figure 4, for 512 x 512; the decoder works at 128 x 128
STEM = pointwise(3 * 9, 32, 256) + pointwise(32 * 9, 64, 256)
ENTRY = (
    unit(64, 128, 128, 128, size=256, out=128, shortcut=True)
    + unit(128, 256, 256, 256, size=128, out=64, shortcut=True)
    + unit(256, 728, 728, 728, size=64, out=32, shortcut=True)
)
MIDDLE = 16 * unit(728, 728, 728, 728, size=32, out=32, shortcut=False)
EXIT = unit(728, 728, 1024, 1024, size=32, out=32, shortcut=True)
EXIT += unit(1024, 1536, 1536, 2048, size=32, out=32, shortcut=False)
DECODER = pointwise(256, 48, 128) + separable(304, 256, 128) + separable(256, 256, 128) + pointwise(256, 3, 128)


def pyramid(channels: int) -> int:
    branches = pointwise(channels, 256, 32) + 3 * separable(channels, 256, 32) + pointwise(channels, 256, 1)
    return branches + pointwise(5 * 256, 256, 32)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("paper", STEM + ENTRY + MIDDLE + EXIT + pyramid(2048) + DECODER),
        ("figure2", STEM + ENTRY + MIDDLE + pyramid(728) + DECODER),
    ],
)
def test_operations_equal_a_hand_count_from_the_layers_widths(choice: str, expected: int) -> None:
    config = compose("info", [f"network={choice}"])
    assert network_cost(assemble.architecture(config.network), slices=3, matrix=512).flops == expected


def test_operations_grow_with_the_area_of_the_slice() -> None:
    unet = {"name": "unet_2d", "output_stride": 4, "width": 4}
    small, large = (network_cost(unet, slices=1, matrix=matrix) for matrix in (16, 32))
    assert large == NetworkCost(small.parameters, 4 * small.flops)


@pytest.mark.parametrize("matrix", [0, 100])
def test_matrix_that_the_network_does_not_accept_is_rejected(matrix: int) -> None:
    with pytest.raises(ValueError, match=f"a matrix of {matrix} is not a multiple of the output stride 16"):
        network_cost({"name": "deeplab", "encoder": "test_resnet"}, slices=3, matrix=matrix)


def test_info_prints_parameters_and_operations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "network=unet_3d", "matrix=64"]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["network"].strip() == "unet_3d"
    assert int(rows["parameters"].replace(",", "")) > 0
    assert rows["FLOPs"].strip().endswith("for input 3 x 64 x 64 (convolutions; a multiply-add counts 2)")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network=paper", "input_slices=2"], "LS-CFG-007: a network needs an odd number of slices, not 2"),
        (["network=paper", "network.encoder=resnet19"], "LS-CFG-007: timm has no model 'resnet19'"),
        (
            ["network=unet_2d", "network.output_stride=12"],
            "LS-CFG-006: network.output_stride=12",
        ),
        (["network=paper", "matrix=500"], "LS-CFG-007: a matrix of 500"),
    ],
)
def test_info_rejects_networks_that_cannot_be_built(
    overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", *overrides]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)
