"""Checks of the size stated by compressed pixels: a decoder allocates that size before it decodes."""

from __future__ import annotations

import struct

from liverspleen.imaging.dicom.quiet import pydicom

_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
"""Second bytes of the markers that state a size, of JPEG (ITU T.81, table B.1) and JPEG-LS."""
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_RUNS_BYTES = 1 << 23  # 2048 x 2048 of 16 bits
_TILES = 4096  # a decoder allocates some kilobytes per tile


def check_stated_size(frame: bytes, transfer_syntax: str, rows: int, columns: int) -> None:
    """Reject a compressed frame whose codestream has another size than the file's header, or several components.

    Raises:
        ValueError: the size differs or is not stated.
    """
    jpeg_2000 = (*pydicom.uid.JPEG2000TransferSyntaxes, pydicom.uid.HTJ2K, pydicom.uid.HTJ2KLossless)
    is_jpeg_2000 = transfer_syntax in (*jpeg_2000, pydicom.uid.HTJ2KLosslessRPCL)
    if (_jpeg_2000(frame) if is_jpeg_2000 else _jpeg(frame)) != (rows, columns, 1):
        raise ValueError("size in the codestream differs from the header")


def check_runs(frame: bytes, size: int) -> None:
    """Reject a run-length encoded frame that may expand to far more than the `size` bytes of its pixels.

    Two bytes expand to up to 128, and the frame states no size.

    Raises:
        ValueError: it has more bytes than the worst encoding of `size` bytes, or `size` is too large for a CT.
    """
    if size > _RUNS_BYTES or len(frame) > 64 + size + size // 4:
        raise ValueError("run-length encoded frame is too large")


def _jpeg_2000(frame: bytes) -> tuple[int, int, int]:
    """Return rows, columns and components (ISO 15444-1, A.5.1), after a check of the tiles."""
    stream = _codestream(frame)
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 42:
        raise ValueError("not a JPEG 2000 codestream")
    right, bottom, left, top, width, height, tile_left, tile_top = struct.unpack(">8L", stream[8:40])
    (components,) = struct.unpack(">H", stream[40:42])
    if not (width and height):
        raise ValueError("tiles without a size")
    if -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height) > _TILES:
        raise ValueError("too many tiles")
    return bottom - top, right - left, components


def _codestream(frame: bytes) -> bytes:
    """Return the frame without the boxes of a JP2 file, which DICOM forbids but some tools write."""
    if not frame.startswith(_JP2_SIGNATURE):
        return frame
    at = 0
    while len(frame) >= at + 8:
        length, kind = struct.unpack(">L4s", frame[at : at + 8])
        if kind == b"jp2c":
            return frame[at + (16 if length == 1 else 8) :]
        if length < 8:
            break
        at += length
    raise ValueError("no codestream")


def _jpeg(frame: bytes) -> tuple[int, int, int]:
    """Return rows, columns and components of the first frame header."""
    at = 2
    while frame[:2] == b"\xff\xd8" and len(frame) >= at + 10 and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        length, _, rows, columns, components = struct.unpack(">HBHHB", frame[at + 2 : at + 10])
        if marker in _START_OF_FRAME:
            return rows, columns, components
        at += 2 + length
    raise ValueError("not a JPEG")
