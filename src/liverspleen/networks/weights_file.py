"""The weights of a network as one safetensors file with a checksum, for training runs and model packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from liverspleen.networks.checkpoint import LINEAGE_KEYS, PACKAGE_KEY
from liverspleen.records import CHECKSUM, DamagedRecordError


def safetensors_bytes(weights: Mapping[str, Tensor], values: Mapping[str, Any]) -> bytes:
    """Return the file: weights by name, and plain values as JSON in its metadata; equal inputs give equal bytes.

    Values of `LINEAGE_KEYS` are omitted, because a text in a model package has a limit.
    The format has no checksum, so one of both is an entry of the JSON. A second entry of the metadata would not do:
    the library writes their order at random.
    """
    from safetensors.torch import save

    contiguous = {name: weight.detach().contiguous() for name, weight in weights.items()}
    values = {name: value for name, value in values.items() if name not in LINEAGE_KEYS}
    stated = {**values, CHECKSUM: _sha256(contiguous, values)}
    return save(contiguous, {PACKAGE_KEY: json.dumps(stated, sort_keys=True)})


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """Read the weights by name; a checksum is compared if there is one, which files of other programs do not have.

    Raises:
        SafetensorError: it is not such a file.
        DamagedRecordError: it does not have its checksum.
        ValueError: its metadata are not JSON.
    """
    with safe_open(file, "pt") as opened:
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        values = json.loads((opened.metadata() or {}).get(PACKAGE_KEY, "{}"))
    if (stated := values.pop(CHECKSUM, None)) is not None and stated != _sha256(weights, values):
        raise DamagedRecordError("it does not have its checksum")
    return weights


def _sha256(weights: Mapping[str, Tensor], values: Mapping[str, Any]) -> str:
    found = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, weight in sorted(weights.items()):
        found.update(f"{name} {weight.dtype} {list(weight.shape)}".encode())
        found.update(weight.cpu().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
