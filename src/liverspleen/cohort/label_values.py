"""Meaning of the voxel values in label maps of other systems."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from liverspleen.errors import InputError, Issue
from liverspleen.organs import LABEL_VALUES, ORGANS, OWN_VALUES, Structure, listed, organ, organs


def covered_structures(values: Mapping[int, Structure] | None) -> tuple[Structure, ...]:
    """The structures of the voxel values `values`; all for None, which is our own label maps."""
    return ORGANS if values is None else organs(structure.key for structure in values.values())


def requested_values(key: str, asked: object) -> Mapping[int, Structure] | None:
    """Return the structures by voxel value, also for the values of liverspleen; None if none are asked for.

    Raises:
        InputError: as `label_values`.
    """
    return None if asked is None else label_values(key, asked) or LABEL_VALUES[OWN_VALUES]


def label_values(key: str, asked: object) -> Mapping[int, Structure] | None:
    """Return the structures by voxel value; None for the values of liverspleen.

    Raises:
        InputError: LS-CFG-009 `asked` is neither a name of `LABEL_VALUES` nor a map from whole numbers to structures.
    """
    if asked == OWN_VALUES:
        return None
    if isinstance(asked, str) and asked in LABEL_VALUES:
        return LABEL_VALUES[asked]
    try:
        if isinstance(asked, Mapping) and asked and not any(isinstance(value, bool) for value in asked):
            return {operator.index(value): organ(name) for value, name in asked.items()}
    except (TypeError, ValueError):
        pass  # reported below, with what is expected
    presets = ", ".join(LABEL_VALUES)
    message = f"{key}={asked!r} is not valid, expected one of {presets}, or a map from voxel values to {listed('or')}"
    raise InputError(Issue("LS-CFG-009", message, f"give a name, or a map such as {key}={{5: liver, 1: spleen}}"))
