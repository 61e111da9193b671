"""Starting weights of an encoder, from a file or, only on request, from the hub of timm."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from torch import Tensor

from liverspleen.errors import InputError, Issue
from liverspleen.networks.encoder import Encoder, spread_over_slices, timm_weights
from liverspleen.networks.weights_file import read_safetensors
from liverspleen.reading import check_regular
from liverspleen.records import DamagedRecordError

HUB = Path("hub")
"""Value of `network.weights=` that selects the hub of timm."""

_COUNTER = "num_batches_tracked"  # of batch norm; files converted from other frameworks lack it


def start_from(encoder: Encoder, source: Path) -> None:
    """Load the ImageNet weights of timm into an encoder, with its first layer spread over the slices.

    Args:
        encoder: all of its weights are replaced, or none.
        source: a `.safetensors` file or a state dict saved by torch, with the names that timm gives to the weights of
            the complete model; or `HUB`.

    Raises:
        InputError: LS-NET-001 the file is missing, LS-NET-002 it cannot be read safely or holds more than weights,
            LS-NET-003 it does not hold the weights of this encoder, LS-NET-004 the weights cannot be downloaded.
    """
    weights = _download(encoder.name) if source == HUB else read_weights(source)
    body = getattr(encoder.body, "model", encoder.body)  # some feature bodies of timm wrap the model
    expected: dict[str, Tensor] = body.state_dict()
    available = {_comparable(name): weight for name, weight in weights.items()}
    known = {_comparable(name) for name in timm_weights(encoder.name, fetch=False)}
    missing = [name for name in expected if _comparable(name) not in available and not name.endswith(_COUNTER)]
    unknown = [name for name in weights if _comparable(name) not in known]
    fits = {
        name: _spread(weight, tensor.shape)
        for name, tensor in expected.items()
        if (weight := available.get(_comparable(name))) is not None
    }
    misshapen = [name for name, weight in fits.items() if weight.shape != expected[name].shape]
    infinite = [name for name, weight in fits.items() if not torch.isfinite(weight).all()]
    found = {"missing": missing, "of no layer": unknown, "of another shape": misshapen, "with NaN or inf": infinite}
    if wrong := [f"{len(names)} {kind} (first {names[0]})" for kind, names in found.items() if names]:
        tensors = f"expected {len(expected)} tensors; {', '.join(wrong)}"
        message = f"file does not hold the weights of encoder {encoder.name!r}: {tensors}"
        raise InputError(Issue("LS-NET-003", message, "give the weights of timm for this encoder", file=source))
    body.load_state_dict({**expected, **fits})


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read tensors by name from a `.safetensors` file or a state dict saved by torch; no code in it is run.

    Raises:
        InputError: LS-NET-001 the file is missing, LS-NET-002 it cannot be read safely or holds more than weights.
    """
    if not file.exists():
        hint = f"give a .safetensors or .pth file, or {HUB} to download the weights of timm"
        raise InputError(Issue("LS-NET-001", "file of weights is missing", hint, file=file))
    check_regular(file)
    try:
        if file.suffix == ".safetensors":
            return read_safetensors(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol; the file is checked below
            stored = torch.load(file, map_location="cpu", weights_only=True)
    except DamagedRecordError as error:
        raise _unreadable(file, str(error)) from error
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, ValueError, EOFError, BadZipFile, KeyError) as error:
        raise _unreadable(file, type(error).__name__) from error
    weights = stored.get("state_dict", stored) if isinstance(stored, dict) else None
    if not isinstance(weights, Mapping) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise _unreadable(file, "values that are not tensors")
    return dict(weights)


def _unreadable(file: Path, reason: str) -> InputError:
    message = f"file cannot be read as weights only ({reason})"
    return InputError(
        Issue("LS-NET-002", message, "give a .safetensors file or a state dict saved by torch", file=file)
    )


def _download(name: str) -> dict[str, Tensor]:
    try:
        return timm_weights(name, fetch=True)
    except (OSError, RuntimeError, ValueError) as error:
        message = f"weights of {name!r} cannot be downloaded ({type(error).__name__}: {str(error).splitlines()[0]})"
        raise InputError(
            Issue("LS-NET-004", message, "download them on another machine and give network.weights=<file>")
        ) from error


def _comparable(name: str) -> str:
    """Return a name in which `blocks.0` and `blocks_0` are equal: feature bodies of timm use the latter."""
    return name.replace("_", ".")


def _spread(weight: Tensor, shape: torch.Size) -> Tensor:
    """Return the weight, spread over the slices if only the number of input channels differs."""
    if weight.ndim != 4 or weight.shape[1] != 3 or (weight.shape[0], weight.shape[2:]) != (shape[0], shape[2:]):
        return weight
    return spread_over_slices(weight, shape[1])
