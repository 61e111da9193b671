"""Decoder of JPEG Lossless for pydicom, by imagecodecs, the package of the extra `jpeg`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from liverspleen.imaging.dicom.quiet import pydicom

JPEG_LOSSLESS = (pydicom.uid.JPEGLossless, pydicom.uid.JPEGLosslessSV1)
DECODER_DEPENDENCIES = dict.fromkeys(JPEG_LOSSLESS, ("numpy", "imagecodecs"))
"""Read by pydicom."""

_NAME = "imagecodecs"
_END = b"\xff\xd9"


def is_available(uid: str) -> bool:
    """Return whether a transfer syntax can be decoded; called by pydicom."""
    return uid in JPEG_LOSSLESS and find_spec(_NAME) is not None


def decode_frame(frame: bytes, runner: Any) -> bytearray:
    """Return the pixels of a frame; called by pydicom.

    Raises:
        ValueError: the frame does not end with the marker of its end: libjpeg fills missing pixels without an error.
    """
    import imagecodecs  # optional

    if not frame.rstrip(b"\0").endswith(_END):  # padded to an even length
        raise ValueError("frame is truncated")
    pixels = imagecodecs.jpeg8_decode(frame)  # libjpeg-turbo
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    return bytearray(pixels.tobytes())


def register() -> None:
    """Give pydicom this decoder."""
    for uid in JPEG_LOSSLESS:
        decoder = pydicom.pixels.get_decoder(uid)
        if _NAME not in (*decoder.available_plugins, *decoder._unavailable):
            decoder.add_plugin(_NAME, (__name__, decode_frame.__name__))
