"""Keyed hashes instead of names: ids, redacted paths, and the private table that leads back.

The key never leaves the folder it lies in. Whoever has it can compute the hash of a name he knows; nobody else can.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import os
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from uuid import uuid4

from liverspleen.errors import InputError, Issue
from liverspleen.organs import ORGAN_KEYS
from liverspleen.storage import complete_file

_KEY_BYTES = 32
_ID_DIGITS = 16  # 64 bits: among a million names two share an id with a chance below 1e-7
_LINK_COLUMNS = ("kind", "hash", "real")
_SUFFIXES = (".nii.gz", ".nii", ".dcm", ".png", ".csv", ".json")
_PLAIN = frozenset(
    {"images", "labels", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "dataset.json"}
    | {"meta.csv", "segmentations", "ct.nii.gz", "DICOM_anon", "Ground"}
    | {f"{key}.nii.gz" for key in ORGAN_KEYS}
)
"""Names that belong to a layout and tell nothing about a patient."""


def comparable(name: str) -> str:
    """Equal for names that some file system does not distinguish.

    >>> comparable("Müller") == comparable("MU\u0308LLER")
    True
    """
    return unicodedata.normalize("NFC", name).casefold()


class Hidden(str):
    """A path that has been redacted."""

    __slots__ = ()


@dataclass(frozen=True)
class Identity:
    """Names as they may be seen outside.

    With `names` the source's own names of cases, patients and files are kept (public datasets); fields of DICOM headers
    are hashed all the same. `roots` are the folders that paths are told relative to. `links` collects what each hash
    stands for.
    """

    key: bytes = field(repr=False)
    names: bool = False
    roots: tuple[Path, ...] = ()
    links: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def hashed(self, kind: str, text: str) -> str:
        """The keyed hash of `text` among those of its kind, noted in `links`."""
        digest = hmac.new(self.key, f"{kind}\0{text}".encode(errors="surrogateescape"), hashlib.sha256)
        token = digest.hexdigest()[:_ID_DIGITS]
        self.links[kind, token] = text
        return token

    def case_id(self, name: str, key: str) -> str:
        """Id of a case called `name` in its source; `key` is what the hash is taken of."""
        return name.replace("/", "_") if self.names else self.hashed("case", key)

    def patient_id(self, patient: str, *, from_header: bool) -> str:
        """Id of a patient; text from a DICOM header is hashed even where names are kept."""
        return patient if self.names and not from_header else self.hashed("patient", patient)

    def path(self, path: str | PurePath) -> str:
        """A path relative to the root it lies in, each component hashed; suffixes stay, and names every layout has.

        A path that comes from here comes back as it is.
        """
        if isinstance(path, Hidden):
            return path
        relative = PurePath(path)
        for root in self.roots:
            if relative.is_relative_to(root):
                relative = relative.relative_to(root)
                break
        if self.names and not relative.is_absolute():
            return Hidden(os.fsencode(relative).decode(errors="backslashreplace"))  # bytes that are no UTF-8 escaped
        return Hidden("/".join(self._component(part) for part in relative.parts if part != relative.anchor) or ".")

    def issue(self, issue: Issue) -> Issue:
        """The issue with its file redacted."""
        return issue if issue.file is None else replace(issue, file=self.path(issue.file))

    def _component(self, part: str) -> str:
        if part in _PLAIN or part in {".", ".."}:
            return part
        suffix = next((s for s in _SUFFIXES if part.lower().endswith(s)), "")
        return self.hashed("name", part[: len(part) - len(suffix)]) + suffix


def default_key() -> Path:
    """Where the key lies unless another file is named: in the user's config folder."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "liverspleen" / "import.key"


def read_key(file: Path) -> tuple[bytes, bool]:
    """The key in a file, and whether it has just been made, as it is when there is none (readable by its owner only).

    Two processes that make it at once end with one key.

    Raises:
        InputError: LS-IDN-001 it cannot be read or made, LS-IDN-002 others may read it, LS-IDN-003 it is no key.
    """
    try:
        made = not file.exists() and _make(file)
        if os.name == "posix" and (mode := file.stat().st_mode & 0o777) & 0o077:
            raise InputError(Issue("LS-IDN-002", f"the key may be read by others (mode {mode:04o})", "chmod 600 it"))
        text = file.read_bytes().strip()
    except OSError as error:
        message = f"the key cannot be read or made ({error.strerror or type(error).__name__})"
        raise InputError(Issue("LS-IDN-001", message, "name another file by key=")) from error
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        message = f"the key file does not hold {2 * _KEY_BYTES} or more hexadecimal digits"
        raise InputError(Issue("LS-IDN-003", message, "name another file by key=; one that is absent is made"))
    return key, made


def write_links(file: Path, identity: Identity) -> None:
    """Write what each hash stands for as CSV that its owner alone may read; what the file says already stays in it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_LINK_COLUMNS)
    writer.writerows(sorted({*_links(file), *((*hashed, real) for hashed, real in identity.links.items())}))
    with complete_file(file) as temporary:
        _write_private(temporary, text.getvalue().encode("utf-8", errors="surrogateescape"))


def _links(file: Path) -> Iterator[tuple[str, ...]]:
    """The rows of earlier imports: of other covariates, or of cases that have left the source since."""
    if file.exists():
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            rows = csv.reader(stream)
            next(rows, None)
            yield from (tuple(row) for row in rows if len(row) == len(_LINK_COLUMNS))


def inside(file: Path, folders: Iterable[Path]) -> bool:
    """Whether a file lies in one of the folders, links followed."""
    real = Path(os.path.realpath(file))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)


def _make(file: Path) -> bool:
    """Make a key; False if another process was first."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".part-{uuid4().hex[:8]}-{file.name}")
    try:
        _write_private(temporary, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        os.link(temporary, file)  # unlike a rename, it never replaces the key of another process
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
