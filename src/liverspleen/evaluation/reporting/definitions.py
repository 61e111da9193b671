"""What the numbers of a report mean; said once, for the page and for `report.json`."""

from __future__ import annotations

from typing import Final

from liverspleen.evaluation.statistics.intervals import LOA_MULTIPLIER
from liverspleen.evaluation.statistics.reproducibility import RC_QUANTILE

RESEARCH_USE: Final = "Research use only. Not a medical device; not for diagnosis or treatment."

DEFINITIONS: Final[dict[str, str]] = {
    "DSS": "Dice similarity score, 2 TP / (2 TP + FN + FP), of one structure in one whole CT, on the grid of that CT.",
    "Volume": "Volume in cm³ as measured by each reader. The liver/spleen ratio is derived from the two volumes of one "
    "reader and undefined over a spleen of 0 cm³.",
    "Percent difference": "200 (reader − reference) / (reader + reference); undefined where both are 0.",
    "95 % LOA": f"Bland-Altman limits of agreement, bias ± {LOA_MULTIPLIER} SD of the percent differences "
    "(SD with n − 1).",
    "p of the bias": "Two-sided one-sample t-test of the percent differences against 0, n − 1 degrees of freedom.",
    "p between conditions": "Kruskal-Wallis test, H corrected for ties, χ² with k − 1 degrees of freedom.",
    "p between sites": "Wilcoxon signed-rank test on patients with one CT of each site: zeros dropped, average ranks, "
    "normal approximation with tie-corrected variance and without continuity correction (as SPSS).",
    "%RC": f"Percentage reproducibility coefficient, {RC_QUANTILE} √(2 wCV²), of two CTs of a patient; wCV is the root "
    "mean square of the per-patient CV (within-pair variance d²/2). 95 % CI by χ² with n degrees of freedom.",
    "n": "Number of CTs with a defined value; of patients for the p between sites and for %RC.",
    "Rounding": "Numbers are rounded only in print, halves away from zero; report.json has them at full precision.",
}
"""Term to definition."""
