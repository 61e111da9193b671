"""The weights of a network as one safetensors file, for training runs and model packages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from liverspleen.networks.checkpoint import PACKAGE_KEY


def safetensors_bytes(weights: Mapping[str, Tensor], values: Mapping[str, Any]) -> bytes:
    """Return the file: weights by name, and plain values as JSON in its metadata; equal inputs give equal bytes."""
    from safetensors.torch import save

    contiguous = {name: weight.detach().contiguous() for name, weight in weights.items()}
    return save(contiguous, {PACKAGE_KEY: json.dumps(values, sort_keys=True)})
