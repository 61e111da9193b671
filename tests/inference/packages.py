"""Small models on disk, as liverspleen writes them, and means to spoil them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from liverspleen.formats import CHECKPOINT
from liverspleen.inference.package_files import described, write_package
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.networks.build import build_network
from liverspleen.networks.checkpoint import PACKAGE_KEY, WEIGHTS_PREFIX
from liverspleen.networks.weights_file import safetensors_bytes
from liverspleen.records import sealed, unsealed
from liverspleen.training.checkpoint_files import with_checksum

UNET = {"name": "unet_2d", "output_stride": 8, "width": 4}


def description(**changes: Any) -> dict[str, Any]:
    """Return the description in a checkpoint."""
    return {
        "format": CHECKPOINT.number,
        "structures": {"background": 0, "liver": 1, "spleen": 2},
        "taught_organs": ["liver", "spleen"],
        "network": UNET,
        "slices": 3,
        "slice_distance_mm": None,
        "pixel_mm": None,
        "window": {"lower_hu": -150.0, "upper_hu": 250.0, "clip": True},
        "cohort": "c" * 64,
        "split": "5" * 64,
    } | changes


def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network(UNET, slices=3).eval()


def save(file: Path, trained: nn.Module | None = None, *, extra: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Save a checkpoint with further entries `extra` and a changed description."""
    weights = {f"{WEIGHTS_PREFIX}{name}": value for name, value in (trained or network()).state_dict().items()}
    content = {"state_dict": weights, PACKAGE_KEY: description(**changes), **(extra or {})}
    with suppress(ValueError):  # it has more than plain values
        content = with_checksum(content)
    torch.save(content, file)
    return file


def package(output: Path, checkpoint: Path, *, onnx: bytes | None = None, license: str | None = None) -> str:
    """Write the model package of a checkpoint of `network()`; return its SHA-256."""
    found = checked_model(checkpoint)
    content = described(found, name="test", license=license)
    return write_package(output, content, safetensors_bytes(network().state_dict(), found.description), onnx)


def forge(folder: Path, name: str, data: bytes) -> None:
    """Replace a file of a model package, with matching hash and size."""
    (folder / name).write_bytes(data)
    stated = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(folder, lambda content: content["files"].__setitem__(name, stated))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the content of model.json, and its checksum with it."""
    content = unsealed(json.loads((folder / "model.json").read_text()))
    change(content)
    with suppress(ValueError, RecursionError):  # values that have no checksum, because they are never written
        content = sealed(content)
    (folder / "model.json").write_text(json.dumps(content))
