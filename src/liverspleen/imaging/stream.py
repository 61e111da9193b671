"""Reading of files that may be compressed with gzip or zlib, with a check of their checksums."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from isal import isal_zlib  # three times as fast as zlib when all is decompressed at once

from liverspleen.errors import InputError, Issue

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # gzip framing, whose CRC-32 and length are compared at the end of each member
_ZLIB_WBITS = 15  # zlib framing, whose Adler-32 is compared at its end
_DAMAGED: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # its stub declares an instance
_DEFLATE_LIMIT = 1032  # largest number of bytes that one byte of deflate encodes (zlib's technical notes)
_RATIO_LIMIT = 500  # 2 to 5 for CT, some hundred for a label map of few organs, 1029 for zeros
_HARMLESS_BYTES = 1 << 30  # up to this size any ratio is accepted
_SURPLUS_BYTES = 1 << 28  # bytes that may follow the voxels; or as many as the voxels have, if that is more
_BLOCK = 1 << 18  # smallest number of bytes inflated at a time
_DROPPED = 1 << 24  # bytes inflated at a time after the voxels; each call copies the rest of the stored chunk
_CHUNK = 1 << 20  # bytes of a file read at a time

Encoding = Literal["detected", "raw", "gzip", "zlib"]
"""How bytes are stored; `detected`: as gzip if they begin like it, else raw."""


@dataclass(frozen=True)
class Source:
    """A file that is read and its case; issues name both."""

    path: Path
    case_id: str | None = None

    def error(self, code: str, message: str, hint: str) -> InputError:
        """Return the error for an issue of this file."""
        return InputError(Issue(code, message, hint, case_id=self.case_id, file=self.path))


def read_stored(source: Source, size: int = -1, *, start: int = 0) -> bytes:
    """Return the file's bytes as stored from byte `start` on, or only the first `size` of them.

    Raises:
        InputError: LS-IMG-001 the file is missing, LS-IMG-002 it cannot be read, LS-IMG-031 it is larger than the
            free memory.
    """
    try:
        reject_special(source)
        with source.path.open("rb") as handle:
            if size < 0:
                reject_beyond_memory(source, os.fstat(handle.fileno()).st_size)
            handle.seek(start)
            return handle.read(size)
    except FileNotFoundError:
        raise _missing(source) from None
    except OSError as error:
        raise _unreadable(source, error) from error


def reject_special(source: Source) -> None:
    """Reject a path that is not a regular file (LS-IMG-002): reading a pipe would block."""
    if source.path.exists() and not source.path.is_file():
        raise source.error("LS-IMG-002", "it is not a regular file", "give a regular file")


def reject_beyond_memory(source: Source, size: int) -> None:
    """Reject an image that needs more than the free memory (LS-IMG-031), if the system reports it (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return
    if size > free:
        message = f"image needs {size} bytes of memory, {free} bytes are free"
        raise source.error("LS-IMG-031", message, "use a machine with more memory")


def head(stored: bytes, size: int) -> bytes:
    """Return up to `size` first bytes of the content, empty if its compression is damaged; no checksum is compared."""
    if not stored.startswith(_GZIP_MAGIC):
        return stored[:size]
    try:
        return isal_zlib.decompressobj(_GZIP_WBITS).decompress(stored, size)
    except _DAMAGED:
        return b""


def content(source: Source, stored: bytes, size: int, encoding: Encoding = "detected") -> bytes:
    """Return the first `size` bytes of the content; a compressed stream is read to its end to compare its checksums.

    The memory needed stays near `size`, whatever the stream holds; bytes after `size` are read and dropped.

    Raises:
        InputError: LS-IMG-004 there are fewer bytes, LS-IMG-005 the stream is damaged, LS-IMG-030 it is a
            decompression bomb, LS-IMG-031 it is larger than the free memory.
    """
    if _wbits(encoding, stored) is not None:
        reject_beyond_memory(source, size)
        # stream and content in one piece each: the content is decompressed without a further copy
        whole = _Stored(io.BytesIO(stored), 0, len(stored), len(stored), encoding)
        (found,) = _blocks(source, whole, size, size, size)
        return found
    if len(stored) < size:
        raise truncated(source, size, str(len(stored)))
    return stored[:size]


def content_blocks(
    source: Source, size: int, *, first: int, block: int, start: int = 0, encoding: Encoding = "detected"
) -> Iterator[bytes]:
    """Yield the first `size` bytes of a file's content: `first` of them, then blocks of `block` bytes; as `content`.

    The content begins at byte `start` of the file. The memory needed stays near the largest block. The rest of the file
    is checked after the last block, so results are valid only if the iterator ends without an error.

    Raises:
        InputError: as `read_stored` and `content`.
    """
    try:
        reject_special(source)
        with source.path.open("rb") as handle:
            handle.seek(start)
            length = max(os.fstat(handle.fileno()).st_size - start, 0)
            stored = _Stored(handle, start, length, _CHUNK, encoding)
            yield from _blocks(source, stored, size, first, block)
    except FileNotFoundError:
        raise _missing(source) from None
    except OSError as error:
        raise _unreadable(source, error) from error


class _Stored(NamedTuple):
    """An open file, read from byte `start` on in chunks of `chunk` bytes; `size` bytes follow `start`."""

    handle: BinaryIO
    start: int
    size: int
    chunk: int
    encoding: Encoding

    def read_chunk(self) -> bytes:
        """Return the next chunk, empty at the end."""
        return self.handle.read(self.chunk)


def _blocks(source: Source, stored: _Stored, size: int, first: int, block: int) -> Iterator[bytes]:
    # an iterator: a header can state more blocks than fit into a list
    sizes = chain([first], (min(block, size - start) for start in range(first, size, block)))
    beginning = stored.read_chunk()
    if (wbits := _wbits(stored.encoding, beginning)) is None:
        if stored.size < size:
            raise truncated(source, size, str(stored.size))
        stored.handle.seek(stored.start)
        yield from (stored.handle.read(length) for length in sizes)
        return
    if size > _DEFLATE_LIMIT * stored.size:
        raise truncated(source, size, f"at most {_DEFLATE_LIMIT * stored.size}")
    if size > max(_HARMLESS_BYTES, _RATIO_LIMIT * stored.size):
        message = f"{stored.size} compressed bytes expand to {size} bytes, which no CT image does"
        raise source.error(
            "LS-IMG-030", message, "do not trust this file; if it is a CT, save it again without compression"
        )
    inflated = _inflated(source, stored, beginning, size, wbits=wbits, largest=max(first, block))
    rest, found = b"", 0
    for length in sizes:
        parts, needed = [rest[:length]], length - len(rest[:length])
        rest = rest[length:]
        while needed:
            if not (part := next(inflated, b"")):
                raise truncated(source, size, str(found + length - needed))
            parts.append(part[:needed])
            rest, needed = part[needed:], needed - len(parts[-1])
        found += length
        yield parts[-1] if len(parts[-1]) == length else b"".join(parts)
    for _ in inflated:  # to the end, for its checksum
        pass


def _wbits(encoding: Encoding, beginning: bytes) -> int | None:
    """Return the framing of a compressed stream; None if it is not compressed."""
    if encoding == "detected":
        return _GZIP_WBITS if beginning.startswith(_GZIP_MAGIC) else None
    return {"raw": None, "gzip": _GZIP_WBITS, "zlib": _ZLIB_WBITS}[encoding]


def _inflated(source: Source, stored: _Stored, rest: bytes, size: int, *, wbits: int, largest: int) -> Iterator[bytes]:
    """Yield the content of all members of a stream in non-empty parts; `rest` is the beginning of the stream."""
    found, members = 0, True
    while members:
        member = isal_zlib.decompressobj(wbits)
        while not member.eof:
            ended = not rest and not (rest := stored.read_chunk())
            before = len(rest)
            try:
                part = member.decompress(rest, max(min(size - found, largest), _BLOCK) if found < size else _DROPPED)
            except _DAMAGED as error:
                raise source.error(
                    "LS-IMG-005", f"compressed data are damaged ({error})", "copy the file again from its source"
                ) from error
            rest = member.unconsumed_tail
            if not part and not member.eof and (ended or len(rest) == before):
                raise truncated(source, size, f"{min(found, size)} without an end of the stream")
            if (found := found + len(part)) - size > max(size, _SURPLUS_BYTES):
                message = f"header states {size} bytes, but at least {found - size} more bytes follow"
                raise source.error(
                    "LS-IMG-030", message, "do not trust this file; if it is a CT, convert it again from its source"
                )
            if part:
                yield part
        rest = member.unused_data
        if len(rest) < len(_GZIP_MAGIC):
            rest += stored.read_chunk()
        # a gzip file may hold several members, as bgzip writes them
        members = wbits == _GZIP_WBITS and rest.startswith(_GZIP_MAGIC)
    while rest:
        if rest.strip(b"\0"):  # zero padding is allowed after the last member
            raise source.error("LS-IMG-005", "bytes follow the compressed data", "copy the file again from its source")
        rest = stored.read_chunk()


def _missing(source: Source) -> InputError:
    return source.error("LS-IMG-001", "file is missing", "correct the path or add the file")


def _unreadable(source: Source, error: OSError) -> InputError:
    reason = error.strerror or type(error).__name__
    return source.error("LS-IMG-002", f"file cannot be read ({reason})", "give a file that you may read")


def truncated(source: Source, expected: int, found: str) -> InputError:
    """Return the error LS-IMG-004: a file has fewer bytes than its header requires."""
    return source.error(
        "LS-IMG-004",
        f"file is truncated: found {found} bytes, expected {expected}",
        "copy the file again from its source",
    )
