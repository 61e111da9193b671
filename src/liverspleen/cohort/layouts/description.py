"""`dataset.json` of the Medical Segmentation Decathlon and of nnU-Net; the content is not trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.organs import ORGAN_KEYS, Structure, organ
from liverspleen.reading import read_object

_FILE = "dataset.json"


@dataclass(frozen=True)
class Description:
    """Content of a `dataset.json`, and the organs of its voxel values."""

    content: Mapping[str, Any]
    names: Mapping[int, Structure]
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
    return Description(content, _names(content.get("labels", {})), tuple(notes))


def _content(folder: Path) -> Mapping[str, Any]:
    try:
        content = read_object(folder / _FILE)
    except FileNotFoundError:
        raise _invalid("file is missing from the input", "give the folder that contains it") from None
    except (OSError, ValueError):
        raise _invalid("file cannot be read as a JSON object") from None
    return content


def _names(labels: Any) -> Mapping[int, Structure]:
    """Read both forms: {"1": "liver"} (MSD, nnU-Net v1), and {"liver": 1} or {"liver": [1, 2]} (nnU-Net v2)."""
    if not isinstance(labels, dict):
        raise _invalid("labels are not a JSON object")
    found: dict[int, Structure] = {}
    for first, second in labels.items():
        for name, value in _pairs(first, second):
            key = name.strip().lower()
            if key not in ORGAN_KEYS:
                continue
            if found.setdefault(value, organ(key)) is not organ(key):
                raise _invalid(f"label value {value} is given to two organs")
    return found


def _pairs(first: str, second: Any) -> Iterator[tuple[str, int]]:
    if isinstance(second, str):
        first, second = second, first
    try:
        for value in second if isinstance(second, list) else [second]:
            yield first, int(value)
    except (TypeError, ValueError):
        raise _invalid("a label value is not a whole number") from None


def _invalid(message: str, hint: str = "correct the file") -> InputError:
    return InputError(Issue("LS-IMP-010", f"{_FILE}: {message}", hint))
