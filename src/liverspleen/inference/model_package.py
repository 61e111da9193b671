"""Opening of a model or ensemble package (a folder, or a .zip of the same files), and comparison with its hashes."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.formats import ENSEMBLE_PACKAGE, MODEL_PACKAGE, Format
from liverspleen.inference.untrusted.plain_json import MAX_JSON_BYTES, parse_json
from liverspleen.records import DamagedRecordError, damaged, opened
from liverspleen.zip_archive import Entry, blocks

DESCRIPTION, WEIGHTS, CARD, LICENSE, ONNX = (
    "model.json",
    "model.safetensors",
    "MODEL_CARD.md",
    "LICENSE",
    "model.onnx",
)
ENSEMBLE, MEMBERS = "ensemble.json", "members"
"""File that describes an ensemble package, and folder of the packages of its members, which are called 1, 2, 3."""

MAX_FILE_BYTES = 8 << 30
_MAX_TEXT_BYTES = 1 << 20
_MARKUP = re.compile(rb"<[a-z!/?]|javascript:|data:text", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXPORT_AGAIN = "export the model again with liverspleen export"


@dataclass(frozen=True)
class PackageFiles:
    """The files of a package, in the archive `path` (`entries`) or in the folder `path`.

    `description` is the content of the file `described_in`, model.json or ensemble.json, and `sha256` its hash. The
    members of an ensemble package are packages of their own.
    """

    path: Path
    entries: Mapping[str, Entry] | None
    description: Mapping[str, Any]
    sha256: str
    described_in: str = DESCRIPTION

    @property
    def names(self) -> Sequence[str]:
        """Names of all files except the one with the description."""
        return tuple(self.description["files"])

    def place(self, name: str) -> tuple[Path, int, int]:
        """Return path, offset and size of the file `name`."""
        if self.entries is not None:
            return self.path, self.entries[name].offset, self.entries[name].size
        return self.path / name, 0, (self.path / name).stat().st_size

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of the file `name` in blocks of a megabyte."""
        return blocks(*self.place(name))

    def reject_changed(self, names: Sequence[str]) -> None:
        """Raise LS-MOD-006 for the first file of `names` that does not have the hash in the description."""
        for name in names:
            digest = hashlib.sha256()
            for block in self.blocks(name):
                digest.update(block)
            if digest.hexdigest() != self.description["files"][name]["sha256"]:
                message = f"{name} does not have the hash in {self.described_in}"
                raise InputError(Issue("LS-MOD-006", message, _EXPORT_AGAIN, file=self.path))

    def reject_markup(self) -> None:
        """Raise LS-MOD-015 if the model card has HTML or a script: export writes none, and a program may render it."""
        if found := _MARKUP.search(b"".join(self.blocks(CARD))):
            message = f"{CARD} has markup ({found[0].decode()!r}) that liverspleen does not write"
            raise InputError(Issue("LS-MOD-015", message, _EXPORT_AGAIN, file=self.path))


def open_package(path: Path, entries: Mapping[str, Entry] | None = None) -> PackageFiles:
    """Open the model package in a folder, or in an archive with `entries`; other files in a folder are ignored.

    Raises:
        InputError: LS-FMT-001 another format; LS-MOD-004 files missing, unknown, linked or of another size; LS-MOD-007
            model.json is not plain JSON; LS-FMT-005 it does not have its checksum.
    """
    return _opened(path, entries, DESCRIPTION, MODEL_PACKAGE, expected=(WEIGHTS, CARD, LICENSE), optional=(ONNX,))


def open_ensemble_package(path: Path, entries: Mapping[str, Entry] | None = None) -> PackageFiles:
    """Open an ensemble package without its members, as `open_package`; `entries` are those outside `members/`."""
    return _opened(path, entries, ENSEMBLE, ENSEMBLE_PACKAGE, expected=(CARD, LICENSE))


def _opened(
    path: Path,
    entries: Mapping[str, Entry] | None,
    main: str,
    form: Format,
    *,
    expected: Sequence[str],
    optional: Sequence[str] = (),
) -> PackageFiles:
    data = _description_bytes(path, entries, main)
    description = _unsealed(parse_json(data, path / main if entries is None else path), path, main, form)
    stated = description.get("files")
    if not isinstance(stated, dict) or not set(expected) <= set(stated) <= {*expected, *optional}:
        more = f" and optionally {', '.join(optional)}" if optional else ""
        message = f"{main} lists other files than expected: {', '.join(expected)}{more}"
        raise InputError(Issue("LS-MOD-004", message, _EXPORT_AGAIN, file=path))
    if entries is not None and (foreign := set(entries) - set(stated) - {main}):
        message = f"the archive has files that {main} does not list, first {min(foreign)[:80]!r}"
        raise InputError(Issue("LS-MOD-004", message, _EXPORT_AGAIN, file=path))
    for name, claim in stated.items():
        _reject_misfit(name, claim, _size(path, entries, name), path, main)
    return PackageFiles(path, entries, description, hashlib.sha256(data).hexdigest(), main)


def _unsealed(content: Mapping[str, Any], path: Path, main: str, form: Format) -> dict[str, Any]:
    try:
        return opened(content, path, form)
    except DamagedRecordError as error:
        raise InputError(damaged(path, f"{main}: {error}", _EXPORT_AGAIN)) from None


def _description_bytes(path: Path, entries: Mapping[str, Entry] | None, main: str) -> bytes:
    size = _size(path, entries, main)
    if size > MAX_JSON_BYTES:
        message = f"{main} has {size} bytes, expected at most {MAX_JSON_BYTES}"
        raise InputError(Issue("LS-MOD-007", message, _EXPORT_AGAIN, file=path))
    if entries is None:
        return (path / main).read_bytes()
    return b"".join(blocks(path, entries[main].offset, entries[main].size))


def _size(path: Path, entries: Mapping[str, Entry] | None, name: str) -> int:
    if entries is not None:
        if name not in entries:
            raise InputError(Issue("LS-MOD-004", f"the archive has no {name}", _EXPORT_AGAIN, file=path))
        return entries[name].size
    try:
        status = os.lstat(path / name)
    except OSError:
        raise InputError(Issue("LS-MOD-004", f"the folder has no {name}", _EXPORT_AGAIN, file=path)) from None
    if not stat.S_ISREG(status.st_mode):
        message = f"{name} is a link or a device, expected a file"
        hint = "copy the model package with files in place of links (cp -L)"
        raise InputError(Issue("LS-MOD-004", message, hint, file=path))
    return status.st_size


def _reject_misfit(name: str, claim: Any, size: int, path: Path, main: str) -> None:
    limit = _MAX_TEXT_BYTES if name in {CARD, LICENSE} else MAX_FILE_BYTES
    if not isinstance(claim, dict) or not isinstance(sha256 := claim.get("sha256"), str) or size > limit:
        message = f"{name} has no hash in {main}, or has more than {limit} bytes"
        raise InputError(Issue("LS-MOD-004", message, _EXPORT_AGAIN, file=path))
    if claim.get("bytes") != size or not _SHA256.fullmatch(sha256):
        message = f"{name} has {size} bytes, but {main} states another size or no SHA-256"
        raise InputError(Issue("LS-MOD-004", message, _EXPORT_AGAIN, file=path))
