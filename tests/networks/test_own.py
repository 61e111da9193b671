"""A user-defined class in `networks/own/` is a network; other modules are not imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from liverspleen.errors import InputError
from liverspleen.formats import CHECKPOINT
from liverspleen.inference.description import checked_description
from liverspleen.networks import own
from liverspleen.networks.build import build_network, network_names
from liverspleen.organs import Structure

MINE = dedent("""
    from torch import nn

    class Network(nn.Module):
        def __init__(self, *, slices, output_stride, width):
            super().__init__()
            self.output_stride = output_stride
            self.body = nn.Sequential(nn.Conv2d(slices, width, 1), nn.Conv2d(width, 3, 1))

        def forward(self, slices):
            return self.body(slices)
""")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Replaces `networks/own/`."""
    monkeypatch.setattr(own, "__path__", [str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(f"{own.__name__}.")]:
        del sys.modules[name]


def about(name: str) -> dict[str, object]:
    return {
        "format": CHECKPOINT.number,
        "structures": {organ.key: int(organ) for organ in Structure},
        "taught_organs": ["liver", "spleen"],
        "network": {"name": name, "output_stride": 8, "width": 2},
        "window": {"lower_hu": -150.0, "upper_hu": 250.0, "clip": True},
        "slices": 3,
    }


def test_file_name_is_the_name_of_the_network(folder: Path) -> None:
    assert network_names() == ("deeplab", "unet_2d", "unet_3d")
    (folder / "mine.py").write_text(MINE)
    assert network_names() == ("deeplab", "unet_2d", "unet_3d", "mine")
    network = build_network({"name": "mine", "output_stride": 8, "width": 2, "encoder": None}, slices=5)
    assert network(torch.zeros(2, 5, 8, 16)).shape == (2, 3, 8, 16)
    assert network.output_stride == 8


def test_model_with_its_name_is_accepted_only_if_the_file_exists(folder: Path) -> None:
    with pytest.raises(InputError, match=r"LS-MOD-008.*network\.name='mine'"):
        checked_description(about("mine"), "a.ckpt")
    (folder / "mine.py").write_text(MINE)
    assert checked_description(about("mine"), "a.ckpt")["slices"] == 3


def test_a_file_cannot_replace_a_network_of_the_package(folder: Path) -> None:
    (folder / "unet_2d.py").write_text("raise RuntimeError('run')")
    assert network_names() == ("deeplab", "unet_2d", "unet_3d")
    assert type(build_network({"name": "unet_2d", "output_stride": 8, "width": 2}, slices=1)).__name__ == "UNet"


@pytest.mark.parametrize("name", ["os", "..build", "own.mine", "mine.Network", "../mine", "", "MINE", "hidden.deep"])
def test_no_other_name_is_imported(folder: Path, name: str) -> None:
    (folder / "mine.py").write_text(MINE)
    (folder / "hidden").mkdir()  # not a package
    (folder / "hidden" / "deep.py").write_text("raise RuntimeError('run')")
    with pytest.raises(ValueError, match="does not exist, expected"):
        build_network({"name": name, "output_stride": 8, "width": 2}, slices=3)
    with pytest.raises(InputError, match="LS-MOD-008"):
        checked_description(about(name), "a.ckpt")


@pytest.mark.parametrize(("name", "key"), [("mine", "rates"), ("unet_2d", "rates"), ("deeplab", "width")])
def test_argument_that_a_network_does_not_accept_is_reported(folder: Path, name: str, key: str) -> None:
    (folder / "mine.py").write_text(MINE)
    with pytest.raises(ValueError, match=f"network {name} does not accept {key}"):
        build_network({"name": name, "output_stride": 16, key: 2}, slices=3)
