"""The models that a model was started from: their hashes, licenses, data and organs, as plain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liverspleen.organs import ORGAN_KEYS

if TYPE_CHECKING:
    from liverspleen.inference.untrusted.model_file import CheckedModel

_SHA256, _SALT, _HASH = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{1,64}"), re.compile(r"[0-9a-f]{16}")
MOST_ANCESTORS: Final = 100
"""Models before a model."""


def lineage(found: CheckedModel) -> list[dict[str, Any]]:
    """Return the records of a start model and of the models before it, newest first.

    Name and license are those of a model package; a checkpoint has none. `trained_on` has the salted hashes of the
    training cases; None if they are not recorded.
    """
    about, package = found.description, found.package
    record = {
        "sha256": found.sha256,
        "name": package.get("name"),
        "license": package.get("license"),
        "taught_organs": about["taught_organs"],
        **{key: about.get(key) for key in ("origins", "cohort", "split", "trained_on")},
    }
    return [record, *(about.get("ancestors") or [])]


def identity(path: Path) -> str:
    """Return a text that identifies a model: its hash, or the path of a missing one.

    Raises:
        InputError: as `checked_model`.
    """
    from liverspleen.inference.untrusted.model_file import checked_model  # which imports this module

    return f"sha256 {checked_model(path).sha256}" if path.exists() else str(path)


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 200)


def _are_counts(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(type(number) is int for number in value.values()))


def are_organs(value: Any) -> bool:
    """Return whether the value is a list of names of organs, in their order."""
    return isinstance(value, list) and bool(value) and value == [key for key in ORGAN_KEYS if key in value]


def is_trained_on(value: Any) -> bool:
    """Return whether the value is a salt with salted hashes of training cases, or None."""
    if value is None:
        return True
    if not isinstance(value, dict) or value.keys() != {"salt", "cases"} or not isinstance(value["cases"], list):
        return False
    return _matches(_SALT, value["salt"]) and all(_matches(_HASH, one) for one in value["cases"])


def are_ancestors(value: Any) -> bool:
    """Return whether the value is a list of records as `lineage` makes them, or None."""
    return value is None or (isinstance(value, list) and len(value) <= MOST_ANCESTORS and all(map(_is_record, value)))


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


_RECORD: Mapping[str, Callable[[Any], bool]] = {
    "sha256": lambda value: _matches(_SHA256, value),
    "name": _is_text,
    "license": _is_text,
    "taught_organs": are_organs,
    "origins": _are_counts,
    "cohort": _is_text,
    "split": _is_text,
    "trained_on": is_trained_on,
    "weights": _are_counts,
}


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and all(is_valid(value.get(key)) for key, is_valid in _RECORD.items())
