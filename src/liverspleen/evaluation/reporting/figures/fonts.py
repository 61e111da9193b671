"""Fonts of the figures: one with the metrics of Helvetica, as journals ask for, else the one of Matplotlib."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

HELVETICA_METRICS: Final = (
    "Arial",
    "Helvetica",
    "Liberation Sans",
    "Arimo",
    "Nimbus Sans",
    "TeX Gyre Heros",
    "FreeSans",
)
"""Fonts with the widths of Helvetica; all but the first two are free."""

FALLBACK: Final = "DejaVu Sans"
"""Comes with Matplotlib, and has the characters that the others lack."""

_SMALL: Final = "Figure Sans"  # the license of DejaVu requires another name for a part of it
_folder: tempfile.TemporaryDirectory[str] | None = None
_CHARACTERS: Final = ((0x20, 0x17F), (0x370, 0x3FF), (0x2000, 0x22FF))  # Latin, Greek, punctuation, mathematics


@lru_cache(maxsize=1)
def installed_fonts() -> list[str]:
    """Return the first installed font with the metrics of Helvetica, if there is one, and the fallback.

    Without one, the first is a part of the fallback. Matplotlib embeds only the characters of a figure in a PDF file,
    which takes seconds for a font with thousands of characters.
    """
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    found = [str(name) for name in HELVETICA_METRICS if name in known][:1]
    if not found:
        with suppress(OSError):  # no folder for temporary files
            _register_small()
            found = [_SMALL]
    return [*found, FALLBACK]


def _register_small() -> None:
    """Make a part of the fallback, regular and bold, known to Matplotlib in this process."""
    global _folder  # the files are removed at the end of the process
    from fontTools import subset
    from matplotlib import font_manager

    options = subset.Options(layout_features=[], hinting=False, name_IDs=["*"], notdef_outline=True)
    options.drop_tables += ["FFTM"]
    _folder = tempfile.TemporaryDirectory(prefix="liverspleen-fonts-")
    for weight in ("normal", "bold"):
        whole = font_manager.findfont(font_manager.FontProperties(family=FALLBACK, weight=weight))
        font = subset.load_font(whole, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=[code for first, last in _CHARACTERS for code in range(first, last + 1)])
        subsetter.subset(font)
        for record in font["name"].names:
            record.string = str(record).replace(FALLBACK, _SMALL).replace("DejaVuSans", "FigureSans")
        file = Path(_folder.name, f"{weight}.ttf")
        subset.save_font(font, str(file), options)
        font.close()
        font_manager.fontManager.addfont(file)


def with_font_list(svg: bytes) -> bytes:
    """Return an SVG whose texts name all fonts with the metrics of Helvetica, for machines with other fonts."""
    listed = ", ".join(f"'{name}'" for name in installed_fonts()).encode()
    every = ", ".join([*(f"'{name}'" for name in (*HELVETICA_METRICS, FALLBACK)), "sans-serif"]).encode()
    return svg.replace(listed, every)
