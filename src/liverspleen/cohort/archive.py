"""Zip archives of scans, unpacked into a temporary folder under names of our own, within bounds, or rejected."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import stat
import struct
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom.header import is_marked
from liverspleen.imaging.nifti import strip_suffix

SUFFIX = ".zip"

DAMAGED, OUTSIDE, SPECIAL, ENCRYPTED = "LS-SCN-001", "LS-SCN-002", "LS-SCN-003", "LS-SCN-004"
TOO_LARGE, METHOD, NO_ROOM, NESTED = "LS-SCN-005", "LS-SCN-006", "LS-SCN-007", "LS-SCN-008"

_ENTRY_BYTES = 8 << 30  # a CT of 2 000 slices in 64-bit numbers has half of it
_TOTAL_BYTES = 64 << 30
_FREE_BYTES = 256 << 20  # up to here any ratio is harmless
_RATIO = 200  # bytes of content to one byte stored; CT has 2 to 5, deflate's limit is 1032
_ENTRIES = 100_000
_DIRECTORY_BYTES = 16 << 20  # of the list of entries, which zipfile holds in memory
_LOCAL_HEADER_BYTES = 30
_LOCATOR_BYTES, _ZIP64_BYTES = 20, 56  # of what stands before the record at the end of a large archive
_BLOCK = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    ValueError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What zipfile raises on bytes that are no sound archive."""


@dataclass(frozen=True)
class Unpacked:
    """What lies in an archive, under names of our own.

    `nifti` has the name in the archive of each file called `.nii.gz` or `.nii`, wherever it lies there. The DICOM files
    are below `dicom`, in one folder for each of the archive's; `folders` has its name there, `.` for the top.
    """

    nifti: dict[Path, PurePosixPath]
    dicom: Path
    folders: dict[str, str]
    notes: tuple[Issue, ...]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for its owner alone that is gone afterwards, also after Ctrl-C and a polite kill (SIGTERM).

    Raises:
        InputError: LS-SCN-007 none can be made.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix="liverspleen-")
    except OSError as error:
        raise InputError(_no_room(error.strerror or type(error).__name__)) from error
    with _end_at_sigterm(), made as name:
        yield Path(name)


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack the NIfTI and DICOM files of a zip archive into a new `folder`.

    Names in the archive never become paths. Hidden files, what is neither kind, and archives within it are passed over
    (LS-SCN-008 notes the last). The archive is rejected as a whole, before anything is written where its list of
    entries tells.

    Raises:
        InputError: LS-SCN-001 damaged, 002 a name that leads out of it, 003 a link or device, 004 encrypted, 005 more
            or larger entries than any scan has, or built to burst, 006 a compression method other than deflate,
            007 not enough room.
    """
    try:
        with archive.open("rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise zipfile.BadZipFile
            _check_directory(handle, archive)
            with zipfile.ZipFile(handle) as opened:
                entries = _checked(opened, archive)
                return _written(opened, entries, archive, folder)
    except OSError as error:
        if error.filename is None or Path(error.filename) != archive:  # writing it
            raise InputError(_no_room(error.strerror or type(error).__name__)) from error
        message = f"archive cannot be read ({error.strerror or type(error).__name__})"
        raise InputError(Issue(DAMAGED, message, "make it a readable file", file=archive)) from error
    except _UNREADABLE as error:
        message = f"archive is damaged, or no zip ({type(error).__name__})"
        raise InputError(Issue(DAMAGED, message, "copy it again from its source", file=archive)) from None


@dataclass(frozen=True)
class _Entry:
    info: zipfile.ZipInfo
    name: PurePosixPath


def _check_directory(handle: BinaryIO, archive: Path) -> None:
    """Reject a list of entries that would fill the memory, before zipfile reads it."""
    size = handle.seek(0, os.SEEK_END)
    handle.seek(max(0, size - (1 << 16) - 98))  # a comment, and the records at the end
    tail = handle.read()
    handle.seek(0)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile
    stated = struct.unpack("<L", tail[at + 12 : at + 16])[0]
    large = at - _LOCATOR_BYTES - _ZIP64_BYTES
    if tail[at - _LOCATOR_BYTES :].startswith(b"PK\6\7") and large >= 0:  # zipfile believes it, whatever the other says
        stated = struct.unpack("<Q", tail[large + 40 : large + 48])[0]
    if stated > _DIRECTORY_BYTES:
        raise InputError(
            _burst(archive, f"its list of entries has {stated} bytes, expected at most {_DIRECTORY_BYTES}")
        )


def _checked(opened: zipfile.ZipFile, archive: Path) -> list[_Entry]:
    """The files to unpack, in the order of their names; everything in the archive has been looked at."""
    infos = opened.infolist()
    if len(infos) > _ENTRIES:
        raise InputError(_burst(archive, f"{len(infos)} entries, expected at most {_ENTRIES}"))
    names = [PurePosixPath(info.filename.replace("\\", "/")) for info in infos]  # as old Windows tools write them
    found = (issue for info, name in zip(infos, names, strict=True) if (issue := _issue(info, name, archive)))
    if (first := next(found, None)) is not None:
        raise InputError(first)
    end = opened.start_dir
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        stored = _LOCAL_HEADER_BYTES + info.compress_size
        if info.header_offset + stored > end:
            raise InputError(_burst(archive, "its entries share bytes, or lie beyond its end"))
        end = info.header_offset
    content = sum(info.file_size for info in infos)
    if content > _TOTAL_BYTES or content > max(_FREE_BYTES, _RATIO * sum(info.compress_size for info in infos)):
        raise InputError(_burst(archive, f"{content} bytes to unpack of {sum(info.compress_size for info in infos)}"))
    listed = [_Entry(info, name) for info, name in zip(infos, names, strict=True) if not info.is_dir()]
    shown = [e for e in listed if not any(part.startswith(".") or part == "__MACOSX" for part in e.name.parts)]
    return sorted(shown, key=lambda entry: (str(entry.name), entry.info.header_offset))


def _issue(info: zipfile.ZipInfo, name: PurePosixPath, archive: Path) -> Issue | None:
    """Why an entry makes its archive one that is not unpacked."""
    if name.is_absolute() or ".." in name.parts or _DRIVE.match(str(name)):
        return Issue(OUTSIDE, "the name of an entry leads out of the archive", "do not trust it", file=archive)
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        message = "an entry is a link or a device"
        return Issue(SPECIAL, message, "pack it again with files alone", file=archive)
    if info.flag_bits & 0x41:  # by password, or by certificate
        return Issue(ENCRYPTED, "archive is encrypted", "unpack it, and give the folder", file=archive)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        message = "archive is compressed by another method than deflate"
        return Issue(METHOD, message, "unpack it, and give the folder", file=archive)
    if info.file_size > max(_FREE_BYTES, min(_ENTRY_BYTES, _RATIO * info.compress_size)):
        return _burst(archive, f"an entry has {info.file_size} bytes, packed into {info.compress_size}")
    return None


def _written(opened: zipfile.ZipFile, entries: list[_Entry], archive: Path, folder: Path) -> Unpacked:
    dicom = folder / "dicom"
    dicom.mkdir(parents=True)
    needed, free = sum(entry.info.file_size for entry in entries), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(_no_room(f"{needed} bytes are needed, {free} are free"))
    nifti: dict[Path, PurePosixPath] = {}
    folders: dict[str, str] = {".": "."}
    numbers: dict[str, str] = {}
    nested = 0
    for number, entry in enumerate(entries):
        if entry.name.suffix.lower() == SUFFIX:
            nested += 1
            continue
        with opened.open(entry.info) as stream:
            if (bare := strip_suffix(entry.name.name)) is not None:
                target = folder / f"{number:06d}{entry.name.name[len(bare) :]}"
                nifti[target] = entry.name
                _copy(b"", stream, target)
                continue
            first = stream.read(_BLOCK)
            if not is_marked(io.BytesIO(first)):
                continue
            place = str(entry.name.parent)
            safe = numbers.setdefault(place, f"{len(numbers) + 1:06d}" if place != "." else ".")
            folders[safe] = place
            (dicom / safe).mkdir(exist_ok=True)
            _copy(first, stream, dicom / safe / f"{number:06d}")
    message = f"{nested} archives within it are not opened"
    note = Issue(NESTED, message, "unpack it if they hold scans", file=archive, severity="note")
    return Unpacked(nifti, dicom, folders, (note,) if nested else ())


def _copy(first: bytes, stream: IO[bytes], target: Path) -> None:
    """To the end of the entry, where zipfile compares checksums; it gives no more bytes than the entry states."""
    with target.open("xb") as file:
        file.write(first)
        shutil.copyfileobj(stream, file, _BLOCK)


def _burst(archive: Path, message: str) -> Issue:
    return Issue(TOO_LARGE, f"archive is not unpacked: {message}", "unpack it yourself if you trust it", file=archive)


def _no_room(why: str) -> Issue:
    message = f"archive cannot be unpacked into the temporary folder ({why})"
    return Issue(NO_ROOM, message, "make room, or name another folder in the environment variable TMPDIR")


@contextmanager
def _end_at_sigterm() -> Iterator[None]:
    """Turn SIGTERM, as schedulers send it, into an exit that cleans up; only where nobody else handles it."""
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
