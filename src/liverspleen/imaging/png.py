"""Reading of masks from PNG files, one per slice, and writing of pictures with text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from liverspleen.errors import InputError, Issue, one_line
from liverspleen.storage import complete_file

_MODES = ("1", "L")
_DASHES = str.maketrans("−–—×", "---x")
_COMPRESSION = 3  # of 9; pictures of CT are a tenth larger than with 9, in a quarter of the time


@dataclass(frozen=True)
class TextLine:
    """One line of text on a picture: `place` is (x, y) in pixels from the top left, `anchor` is an anchor of pillow.

    `width` is the available number of pixels; longer text is cut and ends in "…".
    """

    place: tuple[int, int]
    text: str
    width: int
    colour: str = "#FFFFFF"
    size: int = 13
    anchor: str = "la"


def resized(gray: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a grey picture resized to (rows, columns): bilinear, and averaged where it shrinks."""
    image = Image.fromarray(np.ascontiguousarray(gray))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def write_picture(path: Path, rgb: NDArray[np.uint8], lines: Sequence[TextLine]) -> None:
    """Write an RGB picture, (row, column, colour), with lines of text; the file is complete or absent.

    The font is that of pillow, so the same version of pillow writes the same bytes on every machine. It has only ASCII:
    other characters are replaced by similar ones (é by e, ³ by 3) or by a question mark.
    """
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    for line in lines:
        font = ImageFont.load_default(line.size)
        text = _ascii(line.text)
        while text and draw.textlength(text, font) > line.width:
            text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
        draw.text(line.place, text, fill=line.colour, font=font, anchor=line.anchor)
    with complete_file(path) as temporary:
        image.save(temporary, "PNG", compress_level=_COMPRESSION)


def read_masks(files: Sequence[Path], *, rows: int, columns: int, case_id: str) -> NDArray[np.uint8]:
    """Read the grey values of the files, (file, row, column); those of a black and white file are 0 and 255.

    Raises:
        InputError: LS-IMG-021 a file is not a readable 8-bit grey PNG of that size.
    """
    masks = np.zeros((len(files), rows, columns), np.uint8)
    for index, file in enumerate(files):
        try:
            with Image.open(file, formats=("PNG",)) as image:
                if image.size != (columns, rows) or image.mode not in _MODES:
                    found = f"is {image.size[1]} x {image.size[0]}, mode {image.mode}"
                    raise _mask_error(f"mask {found}, expected {rows} x {columns}, 8-bit grey", case_id, file)
                masks[index] = np.asarray(image.convert("L"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _mask_error(f"mask cannot be read ({type(error).__name__})", case_id, file) from None
    return masks


def _ascii(text: str) -> str:
    characters = unicodedata.normalize("NFKD", one_line(text).translate(_DASHES))
    return "".join(c if c.isascii() else "?" for c in characters if not unicodedata.combining(c))


def _mask_error(message: str, case_id: str, file: Path) -> InputError:
    return InputError(
        Issue("LS-IMG-021", message, "save the mask as an 8-bit grey PNG of the size of its slice", case_id, file)
    )
