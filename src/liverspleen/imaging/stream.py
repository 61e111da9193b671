"""The bytes of a file that may be gzip-compressed, read to its checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib  # three times zlib's rate where the whole is asked for at once

from liverspleen.errors import Fault, Refused

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # gzip framing, whose CRC-32 and length are compared at the end of each member
_DAMAGED: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # its stub says it is an instance
_DEFLATE_LIMIT = 1032  # bytes that one byte of deflate can stand for, at most (zlib's technical notes)
_RATIO_LIMIT = 500  # CT has 2 to 5, a label map of few organs some hundred, nothing at all 1029
_HARMLESS_BYTES = 1 << 30  # up to here any ratio is
_SURPLUS_BYTES = 1 << 28  # that may follow the voxels, beside as much as they have themselves
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Source:
    """A file being read and the case it belongs to, so that every fault can name both."""

    path: Path
    case_id: str | None = None

    def refused(self, code: str, what: str, cure: str) -> Refused:
        """The refusal of this file, to be raised."""
        return Refused(Fault(code, what, cure, case_id=self.case_id, file=self.path))


def read_stored(source: Source, size: int = -1) -> bytes:
    """The file's bytes as stored; the first `size` of them if given.

    Raises:
        Refused: LS-IMG-001 the file is missing, LS-IMG-002 it cannot be read, LS-IMG-030 it is larger than the memory.
    """
    try:
        if source.path.exists() and not source.path.is_file():  # a pipe would be waited for
            raise source.refused("LS-IMG-002", "it is no regular file", "make it a readable file")
        with source.path.open("rb") as handle:
            if size < 0:
                refuse_beyond_memory(source, os.fstat(handle.fileno()).st_size)
            return handle.read(size)
    except FileNotFoundError:
        raise source.refused("LS-IMG-001", "file is missing", "correct the path or bring the file") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise source.refused("LS-IMG-002", f"file cannot be read ({reason})", "make it a readable file") from error


def refuse_beyond_memory(source: Source, size: int) -> None:
    """Refuse (LS-IMG-030) what needs more bytes than the machine has left, where it tells (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        left = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return
    if size > left:
        what = f"its content has {size} bytes, and the machine has {left} left"
        raise source.refused("LS-IMG-030", what, "read it on a machine with more memory")


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
        Refused: LS-IMG-004 there are fewer bytes, LS-IMG-005 the stream is damaged, LS-IMG-030 it is built to fill the
            memory, or larger than what is left of it.
    """
    if not stored.startswith(_GZIP_MAGIC):
        found = stored[:size]
    elif size > _DEFLATE_LIMIT * len(stored):
        raise _truncated(source, size, f"at most {_DEFLATE_LIMIT * len(stored)}")
    elif size > max(_HARMLESS_BYTES, _RATIO_LIMIT * len(stored)):
        what = f"{size} bytes of content are packed into {len(stored)}: no image is that empty"
        raise source.refused("LS-IMG-030", what, "do not trust it, or save it again without compression")
    else:
        refuse_beyond_memory(source, size)
        found = _decompress(source, stored, size)
    if len(found) < size:
        raise _truncated(source, size, str(len(found)))
    return found


def _decompress(source: Source, stored: bytes, size: int) -> bytes:
    parts: list[bytes] = []
    kept = beyond = 0
    rest = stored
    while rest.startswith(_GZIP_MAGIC):  # a gzip file may hold several members, as bgzip writes them
        member = isal_zlib.decompressobj(_GZIP_WBITS)
        while not member.eof:
            before = len(rest)
            try:
                # what is asked for at once is written in its place without a detour
                part = member.decompress(rest, max(size - kept, _BLOCK))
            except _DAMAGED as error:
                raise source.refused(
                    "LS-IMG-005", f"compressed data are damaged ({error})", "copy the file again from its source"
                ) from error
            rest = member.unconsumed_tail
            if not part and len(rest) in (0, before) and not member.eof:
                raise _truncated(source, size, f"{kept}, and the stream has no end")
            if kept < size:
                parts.append(part[: size - kept])
                kept += len(parts[-1])
            elif (beyond := beyond + len(part)) > max(size, _SURPLUS_BYTES):
                what = f"over {beyond} bytes follow the {size} that its header states"
                raise source.refused("LS-IMG-030", what, "do not trust it, or convert it again from its source")
        rest = member.unused_data
    if rest.strip(b"\0"):  # zero padding is allowed after the last member
        raise source.refused("LS-IMG-005", "bytes follow the compressed data", "copy the file again from its source")
    return b"".join(parts)


def _truncated(source: Source, expected: int, found: str) -> Refused:
    return source.refused(
        "LS-IMG-004", f"file is truncated: {expected} bytes expected, found {found}", "copy it again from its source"
    )
