"""A model package on disk: a folder, or a .zip of the same files; opened and compared with its hashes."""

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
from liverspleen.formats import MODEL_PACKAGE
from liverspleen.inference.untrusted.plain_json import MAX_JSON_BYTES, parse_json
from liverspleen.zip_archive import Entry, blocks

DESCRIPTION, WEIGHTS, CARD, LICENSE, ONNX = (
    "model.json",
    "model.safetensors",
    "MODEL_CARD.md",
    "LICENSE",
    "model.onnx",
)
MAX_FILE_BYTES = 8 << 30
_MAX_TEXT_BYTES = 1 << 20
_MARKUP = re.compile(rb"<[a-z!/?]|javascript:|data:text", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ANEW = "write the model package anew with liverspleen export"


@dataclass(frozen=True)
class PackageFiles:
    """The files of a model package: in `entries` of the archive `path`, or in the folder `path`; and model.json."""

    path: Path
    entries: Mapping[str, Entry] | None
    description: Mapping[str, Any]
    sha256: str

    @property
    def names(self) -> Sequence[str]:
        """The files beside model.json."""
        return tuple(self.description["files"])

    def place(self, name: str) -> tuple[Path, int, int]:
        """File, offset and size of what is called `name`."""
        if self.entries is not None:
            return self.path, self.entries[name].offset, self.entries[name].size
        return self.path / name, 0, (self.path / name).stat().st_size

    def blocks(self, name: str) -> Iterator[bytes]:
        """Its bytes, a megabyte at a time."""
        return blocks(*self.place(name))

    def reject_changed(self, names: Sequence[str]) -> None:
        """Raise LS-MOD-006 for the first of `names` whose bytes do not have the hash that model.json states."""
        for name in names:
            digest = hashlib.sha256()
            for block in self.blocks(name):
                digest.update(block)
            if digest.hexdigest() != self.description["files"][name]["sha256"]:
                message = f"{name} is not the file that model.json was written with"
                raise InputError(Issue("LS-MOD-006", message, _ANEW, file=self.path))

    def reject_markup(self) -> None:
        """Raise LS-MOD-015 if the model card holds HTML or a script: we write none, and somebody may render it."""
        if found := _MARKUP.search(b"".join(self.blocks(CARD))):
            message = f"{CARD} holds markup ({found[0].decode()!r}) that liverspleen does not write"
            raise InputError(Issue("LS-MOD-015", message, _ANEW, file=self.path))


def open_package(path: Path, entries: Mapping[str, Entry] | None = None) -> PackageFiles:
    """Open the model package in a folder, or of `entries` in an archive; links and other files are ignored.

    Raises:
        InputError: LS-FMT-001 of another format; LS-MOD-004 files missing, unknown, linked or of another size;
            LS-MOD-007 model.json is no plain JSON.
    """
    data = _description_bytes(path, entries)
    description = parse_json(data, path / DESCRIPTION if entries is None else path)
    MODEL_PACKAGE.check(description.get("format"), path)
    stated = description.get("files")
    known = {WEIGHTS, CARD, LICENSE, ONNX}
    if not isinstance(stated, dict) or not {WEIGHTS, CARD, LICENSE} <= set(stated) <= known:
        message = f"model.json names other files than {WEIGHTS}, {CARD}, {LICENSE} and perhaps {ONNX}"
        raise InputError(Issue("LS-MOD-004", message, _ANEW, file=path))
    if entries is not None and (foreign := set(entries) - set(stated) - {DESCRIPTION}):
        message = f"the archive holds more than its model.json names, first {min(foreign)[:80]!r}"
        raise InputError(Issue("LS-MOD-004", message, _ANEW, file=path))
    for name, claim in stated.items():
        _reject_misfit(name, claim, _size(path, entries, name), path)
    return PackageFiles(path, entries, description, hashlib.sha256(data).hexdigest())


def _description_bytes(path: Path, entries: Mapping[str, Entry] | None) -> bytes:
    size = _size(path, entries, DESCRIPTION)
    if size > MAX_JSON_BYTES:
        message = f"{DESCRIPTION} has {size} bytes, at most {MAX_JSON_BYTES} are read"
        raise InputError(Issue("LS-MOD-007", message, _ANEW, file=path))
    if entries is None:
        return (path / DESCRIPTION).read_bytes()
    return b"".join(blocks(path, entries[DESCRIPTION].offset, entries[DESCRIPTION].size))


def _size(path: Path, entries: Mapping[str, Entry] | None, name: str) -> int:
    if entries is not None:
        if name not in entries:
            raise InputError(Issue("LS-MOD-004", f"the archive has no {name}", _ANEW, file=path))
        return entries[name].size
    try:
        about = os.lstat(path / name)
    except OSError:
        raise InputError(Issue("LS-MOD-004", f"the folder has no {name}", _ANEW, file=path)) from None
    if not stat.S_ISREG(about.st_mode):
        message = f"{name} is a link or a device, expected a file"
        raise InputError(
            Issue("LS-MOD-004", message, "copy the model package with files in place of links (cp -L)", file=path)
        )
    return about.st_size


def _reject_misfit(name: str, claim: Any, size: int, path: Path) -> None:
    limit = _MAX_TEXT_BYTES if name in {CARD, LICENSE} else MAX_FILE_BYTES
    if not isinstance(claim, dict) or not isinstance(sha256 := claim.get("sha256"), str) or size > limit:
        message = f"{name} has no hash in model.json, or more than {limit} bytes"
        raise InputError(Issue("LS-MOD-004", message, _ANEW, file=path))
    if claim.get("bytes") != size or not _SHA256.fullmatch(sha256):
        message = f"{name} has {size} bytes, model.json states another size or no hash"
        raise InputError(Issue("LS-MOD-004", message, _ANEW, file=path))
