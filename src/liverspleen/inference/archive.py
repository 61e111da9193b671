"""Zip archives from outside: where each entry lies in the file, once names, sizes and places are found harmless.

Only archives of stored entries are taken, as torch writes checkpoints and `liverspleen export` writes model packages:
what is read is never larger than the file, and can be read in place.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO

from liverspleen.errors import InputError, Issue

MAX_FILE_BYTES = 8 << 30
_MAX_DIRECTORY_BYTES = 4 << 20  # some 40 000 entries; a checkpoint of Xception-65 with its optimizer has 3 000
_BLOCK = 1 << 20
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")


@dataclass(frozen=True)
class Entry:
    """The bytes of one entry: `size` of them from `offset` on in the archive; `crc` is the CRC-32 it states."""

    name: str
    offset: int
    size: int
    crc: int


def stored_entries(file: Path) -> dict[str, Entry]:
    """Entries of an archive by name; nothing is unpacked.

    Raises:
        InputError: LS-MOD-005 an entry is compressed, encrypted, a link, there twice, named like a path outside, larger
            than the file, or lies on another one; the archive is cut off or states a directory of implausible size.
    """
    try:
        with file.open("rb") as handle:
            size = handle.seek(0, 2)
            if size > MAX_FILE_BYTES:
                raise _rejected(f"the file has {size} bytes, at most {MAX_FILE_BYTES} are read", file)
            if (directory := _directory_bytes(handle, size)) > _MAX_DIRECTORY_BYTES:
                raise _rejected(f"an archive whose directory has {directory} bytes", file)
            with zipfile.ZipFile(handle) as archive:
                return _entries(archive.infolist(), archive.start_dir, handle, file)
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, EOFError) as error:
        raise _rejected(f"not an archive that can be read ({type(error).__name__})", file) from None


def blocks(file: Path, entry: Entry) -> Iterator[bytes]:
    """The bytes of an entry, a megabyte at a time; fewer than its size if the file was cut off since."""
    with file.open("rb") as handle:
        handle.seek(entry.offset)
        left = entry.size
        while left and (block := handle.read(min(_BLOCK, left))):
            left -= len(block)
            yield block


def is_whole(file: Path, entry: Entry) -> bool:
    """Whether the entry's bytes have the checksum that the archive states."""
    crc = 0
    for block in blocks(file, entry):
        crc = zlib.crc32(block, crc)
    return crc == entry.crc


def _directory_bytes(handle: IO[bytes], size: int) -> int:
    """Size of the central directory as stated at the very end of the file, where neither torch nor we put a comment."""
    handle.seek(max(0, size - _END.size))
    end = _END.unpack(handle.read(_END.size))
    if end[0] != b"PK\5\6" or end[7]:
        raise zipfile.BadZipFile
    if size < _END.size + _LOCATOR.size + _END_64.size:
        return int(end[5])
    handle.seek(size - _END.size - _LOCATOR.size)
    if _LOCATOR.unpack(handle.read(_LOCATOR.size))[0] != b"PK\6\7":
        return int(end[5])
    handle.seek(size - _END.size - _LOCATOR.size - _END_64.size)
    return int(_END_64.unpack(handle.read(_END_64.size))[8])


def _entries(infos: list[zipfile.ZipInfo], end: int, handle: IO[bytes], file: Path) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for info in infos:
        name = info.orig_filename
        if wrong := _wrong_name(name) or _wrong_kind(info):
            raise _rejected(f"entry {name[:80]!r} {wrong}", file)
        if name in found:
            raise _rejected(f"entry {name[:80]!r} is there twice", file)
        handle.seek(info.header_offset)
        local = _LOCAL.unpack(handle.read(_LOCAL.size))
        offset = info.header_offset + _LOCAL.size + local[9] + local[10]
        if local[0] != b"PK\3\4" or handle.read(local[9]) != name.encode():
            raise _rejected(f"entry {name[:80]!r} is named otherwise where it lies", file)
        if offset + info.file_size > end:
            raise _rejected(f"entry {name[:80]!r} states {info.file_size} bytes, more than the file has there", file)
        found[name] = Entry(name, offset, info.file_size, info.CRC)
    places = sorted(found.values(), key=lambda entry: (entry.offset, entry.size))
    for first, second in pairwise(places):
        if first.offset + first.size > second.offset:
            raise _rejected(f"entries {first.name[:80]!r} and {second.name[:80]!r} lie on each other", file)
    return found


def _wrong_name(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name or not name.isprintable():
        return "is named like a path outside the archive"
    return "is a folder" if name.endswith("/") else None


def _wrong_kind(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        return "is compressed"
    if info.flag_bits & 0x1:
        return "is encrypted"
    return "is a link or a device" if kind not in (0, stat.S_IFREG) else None


def _rejected(message: str, file: Path) -> InputError:
    hint = "give a checkpoint of liverspleen train, or a model package of liverspleen export as it was written"
    return InputError(Issue("LS-MOD-005", message, hint, file=file))
