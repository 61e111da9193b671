"""The network as ONNX and in ONNX Runtime, compared with torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from packages import network, package, save

from liverspleen.data.window import IntensityWindow
from liverspleen.errors import InputError
from liverspleen.inference.model import load_model
from liverspleen.inference.onnx_engine import OnnxNetwork
from liverspleen.inference.onnx_export import OnnxExport, _exported, compare, export_onnx
from liverspleen.networks.build import build_network

for needed in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(needed)

WINDOW = IntensityWindow(-150.0, 250.0, clip=True)


@pytest.fixture(scope="module")
def exported() -> OnnxExport:
    return export_onnx(network(), slices=3, stride=8, window=WINDOW)


def test_measured_differences_are_recorded(exported: OnnxExport) -> None:
    measured = exported.description
    assert measured["any_size"]
    assert measured["multiple_of"] == 8
    assert 0 <= measured["max_logit_difference"] <= measured["bounds"]["logit_difference_per_sd"] * measured["logit_sd"]
    assert measured["label_voxels"] == sum(
        batch * rows * columns for batch, _, rows, columns in measured["sizes_compared"]
    )
    assert measured["label_voxels_that_differ"] <= 1e-4 * measured["label_voxels"]
    assert len({tuple(size) for size in measured["sizes_compared"]}) == 3
    json.dumps(measured, allow_nan=False)


def test_file_holds_no_trace_of_the_machine(exported: OnnxExport) -> None:
    assert str(Path.home()).encode() + b"/" not in exported.data
    assert os.fsencode(Path(torch.__file__).parent) not in exported.data
    assert b".py" not in exported.data


def test_engine_gives_torchs_logits_at_other_sizes(exported: OnnxExport, tmp_path: Path) -> None:
    package(tmp_path / "package.zip", save(tmp_path / "a.ckpt"), onnx=exported.data)
    found, expected = load_model(tmp_path / "package.zip", engine="onnxruntime"), network()
    assert (found.engine, found.device, found.stride) == ("onnxruntime", torch.device("cpu"), 8)
    for shape in ((1, 3, 24, 40), (5, 3, 16, 8)):
        stack = torch.rand(shape)
        logits = found.network(stack)
        with torch.inference_mode():
            torch.testing.assert_close(logits, expected(stack), rtol=0, atol=1e-4)
        assert logits.dtype == torch.float32


def test_another_networks_export_is_rejected(exported: OnnxExport) -> None:
    torch.manual_seed(1)
    other = build_network({"name": "unet_2d", "output_stride": 8, "width": 4}, slices=3).eval()
    with pytest.raises(InputError, match="LS-XPT-011"):
        compare(other, exported.data, [torch.rand(1, 3, 16, 16)], stride=8)


def test_export_of_one_size_rejects_others() -> None:
    engine = OnnxNetwork(_exported(network(), (1, 3, 16, 16), None), 8, cuda=False, path=Path("model.onnx"))
    assert engine(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)
    with pytest.raises(InputError, match=r"LS-MOD-014 .* \[1, 3, 24, 16\], model.onnx expects \[1, 3, 16, 16\]"):
        engine(torch.zeros(1, 3, 24, 16))


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["small", "unet_3d", "figure2", "paper"])
def test_configured_networks_are_exported_for_any_size(choice: str) -> None:
    from liverspleen import assemble
    from liverspleen.config import compose

    torch.manual_seed(0)
    built = build_network(assemble.architecture(compose("info", [f"network={choice}"]).network), slices=3)
    with torch.no_grad():
        built.train()(torch.rand(2, 3, 64, 64))
    assert export_onnx(built.eval(), slices=3, stride=16, window=WINDOW).any_size


def test_an_export_that_fails_while_it_runs_is_rejected_in_one_line() -> None:
    import onnx
    from onnx import helper

    given, made = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["b", 3, "h", "w"]) for name in ("slices", "logits")
    )
    size = helper.make_tensor("size", onnx.TensorProto.INT64, [4], [7, 3, 7, 7])
    nodes = [helper.make_node("Reshape", ["slices", "size"], ["logits"])]
    graph = helper.make_graph(nodes, "g", [given], [made], [size])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    engine = OnnxNetwork(model.SerializeToString(), 8, cuda=False, path=Path("model.onnx"))
    with pytest.raises(InputError, match=r"LS-MOD-013 .*cannot run it"):
        engine(torch.zeros(1, 3, 16, 16))
