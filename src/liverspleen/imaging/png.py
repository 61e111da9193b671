"""PNG in and out: stacks of masks, one file per slice, and pictures with words on them."""

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
_COMPRESSION = 3  # of 9; pictures of CT get a tenth larger than by 9, in a quarter of the time


@dataclass(frozen=True)
class Words:
    """One line of text on a picture: `place` is (x, y) in pixels from the top left; `anchor` as pillow names it.

    `width` is the number of pixels that it may take; what does not fit ends in "…".
    """

    place: tuple[int, int]
    text: str
    width: int
    colour: str = "#FFFFFF"
    size: int = 13
    anchor: str = "la"


def resized(gray: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A gray picture in another number of (rows, columns), bilinear, averaged where it shrinks."""
    image = Image.fromarray(np.ascontiguousarray(gray))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def write_picture(path: Path, rgb: NDArray[np.uint8], words: Sequence[Words]) -> None:
    """Write an RGB picture, (row, column, colour), with words on it; complete or not at all.

    The font is pillow's own, so that the same pillow writes the same bytes on every machine. It has ASCII only: other
    characters are brought down to it (é to e, ³ to 3), or are a question mark.
    """
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    for line in words:
        font = ImageFont.load_default(line.size)
        text = _drawable(line.text)
        while text and draw.textlength(text, font) > line.width:
            text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
        draw.text(line.place, text, fill=line.colour, font=font, anchor=line.anchor)
    with complete_file(path) as temporary:
        image.save(temporary, "PNG", compress_level=_COMPRESSION)


def read_masks(files: Sequence[Path], *, rows: int, columns: int, case_id: str) -> NDArray[np.uint8]:
    """Gray values of the files, (file, row, column); those of a black and white file are 0 and 255.

    Raises:
        InputError: LS-IMG-021 a file cannot be read as an 8-bit gray PNG of that size.
    """
    masks = np.zeros((len(files), rows, columns), np.uint8)
    for index, file in enumerate(files):
        try:
            with Image.open(file, formats=("PNG",)) as image:
                if image.size != (columns, rows) or image.mode not in _MODES:
                    found = f"is {image.size[1]} x {image.size[0]}, mode {image.mode}"
                    raise _rejected(f"mask {found}; expected {rows} x {columns}, 8-bit gray", case_id, file)
                masks[index] = np.asarray(image.convert("L"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _rejected(f"mask cannot be read ({type(error).__name__})", case_id, file) from None
    return masks


def _drawable(text: str) -> str:
    plain = unicodedata.normalize("NFKD", one_line(text).translate(_DASHES))
    return "".join(c if c.isascii() else "?" for c in plain if not unicodedata.combining(c))


def _rejected(message: str, case_id: str, file: Path) -> InputError:
    return InputError(Issue("LS-IMG-021", message, "save it as a gray PNG of its slice", case_id, file))
