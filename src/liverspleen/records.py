"""JSON records with a checksum of their own content, so that a changed bit is found when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue, Severity
from liverspleen.formats import Format
from liverspleen.reading import read_json
from liverspleen.storage import encodable, write_json

CHECKSUM: Final = "record_sha256"
"""Last entry of a record: the SHA-256 of all other entries."""


class DamagedRecordError(ValueError):
    """The file is not JSON, or its content does not have the checksum in it."""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content as it is read again, with its checksum; see `encodable`.

    >>> unsealed(sealed({"a": (1, 2.5)}))
    {'a': [1, 2.5]}
    """
    plain = encodable(json.loads(json.dumps(content, allow_nan=False)))
    return {**plain, CHECKSUM: _sha256(plain)}


def unsealed(content: object, *, required: bool = True) -> dict[str, Any]:
    """Return the content without its checksum.

    Args:
        content: a value read from JSON.
        required: whether a record without a checksum is damaged; otherwise it is accepted, as of an earlier version.

    Raises:
        DamagedRecordError: it is no JSON object, or does not have its checksum.

    >>> unsealed({**sealed({"a": 1}), "a": 2})
    Traceback (most recent call last):
    liverspleen.records.DamagedRecordError: it does not have its checksum
    """
    if not isinstance(content, dict):
        raise DamagedRecordError("it is not a JSON object")
    found = {key: value for key, value in content.items() if key != CHECKSUM}
    if len(found) == len(content) and not required:
        return found
    try:
        right = content.get(CHECKSUM) == _sha256(found)
    except (ValueError, RecursionError):  # values that are never written
        right = False
    if not right:
        raise DamagedRecordError("it does not have its checksum")
    return found


def write_record(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON (NaN rejected) with its checksum, complete or not at all."""
    write_json(file, sealed(content))


def read_record(file: Path, kind: Format | None = None, *, required: bool = True) -> dict[str, Any]:
    """Read a record; `required` as in `unsealed`.

    The format is checked first, because a record of another version may have no checksum.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedRecordError: it is not what was written.
        InputError: LS-FMT-001 a record of another format than `kind`; otherwise as `read_bytes`.
    """
    return opened(parsed(file), file, kind, required=required)


def parsed(file: Path) -> Any:
    """Return the JSON value in a file.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedRecordError: it is not JSON.
        InputError: as `read_bytes`.
    """
    try:
        return read_json(file)
    except ValueError:
        raise DamagedRecordError("it is not JSON") from None


def opened(
    content: object, file: str | Path | None, kind: Format | None = None, *, required: bool = True
) -> dict[str, Any]:
    """Return the content of a record that was read as JSON; arguments and errors as of `read_record`."""
    if kind is not None and isinstance(content, dict):
        kind.check(content.get("format"), file)
    return unsealed(content, required=required)


def damaged(
    file: str | Path, reason: str, hint: str, *, case_id: str | None = None, severity: Severity = "error"
) -> Issue:
    """Return the issue LS-FMT-005 of a record that is not what was written."""
    return Issue("LS-FMT-005", f"the file is damaged or was edited: {reason}", hint, case_id, file, severity)


def read_runs(file: Path) -> list[dict[str, Any]]:
    """Return the records in a `run.json`, oldest first; empty if there is no such file.

    Raises:
        InputError: LS-FMT-005 it is damaged, or not a record of a run.
    """
    try:
        last = read_record(file, required=False)
        earlier = last.pop("earlier", [])
        if not isinstance(earlier, list) or not all(isinstance(run, dict) for run in earlier):
            raise DamagedRecordError("its earlier runs are not a list of JSON objects")
    except FileNotFoundError:
        return []
    except DamagedRecordError as error:
        raise InputError(damaged(file, str(error), "remove the file, or choose another folder")) from error
    return [*earlier, last]


def _sha256(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
