"""Prediction: a trained model, and a CT volume to a label map with the model's own preprocessing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liverspleen.inference.model import TrainedModel, load_model
    from liverspleen.inference.segment import Segmented, segment, segment_volume

__all__ = ["Segmented", "TrainedModel", "load_model", "segment", "segment_volume"]

_AT = {name: "model" if name in {"TrainedModel", "load_model"} else "segment" for name in __all__}


def __getattr__(name: str) -> Any:
    """The names above, imported when they are asked for: what lies beside them must not pay for torch."""
    if name not in _AT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_AT[name]}"), name)
