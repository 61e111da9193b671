"""The network's weights as one safetensors file: the same for a training's output and for a model package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from liverspleen.networks.checkpoint import PACKAGE_KEY


def safetensors_bytes(weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """The file: weights by name, the model's plain values as JSON in its metadata; the same weights, the same bytes."""
    from safetensors.torch import save

    contiguous = {name: weight.detach().contiguous() for name, weight in weights.items()}
    return save(contiguous, {PACKAGE_KEY: json.dumps(about, sort_keys=True)})
