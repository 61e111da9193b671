"""Keys of earlier versions, with their present names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from liverspleen.config.config_keys import keys
from liverspleen.config.verbs import SCHEMAS
from liverspleen.errors import Issue

RENAMED: Final[Mapping[str, str]] = {
    "store": "cache",
    "share": "shard",
    "licence": "license",
    "sections": "input_slices",
    "minimum_sections": "minimum_slices",
    "slices.sections": "slices.count",
    "slices.section_distance_mm": "slices.distance_mm",
}


def current_names(verb: str, overrides: Sequence[str]) -> tuple[list[str], list[Issue]]:
    """Return the overrides with the present names of renamed keys, and a note for each renamed key.

    >>> overrides, notes = current_names("predict", ["share=2/8", "input=ct.nii"])
    >>> overrides
    ['shard=2/8', 'input=ct.nii']
    >>> print(notes[0])
    LS-CFG-017: share= is now called shard=; write shard=
    """
    known = {key.name for key in keys(SCHEMAS[verb])}
    found, notes = [], []
    for override in overrides:
        name, equals, value = override.partition("=")
        new = RENAMED.get(name)
        if equals and new in known:
            notes.append(Issue("LS-CFG-017", f"{name}= is now called {new}=", f"write {new}=", severity="note"))
            override = f"{new}={value}"
        found.append(override)
    return found, notes
