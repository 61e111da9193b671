"""Read files that users name: only regular files, and only up to a limit."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.plain_yaml import parse_yaml
from liverspleen.spreadsheet import csv_records

LIMIT_BYTES: Final = 1 << 27
"""Largest table or record that is read: 128 MiB, about half a million rows of measurements."""

TEXT_LIMIT_BYTES: Final = 1 << 20
"""Largest YAML file that is read: 1 MiB."""

_KINDS: Final = (
    (stat.S_ISDIR, "folder", "give a file"),
    (stat.S_ISFIFO, "pipe", "write its content to a file, and give that file"),
    (stat.S_ISSOCK, "socket", "give a file"),
    (lambda mode: not stat.S_ISREG(mode), "device", "give a file"),
)


def check_regular(file: Path) -> int:
    """Return the size of a regular file in bytes; links are followed.

    Raises:
        InputError: LS-CFG-020 it is a folder, a pipe, a socket or a device, which could block or have no end.
        OSError: it does not exist, or its folder cannot be read.
    """
    status = file.stat()
    for is_kind, kind, hint in _KINDS:
        if is_kind(status.st_mode):
            raise InputError(Issue("LS-CFG-020", f"it is a {kind}, expected a regular file", hint, file=file))
    return status.st_size


def read_bytes(file: Path, *, limit: int = LIMIT_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        InputError: LS-CFG-020 as `check_regular`; LS-CFG-021 it has more than `limit` bytes.
        OSError: it cannot be read.
    """
    content = b""
    if (size := check_regular(file)) <= limit:
        with file.open("rb") as handle:
            content = handle.read(limit + 1)  # some systems state the size 0 for files with content
    if max(size, len(content)) > limit:
        message = f"file has {max(size, len(content))} or more bytes, expected at most {limit}"
        raise InputError(Issue("LS-CFG-021", message, "check that it is the right file, or divide it", file=file))
    return content


def read_text(file: Path, *, limit: int = LIMIT_BYTES) -> str:
    """Return the UTF-8 text of a regular file without byte order mark and with unchanged line ends.

    Raises:
        InputError, OSError: as `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(file, limit=limit).decode("utf-8-sig")


def read_csv(file: Path, *, delimiter: str = ",") -> list[list[str]]:
    """Return the records of a CSV file in UTF-8, as `csv_records`.

    Raises:
        InputError, OSError, UnicodeDecodeError: as `read_text`.
        csv.Error: it is not CSV.
    """
    return csv_records(read_text(file), delimiter=delimiter)


def read_json(file: Path) -> Any:
    """Return the value of a JSON file; it can be written again as JSON in UTF-8.

    Raises:
        InputError, OSError: as `read_bytes`.
        ValueError: it is not JSON in UTF-8, has NaN or an infinite number, a repeated key, or is nested too deeply.
    """
    try:
        value = parse_json(read_text(file))
        json.dumps([[value]], indent=2, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def parse_json(text: str) -> Any:
    """Return the value of JSON text.

    Raises:
        ValueError: it is not JSON, repeats a key of an object, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=without_repeats)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dictionary.

    Raises:
        ValueError: a key is repeated.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def read_yaml(file: Path) -> Any:
    """Return the value of a YAML file, as `parse_yaml`.

    Raises:
        InputError, OSError, UnicodeDecodeError: as `read_text`; LS-CFG-021 also for more than `TEXT_LIMIT_BYTES`.
        ValueError: as `parse_yaml`.
    """
    return parse_yaml(read_text(file, limit=TEXT_LIMIT_BYTES))


def read_object(file: Path) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises:
        InputError, OSError, ValueError: as `read_json`; ValueError also if it is not an object.
    """
    if not isinstance(value := read_json(file), dict):
        raise ValueError("it is not a JSON object")
    return value


def invalid_record(file: Path, error: object, *, hint: str) -> InputError:
    """Return LS-CFG-022: a file that liverspleen wrote has been changed so that it cannot be read."""
    message = f"it is not a {file.name} as liverspleen wrote it ({error})"
    return InputError(Issue("LS-CFG-022", message, hint, file=file))
