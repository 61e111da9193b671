"""The organs of the abdominal cavity, each with the function that makes its solids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from liverspleen.organs import ORGANS, Structure
from liverspleen.phantom.liver import liver_solids
from liverspleen.phantom.painting import Solid
from liverspleen.phantom.patient import Patient
from liverspleen.phantom.spleen import spleen_solids
from liverspleen.phantom.viscera import bowel_solids, kidney_solids, pancreas_solids, stomach_solids


@dataclass(frozen=True)
class Content:
    """A part of the abdomen: the function that samples its solids, and the organ that labels them, if any.

    The true volume is counted on a lattice of `truth_step_mm`. The error of a count of lattice points in a smooth body
    is about the square root of the number of boundary cells: below 0.05 % of a liver, below 0.1 % of a small spleen.
    """

    draw: Callable[[Patient], list[Solid]]
    organ: Structure = Structure.BACKGROUND
    truth_step_mm: float = 1.0


CONTENTS: Final = (
    Content(bowel_solids),
    Content(stomach_solids),
    Content(pancreas_solids),
    Content(spleen_solids, Structure.SPLEEN),
    Content(liver_solids, Structure.LIVER, truth_step_mm=1.5),
    Content(kidney_solids),
)
"""In the order of painting; later parts cover earlier ones."""

LABELLED: Final = tuple(organ for organ in ORGANS if any(content.organ is organ for content in CONTENTS))
"""The organs with a label in phantoms."""
