"""Use of ONNX Runtime: the model.onnx of a model package as a network with CPU tensors as input and output."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen.errors import InputError, Issue
from liverspleen.inference.model_package import ONNX
from liverspleen.organs import NUM_CLASSES

if TYPE_CHECKING:
    from torch import Tensor

    from liverspleen.inference.untrusted.model_file import CheckedModel

MAX_CONSTANT_BYTES = 64 << 20
"""Largest constant that the runtime may compute while it loads a model."""

_EXPORT_AGAIN = "export the checkpoint again (of an ensemble all checkpoints) with liverspleen export onnx=true"


class OnnxNetwork:
    """A network in ONNX Runtime with the call signature of the network it was exported from.

    Slices and logits are float32 on the CPU. It computes with the CUDA provider if that is requested and available.
    `fixed` has the size of each input axis (batch, slices, height, width), None for an axis of any size.
    """

    def __init__(self, model: bytes, stride: int, *, cuda: bool, path: Path) -> None:
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised as exceptions
        options.add_session_config_entry(
            "optimization.constant_folding_max_output_size_in_bytes", str(MAX_CONSTANT_BYTES)
        )
        available = set(onnxruntime.get_available_providers())
        requested = ["CUDAExecutionProvider"] if cuda and "CUDAExecutionProvider" in available else []
        try:
            session = onnxruntime.InferenceSession(model, options, providers=[*requested, "CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - the runtime's errors have no common type
            raise _rejected(f"ONNX Runtime cannot load it ({type(error).__name__})", path) from None
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            raise _rejected("it does not map slices to logits", path)
        self._session, self._names = session, (inputs[0].name, outputs[0].name)
        self._path, self.output_stride = path, stride
        self.fixed = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)

    def __call__(self, slices: Tensor) -> Tensor:
        """Return the logits (B, 3, H, W) of `slices` (B, slices, H, W).

        Raises:
            InputError: LS-MOD-014 the export is for another size; LS-MOD-013 the runtime fails, or the output does not
                have the shape of logits.
        """
        import torch

        if any(fixed not in (None, size) for fixed, size in zip(self.fixed, slices.shape, strict=True)):
            message = f"input has shape {list(slices.shape)}, model.onnx expects {list(self.fixed)}"
            raise InputError(Issue("LS-MOD-014", message, "use engine=torch", file=self._path))
        input_name, output_name = self._names
        try:
            (logits,) = self._session.run([output_name], {input_name: slices.detach().cpu().contiguous().numpy()})
        except Exception as error:  # noqa: BLE001 - the runtime's errors have no common type
            raise _rejected(f"ONNX Runtime cannot run it ({type(error).__name__})", self._path) from None
        if logits.shape != (slices.shape[0], NUM_CLASSES, *slices.shape[2:]):
            raise _rejected(f"its output has shape {list(logits.shape)}", self._path)
        return torch.from_numpy(logits)


def checked_onnx(found: CheckedModel) -> bytes:
    """Return the bytes of the model.onnx of a model package after a check that it is safe to load.

    Raises:
        InputError: LS-MOD-012 the model package has no model.onnx; LS-MOD-017 packages are not installed; LS-MOD-013
            the model.onnx cannot be used safely.
    """
    if found.files is None or ONNX not in found.files.names:
        message = "engine=onnxruntime needs a model.onnx, but the model has none"
        raise InputError(Issue("LS-MOD-012", message, f"{_EXPORT_AGAIN}, or use engine=torch", file=found.path))
    reject_without("onnx", "onnxruntime")
    data = b"".join(found.files.blocks(ONNX))
    reject_unsafe(data, found.path)
    return data


def reject_without(*packages: str) -> None:
    """Raise LS-MOD-017 if a package is not installed."""
    from importlib.util import find_spec

    if absent := [package for package in packages if find_spec(package) is None]:
        message = f"packages that ONNX needs are not installed: {', '.join(absent)}"
        raise InputError(Issue("LS-MOD-017", message, "run pip install 'liverspleen[onnx]'"))


def reject_unsafe(data: bytes, path: Path) -> None:
    """Raise LS-MOD-013 unless the model is one graph of standard operators with all its numbers in `data`.

    Numbers in other files (`external_data`), operators of other domains (they may load a library), functions, and
    operators with subgraphs (loops, which may not end) are not accepted.
    """
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise _rejected("it is not an ONNX file", path) from None
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise _rejected("it has functions, training or sparse numbers, which liverspleen does not write", path)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise _rejected(f"it has an operator of the domain {node.domain[:60]!r}", path)
        for attribute in node.attribute:
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise _rejected(f"its operator {node.op_type[:60]!r} has a subgraph", path)
    tensors: Iterable[Any] = [
        *graph.initializer,
        *(attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")),
        *(tensor for node in graph.node for attribute in node.attribute for tensor in attribute.tensors),
    ]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in tensors):
        raise _rejected("it refers to numbers in another file", path)


def _rejected(why: str, path: Path) -> InputError:
    return InputError(Issue("LS-MOD-013", f"model.onnx cannot be used: {why}", _EXPORT_AGAIN, file=path))
