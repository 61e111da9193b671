"""Export of a network as ONNX, and comparison of ONNX Runtime with torch before the export is used."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liverspleen.data.window import IntensityWindow
from liverspleen.errors import InputError, Issue
from liverspleen.inference.onnx_engine import OnnxNetwork, reject_without

LOGIT_BOUND = 1e-3
"""Largest accepted difference of a logit, as a fraction of the standard deviation of the logits."""

LABEL_BOUND = 1e-4
"""Largest accepted fraction of voxels with another label."""

_FIXED_MATRIX = 512  # for a network that cannot be exported for any size; the matrix of nearly every CT


@dataclass(frozen=True)
class OnnxExport:
    """Bytes of the ONNX file, and the measured differences as plain values for model.json (`description`)."""

    data: bytes
    description: dict[str, Any]

    @property
    def any_size(self) -> bool:
        """Whether batch, height and width are variable."""
        return bool(self.description["any_size"])


def export_onnx(network: nn.Module, *, slices: int, stride: int, window: IntensityWindow) -> OnnxExport:
    """Export the network as one ONNX file, if possible for any batch size, height and width (multiples of the stride).

    Raises:
        InputError: LS-MOD-017 packages are missing; LS-XPT-010 torch cannot export the network; LS-XPT-011 logits or
            labels of ONNX Runtime differ from those of torch by more than `LOGIT_BOUND` or `LABEL_BOUND`.
    """
    reject_without("onnx", "onnxscript", "onnxruntime")
    side = 4 * stride
    try:
        data, any_size = _exported(network, (2, slices, side, side + 2 * stride), _variable_sizes(stride)), True
        sizes = [(1, side, side), (3, side + stride, side + 3 * stride), (2, 2 * side, side)]
    except _ExportError:
        matrix = -(-_FIXED_MATRIX // stride) * stride
        try:
            data, any_size = _exported(network, (1, slices, matrix, matrix), None), False
        except _ExportError as error:
            message = f"torch cannot export this network as ONNX ({error})"
            raise InputError(Issue("LS-XPT-010", message, "remove onnx=true")) from error
        sizes = [(1, matrix, matrix)]
    compared = compare(network, data, _stacks(slices, sizes, window), stride=stride)
    description = {"any_size": any_size, "multiple_of": stride, **compared, "torch": torch.__version__}
    if not any_size:
        description["size"] = list(sizes[0])
    return OnnxExport(data, description)


def compare(network: nn.Module, data: bytes, stacks: Sequence[Tensor], *, stride: int) -> dict[str, Any]:
    """Measure the largest difference of logits and the number of different labels between torch and ONNX Runtime.

    Raises:
        InputError: LS-XPT-011 the differences over all `stacks` exceed the bounds.
    """
    import onnxruntime

    engine = OnnxNetwork(data, stride, cuda=False, path=Path("model.onnx"))
    largest, scale, voxels, other = 0.0, 0.0, 0, 0
    for stack in stacks:
        with torch.inference_mode():
            expected = network(stack)
        found = engine(stack)
        largest = max(largest, float((found - expected).abs().max()))
        scale = max(scale, float(expected.std()))
        voxels += expected[:, 0].numel()
        other += int((found.argmax(1) != expected.argmax(1)).sum())
    measured = {
        "max_logit_difference": largest,
        "logit_sd": scale,
        "label_voxels": voxels,
        "label_voxels_that_differ": other,
        "bounds": {"logit_difference_per_sd": LOGIT_BOUND, "share_of_label_voxels": LABEL_BOUND},
        "sizes_compared": [list(stack.shape) for stack in stacks],
        "onnxruntime": onnxruntime.__version__,
    }
    if not (largest <= LOGIT_BOUND * scale and other <= LABEL_BOUND * voxels):
        message = (
            f"ONNX Runtime differs from torch by {largest:.3g} in a logit (SD {scale:.3g}) and in {other} of {voxels} "
            f"labels, expected at most {LOGIT_BOUND * scale:.3g} and {LABEL_BOUND * voxels:.0f}"
        )
        raise InputError(Issue("LS-XPT-011", message, "remove onnx=true"))
    return measured


class _ExportError(Exception):
    """Torch cannot export the network; torch itself raises many types of errors."""


def _variable_sizes(stride: int) -> dict[int, Any]:
    dim: Callable[[str], Any] = torch.export.Dim
    return {0: dim("batch"), 2: stride * dim("rows"), 3: stride * dim("columns")}


def _exported(network: nn.Module, shape: tuple[int, ...], sizes: dict[int, Any] | None) -> bytes:
    with _quiet():
        try:
            program = torch.onnx.export(
                network,
                (torch.zeros(shape),),
                input_names=["slices"],
                output_names=["logits"],
                dynamo=True,
                external_data=False,
                dynamic_shapes=None if sizes is None else (sizes,),
                verbose=False,
            )
        except Exception as error:
            raise _ExportError(type(error).__name__) from error
    assert program is not None
    # remove traces of this machine: file names and lines of the traced code
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the logs, warnings and prints of torch and onnxscript."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _stacks(slices: int, sizes: Sequence[tuple[int, int, int]], window: IntensityWindow) -> list[Tensor]:
    """Return CT-like input slices, scaled by the window: air, a body, a bright organ on each side, noise."""
    rng = np.random.default_rng(0)
    stacks = []
    for batch, rows, columns in sizes:
        row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        hu = np.full((batch, slices, rows, columns), -1000.0)
        for value, (up, left), (high, wide) in (
            (40, (0.0, 0.0), (0.8, 0.95)),  # body
            (110, (-0.1, -0.4), (0.5, 0.4)),  # liver
            (120, (0.1, 0.6), (0.25, 0.2)),  # spleen
            (300, (0.5, 0.0), (0.12, 0.12)),  # spine
        ):
            hu[..., ((row - up) / high) ** 2 + ((column - left) / wide) ** 2 < 1] = value
        hu += rng.normal(0, 15, hu.shape)
        stacks.append(window(torch.from_numpy(hu.round().astype(np.int16))))
    return stacks
