"""Checkpoint files: written whole or not at all, read back before they count, never executed."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from liverspleen.errors import InputError, Issue
from liverspleen.networks.checkpoint import PACKAGE_KEY, WEIGHTS_PREFIX
from liverspleen.networks.weights_file import safetensors_bytes
from liverspleen.storage import complete_file, sync

_OVERHEAD_BYTES = 1 << 20  # names, plain values and alignment beside the tensors


class CheckpointFiles(TorchCheckpointIO):
    """How Lightning writes a checkpoint here: room is looked for, then temporary name, re-read, sync, final name.

    Whatever goes wrong, a file that stood under the name before still stands there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            InputError: LS-TRN-007 no room for it; LS-TRN-008 it cannot be written, or reads back otherwise.
        """
        file = Path(path)
        needed = sum(tensor.nbytes for tensor in tensors(checkpoint)) + _OVERHEAD_BYTES
        try:
            if (free := shutil.disk_usage(file.parent).free) < needed:
                message = f"a checkpoint takes {needed / 1e6:.1f} MB and the disk has {free / 1e6:.1f} MB left"
                raise InputError(
                    Issue("LS-TRN-007", message, "make room, then run the same command to go on", file=file)
                )
            with complete_file(file) as temporary:
                torch.save(checkpoint, temporary)
                if read_checkpoint(temporary) is None:
                    raise OSError("it does not read back as it was written")
            sync(file.parent)  # the new name itself
        except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
            message = f"the checkpoint cannot be written ({getattr(error, 'strerror', None) or error})"
            hint = "see that the folder may be written and the disk has room, then run the same command to go on"
            raise InputError(Issue("LS-TRN-008", message, hint, file=file)) from error


def read_checkpoint(file: Path) -> dict[str, Any] | None:
    """The checkpoint, its tensors mapped from the file, or None if it is missing or damaged.

    Every byte is held against its checksum; only tensors and plain values are taken, nothing in the file is run.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                return None
        checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile):
        return None
    return checkpoint if isinstance(checkpoint, dict) and PACKAGE_KEY in checkpoint else None


def export_weights(checkpoint: Path, file: Path) -> None:
    """Write the network's weights of a checkpoint as safetensors, its plain values as JSON in their metadata."""
    content = read_checkpoint(checkpoint)
    if content is None:
        raise InputError(Issue("LS-TRN-005", "the checkpoint cannot be read", "train it anew", file=checkpoint))
    weights = {
        name.removeprefix(WEIGHTS_PREFIX): weight
        for name, weight in content["state_dict"].items()
        if name.startswith(WEIGHTS_PREFIX)
    }
    with complete_file(file) as temporary:
        temporary.write_bytes(safetensors_bytes(weights, content[PACKAGE_KEY]))


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested maps and sequences.

    >>> [tensor.numel() for tensor in tensors({"a": [torch.zeros(2), 1], "b": {"c": torch.zeros(3)}})]
    [2, 3]
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
