"""The bytes of a file that may be gzip-compressed, read to its checksum."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from isal import isal_zlib  # three times zlib's rate where the whole is asked for at once

from liverspleen.errors import InputError, Issue

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # gzip framing, whose CRC-32 and length are compared at the end of each member
_DAMAGED: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # its stub says it is an instance
_DEFLATE_LIMIT = 1032  # bytes that one byte of deflate can stand for, at most (zlib's technical notes)
_RATIO_LIMIT = 500  # CT has 2 to 5, a label map of few organs some hundred, nothing at all 1029
_HARMLESS_BYTES = 1 << 30  # up to here any ratio is
_SURPLUS_BYTES = 1 << 28  # that may follow the voxels, beside as much as they have themselves
_BLOCK = 1 << 18  # of the content inflated at a time at least
_DROPPED = 1 << 24  # of what follows it; each time the rest of the stored chunk is copied
_CHUNK = 1 << 20  # of a file read at a time


@dataclass(frozen=True)
class Source:
    """A file being read and the case it belongs to, so that every issue can name both."""

    path: Path
    case_id: str | None = None

    def rejected(self, code: str, message: str, hint: str) -> InputError:
        """The rejection of this file, to be raised."""
        return InputError(Issue(code, message, hint, case_id=self.case_id, file=self.path))


def read_stored(source: Source, size: int = -1) -> bytes:
    """The file's bytes as stored; the first `size` of them if given.

    Raises:
        InputError: LS-IMG-001 the file is missing, LS-IMG-002 it cannot be read, LS-IMG-031 it is larger than the
            free memory.
    """
    try:
        reject_special(source)
        with source.path.open("rb") as handle:
            if size < 0:
                reject_beyond_memory(source, os.fstat(handle.fileno()).st_size)
            return handle.read(size)
    except FileNotFoundError:
        raise _missing(source) from None
    except OSError as error:
        raise _unreadable(source, error) from error


def reject_special(source: Source) -> None:
    """Reject (LS-IMG-002) what is there but is no regular file: a pipe would be waited for."""
    if source.path.exists() and not source.path.is_file():
        raise source.rejected("LS-IMG-002", "it is no regular file", "make it a readable file")


def reject_beyond_memory(source: Source, size: int) -> None:
    """Reject (LS-IMG-031) what needs more memory than the machine has free, where it tells (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return
    if size > free:
        message = f"the image takes {size} bytes, and the machine has {free} bytes of free memory"
        raise source.rejected("LS-IMG-031", message, "read it on a machine with more memory")


def head(stored: bytes, size: int) -> bytes:
    """Up to `size` first bytes of the content, empty if its compression is damaged; no checksum is looked at."""
    if not stored.startswith(_GZIP_MAGIC):
        return stored[:size]
    try:
        return isal_zlib.decompressobj(_GZIP_WBITS).decompress(stored, size)
    except _DAMAGED:
        return b""


def content(source: Source, stored: bytes, size: int) -> bytes:
    """The first `size` bytes of the content; a compressed stream is read to its end and its checksums are compared.

    Memory stays near `size` whatever the stream holds; bytes past `size` are read and dropped.

    Raises:
        InputError: LS-IMG-004 there are fewer bytes, LS-IMG-005 the stream is damaged, LS-IMG-030 it is built to fill
            the memory, LS-IMG-031 it is larger than the free memory.
    """
    if stored.startswith(_GZIP_MAGIC):
        reject_beyond_memory(source, size)
        # the stream in one piece, as its content: that is written in its place without a detour
        (found,) = _blocks(source, _Stored(io.BytesIO(stored), len(stored), len(stored)), size, size, size)
        return found
    if len(stored) < size:
        raise _truncated(source, size, str(len(stored)))
    return stored[:size]


def content_blocks(source: Source, size: int, *, first: int, block: int) -> Iterator[bytes]:
    """The first `size` bytes of a file's content: `first` of them, then blocks of `block` bytes; as `content`.

    Memory stays near the largest block. What follows them is read when the last one has been taken: until the blocks
    end without a rejection, nothing that was made of them counts.

    Raises:
        InputError: as `read_stored` and `content`.
    """
    try:
        reject_special(source)
        with source.path.open("rb") as handle:
            stored = _Stored(handle, os.fstat(handle.fileno()).st_size, _CHUNK)
            yield from _blocks(source, stored, size, first, block)
    except FileNotFoundError:
        raise _missing(source) from None
    except OSError as error:
        raise _unreadable(source, error) from error


class _Stored(NamedTuple):
    """An open file of `size` bytes, of which `chunk` are taken at a time."""

    handle: BinaryIO
    size: int
    chunk: int

    def take(self) -> bytes:
        """The next chunk, empty at the end."""
        return self.handle.read(self.chunk)


def _blocks(source: Source, stored: _Stored, size: int, first: int, block: int) -> Iterator[bytes]:
    # one by one: a header can state more blocks than a list can hold
    sizes = chain([first], (min(block, size - start) for start in range(first, size, block)))
    beginning = stored.take()
    if not beginning.startswith(_GZIP_MAGIC):
        if stored.size < size:
            raise _truncated(source, size, str(stored.size))
        stored.handle.seek(0)
        yield from (stored.handle.read(wanted) for wanted in sizes)
        return
    if size > _DEFLATE_LIMIT * stored.size:
        raise _truncated(source, size, f"at most {_DEFLATE_LIMIT * stored.size}")
    if size > max(_HARMLESS_BYTES, _RATIO_LIMIT * stored.size):
        message = f"{size} bytes are compressed into {stored.size} bytes, which is not possible for a CT image"
        raise source.rejected(
            "LS-IMG-030", message, "do not trust this file; if it is a CT, save it again without compression"
        )
    inflated = _inflated(source, stored, beginning, size, largest=max(first, block))
    rest, found = b"", 0
    for wanted in sizes:
        parts, lack = [rest[:wanted]], wanted - len(rest[:wanted])
        rest = rest[wanted:]
        while lack:
            if not (part := next(inflated, b"")):
                raise _truncated(source, size, str(found + wanted - lack))
            parts.append(part[:lack])
            rest, lack = part[lack:], lack - len(parts[-1])
        found += wanted
        yield parts[-1] if len(parts[-1]) == wanted else b"".join(parts)
    for _ in inflated:  # to its checksum
        pass


def _inflated(source: Source, stored: _Stored, rest: bytes, size: int, *, largest: int) -> Iterator[bytes]:
    """What all members of a gzip stream hold, in parts, none of them empty; it begins with `rest`."""
    found = 0
    while rest.startswith(_GZIP_MAGIC):  # a gzip file may hold several members, as bgzip writes them
        member = isal_zlib.decompressobj(_GZIP_WBITS)
        while not member.eof:
            ended = not rest and not (rest := stored.take())
            before = len(rest)
            try:
                part = member.decompress(rest, max(min(size - found, largest), _BLOCK) if found < size else _DROPPED)
            except _DAMAGED as error:
                raise source.rejected(
                    "LS-IMG-005", f"compressed data are damaged ({error})", "copy the file again from its source"
                ) from error
            rest = member.unconsumed_tail
            if not part and not member.eof and (ended or len(rest) == before):
                raise _truncated(source, size, f"{min(found, size)}, and the stream has no end")
            if (found := found + len(part)) - size > max(size, _SURPLUS_BYTES):
                message = f"the header states {size} bytes, and more than {found - size} bytes follow them"
                raise source.rejected(
                    "LS-IMG-030", message, "do not trust this file; if it is a CT, convert it again from its source"
                )
            if part:
                yield part
        rest = member.unused_data
        if len(rest) < len(_GZIP_MAGIC):
            rest += stored.take()
    while rest:
        if rest.strip(b"\0"):  # zero padding is allowed after the last member
            raise source.rejected(
                "LS-IMG-005", "bytes follow the compressed data", "copy the file again from its source"
            )
        rest = stored.take()


def _missing(source: Source) -> InputError:
    return source.rejected("LS-IMG-001", "file is missing", "correct the path or bring the file")


def _unreadable(source: Source, error: OSError) -> InputError:
    reason = error.strerror or type(error).__name__
    return source.rejected("LS-IMG-002", f"file cannot be read ({reason})", "make it a readable file")


def _truncated(source: Source, expected: int, found: str) -> InputError:
    return source.rejected(
        "LS-IMG-004", f"file is truncated: {expected} bytes expected, found {found}", "copy it again from its source"
    )
