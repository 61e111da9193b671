"""The one door to ONNX Runtime: a model package's model.onnx as a network that takes and gives tensors of the CPU."""

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
"""Of a constant that the runtime may compute while it loads."""

_ANEW = "write the model package anew with liverspleen export onnx=true"


class OnnxNetwork:
    """A network in ONNX Runtime, called as the network it was exported from.

    Slices and logits are float32 on the CPU; where a CUDA provider was asked for and is there, it computes on that.
    `heights` and `widths` hold the one size that it takes where the export could not leave the size open, else None.
    """

    def __init__(self, model: bytes, stride: int, *, cuda: bool, path: Path) -> None:
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what goes wrong comes as an exception
        options.add_session_config_entry(
            "optimization.constant_folding_max_output_size_in_bytes", str(MAX_CONSTANT_BYTES)
        )
        there = set(onnxruntime.get_available_providers())
        wanted = ["CUDAExecutionProvider"] if cuda and "CUDAExecutionProvider" in there else []
        try:
            session = onnxruntime.InferenceSession(model, options, providers=[*wanted, "CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - the runtime's errors have no common type
            raise _rejected(f"ONNX Runtime cannot load it ({type(error).__name__})", path) from None
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            raise _rejected("not a network from slices to logits", path)
        self._session, self._names = session, (inputs[0].name, outputs[0].name)
        self._path, self.output_stride = path, stride
        self.fixed = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)

    def __call__(self, slices: Tensor) -> Tensor:
        """Logits (B, 3, H, W) of `slices` (B, slices, H, W).

        Raises:
            InputError: LS-MOD-014 the export is for another size; LS-MOD-013 the runtime fails, or gives no logits.
        """
        import torch

        if any(fixed not in (None, size) for fixed, size in zip(self.fixed, slices.shape, strict=True)):
            message = f"model.onnx takes slices of shape {list(self.fixed)}, not {list(slices.shape)}"
            raise InputError(Issue("LS-MOD-014", message, "use engine=torch", file=self._path))
        given, asked = self._names
        try:
            (logits,) = self._session.run([asked], {given: slices.detach().cpu().contiguous().numpy()})
        except Exception as error:  # noqa: BLE001 - the runtime's errors have no common type
            raise _rejected(f"ONNX Runtime fails on it ({type(error).__name__})", self._path) from None
        if logits.shape != (slices.shape[0], NUM_CLASSES, *slices.shape[2:]):
            raise _rejected(f"it gives logits of shape {list(logits.shape)}", self._path)
        return torch.from_numpy(logits)


def checked_onnx(found: CheckedModel) -> bytes:
    """The model.onnx of a model package, once it is found harmless.

    Raises:
        InputError: LS-MOD-012 the model package has no model.onnx; LS-MOD-017 the packages are not installed;
            LS-MOD-013 it cannot be used safely.
    """
    if found.files is None or ONNX not in found.files.names:
        message = "engine=onnxruntime, but the model has no model.onnx"
        raise InputError(Issue("LS-MOD-012", message, f"{_ANEW}, or use engine=torch", file=found.path))
    reject_without("onnx", "onnxruntime")
    data = b"".join(found.files.blocks(ONNX))
    reject_unsafe(data, found.path)
    return data


def reject_without(*packages: str) -> None:
    """Raise LS-MOD-017 if a package is not installed."""
    from importlib.util import find_spec

    if absent := [package for package in packages if find_spec(package) is None]:
        message = f"ONNX needs {', '.join(absent)}, which is not installed"
        raise InputError(Issue("LS-MOD-017", message, "run pip install 'liverspleen[onnx]'"))


def reject_unsafe(data: bytes, path: Path) -> None:
    """Raise LS-MOD-013 unless the model is one graph of standard operators whose numbers are all in `data`.

    Rejected are numbers in other files (`external_data`), operators of other domains (a library may stand behind them),
    functions, and operators that hold graphs (loops, which need not end).
    """
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise _rejected("not an ONNX file", path) from None
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise _rejected("functions, training or sparse numbers, which liverspleen does not write", path)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise _rejected(f"an operator of the domain {node.domain[:60]!r}", path)
        for attribute in node.attribute:
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise _rejected(f"the operator {node.op_type[:60]!r}, which holds a graph of its own", path)
    tensors: Iterable[Any] = [
        *graph.initializer,
        *(attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")),
        *(tensor for node in graph.node for attribute in node.attribute for tensor in attribute.tensors),
    ]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in tensors):
        raise _rejected("numbers that lie in another file", path)


def _rejected(why: str, path: Path) -> InputError:
    return InputError(Issue("LS-MOD-013", f"model.onnx cannot be used: {why}", _ANEW, file=path))
