"""`dataset.json` of the Medical Segmentation Decathlon and of nnU-Net: data from outside, read with care."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.organs import ORGAN_KEYS, Structure, organ

_FILE = "dataset.json"


@dataclass(frozen=True)
class Description:
    """What a `dataset.json` says: its content, and which voxel values it calls an organ."""

    content: Mapping[str, Any]
    names: Mapping[int, Structure]
    notes: tuple[Issue, ...]


def read_description(folder: Path) -> Description:
    """The `dataset.json` in a folder; none of its text reaches an issue.

    Raises:
        InputError: LS-IMP-010 it is missing, broken, or its labels are not understood; LS-IMP-008 it has several
            channels.
    """
    content = _content(folder)
    channels = content.get("channel_names", content.get("modality", {}))
    if not isinstance(channels, dict):
        raise _broken("its channels are no table")
    if len(channels) > 1:
        message = f"images have {len(channels)} channels, expected one (CT)"
        raise InputError(Issue("LS-IMP-008", message, "keep the CT channel alone"))
    notes = [
        Issue("LS-IMP-009", "the image channel is not called CT", "see that voxels are HU", severity="warning")
        for name in channels.values()
        if str(name).strip().upper() != "CT"
    ]
    return Description(content, _names(content.get("labels", {})), tuple(notes))


def _content(folder: Path) -> Mapping[str, Any]:
    try:
        content = json.loads((folder / _FILE).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise _broken("there is none in the input", "give the folder that holds it") from None
    except (OSError, ValueError, RecursionError):
        raise _broken("it cannot be read as JSON") from None
    if not isinstance(content, dict):
        raise _broken("it is no table")
    return content


def _names(labels: Any) -> Mapping[int, Structure]:
    """Both spellings: {"1": "liver"} (MSD, nnU-Net v1) and {"liver": 1} or {"liver": [1, 2]} (nnU-Net v2)."""
    if not isinstance(labels, dict):
        raise _broken("its labels are no table")
    found: dict[int, Structure] = {}
    for first, second in labels.items():
        for name, value in _pairs(first, second):
            key = name.strip().lower()
            if key not in ORGAN_KEYS:
                continue
            if found.setdefault(value, organ(key)) is not organ(key):
                raise _broken(f"value {value} is two organs")
    return found


def _pairs(first: str, second: Any) -> Iterator[tuple[str, int]]:
    if isinstance(second, str):
        first, second = second, first
    try:
        for value in second if isinstance(second, list) else [second]:
            yield first, int(value)
    except (TypeError, ValueError):
        raise _broken("a label value is no whole number") from None


def _broken(message: str, hint: str = "correct it") -> InputError:
    return InputError(Issue("LS-IMP-010", f"{_FILE}: {message}", hint))
