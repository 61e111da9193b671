"""Stacks of PNG masks, one file per section."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from liverspleen.errors import Fault, Refused

_MODES = ("1", "L")


def read_masks(files: Sequence[Path], *, rows: int, columns: int, case_id: str) -> NDArray[np.uint8]:
    """Gray values of the files, (file, row, column); those of a black and white file are 0 and 255.

    Raises:
        Refused: LS-IMG-021 a file cannot be read as an 8-bit gray PNG of that size.
    """
    masks = np.zeros((len(files), rows, columns), np.uint8)
    for index, file in enumerate(files):
        try:
            with Image.open(file, formats=("PNG",)) as image:
                if image.size != (columns, rows) or image.mode not in _MODES:
                    found = f"is {image.size[1]} x {image.size[0]}, mode {image.mode}"
                    raise _refused(f"mask {found}; expected {rows} x {columns}, 8-bit gray", case_id, file)
                masks[index] = np.asarray(image.convert("L"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _refused(f"mask cannot be read ({type(error).__name__})", case_id, file) from None
    return masks


def _refused(what: str, case_id: str, file: Path) -> Refused:
    return Refused(Fault("LS-IMG-021", what, "save it as a gray PNG of its section", case_id, file))
