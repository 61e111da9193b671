"""Zip archives from outside: the entries of an archive once its names, sizes and places are known to be harmless.

Nothing is unpacked here, and no name of an entry becomes a path.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal

Reason = Literal["damaged", "outside", "special", "encrypted", "size", "method"]

_DIRECTORY_BYTES = 16 << 20  # of the list of entries, which zipfile holds in memory
_HARMLESS_BYTES = 256 << 20  # up to this size any ratio is accepted
_RATIO = 200  # bytes of content per stored byte; CT has 2 to 5, the limit of deflate is 1032
_COMMENT_BYTES = 1 << 16
_BLOCK = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")
UNREADABLE = (
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
"""Errors that zipfile raises for invalid archives."""


class UnsafeArchiveError(Exception):
    """An archive that is rejected: the reason, a message without names, and the name of the entry if there is one."""

    def __init__(self, reason: Reason, message: str, name: str = "") -> None:
        super().__init__(message)
        self.reason, self.message, self.name = reason, message, name


@dataclass(frozen=True)
class Limits:
    """The largest archive that is read; `methods` are the accepted compression methods by zipfile's constants."""

    entries: int
    entry_bytes: int
    total_bytes: int
    methods: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """A file in an archive: its stored bytes begin at `offset`; `size` and `crc` are those of its content."""

    info: zipfile.ZipInfo
    path: PurePosixPath
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.info.file_size

    @property
    def crc(self) -> int:
        """CRC-32 of the content, as the archive states it."""
        return self.info.CRC


@contextmanager
def open_archive(file: Path, limits: Limits) -> Iterator[tuple[zipfile.ZipFile, Mapping[str, Entry]]]:
    """The archive and its files by name; folders are omitted.

    Backslashes in names count as slashes, as old Windows tools write them. Errors of zipfile inside the block become
    `UnsafeArchiveError` too.

    Raises:
        UnsafeArchiveError: the archive is damaged or no regular file; it exceeds the limits or unpacks to far more than
            its own size; entries overlap or have the same name; an entry has a name that leads out of the archive, is a
            link, a device, encrypted, or compressed by another method.
        OSError: the file cannot be read.
    """
    try:
        with file.open("rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise zipfile.BadZipFile
            _check_size(handle, limits)
            with zipfile.ZipFile(handle) as archive:
                yield archive, _checked(archive, handle, limits)
    except UNREADABLE as error:
        raise UnsafeArchiveError("damaged", f"damaged, or not a zip archive ({type(error).__name__})") from None


def blocks(file: Path, offset: int, size: int) -> Iterator[bytes]:
    """`size` bytes of a file from `offset` on, one megabyte at a time; fewer if the file is shorter."""
    with file.open("rb") as handle:
        handle.seek(offset)
        while size and (block := handle.read(min(_BLOCK, size))):
            size -= len(block)
            yield block


def is_whole(file: Path, entry: Entry) -> bool:
    """Whether the bytes of a stored entry have the checksum that the archive states."""
    crc = 0
    for block in blocks(file, entry.offset, entry.size):
        crc = zlib.crc32(block, crc)
    return crc == entry.crc


def _check_size(handle: BinaryIO, limits: Limits) -> None:
    """Reject a file that is too large, or whose list of entries would fill the memory, before zipfile reads it."""
    size = handle.seek(0, os.SEEK_END)
    if size > limits.total_bytes:
        raise UnsafeArchiveError("size", f"the file has {size} bytes, expected at most {limits.total_bytes}")
    handle.seek(max(0, size - _COMMENT_BYTES - _END.size - _LOCATOR.size - _END_64.size))
    tail = handle.read()
    handle.seek(0)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise zipfile.BadZipFile
    stated = _END.unpack_from(tail, at)[5]
    large = at - _LOCATOR.size - _END_64.size
    if large >= 0 and tail[at - _LOCATOR.size :].startswith(b"PK\6\7"):  # zipfile uses this record then
        stated = _END_64.unpack_from(tail, large)[8]
    if stated > _DIRECTORY_BYTES:
        message = f"its list of entries has {stated} bytes, expected at most {_DIRECTORY_BYTES}"
        raise UnsafeArchiveError("size", message)


def _checked(archive: zipfile.ZipFile, handle: IO[bytes], limits: Limits) -> dict[str, Entry]:
    infos = archive.infolist()
    if len(infos) > limits.entries:
        raise UnsafeArchiveError("size", f"{len(infos)} entries, expected at most {limits.entries}")
    paths = [PurePosixPath(info.filename.replace("\\", "/")) for info in infos]
    for info, path in zip(infos, paths, strict=True):
        _check_entry(info, path, limits)
    content, stored = (sum(getattr(info, name) for info in infos) for name in ("file_size", "compress_size"))
    if content > min(limits.total_bytes, max(_HARMLESS_BYTES, _RATIO * stored)):
        raise UnsafeArchiveError("size", f"{content} bytes to unpack of {stored}")
    _check_places(infos, archive.start_dir, {info.header_offset: _LOCAL.size for info in infos})
    heads = {info.header_offset: _head_bytes(info, handle) for info in infos}
    _check_places(infos, archive.start_dir, heads)
    found: dict[str, Entry] = {}
    for info, path in zip(infos, paths, strict=True):
        if info.is_dir():
            continue
        if info.orig_filename in found:
            raise UnsafeArchiveError("damaged", "two entries have the same name", info.orig_filename)
        found[info.orig_filename] = Entry(info, path, info.header_offset + heads[info.header_offset])
    return found


def _check_entry(info: zipfile.ZipInfo, path: PurePosixPath, limits: Limits) -> None:
    name = info.orig_filename
    if not path.parts or path.is_absolute() or ".." in path.parts or _DRIVE.match(str(path)) or "\0" in name:
        raise UnsafeArchiveError("outside", "the name of an entry leads out of the archive", name)
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeArchiveError("special", "an entry is a link or a device", name)
    if info.flag_bits & 0x41:  # by password, or by certificate
        raise UnsafeArchiveError("encrypted", "archive is encrypted", name)
    if info.compress_type not in limits.methods:
        raise UnsafeArchiveError("method", "an entry has a compression method that is not accepted", name)
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        raise UnsafeArchiveError("damaged", "an entry that is not compressed states two sizes", name)
    if info.file_size > max(_HARMLESS_BYTES, min(limits.entry_bytes, _RATIO * info.compress_size)):
        message = f"an entry has {info.file_size} bytes, packed into {info.compress_size}"
        raise UnsafeArchiveError("size", message, name)


def _check_places(infos: list[zipfile.ZipInfo], end: int, heads: Mapping[int, int]) -> None:
    """Each entry, with the bytes of its head by offset, ends before the next one begins."""
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        if info.header_offset + heads[info.header_offset] + info.compress_size > end:
            raise UnsafeArchiveError("size", "its entries overlap, or exceed the file", info.orig_filename)
        end = info.header_offset


def _head_bytes(info: zipfile.ZipInfo, handle: IO[bytes]) -> int:
    """Bytes between the place of an entry and its content; the name there is that of the list of entries."""
    handle.seek(info.header_offset)
    local = _LOCAL.unpack(handle.read(_LOCAL.size))
    name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
    if local[0] != b"PK\3\4" or handle.read(local[9]) != name:
        raise UnsafeArchiveError("damaged", "an entry has another name at its place in the file", info.orig_filename)
    return _LOCAL.size + int(local[9]) + int(local[10])
