"""Weights that an encoder starts from: a file with timm's, or timm's hub if asked for; nothing is fetched silently."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from liverspleen.errors import InputError, Issue
from liverspleen.networks.encoder import Encoder, spread_over_slices, timm_weights

HUB = Path("hub")
"""Stands for timm's hub where a file is expected."""

_COUNTER = "num_batches_tracked"  # of batch norm; files converted from other frameworks lack it


def start_from(encoder: Encoder, source: Path) -> None:
    """Give the encoder timm's ImageNet weights, its first layer spread over the slices.

    Args:
        encoder: its weights are overwritten, all of them or none.
        source: a `.safetensors` file or a state dict saved by torch, named as timm names the weights of the whole
            model; or `HUB`.

    Raises:
        InputError: LS-NET-001 no such file, LS-NET-002 not a file of weights that can be read safely, LS-NET-003 not
            the weights of this encoder, LS-NET-004 they cannot be fetched.
    """
    weights = _fetched(encoder.name) if source == HUB else read_weights(source)
    body = getattr(encoder.body, "model", encoder.body)  # some of timm's feature bodies wrap the model once more
    own: dict[str, Tensor] = body.state_dict()
    given = {_plain(name): weight for name, weight in weights.items()}
    known = {_plain(name) for name in timm_weights(encoder.name, fetch=False)}
    missing = [name for name in own if _plain(name) not in given and not name.endswith(_COUNTER)]
    foreign = [name for name in weights if _plain(name) not in known]
    fits = {name: _spread(given[_plain(name)], own[name].shape) for name in own if _plain(name) in given}
    misshapen = [name for name, weight in fits.items() if weight.shape != own[name].shape]
    found = {"missing": missing, "of no layer of it": foreign, "of another shape": misshapen}
    if wrong := [f"{len(names)} {message} (first {names[0]})" for message, names in found.items() if names]:
        message = f"not the weights of encoder {encoder.name!r}: of {len(own)} tensors {', '.join(wrong)}"
        raise InputError(Issue("LS-NET-003", message, "give timm's weights of this encoder", file=source))
    body.load_state_dict({**own, **fits})


def read_weights(file: Path) -> dict[str, Tensor]:
    """Tensors by name out of a `.safetensors` file or a state dict saved by torch; nothing in it is run.

    Raises:
        InputError: LS-NET-001 no such file, LS-NET-002 not a file of weights that can be read safely.
    """
    if not file.is_file():
        hint = f"give a .safetensors or .pth file, or {HUB} to fetch timm's"
        raise InputError(Issue("LS-NET-001", "there is no such file of weights", hint, file=file))
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of foreign files; they are rejected or not
            stored = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, ValueError, EOFError, BadZipFile, KeyError) as error:
        raise _unreadable(file, type(error).__name__) from error
    weights = stored.get("state_dict", stored) if isinstance(stored, dict) else None
    if not isinstance(weights, Mapping) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise _unreadable(file, "other things than tensors")
    return dict(weights)


def _unreadable(file: Path, why: str) -> InputError:
    message = f"not a file that holds only weights ({why})"
    return InputError(
        Issue("LS-NET-002", message, "give a .safetensors file or a state dict saved by torch", file=file)
    )


def _fetched(name: str) -> dict[str, Tensor]:
    try:
        return timm_weights(name, fetch=True)
    except (OSError, RuntimeError, ValueError) as error:
        message = f"timm's weights of {name!r} cannot be fetched ({type(error).__name__}: {str(error).splitlines()[0]})"
        raise InputError(
            Issue("LS-NET-004", message, "fetch them elsewhere and give network.weights=<file>")
        ) from error


def _plain(name: str) -> str:
    """Name without the difference between `blocks.0` and `blocks_0`, which timm's feature bodies make."""
    return name.replace("_", ".")


def _spread(weight: Tensor, wanted: torch.Size) -> Tensor:
    """The weight, spread over the slices if their number is all that differs."""
    if weight.ndim != 4 or weight.shape[1] != 3 or (weight.shape[0], weight.shape[2:]) != (wanted[0], wanted[2:]):
        return weight
    return spread_over_slices(weight, wanted[1])
