"""Networks as exported programs of torch, and as ONNX."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from liverspleen import assemble
from liverspleen.config import compose
from liverspleen.networks.build import build_network

TOLERANCE = 1e-4  # of the logits' standard deviation, which is small before training
CHOICES = ["small", "unet_2d", "unet_3d", "figure2", "paper"]
# warnings of torch and onnxscript about their own code
FOREIGN = ["ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"]


def trained(choice: str) -> nn.Module:
    """A network with random weights and random batch statistics."""
    torch.manual_seed(0)
    config = compose("info", [f"network={choice}"])
    network = build_network(assemble.architecture(config.network), slices=3)
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 64, 64))
    return network.eval()


def slices(seed: int) -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def close(found: Any, network: nn.Module, stack: Tensor) -> None:
    with torch.inference_mode():
        expected = network(stack).numpy()
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=TOLERANCE * expected.std())


@pytest.mark.slow
@pytest.mark.filterwarnings(*FOREIGN)
@pytest.mark.parametrize("choice", CHOICES)
def test_exported_program_gives_the_same_logits(choice: str) -> None:
    network = trained(choice)
    program = torch.export.export(network, (slices(1),))
    stack = slices(2)
    with torch.inference_mode():
        close(program.module()(stack), network, stack)


@pytest.mark.slow
@pytest.mark.filterwarnings(*FOREIGN)
@pytest.mark.parametrize("choice", CHOICES)
def test_onnx_gives_the_same_logits(choice: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    network = trained(choice)
    file = tmp_path / "network.onnx"
    torch.onnx.export(network, (slices(1),), file, input_names=["slices"], output_names=["logits"], dynamo=True)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    stack = slices(2)
    (logits,) = session.run(["logits"], {"slices": stack.numpy()})
    close(logits, network, stack)
