"""Keyed hashes instead of names: ids, redacted paths, and the private table from hashes to names.

The key stays in its folder. Only with the key can the hash of a known name be computed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from uuid import uuid4

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import FORMATS
from liverspleen.organs import ORGAN_KEYS
from liverspleen.reading import check_regular, read_bytes
from liverspleen.spreadsheet import csv_records, csv_text
from liverspleen.storage import complete_file

_KEY_BYTES = 32
_ID_DIGITS = 16  # 64 bits: among a million names two share an id with a chance below 1e-7
_LINK_COLUMNS = ("kind", "hash", "real")
_SUFFIXES = (*FORMATS, ".dcm", ".png", ".csv", ".json")
_LAYOUT_NAMES = frozenset(
    {"images", "labels", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "dataset.json"}
    | {"meta.csv", "segmentations", "ct.nii.gz", "DICOM_anon", "Ground"}
    | {f"{key}.nii.gz" for key in ORGAN_KEYS}
)
"""Names of files and folders that belong to a layout, not to a patient."""


class RedactedPath(str):
    """A path that is redacted."""

    __slots__ = ()


@dataclass(frozen=True)
class Identity:
    """Redaction of names by keyed hashes.

    With `names` the names of cases, patients and files in the source are kept (public datasets); fields of DICOM
    headers are hashed nevertheless. Redacted paths are relative to one of the `roots`. `links` collects the text of
    each hash.
    """

    key: bytes = field(repr=False)
    names: bool = False
    roots: tuple[Path, ...] = ()
    links: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def hashed(self, kind: str, text: str) -> str:
        """Return the keyed hash of a text of a kind, and add it to `links`."""
        digest = hmac.new(self.key, f"{kind}\0{text}".encode(errors="surrogateescape"), hashlib.sha256)
        token = digest.hexdigest()[:_ID_DIGITS]
        self.links[kind, token] = text
        return token

    def case_id(self, name: str, key: str) -> str:
        """Return the id of a case with this `name` in its source; the hash is that of `key`.

        A case with the name `.`, as of DICOM files directly in the source, has the name of the source.
        """
        return self._of_source(name).replace("/", "_") if self.names else self.hashed("case", key)

    def patient_id(self, patient: str, *, from_header: bool) -> str:
        """Return the id of a patient; text from a DICOM header is hashed even if names are kept."""
        return self._of_source(patient) if self.names and not from_header else self.hashed("patient", patient)

    def _of_source(self, name: str) -> str:
        if name != "." or not self.roots:
            return name
        source = self.roots[0]
        return source.stem if source.suffix.lower() == ".zip" else source.name

    def path(self, path: str | PurePath) -> str:
        """Return a path relative to its root, with each component hashed except suffixes and names of layouts.

        A redacted path is returned unchanged.
        """
        if isinstance(path, RedactedPath):
            return path
        relative = PurePath(path)
        for root in self.roots:
            if relative.is_relative_to(root):
                relative = relative.relative_to(root)
                break
        if self.names and not relative.is_absolute():
            # bytes that are not UTF-8 are escaped
            return RedactedPath(os.fsencode(relative).decode(errors="backslashreplace"))
        parts = (self._component(part) for part in relative.parts if part != relative.anchor)
        return RedactedPath("/".join(parts) or ".")

    def issue(self, issue: Issue) -> Issue:
        """Return the issue with redacted files."""
        if issue.file is None:
            return issue
        further = tuple(self.path(file) for file in issue.further_files)
        return replace(issue, file=self.path(issue.file), further_files=further)

    def _component(self, part: str) -> str:
        if part in _LAYOUT_NAMES or part in {".", ".."}:
            return part
        suffix = next((ending for ending in _SUFFIXES if part.lower().endswith(ending)), "")
        return self.hashed("name", part[: len(part) - len(suffix)]) + suffix


def default_key() -> Path:
    """Return the default file of the key, in the user's config folder."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "liverspleen" / "import.key"


def read_key(file: Path) -> tuple[bytes, bool]:
    """Read the key, and return whether it was created, as it is if the file does not exist.

    Only the owner can read a new key. If two processes create the key at the same time, both get the same one.

    Raises:
        InputError: LS-IDN-001 it cannot be read or created, LS-IDN-002 other users can read it, LS-IDN-003 it is not
            valid.
    """
    try:
        created = not file.exists() and _create(file)
        if os.name == "posix" and (mode := file.stat().st_mode & 0o777) & 0o077:
            message = f"key has the mode {mode:04o}, expected 0600"
            raise InputError(Issue("LS-IDN-002", message, "run chmod 600 on the file of the key"))
        text = read_bytes(file).strip()
    except OSError as error:
        message = f"key cannot be read or created ({error.strerror or type(error).__name__})"
        raise InputError(Issue("LS-IDN-001", message, "give another file by key=")) from error
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        message = f"key is not valid, expected {2 * _KEY_BYTES} or more hexadecimal digits"
        raise InputError(Issue("LS-IDN-003", message, "give another file by key=; a missing file is created"))
    return key, created


def write_links(file: Path, identity: Identity) -> None:
    """Write the text of each hash as CSV that only its owner can read; rows of an existing file are kept."""
    rows = sorted({*_links(file), *((*hashed, real) for hashed, real in identity.links.items())})
    with complete_file(file) as temporary:
        _write_private(temporary, csv_text([_LINK_COLUMNS, *rows]).encode("utf-8", errors="surrogateescape"))


def _links(file: Path) -> Iterator[tuple[str, ...]]:
    """Yield the rows of earlier imports, which may be of other covariates or of cases no longer in the source."""
    if file.exists() and check_regular(file):
        rows = csv_records(file.read_bytes().decode("utf-8", errors="surrogateescape"))[1:]
        yield from (tuple(row) for row in rows if len(row) == len(_LINK_COLUMNS))


def inside(file: Path, folders: Iterable[Path]) -> bool:
    """Whether a file is in one of the folders, with links resolved."""
    real = Path(os.path.realpath(file))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)


def _create(file: Path) -> bool:
    """Create a key; False if another process created it first."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".part-{uuid4().hex[:8]}-{file.name}")
    try:
        _write_private(temporary, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        os.link(temporary, file)  # unlike a rename, a link never replaces the key of another process
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _write_private(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
