"""Checkpoint files: complete or absent, read back after writing, never executed."""

from __future__ import annotations

import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from liverspleen.errors import InputError, Issue
from liverspleen.formats import CHECKPOINT
from liverspleen.networks.checkpoint import CHECKSUM_KEY, PACKAGE_KEY, WEIGHTS_PREFIX, Numbers, content_sha256
from liverspleen.networks.weights_file import safetensors_bytes
from liverspleen.reading import check_regular
from liverspleen.storage import complete_file, sync
from liverspleen.zip_archive import UNREADABLE

_OVERHEAD_BYTES = 1 << 20  # names, plain values and alignment beside the tensors


class DamagedCheckpointError(ValueError):
    """The file is not what a training wrote; the text is the reason."""


class CheckpointFiles(TorchCheckpointIO):
    """Writer of checkpoints for Lightning: check the free space, write a temporary file, read it back, sync, rename.

    A checkpoint has a checksum of its whole content, so that a changed bit and an edit are found when it is read.

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
                with temporary.open("wb") as handle:  # given a path, torch writes the temporary name into the file
                    torch.save(with_checksum(checkpoint), handle)
                read_checkpoint(temporary)
            sync(file.parent)  # the new name
        except (OSError, RuntimeError, DamagedCheckpointError) as error:  # torch raises a RuntimeError for a full disk
            message = f"the checkpoint cannot be written ({getattr(error, 'strerror', None) or error})"
            hint = "check the permissions of the folder and the disk, then run the same command again to resume"
            raise InputError(Issue("LS-TRN-008", message, hint, file=file)) from error


def with_checksum(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a checkpoint with the checksum of all others."""
    return {**checkpoint, CHECKSUM_KEY: content_sha256(checkpoint, _numbers)}


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return a checkpoint with memory-mapped tensors.

    All checksums are verified. Only tensors and plain values are read; nothing in the file is run.

    Raises:
        DamagedCheckpointError: it is missing, damaged, or not what a training wrote.
        InputError: LS-FMT-001 it has another format.
    """
    if file.exists():
        check_regular(file)
    try:
        with zipfile.ZipFile(file) as archive:
            whole = archive.testzip() is None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tensors that no training writes
            checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True) if whole else None
    except (OSError, pickle.UnpicklingError, *UNREADABLE) as error:
        raise DamagedCheckpointError(f"it cannot be read, {type(error).__name__}") from error
    description = checkpoint.get(PACKAGE_KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(checkpoint, dict) or not isinstance(description, dict):
        raise DamagedCheckpointError("it has no description of a model" if whole else "some of its bytes have changed")
    CHECKPOINT.check(description.get("format"), file)
    try:
        right = checkpoint.get(CHECKSUM_KEY) == content_sha256(checkpoint, _numbers)
    except (ValueError, RuntimeError, TypeError):  # values and tensors that no training writes
        right = False
    if not right:
        raise DamagedCheckpointError("its content does not have its checksum")
    return checkpoint


def _numbers(value: Any) -> Numbers | None:
    if not isinstance(value, Tensor):
        return None
    data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return Numbers(str(value.dtype).removeprefix("torch."), tuple(value.shape), data)


def export_weights(checkpoint: Path, file: Path) -> None:
    """Write the network weights of a checkpoint as safetensors, with its description as JSON in the metadata.

    Raises:
        InputError: LS-TRN-005 the checkpoint is damaged.
    """
    try:
        content = read_checkpoint(checkpoint)
    except DamagedCheckpointError as error:
        message = f"the weights cannot be exported, because the checkpoint is damaged or was edited: {error}"
        hint = "restore the file, or remove it and run the same command again"
        raise InputError(Issue("LS-TRN-005", message, hint, file=checkpoint)) from error
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
