"""Fonts of the figures: one with the metrics of Helvetica, as journals ask for, else the one of Matplotlib."""

from __future__ import annotations

from functools import lru_cache
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


@lru_cache(maxsize=1)
def installed_fonts() -> list[str]:
    """Return the first installed font with the metrics of Helvetica, if there is one, and the fallback."""
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    return [*[name for name in HELVETICA_METRICS if name in known][:1], FALLBACK]


def with_font_list(svg: bytes) -> bytes:
    """Return an SVG whose texts name all fonts with the metrics of Helvetica, for machines with other fonts.

    >>> with_font_list(b"font: 8px 'DejaVu Sans'; ...")[:36]
    b"font: 8px 'Arial', 'Helvetica', 'Lib"
    """
    listed = ", ".join(f"'{name}'" for name in installed_fonts()).encode()
    every = ", ".join([*(f"'{name}'" for name in (*HELVETICA_METRICS, FALLBACK)), "sans-serif"]).encode()
    return svg.replace(listed, every)
