"""Unpack the scans of a zip archive into a temporary folder, under names that do not come from the archive."""

from __future__ import annotations

import io
import shutil
import signal
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from liverspleen.cohort.skipped_files import skipped_entries
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.dicom.header import is_marked
from liverspleen.imaging.files import is_detached, strip_suffix
from liverspleen.zip_archive import Entry, Limits, UnsafeArchiveError, open_archive

SUFFIX = ".zip"

DAMAGED, NO_SPACE, NESTED = "LS-SCN-001", "LS-SCN-007", "LS-SCN-008"
_UNPACK_YOURSELF = "unpack it, and give the folder"
_REJECTED = {
    "damaged": (DAMAGED, "copy it again from its source"),
    "outside": ("LS-SCN-002", "do not trust it"),
    "special": ("LS-SCN-003", "create it again with regular files only"),
    "encrypted": ("LS-SCN-004", _UNPACK_YOURSELF),
    "size": ("LS-SCN-005", "unpack it yourself if you trust it, and give the folder"),
    "method": ("LS-SCN-006", _UNPACK_YOURSELF),
}
"""Code and hint by the reason of the error; its message has no names of the archive, which may be those of patients."""

_LIMITS = Limits(
    entries=100_000,
    entry_bytes=8 << 30,  # twice a CT of 2 000 slices in 64-bit numbers
    total_bytes=64 << 30,
    methods=(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """Unpacked content of an archive, under generated names.

    `nifti` gives the name in the archive of each image file that holds its own voxels. The DICOM files are below
    `dicom`, in one folder per folder of the archive; `folders` gives the name there, `.` for the top.
    """

    nifti: dict[Path, PurePosixPath]
    dicom: Path
    folders: dict[str, str]
    notes: tuple[Issue, ...]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder that only its owner can read, and remove it afterwards, also after Ctrl-C and SIGTERM.

    Raises:
        InputError: LS-SCN-007 none can be made.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix="liverspleen-")
    except OSError as error:
        raise InputError(_no_space(error.strerror or type(error).__name__)) from error
    with _end_at_sigterm(), made as name:
        yield Path(name)


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack the image files and DICOM files of a zip archive into a new `folder`.

    Names in the archive never become paths. Hidden files, files of other kinds, and archives within the archive are
    skipped (LS-SCN-008 counts the archives, LS-COH-040 files of other kinds). An archive is rejected as a whole; where
    its list of entries is sufficient to reject it, before anything is written.

    Raises:
        InputError: LS-SCN-001 damaged, 002 a name that leads out of it, 003 a link or device, 004 encrypted, 005 more
            or larger entries than any scan has, or a zip bomb, 006 a compression method other than deflate, 007 not
            enough space.
    """
    try:
        with open_archive(archive, _LIMITS) as (opened, entries):
            return _written(opened, _shown(entries.values()), archive, folder)
    except UnsafeArchiveError as error:
        code, hint = _REJECTED[error.reason]
        raise InputError(Issue(code, error.message, hint, file=archive)) from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        if error.filename is None or Path(error.filename) != archive:  # the temporary folder
            raise InputError(_no_space(why)) from error
        message = f"archive cannot be read ({why})"
        raise InputError(
            Issue(DAMAGED, message, "copy the archive again, or correct its permissions", file=archive)
        ) from error


def _shown(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that are not hidden, sorted by name."""
    shown = [e for e in entries if not any(part.startswith(".") or part == "__MACOSX" for part in e.path.parts)]
    return sorted(shown, key=lambda entry: (str(entry.path), entry.info.header_offset))


def _written(opened: zipfile.ZipFile, entries: Sequence[Entry], archive: Path, folder: Path) -> Unpacked:
    dicom = folder / "dicom"
    dicom.mkdir(parents=True)
    needed, free = sum(entry.size for entry in entries), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(_no_space(f"{needed} bytes are needed, {free} are free"))
    nifti: dict[Path, PurePosixPath] = {}
    folders: dict[str, str] = {".": "."}
    numbers: dict[str, str] = {}
    nested, others = 0, list[PurePosixPath]()
    for number, entry in enumerate(entries):
        if entry.path.suffix.lower() == SUFFIX:
            nested += 1
            continue
        with opened.open(entry.info) as stream:
            bare = strip_suffix(entry.path.name)
            if bare is not None and not is_detached(entry.path.name):
                target = folder / f"{number:06d}{entry.path.name[len(bare) :]}"
                nifti[target] = entry.path
                _copy(b"", stream, target)
                continue
            first = stream.read(_BLOCK)
            if not is_marked(io.BytesIO(first)):
                others.append(entry.path)
                continue
            place = str(entry.path.parent)
            safe = numbers.setdefault(place, f"{len(numbers) + 1:06d}" if place != "." else ".")
            folders[safe] = place
            (dicom / safe).mkdir(exist_ok=True)
            _copy(first, stream, dicom / safe / f"{number:06d}")
    message = f"{counted(nested, 'archive')} inside the archive: not opened"
    note = Issue(NESTED, message, "unpack them if they contain scans", file=archive, severity="note")
    skipped = skipped_entries(archive, others)
    return Unpacked(nifti, dicom, folders, (*((note,) if nested else ()), *skipped))


def _copy(first: bytes, stream: IO[bytes], target: Path) -> None:
    """Copy until the end of the entry, where zipfile compares checksums; it returns at most the stated bytes."""
    with target.open("xb") as file:
        file.write(first)
        shutil.copyfileobj(stream, file, _BLOCK)


def _no_space(why: str) -> Issue:
    message = f"archive cannot be unpacked into the temporary folder ({why})"
    return Issue(NO_SPACE, message, "free space, or set the environment variable TMPDIR to another folder")


@contextmanager
def _end_at_sigterm() -> Iterator[None]:
    """Turn SIGTERM, as schedulers send it, into an exit that cleans up, unless another handler is installed."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
