"""Checkpoint files: complete or absent, read back after writing, never executed."""

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
from liverspleen.reading import check_regular
from liverspleen.storage import complete_file, sync
from liverspleen.zip_archive import UNREADABLE

_OVERHEAD_BYTES = 1 << 20  # names, plain values and alignment beside the tensors


class CheckpointFiles(TorchCheckpointIO):
    """Writer of checkpoints for Lightning: check the free space, write a temporary file, read it back, sync, rename.

    After an error the previous file of that name is unchanged.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            InputError: LS-TRN-007 not enough disk space; LS-TRN-008 it cannot be written or read back.
        """
        file = Path(path)
        needed = sum(tensor.nbytes for tensor in tensors(checkpoint)) + _OVERHEAD_BYTES
        try:
            if (free := shutil.disk_usage(file.parent).free) < needed:
                message = f"a checkpoint needs {needed / 1e6:.1f} MB, but the disk has {free / 1e6:.1f} MB free"
                hint = "free space, then run the same command again to resume"
                raise InputError(Issue("LS-TRN-007", message, hint, file=file))
            with complete_file(file) as temporary:
                torch.save(checkpoint, temporary)
                if read_checkpoint(temporary) is None:
                    raise OSError("the written file cannot be read back")
            sync(file.parent)  # the new name
        except (OSError, RuntimeError) as error:  # torch raises a RuntimeError for a full disk
            message = f"the checkpoint cannot be written ({getattr(error, 'strerror', None) or error})"
            hint = "check the permissions of the folder and the disk, then run the same command again to resume"
            raise InputError(Issue("LS-TRN-008", message, hint, file=file)) from error


def read_checkpoint(file: Path) -> dict[str, Any] | None:
    """Read a checkpoint with memory-mapped tensors; return None if it is missing or damaged.

    All checksums are verified. Only tensors and plain values are read; nothing in the file is run.
    """
    if file.exists():
        check_regular(file)
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                return None
        checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, pickle.UnpicklingError, *UNREADABLE):
        return None
    return checkpoint if isinstance(checkpoint, dict) and PACKAGE_KEY in checkpoint else None


def export_weights(checkpoint: Path, file: Path) -> None:
    """Write the network weights of a checkpoint as safetensors, with its description as JSON in the metadata."""
    content = read_checkpoint(checkpoint)
    if content is None:
        raise InputError(Issue("LS-TRN-005", "the checkpoint cannot be read", "train again", file=checkpoint))
    weights = {
        name.removeprefix(WEIGHTS_PREFIX): weight
        for name, weight in content["state_dict"].items()
        if name.startswith(WEIGHTS_PREFIX)
    }
    with complete_file(file) as temporary:
        temporary.write_bytes(safetensors_bytes(weights, content[PACKAGE_KEY]))


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested maps and sequences.

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
