"""Fonts and resolution of the figure files, as journals ask for them."""

import io
import re

import pytest
from matplotlib.figure import Figure
from PIL import Image

from liverspleen.evaluation.reporting.figures import fonts
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes, own_style


def figure(text: str) -> Figure:
    with own_style():
        made = Figure(figsize=(3.54, 2.0))
        made.text(0.1, 0.5, text)
        made.text(0.1, 0.2, text, fontweight="bold")
    return made


def test_a_pdf_embeds_truetype_fonts() -> None:
    content = figure_bytes(figure("Mean −1.96 SD"), "pdf")
    assert content.count(b"/FontFile2") >= 2
    assert b"/Type3" not in content


def test_text_of_an_svg_stays_text_and_names_free_fonts() -> None:
    content = figure_bytes(figure("Mean −1.96 SD"), "svg").decode()
    assert len(re.findall(r">Mean −1\.96 SD</text>", content)) == 2
    assert "'Arial', 'Helvetica', 'Liberation Sans'" in content
    assert "Figure Sans" not in content


def test_a_png_has_300_dpi() -> None:
    with Image.open(io.BytesIO(figure_bytes(figure("x"), "png"))) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.size == (1062, 600)


def test_characters_beyond_the_small_font_are_drawn_with_the_whole_one() -> None:
    assert fonts.installed_fonts()[-1] == fonts.FALLBACK
    content = figure_bytes(figure("Ж א"), "pdf")  # Cyrillic, Hebrew
    assert b"DejaVuSans" in content


def test_without_temporary_files_the_whole_font_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(fonts, "_register_small", fail)
    monkeypatch.setattr(fonts, "HELVETICA_METRICS", ())
    assert fonts.installed_fonts.__wrapped__() == [fonts.FALLBACK]
