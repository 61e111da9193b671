"""`dataset.json` of the Medical Segmentation Decathlon and of nnU-Net; the content is not trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.cohort.label_meaning import DATASET, NamedValues, UnusableNamesError, label_names
from liverspleen.errors import InputError, Issue
from liverspleen.reading import read_object


@dataclass(frozen=True)
class Description:
    """Content of a `dataset.json`, and the names of its voxel values."""

    content: Mapping[str, Any]
    names: NamedValues
    notes: tuple[Issue, ...]


def read_description(folder: Path) -> Description:
    """Read the `dataset.json` of a folder; issues contain no text of the file.

    Raises:
        InputError: LS-IMP-010 it is missing or not valid; LS-IMP-008 it states several channels.
    """
    content = _content(folder)
    channels = content.get("channel_names", content.get("modality", {}))
    if not isinstance(channels, dict):
        raise _invalid("channels are not a JSON object")
    if len(channels) > 1:
        message = f"images have {len(channels)} channels, expected one (CT)"
        raise InputError(Issue("LS-IMP-008", message, "keep only the CT channel"))
    notes = [
        Issue("LS-IMP-009", "the image channel is not called CT", "check that voxels are in HU", severity="warning")
        for name in channels.values()
        if str(name).strip().upper() != "CT"
    ]
    try:
        names = label_names(content.get("labels", {}))
    except UnusableNamesError as error:
        raise _invalid(str(error)) from None
    return Description(content, NamedValues(folder / DATASET, names), tuple(notes))


def _content(folder: Path) -> Mapping[str, Any]:
    try:
        content = read_object(folder / DATASET)
    except FileNotFoundError:
        raise _invalid("file is missing from the input", "give the folder that contains it") from None
    except (OSError, ValueError):
        raise _invalid("file cannot be read as a JSON object") from None
    return content


def _invalid(message: str, hint: str = "correct the file") -> InputError:
    return InputError(Issue("LS-IMP-010", f"{DATASET}: {message}", hint))
